#include "mem/slab.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "mem/arena.h"
#include "mem/wipe.h"

/* Each thread keeps free slots of every class at hand, so that it rarely needs a lock. */
struct magazine {
    unsigned count;
    void *slots[MAGAZINE_SLOTS];
};

static _Thread_local struct {
    uint64_t epoch; /* what is in the magazines belongs to this process */
    struct magazine magazines[SLAB_CLASSES];
} cache;

_Noreturn static void violation(const char *what)
{
    fprintf(stderr, "lethe: memory of a secret is corrupt: %s\n", what);
    abort();
}

/* ---- slots ----------------------------------------------------------------------------------- */

/* Up to here a few stores in line are quicker than a call. */
#define SMALL_SLOT_BYTES 192u

typedef uint64_t lane __attribute__((vector_size(16), may_alias));

static void slot_wipe(void *slot, size_t slot_bytes)
{
    if (slot_bytes > SMALL_SLOT_BYTES ||
        atomic_load_explicit(&wipe_flushes_caches, memory_order_relaxed)) {
        host.wipe(slot, slot_bytes);
        return;
    }
    volatile lane *lanes = slot;
    for (size_t i = 0; i < slot_bytes / sizeof(lane); i++)
        lanes[i] = (lane){0};
}

static bool slot_is_zero(const void *slot, size_t slot_bytes)
{
    if (slot_bytes > SMALL_SLOT_BYTES)
        return lethe_is_zero(slot, slot_bytes);
    const lane *lanes = slot;
    lane any = {0};
    for (size_t i = 0; i < slot_bytes / sizeof(lane); i++)
        any |= lanes[i];
    return (any[0] | any[1]) == 0;
}

static void canary_set(uint8_t *object, size_t size_bytes)
{
    memcpy(object + size_bytes, process_now()->canary, CANARY_BYTES);
}

static bool canary_is_intact(const uint8_t *object, size_t size_bytes)
{
    return memcmp(object + size_bytes, process_now()->canary, CANARY_BYTES) == 0;
}

static unsigned class_for(size_t size_bytes)
{
    return size_bytes <= 16 ? 0 : 60 - (unsigned)__builtin_clzl(size_bytes - 1);
}

/* ---- magazines ------------------------------------------------------------------------------- */

static pthread_key_t thread_exit_key;

static void flush_at_thread_exit(void *unused)
{
    for (unsigned class_ = 0; class_ < SLAB_CLASSES; class_++) {
        struct magazine *magazine = &cache.magazines[class_];
        if (cache.epoch == process_epoch())
            arena_give_back(class_, magazine->slots, magazine->count);
        magazine->count = 0;
    }
    cache.epoch = 0; /* should another destructor still free a secret, we are called again */
}

static void create_thread_exit_key(void)
{
    REQUIRE(pthread_key_create(&thread_exit_key, flush_at_thread_exit) == 0);
}

/* In a thread that is new here, or was forked: what a forked one has in its magazines is not its
 * own. */
static void attach_thread(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, create_thread_exit_key);
    memset(&cache, 0, sizeof cache);
    cache.epoch = process_epoch();
    /* Fails for want of memory only; then this thread's few free slots are lost when it ends. */
    (void)pthread_setspecific(thread_exit_key, &cache);
}

__attribute__((noinline)) static lethe_result refill(unsigned class_, struct lethe_error *err)
{
    TRY(process_start(err));
    if (cache.epoch != process_epoch())
        attach_thread();
    size_t taken;
    size_t wanted = slab_classes[class_].magazine_slots / 2;
    TRY(arena_take(class_, cache.magazines[class_].slots, wanted, &taken, err));
    cache.magazines[class_].count = (unsigned)taken;
    return LETHE_OK;
}

__attribute__((noinline)) static void make_room(unsigned class_)
{
    if (cache.epoch != process_epoch()) {
        attach_thread();
        return;
    }
    struct magazine *magazine = &cache.magazines[class_];
    unsigned surplus = magazine->count / 2 + 1;
    magazine->count -= surplus;
    arena_give_back(class_, magazine->slots + magazine->count, surplus);
}

/* ---- allocate and free ----------------------------------------------------------------------- */

lethe_result slab_alloc(size_t size_bytes, void **out, struct lethe_error *err)
{
    *out = NULL;
    if (size_bytes == 0 || size_bytes > LETHE_SECRET_MAX_BYTES)
        return error_set(err, LETHE_INVALID, "a secret of %zu bytes: expected 1 to %d", size_bytes,
                         LETHE_SECRET_MAX_BYTES);
    unsigned class_ = class_for(size_bytes);
    struct magazine *magazine = &cache.magazines[class_];
    if (magazine->count == 0 || cache.epoch != process_epoch())
        TRY(refill(class_, err));

    void *object = magazine->slots[--magazine->count];
    struct arena *arena = arena_of(object);
    _Atomic uint16_t *state = &arena->slots[slot_index(arena, object)];
    if (atomic_load_explicit(state, memory_order_relaxed) != SLOT_CACHED)
        violation("a free slot is in use");
    if (!slot_is_zero(object, slab_classes[class_].slot_bytes))
        violation("written to after it was freed");
    atomic_store_explicit(state, (uint16_t)size_bytes, memory_order_relaxed);
    canary_set(object, size_bytes);
    *out = object;
    return LETHE_OK;
}

void slab_free(void *object)
{
    if (object == NULL)
        return;
    struct arena *arena = arena_of(object);
    if (!arena_is_genuine(arena))
        violation("freed, but never allocated");
    if (pages_are_inherited(&arena->pages))
        return; /* a forked child has only zeros there */

    const struct slab_class *class_ = &slab_classes[arena->class_];
    uint16_t index = slot_index(arena, object);
    if ((uint8_t *)object != arena->pages.bytes + (size_t)index * class_->slot_bytes)
        violation("freed by an address inside of it");
    uint16_t size_bytes =
        atomic_exchange_explicit(&arena->slots[index], SLOT_CACHED, memory_order_acq_rel);
    if (size_bytes == SLOT_WIPED)
        return; /* the process is exiting, and has wiped it */
    if (size_bytes > LETHE_SECRET_MAX_BYTES)
        violation("freed twice");
    if (!canary_is_intact(object, size_bytes))
        violation("written to behind its end");
    slot_wipe(object, class_->slot_bytes);
    if (!slot_is_zero(object, class_->slot_bytes))
        violation("not zero after it was wiped");

    struct magazine *magazine = &cache.magazines[arena->class_];
    if (magazine->count == class_->magazine_slots || cache.epoch != process_epoch())
        make_room(arena->class_);
    magazine->slots[magazine->count++] = object;
}

size_t slab_size(const void *object)
{
    const struct arena *arena = arena_of(object);
    uint16_t state =
        atomic_load_explicit(&arena->slots[slot_index(arena, object)], memory_order_relaxed);
    return state <= LETHE_SECRET_MAX_BYTES ? state : 0;
}
