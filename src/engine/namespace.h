/* engine/namespace.h -- a mount namespace of one's own, with the rights to mount in it. */
#ifndef ENGINE_NAMESPACE_H
#define ENGINE_NAMESPACE_H

#include "base/base.h"

/* Moves the process (which must have one thread) into a new mount namespace, from which nothing
 * spreads; where it has no right to, through a new user namespace with the same uid and gid. A
 * second call does nothing. LETHE_UNPROTECTED with the remedy. */
LETHE_MUST_CHECK lethe_result namespace_enter(struct lethe_error *err);
/* Whether namespace_enter took a user namespace. */
bool namespace_is_user(void);

#endif
