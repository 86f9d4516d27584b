/* mem/budget.h -- limits of the process, asked before they are met. */
#ifndef MEM_BUDGET_H
#define MEM_BUDGET_H

#include <lethe/mem.h>

/* Call before making `count` new mappings. LETHE_LIMIT, with the remedy, when this process has
 * nearly all that vm.max_map_count allows: what is left belongs to malloc and to thread stacks.
 * Counts anew only now and then; in between the kernel itself is the judge. */
LETHE_MUST_CHECK lethe_result budget_take_maps(unsigned count, struct lethe_error *err);

/* The remedy for a lock that the kernel refused. */
void budget_lock_remedy(size_t size_bytes, struct lethe_error *err);

#endif
