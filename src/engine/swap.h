/* engine/swap.h -- what a control group (cgroup v2) can do against swap; mem/swap.h has what the
 * host says. Swap is charged to the group of whoever touched a page first. */
#ifndef ENGINE_SWAP_H
#define ENGINE_SWAP_H

#include "base/base.h"

/* Whether this process lies in a group whose memory.swap.max, or that of one above it, is 0. */
bool swap_cgroup_forbids(void);
/* The same, with other places for /proc/self/cgroup and /sys/fs/cgroup. */
bool swap_cgroup_forbids_in(const char *membership, const char *hierarchy);

#define SWAP_GROUP_PATH_MAX 384

/* A group of our own, in which nothing is swapped. */
struct swap_group {
    char directory[SWAP_GROUP_PATH_MAX]; /* "": none */
    char former[SWAP_GROUP_PATH_MAX];    /* where this process was before */
};

/* Makes a group "lethe-XXXXXX" beside or above the one that this process is in, wherever the memory
 * controller is on already and this user may divide the group; forbids swap there, and moves this
 * process into it: what it starts and touches from now on belongs there. All of it is read back.
 * LETHE_UNPROTECTED says why not; then nothing is left of it. */
LETHE_MUST_CHECK lethe_result swap_group_enter(struct swap_group *out, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result swap_group_enter_in(const char *membership, const char *hierarchy,
                                                  struct swap_group *out, struct lethe_error *err);
/* Bytes that are charged to the group; 0 when it does not say. */
uint64_t swap_group_charged_bytes(const struct swap_group *group);
/* Back to where the process was, and removes the group if nobody else is in it. */
void swap_group_leave(struct swap_group *group);
/* For those who never were in it: kills who still is, and removes it. Only a directory of a cgroup
 * file system that is ours and has our kind of name; "" is fine. */
void swap_group_remove(const char *directory);

#endif
