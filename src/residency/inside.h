/* residency/inside.h -- the inside of workers and shards, for the files that work on them. */
#ifndef RESIDENCY_INSIDE_H
#define RESIDENCY_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "base/validate.h"
#include "residency/seal_tags.h"
#include "residency/seal_text.h"
#include "residency/worker_core.h"

#define VERIFY_MODES 4u /* enum lethe_verify_mode */

/* Beyond what everyone sees: by whom it was stopped. */
enum worker_phase { PHASE_STARTING, PHASE_READY, PHASE_STOPPED, PHASE_FAILED };

struct worker_counters {
    _Atomic uint64_t sealed;
    _Atomic uint64_t seal_failures;
    _Atomic uint64_t verified[VERIFY_MODES];
    _Atomic uint64_t verification_failures[VERIFY_MODES];
    _Atomic uint64_t evicted;
    _Atomic uint64_t evict_failures;
    _Atomic uint64_t executions;
};

/* Lock order: `lock` is the only one, and nothing that blocks is called under it: no device, no
 * log. */
struct lethe_worker {
    char name[NAME_PART_MAX + 1];
    enum lethe_residency_policy policy;
    enum lethe_seal_profile profile;
    uint64_t shard_limit_bytes;
    unsigned threads;
    unsigned optional;
    const struct lethe_log *log; /* or NULL */
    uint64_t (*wall_ns)(void *context);
    void *clock_context;
    struct lethe_secret *seal_key;
    struct device **devices;
    size_t device_count;
    _Atomic uint64_t holds; /* caches and states */

    _Atomic enum worker_phase phase;
    struct worker_counters counters;

    pthread_mutex_t lock;
    pthread_cond_t idle; /* a shard is being read by fewer */
    TAILQ_HEAD(, lethe_shard) shards;
    uint64_t turns; /* of full verifications */
};

enum shard_phase {
    SHARD_SEALING, /* has its id, and nothing to be seen yet */
    SHARD_SEALED,
    SHARD_LEAVING, /* is being wiped                         */
};

#define SHARD_ALIVE 0x5ea1ed00u

struct lethe_shard {
    TAILQ_ENTRY(lethe_shard) link; /* worker->lock */
    unsigned alive;                /* SHARD_ALIVE until it is freed */
    struct lethe_worker *worker;

    /* worker->lock */
    enum shard_phase phase;
    unsigned holds;                       /* executions, groups and caches: eviction is refused */
    unsigned readers;                     /* verifications that go on: eviction waits           */
    uint64_t turn;                        /* when it was last digested, in worker->turns        */
    enum lethe_verify_mode verified_mode; /* of the bytes, so never by signature; DEFAULT: never */
    uint64_t verified_at_s;

    /* Stay the same. */
    char id[IDENTIFIER_MAX + 1];
    size_t device_index;
    enum lethe_class class_;
    char tenant[NAME_PART_MAX + 1];

    /* Changed by whoever seals it, under worker->lock what others may look at without a hold. */
    struct lethe_seal seal;
    uint64_t size_bytes;
    struct device_memory *memory;
    struct seal_tags *tags; /* NULL in LETHE_SEAL_CONTRACT */
};

/* Around a verification, for which eviction waits. LETHE_BUSY: it is being evicted or replaced. */
LETHE_MUST_CHECK lethe_result shard_read_begin(struct lethe_shard *shard, struct lethe_error *err);
void shard_read_end(struct lethe_shard *shard);
/* For executions, groups and caches: until it is released, eviction is refused. LETHE_BUSY as
 * above. */
LETHE_MUST_CHECK lethe_result shard_hold(struct lethe_shard *shard, struct lethe_error *err);
void shard_release(struct lethe_shard *shard);

/* Seal's signature and bytes, by the mode that it comes down to, without a record of success.
 * LETHE_INTEGRITY: the worker has been stopped, and it is on record. */
LETHE_MUST_CHECK lethe_result shard_verify(struct lethe_shard *shard, enum lethe_verify_mode mode,
                                           struct lethe_error *err);
LETHE_MUST_CHECK lethe_result verify_mode_check(enum lethe_verify_mode mode,
                                                struct lethe_error *err); /* LETHE_INVALID */
/* What is really done on that shard when `mode` is asked for. */
enum lethe_verify_mode shard_verify_mode(const struct lethe_shard *shard,
                                         enum lethe_verify_mode mode);
enum device_digest shard_digest_kind(const struct lethe_shard *shard);
/* The record of `count` verifications that went well. The shard is held, or being read. */
void shard_record_verified(const struct lethe_shard *shard, enum lethe_verify_mode mode,
                           uint64_t count);

/* What a failed verification does (W-1): stops the worker for good, quarantines the device, and has
 * both on record, durably, before it returns. Gives LETHE_INTEGRITY, log or no log. */
struct worker_failure {
    const char *subject; /* "shard 'a'" */
    const char *id;
    const char *tenant;
    struct device *device;
    const char *reason;
    const char *expected_digest;
    const char *actual_digest; /* "": not known */
};
lethe_result worker_fail(struct lethe_worker *worker, const struct worker_failure *failure,
                         struct lethe_error *err);

/* A handle that is freed says so, for as long as nobody else has its memory: who frees or uses it
 * again aborts rather than corrupt what is counted. Volatile, or the store before free() would be
 * left out. */
static inline void mark_freed(unsigned *alive)
{
    *(volatile unsigned *)alive = 0;
}

static inline void count_one(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

#endif
