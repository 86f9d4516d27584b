/* tests/model/test_keys.h -- a key source that lives in memory: a test fixture, and nothing that
 * a product could use (its keys are the same for everyone who knows the seed). The cryptography is
 * real, so what it refuses is refused for the right reason. */
#ifndef TESTS_MODEL_TEST_KEYS_H
#define TESTS_MODEL_TEST_KEYS_H

#include "check.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/crypto.h"
#include "model/key_source.h"

#define TEST_WRAPPED_BYTES (AEAD_NONCE_BYTES + AEAD_KEY_BYTES + AEAD_TAG_BYTES)

struct test_keys {
    struct key_source source; /* what the tested code gets */
    struct aead_key *wrapping;
    struct sign_pair *pair;
    lethe_result answer; /* of wrap, unwrap and sign, when it is not LETHE_OK */
    unsigned wrapped;    /* calls that gave a key */
    unsigned unwrapped;
    unsigned rotations; /* how often the key was rotated: the newest version is one more */
};

static inline lethe_result test_ensure(void *context, const char *key, struct lethe_error *err)
{
    return LETHE_OK;
}

static inline struct aead_message test_message(const struct key_use *use, const uint8_t *nonce,
                                               const void *in, void *out)
{
    return (struct aead_message){.nonce = nonce,
                                 .aad = use->aad,
                                 .aad_bytes = use->aad_bytes,
                                 .in = in,
                                 .out = out,
                                 .size_bytes = AEAD_KEY_BYTES};
}

static inline lethe_result test_wrap(void *context, const struct key_use *use,
                                     const struct lethe_secret *data_key, struct buffer *wrapped,
                                     struct lethe_error *err)
{
    struct test_keys *keys = context;
    if (keys->answer != LETHE_OK)
        return error_set(err, keys->answer, "the key '%s' says no", use->key);
    uint8_t blob[TEST_WRAPPED_BYTES];
    assert_int_equal(lethe_secret_size(data_key), AEAD_KEY_BYTES);
    assert_result(LETHE_OK, random_fill(&random_system, blob, AEAD_NONCE_BYTES));
    const struct aead_message message =
        test_message(use, blob, lethe_secret_bytes_const(data_key), blob + AEAD_NONCE_BYTES);
    assert_result(LETHE_OK,
                  aead_seal(keys->wrapping, &message, blob + AEAD_NONCE_BYTES + AEAD_KEY_BYTES));
    buffer_format(wrapped, "vault:v%u:", keys->rotations + 1);
    base64_append(wrapped, blob, sizeof blob);
    keys->wrapped++;
    return buffer_result(wrapped, err);
}

static inline lethe_result test_unwrap(void *context, const struct key_use *use,
                                       const char *wrapped, struct lethe_secret **data_key,
                                       struct lethe_error *err)
{
    struct test_keys *keys = context;
    uint8_t blob[TEST_WRAPPED_BYTES];
    size_t size;
    if (keys->answer != LETHE_OK)
        return error_set(err, keys->answer, "the key '%s' says no", use->key);
    const char *encoded = strrchr(wrapped, ':') + 1; /* all versions are the same key here */
    if (strncmp(wrapped, "vault:v", 7) != 0 ||
        base64_decode(encoded, strlen(encoded), blob, sizeof blob, &size) != LETHE_OK ||
        size != sizeof blob)
        return error_set(err, LETHE_INTEGRITY, "not a wrapped key");
    TRY(lethe_secret_create(AEAD_KEY_BYTES, data_key, err));
    const struct aead_message message =
        test_message(use, blob, blob + AEAD_NONCE_BYTES, lethe_secret_bytes(*data_key));
    if (aead_open(keys->wrapping, &message, blob + AEAD_NONCE_BYTES + AEAD_KEY_BYTES) != LETHE_OK) {
        lethe_secret_free(*data_key);
        *data_key = NULL;
        return error_set(err, LETHE_INTEGRITY, "the wrapped key does not open");
    }
    keys->unwrapped++;
    return LETHE_OK;
}

static inline lethe_result test_rewrap(void *context, const struct key_rewrap *items, size_t count,
                                       struct lethe_error *err)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP(lethe_secret_free) struct lethe_secret *data_key = NULL;
        TRY(test_unwrap(context, &items[i].use, items[i].wrapped, &data_key, err));
        TRY(test_wrap(context, &items[i].use, data_key, items[i].rewrapped, err));
    }
    return LETHE_OK;
}

static inline lethe_result test_newest(void *context, const char *key, uint64_t *version,
                                       struct lethe_error *err)
{
    *version = ((const struct test_keys *)context)->rotations + 1;
    return LETHE_OK;
}

static inline lethe_result test_sign(void *context, const char *tenant, const void *bytes,
                                     size_t size_bytes, struct signature *out,
                                     struct lethe_error *err)
{
    struct test_keys *keys = context;
    if (keys->answer != LETHE_OK)
        return error_set(err, keys->answer, "the signer says no");
    return sign_message(keys->pair, bytes, size_bytes, out, err);
}

static inline lethe_result test_signer(void *context, const char *tenant, const char *hint,
                                       const struct sign_public **out, struct lethe_error *err)
{
    *out = sign_pair_public(((struct test_keys *)context)->pair);
    return LETHE_OK;
}

/* The same seed gives the same keys, in another process too. */
static inline struct test_keys *test_keys_create(uint8_t seed)
{
    struct lethe_error err = {0};
    struct test_keys *keys = calloc(1, sizeof *keys);
    CLEANUP(lethe_secret_free) struct lethe_secret *bytes = NULL;
    assert_non_null(keys);
    assert_ok(crypto_start(&err), &err);
    assert_ok(lethe_secret_create(AEAD_KEY_BYTES, &bytes, &err), &err);
    memset(lethe_secret_bytes(bytes), seed, AEAD_KEY_BYTES);
    assert_ok(aead_key_create(lethe_secret_bytes(bytes), AEAD_KEY_BYTES, AEAD_BACKEND_BEST,
                              &keys->wrapping, &err),
              &err);
    assert_ok(sign_pair_create(SIGNATURE_ECDSA_P256, bytes, &keys->pair, &err), &err);
    keys->source = (struct key_source){.ensure = test_ensure,
                                       .wrap = test_wrap,
                                       .unwrap = test_unwrap,
                                       .rewrap = test_rewrap,
                                       .newest = test_newest,
                                       .sign = test_sign,
                                       .signer = test_signer,
                                       .context = keys};
    return keys;
}

static inline void test_keys_free(struct test_keys *keys)
{
    if (keys == NULL)
        return;
    aead_key_free(keys->wrapping);
    sign_pair_free(keys->pair);
    free(keys);
}

#endif
