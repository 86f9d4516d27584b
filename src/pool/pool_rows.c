#include "pool/pool_rows.h"

#include <endian.h>
#include <string.h>

#include "base/text.h"
#include "base/validate.h"
#include "crypto/hash.h"
#include "pool/wire_core.h"

#define ROW_FORMAT 1

/* ---- paths ----------------------------------------------------------------------------------- */

#define PROVIDERS POOL_ROWS_PREFIX "providers/"
#define LEASES POOL_ROWS_PREFIX "leases/"
#define QUOTAS POOL_ROWS_PREFIX "quotas/"
#define REVOKED POOL_ROWS_PREFIX "revoked/"

_Static_assert(sizeof PROVIDERS + 2 * SHA256_BYTES <= POOL_PATH_SIZE, "the longest of the paths");
_Static_assert(sizeof LEASES + 2 * LEASE_ID_BYTES <= POOL_PATH_SIZE, "");

/* An identity has more characters, and may be longer, than a path allows. */
static void path_of_id(const char *prefix, const char *id, char out[POOL_PATH_SIZE])
{
    uint8_t hash[SHA256_BYTES];
    sha256(id, strlen(id), hash);
    size_t length = strlen(prefix);
    memcpy(out, prefix, length);
    hex_encode(hash, sizeof hash, out + length);
}

void provider_row_path(const char *id, char out[POOL_PATH_SIZE])
{
    path_of_id(PROVIDERS, id, out);
}

void revoked_row_path(const char *id, char out[POOL_PATH_SIZE])
{
    path_of_id(REVOKED, id, out);
}

void lease_row_path(const struct lease_id *lease, char out[POOL_PATH_SIZE])
{
    memcpy(out, LEASES, sizeof LEASES - 1);
    hex_encode(lease->bytes, sizeof lease->bytes, out + sizeof LEASES - 1);
}

void quota_row_path(const char *tenant, char out[POOL_PATH_SIZE])
{
    size_t length = strlen(tenant);
    REQUIRE(length > 0 && length <= 64);
    memcpy(out, QUOTAS, sizeof QUOTAS - 1);
    memcpy(out + sizeof QUOTAS - 1, tenant, length + 1);
}

/* ---- writing --------------------------------------------------------------------------------- */

void lease_row_format(const struct lease_row *row, struct buffer *out)
{
    buffer_byte(out, ROW_FORMAT);
    buffer_byte(out, (uint8_t)row->state);
    buffer_byte(out, (uint8_t)row->cause);
    buffer_append(out, row->lease.bytes, sizeof row->lease.bytes);
    buffer_append(out, row->group.bytes, sizeof row->group.bytes);
    buffer_append(out, row->boot_id, sizeof row->boot_id);
    buffer_le64(out, row->generation);
    buffer_le64(out, row->bytes);
    buffer_le64(out, row->block_bytes);
    buffer_le64(out, row->ttl_ms);
    buffer_le64(out, row->granted_ms);
    put_text(out, row->consumer);
    put_text(out, row->tenant);
    put_text(out, row->provider);
}

void provider_row_format(const struct provider_row *row, struct buffer *out)
{
    buffer_byte(out, ROW_FORMAT);
    buffer_byte(out, (uint8_t)row->wish);
    buffer_byte(out, row->lost);
    buffer_append(out, row->boot_id, sizeof row->boot_id);
    buffer_le64(out, row->capacity_bytes);
    buffer_le64(out, row->joined_ms);
    put_text(out, row->id);
    put_text(out, row->address);
}

void revoked_row_format(const struct revoked_row *row, struct buffer *out)
{
    buffer_byte(out, ROW_FORMAT);
    buffer_le64(out, row->revoked_ms);
    put_text(out, row->id);
    put_text(out, row->reason);
}

void quota_row_format(const struct quota_row *row, struct buffer *out)
{
    buffer_byte(out, ROW_FORMAT);
    buffer_le64(out, row->bytes);
    put_text(out, row->tenant);
}

/* ---- reading --------------------------------------------------------------------------------- */

static lethe_result take_format(struct cursor *cursor)
{
    uint8_t format;
    TRY(cursor_u8(cursor, &format));
    return format == ROW_FORMAT ? LETHE_OK : LETHE_MALFORMED;
}

