/* engine/swap_ladder.h -- the ways in which weights are kept from swap, best first: one table, for
 * runs and for doctor. */
#ifndef ENGINE_SWAP_LADDER_H
#define ENGINE_SWAP_LADDER_H

#include "engine/storage.h"

/* Takes the first rung that holds, for files that are made, mapped and still empty. Nothing holds:
 * LETHE_UNPROTECTED with what each lacks and the remedy, unless swap is allowed (SWAP_UNSAFE). */
LETHE_MUST_CHECK lethe_result swap_ladder_climb(struct storage *storage, struct lethe_error *err);

/* What this host gives, for memory of any size. Call in a child that has entered a namespace, if it
 * may: mounts, and changes groups. */
void swap_ladder_probe(struct engine_rung out[ENGINE_SWAP_RUNGS]);

#endif
