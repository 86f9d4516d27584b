#include "store/seal.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "base/error.h"

#define ROW_DOMAIN "lethe-row/1"
#define HEAD_DOMAIN "lethe-head/1"
#define SUM_DOMAIN "lethe-sum/1"

/* ---- keys ------------------------------------------------------------------------------------ */

static lethe_result derive(const struct lethe_secret *store_key, const char *domain,
                           struct lethe_secret **out, struct lethe_error *err)
{
    TRY(lethe_secret_create(STORE_KEY_BYTES, out, err));
    const struct hkdf_input input = {
        .hash = HKDF_SHA256,
        .key = lethe_secret_bytes_const(store_key),
        .key_bytes = lethe_secret_size(store_key),
        .info = domain,
        .info_bytes = strlen(domain),
    };
    return hkdf(&input, lethe_secret_bytes(*out), lethe_secret_size(*out), err);
}

static lethe_result derive_aead(const struct lethe_secret *store_key, const char *domain,
                                struct aead_key **out, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *derived = NULL;
    TRY(derive(store_key, domain, &derived, err));
    return aead_key_create(lethe_secret_bytes_const(derived), AEAD_KEY_BYTES, AEAD_BACKEND_BEST,
                           out, err);
}

lethe_result seal_keys_derive(const struct lethe_secret *store_key, struct seal_keys *out,
                              struct lethe_error *err)
{
    *out = (struct seal_keys){0};
    if (lethe_secret_size(store_key) != STORE_KEY_BYTES)
        return error_set(err, LETHE_INVALID, "a store key has %u bytes, not %zu", STORE_KEY_BYTES,
                         lethe_secret_size(store_key));
    lethe_result result = derive_aead(store_key, ROW_DOMAIN, &out->row, err);
    if (result == LETHE_OK)
        result = derive_aead(store_key, HEAD_DOMAIN, &out->head, err);
    if (result == LETHE_OK)
        result = derive(store_key, SUM_DOMAIN, &out->sum, err);
    if (result != LETHE_OK)
        seal_keys_clear(out);
    return result;
}

void seal_keys_clear(struct seal_keys *keys)
{
    aead_key_free(keys->row);
    aead_key_free(keys->head);
    lethe_secret_free(keys->sum);
    *keys = (struct seal_keys){0};
}

/* ---- nonce, ciphertext, tag ------------------------------------------------------------------ */

