#include "kms/key_rows.h"

#include <endian.h>
#include <string.h>

#include "base/cursor.h"

/* Numbers are le64. */
#define ROW_FORMAT 1
/* Of a key's own row: each form is the one before with more behind it. */
enum { KEY_ROW_PLAIN = 1, KEY_ROW_REVOCABLE, KEY_ROW_SCHEDULED };

static const uint8_t kind_numbers[] = {
    [KEY_ENCRYPTION] = 1, [KEY_MANIFEST_SIGNER] = 2, [KEY_LOG_SIGNER] = 3};

static struct cursor cursor_of(const struct lethe_secret *row)
{
    return cursor_over(lethe_secret_bytes_const(row), lethe_secret_size(row));
}

static bool kind_of_number(uint8_t number, enum key_kind *kind)
{
    for (size_t i = 0; i < ARRAY_LEN(kind_numbers); i++) {
        *kind = (enum key_kind)i;
        if (kind_numbers[i] == number)
            return true;
    }
    return false;
}

/* ---- a key ----------------------------------------------------------------------------------- */

static lethe_result parse_state(struct cursor *cursor, struct key_row *out)
{
    uint8_t destroyed;
    TRY(cursor_le64(cursor, &out->revoked_through));
    TRY(cursor_u8(cursor, &destroyed));
    out->destroyed = destroyed == 1;
    return destroyed <= 1 && out->revoked_through <= out->newest_version ? LETHE_OK
                                                                         : LETHE_MALFORMED;
}

lethe_result key_row_parse(const struct lethe_secret *row, struct key_row *out)
{
    struct cursor cursor = cursor_of(row);
    uint8_t format;
    uint8_t number;
    *out = (struct key_row){0};
    TRY(cursor_u8(&cursor, &format));
    TRY(cursor_u8(&cursor, &number));
    TRY(cursor_le64(&cursor, &out->newest_version));
    if (format >= KEY_ROW_REVOCABLE)
        TRY(parse_state(&cursor, out));
    if (format >= KEY_ROW_SCHEDULED)
        TRY(cursor_le64(&cursor, &out->rotate_every_s));
    bool known = format >= KEY_ROW_PLAIN && format <= KEY_ROW_SCHEDULED;
    return known && kind_of_number(number, &out->kind) && out->newest_version > 0 &&
                   out->rotate_every_s <= KEY_ROTATE_EVERY_S_MAX && cursor_left(&cursor) == 0
               ? LETHE_OK
               : LETHE_MALFORMED;
}

void key_row_format(const struct key_row *key, uint8_t out[KEY_ROW_BYTES])
{
    const uint64_t numbers[] = {htole64(key->newest_version), htole64(key->revoked_through)};
    const uint64_t every_s = htole64(key->rotate_every_s);
    out[0] = KEY_ROW_SCHEDULED;
    out[1] = kind_numbers[key->kind];
    memcpy(out + 2, numbers, sizeof numbers);
    out[2 + sizeof numbers] = key->destroyed;
    memcpy(out + 3 + sizeof numbers, &every_s, sizeof every_s);
}

/* ---- a version of it ------------------------------------------------------------------------- */

lethe_result version_row_parse(const struct lethe_secret *row, struct version_row *out)
{
    struct cursor cursor = cursor_of(row);
    uint8_t format;
    *out = (struct version_row){0};
    TRY(cursor_u8(&cursor, &format));
    TRY(cursor_le64(&cursor, &out->created_s));
    TRY(cursor_le64(&cursor, &out->uses));
    TRY(cursor_bytes(&cursor, KEY_MATERIAL_BYTES, &out->material));
    return format == ROW_FORMAT && cursor_left(&cursor) == 0 ? LETHE_OK : LETHE_MALFORMED;
}

void version_row_format(const struct version_row *version, uint8_t out[VERSION_ROW_BYTES])
{
    const uint64_t numbers[] = {htole64(version->created_s), htole64(version->uses)};
    out[0] = ROW_FORMAT;
    memcpy(out + 1, numbers, sizeof numbers);
    memcpy(out + 1 + sizeof numbers, version->material, KEY_MATERIAL_BYTES);
}

/* ---- a minimum of releases ------------------------------------------------------------------- */

lethe_result minimum_row_parse(const struct lethe_secret *row, uint64_t *minimum)
{
    struct cursor cursor = cursor_of(row);
    uint8_t format;
    TRY(cursor_u8(&cursor, &format));
    TRY(cursor_le64(&cursor, minimum));
    return format == ROW_FORMAT && cursor_left(&cursor) == 0 ? LETHE_OK : LETHE_MALFORMED;
}

void minimum_row_format(uint64_t minimum, uint8_t out[MINIMUM_ROW_BYTES])
{
    const uint64_t bytes = htole64(minimum);
    out[0] = ROW_FORMAT;
    memcpy(out + 1, &bytes, sizeof bytes);
}
