#include "audit/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "audit/writer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/validate.h"

/* Emitted records that wait for a group, and their memory (about 300 bytes each) with them. */
#define EMITTED_MAX 4096
#define GATHER_NS 100000

/* The first thread that finds nobody writing leads: it takes what is in the queue, writes it as one
 * group, and tells the others. Whoever came meanwhile leads the next group.
 *
 * `mutex` guards all but `writer`, and is never held while a file is written; `writer` belongs to
 * the leader. */
struct audit_log {
    const struct clock_source *clock;
    pthread_mutex_t mutex;
    pthread_cond_t group_done;
    bool leading;
    size_t expected; /* records of the next group, if all who wrote lately go on */
    struct queue queue;
    uint64_t dropped; /* emitted, not in the queue, and not yet on record */
    struct audit_head head;
    struct writer writer;
};

/* ---- opening --------------------------------------------------------------------------------- */

static lethe_result check_options(const struct audit_options *options, struct lethe_error *err)
{
    const char *name = options->signer.key.name;
    TRY(validate_identifier("node", options->node, RECORD_NODE_MAX, err));
    if (strncmp(name, RECORD_ORIGIN_PREFIX, strlen(RECORD_ORIGIN_PREFIX)) != 0 ||
        strcmp(name + strlen(RECORD_ORIGIN_PREFIX), options->node) != 0)
        return error_set(err, LETHE_INVALID,
                         "the log's key must be called " RECORD_ORIGIN_PREFIX "%s, as its node",
                         options->node);
    return LETHE_OK;
}

static lethe_result open_directory(const char *path, int *out, struct lethe_error *err)
{
    struct stat status;
    TRY(file_make_directories(path, FILES_DIRECTORY_MODE, err));
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        return error_from_errno(err, "opening %s", path);
    TRY(file_check_private(path, &status, err));
    *out = FD_MOVE(fd);
    return LETHE_OK;
}

static void publish_head(struct audit_log *log)
{
    const struct chain *chain = &log->writer.replay.chain;
    log->head.records = chain->tree.leaves;
    log->head.epoch = chain->epoch;
    merkle_root(&chain->tree, log->head.root);
}

