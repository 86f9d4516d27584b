/* model/extents.h -- which bytes of a file a shard holds: ranges of the file, in the order of the
 * file, whose bytes one after another are the shard's plaintext.
 *
 * No two of a list touch: what could be said as one range is. */
#ifndef MODEL_EXTENTS_H
#define MODEL_EXTENTS_H

#include "base/base.h"

/* A shard may be the rest of a file between up to TENSORS_MAX tensors, and padding between them. */
#define SHARD_EXTENTS_MAX ((1u << 18) + 1)

struct extent {
    uint64_t begin; /* [begin, end) in the file */
    uint64_t end;
    uint64_t at; /* where it begins in the plaintext */
};
struct extent_list { /* plain storage; {0} is the whole file */
    struct extent *items;
    size_t count;
    size_t capacity;
};
void extent_list_clear(struct extent_list *list);
static inline void extent_list_clear_at_scope_end(struct extent_list *list)
{
    extent_list_clear(list);
}

/* Adds [begin, end), which is not empty and not before the end of the last one; joins it to that
 * when they touch. LETHE_LIMIT: more than SHARD_EXTENTS_MAX. */
LETHE_MUST_CHECK lethe_result extent_list_add(struct extent_list *list, uint64_t begin,
                                              uint64_t end, struct lethe_error *err);
/* Of the plaintext; not for the whole file. */
uint64_t extent_list_bytes(const struct extent_list *list);

/* The plaintext from `offset` on, as far as it lies in one piece and up to size_bytes of it, which
 * are all in the plaintext. `at` is `offset`. Takes the time of a binary search. */
struct extent extent_piece(const struct extent_list *list, uint64_t offset, uint64_t size_bytes);
static inline uint64_t extent_bytes(const struct extent *extent)
{
    return extent->end - extent->begin;
}

/* How many bytes of the plaintext come from before `offset` in the file: where what begins there
 * begins in the plaintext. */
uint64_t extent_list_before(const struct extent_list *list, uint64_t offset);

/* Plaintext [offset, offset + size_bytes) to its places in the file, which is in memory, and back.
 */
void extent_list_scatter(const struct extent_list *list, uint64_t offset, const uint8_t *plain,
                         size_t size_bytes, uint8_t *file);
void extent_list_gather(const struct extent_list *list, uint64_t offset, uint8_t *plain,
                        size_t size_bytes, const uint8_t *file);

#endif
