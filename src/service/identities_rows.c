#include <string.h>

#include "service/identities.h"
#include "service/row_texts.h"

#define ROW_FORMAT 1

void identity_row_format(const struct identity_entry *entry, struct buffer *out)
{
    buffer_byte(out, ROW_FORMAT);
    buffer_le64(out, entry->created_s);
    buffer_le64(out, entry->certificate_ttl_s);
    buffer_le64(out, entry->revoked_s);
    row_put_text(out, entry->id.text);
    buffer_byte(out, (uint8_t)entry->policy_count);
    for (size_t i = 0; i < entry->policy_count; i++)
        row_put_text(out, entry->policies[i]);
}

static lethe_result take_policies(struct cursor *cursor, struct identity_entry *out)
{
    uint8_t count;
    TRY(cursor_u8(cursor, &count));
    if (count > CALLER_POLICIES_MAX)
        return LETHE_MALFORMED;
    for (; out->policy_count < count; out->policy_count++)
        TRY(row_copy_text(cursor, out->policies[out->policy_count], sizeof out->policies[0]));
    return LETHE_OK;
}

lethe_result identity_row_parse(const uint8_t *bytes, size_t size_bytes, struct identity_entry *out)
{
    struct cursor cursor = cursor_over(bytes, size_bytes);
    const char *id;
    *out = (struct identity_entry){0};
    TRY(row_take_format(&cursor, ROW_FORMAT));
    TRY(cursor_le64(&cursor, &out->created_s));
    TRY(cursor_le64(&cursor, &out->certificate_ttl_s));
    TRY(cursor_le64(&cursor, &out->revoked_s));
    TRY(row_take_text(&cursor, &id));
    if (spiffe_parse(id, strlen(id), &out->id, NULL) != LETHE_OK)
        return LETHE_MALFORMED;
    TRY(take_policies(&cursor, out));
    return cursor_left(&cursor) == 0 ? LETHE_OK : LETHE_MALFORMED;
}
