/* crypto/openssl.h -- what the files of this room share about OpenSSL. Not for other rooms. */
#ifndef CRYPTO_OPENSSL_H
#define CRYPTO_OPENSSL_H

#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "base/error.h"

/* Fetched once and kept: looking an algorithm up costs more than hashing a short message. */
struct openssl_algorithms {
    EVP_MD *sha256;
    EVP_MAC *hmac;
    EVP_KDF *hkdf;
    EVP_KDF *scrypt;
    EVP_CIPHER *aes_128_gcm;
    EVP_CIPHER *aes_256_gcm;
};

/* LETHE_FAILED names an algorithm that this OpenSSL, as configured, does not have. */
LETHE_MUST_CHECK lethe_result openssl_fetch(struct lethe_error *err);
/* The same, for code that comes after crypto_start(): missing algorithms abort. */
const struct openssl_algorithms *openssl(void);

/* Says why a call of OpenSSL failed ("<what>: <reason>") and empties this thread's queue of
 * reasons. Gives `code`, or LETHE_NO_MEMORY when that was the reason. */
lethe_result openssl_failed(struct lethe_error *err, lethe_result code, const char *what);

DEFINE_CLEANUP(EVP_MD_CTX_free, EVP_MD_CTX *);
DEFINE_CLEANUP(EVP_CIPHER_CTX_free, EVP_CIPHER_CTX *);
DEFINE_CLEANUP(EVP_MAC_CTX_free, EVP_MAC_CTX *);
DEFINE_CLEANUP(EVP_KDF_CTX_free, EVP_KDF_CTX *);
DEFINE_CLEANUP(EVP_PKEY_CTX_free, EVP_PKEY_CTX *);
DEFINE_CLEANUP(EVP_PKEY_free, EVP_PKEY *);

#endif
