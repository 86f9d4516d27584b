/* residency/worker_core.h -- what the files of this room share of a worker: its devices, its
 * policy, its records. Contracts: lethe/residency.h. */
#ifndef RESIDENCY_WORKER_CORE_H
#define RESIDENCY_WORKER_CORE_H

#include <lethe/residency.h>

#include "audit/recorder.h"
#include "device/device.h"

/* The worker's device of that number, where weights and caches may be under its policy.
 * LETHE_INVALID: it has no such device. LETHE_DENIED by policy, on record. */
LETHE_MUST_CHECK lethe_result worker_device(struct lethe_worker *worker, size_t index,
                                            struct device **out, struct lethe_error *err);
unsigned worker_threads(const struct lethe_worker *worker);
unsigned worker_optional(const struct lethe_worker *worker); /* protections to go without */
const char *worker_name(const struct lethe_worker *worker);

/* For whom, and what. Without a log they do nothing, and give LETHE_OK. */
void worker_emit(const struct lethe_worker *worker, const char *tenant, const char *session,
                 const struct audit_event *event);
LETHE_MUST_CHECK lethe_result worker_commit(const struct lethe_worker *worker, const char *tenant,
                                            const struct audit_event *event,
                                            struct lethe_error *err);

#endif
