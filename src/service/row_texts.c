#include "service/row_texts.h"

#include <endian.h>
#include <string.h>

void row_put_text(struct buffer *out, const char *text)
{
    size_t length = strlen(text);
    REQUIRE(length <= UINT8_MAX);
    buffer_byte(out, (uint8_t)length);
    buffer_append(out, text, length + 1);
}

void row_put_texts(struct buffer *out, const struct x509_list *list)
{
    const uint16_t count = htole16((uint16_t)list->count);
    buffer_append(out, &count, sizeof count);
    for (size_t i = 0; i < list->count; i++)
        row_put_text(out, list->at[i]);
}

lethe_result row_take_text(struct cursor *cursor, const char **out)
{
    uint8_t length;
    const uint8_t *text;
    TRY(cursor_u8(cursor, &length));
    TRY(cursor_bytes(cursor, (uint64_t)length + 1, &text));
    if (memchr(text, '\0', (size_t)length + 1) != text + length)
        return LETHE_MALFORMED;
    *out = (const char *)text;
    return LETHE_OK;
}

lethe_result row_take_texts(struct cursor *cursor, struct x509_list *out)
{
    uint16_t count;
    *out = (struct x509_list){0};
    TRY(cursor_le16(cursor, &count));
    if (count > X509_NAMES_MAX)
        return LETHE_MALFORMED;
    for (; out->count < count; out->count++)
        TRY(row_take_text(cursor, &out->at[out->count]));
    return LETHE_OK;
}

lethe_result row_copy_text(struct cursor *cursor, char *out, size_t capacity)
{
    const char *text;
    TRY(row_take_text(cursor, &text));
    if (strlen(text) >= capacity)
        return LETHE_MALFORMED;
    strcpy(out, text);
    return LETHE_OK;
}

lethe_result row_take_format(struct cursor *cursor, uint8_t expected)
{
    uint8_t format;
    TRY(cursor_u8(cursor, &format));
    return format == expected ? LETHE_OK : LETHE_MALFORMED;
}
