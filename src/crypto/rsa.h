/* crypto/rsa.h -- RSA with other people's public keys: checking signatures, encrypting (RFC 8017).
 *
 * For hardware that has no elliptic curves, or signs with RSA by default. We make no RSA keys.
 * Thread rule: a key may be used by many threads at once, but for create and free. */
#ifndef CRYPTO_RSA_H
#define CRYPTO_RSA_H

#include "base/buffer.h"
#include "mem/slab.h"

#define RSA_BITS_MIN 2048u
#define RSA_BITS_MAX 4096u
#define RSA_EXPONENT 65537u /* the only one that is taken */
#define RSA_MAX_BYTES (RSA_BITS_MAX / 8)

struct rsa_public;
/* The modulus is big-endian, with its highest bit set. LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result rsa_public_create(const void *modulus, size_t modulus_bytes,
                                                uint32_t exponent, struct rsa_public **out,
                                                struct lethe_error *err);
void rsa_public_free(struct rsa_public *key); /* NULL is fine */
DEFINE_CLEANUP(rsa_public_free, struct rsa_public *);

/* Of SubjectPublicKeyInfo as PEM, with our exponent and size: appends it, big-endian.
 * LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result rsa_modulus_from_pem(const char *pem, size_t size_bytes,
                                                   struct buffer *modulus, struct lethe_error *err);

/* With SHA-256; the salt of PSS may have any length. LETHE_INTEGRITY. */
enum rsa_scheme { RSA_PKCS1, RSA_PSS };
struct rsa_signature {
    enum rsa_scheme scheme;
    const void *bytes;
    size_t size_bytes;
};
LETHE_MUST_CHECK lethe_result rsa_verify(const struct rsa_public *key, const void *message,
                                         size_t message_bytes,
                                         const struct rsa_signature *signature,
                                         struct lethe_error *err);

/* RSAES-OAEP with SHA-256 and this label; appends as many bytes as the modulus has. */
LETHE_MUST_CHECK lethe_result rsa_oaep_encrypt(const struct rsa_public *key, const void *label,
                                               size_t label_bytes, const struct lethe_secret *plain,
                                               struct buffer *cipher, struct lethe_error *err);

/* Whether a certificate (DER) is of this key; nothing else of it is looked at. LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result rsa_is_of_certificate(const struct rsa_public *key, const void *der,
                                                    size_t size_bytes, bool *is_same,
                                                    struct lethe_error *err);

#endif
