#include "crypto/tpm_credential.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>

#include "crypto/openssl.h"

#define LABEL_MAX 32u

static char sha256_name[] = "SHA2-256";
static char p256_name[] = "prime256v1";

static OSSL_PARAM text(const char *name, const char *value)
{
    return OSSL_PARAM_construct_utf8_string(name, (char *)(uintptr_t)value, 0);
}

static OSSL_PARAM octets(const char *name, const void *bytes, size_t size_bytes)
{
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)(size_bytes > 0 ? bytes : ""),
                                             size_bytes);
}

static OSSL_PARAM secret_octets(const char *name, const struct lethe_secret *secret)
{
    return octets(name, lethe_secret_bytes_const(secret), lethe_secret_size(secret));
}

DEFINE_CLEANUP(EVP_KDF_free, EVP_KDF *);
DEFINE_CLEANUP(EVP_CIPHER_free, EVP_CIPHER *);

static lethe_result derive(const char *kdf, const OSSL_PARAM *parameters, struct lethe_secret *out,
                           struct lethe_error *err)
{
    CLEANUP(EVP_KDF_free) EVP_KDF *fetched = EVP_KDF_fetch(NULL, kdf, NULL);
    CLEANUP(EVP_KDF_CTX_free)
    EVP_KDF_CTX *context = fetched != NULL ? EVP_KDF_CTX_new(fetched) : NULL;
    if (context != NULL &&
        EVP_KDF_derive(context, lethe_secret_bytes(out), lethe_secret_size(out), parameters) == 1)
        return LETHE_OK;
    return openssl_failed(err, LETHE_FAILED, "deriving a key for a TPM");
}

lethe_result tpm_kdfa(const struct tpm_kdfa *input, struct lethe_secret *out,
                      struct lethe_error *err)
{
    OPENSSL_SECRETS_IN_SCOPE();
    openssl_begin();
    const OSSL_PARAM parameters[] = {
        text(OSSL_KDF_PARAM_MODE, "counter"),
        text(OSSL_KDF_PARAM_MAC, "HMAC"),
        text(OSSL_KDF_PARAM_DIGEST, sha256_name),
        secret_octets(OSSL_KDF_PARAM_KEY, input->key),
        octets(OSSL_KDF_PARAM_SALT, input->label, strlen(input->label)),
        octets(OSSL_KDF_PARAM_INFO, input->context, input->context_bytes),
        OSSL_PARAM_END,
    };
    return derive("KBKDF", parameters, out, err);
}

/* ---- KDFe ------------------------------------------------------------------------------------ */

static EVP_PKEY *pkey_of_point(const uint8_t point[TPM_POINT_BYTES])
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM parameters[] = {text(OSSL_PKEY_PARAM_GROUP_NAME, p256_name),
                               octets(OSSL_PKEY_PARAM_PUB_KEY, point, TPM_POINT_BYTES),
                               OSSL_PARAM_END};
    CLEANUP(EVP_PKEY_CTX_free) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        return NULL;
    return pkey;
}

static bool point_of(const EVP_PKEY *pkey, uint8_t point[TPM_POINT_BYTES])
{
    size_t size_bytes = 0;
    return EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point,
                                           TPM_POINT_BYTES, &size_bytes) == 1 &&
           size_bytes == TPM_POINT_BYTES;
}

static lethe_result diffie_hellman(EVP_PKEY *own, EVP_PKEY *other, struct lethe_secret *shared,
                                   struct lethe_error *err)
{
    size_t size_bytes = lethe_secret_size(shared);
    CLEANUP(EVP_PKEY_CTX_free) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
    if (context != NULL && EVP_PKEY_derive_init(context) == 1 &&
        EVP_PKEY_derive_set_peer(context, other) == 1 &&
        EVP_PKEY_derive(context, lethe_secret_bytes(shared), &size_bytes) == 1 &&
        size_bytes == TPM_COORDINATE_BYTES)
        return LETHE_OK;
    return openssl_failed(err, LETHE_FAILED, "agreeing on a key with a TPM");
}

struct kdfe_info {
    uint8_t bytes[LABEL_MAX + 1 + 2 * TPM_COORDINATE_BYTES];
    size_t size_bytes;
};

static struct kdfe_info kdfe_info(const char *label, const uint8_t *ephemeral, const uint8_t *point)
{
    struct kdfe_info info;
    size_t label_bytes = strlen(label) + 1; /* with its NUL */
    REQUIRE(label_bytes <= LABEL_MAX);
    memcpy(info.bytes, label, label_bytes);
    memcpy(info.bytes + label_bytes, ephemeral + 1, TPM_COORDINATE_BYTES);
    memcpy(info.bytes + label_bytes + TPM_COORDINATE_BYTES, point + 1, TPM_COORDINATE_BYTES);
    info.size_bytes = label_bytes + 2 * (size_t)TPM_COORDINATE_BYTES;
    return info;
}

lethe_result tpm_kdfe_agree(const uint8_t point[TPM_POINT_BYTES], const char *label,
                            uint8_t ephemeral[TPM_POINT_BYTES], struct lethe_secret *out,
                            struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *shared = NULL;
    TRY(lethe_secret_create(TPM_COORDINATE_BYTES, &shared, err));
    OPENSSL_SECRETS_IN_SCOPE();
    openssl_begin();
    CLEANUP(EVP_PKEY_free) EVP_PKEY *other = pkey_of_point(point);
    if (other == NULL)
        return openssl_failed(err, LETHE_MALFORMED, "a point that does not lie on P-256");
    CLEANUP(EVP_PKEY_free) EVP_PKEY *own = EVP_EC_gen(p256_name);
    if (own == NULL || !point_of(own, ephemeral))
        return openssl_failed(err, LETHE_FAILED, "making a key for a TPM");
    TRY(diffie_hellman(own, other, shared, err));
    const struct kdfe_info info = kdfe_info(label, ephemeral, point);
    const OSSL_PARAM parameters[] = {
        text(OSSL_KDF_PARAM_DIGEST, sha256_name), secret_octets(OSSL_KDF_PARAM_KEY, shared),
        octets(OSSL_KDF_PARAM_INFO, info.bytes, info.size_bytes), OSSL_PARAM_END};
    return derive("SSKDF", parameters, out, err);
}

/* ---- AES-128-CFB ----------------------------------------------------------------------------- */

lethe_result tpm_cfb_encrypt(const struct lethe_secret *key, const void *plain, size_t size_bytes,
                             uint8_t *cipher, struct lethe_error *err)
{
    static const uint8_t zeros[16];
    int written = 0, last = 0;
    REQUIRE(lethe_secret_size(key) == TPM_CFB_KEY_BYTES && size_bytes <= INT32_MAX);
    OPENSSL_SECRETS_IN_SCOPE();
    openssl_begin();
    CLEANUP(EVP_CIPHER_free) EVP_CIPHER *aes = EVP_CIPHER_fetch(NULL, "AES-128-CFB", NULL);
    CLEANUP(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (aes != NULL && context != NULL &&
        EVP_EncryptInit_ex2(context, aes, lethe_secret_bytes_const(key), zeros, NULL) == 1 &&
        EVP_EncryptUpdate(context, cipher, &written, plain, (int)size_bytes) == 1 &&
        EVP_EncryptFinal_ex(context, cipher + written, &last) == 1 &&
        (size_t)written + (size_t)last == size_bytes)
        return LETHE_OK;
    return openssl_failed(err, LETHE_FAILED, "encrypting for a TPM");
}
