/* residency/worker_core.h -- what the files of this room share of a worker: its devices, its
 * policy, its records. Contracts: lethe/residency.h. Any thread. */
#ifndef RESIDENCY_WORKER_CORE_H
#define RESIDENCY_WORKER_CORE_H

#include <lethe/residency.h>

#include "audit/recorder.h"
#include "device/device.h"

/* The worker's device of that number; where the policy lets no weights be, a worker has none.
 * LETHE_INVALID: it has no such device. */
LETHE_MUST_CHECK lethe_result worker_device(struct lethe_worker *worker, size_t index,
                                            struct device **out, struct lethe_error *err);
unsigned worker_optional(const struct lethe_worker *worker); /* protections to go without */
uint64_t worker_now_s(const struct lethe_worker *worker);

/* Around the life of a cache or a state: while there is one, the worker is not to be freed. */
void worker_hold(struct lethe_worker *worker);
void worker_unhold(struct lethe_worker *worker);

/* LETHE_OK while it is Starting or Ready. LETHE_INTEGRITY: a failed verification has stopped it.
 * LETHE_DENIED: its owner has. */
LETHE_MUST_CHECK lethe_result worker_check(const struct lethe_worker *worker,
                                           struct lethe_error *err);

/* Memory of one of its devices, and giving it back, both on record (RP-005). */
struct worker_request {
    size_t device;
    const char *id;     /* what it is for: up to 256 characters, which a region's label may cut */
    const char *tenant; /* "" where it does not apply */
    enum lethe_class class_;
    uint64_t size_bytes;
};
/* Results as device_alloc. */
LETHE_MUST_CHECK lethe_result worker_alloc(struct lethe_worker *worker,
                                           const struct worker_request *request,
                                           struct device_memory **out, struct lethe_error *err);
/* Results as device_free: the memory is gone whatever the result. */
LETHE_MUST_CHECK lethe_result worker_release(struct lethe_worker *worker, const char *id,
                                             const char *tenant, struct device_memory *memory,
                                             struct lethe_error *err);

/* For whom, and what. Without a log they do nothing, and give LETHE_OK. */
void worker_emit(const struct lethe_worker *worker, const char *tenant, const char *session,
                 const struct audit_event *event);
LETHE_MUST_CHECK lethe_result worker_commit(const struct lethe_worker *worker, const char *tenant,
                                            const struct audit_event *event,
                                            struct lethe_error *err);
/* One after another in the log, and in one durable group: all, or none. */
LETHE_MUST_CHECK lethe_result worker_commit_all(const struct lethe_worker *worker,
                                                const char *tenant,
                                                const struct audit_event *events, size_t count,
                                                struct lethe_error *err);

#endif
