/* audit/space.h -- whether the log's file system has room for more than what is essential. */
#ifndef AUDIT_SPACE_H
#define AUDIT_SPACE_H

#include "audit/log.h"

/* statvfs(3): what is free for this user, and the whole. */
extern const struct audit_space space_system;

/* LETHE_NO_SPACE when less is free than the floor, with what to do about it. A file system that
 * does not say what it has is taken to have enough. */
LETHE_MUST_CHECK lethe_result space_check(const struct audit_space *space, int directory,
                                          uint64_t floor_bytes, struct lethe_error *err);

#endif
