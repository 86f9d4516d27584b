/* audit/start.h -- where reading a log can begin: at its first byte, or at a signed boundary. */
#ifndef AUDIT_START_H
#define AUDIT_START_H

#include "audit/boundary.h"

/* The beginning of what is kept: {0}, or the boundary of the first file when those before it were
 * trimmed. LETHE_INTEGRITY when that boundary is missing, or not good. */
LETHE_MUST_CHECK lethe_result start_at_first(int directory, const struct files_view *view,
                                             const struct audit_key *key, struct replay *out,
                                             struct lethe_error *err);

/* The newest boundary with at most `records` records before it, of a file that holds some. One that
 * is missing or torn is passed over: what is before it is read instead. LETHE_INTEGRITY for one
 * that is whole, but not ours or not fitting. */
LETHE_MUST_CHECK lethe_result start_near(int directory, const struct files_view *view,
                                         const struct audit_key *key, uint64_t records,
                                         struct replay *out, struct lethe_error *err);

#endif
