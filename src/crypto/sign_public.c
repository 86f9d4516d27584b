#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "crypto/sign_kind.h"

#define PEM_MAX_BYTES ((size_t)4096) /* a P-521 key takes 268 */
#define POINT_UNCOMPRESSED 0x04      /* SEC 1 2.3.3 */

DEFINE_CLEANUP(BIO_free_all, BIO *);
DEFINE_CLEANUP(BN_free, BIGNUM *);

const struct sign_kind sign_kinds[SIGN_KINDS] = {
    [SIGNATURE_ED25519] = {"ed25519", "ED25519", NULL, NULL, 32, 32, true},
    [SIGNATURE_ECDSA_P256] = {"ecdsa-p256", "EC", "prime256v1", "SHA2-256", 65, 32, true},
    [SIGNATURE_ECDSA_P384] = {"ecdsa-p384", "EC", "secp384r1", "SHA2-384", 97, 48, true},
    [SIGNATURE_ECDSA_P521] = {"ecdsa-p521", "EC", "secp521r1", "SHA2-512", 133, 66, false},
};

const char *signature_kind_name(enum signature_kind kind)
{
    return (size_t)kind < ARRAY_LEN(sign_kinds) ? sign_kinds[kind].name : "unknown";
}

lethe_result signature_from_bytes(const void *bytes, size_t size_bytes, struct signature *out,
                                  struct lethe_error *err)
{
    *out = (struct signature){0};
    if (size_bytes == 0 || size_bytes > sizeof out->bytes)
        return error_set(err, LETHE_INTEGRITY, "a signature of %zu bytes instead of 1 to %zu",
                         size_bytes, sizeof out->bytes);
    memcpy(out->bytes, bytes, size_bytes);
    out->size_bytes = size_bytes;
    return LETHE_OK;
}

enum signature_kind sign_public_kind(const struct sign_public *key)
{
    return key->kind;
}

void sign_public_raw(const struct sign_public *key, uint8_t out[SIGNATURE_PUBLIC_MAX_BYTES],
                     size_t *size_bytes)
{
    *size_bytes = sign_kinds[key->kind].public_bytes;
    memcpy(out, key->raw, *size_bytes);
}

void sign_public_free(struct sign_public *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pkey);
    free(key);
}

/* OpenSSL checks that the point lies on the curve. */
static EVP_PKEY *pkey_from_raw(const struct sign_kind *kind, const uint8_t *raw)
{
    if (kind->group == NULL)
        return EVP_PKEY_new_raw_public_key_ex(NULL, kind->key_type, NULL, raw, kind->public_bytes);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t)kind->group,
                                         0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)raw,
                                          kind->public_bytes),
        OSSL_PARAM_END,
    };
    EVP_PKEY *pkey = NULL;
    CLEANUP(EVP_PKEY_CTX_free)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind->key_type, NULL);
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        return NULL;
    return pkey;
}

