#include "policy/arena.h"

#include <stdlib.h>
#include <string.h>

#define ALIGNMENT_BYTES ((size_t)8)
#define BLOCK_FIRST_BYTES ((size_t)4096)
#define BLOCK_MAX_BYTES ((size_t)1 << 20) /* of what doubles */
#define NO_LIMIT_BYTES ((size_t)1 << 40)  /* more is a mistake in a size */

struct arena_block {
    struct arena_block *older;
    size_t size_bytes; /* of room */
    char *at;          /* where it was full; of the newest block the arena knows */
    _Alignas(8) char room[];
};

static void remember_newest(struct arena *arena)
{
    if (arena->blocks != NULL && arena->at != NULL)
        arena->blocks->at = arena->at;
}

static void *fail(struct arena *arena, lethe_result failure)
{
    if (arena->failure == LETHE_OK)
        arena->failure = failure;
    remember_newest(arena);
    arena->at = arena->end = NULL;
    return NULL;
}

/* A block is wiped as far as it was used. */
static void wipe(struct arena_block *block)
{
    explicit_bzero(block->room, (size_t)(block->at - block->room));
    block->at = block->room;
}

void arena_clear(struct arena *arena)
{
    remember_newest(arena);
    for (struct arena_block *block = arena->blocks, *older; block != NULL; block = older) {
        older = block->older;
        wipe(block);
        free(block);
    }
    *arena = (struct arena){.limit_bytes = arena->limit_bytes};
}

static bool add_block(struct arena *arena, size_t needed_bytes)
{
    size_t size = arena->blocks == NULL ? BLOCK_FIRST_BYTES : 2 * arena->blocks->size_bytes;
    size = MAX(MIN(size, BLOCK_MAX_BYTES), needed_bytes);
    struct arena_block *block = NULL;
    if (size <= SIZE_MAX - sizeof *block)
        block = malloc(sizeof *block + size);
    if (block == NULL) {
        fail(arena, LETHE_NO_MEMORY);
        return false;
    }
    remember_newest(arena);
    block->older = arena->blocks;
    block->size_bytes = size;
    block->at = arena->at = block->room;
    arena->blocks = block;
    arena->end = block->room + size;
    return true;
}

/* Counts what will be used; false: it is over the limit. */
static bool count_used(struct arena *arena, size_t size_bytes)
{
    size_t limit = arena->limit_bytes == 0 ? NO_LIMIT_BYTES : arena->limit_bytes;
    if (size_bytes > limit || arena->used_bytes > limit - size_bytes)
        return false;
    arena->used_bytes += size_bytes;
    return true;
}

static size_t aligned(size_t size_bytes)
{
    return (size_bytes + ALIGNMENT_BYTES - 1) & ~(ALIGNMENT_BYTES - 1);
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
    if (arena->failure != LETHE_OK)
        return NULL;
    size_t size = MAX(aligned(size_bytes), ALIGNMENT_BYTES);
    if (size < size_bytes || !count_used(arena, size))
        return fail(arena, LETHE_LIMIT);
    if (size > (size_t)(arena->end - arena->at) && !add_block(arena, size))
        return NULL;
    void *room = arena->at;
    arena->at += size;
    return room;
}

void *arena_zalloc(struct arena *arena, size_t count, size_t size_bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, size_bytes, &total))
        return arena->failure == LETHE_OK ? fail(arena, LETHE_LIMIT) : NULL;
    void *room = arena_alloc(arena, total);
    if (room != NULL)
        memset(room, 0, total);
    return room;
}

char *arena_copy(struct arena *arena, const void *bytes, size_t size_bytes)
{
    char *copy =
        size_bytes < SIZE_MAX ? arena_alloc(arena, size_bytes + 1) : fail(arena, LETHE_LIMIT);
    if (copy == NULL)
        return NULL;
    if (size_bytes > 0)
        memcpy(copy, bytes, size_bytes);
    copy[size_bytes] = '\0';
    return copy;
}

/* The newest allocation ends where the free room begins. */
static bool grow_in_place(struct arena *arena, const char *old, size_t old_bytes, size_t new_bytes)
{
    size_t had = MAX(aligned(old_bytes), ALIGNMENT_BYTES);
    size_t wanted = MAX(aligned(new_bytes), ALIGNMENT_BYTES);
    if (old == NULL || old + had != arena->at || wanted < new_bytes)
        return false;
    size_t extra = wanted - had;
    if (extra > (size_t)(arena->end - arena->at) || !count_used(arena, extra))
        return false;
    arena->at += extra;
    return true;
}

void *arena_grow(struct arena *arena, void *old, size_t old_bytes, size_t new_bytes)
{
    REQUIRE(new_bytes >= old_bytes);
    if (arena->failure != LETHE_OK)
        return NULL;
    if (grow_in_place(arena, old, old_bytes, new_bytes))
        return old;
    void *room = arena_alloc(arena, new_bytes);
    if (room != NULL && old_bytes > 0)
        memcpy(room, old, old_bytes);
    return room;
}

lethe_result arena_result(const struct arena *arena, struct lethe_error *err)
{
    switch (arena->failure) {
    case LETHE_OK:
        return LETHE_OK;
    case LETHE_LIMIT:
        return error_set(err, LETHE_LIMIT,
                         "values are nested too deeply, too large, or need more than the %zu bytes"
                         " that they may have",
                         arena->limit_bytes);
    case LETHE_NO_MEMORY:
        return error_set(err, LETHE_NO_MEMORY, "no memory for more than %zu bytes of values",
                         arena->used_bytes);
    default:
        return error_set(err, arena->failure, "a value could not be made");
    }
}
