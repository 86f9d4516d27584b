/* u8 1, u8 renewable, parent, seven le64 numbers, then texts, each with its length (le32) in front:
 * accessor, identity, tenant, display name, path, meta, and as many policies as le32 says. */
#include <endian.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "service/tokens_core.h"

#define ROW_VERSION 1u
#define NUMBERS 7u
#define TEXTS 6u

struct text_field {
    size_t at, capacity;
};
#define TEXT_FIELD(member)                                                                         \
    {                                                                                              \
        offsetof(struct token_entry, member), sizeof((struct token_entry *)0)->member              \
    }
static const struct text_field texts[TEXTS] = {
    TEXT_FIELD(accessor),     TEXT_FIELD(identity), TEXT_FIELD(tenant),
    TEXT_FIELD(display_name), TEXT_FIELD(path),     TEXT_FIELD(meta),
};
static const size_t numbers[NUMBERS] = {
    offsetof(struct token_entry, created_s),          offsetof(struct token_entry, expires_s),
    offsetof(struct token_entry, renewed_s),          offsetof(struct token_entry, period_s),
    offsetof(struct token_entry, explicit_max_ttl_s), offsetof(struct token_entry, ttl_s),
    offsetof(struct token_entry, uses_left),
};

lethe_result token_row_write(const struct token_entry *entry, struct buffer *out,
                             struct lethe_error *err)
{
    const char *bytes = (const char *)entry;
    uint32_t policies = htole32((uint32_t)entry->policy_count);
    REQUIRE(entry->policy_count <= CALLER_POLICIES_MAX);
    buffer_byte(out, ROW_VERSION);
    buffer_byte(out, entry->renewable);
    buffer_append(out, entry->parent, sizeof entry->parent);
    for (size_t i = 0; i < NUMBERS; i++) {
        uint64_t number;
        memcpy(&number, bytes + numbers[i], sizeof number);
        number = htole64(number);
        buffer_append(out, &number, sizeof number);
    }
    for (size_t i = 0; i < TEXTS; i++)
        buffer_prefixed(out, bytes + texts[i].at, strnlen(bytes + texts[i].at, texts[i].capacity));
    buffer_append(out, &policies, sizeof policies);
    for (size_t i = 0; i < entry->policy_count; i++)
        buffer_prefixed(out, entry->policies[i], strlen(entry->policies[i]));
    TRY(buffer_result(out, err));
    REQUIRE(out->size_bytes <= TOKEN_ROW_MAX);
    return LETHE_OK;
}

static lethe_result read_text(struct cursor *cursor, char *out, size_t capacity)
{
    uint32_t length;
    TRY(cursor_le32(cursor, &length));
    return cursor_text(cursor, length, out, capacity);
}

static lethe_result read_fixed(struct cursor *cursor, struct token_entry *out)
{
    const uint8_t *parent;
    uint8_t version, renewable;
    TRY(cursor_u8(cursor, &version));
    TRY(cursor_u8(cursor, &renewable));
    if (version != ROW_VERSION || renewable > 1)
        return LETHE_MALFORMED;
    out->renewable = renewable == 1;
    TRY(cursor_bytes(cursor, sizeof out->parent, &parent));
    memcpy(out->parent, parent, sizeof out->parent);
    for (size_t i = 0; i < NUMBERS; i++) {
        uint64_t number;
        TRY(cursor_le64(cursor, &number));
        memcpy((char *)out + numbers[i], &number, sizeof number);
    }
    return LETHE_OK;
}

lethe_result token_row_read(const uint8_t *bytes, size_t size_bytes, struct token_entry *out)
{
    struct cursor cursor = cursor_over(bytes, size_bytes);
    uint32_t policies;
    *out = (struct token_entry){0};
    TRY(read_fixed(&cursor, out));
    for (size_t i = 0; i < TEXTS; i++)
        TRY(read_text(&cursor, (char *)out + texts[i].at, texts[i].capacity));
    TRY(cursor_le32(&cursor, &policies));
    if (policies > CALLER_POLICIES_MAX)
        return LETHE_MALFORMED;
    out->policy_count = policies;
    for (size_t i = 0; i < policies; i++)
        TRY(read_text(&cursor, out->policies[i], sizeof out->policies[i]));
    return cursor_left(&cursor) == 0 ? LETHE_OK : LETHE_MALFORMED;
}
