/* mem/wipe.h -- what slots need to know of wiping. */
#ifndef MEM_WIPE_H
#define MEM_WIPE_H

#include <stdatomic.h>

/* Set by lethe_wipe_flush_caches(). */
extern atomic_bool wipe_flushes_caches;

#endif
