/* engine/scratch.h -- where the engine may write, and how it is forgotten.
 *
 * A directory in memory, held open: whoever has the descriptor can wipe it, also when the mount
 * that it lies on is in a namespace that nobody lives in any more. */
#ifndef ENGINE_SCRATCH_H
#define ENGINE_SCRATCH_H

#include "engine/mapping.h"

/* Opens the directory and makes home/ and tmp/ below it. LETHE_UNPROTECTED when it lies on a disk.
 */
LETHE_MUST_CHECK lethe_result scratch_open(const char *path, int *out, struct lethe_error *err);
/* Wipes, checks and removes everything below, on its own file system; adds to `sum`, which is not
 * verified when something could not be reached. Nobody may be writing there any more. */
void scratch_wipe(int directory, struct wipe *sum);

#endif
