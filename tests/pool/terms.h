/* tests/pool/terms.h -- terms of a lease, and somebody who signs them: a key whose seed is SHA-256
 * of its name. */
#ifndef TESTS_POOL_TERMS_H
#define TESTS_POOL_TERMS_H

#include "crypto/hash.h"
#include "crypto/sign.h"
#include "pool/token.h"

#define TERMS_CONSUMER "spiffe://pool.test/tenant/acme/trainer"
#define TERMS_PROVIDER "spiffe://pool.test/machine/one"

struct terms_signer {
    struct sign_pair *pair;
    struct audit_signer signer;
};

static inline lethe_result terms_signer_sign(void *context, const void *bytes, size_t size_bytes,
                                             uint8_t signature[64], struct lethe_error *err)
{
    const struct terms_signer *self = context;
    struct signature made;
    TRY(sign_message(self->pair, bytes, size_bytes, &made, err));
    memcpy(signature, made.bytes, 64);
    return LETHE_OK;
}

/* `out` stays where it is. */
static inline void terms_signer_make(const char *name, struct terms_signer *out)
{
    uint8_t seed[32], raw[SIGNATURE_PUBLIC_MAX_BYTES];
    size_t raw_bytes;
    struct lethe_secret *secret = NULL;
    sha256(name, strlen(name), seed);
    REQUIRE(lethe_secret_create(sizeof seed, &secret, NULL) == LETHE_OK);
    memcpy(lethe_secret_bytes(secret), seed, sizeof seed);
    REQUIRE(sign_pair_create(SIGNATURE_ED25519, secret, &out->pair, NULL) == LETHE_OK);
    lethe_secret_free(secret);
    out->signer = (struct audit_signer){.sign = terms_signer_sign, .context = out};
    sign_public_raw(sign_pair_public(out->pair), raw, &raw_bytes);
    memcpy(out->signer.key.public_key, raw, 32);
    snprintf(out->signer.key.name, sizeof out->signer.key.name, "%s", name);
}

static inline void terms_signer_free(struct terms_signer *signer)
{
    sign_pair_free(signer->pair);
}

static inline struct lease_terms terms_make(void)
{
    struct lease_terms terms = {.generation = 7,
                                .bytes = 32 * POOL_BLOCK_DEFAULT,
                                .block_bytes = POOL_BLOCK_DEFAULT,
                                .ttl_ms = 60000,
                                .life_ms = 3600000,
                                .issued_ms = 1795176000000,
                                .consumer = TERMS_CONSUMER,
                                .tenant = "acme",
                                .provider = TERMS_PROVIDER};
    memset(terms.lease.bytes, 0x11, sizeof terms.lease.bytes);
    memset(terms.boot_id, 0x22, sizeof terms.boot_id);
    memset(terms.nonce, 0x33, sizeof terms.nonce);
    return terms;
}

#endif
