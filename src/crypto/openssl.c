#include "crypto/openssl.h"

#include <pthread.h>

#include <openssl/cryptoerr.h>
#include <openssl/err.h>

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

lethe_result openssl_failed(struct lethe_error *err, lethe_result code, const char *what)
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
