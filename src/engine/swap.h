/* engine/swap.h -- what a control group says of swap; mem/swap.h has what the host says. */
#ifndef ENGINE_SWAP_H
#define ENGINE_SWAP_H

#include "base/base.h"

/* Whether this process lies in a cgroup (v2) whose memory.swap.max, or that of one above it, is 0.
 */
bool swap_cgroup_forbids(void);
/* The same, with other places for /proc/self/cgroup and /sys/fs/cgroup. */
bool swap_cgroup_forbids_in(const char *membership, const char *hierarchy);

#endif
