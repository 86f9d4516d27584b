/* engine/namespace.h -- a mount namespace of one's own, with the rights to mount in it. */
#ifndef ENGINE_NAMESPACE_H
#define ENGINE_NAMESPACE_H

#include "base/base.h"

/* Moves the process (which must have one thread) into a new mount namespace, from which nothing
 * spreads; where it has no right to, through a new user namespace (*is_user) with the same uid and
 * gid, which makes the process dumpable on the way: sandbox_no_dump() comes after it.
 * LETHE_UNPROTECTED with the remedy; then the process may be half in, and is good for nothing else.
 */
LETHE_MUST_CHECK lethe_result namespace_enter(bool *is_user, struct lethe_error *err);

#endif
