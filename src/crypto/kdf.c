#include <openssl/core_names.h>

#include "crypto/hash.h"
#include "crypto/openssl.h"

static const struct {
    const char *name;
    size_t size_bytes;
} hashes[] = {
    [HKDF_SHA256] = {"SHA2-256", 32},
    [HKDF_SHA512] = {"SHA2-512", 64},
    [HKDF_SHA1] = {"SHA1", 20},
};

/* OpenSSL's parameters are not const, but only read here; it takes no NULL for an empty value. */
static OSSL_PARAM bytes_parameter(const char *name, const void *bytes, size_t size_bytes)
{
    const void *value = size_bytes > 0 ? bytes : "";
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)value, size_bytes);
}

static lethe_result derive(EVP_KDF *kdf, const OSSL_PARAM *parameters, uint8_t *out,
                           size_t out_bytes, struct lethe_error *err)
{
    OPENSSL_SECRETS_IN_SCOPE();
    openssl_begin();
    CLEANUP(EVP_KDF_CTX_free) EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    if (context != NULL && EVP_KDF_derive(context, out, out_bytes, parameters) == 1)
        return LETHE_OK;
    lethe_wipe(out, out_bytes);
    return openssl_failed(err, LETHE_FAILED, "deriving a key");
}

lethe_result hkdf(const struct hkdf_input *input, uint8_t *out, size_t out_bytes,
                  struct lethe_error *err)
{
    REQUIRE((size_t)input->hash < ARRAY_LEN(hashes));
    if (input->key_bytes == 0)
        return error_set(err, LETHE_INVALID, "HKDF from an empty key");
    if (out_bytes == 0 || out_bytes > 255 * hashes[input->hash].size_bytes)
        return error_set(err, LETHE_INVALID, "%zu bytes from HKDF with %s instead of 1 to %zu",
                         out_bytes, hashes[input->hash].name, 255 * hashes[input->hash].size_bytes);
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                         (char *)(uintptr_t)hashes[input->hash].name, 0),
        bytes_parameter(OSSL_KDF_PARAM_KEY, input->key, input->key_bytes),
        bytes_parameter(OSSL_KDF_PARAM_SALT, input->salt, input->salt_bytes),
        bytes_parameter(OSSL_KDF_PARAM_INFO, input->info, input->info_bytes),
        OSSL_PARAM_END,
    };
    return derive(openssl()->hkdf, parameters, out, out_bytes, err);
}

/* A cost comes from a file: a wrong one must not take all memory of the machine. */
static lethe_result check_cost(const struct scrypt_input *input, struct lethe_error *err)
{
    bool in_range = input->log2_n >= 1 && input->log2_n <= SCRYPT_LOG2_N_MAX && input->r >= 1 &&
                    input->r <= SCRYPT_R_MAX && input->p >= 1 && input->p <= SCRYPT_P_MAX;
    if (in_range && ((uint64_t)128 * input->r << input->log2_n) <= SCRYPT_MEMORY_MAX)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID,
                     "scrypt's cost is log2(N) %u, r %u, p %u instead of at most %u, %u, %u and "
                     "4 GiB",
                     input->log2_n, input->r, input->p, SCRYPT_LOG2_N_MAX, SCRYPT_R_MAX,
                     SCRYPT_P_MAX);
}

lethe_result scrypt(const struct scrypt_input *input, struct lethe_secret *out,
                    struct lethe_error *err)
{
    TRY(check_cost(input, err));
    uint64_t n = (uint64_t)1 << input->log2_n, r = input->r, p = input->p;
    uint64_t memory_max_bytes = 128 * r * (n + p + 2); /* RFC 7914 2: V, B, and the work space */
    OSSL_PARAM parameters[] = {
        bytes_parameter(OSSL_KDF_PARAM_PASSWORD, lethe_secret_bytes_const(input->passphrase),
                        lethe_secret_size(input->passphrase)),
        bytes_parameter(OSSL_KDF_PARAM_SALT, input->salt, input->salt_bytes),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_R, &r),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_P, &p),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory_max_bytes),
        OSSL_PARAM_END,
    };
    return derive(openssl()->scrypt, parameters, lethe_secret_bytes(out), lethe_secret_size(out),
                  err);
}
