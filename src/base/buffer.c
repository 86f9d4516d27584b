#include "base/buffer.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define FIRST_CAPACITY_BYTES ((size_t)64)

void buffer_clear(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}

/* Makes room for `extra_bytes` more and the NUL behind them; false once anything has failed. */
static bool reserve(struct buffer *buffer, size_t extra_bytes)
{
    if (buffer->failure != LETHE_OK)
        return false;
    if (extra_bytes > BUFFER_LIMIT_BYTES - buffer->size_bytes) {
        buffer->failure = LETHE_LIMIT;
        return false;
    }
    size_t needed = buffer->size_bytes + extra_bytes + 1;
    if (needed <= buffer->capacity_bytes)
        return true;
    size_t capacity = MAX(MAX(needed, 2 * buffer->capacity_bytes), FIRST_CAPACITY_BYTES);
    char *bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL) {
        buffer->failure = LETHE_NO_MEMORY;
        return false;
    }
    buffer->bytes = bytes;
    buffer->capacity_bytes = capacity;
    return true;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t size_bytes)
{
    if (!reserve(buffer, size_bytes))
        return;
    if (size_bytes > 0)
        memcpy(buffer->bytes + buffer->size_bytes, bytes, size_bytes);
    buffer->size_bytes += size_bytes;
    buffer->bytes[buffer->size_bytes] = '\0';
}

char *buffer_extend(struct buffer *buffer, size_t size_bytes)
{
    if (!reserve(buffer, size_bytes))
        return NULL;
    char *room = buffer->bytes + buffer->size_bytes;
    buffer->size_bytes += size_bytes;
    buffer->bytes[buffer->size_bytes] = '\0';
    return room;
}

void buffer_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_byte(struct buffer *buffer, uint8_t byte)
{
    buffer_append(buffer, &byte, 1);
}

void buffer_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0) {
        buffer->failure = LETHE_FAILED;
    } else if (reserve(buffer, (size_t)length)) {
        vsnprintf(buffer->bytes + buffer->size_bytes, (size_t)length + 1, format, again);
        buffer->size_bytes += (size_t)length;
    }
    va_end(again);
    va_end(arguments);
}

void buffer_le16(struct buffer *buffer, uint16_t number)
{
    number = htole16(number);
    buffer_append(buffer, &number, sizeof number);
}

void buffer_le32(struct buffer *buffer, uint32_t number)
{
    number = htole32(number);
    buffer_append(buffer, &number, sizeof number);
}

void buffer_le64(struct buffer *buffer, uint64_t number)
{
    number = htole64(number);
    buffer_append(buffer, &number, sizeof number);
}

void buffer_prefixed(struct buffer *buffer, const void *bytes, size_t size_bytes)
{
    if (size_bytes > BUFFER_LIMIT_BYTES) {
        buffer->failure = LETHE_LIMIT;
        return;
    }
    buffer_le32(buffer, (uint32_t)size_bytes);
    buffer_append(buffer, bytes, size_bytes);
}

void buffer_truncate(struct buffer *buffer, size_t size_bytes)
{
    REQUIRE(size_bytes <= buffer->size_bytes);
    buffer->size_bytes = size_bytes;
    if (buffer->bytes != NULL)
        buffer->bytes[size_bytes] = '\0';
}

lethe_result buffer_result(const struct buffer *buffer, struct lethe_error *err)
{
    switch (buffer->failure) {
    case LETHE_OK:
        return LETHE_OK;
    case LETHE_LIMIT:
        return error_set(err, LETHE_LIMIT, "the text grew over the limit of %zu bytes",
                         BUFFER_LIMIT_BYTES);
    case LETHE_NO_MEMORY:
        return error_set(err, LETHE_NO_MEMORY, "no memory for more than %zu bytes of text",
                         buffer->size_bytes);
    default:
        return error_set(err, buffer->failure, "a piece of text could not be formatted");
    }
}
