#include "pool/arena.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <lethe/mem.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "pool/arena_pages.h"
#include "pool/wire_core.h"

/* Small enough that zeros are read back from where the cache still has them. */
#define PIECE_BYTES ((size_t)1 << 20)
/* When every CPU has something better to do, wiping gets about a tenth of one: traffic hardly
 * notices, and who waits for a release does not wait for ever. */
#define WIPER_NICE 10

struct pool_arena {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct pool_arena_options options;
    struct lethe_region *region;
    uint8_t *bytes;
    struct page_map map; /* lock, as all below */
    uint64_t used_pages, wiping_pages, unwiped_pages;
    uint64_t wiped_bytes_total, wipe_ns_total;
    struct arena_extents *first_dirty, **last_dirty;
    bool is_ending;
    pthread_t wiper;
    bool has_wiper;
};

static uint64_t pages_of(const struct arena_extents *extents)
{
    uint64_t pages = 0;
    for (size_t i = 0; i < extents->count; i++)
        pages += extents->runs[i].pages;
    return pages;
}

static uint8_t *page(const struct pool_arena *arena, uint32_t number)
{
    return arena->bytes + (uint64_t)number * ARENA_PAGE_BYTES;
}

/* ---- wipe ------------------------------------------------------------------------------------ */

static bool wipe_run(const struct pool_arena *arena, const struct arena_extent *run)
{
    uint8_t *bytes = page(arena, run->first_page);
    uint64_t left = (uint64_t)run->pages * ARENA_PAGE_BYTES;
    bool is_zero = true;
    while (left > 0) {
        size_t size_bytes = MIN(left, PIECE_BYTES);
        arena->options.wipe(bytes, size_bytes);
        is_zero &= lethe_is_zero(bytes, size_bytes);
        bytes += size_bytes;
        left -= size_bytes;
    }
    return is_zero;
}

static bool wipe_all(const struct pool_arena *arena, const struct arena_extents *extents)
{
    bool is_zero = true;
    for (size_t i = 0; i < extents->count; i++)
        is_zero &= wipe_run(arena, &extents->runs[i]);
    return is_zero;
}

static void settle(struct pool_arena *arena, const struct arena_extents *extents, bool verified)
{
    uint64_t pages = pages_of(extents);
    arena->wiping_pages -= pages;
    arena->wiped_bytes_total += pages * ARENA_PAGE_BYTES;
    if (!verified)
        arena->unwiped_pages += pages;
    for (size_t i = 0; i < extents->count && verified; i++)
        page_map_put(&arena->map, &extents->runs[i]);
}

static void wipe_one(struct pool_arena *arena, struct arena_extents *extents)
{
    uint64_t started_ns = clock_monotonic_ns(&clock_system);
    bool verified = wipe_all(arena, extents);
    pthread_mutex_lock(&arena->lock);
    settle(arena, extents, verified);
    arena->wipe_ns_total += clock_monotonic_ns(&clock_system) - started_ns;
    pthread_mutex_unlock(&arena->lock);
    if (arena->options.wiped != NULL)
        arena->options.wiped(arena->options.context, extents->cookie, verified);
}

/* NULL: the arena ends, and nothing is left. */
static struct arena_extents *next_dirty(struct pool_arena *arena)
{
    pthread_mutex_lock(&arena->lock);
    while (arena->first_dirty == NULL && !arena->is_ending)
        pthread_cond_wait(&arena->work, &arena->lock);
    struct arena_extents *first = arena->first_dirty;
    if (first != NULL)
        arena->first_dirty = first->next;
    if (arena->first_dirty == NULL)
        arena->last_dirty = &arena->first_dirty;
    pthread_mutex_unlock(&arena->lock);
    return first;
}

static void *wipe_on(void *context)
{
    struct pool_arena *arena = context;
    struct arena_extents *dirty;
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), WIPER_NICE);
    while ((dirty = next_dirty(arena)) != NULL)
        wipe_one(arena, dirty);
    return NULL;
}

/* ---- create and free ------------------------------------------------------------------------- */

