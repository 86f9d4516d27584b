/* Public areas of keys (TCG, Library part 2, 12.2): read whole, with nothing left over. */
#include <string.h>

#include <tss2/tss2_tpm2_types.h>

#include "attest/tpm2_core.h"
#include "base/error.h"
#include "crypto/hash.h"
#include "crypto/rsa.h"

enum attest_reason tpm2_take_u16(struct cursor *cursor, uint16_t *out)
{
    return cursor_be16(cursor, out) == LETHE_OK ? ATTEST_VERIFIED : ATTEST_SIZE;
}

enum attest_reason tpm2_take_u32(struct cursor *cursor, uint32_t *out)
{
    return cursor_be32(cursor, out) == LETHE_OK ? ATTEST_VERIFIED : ATTEST_SIZE;
}

enum attest_reason tpm2_take_sized(struct cursor *cursor, struct tpm2_bytes *out)
{
    uint16_t size_bytes;
    TPM2_TAKE(tpm2_take_u16(cursor, &size_bytes));
    out->size_bytes = size_bytes;
    return cursor_bytes(cursor, size_bytes, &out->at) == LETHE_OK ? ATTEST_VERIFIED : ATTEST_SIZE;
}

/* TPMT_SYM_DEF_OBJECT: of AES alone, which is what a storage key may have. */
static enum attest_reason take_symmetric(struct cursor *cursor, struct tpm2_public *out)
{
    TPM2_TAKE(tpm2_take_u16(cursor, &out->symmetric));
    if (out->symmetric == TPM2_ALG_NULL)
        return ATTEST_VERIFIED;
    if (out->symmetric != TPM2_ALG_AES)
        return ATTEST_ALGORITHM;
    TPM2_TAKE(tpm2_take_u16(cursor, &out->symmetric_bits));
    return tpm2_take_u16(cursor, &out->symmetric_mode);
}

/* TPMT_ASYM_SCHEME: the schemes that consist of a hash, or of nothing. */
static enum attest_reason take_scheme(struct cursor *cursor, struct tpm2_public *out)
{
    TPM2_TAKE(tpm2_take_u16(cursor, &out->scheme));
    switch (out->scheme) {
    case TPM2_ALG_NULL:
        return ATTEST_VERIFIED;
    case TPM2_ALG_RSASSA:
    case TPM2_ALG_RSAPSS:
    case TPM2_ALG_ECDSA:
        return tpm2_take_u16(cursor, &out->scheme_hash);
    default:
        return ATTEST_ALGORITHM;
    }
}

static enum attest_reason take_rsa(struct cursor *cursor, struct tpm2_public *out)
{
    TPM2_TAKE(take_symmetric(cursor, out));
    TPM2_TAKE(take_scheme(cursor, out));
    TPM2_TAKE(tpm2_take_u16(cursor, &out->rsa_bits));
    TPM2_TAKE(tpm2_take_u32(cursor, &out->rsa_exponent));
    TPM2_TAKE(tpm2_take_sized(cursor, &out->modulus));
    return out->modulus.size_bytes == out->rsa_bits / 8u ? ATTEST_VERIFIED : ATTEST_MALFORMED;
}

static enum attest_reason take_ecc(struct cursor *cursor, struct tpm2_public *out)
{
    TPM2_TAKE(take_symmetric(cursor, out));
    TPM2_TAKE(take_scheme(cursor, out));
    TPM2_TAKE(tpm2_take_u16(cursor, &out->curve));
    TPM2_TAKE(tpm2_take_u16(cursor, &out->kdf));
    if (out->curve != TPM2_ECC_NIST_P256 || out->kdf != TPM2_ALG_NULL)
        return ATTEST_ALGORITHM;
    TPM2_TAKE(tpm2_take_sized(cursor, &out->x));
    return tpm2_take_sized(cursor, &out->y);
}

