/* mem/guarded.h -- bytes that grow, for what must not be left behind: bodies, plaintexts, tokens.
 *
 * As base/buffer.h, but in a guarded region (class content): locked, left out of core files, wiped
 * when it is emptied, when it grows (the old pages) and when it is freed. Made once and used for
 * many messages: emptying wipes what was used and keeps the memory.
 *
 * struct guarded g = {0}; is empty and ready. Appending remembers the first failure, so that a
 * writer checks once at the end with guarded_result(). Thread rule: one thread at a time. */
#ifndef MEM_GUARDED_H
#define MEM_GUARDED_H

#include <stdarg.h>

#include "mem/slab.h"

#define GUARDED_LIMIT_BYTES ((size_t)256 << 20)

struct guarded {
    uint8_t *bytes; /* moves when it grows; NULL before anything was appended */
    size_t size_bytes;
    size_t capacity_bytes;
    struct lethe_region *region;
    lethe_result failure;
};

/* Makes room for so many bytes in all, so that later appends up to there do not move anything. */
void guarded_reserve(struct guarded *guarded, size_t capacity_bytes);
void guarded_append(struct guarded *guarded, const void *bytes, size_t size_bytes);
/* Appends bytes that the caller fills in before anything else is appended; NULL on failure. */
uint8_t *guarded_extend(struct guarded *guarded, size_t size_bytes);
void guarded_text(struct guarded *guarded, const char *text);
void guarded_format(struct guarded *guarded, const char *format, ...) PRINTF_LIKE(2, 3);
void guarded_le64(struct guarded *guarded, uint64_t number);
/* le32 length, then the bytes, as buffer_prefixed(). */
void guarded_prefixed(struct guarded *guarded, const void *bytes, size_t size_bytes);
/* Padded base64 of the bytes, which may not lie in `guarded`. */
void guarded_base64(struct guarded *guarded, const void *bytes, size_t size_bytes);

/* Cuts off the end, and wipes it. */
void guarded_truncate(struct guarded *guarded, size_t size_bytes);
/* Takes bytes away from the front, moves the rest there, and wipes what became free. */
void guarded_consume(struct guarded *guarded, size_t size_bytes);
/* Empties and wipes; forgets a failure; keeps the memory. */
void guarded_wipe(struct guarded *guarded);
/* Empties, wipes, and gives the memory back. */
void guarded_clear(struct guarded *guarded);
static inline void guarded_clear_at_scope_end(struct guarded *guarded)
{
    guarded_clear(guarded);
}

LETHE_MUST_CHECK lethe_result guarded_result(const struct guarded *guarded,
                                             struct lethe_error *err);

#endif