static lethe_result check_size(uint64_t size_bytes, struct lethe_error *err)
{
    uint64_t machine_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t pages = size_bytes / ARENA_PAGE_BYTES;
    if (pages == 0 || size_bytes % ARENA_PAGE_BYTES != 0 || pages > UINT32_MAX / 2)
        return error_set(err, LETHE_INVALID,
                         "%" PRIu64 " bytes: expected a multiple of 4 KiB, up to 8 TiB",
                         size_bytes);
    if (size_bytes > machine_bytes)
        return error_set(err, LETHE_NO_MEMORY, "%" PRIu64 " MiB on a machine with %" PRIu64 " MiB",
                         size_bytes >> 20, machine_bytes >> 20);
    return LETHE_OK;
}

/* What is not locked because there is no swap has not been given pages yet. */
static void touch(const struct pool_arena *arena)
{
    for (uint32_t i = 0; i < arena->map.pages; i++)
        *(volatile uint8_t *)page(arena, i) = 0;
}

static lethe_result fill(struct pool_arena *arena, struct lethe_error *err)
{
    static const struct lethe_region_options region = {
        .class_ = LETHE_CLASS_CONTENT, .huge_pages = true, .label = {.id = "pool arena"}};
    uint64_t size_bytes = arena->options.size_bytes;
    TRY(check_size(size_bytes, err));
    TRY(page_map_create((uint32_t)(size_bytes / ARENA_PAGE_BYTES), &arena->map, err));
    TRY(lethe_region_create(size_bytes, &region, &arena->region, err));
    arena->bytes = lethe_region_bytes(arena->region);
    touch(arena);
    TRY(thread_start(&arena->wiper, wipe_on, arena, err));
    arena->has_wiper = true;
    return LETHE_OK;
}

