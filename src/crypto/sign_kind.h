/* crypto/sign_kind.h -- what the kinds of signature are to OpenSSL, how keys of them are made,
 * Ed25519 by libsodium, and P-384 by nettle. Not for other rooms. */
#ifndef CRYPTO_SIGN_KIND_H
#define CRYPTO_SIGN_KIND_H

#include "crypto/openssl.h"
#include "crypto/sign.h"

struct sign_kind {
    const char *name;
    const char *key_type; /* OpenSSL's */
    const char *group;    /* OpenSSL's; NULL where there is no choice */
    const char *digest;   /* NULL where the scheme brings its own */
    size_t public_bytes;
    size_t private_bytes;
    bool signs;
};
#define SIGN_KINDS 4u
extern const struct sign_kind sign_kinds[SIGN_KINDS];

struct sign_public {
    enum signature_kind kind;
    EVP_PKEY *pkey;
    uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES]; /* sign_kinds[kind].public_bytes of it */
};

struct sign_pair {
    EVP_PKEY *pkey;               /* of ECDSA */
    struct lethe_secret *ed25519; /* the seed, and the public key behind it */
    struct sign_public *public_key;
};

/* A reference to OpenSSL's key pair, to be freed; of Ed25519, made for the caller. Within
 * OPENSSL_SECRETS_IN_SCOPE. NULL: no memory. */
EVP_PKEY *sign_pair_pkey(const struct sign_pair *pair);

/* False: no kind that we know, or a curve that is spelled out. */
bool sign_kind_of(const EVP_PKEY *pkey, enum signature_kind *out);
/* LETHE_MALFORMED: of another kind than ours. */
LETHE_MUST_CHECK lethe_result sign_public_from_pkey(const EVP_PKEY *pkey, struct sign_public **out,
                                                    struct lethe_error *err);

/* ---- Ed25519 --------------------------------------------------------------------------------- */

#define ED25519_SEED_BYTES 32u
#define ED25519_PUBLIC_BYTES 32u
#define ED25519_SIGNATURE_BYTES 64u

/* Before threads use it, or at the first use. LETHE_FAILED: libsodium does not start. */
LETHE_MUST_CHECK lethe_result ed25519_start(struct lethe_error *err);
/* Any seed gives a pair: the seed, and the public key behind it. */
LETHE_MUST_CHECK lethe_result ed25519_pair(const uint8_t seed[ED25519_SEED_BYTES],
                                           struct lethe_secret **out, struct lethe_error *err);
const uint8_t *ed25519_pair_public(const struct lethe_secret *pair);
void ed25519_sign(const struct lethe_secret *pair, const void *bytes, size_t size_bytes,
                  uint8_t out[ED25519_SIGNATURE_BYTES]);
bool ed25519_verifies(const uint8_t public_key[ED25519_PUBLIC_BYTES], const void *bytes,
                      size_t size_bytes, const uint8_t signature[ED25519_SIGNATURE_BYTES]);

/* ---- P-384 ----------------------------------------------------------------------------------- */

/* LETHE_INTEGRITY, and nothing is said, when it does not fit. */
LETHE_MUST_CHECK lethe_result p384_verify(const struct sign_public *key, const void *digest,
                                          size_t digest_bytes, const struct signature *signature,
                                          struct lethe_error *err);

#endif
