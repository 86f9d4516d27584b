/* bench/pool_wiping.h -- what wiping released memory costs those who use the rest. */
#ifndef BENCH_POOL_WIPING_H
#define BENCH_POOL_WIPING_H

#include "pool_lethe.h"

/* That a provider lends beside what is in use: LETHE_BENCH_MIB, or 8 GiB, or less where this
 * machine has not twice as much. */
uint64_t pool_wiping_bytes(void);
/* The load runs alone and while so much is wiped, in turns. */
void pool_wiping(struct pool_lethe *lethe, struct pool_lethe_load *load, uint64_t size_bytes);

#endif
