#include "net/guarded_pool.h"

#include <stdlib.h>

#include "base/error.h"

#define KEPT_MAX 128u                     /* buffers: as many requests as are answered at a time */
#define KEPT_BYTES_MAX ((size_t)64 << 10) /* of one of them */
#define FIRST_BYTES ((size_t)16 << 10)

struct guarded_pool {
    size_t limit_bytes;
    size_t taken_bytes;
    size_t kept_count;
    struct guarded kept[KEPT_MAX];
};

lethe_result guarded_pool_create(size_t limit_bytes, struct guarded_pool **out,
                                 struct lethe_error *err)
{
    struct guarded_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a pool of buffers");
    pool->limit_bytes = limit_bytes;
    *out = pool;
    return LETHE_OK;
}

void guarded_pool_free(struct guarded_pool *pool)
{
    if (pool == NULL)
        return;
    REQUIRE(pool->taken_bytes == 0);
    for (size_t i = 0; i < pool->kept_count; i++)
        guarded_clear(&pool->kept[i]);
    free(pool);
}

static bool grow(struct guarded_pool *pool, struct guarded *guarded, size_t capacity_bytes)
{
    size_t had_bytes = guarded->capacity_bytes;
    size_t wanted_bytes = MAX(capacity_bytes, MAX(FIRST_BYTES, 2 * had_bytes));
    if (wanted_bytes > pool->limit_bytes - MIN(pool->limit_bytes, pool->taken_bytes - had_bytes))
        return false;
    guarded_reserve(guarded, wanted_bytes);
    pool->taken_bytes += guarded->capacity_bytes - had_bytes;
    bool done = guarded->failure == LETHE_OK;
    guarded->failure = LETHE_OK;
    return done;
}

bool guarded_pool_reserve(struct guarded_pool *pool, struct guarded *guarded, size_t capacity_bytes)
{
    if (guarded->bytes == NULL && pool->kept_count > 0) {
        *guarded = pool->kept[--pool->kept_count];
        pool->taken_bytes += guarded->capacity_bytes;
    }
    return (guarded->bytes != NULL && capacity_bytes <= guarded->capacity_bytes) ||
           grow(pool, guarded, capacity_bytes);
}

void guarded_pool_give(struct guarded_pool *pool, struct guarded *guarded)
{
    if (guarded->bytes == NULL)
        return;
    pool->taken_bytes -= guarded->capacity_bytes;
    if (pool->kept_count < KEPT_MAX && guarded->capacity_bytes <= KEPT_BYTES_MAX) {
        guarded_wipe(guarded);
        pool->kept[pool->kept_count++] = *guarded;
    } else {
        guarded_clear(guarded);
    }
    *guarded = (struct guarded){0};
}
