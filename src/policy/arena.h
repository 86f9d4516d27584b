/* policy/arena.h -- memory that one policy, or one evaluation, allocates from and gives up at once.
 *
 * Nothing in it is freed alone. An arena has a limit; an allocation over it, or one that the system
 * refuses, gives NULL, and the arena remembers why (`failure`): from then on every allocation gives
 * NULL, so that a chain of constructors needs one check at its end. What was allocated is wiped
 * before it is given back: inputs name people and machines.
 *
 * Thread rule: one thread at a time while anything is allocated; what is in it may be read by any.
 */
#ifndef POLICY_ARENA_H
#define POLICY_ARENA_H

#include "base/error.h"

struct arena_block;
struct arena {
    char *at, *end; /* what is free in the newest block */
    struct arena_block *blocks;
    size_t used_bytes;
    size_t limit_bytes;   /* 0: none */
    lethe_result failure; /* LETHE_OK, LETHE_LIMIT or LETHE_NO_MEMORY */
};

/* struct arena a = {.limit_bytes = n}; is empty and ready. */
void arena_clear(struct arena *arena); /* frees, and makes it empty again with the same limit */
static inline void arena_clear_at_scope_end(struct arena *arena)
{
    arena_clear(arena);
}

/* Aligned to 8 bytes, not zeroed; size 0 is fine. NULL when the arena has failed. */
void *arena_alloc(struct arena *arena, size_t size_bytes);
void *arena_zalloc(struct arena *arena, size_t count, size_t size_bytes);
/* A copy with a NUL behind it. */
char *arena_copy(struct arena *arena, const void *bytes, size_t size_bytes);
/* Grows the newest allocation where it is, or moves it. `old` may be NULL with old_bytes 0. */
void *arena_grow(struct arena *arena, void *old, size_t old_bytes, size_t new_bytes);

/* LETHE_OK, or why the arena failed, as an error. */
LETHE_MUST_CHECK lethe_result arena_result(const struct arena *arena, struct lethe_error *err);

#endif