/* Writes size_bytes + SEAL_OVERHEAD_BYTES bytes. */
static lethe_result seal(const struct aead_key *key, const struct buffer *aad, const void *plain,
                         size_t size_bytes, uint8_t *sealed, struct lethe_error *err)
{
    TRY(buffer_result(aad, err));
    if (random_fill(&random_system, sealed, AEAD_NONCE_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system has no randomness to give");
    const struct aead_message message = {
        .nonce = sealed,
        .aad = aad->bytes,
        .aad_bytes = aad->size_bytes,
        .in = plain,
        .out = sealed + AEAD_NONCE_BYTES,
        .size_bytes = size_bytes,
    };
    lethe_result result = aead_seal(key, &message, sealed + AEAD_NONCE_BYTES + size_bytes);
    return result == LETHE_OK ? result : error_set(err, result, "a value could not be sealed");
}

/* Writes sealed_bytes - SEAL_OVERHEAD_BYTES bytes. The caller says what failed. */
static lethe_result unseal(const struct aead_key *key, const struct buffer *aad, const void *sealed,
                           size_t sealed_bytes, void *plain)
{
    TRY(buffer_result(aad, NULL));
    const uint8_t *nonce = sealed;
    const struct aead_message message = {
        .nonce = nonce,
        .aad = aad->bytes,
        .aad_bytes = aad->size_bytes,
        .in = nonce + AEAD_NONCE_BYTES,
        .out = plain,
        .size_bytes = sealed_bytes - SEAL_OVERHEAD_BYTES,
    };
    return aead_open(key, &message, nonce + sealed_bytes - AEAD_TAG_BYTES);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void append_decimal(struct buffer *list, uint64_t number)
{
    char text[24];
    int length = snprintf(text, sizeof text, "%" PRIu64, number);
    buffer_prefixed(list, text, (size_t)length);
}

/* The list (domain, path, version, and the lease if there is one) that binds a value to its row. */
static void append_row_name(struct buffer *list, const char *domain, const struct store_row *row)
{
    buffer_prefixed(list, domain, strlen(domain));
    buffer_prefixed(list, row->path, strlen(row->path));
    append_decimal(list, row->version);
    if (row->lease != 0)
        append_decimal(list, row->lease);
}

lethe_result seal_row(const struct seal_keys *keys, struct store_row *row, const void *value,
                      size_t size_bytes, struct sealed *out, struct lethe_error *err)
{
    REQUIRE(size_bytes >= 1 && size_bytes <= STORE_VALUE_MAX);
    CLEANUP(buffer_clear) struct buffer aad = {0};
    append_row_name(&aad, ROW_DOMAIN, row);
    TRY(seal(keys->row, &aad, value, size_bytes, out->bytes, err));
    out->size_bytes = size_bytes + SEAL_OVERHEAD_BYTES;
    row->sealed = out->bytes;
    row->sealed_bytes = out->size_bytes;
    return LETHE_OK;
}

lethe_result seal_row_open(const struct seal_keys *keys, const struct store_row *row,
                           struct lethe_secret **value, struct lethe_error *err)
{
    *value = NULL;
    if (row->sealed_bytes <= SEAL_OVERHEAD_BYTES || row->sealed_bytes > SEALED_MAX)
        return error_set(err, LETHE_INTEGRITY, "row %s has %zu bytes, which no row has", row->path,
                         row->sealed_bytes);
    CLEANUP(lethe_secret_free) struct lethe_secret *plain = NULL;
    TRY(lethe_secret_create(row->sealed_bytes - SEAL_OVERHEAD_BYTES, &plain, err));
    CLEANUP(buffer_clear) struct buffer aad = {0};
    append_row_name(&aad, ROW_DOMAIN, row);
    lethe_result result =
        unseal(keys->row, &aad, row->sealed, row->sealed_bytes, lethe_secret_bytes(plain));
    if (result != LETHE_OK)
        return error_set(err, result, "row %s was changed", row->path);
    *value = MOVE(plain);
    return LETHE_OK;
}

lethe_result seal_row_digest(const struct seal_keys *keys, const struct store_row *row,
                             uint8_t digest[ROW_DIGEST_BYTES], struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer list = {0};
    append_row_name(&list, SUM_DOMAIN, row);
    buffer_prefixed(&list, row->sealed, row->sealed_bytes);
    TRY(buffer_result(&list, err));
    lethe_result result = hmac_sha256(lethe_secret_bytes_const(keys->sum), STORE_KEY_BYTES,
                                      list.bytes, list.size_bytes, digest);
    return result == LETHE_OK ? result : error_set(err, result, "a row could not be digested");
}

/* ---- head ------------------------------------------------------------------------------------ */

/* sum + (digest ^ flip) + carry, modulo 2^256, least significant byte first. */
static void sum_step(uint8_t sum[ROW_DIGEST_BYTES], const uint8_t digest[ROW_DIGEST_BYTES],
                     uint8_t flip, unsigned carry)
{
    for (size_t i = 0; i < ROW_DIGEST_BYTES; i++) {
        carry += (unsigned)sum[i] + (uint8_t)(digest[i] ^ flip);
        sum[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

void head_add(struct head *head, const uint8_t digest[ROW_DIGEST_BYTES])
{
    head->rows++;
    sum_step(head->sum, digest, 0, 0);
}

/* Subtracting is adding the complement and one. */
void head_remove(struct head *head, const uint8_t digest[ROW_DIGEST_BYTES])
{
    REQUIRE(head->rows > 0);
    head->rows--;
    sum_step(head->sum, digest, 0xff, 1);
}

lethe_result head_seal(const struct seal_keys *keys, const struct head *head,
                       uint8_t out[HEAD_SEALED_BYTES], struct lethe_error *err)
{
    const uint64_t numbers[] = {htole64(head->epoch), htole64(head->rows), htole64(head->seals)};
    uint8_t plain[HEAD_PLAIN_BYTES];
    memcpy(plain, numbers, sizeof numbers);
    memcpy(plain + sizeof numbers, head->sum, sizeof head->sum);

    CLEANUP(buffer_clear) struct buffer aad = {0};
    buffer_prefixed(&aad, HEAD_DOMAIN, strlen(HEAD_DOMAIN));
    return seal(keys->head, &aad, plain, sizeof plain, out, err);
}

lethe_result head_open(const struct seal_keys *keys, const void *sealed, size_t sealed_bytes,
                       struct head *out, struct lethe_error *err)
{
    if (sealed_bytes != HEAD_SEALED_BYTES)
        return error_set(err, LETHE_INTEGRITY, "the store's head has %zu bytes instead of %zu",
                         sealed_bytes, HEAD_SEALED_BYTES);
    CLEANUP(buffer_clear) struct buffer aad = {0};
    buffer_prefixed(&aad, HEAD_DOMAIN, strlen(HEAD_DOMAIN));
    uint8_t plain[HEAD_PLAIN_BYTES];
    lethe_result result = unseal(keys->head, &aad, sealed, sealed_bytes, plain);
    if (result != LETHE_OK)
        return error_set(err, result, "the store's head was changed, or belongs to another key");

    struct cursor cursor = cursor_over(plain, sizeof plain);
    const uint8_t *sum;
    TRY(cursor_le64(&cursor, &out->epoch));
    TRY(cursor_le64(&cursor, &out->rows));
    TRY(cursor_le64(&cursor, &out->seals));
    TRY(cursor_bytes(&cursor, sizeof out->sum, &sum));
    memcpy(out->sum, sum, sizeof out->sum);
    return LETHE_OK;
}