enum attest_reason tpm2_public_read(const void *bytes, size_t size_bytes, struct tpm2_public *out)
{
    struct cursor cursor = cursor_over(bytes, size_bytes);
    *out = (struct tpm2_public){0};
    if (size_bytes > TPM2_PUBLIC_MAX)
        return ATTEST_SIZE;
    TPM2_TAKE(tpm2_take_u16(&cursor, &out->type));
    TPM2_TAKE(tpm2_take_u16(&cursor, &out->name_alg));
    TPM2_TAKE(tpm2_take_u32(&cursor, &out->attributes));
    TPM2_TAKE(tpm2_take_sized(&cursor, &out->policy));
    if (out->name_alg != TPM2_ALG_SHA256 ||
        (out->type != TPM2_ALG_RSA && out->type != TPM2_ALG_ECC))
        return ATTEST_ALGORITHM;
    if (out->policy.size_bytes != 0 && out->policy.size_bytes != SHA256_BYTES)
        return ATTEST_MALFORMED;
    TPM2_TAKE(out->type == TPM2_ALG_RSA ? take_rsa(&cursor, out) : take_ecc(&cursor, out));
    return cursor_left(&cursor) == 0 ? ATTEST_VERIFIED : ATTEST_SIZE;
}

bool tpm2_public_is_ak(const struct tpm2_public *public_area)
{
    const uint32_t needed = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                            TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_RESTRICTED |
                            TPMA_OBJECT_SIGN_ENCRYPT;
    return (public_area->attributes & (needed | TPMA_OBJECT_DECRYPT)) == needed;
}

bool tpm2_public_point(const struct tpm2_public *public_area, uint8_t out[TPM2_POINT_BYTES])
{
    const size_t half = (TPM2_POINT_BYTES - 1) / 2;
    const struct tpm2_bytes x = public_area->x, y = public_area->y;
    if (public_area->type != TPM2_ALG_ECC || x.size_bytes == 0 || x.size_bytes > half ||
        y.size_bytes == 0 || y.size_bytes > half)
        return false;
    memset(out, 0, TPM2_POINT_BYTES);
    out[0] = 0x04; /* SEC 1 2.3.3 */
    memcpy(out + 1 + half - x.size_bytes, x.at, x.size_bytes);
    memcpy(out + 1 + 2 * half - y.size_bytes, y.at, y.size_bytes);
    return true;
}

uint32_t tpm2_public_exponent(const struct tpm2_public *public_area)
{
    return public_area->rsa_exponent != 0 ? public_area->rsa_exponent : RSA_EXPONENT;
}

lethe_result tpm2_key_name(const void *public_area, size_t size_bytes, uint8_t out[TPM2_NAME_BYTES],
                           struct lethe_error *err)
{
    struct tpm2_public parsed;
    enum attest_reason reason = tpm2_public_read(public_area, size_bytes, &parsed);
    if (reason != ATTEST_VERIFIED)
        return error_set(err, LETHE_MALFORMED, "no public area of a TPM's RSA or P-256 key: %s",
                         attest_reason_sentence(reason));
    out[0] = TPM2_ALG_SHA256 >> 8;
    out[1] = TPM2_ALG_SHA256 & 0xff;
    sha256(public_area, size_bytes, out + 2);
    return LETHE_OK;
}

lethe_result tpm2_check_ak(const void *public_area, size_t size_bytes, struct lethe_error *err)
{
    struct tpm2_public parsed;
    enum attest_reason reason = tpm2_public_read(public_area, size_bytes, &parsed);
    if (reason == ATTEST_VERIFIED && !tpm2_public_is_ak(&parsed))
        reason = ATTEST_KEY_ATTRIBUTES;
    if (reason == ATTEST_VERIFIED)
        return LETHE_OK;
    error_set(err, LETHE_DENIED, "this is no attestation key: %s", attest_reason_sentence(reason));
    error_hint(err, "a restricted signing key, fixed to its TPM and made in it: tpm2_createak "
                    "makes one");
    return LETHE_DENIED;
}
