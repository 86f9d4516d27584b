#include "pool/arena_pages.h"

#include <stdlib.h>

#include "base/error.h"

#define WORD_BITS 64u
#define ALL_BITS (~(uint64_t)0)

/* ---- bits ------------------------------------------------------------------------------------ */

static uint32_t word_count(const struct page_map *map)
{
    return map->pages / WORD_BITS + (map->pages % WORD_BITS != 0);
}

/* The first page from there on that is free (flip 0) or is not (flip ALL_BITS). */
static uint32_t find(const struct page_map *map, uint32_t from, uint64_t flip)
{
    if (from >= map->pages)
        return map->pages;
    uint32_t at = from / WORD_BITS;
    uint64_t word = (map->words[at] ^ flip) & (ALL_BITS << from % WORD_BITS);
    while (word == 0) {
        if (++at >= word_count(map))
            return map->pages;
        word = map->words[at] ^ flip;
    }
    return MIN(at * WORD_BITS + (uint32_t)__builtin_ctzll(word), map->pages);
}

static bool next_run(const struct page_map *map, uint32_t from, struct arena_extent *out)
{
    uint32_t first = find(map, from, 0);
    uint32_t end = find(map, first, ALL_BITS);
    *out = (struct arena_extent){first, end - first};
    return first < map->pages;
}

static uint64_t bits_within(uint32_t word, const struct arena_extent *run)
{
    uint64_t first = (uint64_t)word * WORD_BITS;
    uint64_t begin = MAX(run->first_page, first) - first;
    uint64_t end = MIN((uint64_t)run->first_page + run->pages, first + WORD_BITS) - first;
    return (ALL_BITS >> (WORD_BITS - (end - begin))) << begin;
}

static void mark(struct page_map *map, const struct arena_extent *run, bool is_free)
{
    uint32_t last = (run->first_page + run->pages - 1) / WORD_BITS;
    REQUIRE(run->pages > 0 && run->pages <= map->pages - run->first_page);
    for (uint32_t word = run->first_page / WORD_BITS; word <= last; word++) {
        uint64_t bits = bits_within(word, run);
        REQUIRE((map->words[word] & bits) == (is_free ? 0 : bits));
        map->words[word] ^= bits;
    }
    map->free_pages += is_free ? run->pages : -run->pages;
    if (is_free)
        map->lowest = MIN(map->lowest, run->first_page);
}

/* ---- create and put -------------------------------------------------------------------------- */

lethe_result page_map_create(uint32_t pages, struct page_map *out, struct lethe_error *err)
{
    *out = (struct page_map){.pages = pages};
    out->words = calloc(word_count(out), sizeof *out->words);
    if (out->words == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a list of %u pages", pages);
    mark(out, &(struct arena_extent){0, pages}, true);
    return LETHE_OK;
}

void page_map_clear(struct page_map *map)
{
    free(map->words);
    *map = (struct page_map){0};
}

void page_map_put(struct page_map *map, const struct arena_extent *run)
{
    mark(map, run, true);
}

/* ---- take ------------------------------------------------------------------------------------ */

/* The longest runs so far, longest first. */
struct longest {
    struct arena_extent runs[ARENA_EXTENTS_MAX];
    size_t count;
};

static void offer(struct longest *longest, const struct arena_extent *run)
{
    size_t at = longest->count;
    if (at == ARENA_EXTENTS_MAX && longest->runs[--at].pages >= run->pages)
        return;
    for (; at > 0 && longest->runs[at - 1].pages < run->pages; at--)
        longest->runs[at] = longest->runs[at - 1];
    longest->runs[at] = *run;
    longest->count = MIN(longest->count + 1, ARENA_EXTENTS_MAX);
}

/* True with the first run of so many pages; otherwise all that there are were offered. */
static bool find_one(struct page_map *map, uint64_t pages, struct longest *longest,
                     struct arena_extent *out)
{
    uint32_t from = map->lowest = find(map, map->lowest, 0);
    for (; next_run(map, from, out); from = out->first_page + out->pages) {
        if (out->pages >= pages)
            return true;
        offer(longest, out);
    }
    return false;
}

/* Cuts `wanted` pages, in multiples of `unit`, off the runs' beginnings. */
static bool cut(struct longest *from, uint64_t wanted, uint32_t unit, struct arena_extents *out)
{
    for (size_t i = 0; i < from->count && wanted > 0; i++) {
        struct arena_extent *run = &from->runs[i];
        uint32_t pages = (uint32_t)MIN(wanted, run->pages - run->pages % unit);
        if (pages == 0)
            continue;
        if (out->count == ARENA_EXTENTS_MAX)
            return false;
        out->runs[out->count++] = (struct arena_extent){run->first_page, pages};
        run->first_page += pages;
        run->pages -= pages;
        wanted -= pages;
    }
    return wanted == 0;
}

bool page_map_take(struct page_map *map, const struct page_wish *wish, struct arena_extents *out)
{
    uint64_t pages = wish->data_pages + wish->tag_pages;
    struct longest from = {.count = 0};
    struct arena_extent one;
    if (pages > map->free_pages)
        return false;
    if (find_one(map, pages, &from, &one))
        from = (struct longest){.runs = {one}, .count = 1};
    out->count = 0;
    if (!cut(&from, wish->data_pages, wish->block_pages, out))
        return false;
    out->tag_run = out->count;
    if (!cut(&from, wish->tag_pages, 1, out))
        return false;
    for (size_t i = 0; i < out->count; i++)
        mark(map, &out->runs[i], false);
    return true;
}
