/* crypto/sign_kind.h -- what the kinds of signature are to OpenSSL, and how keys of them are made.
 * Not for other rooms. */
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
    EVP_PKEY *pkey;
    struct sign_public *public_key;
};

/* False: no kind that we know, or a curve that is spelled out. */
bool sign_kind_of(const EVP_PKEY *pkey, enum signature_kind *out);
/* LETHE_MALFORMED: of another kind than ours. */
LETHE_MUST_CHECK lethe_result sign_public_from_pkey(const EVP_PKEY *pkey, struct sign_public **out,
                                                    struct lethe_error *err);

#endif
