/* audit/log_core.h -- the inside of a log, for its own files: log.c (what callers see), log_group.c
 * (who writes, and what), log_thread.c (when nobody waits), batch.c (records that are pushed). */
#ifndef AUDIT_LOG_CORE_H
#define AUDIT_LOG_CORE_H

#include <pthread.h>

#include "audit/batch.h"
#include "audit/losses.h"
#include "audit/ring.h"
#include "audit/writer.h"

/* A group in the making: belongs to the leader. */
struct gathering {
    struct loss_report losses;
    struct queue commits;
    uint64_t began_ns;
    bool is_all;            /* of what was emitted */
    uint64_t emitted_count; /* records of the ring that are in it */
    struct ring_place emitted_end;
    struct emitted emitted[WRITER_GROUP_MAX];
};

struct audit_batch {
    struct audit_log *log;
    audit_batch_done *done;
    void *context;
    struct block *block; /* the newest */
    struct pushed *first;
    struct pushed **end;
    size_t count;
    bool is_started;  /* written with the log's mutex, by who uses the batch */
    atomic_uint left; /* records without a result, and 1 until it is started */
};
/* One of its records has its result. */
void batch_told(struct audit_batch *batch);

/* The first thread that finds nobody writing leads: it takes what waits, writes it as one group,
 * and tells each of the others. Of those who came meanwhile, the first is told to lead the next.
 *
 * `mutex` guards all but `writer` and `gathering`, and is never held while a file is looked at;
 * those two belong to the leader. */
struct audit_log {
    const struct clock_source *clock;
    struct audit_limits limits;
    struct audit_space space;
    uint64_t process; /* whose it is */

    pthread_mutex_t mutex;
    pthread_cond_t group_done;
    bool leading;
    unsigned flushing; /* who wants all that waits on disk: losses too, whatever the disk has */
    size_t expected;   /* commits of the next group, if all who wrote lately go on */
    struct queue queue;
    struct ring ring;
    struct losses losses;
    struct budget budget;
    uint64_t waiting_since_ns; /* what was emitted or lost, when anything waits */
    bool failed;               /* the last group */
    struct audit_head head;

    /* The thread. Armed, it looks by itself before anything can have waited too long. */
    bool threaded;
    bool armed;
    bool called; /* to write what was pushed */
    bool stopping;
    pthread_t thread;
    pthread_cond_t wake;

    struct writer writer;
    struct gathering gathering;
};

/* All with the mutex held. */

static inline bool log_has_waiting(const struct audit_log *log)
{
    return ring_count(&log->ring) > 0 || losses_any(&log->losses, &log->budget);
}
void log_publish_head(struct audit_log *log);
/* Waits until nobody writes, and writes one group. */
lethe_result log_lead(struct audit_log *log, struct lethe_error *err);
/* Takes it from the actor's budget: LETHE_UNAVAILABLE. */
LETHE_MUST_CHECK lethe_result log_charge(struct audit_log *log, const struct entry *entries,
                                         size_t count, struct lethe_error *err);
/* Behind all that is there. */
void log_push(struct audit_log *log, struct entry *entry);
/* The thread writes what was pushed, when nobody else does. */
void log_call_thread(struct audit_log *log);
/* Nobody writes any more: whoever waits for that goes on. */
void log_end_leading(struct audit_log *log);
/* Until all that was emitted or lost before the call is on disk, or a group fails. */
lethe_result log_flush(struct audit_log *log, struct lethe_error *err);
/* Something was emitted or dropped; it was the first if nothing waited before. True when the thread
 * is to be woken. */
bool log_note_waiting(struct audit_log *log, bool is_first, uint64_t now_ns);

/* Written while there is any room, whatever else is held back. */
bool log_is_essential(const struct audit_event *event);

/* The rest without it. */

/* Until the entry is done: its result is there. Leads, if it falls to this thread. */
void log_wait_for(struct audit_log *log, struct entry *entry);

/* LETHE_UNAVAILABLE in a forked child. */
LETHE_MUST_CHECK lethe_result log_check_ours(const struct audit_log *log, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result log_thread_start(struct audit_log *log, struct lethe_error *err);
void log_thread_stop(struct audit_log *log);

#endif
