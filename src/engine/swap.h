/* engine/swap.h -- why what is in memory files cannot reach swap. */
#ifndef ENGINE_SWAP_H
#define ENGINE_SWAP_H

#include "engine/engine.h"

/* Whether the host has an active swap that is not encrypted with a key that dies with it. What
 * cannot be recognised counts as unsafe. `swaps` is the text of /proc/swaps. */
bool swap_is_active(const char *swaps, size_t size_bytes);
/* The same for this host; true when it cannot be known. */
bool swap_host_is_active(void);
/* Whether this process lies in a cgroup (v2) whose memory.swap.max, or that of one above it, is 0.
 */
bool swap_cgroup_forbids(void);

#endif
