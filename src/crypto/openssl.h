/* crypto/openssl.h -- what the files of this room share about OpenSSL. Not for other rooms. */
#ifndef CRYPTO_OPENSSL_H
#define CRYPTO_OPENSSL_H

#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "base/error.h"
#include "crypto/digest.h"

/* Fetched once and kept: looking an algorithm up costs more than hashing a short message. */
struct openssl_algorithms {
    EVP_MD *sha256;
    EVP_MAC *hmac;
    EVP_KDF *hkdf;
    EVP_KDF *scrypt;
    EVP_CIPHER *aes_128_gcm;
    EVP_CIPHER *aes_256_gcm;
    EVP_CIPHER *chacha20_poly1305;
    EVP_MD *digests[DIGEST_KIND_COUNT];
};
extern const char *const openssl_digest_names[DIGEST_KIND_COUNT];

/* LETHE_FAILED names an algorithm that this OpenSSL, as configured, does not have. */
LETHE_MUST_CHECK lethe_result openssl_fetch(struct lethe_error *err);
/* The same, for code that comes after crypto_start(): missing algorithms abort. */
const struct openssl_algorithms *openssl(void);

/* While a variable of this macro is in scope, what OpenSSL allocates on this thread comes from its
 * secure heap (up to OPENSSL_SECRET_BLOCK_MAX bytes a block), so that every copy of a key that it
 * makes is locked and left out of core files: by itself it does so for a few kinds of key only.
 * When the outermost ends, the stack below is wiped. Scopes nest. Without crypto_start() the heap
 * is the ordinary one. */
#define OPENSSL_SECRETS_IN_SCOPE()                                                                 \
    __attribute__((unused)) CLEANUP(openssl_secrets_leave) unsigned openssl_secrets_scope =        \
        openssl_secrets_enter()
#define OPENSSL_SECRET_BLOCK_MAX ((size_t)16 << 10)
unsigned openssl_secrets_enter(void);
void openssl_secrets_leave(unsigned depth);
DEFINE_CLEANUP(openssl_secrets_leave, unsigned);

/* Installs what the above needs, and makes every block that OpenSSL frees wiped. False when OpenSSL
 * has been in use already. */
bool openssl_guard_memory(void);

/* OpenSSL does not always say that memory was what it lacked: a signature that could not be checked
 * then looks like a forged one. Between the two, on this thread, allocations are watched. */
void openssl_begin(void);
bool openssl_was_starved(void);

/* Says why a call of OpenSSL failed ("<what>: <reason>") and empties this thread's queue of
 * reasons. Gives `code`, or LETHE_NO_MEMORY when that was the reason. */
lethe_result openssl_failed(struct lethe_error *err, lethe_result code, const char *what);
#define openssl_failed(...) error_not_ok(openssl_failed(__VA_ARGS__))

DEFINE_CLEANUP(EVP_MD_CTX_free, EVP_MD_CTX *);
DEFINE_CLEANUP(EVP_CIPHER_CTX_free, EVP_CIPHER_CTX *);
DEFINE_CLEANUP(EVP_MAC_CTX_free, EVP_MAC_CTX *);
DEFINE_CLEANUP(EVP_KDF_CTX_free, EVP_KDF_CTX *);
DEFINE_CLEANUP(EVP_PKEY_CTX_free, EVP_PKEY_CTX *);
DEFINE_CLEANUP(EVP_PKEY_free, EVP_PKEY *);

#endif
