/* mem/arena.h -- where small secrets live: pages full of slots of one size, and beside them, in
 * plain memory, what is known about each slot.
 *
 *     | no access | slots: 112 KiB, aligned to 128 KiB | no access | struct arena: 8 KiB |
 *
 * A slot's address gives its arena by masking, so freeing needs no search. What is known of slots
 * is not among them: a forked child, which finds the slots zeroed, still knows that they were its
 * parent's, and overwriting a slot's neighbour reaches no bookkeeping.
 *
 * Slot = object, then 16 bytes of canary behind its last byte, then zeros. A free slot is all
 * zeros. */
#ifndef MEM_ARENA_H
#define MEM_ARENA_H

#include <lethe/mem.h>

#include "base/base.h"
#include "mem/host.h"
#include "mem/pages.h"
#include "mem/process.h"

#define ARENA_SPAN_BYTES ((size_t)128 << 10)
#define ARENA_SLOT_BYTES (ARENA_SPAN_BYTES - 4 * PAGE_BYTES)
#define ARENA_BYTES (2 * PAGE_BYTES)
#define CANARY_BYTES 16u
#define MAGAZINE_SLOTS 32u
#define MAGAZINE_BYTES (16u << 10)

/* What one slot is, in 16 bits: the size of the object in it (1 to 4096), or one of these. */
#define SLOT_CACHED ((uint16_t)0xFFFF) /* free, in some thread's magazine                */
#define SLOT_WIPED ((uint16_t)0xFFFE)  /* was allocated when the process exited          */
#define SLOT_FREE ((uint16_t)0x8000)   /* free; the other bits are the next free slot    */
#define SLOT_NONE ((uint16_t)0x0FFF)   /* the end of the chain of free slots             */

struct arena {
    uint64_t identity; /* see arena_is_genuine() */
    struct pages pages;
    unsigned class_;
    /* depot->lock */
    LIST_ENTRY(arena) link;
    uint16_t first_free;
    uint16_t free_count;
    uint16_t slot_count;

    _Atomic uint16_t slots[];
};

/* Everything that follows from the size of an object. */
struct slab_class {
    uint32_t object_bytes;
    uint32_t slot_bytes;
    uint32_t slot_count;
    uint32_t reciprocal;     /* ceil(2^32 / slot_bytes): an offset's slot without a division */
    uint32_t magazine_slots; /* free slots that a thread may keep: not many of large ones */
};

/* From 64 bytes upward objects are aligned to 64. */
#define SLAB_CLASS(object, slot)                                                                   \
    {                                                                                              \
        .object_bytes = (object), .slot_bytes = (slot), .slot_count = ARENA_SLOT_BYTES / (slot),   \
        .reciprocal = (uint32_t)((1ull << 32) / (slot) + 1),                                       \
        .magazine_slots = MIN(MAGAZINE_SLOTS, MAGAZINE_BYTES / (slot))                             \
    }

static const struct slab_class slab_classes[SLAB_CLASSES] = {
    SLAB_CLASS(16, 32),     SLAB_CLASS(32, 48),     SLAB_CLASS(64, 128),
    SLAB_CLASS(128, 192),   SLAB_CLASS(256, 320),   SLAB_CLASS(512, 576),
    SLAB_CLASS(1024, 1088), SLAB_CLASS(2048, 2112), SLAB_CLASS(4096, 4160),
};
_Static_assert(sizeof(struct arena) + ARENA_SLOT_BYTES / 32 * sizeof(uint16_t) <= ARENA_BYTES,
               "what is known of the smallest slots fits");

static inline struct arena *arena_of(const void *object)
{
    uintptr_t span = (uintptr_t)object & ~(uintptr_t)(ARENA_SPAN_BYTES - 1);
    return (struct arena *)(span + ARENA_SLOT_BYTES + PAGE_BYTES);
}

static inline uint16_t slot_index(const struct arena *arena, const void *slot)
{
    uint64_t offset = (uintptr_t)slot - (uintptr_t)arena->pages.bytes;
    return (uint16_t)(offset * slab_classes[arena->class_].reciprocal >> 32);
}

/* False for what arena_of() gives for an address that never came from here. */
bool arena_is_genuine(const struct arena *arena);

/* Moves up to `count` free slots of a class into `slots`, each SLOT_CACHED; makes a new arena where
 * there are none. At least one on success. */
LETHE_MUST_CHECK lethe_result arena_take(unsigned class_, void **slots, size_t count, size_t *taken,
                                         struct lethe_error *err);
/* The way back. An arena that nobody uses any more is unmapped when there is another. */
void arena_give_back(unsigned class_, void *const *slots, size_t count);

/* Wipes what is still allocated, and leaves it mapped, because other threads may still run: freeing
 * it later does nothing. */
void arenas_wipe_at_exit(void);

#endif
