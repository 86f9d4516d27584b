#include "crypto/rsa.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "crypto/x509_openssl.h"

DEFINE_CLEANUP(BIO_free_all, BIO *);
DEFINE_CLEANUP(BN_free, BIGNUM *);
DEFINE_CLEANUP(OSSL_PARAM_BLD_free, OSSL_PARAM_BLD *);
DEFINE_CLEANUP(OSSL_PARAM_free, OSSL_PARAM *);

#define PEM_MAX ((size_t)16 << 10)

struct rsa_public {
    EVP_PKEY *pkey;
};

void rsa_public_free(struct rsa_public *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pkey);
    free(key);
}

static EVP_PKEY *pkey_of(const void *modulus, size_t modulus_bytes, uint32_t exponent)
{
    EVP_PKEY *pkey = NULL;
    CLEANUP(BN_free) BIGNUM *n = BN_bin2bn(modulus, (int)modulus_bytes, NULL);
    CLEANUP(OSSL_PARAM_BLD_free) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (n == NULL || builder == NULL ||
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
        OSSL_PARAM_BLD_push_uint32(builder, OSSL_PKEY_PARAM_RSA_E, exponent) != 1)
        return NULL;
    CLEANUP(OSSL_PARAM_free) OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    CLEANUP(EVP_PKEY_CTX_free)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    if (parameters == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        return NULL;
    return pkey;
}

lethe_result rsa_public_create(const void *modulus, size_t modulus_bytes, uint32_t exponent,
                               struct rsa_public **out, struct lethe_error *err)
{
    const uint8_t *n = modulus;
    *out = NULL;
    if (modulus_bytes < RSA_BITS_MIN / 8 || modulus_bytes > RSA_MAX_BYTES || n[0] < 0x80 ||
        (n[modulus_bytes - 1] & 1) == 0)
        return error_set(err, LETHE_MALFORMED, "no RSA modulus of %u to %u bits", RSA_BITS_MIN,
                         RSA_BITS_MAX);
    if (exponent != RSA_EXPONENT)
        return error_set(err, LETHE_MALFORMED, "an RSA exponent of %u instead of %u", exponent,
                         RSA_EXPONENT);
    CLEANUP(rsa_public_free) struct rsa_public *key = calloc(1, sizeof *key);
    if (key == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for an RSA key");
    openssl_begin();
    key->pkey = pkey_of(modulus, modulus_bytes, exponent);
    if (key->pkey == NULL)
        return openssl_failed(err, LETHE_MALFORMED, "reading an RSA key");
    *out = MOVE(key);
    return LETHE_OK;
}

static bool has_our_form(const EVP_PKEY *pkey)
{
    CLEANUP(BN_free) BIGNUM *e = NULL;
    int bits = EVP_PKEY_get_bits(pkey);
    return EVP_PKEY_is_a(pkey, "RSA") && bits >= (int)RSA_BITS_MIN && bits <= (int)RSA_BITS_MAX &&
           bits % 8 == 0 && EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
           BN_is_word(e, RSA_EXPONENT);
}

lethe_result rsa_modulus_from_pem(const char *pem, size_t size_bytes, struct buffer *modulus,
                                  struct lethe_error *err)
{
    uint8_t bytes[RSA_MAX_BYTES];
    openssl_begin();
    CLEANUP(BN_free) BIGNUM *n = NULL;
    CLEANUP(BIO_free_all)
    BIO *bio = size_bytes > PEM_MAX ? NULL : BIO_new_mem_buf(pem, (int)size_bytes);
    CLEANUP(EVP_PKEY_free)
    EVP_PKEY *pkey = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    if (pkey == NULL || !has_our_form(pkey) ||
        EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) != 1)
        return openssl_failed(err, LETHE_MALFORMED,
                              "reading the PEM of an RSA public key of 2048 to 4096 bits");
    int length = BN_bn2bin(n, bytes);
    buffer_append(modulus, bytes, (size_t)length);
    return buffer_result(modulus, err);
}

static bool prepare_to_verify(EVP_MD_CTX *context, const struct rsa_public *key,
                              enum rsa_scheme scheme)
{
    EVP_PKEY_CTX *rules; /* borrowed */
    if (context == NULL ||
        EVP_DigestVerifyInit_ex(context, &rules, "SHA2-256", NULL, NULL, key->pkey, NULL) != 1)
        return false;
    if (scheme == RSA_PKCS1)
        return EVP_PKEY_CTX_set_rsa_padding(rules, RSA_PKCS1_PADDING) == 1;
    return EVP_PKEY_CTX_set_rsa_padding(rules, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(rules, RSA_PSS_SALTLEN_AUTO) == 1;
}

lethe_result rsa_verify(const struct rsa_public *key, const void *message, size_t message_bytes,
                        const struct rsa_signature *signature, struct lethe_error *err)
{
    openssl_begin();
    CLEANUP(EVP_MD_CTX_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!prepare_to_verify(context, key, signature->scheme))
        return openssl_failed(err, LETHE_FAILED, "preparing to check a signature");
    if (EVP_DigestVerify(context, signature->bytes, signature->size_bytes, message,
                         message_bytes) == 1)
        return LETHE_OK;
    if (openssl_was_starved())
        return openssl_failed(err, LETHE_NO_MEMORY, "checking a signature");
    ERR_clear_error();
    return error_set(err, LETHE_INTEGRITY,
                     "the signature is not one of this RSA key over this content");
}

/* The context takes the label with it, and frees it. */
static bool set_label(EVP_PKEY_CTX *context, const void *label, size_t label_bytes)
{
    void *copy = OPENSSL_memdup(label, label_bytes);
    if (copy != NULL && EVP_PKEY_CTX_set0_rsa_oaep_label(context, copy, (int)label_bytes) == 1)
        return true;
    OPENSSL_free(copy);
    return false;
}

lethe_result rsa_oaep_encrypt(const struct rsa_public *key, const void *label, size_t label_bytes,
                              const struct lethe_secret *plain, struct buffer *cipher,
                              struct lethe_error *err)
{
    uint8_t sealed[RSA_MAX_BYTES];
    size_t sealed_bytes = sizeof sealed;
    OPENSSL_SECRETS_IN_SCOPE();
    openssl_begin();
    CLEANUP(EVP_PKEY_CTX_free)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    if (context == NULL || EVP_PKEY_encrypt_init(context) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_oaep_md_name(context, "SHA2-256", NULL) != 1 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md_name(context, "SHA2-256", NULL) != 1 ||
        !set_label(context, label, label_bytes) ||
        EVP_PKEY_encrypt(context, sealed, &sealed_bytes, lethe_secret_bytes_const(plain),
                         lethe_secret_size(plain)) != 1)
        return openssl_failed(err, LETHE_FAILED, "encrypting with RSA");
    buffer_append(cipher, sealed, sealed_bytes);
    return buffer_result(cipher, err);
}

lethe_result rsa_is_of_certificate(const struct rsa_public *key, const void *der, size_t size_bytes,
                                   bool *is_same, struct lethe_error *err)
{
    CLEANUP(X509_free) X509 *certificate = NULL;
    *is_same = false;
    TRY(x509_parse(der, size_bytes, &certificate, err));
    openssl_begin();
    const EVP_PKEY *theirs = X509_get0_pubkey(certificate);
    *is_same = theirs != NULL && EVP_PKEY_eq(theirs, key->pkey) == 1;
    if (!*is_same && openssl_was_starved())
        return openssl_failed(err, LETHE_NO_MEMORY, "reading a certificate's key");
    ERR_clear_error();
    return LETHE_OK;
}
