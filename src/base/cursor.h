/* base/cursor.h -- the only way to read bytes that came from outside.
 *
 * A cursor knows its end. Every read checks what is left before it looks, returns LETHE_MALFORMED
 * without moving when it is too little, and never trusts a length it has not checked. Values on the
 * stack; a cursor borrows the bytes and never frees them. */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include "base/base.h"

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static inline struct cursor cursor_over(const void *bytes, size_t size_bytes)
{
    return (struct cursor){.at = bytes, .end = (const uint8_t *)bytes + size_bytes};
}

static inline size_t cursor_left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

LETHE_MUST_CHECK lethe_result cursor_u8(struct cursor *cursor, uint8_t *out);
LETHE_MUST_CHECK lethe_result cursor_le16(struct cursor *cursor, uint16_t *out);
LETHE_MUST_CHECK lethe_result cursor_le32(struct cursor *cursor, uint32_t *out);
LETHE_MUST_CHECK lethe_result cursor_le64(struct cursor *cursor, uint64_t *out);
LETHE_MUST_CHECK lethe_result cursor_be16(struct cursor *cursor, uint16_t *out);
LETHE_MUST_CHECK lethe_result cursor_be32(struct cursor *cursor, uint32_t *out);
LETHE_MUST_CHECK lethe_result cursor_be64(struct cursor *cursor, uint64_t *out);

/* Gives a pointer to the next `size_bytes` bytes, which stay where they are, and steps over them.
 */
LETHE_MUST_CHECK lethe_result cursor_bytes(struct cursor *cursor, uint64_t size_bytes,
                                           const uint8_t **out);
/* Copies the next `length` bytes as a text, with a NUL behind. LETHE_MALFORMED, without moving,
 * also when there is a NUL within or no room for it in `capacity` bytes. */
LETHE_MUST_CHECK lethe_result cursor_text(struct cursor *cursor, uint64_t length, char *out,
                                          size_t capacity);
LETHE_MUST_CHECK lethe_result cursor_skip(struct cursor *cursor, uint64_t size_bytes);

/* Gives the bytes up to (not including) the next newline and steps over the newline. A last line
 * without newline is LETHE_MALFORMED: in our formats it is a torn one. */
LETHE_MUST_CHECK lethe_result cursor_line(struct cursor *cursor, const char **line, size_t *length);

#endif
