/* How a worker's doings come into the log. */
#include "base/error.h"
#include "residency/inside.h"

static struct audit_who who(const struct lethe_worker *worker, const char *tenant,
                            const char *session)
{
    return (struct audit_who){worker->log->actor, tenant, session};
}

void worker_emit(const struct lethe_worker *worker, const char *tenant, const char *session,
                 const struct audit_event *event)
{
    if (worker->log == NULL)
        return;
    const struct audit_who for_whom = who(worker, tenant, session);
    audit_emit(worker->log->log, &for_whom, event);
}

lethe_result worker_commit(const struct lethe_worker *worker, const char *tenant,
                           const struct audit_event *event, struct lethe_error *err)
{
    return worker_commit_all(worker, tenant, event, 1, err);
}

lethe_result worker_commit_all(const struct lethe_worker *worker, const char *tenant,
                               const struct audit_event *events, size_t count,
                               struct lethe_error *err)
{
    if (worker->log == NULL)
        return LETHE_OK;
    const struct audit_who for_whom = who(worker, tenant, "");
    return audit_commit_all(worker->log->log, &for_whom, events, count, err);
}

lethe_result worker_fail(struct lethe_worker *worker, const struct worker_failure *failure,
                         struct lethe_error *err)
{
    struct lethe_error log_err = {0};
    const char *device = device_name(failure->device);
    device_quarantine(failure->device); /* before anybody can see why */
    atomic_store(&worker->phase, PHASE_FAILED);
    const struct audit_event events[] = {
        audit_seal_verification_failed(failure->id, failure->reason, failure->expected_digest,
                                       failure->actual_digest, worker->name),
        audit_device_quarantined(device, failure->reason, worker->name),
    };
    lethe_result recorded =
        worker_commit_all(worker, failure->tenant, events, ARRAY_LEN(events), &log_err);
    error_set(err, LETHE_INTEGRITY, "%s on %s: %s", failure->subject, device, failure->reason);
    if (recorded != LETHE_OK)
        error_hint(err, "%s is stopped and %s quarantined, but not on record: %.120s", worker->name,
                   device, log_err.text);
    else
        error_hint(err,
                   "%s is stopped and %s quarantined for this process: find out who writes "
                   "there, then start anew",
                   worker->name, device);
    return LETHE_INTEGRITY;
}
