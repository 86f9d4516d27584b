/* pool/arena_pages.h -- which pages of an arena are free: a bit each, and who gets which.
 *
 * The first run of free pages that is long enough is taken; where there is none, the longest ones
 * are put together. Pure but for its own memory. Thread rule: the arena's lock. */
#ifndef POOL_ARENA_PAGES_H
#define POOL_ARENA_PAGES_H

#include "pool/arena.h"

struct page_map {
    uint64_t *words; /* a set bit: free */
    uint32_t pages;
    uint32_t free_pages;
    uint32_t lowest; /* no page below is free */
};
/* All pages are free. LETHE_NO_MEMORY. */
LETHE_MUST_CHECK lethe_result page_map_create(uint32_t pages, struct page_map *out,
                                              struct lethe_error *err);
void page_map_clear(struct page_map *map);

/* What is looked for: data in multiples of block_pages, and tags. */
struct page_wish {
    uint64_t data_pages;
    uint32_t block_pages;
    uint64_t tag_pages;
};
/* Fills in runs, count and tag_run. False, with nothing taken: there is no room. */
bool page_map_take(struct page_map *map, const struct page_wish *wish, struct arena_extents *out);
/* The pages are not free: a broken precondition otherwise. */
void page_map_put(struct page_map *map, const struct arena_extent *run);

#endif
