#include "base/cursor.h"

#include <endian.h>
#include <string.h>

lethe_result cursor_bytes(struct cursor *cursor, uint64_t size_bytes, const uint8_t **out)
{
    if (size_bytes > cursor_left(cursor))
        return LETHE_MALFORMED;
    *out = cursor->at;
    cursor->at += size_bytes;
    return LETHE_OK;
}

lethe_result cursor_text(struct cursor *cursor, uint64_t length, char *out, size_t capacity)
{
    struct cursor ahead = *cursor;
    const uint8_t *text;
    if (length >= capacity)
        return LETHE_MALFORMED;
    TRY(cursor_bytes(&ahead, length, &text));
    if (memchr(text, '\0', length) != NULL)
        return LETHE_MALFORMED;
    memcpy(out, text, length);
    out[length] = '\0';
    *cursor = ahead;
    return LETHE_OK;
}

lethe_result cursor_skip(struct cursor *cursor, uint64_t size_bytes)
{
    const uint8_t *skipped;
    return cursor_bytes(cursor, size_bytes, &skipped);
}

lethe_result cursor_u8(struct cursor *cursor, uint8_t *out)
{
    const uint8_t *bytes;
    TRY(cursor_bytes(cursor, sizeof *out, &bytes));
    *out = *bytes;
    return LETHE_OK;
}

/* One reader per width and byte order; memcpy, because the bytes have no alignment. */
#define DEFINE_READER(name, type, to_host)                                                         \
    lethe_result cursor_##name(struct cursor *cursor, type *out)                                   \
    {                                                                                              \
        const uint8_t *bytes;                                                                      \
        TRY(cursor_bytes(cursor, sizeof *out, &bytes));                                            \
        memcpy(out, bytes, sizeof *out);                                                           \
        *out = to_host(*out);                                                                      \
        return LETHE_OK;                                                                           \
    }

DEFINE_READER(le16, uint16_t, le16toh)
DEFINE_READER(le32, uint32_t, le32toh)
DEFINE_READER(le64, uint64_t, le64toh)
DEFINE_READER(be16, uint16_t, be16toh)
DEFINE_READER(be32, uint32_t, be32toh)
DEFINE_READER(be64, uint64_t, be64toh)

lethe_result cursor_line(struct cursor *cursor, const char **line, size_t *length)
{
    size_t left = cursor_left(cursor);
    const uint8_t *newline = left == 0 ? NULL : memchr(cursor->at, '\n', left);
    if (newline == NULL)
        return LETHE_MALFORMED;
    *line = (const char *)cursor->at;
    *length = (size_t)(newline - cursor->at);
    cursor->at = newline + 1;
    return LETHE_OK;
}
