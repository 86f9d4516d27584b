/* P-384 as nettle verifies it, against OpenSSL: the same verdict on all that may come. */
#include "crypto_check.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/sign.h"

#define NUMBER_BYTES 48
#define POINT_BYTES 97
#define ROUNDS 60u

/* The order of the group (SEC 2, 2.5.1), and what lies around it. */
#define ORDER                                                                                      \
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc5" \
    "29"                                                                                           \
    "73"

struct keys {
    struct lethe_secret *secret;
    struct sign_pair *pair;
    uint8_t point[POINT_BYTES];
    EVP_PKEY *theirs;
};

static EVP_PKEY *openssl_key(const uint8_t point[POINT_BYTES])
{
    char group[] = "secp384r1";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)point,
                                          POINT_BYTES),
        OSSL_PARAM_END};
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    assert_non_null(context);
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    (void)EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters);
    EVP_PKEY_CTX_free(context);
    return key;
}

static int keys_setup(void **state)
{
    static struct keys keys;
    size_t raw_bytes;
    uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES];
    if (crypto_start(NULL) != LETHE_OK ||
        sign_generate(SIGNATURE_ECDSA_P384, &keys.secret, NULL) != LETHE_OK ||
        sign_pair_create(SIGNATURE_ECDSA_P384, keys.secret, &keys.pair, NULL) != LETHE_OK)
        return -1;
    sign_public_raw(sign_pair_public(keys.pair), raw, &raw_bytes);
    memcpy(keys.point, raw, POINT_BYTES);
    keys.theirs = openssl_key(keys.point);
    *state = &keys;
    return keys.theirs == NULL ? -1 : 0;
}

static int keys_teardown(void **state)
{
    struct keys *keys = *state;
    sign_pair_free(keys->pair);
    lethe_secret_free(keys->secret);
    EVP_PKEY_free(keys->theirs);
    return 0;
}

/* OpenSSL's verdict, which must be ours. */
static bool both_say(const struct keys *keys, const void *digest, size_t digest_bytes,
                     const struct signature *signature)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, keys->theirs, NULL);
    assert_int_equal(EVP_PKEY_verify_init(context), 1);
    bool theirs = EVP_PKEY_verify(context, signature->bytes, signature->size_bytes, digest,
                                  digest_bytes) == 1;
    EVP_PKEY_CTX_free(context);
    lethe_result ours =
        sign_verify_digest(sign_pair_public(keys->pair), digest, digest_bytes, signature, NULL);
    assert_result(theirs ? LETHE_OK : LETHE_INTEGRITY, ours);
    return theirs;
}

static void random_bytes(void *out, size_t size_bytes)
{
    assert_int_equal(random_fill(&random_system, out, size_bytes), LETHE_OK);
}

static struct signature signed_digest(const struct keys *keys, const void *digest,
                                      size_t digest_bytes)
{
    struct signature signature;
    assert_result(LETHE_OK, sign_digest(keys->pair, digest, digest_bytes, &signature, NULL));
    return signature;
}

static void signatures_of_fresh_keys_fit(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 8; round++) {
        struct keys keys = {0};
        void *at = &keys;
        uint8_t message[200];
        struct signature signature;
        assert_int_equal(keys_setup(&at), 0);
        random_bytes(message, sizeof message);
        const struct keys *fresh = at;
        const struct sign_public *key = sign_pair_public(fresh->pair);
        assert_result(LETHE_OK, sign_message(fresh->pair, message, round * 25, &signature, NULL));
        assert_result(LETHE_OK, sign_verify(key, message, round * 25, &signature, NULL));
        message[round] ^= 1;
        assert_result(round == 0 ? LETHE_OK : LETHE_INTEGRITY,
                      sign_verify(key, message, round * 25, &signature, NULL));
        keys_teardown(&at);
    }
}

/* Digests of other sizes are cut, or taken as they are. */
static void digests_of_any_size_come_to_the_same(void **state)
{
    static const size_t sizes[] = {1, 20, 32, 47, 48, 49, 64};
    uint8_t digest[64];
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        random_bytes(digest, sizeof digest);
        struct signature signature = signed_digest(*state, digest, sizes[i]);
        assert_true(both_say(*state, digest, sizes[i], &signature));
        digest[0] ^= 0x80;
        assert_false(both_say(*state, digest, sizes[i], &signature));
    }
    memset(digest, 0, sizeof digest);
    struct signature signature = signed_digest(*state, digest, NUMBER_BYTES);
    assert_true(both_say(*state, digest, NUMBER_BYTES, &signature));
}