lethe_result sign_public_from_raw(enum signature_kind kind, const void *bytes, size_t size_bytes,
                                  struct sign_public **out, struct lethe_error *err)
{
    *out = NULL;
    REQUIRE((size_t)kind < ARRAY_LEN(sign_kinds));
    const struct sign_kind *k = &sign_kinds[kind];
    const uint8_t *raw = bytes;
    if (size_bytes != k->public_bytes)
        return error_set(err, LETHE_MALFORMED, "an %s public key of %zu bytes instead of %zu",
                         k->name, size_bytes, k->public_bytes);
    if (k->group != NULL && raw[0] != POINT_UNCOMPRESSED)
        return error_set(err, LETHE_MALFORMED, "the %s public key is not an uncompressed point",
                         k->name);
    CLEANUP(sign_public_free) struct sign_public *key = calloc(1, sizeof *key);
    if (key == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a public key");
    key->kind = kind;
    memcpy(key->raw, raw, size_bytes);
    openssl_begin();
    key->pkey = pkey_from_raw(k, raw);
    if (key->pkey == NULL)
        return openssl_failed(err, LETHE_MALFORMED, "these bytes are no public key");
    *out = MOVE(key);
    return LETHE_OK;
}

static lethe_result does_not_fit(const struct sign_public *key, struct lethe_error *err)
{
    return error_set(err, LETHE_INTEGRITY,
                     "the signature is not one of this %s key over this content",
                     sign_kinds[key->kind].name);
}

static lethe_result p384_verify_message(const struct sign_public *key, const void *bytes,
                                        size_t size_bytes, const struct signature *signature,
                                        struct lethe_error *err)
{
    uint8_t hash[DIGEST_MAX_BYTES];
    if (digest_compute(DIGEST_SHA2_384, bytes, size_bytes, hash) != LETHE_OK)
        return error_set(err, LETHE_NO_MEMORY, "no memory to hash what is signed");
    lethe_result result = p384_verify(key, hash, digest_bytes(DIGEST_SHA2_384), signature, err);
    return result == LETHE_INTEGRITY ? does_not_fit(key, err) : result;
}

static lethe_result ecdsa_verify(const struct sign_public *key, const void *bytes,
                                 size_t size_bytes, const struct signature *signature,
                                 struct lethe_error *err)
{
    const char *digest = sign_kinds[key->kind].digest;
    openssl_begin();
    CLEANUP(EVP_MD_CTX_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL ||
        EVP_DigestVerifyInit_ex(context, NULL, digest, NULL, NULL, key->pkey, NULL) != 1)
        return openssl_failed(err, LETHE_FAILED, "preparing to check a signature");
    int fits =
        EVP_DigestVerify(context, signature->bytes, signature->size_bytes, bytes, size_bytes);
    if (fits == 1)
        return LETHE_OK;
    if (openssl_was_starved())
        return openssl_failed(err, LETHE_NO_MEMORY, "checking a signature");
    ERR_clear_error();
    return does_not_fit(key, err);
}

lethe_result sign_verify(const struct sign_public *key, const void *bytes, size_t size_bytes,
                         const struct signature *signature, struct lethe_error *err)
{
    REQUIRE(signature->size_bytes <= sizeof signature->bytes);
    if (key->kind == SIGNATURE_ECDSA_P384)
        return p384_verify_message(key, bytes, size_bytes, signature, err);
    if (key->kind != SIGNATURE_ED25519)
        return ecdsa_verify(key, bytes, size_bytes, signature, err);
    bool fits = signature->size_bytes == ED25519_SIGNATURE_BYTES &&
                ed25519_verifies(key->raw, bytes, size_bytes, signature->bytes);
    return fits ? LETHE_OK : does_not_fit(key, err);
}

/* ---- PEM ------------------------------------------------------------------------------------- */

lethe_result sign_public_pem(const struct sign_public *key, struct buffer *out,
                             struct lethe_error *err)
{
    char *text;
    openssl_begin();
    CLEANUP(BIO_free_all) BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL || PEM_write_bio_PUBKEY(bio, key->pkey) != 1)
        return openssl_failed(err, LETHE_NO_MEMORY, "writing a public key as PEM");
    long length = BIO_get_mem_data(bio, &text);
    buffer_append(out, text, (size_t)length);
    return buffer_result(out, err);
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/' || c == '=';
}

/* One block with nothing before it, and white space behind it. OpenSSL's reader would pass over
 * control characters at the end of a line, and over all that follows a '-' within one. */
static bool is_one_block(const char *pem, size_t size_bytes)
{
    static const char begin[] = "-----BEGIN " PEM_STRING_PUBLIC "-----";
    static const char end[] = "-----END " PEM_STRING_PUBLIC "-----";
    if (size_bytes > PEM_MAX_BYTES || size_bytes < sizeof begin ||
        memcmp(pem, begin, sizeof begin - 1) != 0)
        return false;
    const char *at = pem + sizeof begin - 1;
    const char *behind = pem + size_bytes;
    while (at < behind && (is_base64(*at) || is_white(*at)))
        at++;
    if ((size_t)(behind - at) < sizeof end - 1 || memcmp(at, end, sizeof end - 1) != 0)
        return false;
    at += sizeof end - 1;
    while (at < behind && is_white(*at))
        at++;
    return at == behind;
}