lethe_result pool_arena_create(const struct pool_arena_options *options, struct pool_arena **out,
                               struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(pool_arena_free) struct pool_arena *arena = calloc(1, sizeof *arena);
    if (arena == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for an arena");
    pthread_mutex_init(&arena->lock, NULL);
    pthread_cond_init(&arena->work, NULL);
    arena->last_dirty = &arena->first_dirty;
    arena->options = *options;
    if (arena->options.wipe == NULL)
        arena->options.wipe = lethe_wipe;
    TRY(error_context(err, fill(arena, err), "memory to lend"));
    *out = MOVE(arena);
    return LETHE_OK;
}

void pool_arena_free(struct pool_arena *arena)
{
    if (arena == NULL)
        return;
    pthread_mutex_lock(&arena->lock);
    arena->is_ending = true;
    pthread_cond_signal(&arena->work);
    pthread_mutex_unlock(&arena->lock);
    if (arena->has_wiper)
        pthread_join(arena->wiper, NULL);
    lethe_region_free(arena->region);
    page_map_clear(&arena->map);
    pthread_cond_destroy(&arena->work);
    pthread_mutex_destroy(&arena->lock);
    free(arena);
}

/* ---- take and give back ---------------------------------------------------------------------- */

static struct page_wish wish_for(uint64_t blocks, uint32_t block_bytes)
{
    uint32_t block_pages = block_bytes / ARENA_PAGE_BYTES;
    uint32_t tags_a_page = ARENA_PAGE_BYTES / ARENA_TAG_BYTES;
    return (struct page_wish){.data_pages = blocks * block_pages,
                              .block_pages = block_pages,
                              .tag_pages = blocks / tags_a_page + (blocks % tags_a_page != 0)};
}

uint64_t pool_arena_bytes_for(uint64_t blocks, uint32_t block_bytes)
{
    if (blocks > POOL_BLOCKS_MAX)
        return UINT64_MAX;
    struct page_wish wish = wish_for(blocks, block_bytes);
    return (wish.data_pages + wish.tag_pages) * ARENA_PAGE_BYTES;
}

static bool is_zero(const struct pool_arena *arena, const struct arena_extents *extents)
{
    bool zero = true;
    for (size_t i = 0; i < extents->count; i++)
        zero &= lethe_is_zero(page(arena, extents->runs[i].first_page),
                              (size_t)extents->runs[i].pages * ARENA_PAGE_BYTES);
    return zero;
}

static bool take(struct pool_arena *arena, const struct page_wish *wish, struct arena_extents *out)
{
    pthread_mutex_lock(&arena->lock);
    bool is_taken = page_map_take(&arena->map, wish, out);
    if (is_taken)
        arena->used_pages += pages_of(out);
    pthread_mutex_unlock(&arena->lock);
    return is_taken;
}

/* Somebody wrote into free pages. */
static void set_aside(struct pool_arena *arena, const struct arena_extents *extents)
{
    pthread_mutex_lock(&arena->lock);
    arena->used_pages -= pages_of(extents);
    arena->unwiped_pages += pages_of(extents);
    pthread_mutex_unlock(&arena->lock);
}

static lethe_result no_space(struct pool_arena *arena, const struct page_wish *wish,
                             struct lethe_error *err)
{
    struct pool_arena_counters now;
    uint64_t wanted = (wish->data_pages + wish->tag_pages) * ARENA_PAGE_BYTES;
    pool_arena_counters(arena, &now);
    return error_set(err, LETHE_NO_SPACE, "%" PRIu64 " KiB are wanted, %" PRIu64 " KiB are free%s",
                     wanted >> 10, now.free_bytes >> 10,
                     wanted <= now.free_bytes ? ", in too many pieces" : "");
}

lethe_result pool_arena_take(struct pool_arena *arena, uint64_t blocks, uint32_t block_bytes,
                             struct arena_extents *out, struct lethe_error *err)
{
    *out = (struct arena_extents){.block_bytes = block_bytes, .blocks = blocks};
    if (blocks == 0 || blocks > POOL_BLOCKS_MAX || !pool_block_bytes_fit(block_bytes))
        return error_set(err, LETHE_INVALID, "%" PRIu64 " blocks of %" PRIu32 " bytes", blocks,
                         block_bytes);
    struct page_wish wish = wish_for(blocks, block_bytes);
    while (take(arena, &wish, out)) {
        if (!arena->options.suspicious || is_zero(arena, out))
            return LETHE_OK;
        set_aside(arena, out);
    }
    return no_space(arena, &wish, err);
}

void pool_arena_give_back(struct pool_arena *arena, struct arena_extents *extents, void *cookie)
{
    uint64_t pages = pages_of(extents);
    extents->cookie = cookie;
    extents->next = NULL;
    pthread_mutex_lock(&arena->lock);
    REQUIRE(!arena->is_ending && arena->used_pages >= pages);
    arena->used_pages -= pages;
    arena->wiping_pages += pages;
    *arena->last_dirty = extents;
    arena->last_dirty = &extents->next;
    pthread_cond_signal(&arena->work);
    pthread_mutex_unlock(&arena->lock);
}

/* ---- where is what --------------------------------------------------------------------------- */

/* The byte that lies so far behind the beginning of a run; runs follow one another. */
static uint8_t *within(struct pool_arena *arena, const struct arena_extents *extents,
                       size_t first_run, uint64_t offset)
{
    size_t i = first_run;
    for (; i < extents->count; i++) {
        uint64_t run_bytes = (uint64_t)extents->runs[i].pages * ARENA_PAGE_BYTES;
        if (offset < run_bytes)
            return page(arena, extents->runs[i].first_page) + offset;
        offset -= run_bytes;
    }
    REQUIRE(i < extents->count);
    return NULL;
}

uint8_t *pool_arena_block(struct pool_arena *arena, const struct arena_extents *extents,
                          uint64_t block)
{
    REQUIRE(block < extents->blocks);
    return within(arena, extents, 0, block * extents->block_bytes);
}

uint8_t *pool_arena_tag(struct pool_arena *arena, const struct arena_extents *extents,
                        uint64_t block)
{
    REQUIRE(block < extents->blocks);
    return within(arena, extents, extents->tag_run, block * ARENA_TAG_BYTES);
}

void pool_arena_counters(struct pool_arena *arena, struct pool_arena_counters *out)
{
    pthread_mutex_lock(&arena->lock);
    *out = (struct pool_arena_counters){
        .size_bytes = arena->options.size_bytes,
        .free_bytes = (uint64_t)arena->map.free_pages * ARENA_PAGE_BYTES,
        .used_bytes = arena->used_pages * ARENA_PAGE_BYTES,
        .wiping_bytes = arena->wiping_pages * ARENA_PAGE_BYTES,
        .unwiped_bytes = arena->unwiped_pages * ARENA_PAGE_BYTES,
        .wiped_bytes_total = arena->wiped_bytes_total,
        .wipe_ns_total = arena->wipe_ns_total,
    };
    pthread_mutex_unlock(&arena->lock);
}