lethe_result audit_open(const struct audit_options *options, struct audit_log **out,
                        struct lethe_error *err)
{
    *out = NULL;
    TRY(check_options(options, err));
    CLEANUP(fd_close) int directory = -1;
    TRY(open_directory(options->directory, &directory, err));
    CLEANUP(memory_free) struct audit_log *log = calloc(1, sizeof *log);
    if (log == NULL)
        return error_set(err, LETHE_NO_MEMORY, "opening the log");
    TRY(error_context(err, writer_open(&log->writer, directory, options, err), "log %s",
                      options->directory));
    (void)FD_MOVE(directory); /* the writer closes it */
    log->clock = log->writer.clock;
    pthread_mutex_init(&log->mutex, NULL);
    pthread_cond_init(&log->group_done, NULL);
    publish_head(log);
    *out = MOVE(log);
    return LETHE_OK;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static lethe_result write_list(struct audit_log *log, struct entry *list, uint64_t dropped,
                               struct lethe_error *err)
{
    const struct audit_event event = audit_events_dropped(dropped, "too many were waiting", NULL);
    const struct entry entry = {
        .next = list, .event = &event, .time_ns = clock_wall_ns(log->clock)};
    return writer_group(&log->writer, dropped > 0 ? &entry : list, err);
}

/* Emitted entries of a group that failed go back to where they were. */
static void finish_list(struct audit_log *log, struct entry *list, lethe_result result,
                        const struct lethe_error *err)
{
    struct queue returned = {0};
    for (struct entry *next; list != NULL; list = next) {
        next = list->next;
        if (list->is_copy && result != LETHE_OK) {
            queue_push(&returned, list);
        } else if (list->is_copy) {
            entry_free(list);
        } else {
            list->result = result;
            if (list->err != NULL && result != LETHE_OK)
                *list->err = *err;
            list->done = true;
        }
    }
    queue_put_in_front(&log->queue, &returned);
}

/* Called with the mutex held. Those whom the last group has just released are about to come with
 * their next record: without a moment's patience half of them would always miss the group. */
static void gather(struct audit_log *log)
{
    uint64_t deadline_ns = clock_monotonic_ns(&clock_system) + GATHER_NS;
    while (log->queue.count < log->expected && clock_monotonic_ns(&clock_system) < deadline_ns) {
        pthread_mutex_unlock(&log->mutex);
        sched_yield();
        pthread_mutex_lock(&log->mutex);
    }
}

/* Called with the mutex held and nobody leading; gives it up while the group is written. Each of
 * the group is told the result, and so is the caller. */
static lethe_result lead(struct audit_log *log, struct lethe_error *err)
{
    struct lethe_error group_error = {0};
    log->leading = true;
    gather(log);
    size_t taken = MIN(log->queue.count, WRITER_GROUP_MAX);
    struct entry *list = queue_take(&log->queue, WRITER_GROUP_MAX);
    uint64_t dropped = log->dropped;
    pthread_mutex_unlock(&log->mutex);

    lethe_result result = write_list(log, list, dropped, &group_error);

    pthread_mutex_lock(&log->mutex);
    log->leading = false;
    log->expected = taken + log->queue.count;
    if (result == LETHE_OK) {
        log->dropped -= dropped;
        publish_head(log);
    } else if (err != NULL) {
        *err = group_error;
    }
    finish_list(log, list, result, &group_error);
    pthread_cond_broadcast(&log->group_done);
    return result;
}

/* Called with the mutex held. */
static void wait_for(struct audit_log *log, const struct entry *entry)
{
    while (!entry->done) {
        if (log->leading)
            pthread_cond_wait(&log->group_done, &log->mutex);
        else
            lead(log, NULL); /* the entry has the result, if it was in that group */
    }
}

lethe_result audit_commit(struct audit_log *log, const struct audit_who *who,
                          const struct audit_event *event, struct lethe_error *err)
{
    return audit_commit_all(log, who, event, 1, err);
}

static lethe_result commit_entries(struct audit_log *log, struct entry *entries, size_t count)
{
    lethe_result result = LETHE_OK;
    pthread_mutex_lock(&log->mutex);
    for (size_t i = 0; i < count; i++)
        queue_push(&log->queue, &entries[i]);
    for (size_t i = 0; i < count;
         i++) { /* a group that fails may be followed by one that does not */
        wait_for(log, &entries[i]);
        result = result == LETHE_OK ? entries[i].result : result;
    }
    pthread_mutex_unlock(&log->mutex);
    return result;
}

lethe_result audit_commit_all(struct audit_log *log, const struct audit_who *who,
                              const struct audit_event *events, size_t count,
                              struct lethe_error *err)
{
    struct entry single = {0};
    CLEANUP(memory_free) struct entry *many = count > 1 ? calloc(count, sizeof *many) : NULL;
    struct entry *entries = count > 1 ? many : &single;
    if (entries == NULL)
        return error_set(err, LETHE_NO_MEMORY, "%zu records", count);
    uint64_t now_ns = clock_wall_ns(log->clock);
    for (size_t i = 0; i < count; i++)
        entries[i] =
            (struct entry){.who = *who, .event = &events[i], .time_ns = now_ns, .err = err};
    return commit_entries(log, entries, count);
}

void audit_emit(struct audit_log *log, const struct audit_who *who, const struct audit_event *event)
{
    REQUIRE(audit_kind_severity(event->kind) != AUDIT_CRITICAL);
    struct entry *entry = entry_copy(who, event, clock_wall_ns(log->clock));
    pthread_mutex_lock(&log->mutex);
    bool room = entry != NULL && log->queue.copies < EMITTED_MAX;
    if (room)
        queue_push(&log->queue, entry);
    else
        log->dropped++;
    pthread_mutex_unlock(&log->mutex);
    if (!room)
        entry_free(entry);
}

/* Called with the mutex held. */
static lethe_result flush(struct audit_log *log, struct lethe_error *err)
{
    lethe_result result = LETHE_OK;
    while (result == LETHE_OK && (log->queue.first != NULL || log->dropped > 0)) {
        if (log->leading)
            pthread_cond_wait(&log->group_done, &log->mutex);
        else
            result = lead(log, err);
    }
    return result;
}

/* Called with the mutex held; gives it up while the files are read. */
static lethe_result catch_up(struct audit_log *log, struct lethe_error *err)
{
    while (log->leading)
        pthread_cond_wait(&log->group_done, &log->mutex);
    log->leading = true;
    pthread_mutex_unlock(&log->mutex);

    lethe_result result = writer_catch_up(&log->writer, err);

    pthread_mutex_lock(&log->mutex);
    log->leading = false;
    if (result == LETHE_OK)
        publish_head(log);
    pthread_cond_broadcast(&log->group_done);
    return result;
}

lethe_result audit_sync(struct audit_log *log, struct lethe_error *err)
{
    pthread_mutex_lock(&log->mutex);
    lethe_result result = flush(log, err);
    if (result == LETHE_OK)
        result = catch_up(log, err);
    pthread_mutex_unlock(&log->mutex);
    return result;
}

lethe_result audit_close(struct audit_log *log, struct lethe_error *err)
{
    pthread_mutex_lock(&log->mutex);
    lethe_result result = flush(log, err);
    for (struct entry *entry; (entry = queue_take(&log->queue, 1)) != NULL;)
        entry_free(entry);
    pthread_mutex_unlock(&log->mutex);

    lethe_result closed = writer_close(&log->writer, result == LETHE_OK ? err : NULL);
    pthread_cond_destroy(&log->group_done);
    pthread_mutex_destroy(&log->mutex);
    free(log);
    return result == LETHE_OK ? closed : result;
}

/* ---- the head -------------------------------------------------------------------------------- */

void audit_head(struct audit_log *log, struct audit_head *out)
{
    pthread_mutex_lock(&log->mutex);
    *out = log->head;
    pthread_mutex_unlock(&log->mutex);
}

lethe_result audit_root_at(struct audit_log *log, uint64_t records, uint8_t root[32],
                           struct lethe_error *err)
{
    struct audit_head head;
    audit_head(log, &head);
    if (records > head.records)
        return error_set(err, LETHE_NOT_FOUND, "the log has %llu records, not %llu",
                         (unsigned long long)head.records, (unsigned long long)records);
    if (records == head.records) {
        memcpy(root, head.root, sizeof head.root);
        return LETHE_OK;
    }
    CLEANUP(files_view_clear) struct files_view view = {0};
    TRY(files_look(log->writer.directory, &view, err));
    return replay_root_at(log->writer.directory, &view, records, root, err);
}
