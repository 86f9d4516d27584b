/* audit/failures.h -- failed authentications: one record for each source and interval, with their
 * number, however many there are.
 *
 * Before authentication nobody is known, so no budget of an identity bounds what is recorded. Here
 * at most FAILURES_SOURCES + 1 records go out in an interval: sources beyond that share one record,
 * whose source is "others". A record is emitted (audit_emit) once an interval has passed since the
 * first failure in it.
 *
 * Thread rule: any thread; free from one, when no other uses it. */
#ifndef AUDIT_FAILURES_H
#define AUDIT_FAILURES_H

#include "audit/log.h"

#define FAILURES_SOURCES 256u

struct audit_failures;

/* Texts are copied. */
struct audit_failure {
    const char *method; /* "token", "mtls": of one's own code */
    const char *source; /* an address, or a peer's uid; from outside */
    const char *reason;
};

/* `interval_ms` 0: one minute. `clock` NULL: the system's. The log must outlive it. */
LETHE_MUST_CHECK lethe_result audit_failures_create(struct audit_log *log, uint64_t interval_ms,
                                                    const struct clock_source *clock,
                                                    struct audit_failures **out,
                                                    struct lethe_error *err);
/* Emits what is left, and frees. NULL is fine. */
void audit_failures_free(struct audit_failures *failures);

/* Counts one, and emits what is due. Where methods or reasons of a source differ, its record says
 * "several". */
void audit_failures_note(struct audit_failures *failures, const struct audit_failure *failure);
/* Emits what is due: to be called now and then, at least once an interval. */
void audit_failures_tick(struct audit_failures *failures);

#endif
