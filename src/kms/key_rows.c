#include "kms/key_rows.h"

#include <endian.h>
#include <string.h>

#include "base/cursor.h"

/* Numbers are le64. */
#define ROW_FORMAT 1
/* Of a key's own row: each form is the one before with more behind it. */
enum { KEY_ROW_PLAIN = 1, KEY_ROW_REVOCABLE, KEY_ROW_SCHEDULED, KEY_ROW_CONFIGURED };
/* Of a version's row. */
enum { VERSION_ROW_PLAIN = 1, VERSION_ROW_WITH_HMAC };
enum { FLAG_EXPORTABLE = 1, FLAG_BACKUP = 2, FLAG_DELETION = 4, FLAG_IMPORTED = 8, FLAGS_ALL = 15 };

static const uint8_t type_numbers[ENGINE_TYPE_COUNT] = {
    [ENGINE_AES256_GCM96] = 1,      [ENGINE_ECDSA_P256] = 2, [ENGINE_ED25519] = 3,
    [ENGINE_CHACHA20_POLY1305] = 4, [ENGINE_ECDSA_P384] = 5,
};

static bool type_of_number(uint8_t number, enum engine_type *type)
{
    for (size_t i = 0; i < ARRAY_LEN(type_numbers); i++) {
        *type = (enum engine_type)i;
        if (type_numbers[i] == number)
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

static bool minimums_fit(const struct key_row *key)
{
    return key->min_decryption >= 1 && key->min_decryption <= key->newest_version &&
           key->min_encryption <= key->newest_version &&
           (key->min_encryption == 0 || key->min_encryption >= key->min_decryption) &&
           key->min_available <= key->min_decryption &&
           (key->min_available == 0 || key->min_encryption >= key->min_available);
}

static lethe_result parse_configuration(struct cursor *cursor, struct key_row *out)
{
    uint8_t flags;
    TRY(cursor_le64(cursor, &out->min_available));
    TRY(cursor_le64(cursor, &out->min_decryption));
    TRY(cursor_le64(cursor, &out->min_encryption));
    TRY(cursor_u8(cursor, &flags));
    out->exportable = flags & FLAG_EXPORTABLE;
    out->plaintext_backup = flags & FLAG_BACKUP;
    out->deletion_allowed = flags & FLAG_DELETION;
    out->imported = flags & FLAG_IMPORTED;
    return flags <= FLAGS_ALL && minimums_fit(out) ? LETHE_OK : LETHE_MALFORMED;
}

lethe_result key_row_parse(const void *bytes, size_t size_bytes, struct key_row *out)
{
    struct cursor cursor = cursor_over(bytes, size_bytes);
    uint8_t format;
    uint8_t number;
    *out = (struct key_row){.min_decryption = 1};
    TRY(cursor_u8(&cursor, &format));
    TRY(cursor_u8(&cursor, &number));
    TRY(cursor_le64(&cursor, &out->newest_version));
    if (format >= KEY_ROW_REVOCABLE)
        TRY(parse_state(&cursor, out));
    if (format >= KEY_ROW_SCHEDULED)
        TRY(cursor_le64(&cursor, &out->rotate_every_s));
    if (format >= KEY_ROW_CONFIGURED)
        TRY(parse_configuration(&cursor, out));
    bool known = format >= KEY_ROW_PLAIN && format <= KEY_ROW_CONFIGURED;
    return known && type_of_number(number, &out->type) && out->newest_version > 0 &&
                   out->rotate_every_s <= KEY_ROTATE_EVERY_S_MAX && cursor_left(&cursor) == 0
               ? LETHE_OK
               : LETHE_MALFORMED;
}

static uint8_t *put_number(uint8_t *at, uint64_t number)
{
    const uint64_t bytes = htole64(number);
    memcpy(at, &bytes, sizeof bytes);
    return at + sizeof bytes;
}

void key_row_format(const struct key_row *key, uint8_t out[KEY_ROW_BYTES])
{
    uint8_t *at = out;
    *at++ = KEY_ROW_CONFIGURED;
    *at++ = type_numbers[key->type];
    at = put_number(at, key->newest_version);
    at = put_number(at, key->revoked_through);
    *at++ = key->destroyed;
    at = put_number(at, key->rotate_every_s);
    at = put_number(at, key->min_available);
    at = put_number(at, key->min_decryption);
    at = put_number(at, key->min_encryption);
    *at = (uint8_t)((key->exportable ? FLAG_EXPORTABLE : 0) |
                    (key->plaintext_backup ? FLAG_BACKUP : 0) |
                    (key->deletion_allowed ? FLAG_DELETION : 0) |
                    (key->imported ? FLAG_IMPORTED : 0));
}

/* ---- a version of it ------------------------------------------------------------------------- */

lethe_result version_row_parse(const void *bytes, size_t size_bytes, struct version_row *out)
{
    struct cursor cursor = cursor_over(bytes, size_bytes);
    uint8_t format;
    uint8_t material_bytes = 32;
    *out = (struct version_row){0};
    TRY(cursor_u8(&cursor, &format));
    TRY(cursor_le64(&cursor, &out->created_s));
    TRY(cursor_le64(&cursor, &out->uses));
    if (format == VERSION_ROW_WITH_HMAC) {
        TRY(cursor_u8(&cursor, &material_bytes));
        TRY(cursor_bytes(&cursor, KEY_HMAC_BYTES, &out->hmac));
    }
    TRY(cursor_bytes(&cursor, material_bytes, &out->material));
    out->material_bytes = material_bytes;
    bool known = format == VERSION_ROW_PLAIN || format == VERSION_ROW_WITH_HMAC;
    return known && (material_bytes == 32 || material_bytes == KEY_MATERIAL_MAX) &&
                   cursor_left(&cursor) == 0
               ? LETHE_OK
               : LETHE_MALFORMED;
}

size_t version_row_format(const struct version_row *version, uint8_t out[VERSION_ROW_MAX])
{
    uint8_t *at = out;
    REQUIRE(version->material_bytes <= KEY_MATERIAL_MAX);
    REQUIRE(version->hmac != NULL || version->material_bytes == 32);
    *at++ = version->hmac != NULL ? VERSION_ROW_WITH_HMAC : VERSION_ROW_PLAIN;
    at = put_number(at, version->created_s);
    at = put_number(at, version->uses);
    if (version->hmac != NULL) {
        *at++ = (uint8_t)version->material_bytes;
        memcpy(at, version->hmac, KEY_HMAC_BYTES);
        at += KEY_HMAC_BYTES;
    }
    memcpy(at, version->material, version->material_bytes);
    return (size_t)(at - out) + version->material_bytes;
}

/* ---- a minimum of releases ------------------------------------------------------------------- */

lethe_result minimum_row_parse(const struct lethe_secret *row, uint64_t *minimum)
{
    struct cursor cursor = cursor_over(lethe_secret_bytes_const(row), lethe_secret_size(row));
    uint8_t format;
    TRY(cursor_u8(&cursor, &format));
    TRY(cursor_le64(&cursor, minimum));
    return format == ROW_FORMAT && cursor_left(&cursor) == 0 ? LETHE_OK : LETHE_MALFORMED;
}

void minimum_row_format(uint64_t minimum, uint8_t out[MINIMUM_ROW_BYTES])
{
    out[0] = ROW_FORMAT;
    put_number(out + 1, minimum);
}
