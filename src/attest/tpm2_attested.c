/* What a TPM signs (TPMS_ATTEST), and how (TPMT_SIGNATURE): TCG, Library part 2, 10.12 and 11.3. */
#include <string.h>

#include <tss2/tss2_tpm2_types.h>

#include "attest/tpm2_core.h"
#include "base/error.h"
#include "base/json.h"
#include "crypto/hash.h"
#include "crypto/rsa.h"
#include "crypto/sign.h"

#define NONCE_MAX 64u   /* TPM2B_DATA: the largest digest, and more than ours */
#define SELECT_BYTES 3u /* a bit for each of 24 PCRs; a TPM with more may send zeros behind */
#define SELECT_MAX 4u

/* ---- the quote -------------------------------------------------------------------------------
 */

static enum attest_reason take_u64(struct cursor *cursor, uint64_t *out)
{
    return cursor_be64(cursor, out) == LETHE_OK ? ATTEST_VERIFIED : ATTEST_SIZE;
}

static enum attest_reason take_header(struct cursor *cursor, struct tpm2_attested *out)
{
    uint32_t magic;
    uint16_t type;
    TPM2_TAKE(tpm2_take_u32(cursor, &magic));
    if (magic != TPM2_GENERATED_VALUE)
        return ATTEST_MAGIC;
    TPM2_TAKE(tpm2_take_u16(cursor, &type));
    if (type != TPM2_ST_ATTEST_QUOTE)
        return ATTEST_TYPE;
    TPM2_TAKE(tpm2_take_sized(cursor, &out->signer));
    if (out->signer.size_bytes != TPM2_NAME_BYTES || out->signer.at[0] != TPM2_ALG_SHA256 >> 8 ||
        out->signer.at[1] != (TPM2_ALG_SHA256 & 0xff))
        return ATTEST_MALFORMED;
    TPM2_TAKE(tpm2_take_sized(cursor, &out->extra_data));
    return out->extra_data.size_bytes <= NONCE_MAX ? ATTEST_VERIFIED : ATTEST_MALFORMED;
}

/* Times go into JSON, whose numbers end at 2^53: a clock beyond it is nobody's. */
static enum attest_reason take_clock(struct cursor *cursor, struct tpm2_attested *out)
{
    uint8_t safe;
    TPM2_TAKE(take_u64(cursor, &out->clock_ms));
    TPM2_TAKE(tpm2_take_u32(cursor, &out->reset_count));
    TPM2_TAKE(tpm2_take_u32(cursor, &out->restart_count));
    if (cursor_u8(cursor, &safe) != LETHE_OK)
        return ATTEST_SIZE;
    if (safe > 1 || out->clock_ms > JSON_INTEGER_MAX)
        return ATTEST_MALFORMED;
    out->clock_safe = safe == 1;
    return take_u64(cursor, &out->firmware);
}

/* One bank, SHA-256: evidence has values of no other. */
static enum attest_reason take_selection(struct cursor *cursor, struct tpm2_attested *out)
{
    uint32_t count;
    uint16_t hash;
    uint8_t size_bytes;
    const uint8_t *bitmap;
    TPM2_TAKE(tpm2_take_u32(cursor, &count));
    if (count != 1)
        return ATTEST_PCR_SELECTION;
    TPM2_TAKE(tpm2_take_u16(cursor, &hash));
    if (hash != TPM2_ALG_SHA256)
        return ATTEST_PCR_SELECTION;
    if (cursor_u8(cursor, &size_bytes) != LETHE_OK)
        return ATTEST_SIZE;
    if (size_bytes < SELECT_BYTES || size_bytes > SELECT_MAX)
        return ATTEST_PCR_SELECTION;
    if (cursor_bytes(cursor, size_bytes, &bitmap) != LETHE_OK)
        return ATTEST_SIZE;
    if (size_bytes == SELECT_MAX && bitmap[SELECT_BYTES] != 0)
        return ATTEST_PCR_SELECTION;
    out->pcr_mask = bitmap[0] | (uint32_t)bitmap[1] << 8 | (uint32_t)bitmap[2] << 16;
    return ATTEST_VERIFIED;
}

enum attest_reason tpm2_attested_read(const void *bytes, size_t size_bytes,
                                      struct tpm2_attested *out)
{
    struct cursor cursor = cursor_over(bytes, size_bytes);
    *out = (struct tpm2_attested){0};
    if (size_bytes > TPM2_QUOTE_MAX)
        return ATTEST_SIZE;
    TPM2_TAKE(take_header(&cursor, out));
    TPM2_TAKE(take_clock(&cursor, out));
    TPM2_TAKE(take_selection(&cursor, out));
    TPM2_TAKE(tpm2_take_sized(&cursor, &out->pcr_digest));
    if (out->pcr_digest.size_bytes != SHA256_BYTES)
        return ATTEST_MALFORMED;
    return cursor_left(&cursor) == 0 ? ATTEST_VERIFIED : ATTEST_SIZE;
}

