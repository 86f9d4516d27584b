/* ECDSA over digests that were made elsewhere, and the other form of its signatures. */
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>

#include "crypto/sign_kind.h"

DEFINE_CLEANUP(ECDSA_SIG_free, ECDSA_SIG *);
DEFINE_CLEANUP(BN_free, BIGNUM *);

static lethe_result require_ecdsa(enum signature_kind kind, struct lethe_error *err)
{
    return sign_kinds[kind].group != NULL
               ? LETHE_OK
               : error_set(err, LETHE_INVALID, "%s signs no digests: it hashes for itself",
                           sign_kinds[kind].name);
}

lethe_result sign_digest(const struct sign_pair *pair, const void *digest, size_t digest_bytes,
                         struct signature *out, struct lethe_error *err)
{
    *out = (struct signature){.size_bytes = sizeof out->bytes};
    TRY(require_ecdsa(pair->public_key->kind, err));
    OPENSSL_SECRETS_IN_SCOPE();
    openssl_begin();
    CLEANUP(EVP_PKEY_CTX_free)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pair->pkey, NULL);
    if (context != NULL && EVP_PKEY_sign_init(context) == 1 &&
        EVP_PKEY_sign(context, out->bytes, &out->size_bytes, digest, digest_bytes) == 1)
        return LETHE_OK;
    *out = (struct signature){0};
    return openssl_failed(err, LETHE_FAILED, "signing");
}

static lethe_result does_not_fit(const struct sign_public *key, struct lethe_error *err)
{
    return error_set(err, LETHE_INTEGRITY,
                     "the signature is not one of this %s key over this digest",
                     sign_kinds[key->kind].name);
}

static lethe_result openssl_verify(const struct sign_public *key, const void *digest,
                                   size_t digest_bytes, const struct signature *signature,
                                   struct lethe_error *err)
{
    openssl_begin();
    CLEANUP(EVP_PKEY_CTX_free)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    if (context == NULL || EVP_PKEY_verify_init(context) != 1)
        return openssl_failed(err, LETHE_FAILED, "preparing to check a signature");
    if (EVP_PKEY_verify(context, signature->bytes, signature->size_bytes, digest, digest_bytes) ==
        1)
        return LETHE_OK;
    if (openssl_was_starved())
        return openssl_failed(err, LETHE_NO_MEMORY, "checking a signature");
    ERR_clear_error();
    return does_not_fit(key, err);
}

lethe_result sign_verify_digest(const struct sign_public *key, const void *digest,
                                size_t digest_bytes, const struct signature *signature,
                                struct lethe_error *err)
{
    REQUIRE(signature->size_bytes <= sizeof signature->bytes);
    TRY(require_ecdsa(key->kind, err));
    if (key->kind != SIGNATURE_ECDSA_P384)
        return openssl_verify(key, digest, digest_bytes, signature, err);
    lethe_result result = p384_verify(key, digest, digest_bytes, signature, err);
    return result == LETHE_INTEGRITY ? does_not_fit(key, err) : result;
}

/* ---- forms ----------------------------------------------------------------------------------- */

static lethe_result no_signature(enum signature_kind kind, struct lethe_error *err)
{
    if (openssl_was_starved())
        return openssl_failed(err, LETHE_NO_MEMORY, "reading a signature");
    ERR_clear_error();
    return error_set(err, LETHE_MALFORMED, "these bytes have not the form of an %s signature",
                     sign_kinds[kind].name);
}

/* Half an uncompressed point. */
static size_t field_bytes(enum signature_kind kind)
{
    return (sign_kinds[kind].public_bytes - 1) / 2;
}

static lethe_result copy_fixed(enum signature_kind kind, const void *bytes, size_t size_bytes,
                               struct signature *out, struct lethe_error *err)
{
    if (size_bytes != 64)
        return no_signature(kind, err);
    return signature_from_bytes(bytes, size_bytes, out, err);
}

/* There is one DER form of each signature: what would not be written like this is none. */
static bool is_der_of(const ECDSA_SIG *parsed, const struct signature *der)
{
    uint8_t again[SIGNATURE_MAX_BYTES + 16];
    uint8_t *at = again;
    int length = i2d_ECDSA_SIG(parsed, NULL);
    return length > 0 && (size_t)length == der->size_bytes && (size_t)length <= sizeof again &&
           i2d_ECDSA_SIG(parsed, &at) == length && memcmp(again, der->bytes, (size_t)length) == 0;
}

lethe_result signature_to_fixed(enum signature_kind kind, const struct signature *der,
                                struct signature *out, struct lethe_error *err)
{
    const uint8_t *at = der->bytes;
    size_t half = field_bytes(kind);
    openssl_begin();
    if (sign_kinds[kind].group == NULL)
        return copy_fixed(kind, der->bytes, der->size_bytes, out, err);
    *out = (struct signature){.size_bytes = 2 * half};
    CLEANUP(ECDSA_SIG_free)
    ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &at, (long)der->size_bytes);
    bool fits = parsed != NULL && is_der_of(parsed, der) &&
                !BN_is_negative(ECDSA_SIG_get0_r(parsed)) &&
                !BN_is_negative(ECDSA_SIG_get0_s(parsed)) &&
                BN_bn2binpad(ECDSA_SIG_get0_r(parsed), out->bytes, (int)half) == (int)half &&
                BN_bn2binpad(ECDSA_SIG_get0_s(parsed), out->bytes + half, (int)half) == (int)half;
    return fits ? LETHE_OK : no_signature(kind, err);
}

lethe_result signature_from_fixed(enum signature_kind kind, const void *bytes, size_t size_bytes,
                                  struct signature *out, struct lethe_error *err)
{
    size_t half = field_bytes(kind);
    openssl_begin();
    if (sign_kinds[kind].group == NULL)
        return copy_fixed(kind, bytes, size_bytes, out, err);
    *out = (struct signature){0};
    if (size_bytes != 2 * half)
        return no_signature(kind, err);
    uint8_t *at = out->bytes;
    CLEANUP(ECDSA_SIG_free) ECDSA_SIG *made = ECDSA_SIG_new();
    CLEANUP(BN_free) BIGNUM *r = BN_bin2bn(bytes, (int)half, NULL);
    CLEANUP(BN_free) BIGNUM *s = BN_bin2bn((const uint8_t *)bytes + half, (int)half, NULL);
    if (made == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(made, r, s) != 1)
        return no_signature(kind, err);
    r = s = NULL; /* moved */
    int length = i2d_ECDSA_SIG(made, &at);
    out->size_bytes = length > 0 ? (size_t)length : 0;
    return length > 0 ? LETHE_OK : no_signature(kind, err);
}
