/* engine/scratch.h -- where the engine may write, and how it is forgotten. */
#ifndef ENGINE_SCRATCH_H
#define ENGINE_SCRATCH_H

#include "base/base.h"

/* Makes home/ and tmp/ below. */
LETHE_MUST_CHECK lethe_result scratch_create(const char *scratch, struct lethe_error *err);
/* Wipes, checks and removes every file below; false when some could not be shown to be zero. */
bool scratch_wipe(const char *scratch, uint64_t *wiped_bytes);

#endif
