/* tests/pool/arena_check.h -- an arena whose wiping a test can wait for. */
#ifndef TESTS_POOL_ARENA_CHECK_H
#define TESTS_POOL_ARENA_CHECK_H

#include <pthread.h>
#include <stdlib.h>

#include "check.h"
#include "pool/arena.h"

struct check_arena {
    struct pool_arena *arena;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t wiped;
    bool verified; /* the last one */
};

static inline void check_wiped(void *context, void *cookie, bool verified)
{
    struct check_arena *check = context;
    pthread_mutex_lock(&check->lock);
    check->wiped++;
    check->verified = verified;
    pthread_cond_signal(&check->changed);
    pthread_mutex_unlock(&check->lock);
}

static inline struct check_arena *check_arena_make(const struct pool_arena_options *given)
{
    struct check_arena *check = calloc(1, sizeof *check);
    struct pool_arena_options options = *given;
    struct lethe_error err = {0};
    assert_non_null(check);
    pthread_mutex_init(&check->lock, NULL);
    pthread_cond_init(&check->changed, NULL);
    options.wiped = check_wiped;
    options.context = check;
    assert_ok(pool_arena_create(&options, &check->arena, &err), &err);
    return check;
}

static inline struct check_arena *check_arena_create(uint32_t pages,
                                                     void (*wipe)(void *memory, size_t size_bytes))
{
    return check_arena_make(&(struct pool_arena_options){
        .size_bytes = (uint64_t)pages * ARENA_PAGE_BYTES, .suspicious = true, .wipe = wipe});
}

static inline struct check_arena *check_arena_create_suspicious(uint32_t pages)
{
    return check_arena_create(pages, NULL);
}

static inline void check_arena_free(struct check_arena *check)
{
    pool_arena_free(check->arena);
    pthread_cond_destroy(&check->changed);
    pthread_mutex_destroy(&check->lock);
    free(check);
}

static inline struct pool_arena_counters check_counters(struct check_arena *check)
{
    struct pool_arena_counters now;
    pool_arena_counters(check->arena, &now);
    assert_int_equal(now.free_bytes + now.used_bytes + now.wiping_bytes + now.unwiped_bytes,
                     now.size_bytes);
    return now;
}

/* Gives back, and waits until it was wiped. */
static inline void check_return(struct check_arena *check, struct arena_extents *extents)
{
    pthread_mutex_lock(&check->lock);
    size_t before = check->wiped;
    pthread_mutex_unlock(&check->lock);
    pool_arena_give_back(check->arena, extents, extents);
    pthread_mutex_lock(&check->lock);
    while (check->wiped == before)
        pthread_cond_wait(&check->changed, &check->lock);
    pthread_mutex_unlock(&check->lock);
}

#endif
