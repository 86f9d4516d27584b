/* mem/process.h -- what this room knows about the process it runs in, and a forked child must not
 * inherit: one page that the kernel fills with zeros in every child, however it was forked.
 *
 * In a child everything here reads as in a process that has not started yet: no locks held, no
 * arenas, no regions, no sessions, and another epoch. What carries an old epoch was the parent's.
 *
 * Lock order: none of these locks is taken while another is held. */
#ifndef MEM_PROCESS_H
#define MEM_PROCESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "base/base.h"

#define SLAB_CLASSES 9

LIST_HEAD(region_list, lethe_region);
LIST_HEAD(session_list, lethe_session);
LIST_HEAD(arena_list, arena);

/* Arenas of one size class; `lock` guards both lists and the free slots of every arena in them. */
struct depot {
    pthread_mutex_t lock;
    struct arena_list partial; /* with at least one free slot */
    struct arena_list full;
};

/* A lock or a list that is all zeros is ready to use. */
struct process {
    _Atomic uint64_t epoch; /* random and not 0 once started */
    uint64_t canary[2];
    pthread_mutex_t start_lock;

    atomic_size_t ranges_unlocked; /* that count as locked because no swap was active */
    atomic_uintptr_t next_place;   /* pages.c: where the next range is wished to end  */

    pthread_mutex_t regions_lock;
    struct region_list regions;

    pthread_mutex_t sessions_lock;
    pthread_cond_t session_settled; /* a session is no longer `busy` */
    struct session_list sessions;

    struct depot depots[SLAB_CLASSES];
};

/* Never NULL. */
extern struct process *_Atomic process_state;

static inline struct process *process_now(void)
{
    return atomic_load_explicit(&process_state, memory_order_acquire);
}

/* 0 before the start. */
static inline uint64_t process_epoch(void)
{
    return atomic_load_explicit(&process_now()->epoch, memory_order_acquire);
}

/* Call before anything is allocated; returns at once when the process has started. The first call
 * also arranges that all memory of this room is wiped when the process exits.
 * LETHE_UNPROTECTED on a kernel that cannot wipe in a forked child. */
LETHE_MUST_CHECK lethe_result process_start(struct lethe_error *err);

#endif
