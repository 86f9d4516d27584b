/* service/serve_parts.h -- what serve() is made of beside the door. */
#ifndef SERVICE_SERVE_PARTS_H
#define SERVICE_SERVE_PARTS_H

#include "service/door.h"

/* The keeper process: opens the home if its root key is there, and answers until its control end
 * closes. */
LETHE_MUST_CHECK lethe_result serve_keeper(const struct serve_options *options,
                                           const struct serve_ends *ends, struct lethe_error *err);
/* As many descriptors as the connections that are allowed take; less is logged. */
void serve_raise_descriptors(const struct serve_options *options);
/* Started as root: another user from here on, for good, with its groups and no capability, and as
 * much locked memory as root may have. Started as that user: nothing to do. LETHE_INVALID: there is
 * no such user, or it is root; LETHE_UNPROTECTED: no right to become it. */
LETHE_MUST_CHECK lethe_result serve_become_user(const char *name, struct lethe_error *err);

#endif
