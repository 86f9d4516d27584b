/* Ed25519 against OpenSSL's, which had no part in it: the same signatures, byte for byte, and the
 * verdict on what is no honest signature. */
#include <sodium.h>

#include <openssl/evp.h>

#include "crypto_check.h"

#include "crypto/digest.h"
#include "crypto/openssl.h"
#include "crypto/sign.h"

#define MESSAGE_MAX 4096

static struct sign_pair *pair_of_seed(const uint8_t seed[32])
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = secret_of(seed, 32);
    struct sign_pair *pair = NULL;
    assert_ok(sign_pair_create(SIGNATURE_ED25519, secret, &pair, &err), &err);
    return pair;
}

static void openssl_signs(const uint8_t seed[32], const uint8_t *message, size_t size_bytes,
                          uint8_t signature[64])
{
    size_t signature_bytes = 64;
    CLEANUP(EVP_PKEY_free)
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
    CLEANUP(EVP_MD_CTX_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, NULL, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(context, signature, &signature_bytes, message, size_bytes), 1);
}

static bool openssl_takes(const uint8_t public_key[32], const uint8_t *message, size_t size_bytes,
                          const uint8_t signature[64])
{
    CLEANUP(EVP_PKEY_free)
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
    CLEANUP(EVP_MD_CTX_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, NULL, NULL, key), 1);
    return EVP_DigestVerify(context, signature, 64, message, size_bytes) == 1;
}

static bool we_take(const uint8_t public_key[32], const uint8_t *message, size_t size_bytes,
                    const uint8_t signature[64])
{
    struct lethe_error err = {0};
    struct signature made;
    CLEANUP(sign_public_free) struct sign_public *key = NULL;
    assert_ok(sign_public_from_raw(SIGNATURE_ED25519, public_key, 32, &key, &err), &err);
    assert_ok(signature_from_bytes(signature, 64, &made, &err), &err);
    lethe_result result = sign_verify(key, message, size_bytes, &made, &err);
    assert_true(result == LETHE_OK || result == LETHE_INTEGRITY);
    return result == LETHE_OK;
}

/* ---- the same signatures --------------------------------------------------------------------- */

static void openssl_makes_the_same_signatures(void **state)
{
    for (size_t i = 0; i < 300; i++) {
        struct lethe_error err = {0};
        uint8_t seed[32], message[MESSAGE_MAX], theirs[64], raw[SIGNATURE_PUBLIC_MAX_BYTES];
        size_t size_bytes = i < 200 ? i : i * 13, raw_bytes; /* each place within a block */
        struct signature ours;
        fill_random(seed, sizeof seed);
        fill_random(message, sizeof message);
        CLEANUP(sign_pair_free) struct sign_pair *pair = pair_of_seed(seed);
        sign_public_raw(sign_pair_public(pair), raw, &raw_bytes);
        assert_ok(sign_message(pair, message, size_bytes, &ours, &err), &err);
        openssl_signs(seed, message, size_bytes, theirs);
        assert_int_equal(ours.size_bytes, sizeof theirs);
        assert_memory_equal(ours.bytes, theirs, sizeof theirs);
        assert_true(openssl_takes(raw, message, size_bytes, ours.bytes));
        assert_true(we_take(raw, message, size_bytes, theirs));
    }
}

/* ---- what is no honest signature ------------------------------------------------------------- */

static const uint8_t identity[32] = {1};
/* y = p + 1: the same point, not written canonically */
static const uint8_t identity_again[32] = {
    0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
                                  0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
static const uint8_t text[] = "Lethe";

/* RFC 8032 5.1.7: or there are several signatures of one text, made without the key. */
static void a_scalar_that_is_not_reduced_fits_nothing(void **state)
{
    uint8_t seed[32], signature[64];
    fill_random(seed, sizeof seed);
    CLEANUP(sign_pair_free) struct sign_pair *pair = pair_of_seed(seed);
    uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES];
    size_t raw_bytes;
    sign_public_raw(sign_pair_public(pair), raw, &raw_bytes);
    openssl_signs(seed, text, sizeof text, signature);
    assert_true(we_take(raw, text, sizeof text, signature));
    unsigned carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += (unsigned)signature[32 + i] + order[i];
        signature[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_false(we_take(raw, text, sizeof text, signature));
    assert_false(openssl_takes(raw, text, sizeof text, signature));
}

/* Under the identity as public key, (sB, s) is a signature of every text. */
static void a_public_key_of_small_order_signs_nothing(void **state)
{
    uint8_t signature[64] = {0};
    signature[32] = 7;
    assert_int_equal(crypto_scalarmult_ed25519_base_noclamp(signature, signature + 32), 0);
    assert_true(openssl_takes(identity, text, sizeof text, signature)); /* it is one, to others */
    assert_false(we_take(identity, text, sizeof text, signature));
    assert_true(openssl_takes(identity_again, text, sizeof text, signature));
    assert_false(we_take(identity_again, text, sizeof text, signature));
}

/* SHA-512(R || A || text), reduced. */
static void challenge(const uint8_t r[32], const uint8_t public_key[32], uint8_t out[32])
{
    uint8_t input[64 + sizeof text], wide[64];
    memcpy(input, r, 32);
    memcpy(input + 32, public_key, 32);
    memcpy(input + 64, text, sizeof text);
    assert_result(LETHE_OK, digest_compute(DIGEST_SHA2_512, input, sizeof input, wide));
    crypto_core_ed25519_scalar_reduce(out, wide);
}

/* Whoever has the key can make one with the nonce 0, which gives the key away. */
static void a_commitment_of_small_order_fits_nothing(void **state)
{
    uint8_t private_scalar[32] = {42}, public_key[32], hash[32], signature[64];
    assert_int_equal(crypto_scalarmult_ed25519_base_noclamp(public_key, private_scalar), 0);
    memcpy(signature, identity, 32);
    challenge(identity, public_key, hash);
    crypto_core_ed25519_scalar_mul(signature + 32, hash, private_scalar);
    assert_true(openssl_takes(public_key, text, sizeof text, signature));
    assert_false(we_take(public_key, text, sizeof text, signature));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_makes_the_same_signatures),
        cmocka_unit_test(a_scalar_that_is_not_reduced_fits_nothing),
        cmocka_unit_test(a_public_key_of_small_order_signs_nothing),
        cmocka_unit_test(a_commitment_of_small_order_fits_nothing),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
