#include "crypto_check.h"
#include "memory_search.h"

#include "crypto/hash.h"

/* RFC 5869, cases A.1 to A.4; SHA-512 over A.1's input computed with python3's hmac. */
static const struct {
    enum hkdf_hash hash;
    const char *key, *salt, *info, *out;
} known[] = {
    {HKDF_SHA256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
     "f0f1f2f3f4f5f6f7f8f9",
     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
    {HKDF_SHA256,
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d"
     "2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
     "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d"
     "8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
     "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdd"
     "dedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
     "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e59"
     "0e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
    {HKDF_SHA256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
     "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
    {HKDF_SHA1, "0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
     "085a01ea1b10f36933068b56efa5ad81a4f14b822f5b091568a9cdd4f155fda2c22e422478d305f3f896"},
    {HKDF_SHA512, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
     "f0f1f2f3f4f5f6f7f8f9",
     "832390086cda71fb47625bb5ceb168e4c8e26a1a16ed34d9fc7fe92c1481579338da362cb8d9f925d7cb"},
};

static void hkdf_gives_the_known_answers(void **state)
{
    struct lethe_error err = {0};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        struct vector key = unhex(known[i].key), salt = unhex(known[i].salt),
                      info = unhex(known[i].info);
        uint8_t out[96];
        size_t out_bytes = strlen(known[i].out) / 2;
        const struct hkdf_input input = {.hash = known[i].hash,
                                         .key = key.bytes,
                                         .key_bytes = key.size_bytes,
                                         .salt = salt.bytes,
                                         .salt_bytes = salt.size_bytes,
                                         .info = info.bytes,
                                         .info_bytes = info.size_bytes};
        assert_ok(hkdf(&input, out, out_bytes, &err), &err);
        assert_hex(known[i].out, out, out_bytes);
    }
}

/* A salt, an info or a key that is not there is an empty one, and long ones are taken whole. */
static void hkdf_takes_every_length_of_salt_and_info(void **state)
{
    struct lethe_error err = {0};
    uint8_t key[32] = {1}, other[32], without[32], with[32];
    static uint8_t info[20000];
    struct hkdf_input input = {.key = key, .key_bytes = sizeof key};
    assert_ok(hkdf(&input, without, sizeof without, &err), &err);
    input.salt = input.info = info;
    assert_ok(hkdf(&input, with, sizeof with, &err), &err);
    assert_memory_equal(without, with, sizeof with);
    input.info_bytes = sizeof info;
    assert_ok(hkdf(&input, with, sizeof with, &err), &err);
    info[sizeof info - 1] ^= 1;
    assert_ok(hkdf(&input, other, sizeof other, &err), &err);
    assert_memory_not_equal(with, other, sizeof other);
}

static void hkdf_refuses_what_rfc_5869_does_not_give(void **state)
{
    struct lethe_error err = {0};
    static uint8_t out[255 * 64 + 1];
    uint8_t key[16] = {1};
    const size_t hash_bytes[] = {[HKDF_SHA256] = 32, [HKDF_SHA512] = 64, [HKDF_SHA1] = 20};
    for (size_t h = 0; h < ARRAY_LEN(hash_bytes); h++) {
        struct hkdf_input input = {.hash = (enum hkdf_hash)h, .key = key, .key_bytes = sizeof key};
        assert_ok(hkdf(&input, out, 255 * hash_bytes[h], &err), &err);
        assert_result(LETHE_INVALID, hkdf(&input, out, 255 * hash_bytes[h] + 1, &err));
        assert_result(LETHE_INVALID, hkdf(&input, out, 0, &err));
        input.key_bytes = 0;
        assert_result(LETHE_INVALID, hkdf(&input, out, 32, &err));
    }
}

static void scrypt_gives_the_known_answers(void **state)
{
    /* RFC 7914 section 12, the second and third. */
    static const struct {
        const char *passphrase, *salt, *out;
        unsigned log2_n, r, p;
    } scrypt_known[] = {
        {"password", "NaCl",
         "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279"
         "d98"
         "30dac727afb94a83ee6d8360cbdfa2cc0640",
         10, 8, 16},
        {"pleaseletmein", "SodiumChloride",
         "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d497052"
         "42a"
         "9af9e61e85dc0d651e40dfcf017b45575887",
         14, 8, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(scrypt_known); i++) {
        struct lethe_error err = {0};
        CLEANUP(lethe_secret_free)
        struct lethe_secret *passphrase =
            secret_of(scrypt_known[i].passphrase, strlen(scrypt_known[i].passphrase));
        CLEANUP(lethe_secret_free) struct lethe_secret *out = NULL;
        assert_ok(lethe_secret_create(64, &out, &err), &err);
        const struct scrypt_input input = {.passphrase = passphrase,
                                           .salt = scrypt_known[i].salt,
                                           .salt_bytes = strlen(scrypt_known[i].salt),
                                           .log2_n = scrypt_known[i].log2_n,
                                           .r = scrypt_known[i].r,
                                           .p = scrypt_known[i].p};
        assert_ok(scrypt(&input, out, &err), &err);
        assert_hex(scrypt_known[i].out, lethe_secret_bytes(out), 64);
    }
}

static void scrypt_refuses_costs_out_of_range(void **state)
{
    static const struct scrypt_input bad[] = {
        {.log2_n = 0, .r = 8, .p = 1},   {.log2_n = 25, .r = 8, .p = 1},
        {.log2_n = 10, .r = 0, .p = 1},  {.log2_n = 10, .r = 8, .p = 0},
        {.log2_n = 24, .r = 8, .p = 1},  {.log2_n = 10, .r = 65, .p = 1},
        {.log2_n = 10, .r = 8, .p = 65},
    };
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = secret_of("x", 1);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct lethe_error err = {0};
        struct scrypt_input input = bad[i];
        input.passphrase = secret;
        input.salt = "salt";
        input.salt_bytes = 4;
        assert_result(LETHE_INVALID, scrypt(&input, secret, &err));
        assert_non_null(strstr(err.text, "instead of"));
    }
}

/* Z-6: OpenSSL's copies of the passphrase and of what was derived are gone when the call is over.
 * The secret itself is the positive control. */
static void deriving_leaves_no_trace(void **state)
{
    struct lethe_error err = {0};
    uint8_t random[24];
    fill_random(random, sizeof random);
    struct needle needle = needle_of(random, sizeof random);
    struct lethe_secret *passphrase = secret_of(random, sizeof random);
    lethe_wipe(random, sizeof random);
    CLEANUP(lethe_secret_free) struct lethe_secret *out = NULL;
    assert_ok(lethe_secret_create(32, &out, &err), &err);

    const struct scrypt_input slow = {
        .passphrase = passphrase, .salt = "salt", .salt_bytes = 4, .log2_n = 4, .r = 8, .p = 1};
    assert_ok(scrypt(&slow, out, &err), &err);
    const struct hkdf_input quick = {.key = lethe_secret_bytes(passphrase),
                                     .key_bytes = lethe_secret_size(passphrase),
                                     .info = "test",
                                     .info_bytes = 4};
    assert_ok(hkdf(&quick, lethe_secret_bytes(out), 32, &err), &err);
    struct needle derived = needle_of(lethe_secret_bytes(out), 32);

    assert_int_equal(count_in_own_memory(&needle), 1);
    assert_int_equal(count_in_own_memory(&derived), 1);
    lethe_secret_free(passphrase);
    lethe_secret_free(MOVE(out));
    assert_int_equal(count_in_own_memory(&needle), 0);
    assert_int_equal(count_in_own_memory(&derived), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hkdf_gives_the_known_answers),
        cmocka_unit_test(hkdf_takes_every_length_of_salt_and_info),
        cmocka_unit_test(hkdf_refuses_what_rfc_5869_does_not_give),
        cmocka_unit_test(scrypt_gives_the_known_answers),
        cmocka_unit_test(scrypt_refuses_costs_out_of_range),
        cmocka_unit_test(deriving_leaves_no_trace),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
