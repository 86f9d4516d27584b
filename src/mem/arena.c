#include "mem/arena.h"

#include "base/error.h"

#define ARENA_IDENTITY ((uint64_t)0x4c65746865417265) /* any constant */

static uint64_t identity_of(const struct arena *arena)
{
    return (uintptr_t)arena ^ ARENA_IDENTITY;
}

bool arena_is_genuine(const struct arena *arena)
{
    return arena->identity == identity_of(arena);
}

static struct depot *depot_of(unsigned class_)
{
    return &process_now()->depots[class_];
}

static lethe_result arena_create(unsigned class_, struct arena **out, struct lethe_error *err)
{
    static const struct pages_request request = {
        .size_bytes = ARENA_SLOT_BYTES,
        .align_bytes = ARENA_SPAN_BYTES,
        .trailer_bytes = ARENA_BYTES,
    };
    struct pages pages;
    TRY(error_context(err, pages_create(&request, &pages, err), "an arena for secrets"));
    uint16_t slot_count = (uint16_t)slab_classes[class_].slot_count;
    struct arena *arena = arena_of(pages.bytes);
    arena->identity = identity_of(arena);
    arena->pages = pages;
    arena->class_ = class_;
    arena->first_free = 0;
    arena->slot_count = arena->free_count = slot_count;
    for (uint16_t i = 0; i < slot_count; i++) {
        uint16_t next = i + 1 < slot_count ? i + 1 : SLOT_NONE;
        atomic_init(&arena->slots[i], SLOT_FREE | next);
    }
    *out = arena;
    return LETHE_OK;
}

static void *slot_address(const struct arena *arena, uint16_t index)
{
    return arena->pages.bytes + (size_t)index * slab_classes[arena->class_].slot_bytes;
}

static void *pop(struct arena *arena)
{
    uint16_t index = arena->first_free;
    uint16_t state =
        atomic_exchange_explicit(&arena->slots[index], SLOT_CACHED, memory_order_relaxed);
    REQUIRE((state & SLOT_FREE) != 0);
    arena->first_free = state & (uint16_t)~SLOT_FREE;
    arena->free_count--;
    return slot_address(arena, index);
}

static void push(struct arena *arena, const void *slot)
{
    uint16_t index = slot_index(arena, slot);
    atomic_store_explicit(&arena->slots[index], SLOT_FREE | arena->first_free,
                          memory_order_relaxed);
    arena->first_free = index;
    arena->free_count++;
}

lethe_result arena_take(unsigned class_, void **slots, size_t count, size_t *taken,
                        struct lethe_error *err)
{
    *taken = 0;
    TRY(process_start(err));
    struct depot *depot = depot_of(class_);
    pthread_mutex_lock(&depot->lock);
    if (LIST_EMPTY(&depot->partial)) {
        /* Not under the lock: threads that give back need not wait for the kernel. */
        pthread_mutex_unlock(&depot->lock);
        struct arena *arena;
        TRY(arena_create(class_, &arena, err));
        pthread_mutex_lock(&depot->lock);
        LIST_INSERT_HEAD(&depot->partial, arena, link);
    }
    struct arena *arena;
    while (*taken < count && (arena = LIST_FIRST(&depot->partial)) != NULL) {
        slots[(*taken)++] = pop(arena);
        if (arena->free_count == 0) {
            LIST_REMOVE(arena, link);
            LIST_INSERT_HEAD(&depot->full, arena, link);
        }
    }
    pthread_mutex_unlock(&depot->lock);
    return LETHE_OK;
}

/* Under the lock. True when nobody uses the arena and it was taken out, because it is not the only
 * one with free slots. */
static bool retire_if_unused(struct depot *depot, struct arena *arena)
{
    bool is_only_one = LIST_FIRST(&depot->partial) == arena && LIST_NEXT(arena, link) == NULL;
    if (arena->free_count < arena->slot_count || is_only_one)
        return false;
    LIST_REMOVE(arena, link);
    return true;
}

void arena_give_back(unsigned class_, void *const *slots, size_t count)
{
    struct depot *depot = depot_of(class_);
    struct arena_list retired = {NULL};
    pthread_mutex_lock(&depot->lock);
    for (size_t i = 0; i < count; i++) {
        struct arena *arena = arena_of(slots[i]);
        push(arena, slots[i]);
        if (arena->free_count == 1) {
            LIST_REMOVE(arena, link);
            LIST_INSERT_HEAD(&depot->partial, arena, link);
        }
        if (retire_if_unused(depot, arena))
            LIST_INSERT_HEAD(&retired, arena, link);
    }
    pthread_mutex_unlock(&depot->lock);
    struct arena *arena;
    while ((arena = LIST_FIRST(&retired)) != NULL) {
        LIST_REMOVE(arena, link);
        struct pages pages = arena->pages; /* the arena is part of what is unmapped */
        pages_free(&pages);
    }
}

/* Whoever takes the size out of a slot's state, here or in slab_free(), answers for the slot. */
static void wipe_if_allocated(struct arena *arena, uint16_t index)
{
    uint16_t state = atomic_load_explicit(&arena->slots[index], memory_order_acquire);
    if (state <= LETHE_SECRET_MAX_BYTES &&
        atomic_compare_exchange_strong(&arena->slots[index], &state, SLOT_WIPED))
        host.wipe(slot_address(arena, index), state);
}

static void wipe_allocated(const struct arena_list *arenas)
{
    for (struct arena *arena = LIST_FIRST(arenas); arena != NULL; arena = LIST_NEXT(arena, link))
        for (uint16_t i = 0; i < arena->slot_count; i++)
            wipe_if_allocated(arena, i);
}

void arenas_wipe_at_exit(void)
{
    for (unsigned class_ = 0; class_ < SLAB_CLASSES; class_++) {
        struct depot *depot = depot_of(class_);
        pthread_mutex_lock(&depot->lock);
        wipe_allocated(&depot->partial);
        wipe_allocated(&depot->full);
        pthread_mutex_unlock(&depot->lock);
    }
}