/* Of the signature's bytes, DER's among them. */
static void any_byte_that_differs_is_judged_alike(void **state)
{
    uint8_t digest[NUMBER_BYTES];
    random_bytes(digest, sizeof digest);
    struct signature good = signed_digest(*state, digest, sizeof digest);
    for (size_t i = 0; i < good.size_bytes; i++) {
        struct signature changed = good;
        changed.bytes[i] ^= (uint8_t)(1u << i % 8);
        assert_false(both_say(*state, digest, sizeof digest, &changed));
        changed = good;
        changed.size_bytes = i + 1;
        assert_int_equal(both_say(*state, digest, sizeof digest, &changed),
                         i + 1 == good.size_bytes);
    }
    good.bytes[good.size_bytes++] = 0; /* something behind it */
    assert_false(both_say(*state, digest, sizeof digest, &good));
}

/* ---- numbers that no signature has ------------------------------------------------------------
 */

/* Numbers of any width and sign, as DER has them; long forms and leading zeros by request. */
struct number {
    uint8_t bytes[64];
    size_t size_bytes;
};

static struct number number_of(const char *hex)
{
    struct number out = {0};
    size_t length = strlen(hex);
    for (size_t i = 0; i < length; i += 2) {
        char pair[3] = {hex[i], hex[i + 1], 0};
        out.bytes[out.size_bytes++] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return out;
}

static struct signature der_of(const struct number *r, const struct number *s)
{
    struct signature out = {.size_bytes = 2};
    const struct number *both[] = {r, s};
    for (size_t i = 0; i < 2; i++) {
        out.bytes[out.size_bytes++] = 2;
        out.bytes[out.size_bytes++] = (uint8_t)both[i]->size_bytes;
        memcpy(out.bytes + out.size_bytes, both[i]->bytes, both[i]->size_bytes);
        out.size_bytes += both[i]->size_bytes;
    }
    out.bytes[0] = 0x30;
    out.bytes[1] = (uint8_t)(out.size_bytes - 2);
    return out;
}

static const char *const odd_numbers[] = {
    "00",
    "01",
    "0001", /* not as DER has it */
    "7f",
    "ff", /* -1 */
    "80",
    "00" ORDER,
    ORDER, /* negative */
    "00ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc5"
    "297"
    "2",
    "00ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc5"
    "297"
    "4",
    "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
    "ffff",
    "0100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "0000"
    "00",
    "0100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "000000"
    "00",
};

static void numbers_out_of_range_fit_nothing(void **state)
{
    uint8_t digest[NUMBER_BYTES];
    random_bytes(digest, sizeof digest);
    struct signature good = signed_digest(*state, digest, sizeof digest), fixed;
    assert_result(LETHE_OK, signature_to_fixed(SIGNATURE_ECDSA_P384, &good, &fixed, NULL));
    struct number real = {.size_bytes = NUMBER_BYTES + 1};
    for (size_t i = 0; i < ARRAY_LEN(odd_numbers); i++) {
        struct number odd = number_of(odd_numbers[i]);
        memcpy(real.bytes + 1, fixed.bytes + NUMBER_BYTES, NUMBER_BYTES);
        struct signature odd_r = der_of(&odd, &real), twice = der_of(&odd, &odd);
        memcpy(real.bytes + 1, fixed.bytes, NUMBER_BYTES);
        struct signature odd_s = der_of(&real, &odd);
        assert_false(both_say(*state, digest, sizeof digest, &odd_r));
        assert_false(both_say(*state, digest, sizeof digest, &odd_s));
        assert_false(both_say(*state, digest, sizeof digest, &twice));
    }
}

/* One and the same signature, with lengths that DER would not write. */
static void der_that_is_not_canonical_fits_nothing(void **state)
{
    uint8_t digest[NUMBER_BYTES];
    random_bytes(digest, sizeof digest);
    struct signature good = signed_digest(*state, digest, sizeof digest), odd = good;
    memmove(odd.bytes + 2, odd.bytes + 1, good.size_bytes - 1);
    odd.bytes[1] = 0x81; /* the long form of a length below 128 */
    odd.size_bytes++;
    assert_false(both_say(*state, digest, sizeof digest, &odd));
    odd = good;
    odd.bytes[1] = 0x80; /* of indefinite length, as BER has it */
    memset(odd.bytes + odd.size_bytes, 0, 2);
    odd.size_bytes += 2;
    assert_false(both_say(*state, digest, sizeof digest, &odd));
    odd = good; /* a zero more before r */
    memmove(odd.bytes + 5, odd.bytes + 4, good.size_bytes - 4);
    odd.bytes[4] = 0;
    odd.bytes[1]++;
    odd.bytes[3]++;
    odd.size_bytes++;
    assert_false(both_say(*state, digest, sizeof digest, &odd));
}

static void random_numbers_are_judged_alike(void **state)
{
    uint8_t digest[NUMBER_BYTES], numbers[2 * NUMBER_BYTES];
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct signature signature;
        random_bytes(digest, sizeof digest);
        random_bytes(numbers, sizeof numbers);
        assert_result(LETHE_OK, signature_from_fixed(SIGNATURE_ECDSA_P384, numbers, sizeof numbers,
                                                     &signature, NULL));
        assert_false(both_say(*state, digest, sizeof digest, &signature));
    }
}

