/* engine/holders.h -- who still has a memory file open or mapped. */
#ifndef ENGINE_HOLDERS_H
#define ENGINE_HOLDERS_H

#include <sys/types.h>

#include "engine/storage.h"

/* LETHE_BUSY names a process that has one of the files mapped or open, or a descendant of ours that
 * cannot be looked into. This process and `supervisor` do not count. What is not seen: files that
 * are on their way in a socket, and processes of others that this user may not look into. */
LETHE_MUST_CHECK lethe_result holders_check(const struct storage *storage, pid_t supervisor,
                                            struct lethe_error *err);

#endif
