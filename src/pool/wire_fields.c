#include <string.h>

#include "base/error.h"
#include "base/validate.h"
#include "pool/wire_core.h"

/* ---- HELLO -----------------------------------------------------------------------------------
 */

void wire_hello_write(const struct wire_hello *hello, struct buffer *out)
{
    put_text(out, WIRE_PROTOCOL);
    buffer_byte(out, (uint8_t)hello->role);
}

static lethe_result hello_fields(struct cursor *cursor, char protocol[64], uint8_t *role)
{
    TRY(get_text(cursor, protocol, 64));
    return cursor_u8(cursor, role);
}

lethe_result wire_hello_read(struct cursor cursor, struct wire_hello *out, struct lethe_error *err)
{
    char protocol[64];
    uint8_t role;
    TRY(wire_done(&cursor, hello_fields(&cursor, protocol, &role), "HELLO", err));
    if (strcmp(protocol, WIRE_PROTOCOL) != 0)
        return error_set(err, LETHE_INVALID, "the peer speaks another protocol than %s",
                         WIRE_PROTOCOL);
    if (role != WIRE_CONSUMER && role != WIRE_PROVIDER && role != WIRE_OPERATOR)
        return error_set(err, LETHE_MALFORMED, "HELLO names no role");
    out->role = role;
    return LETHE_OK;
}

void wire_boot_write(const uint8_t boot_id[BOOT_ID_BYTES], struct buffer *out)
{
    buffer_append(out, boot_id, BOOT_ID_BYTES);
}

lethe_result wire_boot_read(struct cursor cursor, uint8_t out[BOOT_ID_BYTES],
                            struct lethe_error *err)
{
    return wire_done(&cursor, get_raw(&cursor, out, BOOT_ID_BYTES), "HELLO's reply", err);
}

void wire_byte_write(uint8_t byte, struct buffer *out)
{
    buffer_byte(out, byte);
}

lethe_result wire_byte_read(struct cursor cursor, uint8_t max, uint8_t *out,
                            struct lethe_error *err)
{
    TRY(wire_done(&cursor, cursor_u8(&cursor, out), "the byte that says what", err));
    return *out <= max ? LETHE_OK : error_set(err, LETHE_INVALID, "there is no choice %u", *out);
}

/* ---- ATTACH ----------------------------------------------------------------------------------
 */

void wire_attached_write(const struct wire_attached *attached, struct buffer *out)
{
    buffer_le64(out, attached->blocks);
    buffer_le32(out, attached->block_bytes);
    buffer_byte(out, (uint8_t)attached->was);
}

static lethe_result attached_fields(struct cursor *cursor, struct wire_attached *out)
{
    uint8_t was;
    TRY(cursor_le64(cursor, &out->blocks));
    TRY(cursor_le32(cursor, &out->block_bytes));
    TRY(cursor_u8(cursor, &was));
    TRY(lease_state_read(was, &out->was));
    bool fits = out->blocks >= 1 && out->blocks <= POOL_BLOCKS_MAX &&
                pool_block_bytes_fit(out->block_bytes);
    return fits ? LETHE_OK : LETHE_MALFORMED;
}

lethe_result wire_attached_read(struct cursor cursor, struct wire_attached *out,
                                struct lethe_error *err)
{
    return wire_done(&cursor, attached_fields(&cursor, out), "ATTACH's reply", err);
}

/* ---- ALLOCATE --------------------------------------------------------------------------------
 */

void wire_allocate_write(const struct wire_allocate *allocate, struct buffer *out)
{
    buffer_le64(out, allocate->bytes);
    buffer_le32(out, allocate->block_bytes);
    buffer_le64(out, allocate->ttl_ms);
    buffer_byte(out, allocate->copies);
}

static lethe_result allocate_fields(struct cursor *cursor, struct wire_allocate *out)
{
    TRY(cursor_le64(cursor, &out->bytes));
    TRY(cursor_le32(cursor, &out->block_bytes));
    TRY(cursor_le64(cursor, &out->ttl_ms));
    return cursor_u8(cursor, &out->copies);
}

