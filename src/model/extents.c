#include "model/extents.h"

#include <string.h>

#include "base/error.h"
#include "model/array.h"

void extent_list_clear(struct extent_list *list)
{
    free(list->items);
    *list = (struct extent_list){0};
}

uint64_t extent_list_bytes(const struct extent_list *list)
{
    if (list->count == 0)
        return 0;
    const struct extent *last = &list->items[list->count - 1];
    return last->at + extent_bytes(last);
}

lethe_result extent_list_add(struct extent_list *list, uint64_t begin, uint64_t end,
                             struct lethe_error *err)
{
    struct extent *last = list->count > 0 ? &list->items[list->count - 1] : NULL;
    REQUIRE(begin < end && (last == NULL || last->end <= begin));
    if (last != NULL && last->end == begin) {
        last->end = end;
        return LETHE_OK;
    }
    if (list->count == SHARD_EXTENTS_MAX)
        return error_set(err, LETHE_LIMIT, "more than %u ranges of a file in one shard",
                         SHARD_EXTENTS_MAX);
    struct extent *items =
        array_grow(list->items, list->count, &list->capacity, sizeof *list->items);
    if (items == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu ranges", list->count + 1);
    list->items = items;
    uint64_t at = extent_list_bytes(list);
    items[list->count++] = (struct extent){.begin = begin, .end = end, .at = at};
    return LETHE_OK;
}

/* How many begin, in the plaintext or in the file, at or before a place: the last of them holds it,
 * or what is before it. */
static size_t count_up_to(const struct extent_list *list, uint64_t place, bool in_file)
{
    size_t low = 0;
    size_t high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct extent *extent = &list->items[middle];
        if ((in_file ? extent->begin : extent->at) <= place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct extent extent_piece(const struct extent_list *list, uint64_t offset, uint64_t size_bytes)
{
    if (list->count == 0)
        return (struct extent){.begin = offset, .end = offset + size_bytes, .at = offset};
    const struct extent *extent = &list->items[count_up_to(list, offset, false) - 1];
    uint64_t begin = extent->begin + (offset - extent->at);
    REQUIRE(begin < extent->end);
    return (struct extent){
        .begin = begin, .end = MIN(extent->end, begin + size_bytes), .at = offset};
}

uint64_t extent_list_before(const struct extent_list *list, uint64_t offset)
{
    size_t count = count_up_to(list, offset, true);
    if (list->count == 0 || count == 0)
        return list->count == 0 ? offset : 0;
    const struct extent *extent = &list->items[count - 1];
    return extent->at + MIN(offset, extent->end) - extent->begin;
}

void extent_list_scatter(const struct extent_list *list, uint64_t offset, const uint8_t *plain,
                         size_t size_bytes, uint8_t *file)
{
    for (size_t done = 0; done < size_bytes;) {
        struct extent piece = extent_piece(list, offset + done, size_bytes - done);
        memcpy(file + piece.begin, plain + done, extent_bytes(&piece));
        done += extent_bytes(&piece);
    }
}

void extent_list_gather(const struct extent_list *list, uint64_t offset, uint8_t *plain,
                        size_t size_bytes, const uint8_t *file)
{
    for (size_t done = 0; done < size_bytes;) {
        struct extent piece = extent_piece(list, offset + done, size_bytes - done);
        memcpy(plain + done, file + piece.begin, extent_bytes(&piece));
        done += extent_bytes(&piece);
    }
}
