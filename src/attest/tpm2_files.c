#include "attest/tpm2_files.h"

#include <string.h>

#include <tss2/tss2_tpm2_types.h>

#include "attest/tpm2_core.h"
#include "base/error.h"
#include "crypto/rsa.h"
#include "crypto/sign.h"

#define VALUE_BYTES 32u
static const char pem_begin[] = "-----BEGIN";

lethe_result tpm2_files_pcrs(const void *quote, size_t quote_bytes, const void *values,
                             size_t values_bytes, struct tpm2_pcrs *out, struct lethe_error *err)
{
    struct tpm2_attested attested;
    struct cursor cursor = cursor_over(values, values_bytes);
    const uint8_t *value;
    *out = (struct tpm2_pcrs){0};
    if (quote_bytes > TPM2_QUOTE_MAX ||
        tpm2_attested_read(quote, quote_bytes, &attested) != ATTEST_VERIFIED)
        return LETHE_OK; /* the quote is refused for what it is */
    for (unsigned i = 0; i < ATTEST_PCRS; i++) {
        if ((attested.pcr_mask & 1u << i) == 0)
            continue;
        if (cursor_bytes(&cursor, VALUE_BYTES, &value) != LETHE_OK)
            return error_set(err, LETHE_MALFORMED, "fewer PCR values than were quoted");
        memcpy(out->values[i], value, VALUE_BYTES);
        out->mask |= 1u << i;
    }
    if (cursor_left(&cursor) == 0)
        return LETHE_OK;
    error_set(err, LETHE_MALFORMED, "more PCR values than were quoted of the SHA-256 bank");
    error_hint(err, "tpm2_quote -l sha256:... -o FILE -F values writes them");
    return LETHE_MALFORMED;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void put_u16(struct buffer *out, unsigned number)
{
    buffer_byte(out, (uint8_t)(number >> 8));
    buffer_byte(out, (uint8_t)number);
}

static void put_u32(struct buffer *out, uint32_t number)
{
    put_u16(out, number >> 16);
    put_u16(out, number & 0xffff);
}

static void put_sized(struct buffer *out, const void *bytes, size_t size_bytes)
{
    put_u16(out, (unsigned)size_bytes);
    buffer_append(out, bytes, size_bytes);
}

/* Up to its type's own parameters, without a symmetric cipher. */
static void put_beginning(struct buffer *out, unsigned type, unsigned scheme)
{
    put_u16(out, type);
    put_u16(out, TPM2_ALG_SHA256);
    put_u32(out, TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
                     TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT);
    put_u16(out, 0);
    put_u16(out, TPM2_ALG_NULL);
    put_u16(out, scheme);
    put_u16(out, TPM2_ALG_SHA256);
}

static lethe_result from_ecc(const struct sign_public *key, struct buffer *ak,
                             struct lethe_error *err)
{
    const size_t half = (TPM2_POINT_BYTES - 1) / 2;
    uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES];
    size_t raw_bytes;
    sign_public_raw(key, raw, &raw_bytes);
    if (sign_public_kind(key) != SIGNATURE_ECDSA_P256)
        return error_set(err, LETHE_MALFORMED, "the key is neither RSA nor ECDSA P-256");
    put_beginning(ak, TPM2_ALG_ECC, TPM2_ALG_ECDSA);
    put_u16(ak, TPM2_ECC_NIST_P256);
    put_u16(ak, TPM2_ALG_NULL);
    put_sized(ak, raw + 1, half);
    put_sized(ak, raw + 1 + half, half);
    return buffer_result(ak, err);
}

static unsigned rsa_scheme(const struct tpm2_key_file *file)
{
    uint16_t scheme;
    struct cursor cursor = cursor_over(file->signature, file->signature_bytes);
    bool is_pss = tpm2_take_u16(&cursor, &scheme) == ATTEST_VERIFIED && scheme == TPM2_ALG_RSAPSS;
    return is_pss ? TPM2_ALG_RSAPSS : TPM2_ALG_RSASSA;
}

static lethe_result from_pem(const struct tpm2_key_file *file, struct buffer *ak,
                             struct lethe_error *err)
{
    CLEANUP(sign_public_free) struct sign_public *key = NULL;
    CLEANUP(buffer_clear) struct buffer modulus = {0};
    if (sign_public_from_pem(file->bytes, file->size_bytes, &key, NULL) == LETHE_OK)
        return from_ecc(key, ak, err);
    TRY(rsa_modulus_from_pem(file->bytes, file->size_bytes, &modulus, err));
    put_beginning(ak, TPM2_ALG_RSA, rsa_scheme(file));
    put_u16(ak, (unsigned)modulus.size_bytes * 8);
    put_u32(ak, 0);
    put_sized(ak, modulus.bytes, modulus.size_bytes);
    return buffer_result(ak, err);
}

lethe_result tpm2_files_key(const struct tpm2_key_file *file, struct buffer *ak,
                            bool *has_attributes, struct lethe_error *err)
{
    const void *bytes = file->bytes;
    size_t size_bytes = file->size_bytes;
    struct cursor cursor = cursor_over(bytes, size_bytes);
    struct tpm2_bytes sized;
    struct tpm2_public key;
    *has_attributes = true;
    if (size_bytes > sizeof pem_begin && memcmp(bytes, pem_begin, strlen(pem_begin)) == 0) {
        *has_attributes = false;
        return from_pem(file, ak, err);
    }
    if (tpm2_take_sized(&cursor, &sized) == ATTEST_VERIFIED && cursor_left(&cursor) == 0) {
        bytes = sized.at;
        size_bytes = sized.size_bytes;
    }
    if (tpm2_public_read(bytes, size_bytes, &key) != ATTEST_VERIFIED)
        return error_set(err, LETHE_MALFORMED,
                         "the key is neither TPM2B_PUBLIC nor TPMT_PUBLIC of an RSA or P-256 key, "
                         "nor PEM");
    buffer_append(ak, bytes, size_bytes);
    return buffer_result(ak, err);
}
