/* Private keys as PEM. What OpenSSL copies on the way lies in its secure heap. */
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "crypto/x509_openssl.h"

#define PRIVATE_PEM_MAX ((size_t)4096)

DEFINE_CLEANUP(BIO_free_all, BIO *);
DEFINE_CLEANUP(BN_clear_free, BIGNUM *);

/* ---- writing --------------------------------------------------------------------------------- */

static int write_pem(BIO *bio, const struct sign_pair *pair, bool traditional)
{
    CLEANUP(EVP_PKEY_free) EVP_PKEY *pkey = sign_pair_pkey(pair);
    bool is_ecdsa = sign_kinds[sign_public_kind(sign_pair_public(pair))].group != NULL;
    if (pkey == NULL)
        return 0;
    return traditional && is_ecdsa
               ? PEM_write_bio_PrivateKey_traditional(bio, pkey, NULL, NULL, 0, NULL, NULL)
               : PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
}

lethe_result x509_private_pem(const struct sign_pair *pair, bool traditional,
                              struct lethe_secret **out, struct lethe_error *err)
{
    char *text;
    *out = NULL;
    OPENSSL_SECRETS_IN_SCOPE();
    openssl_begin();
    CLEANUP(BIO_free_all) BIO *bio = BIO_new(BIO_s_secmem());
    if (bio == NULL || write_pem(bio, pair, traditional) != 1)
        return openssl_failed(err, LETHE_FAILED, "writing a private key as PEM");
    long length = BIO_get_mem_data(bio, &text);
    TRY(lethe_secret_create((size_t)length, out, err));
    memcpy(lethe_secret_bytes(*out), text, (size_t)length);
    return LETHE_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int no_password(char *out, int capacity, int is_writing, void *context)
{
    (void)out, (void)capacity, (void)is_writing, (void)context;
    return -1;
}

static bool copy_scalar(const EVP_PKEY *pkey, uint8_t *out, size_t size_bytes)
{
    CLEANUP(BN_clear_free) BIGNUM *scalar = BN_secure_new();
    return scalar != NULL && EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) == 1 &&
           BN_bn2binpad(scalar, out, (int)size_bytes) == (int)size_bytes;
}

static bool copy_private(const EVP_PKEY *pkey, enum signature_kind kind, struct lethe_secret *out)
{
    size_t size_bytes = lethe_secret_size(out);
    if (sign_kinds[kind].group != NULL)
        return copy_scalar(pkey, lethe_secret_bytes(out), size_bytes);
    return EVP_PKEY_get_raw_private_key(pkey, lethe_secret_bytes(out), &size_bytes) == 1 &&
           size_bytes == lethe_secret_size(out);
}

static lethe_result pair_from(const EVP_PKEY *pkey, struct sign_pair **out, struct lethe_error *err)
{
    static const char expected[] = "expected one Ed25519, ECDSA P-256 or P-384 private key in PEM, "
                                   "without a passphrase";
    enum signature_kind kind;
    bool understood = pkey != NULL && sign_kind_of(pkey, &kind) && sign_kinds[kind].signs;
    if (!understood && openssl_was_starved())
        return openssl_failed(err, LETHE_NO_MEMORY, "reading a private key");
    ERR_clear_error();
    if (!understood)
        return error_set(err, LETHE_MALFORMED, "%s", expected);
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    TRY(lethe_secret_create(sign_kinds[kind].private_bytes, &secret, err));
    if (!copy_private(pkey, kind, secret))
        return openssl_failed(err, LETHE_MALFORMED, "reading a private key");
    return sign_pair_create(kind, secret, out, err);
}

lethe_result x509_private_from_pem(const struct lethe_secret *pem, struct sign_pair **out,
                                   struct lethe_error *err)
{
    *out = NULL;
    size_t size_bytes = lethe_secret_size(pem);
    if (size_bytes > PRIVATE_PEM_MAX)
        return error_set(err, LETHE_MALFORMED, "a private key of %zu bytes; at most %zu",
                         size_bytes, PRIVATE_PEM_MAX);
    OPENSSL_SECRETS_IN_SCOPE();
    openssl_begin();
    CLEANUP(BIO_free_all)
    BIO *bio = BIO_new_mem_buf(lethe_secret_bytes_const(pem), (int)size_bytes);
    CLEANUP(EVP_PKEY_free)
    EVP_PKEY *pkey = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    return pair_from(pkey, out, err);
}
