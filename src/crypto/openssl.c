#include "crypto/openssl.h"

#include <pthread.h>

#include <openssl/cryptoerr.h>
#include <openssl/err.h>

const char *const openssl_digest_names[DIGEST_KIND_COUNT] = {
    [DIGEST_SHA2_224] = "SHA2-224", [DIGEST_SHA2_256] = "SHA2-256", [DIGEST_SHA2_384] = "SHA2-384",
    [DIGEST_SHA2_512] = "SHA2-512", [DIGEST_SHA3_224] = "SHA3-224", [DIGEST_SHA3_256] = "SHA3-256",
    [DIGEST_SHA3_384] = "SHA3-384", [DIGEST_SHA3_512] = "SHA3-512",
};

static struct openssl_algorithms algorithms;
static const char *missing; /* the first algorithm that could not be had */
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void fetch_all(void)
{
#define FETCH(field, type, name)                                                                   \
    do {                                                                                           \
        algorithms.field = type##_fetch(NULL, name, NULL);                                         \
        if (algorithms.field == NULL && missing == NULL)                                           \
            missing = name;                                                                        \
    } while (0)
    FETCH(sha256, EVP_MD, "SHA2-256");
    FETCH(hmac, EVP_MAC, "HMAC");
    FETCH(hkdf, EVP_KDF, "HKDF");
    FETCH(scrypt, EVP_KDF, "SCRYPT");
    FETCH(aes_128_gcm, EVP_CIPHER, "AES-128-GCM");
    FETCH(aes_256_gcm, EVP_CIPHER, "AES-256-GCM");
    FETCH(chacha20_poly1305, EVP_CIPHER, "ChaCha20-Poly1305");
    for (size_t i = 0; i < DIGEST_KIND_COUNT; i++)
        FETCH(digests[i], EVP_MD, openssl_digest_names[i]);
#undef FETCH
    ERR_clear_error();
}

lethe_result openssl_fetch(struct lethe_error *err)
{
    REQUIRE(pthread_once(&fetched, fetch_all) == 0);
    if (missing == NULL)
        return LETHE_OK;
    error_set(err, LETHE_FAILED, "OpenSSL does not offer %s", missing);
    error_hint(err, "look at the providers in openssl.cnf: `openssl list -providers`");
    return LETHE_FAILED;
}

const struct openssl_algorithms *openssl(void)
{
    REQUIRE(openssl_fetch(NULL) == LETHE_OK);
    return &algorithms;
}

static bool is_want_of_memory(unsigned long number)
{
    return ERR_GET_REASON(number) == ERR_R_MALLOC_FAILURE ||
           (ERR_GET_LIB(number) == ERR_LIB_CRYPTO &&
            ERR_GET_REASON(number) == CRYPTO_R_SECURE_MALLOC_FAILURE);
}

lethe_result(openssl_failed)(struct lethe_error *err, lethe_result code, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    if (openssl_was_starved())
        code = LETHE_NO_MEMORY;
    for (unsigned long number; (number = ERR_get_error()) != 0;)
        if (is_want_of_memory(number))
            code = LETHE_NO_MEMORY;
    if (code == LETHE_NO_MEMORY)
        return error_set(err, code, "%s: no memory for OpenSSL", what);
    return error_set(err, code, "%s: %s", what,
                     reason != NULL ? reason : "OpenSSL gives no reason");
}