static lethe_result take_id(struct cursor *cursor, char out[SPIFFE_ID_MAX + 1])
{
    struct spiffe_id id;
    TRY(get_text(cursor, out, SPIFFE_ID_MAX + 1));
    return spiffe_parse(out, strlen(out), &id, NULL) == LETHE_OK ? LETHE_OK : LETHE_MALFORMED;
}

/* As net/identity.h has it, and so a part of a path. */
static lethe_result take_tenant(struct cursor *cursor, char out[65])
{
    TRY(get_text(cursor, out, 65));
    return validate_identifier("tenant", out, 64, NULL) == LETHE_OK ? LETHE_OK : LETHE_MALFORMED;
}

static lethe_result expect_end(const struct cursor *cursor)
{
    return cursor_left(cursor) == 0 ? LETHE_OK : LETHE_MALFORMED;
}

static lethe_result take_state(struct cursor *cursor, struct lease_row *out)
{
    uint8_t state, cause;
    TRY(cursor_u8(cursor, &state));
    TRY(cursor_u8(cursor, &cause));
    TRY(lease_state_read(state, &out->state));
    TRY(lease_cause_read(cause, &out->cause));
    bool is_known = out->state == LEASE_GRANTED || out->state == LEASE_LOST;
    return is_known ? LETHE_OK : LETHE_MALFORMED;
}

static lethe_result take_size(struct cursor *cursor, struct lease_row *out)
{
    uint64_t block_bytes;
    TRY(cursor_le64(cursor, &out->bytes));
    TRY(cursor_le64(cursor, &block_bytes));
    bool is_sound =
        pool_block_bytes_fit(block_bytes) && out->bytes > 0 && out->bytes % block_bytes == 0;
    out->block_bytes = (uint32_t)block_bytes;
    return is_sound ? LETHE_OK : LETHE_MALFORMED;
}

static lethe_result take_parties(struct cursor *cursor, struct lease_row *out)
{
    TRY(take_id(cursor, out->consumer));
    TRY(take_tenant(cursor, out->tenant));
    return take_id(cursor, out->provider);
}

lethe_result lease_row_parse(struct cursor cursor, struct lease_row *out)
{
    *out = (struct lease_row){0};
    TRY(take_format(&cursor));
    TRY(take_state(&cursor, out));
    TRY(get_raw(&cursor, out->lease.bytes, sizeof out->lease.bytes));
    TRY(get_raw(&cursor, out->group.bytes, sizeof out->group.bytes));
    TRY(get_raw(&cursor, out->boot_id, sizeof out->boot_id));
    TRY(cursor_le64(&cursor, &out->generation));
    TRY(take_size(&cursor, out));
    TRY(cursor_le64(&cursor, &out->ttl_ms));
    TRY(cursor_le64(&cursor, &out->granted_ms));
    TRY(take_parties(&cursor, out));
    return expect_end(&cursor);
}

static lethe_result take_wish(struct cursor *cursor, enum provider_wish *out)
{
    uint8_t wish;
    TRY(cursor_u8(cursor, &wish));
    *out = (enum provider_wish)wish;
    return wish <= PROVIDER_STOPPED ? LETHE_OK : LETHE_MALFORMED;
}

lethe_result provider_row_parse(struct cursor cursor, struct provider_row *out)
{
    *out = (struct provider_row){0};
    TRY(take_format(&cursor));
    TRY(take_wish(&cursor, &out->wish));
    TRY(get_bool(&cursor, &out->lost));
    TRY(get_raw(&cursor, out->boot_id, sizeof out->boot_id));
    TRY(cursor_le64(&cursor, &out->capacity_bytes));
    TRY(cursor_le64(&cursor, &out->joined_ms));
    TRY(take_id(&cursor, out->id));
    TRY(get_text(&cursor, out->address, sizeof out->address));
    return expect_end(&cursor);
}

lethe_result revoked_row_parse(struct cursor cursor, struct revoked_row *out)
{
    *out = (struct revoked_row){0};
    TRY(take_format(&cursor));
    TRY(cursor_le64(&cursor, &out->revoked_ms));
    TRY(take_id(&cursor, out->id));
    TRY(get_text(&cursor, out->reason, sizeof out->reason));
    return expect_end(&cursor);
}

lethe_result quota_row_parse(struct cursor cursor, struct quota_row *out)
{
    *out = (struct quota_row){0};
    TRY(take_format(&cursor));
    TRY(cursor_le64(&cursor, &out->bytes));
    TRY(take_tenant(&cursor, out->tenant));
    return expect_end(&cursor);
}
