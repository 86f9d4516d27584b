/* base/buffer.h -- bytes that grow, for text and formats that are no secret.
 *
 * struct buffer b = {0}; is empty and ready. Appending remembers the first failure (no memory, or a
 * size over BUFFER_LIMIT_BYTES), so that a writer checks once at the end with buffer_result().
 * `bytes` always has a NUL behind `size_bytes`, once anything was appended. Not for secrets: growth
 * leaves copies behind. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdarg.h>

#include "base/base.h"

#define BUFFER_LIMIT_BYTES ((size_t)1 << 30) /* nothing that we write in memory comes near it */

struct buffer {
    char *bytes;
    size_t size_bytes;
    size_t capacity_bytes;
    lethe_result failure;
};

void buffer_clear(struct buffer *buffer); /* frees, and makes it empty again */
static inline void buffer_clear_at_scope_end(struct buffer *buffer)
{
    buffer_clear(buffer);
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t size_bytes);
/* Appends bytes that the caller fills in before anything else is appended; NULL on failure. */
char *buffer_extend(struct buffer *buffer, size_t size_bytes);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_byte(struct buffer *buffer, uint8_t byte);
void buffer_format(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);
/* Numbers in as many bytes, little-endian: what base/cursor.h reads. */
void buffer_le16(struct buffer *buffer, uint16_t number);
void buffer_le32(struct buffer *buffer, uint32_t number);
void buffer_le64(struct buffer *buffer, uint64_t number);
/* le32 length, then the bytes: how Lethe makes lists unambiguous before it signs or binds them. */
void buffer_prefixed(struct buffer *buffer, const void *bytes, size_t size_bytes);
void buffer_truncate(struct buffer *buffer, size_t size_bytes);

LETHE_MUST_CHECK lethe_result buffer_result(const struct buffer *buffer, struct lethe_error *err);

#endif
