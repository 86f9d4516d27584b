/* mem/region.h -- what the rest of this room does with regions, beyond lethe/mem.h. */
#ifndef MEM_REGION_H
#define MEM_REGION_H

#include <lethe/mem.h>

#include "base/base.h"

/* From now on only region_retire() frees it: it belongs to a session. */
void region_adopt(struct lethe_region *region);

/* Frees a region, whoever owns it. LETHE_UNWIPED, of which the observer hears in any case: it stays
 * mapped, out of reach, for good. */
lethe_result region_retire(struct lethe_region *region, struct lethe_error *err);

/* For the end of the process: wipes and reports, and leaves the region mapped, because other
 * threads may still run. Freeing it later does nothing. */
LETHE_MUST_CHECK lethe_result region_wipe_at_exit(struct lethe_region *region,
                                                  struct lethe_error *err);
void regions_wipe_at_exit(void);

/* A region that is read only faults when it is written, and is made writable for its wipe. Not for
 * class `key`; one thread at a time. */
void region_set_read_only(struct lethe_region *region, bool read_only);

/* LETHE_INVALID unless each text in it ends within its field. */
LETHE_MUST_CHECK lethe_result label_check(const struct lethe_label *label, struct lethe_error *err);

#endif