lethe_result wire_allocate_read(struct cursor cursor, struct wire_allocate *out,
                                struct lethe_error *err)
{
    TRY(wire_done(&cursor, allocate_fields(&cursor, out), "ALLOCATE", err));
    if (!pool_block_bytes_fit(out->block_bytes))
        return error_set(err, LETHE_INVALID,
                         "blocks of %u bytes: a power of two from %u to %u can be had",
                         out->block_bytes, POOL_BLOCK_MIN, POOL_BLOCK_MAX);
    if (out->bytes == 0 || out->bytes % out->block_bytes != 0 ||
        out->bytes / out->block_bytes > POOL_BLOCKS_MAX)
        return error_set(err, LETHE_INVALID, "%llu bytes are not 1 to 2^32-1 whole blocks",
                         (unsigned long long)out->bytes);
    if (!pool_ttl_fits(out->ttl_ms))
        return error_set(err, LETHE_INVALID, "a lease lasts %u ms to %llu ms", POOL_TTL_MIN_MS,
                         POOL_TTL_MAX_MS);
    if (out->copies < 1 || out->copies > WIRE_COPIES_MAX)
        return error_set(err, LETHE_INVALID, "%u copies: 1 to %u can be had", out->copies,
                         WIRE_COPIES_MAX);
    return LETHE_OK;
}

void wire_allocated_write(const struct wire_allocated *allocated, struct buffer *out)
{
    REQUIRE(allocated->count >= 1 && allocated->count <= WIRE_COPIES_MAX);
    buffer_byte(out, (uint8_t)allocated->count);
    for (size_t i = 0; i < allocated->count; i++) {
        const struct wire_placed *placed = &allocated->copies[i];
        buffer_append(out, placed->lease.bytes, sizeof placed->lease.bytes);
        put_text(out, placed->provider);
        put_text(out, placed->address);
        buffer_prefixed(out, placed->token, placed->token_bytes);
    }
}

static lethe_result placed_fields(struct cursor *cursor, struct wire_placed *out)
{
    uint32_t token_bytes;
    TRY(get_lease(cursor, &out->lease));
    TRY(get_spiffe(cursor, out->provider));
    TRY(get_address(cursor, out->address));
    TRY(cursor_le32(cursor, &token_bytes));
    if (token_bytes == 0 || token_bytes > sizeof out->token)
        return LETHE_MALFORMED;
    out->token_bytes = token_bytes;
    return get_raw(cursor, out->token, token_bytes);
}

static lethe_result allocated_fields(struct cursor *cursor, struct wire_allocated *out)
{
    uint8_t count;
    TRY(cursor_u8(cursor, &count));
    if (count < 1 || count > WIRE_COPIES_MAX)
        return LETHE_MALFORMED;
    for (out->count = 0; out->count < count; out->count++)
        TRY(placed_fields(cursor, &out->copies[out->count]));
    return LETHE_OK;
}

lethe_result wire_allocated_read(struct cursor cursor, struct wire_allocated *out,
                                 struct lethe_error *err)
{
    return wire_done(&cursor, allocated_fields(&cursor, out), "ALLOCATE's reply", err);
}

/* ---- one lease --------------------------------------------------------------------------------
 */

void wire_lease_write(const struct lease_id *lease, struct buffer *out)
{
    buffer_append(out, lease->bytes, sizeof lease->bytes);
}

lethe_result wire_lease_read(struct cursor cursor, struct lease_id *out, struct lethe_error *err)
{
    return wire_done(&cursor, get_lease(&cursor, out), "the id of a lease", err);
}

void wire_stop_write(const struct wire_stop *stop, struct buffer *out)
{
    buffer_append(out, stop->lease.bytes, sizeof stop->lease.bytes);
    buffer_byte(out, (uint8_t)stop->cause);
}

static lethe_result stop_fields(struct cursor *cursor, struct wire_stop *out)
{
    uint8_t cause;
    TRY(get_lease(cursor, &out->lease));
    TRY(cursor_u8(cursor, &cause));
    TRY(lease_cause_read(cause, &out->cause));
    return out->cause != LEASE_CAUSE_NONE ? LETHE_OK : LETHE_MALFORMED;
}

lethe_result wire_stop_read(struct cursor cursor, struct wire_stop *out, struct lethe_error *err)
{
    return wire_done(&cursor, stop_fields(&cursor, out), "STOP", err);
}
