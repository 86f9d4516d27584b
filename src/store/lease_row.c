#include "store/lease_row.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"

#define ID_DIGITS 16

/* ---- written and read ------------------------------------------------------------------------ */

void lease_path(uint64_t id, char out[LEASE_PATH_BYTES])
{
    snprintf(out, LEASE_PATH_BYTES, LEASE_ROWS "%016" PRIx64, id);
}

void lease_value(const struct lease_row *lease, uint8_t out[LEASE_VALUE_BYTES])
{
    const uint32_t ttl_s = htole32(lease->ttl_s);
    const uint64_t until_ms = htole64(lease->until_ms);
    memcpy(out, &ttl_s, sizeof ttl_s);
    memcpy(out + sizeof ttl_s, lease->boot, STORE_BOOT_BYTES);
    memcpy(out + sizeof ttl_s + STORE_BOOT_BYTES, &until_ms, sizeof until_ms);
}

static lethe_result read_value(struct cursor *cursor, struct lease_row *out)
{
    const uint8_t *boot;
    TRY(cursor_le32(cursor, &out->ttl_s));
    TRY(cursor_bytes(cursor, STORE_BOOT_BYTES, &boot));
    memcpy(out->boot, boot, STORE_BOOT_BYTES);
    TRY(cursor_le64(cursor, &out->until_ms));
    bool is_ours = cursor_left(cursor) == 0 && out->ttl_s >= STORE_LEASE_TTL_MIN_S &&
                   out->ttl_s <= STORE_LEASE_TTL_MAX_S;
    return is_ours ? LETHE_OK : LETHE_MALFORMED;
}

lethe_result lease_row_read(const char *path, const void *value, size_t size_bytes,
                            struct lease_row *out, struct lethe_error *err)
{
    const char *digits = path + strlen(LEASE_ROWS);
    struct cursor cursor = cursor_over(value, size_bytes);
    if (strncmp(path, LEASE_ROWS, strlen(LEASE_ROWS)) != 0 ||
        strspn(digits, "0123456789abcdef") != ID_DIGITS || digits[ID_DIGITS] != '\0' ||
        read_value(&cursor, out) != LETHE_OK)
        return error_set(err, LETHE_INTEGRITY, "row %s is no lease", path);
    out->id = strtoull(digits, NULL, 16);
    return LETHE_OK;
}

/* ---- time ------------------------------------------------------------------------------------ */

static uint64_t ttl_ms(const struct lease_row *lease)
{
    return (uint64_t)lease->ttl_s * 1000;
}

void lease_start(struct lease_row *lease, const struct store_clock *clock, uint64_t now_ms)
{
    memcpy(lease->boot, clock->boot, STORE_BOOT_BYTES);
    lease->until_ms = now_ms + ttl_ms(lease);
}

bool lease_is_adrift(const struct lease_row *lease, const struct store_clock *clock,
                     uint64_t now_ms)
{
    return memcmp(lease->boot, clock->boot, STORE_BOOT_BYTES) != 0 ||
           (lease->until_ms > now_ms && lease->until_ms - now_ms > ttl_ms(lease));
}

uint64_t lease_left_ms(const struct lease_row *lease, const struct store_clock *clock,
                       uint64_t now_ms)
{
    if (lease_is_adrift(lease, clock, now_ms))
        return ttl_ms(lease);
    return lease->until_ms > now_ms ? lease->until_ms - now_ms : 0;
}