/* ---- the signature ---------------------------------------------------------------------------
 */

/* Leading zeros may be left out, and none may be added. */
static bool pad(const struct tpm2_bytes *number, uint8_t out[32])
{
    if (number->size_bytes == 0 || number->size_bytes > 32)
        return false;
    memset(out, 0, 32);
    memcpy(out + 32 - number->size_bytes, number->at, number->size_bytes);
    return true;
}

/* What OpenSSL says to a signature or a key that is none is no failure of ours. */
static lethe_result judge(lethe_result result, enum attest_reason *reason)
{
    *reason = result == LETHE_OK ? ATTEST_VERIFIED : ATTEST_SIGNATURE;
    return result == LETHE_INTEGRITY || result == LETHE_MALFORMED ? LETHE_OK : result;
}

static lethe_result check_ecdsa(const struct tpm2_public *key, const struct tpm2_bytes parts[2],
                                const struct tpm2_bytes *message, struct lethe_error *err)
{
    uint8_t point[TPM2_POINT_BYTES], fixed[64];
    struct signature signature;
    CLEANUP(sign_public_free) struct sign_public *parsed = NULL;
    if (!tpm2_public_point(key, point) || !pad(&parts[0], fixed) || !pad(&parts[1], fixed + 32))
        return LETHE_MALFORMED;
    TRY(sign_public_from_raw(SIGNATURE_ECDSA_P256, point, sizeof point, &parsed, err));
    TRY(signature_from_fixed(SIGNATURE_ECDSA_P256, fixed, sizeof fixed, &signature, err));
    return sign_verify(parsed, message->at, message->size_bytes, &signature, err);
}

static lethe_result check_rsa(const struct tpm2_public *key, const struct tpm2_bytes parts[2],
                              const struct tpm2_bytes *message, struct lethe_error *err)
{
    CLEANUP(rsa_public_free) struct rsa_public *parsed = NULL;
    const struct rsa_signature signature = {key->scheme == TPM2_ALG_RSAPSS ? RSA_PSS : RSA_PKCS1,
                                            parts[0].at, parts[0].size_bytes};
    TRY(rsa_public_create(key->modulus.at, key->modulus.size_bytes, tpm2_public_exponent(key),
                          &parsed, err));
    return rsa_verify(parsed, message->at, message->size_bytes, &signature, err);
}

static const struct {
    uint16_t scheme, type;
    unsigned parts; /* numbers that it consists of */
    lethe_result (*check)(const struct tpm2_public *key, const struct tpm2_bytes parts[2],
                          const struct tpm2_bytes *message, struct lethe_error *err);
} schemes[] = {
    {TPM2_ALG_ECDSA, TPM2_ALG_ECC, 2, check_ecdsa},
    {TPM2_ALG_RSASSA, TPM2_ALG_RSA, 1, check_rsa},
    {TPM2_ALG_RSAPSS, TPM2_ALG_RSA, 1, check_rsa},
};

/* Index of the key's scheme. A restricted key has one, and signs with no other. */
static enum attest_reason find_scheme(const struct tpm2_public *key, size_t *index)
{
    for (*index = 0; *index < ARRAY_LEN(schemes); ++*index)
        if (schemes[*index].scheme == key->scheme && schemes[*index].type == key->type &&
            key->scheme_hash == TPM2_ALG_SHA256)
            return ATTEST_VERIFIED;
    return ATTEST_ALGORITHM;
}

static enum attest_reason read_signature(const struct tpm2_public *key, size_t scheme,
                                         const struct tpm2_bytes *signature,
                                         struct tpm2_bytes parts[2])
{
    struct cursor cursor = cursor_over(signature->at, signature->size_bytes);
    uint16_t algorithm, hash;
    if (signature->size_bytes > TPM2_SIGNATURE_MAX)
        return ATTEST_SIZE;
    TPM2_TAKE(tpm2_take_u16(&cursor, &algorithm));
    TPM2_TAKE(tpm2_take_u16(&cursor, &hash));
    if (algorithm != key->scheme || hash != key->scheme_hash)
        return ATTEST_ALGORITHM;
    for (unsigned i = 0; i < schemes[scheme].parts; i++)
        TPM2_TAKE(tpm2_take_sized(&cursor, &parts[i]));
    return cursor_left(&cursor) == 0 ? ATTEST_VERIFIED : ATTEST_SIZE;
}

lethe_result tpm2_signature_check(const struct tpm2_public *key, const struct tpm2_bytes *signature,
                                  const struct tpm2_bytes *message, enum attest_reason *reason,
                                  struct lethe_error *err)
{
    size_t scheme = 0;
    struct tpm2_bytes parts[2] = {0};
    *reason = find_scheme(key, &scheme);
    if (*reason == ATTEST_VERIFIED)
        *reason = read_signature(key, scheme, signature, parts);
    if (*reason != ATTEST_VERIFIED)
        return LETHE_OK;
    return judge(schemes[scheme].check(key, parts, message, err), reason);
}