/* NULL for anything else than one block. */
static EVP_PKEY *pkey_from_pem(const char *pem, size_t size_bytes)
{
    if (!is_one_block(pem, size_bytes))
        return NULL;
    CLEANUP(BIO_free_all) BIO *bio = BIO_new_mem_buf(pem, (int)size_bytes);
    return bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
}

bool sign_kind_of(const EVP_PKEY *pkey, enum signature_kind *out)
{
    char group[64] = "";
    int is_spelled_out = 0; /* RFC 5480 2.1.1: a curve must be named (CVE-2020-0601 shows why) */
    (void)EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                                 &is_spelled_out);
    if (is_spelled_out)
        return false;
    (void)EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL);
    for (size_t i = 0; i < ARRAY_LEN(sign_kinds); i++) {
        *out = (enum signature_kind)i;
        if (EVP_PKEY_is_a(pkey, sign_kinds[i].key_type) &&
            (sign_kinds[i].group == NULL || strcmp(group, sign_kinds[i].group) == 0))
            return true;
    }
    return false;
}

/* SEC 1 2.3.3, whatever form the point had in the PEM. */
static bool write_point(const EVP_PKEY *pkey, const struct sign_kind *kind, uint8_t *raw)
{
    int coordinate_bytes = (int)(kind->public_bytes - 1) / 2;
    CLEANUP(BN_free) BIGNUM *x = NULL;
    CLEANUP(BN_free) BIGNUM *y = NULL;
    raw[0] = POINT_UNCOMPRESSED;
    return EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_EC_PUB_X, &x) == 1 &&
           EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, &y) == 1 &&
           BN_bn2binpad(x, raw + 1, coordinate_bytes) == coordinate_bytes &&
           BN_bn2binpad(y, raw + 1 + coordinate_bytes, coordinate_bytes) == coordinate_bytes;
}

static bool understand(const EVP_PKEY *pkey, enum signature_kind *kind, uint8_t *raw)
{
    size_t raw_bytes = SIGNATURE_PUBLIC_MAX_BYTES;
    return pkey != NULL && sign_kind_of(pkey, kind) &&
           (sign_kinds[*kind].group != NULL
                ? write_point(pkey, &sign_kinds[*kind], raw)
                : EVP_PKEY_get_raw_public_key(pkey, raw, &raw_bytes) == 1);
}

static lethe_result public_from(const EVP_PKEY *pkey, const char *expected,
                                struct sign_public **out, struct lethe_error *err)
{
    *out = NULL;
    uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES];
    enum signature_kind kind;
    bool understood = understand(pkey, &kind, raw);
    if (!understood && openssl_was_starved())
        return openssl_failed(err, LETHE_NO_MEMORY, "reading a public key");
    ERR_clear_error();
    if (!understood)
        return error_set(err, LETHE_MALFORMED, "%s", expected);
    return sign_public_from_raw(kind, raw, sign_kinds[kind].public_bytes, out, err);
}

lethe_result sign_public_from_pkey(const EVP_PKEY *pkey, struct sign_public **out,
                                   struct lethe_error *err)
{
    openssl_begin();
    return public_from(pkey, "expected an Ed25519 or ECDSA P-256, P-384 or P-521 public key", out,
                       err);
}

lethe_result sign_public_from_pem(const char *pem, size_t size_bytes, struct sign_public **out,
                                  struct lethe_error *err)
{
    openssl_begin();
    CLEANUP(EVP_PKEY_free) EVP_PKEY *pkey = pkey_from_pem(pem, size_bytes);
    return public_from(pkey,
                       "expected the PEM of one Ed25519 or ECDSA P-256, P-384 or P-521 public key "
                       "(-----BEGIN PUBLIC KEY-----)",
                       out, err);
}
