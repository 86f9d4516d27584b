#include "service/authority_rows.h"

#include <endian.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"

#define ROW_FORMAT 1

static struct cursor begin(const uint8_t *bytes, size_t size_bytes, lethe_result *result)
{
    struct cursor cursor = cursor_over(bytes, size_bytes);
    uint8_t format = 0;
    *result = cursor_u8(&cursor, &format);
    if (*result == LETHE_OK && format != ROW_FORMAT)
        *result = LETHE_MALFORMED;
    return cursor;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static const uint8_t kind_numbers[] = {
    [SIGNATURE_ED25519] = 1, [SIGNATURE_ECDSA_P256] = 2, [SIGNATURE_ECDSA_P384] = 3};
#define KEY_HEAD_BYTES 2u

lethe_result authority_key_format(enum signature_kind kind, const struct lethe_secret *private_key,
                                  struct lethe_secret **out, struct lethe_error *err)
{
    REQUIRE((size_t)kind < ARRAY_LEN(kind_numbers));
    TRY(lethe_secret_create(KEY_HEAD_BYTES + lethe_secret_size(private_key), out, err));
    uint8_t *row = lethe_secret_bytes(*out);
    row[0] = ROW_FORMAT;
    row[1] = kind_numbers[kind];
    memcpy(row + KEY_HEAD_BYTES, lethe_secret_bytes_const(private_key),
           lethe_secret_size(private_key));
    return LETHE_OK;
}

static lethe_result malformed(struct lethe_error *err)
{
    return error_set(err, LETHE_MALFORMED, "the row of an authority's key has another form");
}

lethe_result authority_key_parse(const struct lethe_secret *row, struct sign_pair **out,
                                 struct lethe_error *err)
{
    lethe_result result;
    uint8_t number;
    const uint8_t *bytes;
    *out = NULL;
    struct cursor cursor = begin(lethe_secret_bytes_const(row), lethe_secret_size(row), &result);
    if (result != LETHE_OK || cursor_u8(&cursor, &number) != LETHE_OK || number == 0 ||
        number > ARRAY_LEN(kind_numbers))
        return malformed(err);
    const enum signature_kind kind = (enum signature_kind)(number - 1);
    const size_t size_bytes = cursor_left(&cursor);
    if (size_bytes == 0 || cursor_bytes(&cursor, size_bytes, &bytes) != LETHE_OK)
        return malformed(err);
    CLEANUP(lethe_secret_free) struct lethe_secret *private_key = NULL;
    TRY(lethe_secret_create(size_bytes, &private_key, err));
    memcpy(lethe_secret_bytes(private_key), bytes, size_bytes);
    return sign_pair_create(kind, private_key, out, err);
}

/* ---- certificates ---------------------------------------------------------------------------- */

void authority_certificate_format(const struct authority_certificate_row *row, struct buffer *out)
{
    buffer_byte(out, ROW_FORMAT);
    buffer_le64(out, row->not_after_s);
    buffer_le64(out, row->revoked_s);
    buffer_append(out, row->der, row->der_bytes);
}

static lethe_result rest(struct cursor *cursor, size_t most, const uint8_t **bytes,
                         size_t *size_bytes)
{
    *size_bytes = cursor_left(cursor);
    if (*size_bytes == 0 || *size_bytes > most)
        return LETHE_MALFORMED;
    return cursor_bytes(cursor, *size_bytes, bytes);
}

lethe_result authority_certificate_parse(const uint8_t *bytes, size_t size_bytes,
                                         struct authority_certificate_row *out)
{
    lethe_result result;
    *out = (struct authority_certificate_row){0};
    struct cursor cursor = begin(bytes, size_bytes, &result);
    TRY(result);
    TRY(cursor_le64(&cursor, &out->not_after_s));
    TRY(cursor_le64(&cursor, &out->revoked_s));
    return rest(&cursor, X509_DER_MAX, &out->der, &out->der_bytes);
}

void authority_revoked_format(const struct authority_revoked_row *row,
                              uint8_t out[AUTHORITY_REVOKED_BYTES])
{
    const uint64_t numbers[] = {htole64(row->revoked_s), htole64(row->not_after_s)};
    out[0] = ROW_FORMAT;
    memcpy(out + 1, numbers, sizeof numbers);
}

lethe_result authority_revoked_parse(const uint8_t *bytes, size_t size_bytes,
                                     struct authority_revoked_row *out)
{
    lethe_result result;
    *out = (struct authority_revoked_row){0};
    struct cursor cursor = begin(bytes, size_bytes, &result);
    TRY(result);
    TRY(cursor_le64(&cursor, &out->revoked_s));
    TRY(cursor_le64(&cursor, &out->not_after_s));
    return cursor_left(&cursor) == 0 ? LETHE_OK : LETHE_MALFORMED;
}

/* ---- CRL and settings ------------------------------------------------------------------------ */

void authority_crl_format(const struct authority_crl_row *row, struct buffer *out)
{
    buffer_byte(out, ROW_FORMAT);
    buffer_le64(out, row->number);
    buffer_le64(out, row->this_s);
    buffer_le64(out, row->next_s);
    buffer_append(out, row->der, row->der_bytes);
}

lethe_result authority_crl_parse(const uint8_t *bytes, size_t size_bytes,
                                 struct authority_crl_row *out)
{
    lethe_result result;
    *out = (struct authority_crl_row){0};
    struct cursor cursor = begin(bytes, size_bytes, &result);
    TRY(result);
    TRY(cursor_le64(&cursor, &out->number));
    TRY(cursor_le64(&cursor, &out->this_s));
    TRY(cursor_le64(&cursor, &out->next_s));
    if (out->number == 0 || out->next_s <= out->this_s)
        return LETHE_MALFORMED;
    return rest(&cursor, X509_CRL_DER_MAX, &out->der, &out->der_bytes);
}

static void put_url(struct buffer *out, const char *url)
{
    buffer_byte(out, (uint8_t)strlen(url));
    buffer_text(out, url);
}

void authority_settings_format(const struct authority_settings *settings, struct buffer *out)
{
    buffer_byte(out, ROW_FORMAT);
    buffer_le64(out, settings->crl_ttl_s);
    put_url(out, settings->crl_url);
    put_url(out, settings->issuing_url);
}

static lethe_result take_url(struct cursor *cursor, char out[AUTHORITY_URL_MAX + 1])
{
    uint8_t length;
    TRY(cursor_u8(cursor, &length));
    return cursor_text(cursor, length, out, AUTHORITY_URL_MAX + 1);
}

lethe_result authority_settings_parse(const uint8_t *bytes, size_t size_bytes,
                                      struct authority_settings *out)
{
    lethe_result result;
    *out = (struct authority_settings){0};
    struct cursor cursor = begin(bytes, size_bytes, &result);
    TRY(result);
    TRY(cursor_le64(&cursor, &out->crl_ttl_s));
    TRY(take_url(&cursor, out->crl_url));
    TRY(take_url(&cursor, out->issuing_url));
    return out->crl_ttl_s > 0 && cursor_left(&cursor) == 0 ? LETHE_OK : LETHE_MALFORMED;
}