/* ---- what only the holder of a key can bring about --------------------------------------------
 */

/* A signature by which both products that are added are the same point (z = r d). */
static void sign_with_equal_products(const struct keys *keys, uint8_t digest[NUMBER_BYTES],
                                     struct signature *out)
{
    uint8_t fixed[2 * NUMBER_BYTES];
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_secp384r1);
    const BIGNUM *order = EC_GROUP_get0_order(group);
    BN_CTX *work = BN_CTX_new();
    BIGNUM *k = BN_new(),
           *d = BN_bin2bn(lethe_secret_bytes_const(keys->secret), NUMBER_BYTES, NULL);
    BIGNUM *r = BN_new(), *s = BN_new(), *z = BN_new();
    EC_POINT *point = EC_POINT_new(group);
    BN_set_word(k, 12345);
    EC_POINT_mul(group, point, k, NULL, NULL, work);
    EC_POINT_get_affine_coordinates(group, point, r, NULL, work);
    BN_nnmod(r, r, order, work);
    BN_mod_mul(z, r, d, order, work);
    BN_mod_add(s, z, z, order, work); /* z + r d */
    BN_mod_inverse(k, k, order, work);
    BN_mod_mul(s, s, k, order, work);
    BN_bn2binpad(z, digest, NUMBER_BYTES);
    BN_bn2binpad(r, fixed, NUMBER_BYTES);
    BN_bn2binpad(s, fixed + NUMBER_BYTES, NUMBER_BYTES);
    assert_result(LETHE_OK,
                  signature_from_fixed(SIGNATURE_ECDSA_P384, fixed, sizeof fixed, out, NULL));
    BIGNUM *numbers[] = {k, d, r, s, z};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        BN_clear_free(numbers[i]);
    EC_POINT_free(point);
    BN_CTX_free(work);
    EC_GROUP_free(group);
}

/* OpenSSL takes it, nettle does not: only who has the key can make it, so nothing is lost. */
static void equal_products_fit_nothing(void **state)
{
    const struct keys *keys = *state;
    uint8_t digest[NUMBER_BYTES];
    struct signature signature;
    sign_with_equal_products(keys, digest, &signature);
    assert_result(LETHE_INTEGRITY, sign_verify_digest(sign_pair_public(keys->pair), digest,
                                                      sizeof digest, &signature, NULL));
}

static void points_off_the_curve_are_no_keys(void **state)
{
    const struct keys *keys = *state;
    uint8_t point[POINT_BYTES];
    struct sign_public *key;
    for (size_t i = 1; i < POINT_BYTES; i += 7) {
        memcpy(point, keys->point, sizeof point);
        point[i] ^= 4;
        assert_null(openssl_key(point));
        assert_result(LETHE_MALFORMED,
                      sign_public_from_raw(SIGNATURE_ECDSA_P384, point, sizeof point, &key, NULL));
    }
    memset(point + 1, 0xff, sizeof point - 1);
    assert_result(LETHE_MALFORMED,
                  sign_public_from_raw(SIGNATURE_ECDSA_P384, point, sizeof point, &key, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_of_fresh_keys_fit),
        cmocka_unit_test_setup_teardown(digests_of_any_size_come_to_the_same, keys_setup,
                                        keys_teardown),
        cmocka_unit_test_setup_teardown(any_byte_that_differs_is_judged_alike, keys_setup,
                                        keys_teardown),
        cmocka_unit_test_setup_teardown(numbers_out_of_range_fit_nothing, keys_setup,
                                        keys_teardown),
        cmocka_unit_test_setup_teardown(der_that_is_not_canonical_fits_nothing, keys_setup,
                                        keys_teardown),
        cmocka_unit_test_setup_teardown(random_numbers_are_judged_alike, keys_setup, keys_teardown),
        cmocka_unit_test_setup_teardown(equal_products_fit_nothing, keys_setup, keys_teardown),
        cmocka_unit_test_setup_teardown(points_off_the_curve_are_no_keys, keys_setup,
                                        keys_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
