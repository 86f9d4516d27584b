/* TPM2_MakeCredential without a TPM (TCG, Library part 1, 24): a seed goes to the endorsement key,
 * and under keys that are derived of it and of the other key's name goes the secret. */
#include <string.h>

#include <tss2/tss2_tpm2_types.h>

#include "attest/tpm2_core.h"
#include "base/clock.h"
#include "base/error.h"
#include "crypto/hash.h"
#include "crypto/rsa.h"
#include "crypto/tpm_credential.h"

#define SEED_BYTES SHA256_BYTES /* as many as the key's name algorithm gives */
#define SECRET_MAX SHA256_BYTES /* TPM2B_DIGEST of it */
static const char identity[] = "IDENTITY";

static void append_u16(struct buffer *out, size_t number)
{
    buffer_byte(out, (uint8_t)(number >> 8));
    buffer_byte(out, (uint8_t)number);
}

static void append_sized(struct buffer *out, const void *bytes, size_t size_bytes)
{
    append_u16(out, size_bytes);
    buffer_append(out, bytes, size_bytes);
}

/* ---- the seed --------------------------------------------------------------------------------
 */

static lethe_result seed_for_rsa(const struct tpm2_public *ek, struct lethe_secret *seed,
                                 struct buffer *out, struct lethe_error *err)
{
    CLEANUP(rsa_public_free) struct rsa_public *key = NULL;
    CLEANUP(buffer_clear) struct buffer sealed = {0};
    TRY(rsa_public_create(ek->modulus.at, ek->modulus.size_bytes, tpm2_public_exponent(ek), &key,
                          err));
    if (random_fill(&random_system, lethe_secret_bytes(seed), SEED_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system has no randomness to give");
    TRY(rsa_oaep_encrypt(key, identity, sizeof identity, seed, &sealed, err)); /* with its NUL */
    append_sized(out, sealed.bytes, sealed.size_bytes);
    return LETHE_OK;
}

static lethe_result seed_for_ecc(const struct tpm2_public *ek, struct lethe_secret *seed,
                                 struct buffer *out, struct lethe_error *err)
{
    uint8_t point[TPM_POINT_BYTES], ephemeral[TPM_POINT_BYTES];
    if (!tpm2_public_point(ek, point))
        return error_set(err, LETHE_MALFORMED, "the endorsement key has no point");
    TRY(tpm_kdfe_agree(point, identity, ephemeral, seed, err));
    append_u16(out, 2 * (sizeof(uint16_t) + TPM_COORDINATE_BYTES));
    append_sized(out, ephemeral + 1, TPM_COORDINATE_BYTES);
    append_sized(out, ephemeral + 1 + TPM_COORDINATE_BYTES, TPM_COORDINATE_BYTES);
    return LETHE_OK;
}

/* ---- the secret ------------------------------------------------------------------------------
 */

/* The secret with its length in front, encrypted: under a key for this name alone. */
static lethe_result encrypt_identity(const struct lethe_secret *seed,
                                     const uint8_t name[TPM2_NAME_BYTES],
                                     const struct lethe_secret *secret, uint8_t *out,
                                     struct lethe_error *err)
{
    size_t secret_bytes = lethe_secret_size(secret);
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    CLEANUP(slab_free) void *guarded = NULL;
    TRY(lethe_secret_create(TPM_CFB_KEY_BYTES, &key, err));
    TRY(slab_alloc(sizeof(uint16_t) + secret_bytes, &guarded, err));
    uint8_t *plain = guarded;
    plain[0] = 0;
    plain[1] = (uint8_t)secret_bytes;
    memcpy(plain + sizeof(uint16_t), lethe_secret_bytes_const(secret), secret_bytes);
    const struct tpm_kdfa storage = {seed, "STORAGE", name, TPM2_NAME_BYTES};
    TRY(tpm_kdfa(&storage, key, err));
    return tpm_cfb_encrypt(key, plain, sizeof(uint16_t) + secret_bytes, out, err);
}

static lethe_result authenticate(const struct lethe_secret *seed,
                                 const uint8_t name[TPM2_NAME_BYTES], const uint8_t *encrypted,
                                 size_t encrypted_bytes, uint8_t mac[SHA256_BYTES])
{
    uint8_t text[sizeof(uint16_t) + SECRET_MAX + TPM2_NAME_BYTES];
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    TRY(lethe_secret_create(SHA256_BYTES, &key, NULL));
    const struct tpm_kdfa integrity = {seed, "INTEGRITY", NULL, 0};
    TRY(tpm_kdfa(&integrity, key, NULL));
    memcpy(text, encrypted, encrypted_bytes);
    memcpy(text + encrypted_bytes, name, TPM2_NAME_BYTES);
    return hmac_sha256(lethe_secret_bytes_const(key), SHA256_BYTES, text,
                       encrypted_bytes + TPM2_NAME_BYTES, mac);
}

/* TPM2B_ID_OBJECT */
static lethe_result append_blob(const struct lethe_secret *seed,
                                const uint8_t name[TPM2_NAME_BYTES],
                                const struct lethe_secret *secret, struct buffer *out,
                                struct lethe_error *err)
{
    uint8_t encrypted[sizeof(uint16_t) + SECRET_MAX], mac[SHA256_BYTES];
    size_t encrypted_bytes = sizeof(uint16_t) + lethe_secret_size(secret);
    TRY(encrypt_identity(seed, name, secret, encrypted, err));
    lethe_result result = authenticate(seed, name, encrypted, encrypted_bytes, mac);
    if (result != LETHE_OK)
        return error_set(err, result, "making a credential");
    append_u16(out, sizeof(uint16_t) + sizeof mac + encrypted_bytes);
    append_sized(out, mac, sizeof mac);
    buffer_append(out, encrypted, encrypted_bytes);
    return buffer_result(out, err);
}

lethe_result tpm2_make_credential(const void *ek, size_t ek_bytes,
                                  const uint8_t ak_name[TPM2_NAME_BYTES],
                                  const struct lethe_secret *secret, struct buffer *blob,
                                  struct buffer *seed, struct lethe_error *err)
{
    struct tpm2_public parsed;
    size_t blob_before = blob->size_bytes, seed_before = seed->size_bytes;
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    if (lethe_secret_size(secret) > SECRET_MAX)
        return error_set(err, LETHE_INVALID, "a credential of %zu bytes; at most %u",
                         lethe_secret_size(secret), SECRET_MAX);
    TRY(tpm2_ek_read(ek, ek_bytes, &parsed, err));
    TRY(lethe_secret_create(SEED_BYTES, &key, err));
    lethe_result result = parsed.type == TPM2_ALG_RSA ? seed_for_rsa(&parsed, key, seed, err)
                                                      : seed_for_ecc(&parsed, key, seed, err);
    if (result == LETHE_OK)
        result = buffer_result(seed, err);
    if (result == LETHE_OK)
        result = append_blob(key, ak_name, secret, blob, err);
    if (result != LETHE_OK) {
        buffer_truncate(blob, blob_before);
        buffer_truncate(seed, seed_before);
    }
    return result;
}
