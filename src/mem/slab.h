/* mem/slab.h -- guarded small objects for rooms above: key schedules, staging of secret fields.
 *
 * A lethe_secret is such an object, by another name. Rules as in lethe/mem.h. */
#ifndef MEM_SLAB_H
#define MEM_SLAB_H

#include <lethe/mem.h>

#include "base/base.h"

/* Zeroed, aligned to 64 bytes from 64 bytes upward (to 16 below); 1 to LETHE_SECRET_MAX_BYTES. */
LETHE_MUST_CHECK lethe_result slab_alloc(size_t size_bytes, void **out, struct lethe_error *err);
/* Wipes, checks canary and wipe; NULL is fine. Any thread may free. */
void slab_free(void *object);
/* What was asked for, in bytes; 0 once the process is exiting and has wiped it. */
size_t slab_size(const void *object);

DEFINE_CLEANUP(slab_free, void *);
DEFINE_CLEANUP(lethe_secret_free, struct lethe_secret *);
DEFINE_CLEANUP(lethe_region_free, struct lethe_region *);

#endif
