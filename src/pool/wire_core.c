#include "pool/wire_core.h"

#include <endian.h>
#include <string.h>

#include "base/error.h"
#include "base/validate.h"

/* ---- writing --------------------------------------------------------------------------------- */

void put_text(struct buffer *out, const char *text)
{
    buffer_prefixed(out, text, strlen(text));
}

/* ---- reading --------------------------------------------------------------------------------- */

lethe_result get_raw(struct cursor *cursor, void *out, size_t size_bytes)
{
    const uint8_t *bytes;
    TRY(cursor_bytes(cursor, size_bytes, &bytes));
    memcpy(out, bytes, size_bytes);
    return LETHE_OK;
}

lethe_result get_bool(struct cursor *cursor, bool *out)
{
    uint8_t byte;
    TRY(cursor_u8(cursor, &byte));
    *out = byte == 1;
    return byte <= 1 ? LETHE_OK : LETHE_MALFORMED;
}

lethe_result get_text(struct cursor *cursor, char *out, size_t capacity)
{
    uint32_t length;
    TRY(cursor_le32(cursor, &length));
    TRY(cursor_text(cursor, length, out, capacity));
    return text_is_utf8(out, length) ? LETHE_OK : LETHE_MALFORMED;
}

lethe_result get_lease(struct cursor *cursor, struct lease_id *out)
{
    TRY(get_raw(cursor, out->bytes, sizeof out->bytes));
    return lease_id_is_zero(out) ? LETHE_MALFORMED : LETHE_OK;
}

lethe_result get_address(struct cursor *cursor, char out[WIRE_ADDRESS_MAX + 1])
{
    TRY(get_text(cursor, out, WIRE_ADDRESS_MAX + 1));
    for (const char *at = out; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~')
            return LETHE_MALFORMED;
    return strchr(out, ':') != NULL ? LETHE_OK : LETHE_MALFORMED;
}

lethe_result get_spiffe(struct cursor *cursor, char out[SPIFFE_ID_MAX + 1])
{
    struct spiffe_id id;
    TRY(get_text(cursor, out, SPIFFE_ID_MAX + 1));
    return spiffe_parse(out, strlen(out), &id, NULL) == LETHE_OK ? LETHE_OK : LETHE_MALFORMED;
}

lethe_result wire_done(const struct cursor *cursor, lethe_result fields, const char *what,
                       struct lethe_error *err)
{
    if (fields != LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "%s is not in its form", what);
    if (cursor_left(cursor) > 0)
        return error_set(err, LETHE_MALFORMED, "%s has %zu bytes more than it should", what,
                         cursor_left(cursor));
    return LETHE_OK;
}

/* ---- what a lease may be --------------------------------------------------------------------- */

bool pool_block_bytes_fit(uint64_t block_bytes)
{
    return block_bytes >= POOL_BLOCK_MIN && block_bytes <= POOL_BLOCK_MAX &&
           (block_bytes & (block_bytes - 1)) == 0;
}

bool pool_ttl_fits(uint64_t ttl_ms)
{
    return ttl_ms >= POOL_TTL_MIN_MS && ttl_ms <= POOL_TTL_MAX_MS;
}

bool lease_id_is_zero(const struct lease_id *id)
{
    static const struct lease_id none;
    return memcmp(id, &none, sizeof none) == 0;
}
