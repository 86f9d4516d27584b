#include <pthread.h>

#include "check_files.h"
#include "crypto_check.h"

#include "crypto/digest.h"
#include "crypto/sign.h"

static const enum signature_kind signing_kinds[] = {SIGNATURE_ED25519, SIGNATURE_ECDSA_P256,
                                                    SIGNATURE_ECDSA_P384};

static struct sign_pair *pair_of(enum signature_kind kind, const char *private_hex)
{
    struct lethe_error err = {0};
    struct vector bytes = unhex(private_hex);
    CLEANUP(lethe_secret_free)
    struct lethe_secret *secret = secret_of(bytes.bytes, bytes.size_bytes);
    struct sign_pair *pair = NULL;
    assert_ok(sign_pair_create(kind, secret, &pair, &err), &err);
    return pair;
}

static struct sign_pair *fresh_pair(enum signature_kind kind)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    assert_ok(sign_generate(kind, &secret, &err), &err);
    struct sign_pair *pair = NULL;
    assert_ok(sign_pair_create(kind, secret, &pair, &err), &err);
    return pair;
}

static struct sign_public *public_of(const char *pem)
{
    struct lethe_error err = {0};
    struct sign_public *key = NULL;
    assert_ok(sign_public_from_pem(pem, strlen(pem), &key, &err), &err);
    return key;
}

static lethe_result verify_hex(const struct sign_public *key, const char *message,
                               const char *signature_hex)
{
    struct lethe_error err = {0};
    struct vector bytes = unhex(signature_hex);
    struct signature signature;
    TRY(signature_from_bytes(bytes.bytes, bytes.size_bytes, &signature, &err));
    return sign_verify(key, message, strlen(message), &signature, &err);
}

/* ---- known answers --------------------------------------------------------------------------- */

static void ed25519_gives_the_known_answers(void **state)
{
    /* RFC 8032 7.1, tests 1 to 3. */
    static const struct {
        const char *seed, *public_key, *message, *signature;
    } known[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
         "cf9"
         "b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d"
         "0f1"
         "1d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f7609"
         "84d"
         "c6594a7c15e9716ed28dc027beceea1ec40a"},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        struct lethe_error err = {0};
        struct vector message = unhex(known[i].message);
        struct signature signature;
        uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES];
        size_t raw_bytes;
        CLEANUP(sign_pair_free)
        struct sign_pair *pair = pair_of(SIGNATURE_ED25519, known[i].seed);
        sign_public_raw(sign_pair_public(pair), raw, &raw_bytes);
        assert_int_equal(raw_bytes, 32);
        assert_hex(known[i].public_key, raw, raw_bytes);
        assert_ok(sign_message(pair, message.bytes, message.size_bytes, &signature, &err), &err);
        assert_hex(known[i].signature, signature.bytes, signature.size_bytes);
        assert_ok(sign_verify(sign_pair_public(pair), message.bytes, message.size_bytes, &signature,
                              &err),
                  &err);
    }
}

/* RFC 6979 A.2.5: key and a signature over "sample". */
#define P256_PRIVATE "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
#define P256_PUBLIC                                                                                \
    "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e956" \
    "28bc64f2f1b20c2d7e9f5177a3c294d4462299"
#define P256_SIGNATURE                                                                             \
    "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716022100f7cb1c942d65" \
    "7c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
#define P256_PEM                                                                                   \
    "-----BEGIN PUBLIC KEY-----\n"                                                                 \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n"                           \
    "Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n"                               \
    "-----END PUBLIC KEY-----\n"

static void p256_gives_the_known_answers(void **state)
{
    struct lethe_error err = {0};
    uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES];
    size_t raw_bytes;
    CLEANUP(sign_pair_free) struct sign_pair *pair = pair_of(SIGNATURE_ECDSA_P256, P256_PRIVATE);
    const struct sign_public *key = sign_pair_public(pair);
    assert_int_equal(sign_public_kind(key), SIGNATURE_ECDSA_P256);
    sign_public_raw(key, raw, &raw_bytes);
    assert_hex(P256_PUBLIC, raw, raw_bytes);
    assert_result(LETHE_OK, verify_hex(key, "sample", P256_SIGNATURE));
    assert_result(LETHE_INTEGRITY, verify_hex(key, "samplf", P256_SIGNATURE));

    struct buffer pem = {0};
    assert_ok(sign_public_pem(key, &pem, &err), &err);
    assert_string_equal(pem.bytes, P256_PEM);
    buffer_clear(&pem);
}

/* Made with python3-cryptography over "Lethe". */
static const struct {
    enum signature_kind kind;
    const char *pem, *signature;
} others[] = {
    {SIGNATURE_ECDSA_P384,
     "-----BEGIN PUBLIC KEY-----\n"
     "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEXL3E4Rg3MeQiTaXJzC+s2bII/EMmEcsZ\n"
     "IHOQ4ddHc2oZzLrKPX4Z9JOSMwnQqXS88a9cN7aOsScXRMb2lUHOM6U02fg1a84N\n"
     "Q01fg75PR+cdnyVoSj9cPqEyVQF2U0pB\n"
     "-----END PUBLIC KEY-----\n",
     "306502302302e1a00816438b4790f9ba4d3d894b4f7456876e7b5a287b74cabc290943175fbaaa487c8173d134fb8"
     "e59"
     "e15ab1f70231008cc9af419970474d905d17e71fb8920602b1073efdf7e22ab4484266cab5b6304f1b8b7d29176d4"
     "2a4"
     "bbd5fa32acf865"},
    {SIGNATURE_ECDSA_P521,
     "-----BEGIN PUBLIC KEY-----\n"
     "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQA0ZU+L4zVuptby/GfGG/okChB3OFB\n"
     "DZhZ+MjlT94eZZLhVQNgjMCjdHvqbEMjf1vu+ge7MLiRFqF8PxB8+sRJYFsBVd9l\n"
     "jSFDOHwfg8bZrJG3hkbqXhh+MkDOLdLAauaouUjfFQpQF3VEDMn4BiR5enTs8V7G\n"
     "v3dMJRCCFoKV1NesHR4=\n"
     "-----END PUBLIC KEY-----\n",
     "308188024200abae38abafe08cb86b991fe6a239c4b42f57a5a872d0b89bb97da1643e72a4b2258ab7c0b571d2223"
     "428"
     "7744a4dde58c3ec346a44e8f3703790f915e0e4cf0ce77024201371b213764e7ac2f94083cda9652f85fa280580f6"
     "b38"
     "6e198dce202c1f34b408ea236a00a71e9bd34ac45d4fd70415c7c8236ad8b390e34c232edc8b0f05907a1b"},
};

static void larger_curves_can_be_verified(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct lethe_error err = {0};
        CLEANUP(sign_public_free) struct sign_public *key = public_of(others[i].pem);
        assert_int_equal(sign_public_kind(key), others[i].kind);
        assert_result(LETHE_OK, verify_hex(key, "Lethe", others[i].signature));
        assert_result(LETHE_INTEGRITY, verify_hex(key, "lethe", others[i].signature));

        struct buffer pem = {0};
        assert_ok(sign_public_pem(key, &pem, &err), &err);
        assert_string_equal(pem.bytes, others[i].pem);
        buffer_clear(&pem);
    }
}

static void p521_signs_nothing(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    assert_result(LETHE_INVALID, sign_generate(SIGNATURE_ECDSA_P521, &secret, &err));
    assert_non_null(strstr(err.text, "ecdsa-p521"));
}

/* ---- what must be refused -------------------------------------------------------------------- */

static void any_changed_bit_is_refused(void **state)
{
    for (size_t k = 0; k < ARRAY_LEN(signing_kinds); k++) {
        struct lethe_error err = {0};
        CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(signing_kinds[k]);
        CLEANUP(sign_pair_free) struct sign_pair *stranger = fresh_pair(signing_kinds[k]);
        const struct sign_public *key = sign_pair_public(pair);
        uint8_t message[50];
        struct signature good;
        fill_random(message, sizeof message);
        assert_ok(sign_message(pair, message, sizeof message, &good, &err), &err);
        assert_ok(sign_verify(key, message, sizeof message, &good, &err), &err);

        for (size_t bit = 0; bit < 8 * sizeof message; bit++) {
            message[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_result(LETHE_INTEGRITY, sign_verify(key, message, sizeof message, &good, &err));
            message[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t bit = 0; bit < 8 * good.size_bytes; bit++) {
            struct signature bad = good;
            bad.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_result(LETHE_INTEGRITY, sign_verify(key, message, sizeof message, &bad, &err));
        }
        for (size_t size = 0; size <= sizeof good.bytes; size++) { /* shorter, and longer */
            struct signature bad = good;
            bad.size_bytes = size;
            if (size != good.size_bytes)
                assert_result(LETHE_INTEGRITY,
                              sign_verify(key, message, sizeof message, &bad, &err));
        }
        assert_result(LETHE_INTEGRITY, sign_verify(key, message, sizeof message - 1, &good, &err));
        assert_result(LETHE_INTEGRITY, sign_verify(sign_pair_public(stranger), message,
                                                   sizeof message, &good, &err));
        assert_non_null(strstr(err.text, signature_kind_name(signing_kinds[k])));
    }
}

/* A changed key is another key, or none. */
static void any_changed_bit_of_the_key_is_refused(void **state)
{
    for (size_t k = 0; k < ARRAY_LEN(signing_kinds); k++) {
        struct lethe_error err = {0};
        CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(signing_kinds[k]);
        struct signature signature;
        uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES];
        size_t raw_bytes;
        assert_ok(sign_message(pair, "x", 1, &signature, &err), &err);
        sign_public_raw(sign_pair_public(pair), raw, &raw_bytes);
        for (size_t bit = 0; bit < 8 * raw_bytes; bit++) {
            CLEANUP(sign_public_free) struct sign_public *key = NULL;
            raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
            lethe_result made = sign_public_from_raw(signing_kinds[k], raw, raw_bytes, &key, &err);
            if (made == LETHE_OK)
                assert_result(LETHE_INTEGRITY, sign_verify(key, "x", 1, &signature, &err));
            else
                assert_result(LETHE_MALFORMED, made);
            raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t size = 0; size < sizeof raw; size++) {
            struct sign_public *key = NULL;
            if (size != raw_bytes)
                assert_result(LETHE_MALFORMED,
                              sign_public_from_raw(signing_kinds[k], raw, size, &key, &err));
        }
    }
}

static void signatures_of_impossible_sizes_are_refused(void **state)
{
    struct lethe_error err = {0};
    struct signature signature;
    uint8_t bytes[SIGNATURE_MAX_BYTES + 1] = {0};
    assert_result(LETHE_INTEGRITY, signature_from_bytes(bytes, 0, &signature, &err));
    assert_result(LETHE_INTEGRITY, signature_from_bytes(bytes, sizeof bytes, &signature, &err));
    assert_result(LETHE_OK, signature_from_bytes(bytes, sizeof bytes - 1, &signature, &err));
}

static void bytes_that_are_no_private_key_are_refused(void **state)
{
    static const struct {
        lethe_result expected;
        enum signature_kind kind;
        const char *bytes;
    } cases[] = {
        /* 0, n and 2^256 - 1 are no scalars of P-256; 1 and n - 1 are. */
        {LETHE_MALFORMED, SIGNATURE_ECDSA_P256,
         "0000000000000000000000000000000000000000000000000000000000000000"},
        {LETHE_MALFORMED, SIGNATURE_ECDSA_P256,
         "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"},
        {LETHE_MALFORMED, SIGNATURE_ECDSA_P256,
         "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
        {LETHE_OK, SIGNATURE_ECDSA_P256,
         "0000000000000000000000000000000000000000000000000000000000000001"},
        {LETHE_OK, SIGNATURE_ECDSA_P256,
         "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550"},
        {LETHE_OK, SIGNATURE_ED25519,
         "0000000000000000000000000000000000000000000000000000000000000000"},
        {LETHE_MALFORMED, SIGNATURE_ECDSA_P256, "01"},
        {LETHE_MALFORMED, SIGNATURE_ED25519,
         "00000000000000000000000000000000000000000000000000000000000000"},
        {LETHE_MALFORMED, SIGNATURE_ED25519,
         "000000000000000000000000000000000000000000000000000000000000000000"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct lethe_error err = {0};
        struct vector bytes = unhex(cases[i].bytes);
        CLEANUP(lethe_secret_free)
        struct lethe_secret *secret = secret_of(bytes.bytes, bytes.size_bytes);
        CLEANUP(sign_pair_free) struct sign_pair *pair = NULL;
        assert_result(cases[i].expected, sign_pair_create(cases[i].kind, secret, &pair, &err));
        assert_true((pair != NULL) == (cases[i].expected == LETHE_OK));
    }
}

static void only_one_known_public_key_is_taken_from_pem(void **state)
{
    static const char *const bad[] = {
        "",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        P256_PEM P256_PEM, /* which one? */
        P256_PEM "x",
        P256_PEM "\x01",
        "-----BEGIN PUBLIC KEY-----\n"
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n"
        "Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n"
        "-----END PUBLIC KEY-----\x05\n", /* a control character that OpenSSL overlooks */
        "-----BEGIN PUBLIC KEY-----\n"
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n"
        "Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==-more\n"
        "-----END PUBLIC KEY-----\n", /* and what is behind a '-' */
        "# mine\n" P256_PEM,
        /* the point moved off the curve: last byte of y */
        "-----BEGIN PUBLIC KEY-----\n"
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n"
        "Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimA==\n"
        "-----END PUBLIC KEY-----\n",
        /* P-256, but spelled out instead of named */
        "-----BEGIN PUBLIC KEY-----\n"
        "MIIBSzCCAQMGByqGSM49AgEwgfcCAQEwLAYHKoZIzj0BAQIhAP////8AAAABAAAA\n"
        "AAAAAAAAAAAA////////////////MFsEIP////8AAAABAAAAAAAAAAAAAAAA////\n"
        "///////////8BCBaxjXYqjqT57PrvVV2mIa8ZR0GsMxTsPY7zjw+J9JgSwMVAMSd\n"
        "NgiG5wSTamZ44ROdJreBn36QBEEEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5\n"
        "RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9QIhAP////8AAAAA\n"
        "//////////+85vqtpxeehPO5ysL8YyVRAgEBA0IABMi5WIZuy4ngqYHrlMTsVDAc\n"
        "FNSpgpop13/HvdXNYIZVF2l3ot4NZZOrwPrZUVjZltYIH+KoHVat/auTRL+Kjtk=\n"
        "-----END PUBLIC KEY-----\n",
        /* secp256k1 */
        "-----BEGIN PUBLIC KEY-----\n"
        "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEmnxY8xbjQkUmuDf4TJSXoFPddkA3eCgr\n"
        "eN0tKCPh3YhP4TDiU1fwZAxAGlyf3O4o2oVWASVNtjPX1drca0r6vg==\n"
        "-----END PUBLIC KEY-----\n",
        /* RSA 2048 */
        "-----BEGIN PUBLIC KEY-----\n"
        "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAv/aWdeWkp0mSy63DOSie\n"
        "9VrCYOBgXqxCqnY3QTjDUwYyQXoC8PCoC6msqLW+oGtrYnBjVA80oEd4BtmnzPsb\n"
        "oJ7IGUtrnFWHc3jU1/f9vdlcOUvECHYkoiLpn1aKLS8rjQDyP+UEUh/zWKkNDHDF\n"
        "OVFmqC38UAJj9Xn4YHul1HCbmoYNvW3iah4HtV7saCBlLbmMnn6Gj4K4FdwvWjFx\n"
        "pKpe0fldOP/5h3bmwpGE9N2ReamICqwIUIO2scUipDng6HrY716Ac6oDMlhP6q3F\n"
        "zKm0Hy2CKf/CMNO9qInM6cn2eCDFfVFGT9+9PsuU4DZ4huX/AnPXmqNTOpUjidYH\n"
        "MwIDAQAB\n"
        "-----END PUBLIC KEY-----\n",
    };
    struct lethe_error err = {0};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct sign_public *key = NULL;
        assert_result(LETHE_MALFORMED, sign_public_from_pem(bad[i], strlen(bad[i]), &key, &err));
        assert_null(key);
        assert_non_null(strstr(err.text, "expected"));
    }
    /* Every truncation; the last newline may be missing. */
    for (size_t length = 0; length < strlen(P256_PEM) - 1; length++) {
        struct sign_public *key = NULL;
        assert_result(LETHE_MALFORMED, sign_public_from_pem(P256_PEM, length, &key, &err));
    }
    CLEANUP(sign_public_free) struct sign_public *key = public_of(P256_PEM " \r\n\n");
    assert_result(LETHE_OK, verify_hex(key, "sample", P256_SIGNATURE));
}

static void a_compressed_point_is_the_same_key(void **state)
{
    static const char compressed[] =
        "-----BEGIN PUBLIC KEY-----\n"
        "MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgACrlmVcJX0Z45Fatewa91Ixlecj05Y\n"
        "ECwtOPB8TO9m0Bs=\n"
        "-----END PUBLIC KEY-----\n";
    static const char expected[] =
        "-----BEGIN PUBLIC KEY-----\n"
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAErlmVcJX0Z45Fatewa91Ixlecj05Y\n"
        "ECwtOPB8TO9m0Bsc1JPfHC3HdHdzq0P7XSVnD0nhWgOxmai0gyANIMlabA==\n"
        "-----END PUBLIC KEY-----\n";
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer pem = {0};
    CLEANUP(sign_public_free) struct sign_public *key = public_of(compressed);
    assert_ok(sign_public_pem(key, &pem, &err), &err);
    assert_string_equal(pem.bytes, expected);
}

/* ---- digests, and the other form ------------------------------------------------------------- */

static const enum signature_kind curves[] = {SIGNATURE_ECDSA_P256, SIGNATURE_ECDSA_P384};

static void a_digest_is_signed_as_the_message_would_be(void **state)
{
    static const enum digest_kind same[] = {DIGEST_SHA2_256, DIGEST_SHA2_384};
    for (size_t k = 0; k < ARRAY_LEN(curves); k++) {
        struct lethe_error err = {0};
        CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(curves[k]);
        const struct sign_public *key = sign_pair_public(pair);
        uint8_t digest[DIGEST_MAX_BYTES];
        size_t size_bytes = digest_bytes(same[k]);
        struct signature signature;
        assert_result(LETHE_OK, digest_compute(same[k], "Lethe", 5, digest));
        assert_ok(sign_digest(pair, digest, size_bytes, &signature, &err), &err);
        assert_ok(sign_verify(key, "Lethe", 5, &signature, &err), &err);
        assert_ok(sign_message(pair, "Lethe", 5, &signature, &err), &err);
        assert_ok(sign_verify_digest(key, digest, size_bytes, &signature, &err), &err);
        digest[0] ^= 1;
        assert_result(LETHE_INTEGRITY,
                      sign_verify_digest(key, digest, size_bytes, &signature, &err));
    }
}

static void any_digest_can_be_signed(void **state)
{
    for (size_t k = 0; k < ARRAY_LEN(curves); k++) {
        for (enum digest_kind kind = 0; kind < DIGEST_KIND_COUNT; kind++) {
            struct lethe_error err = {0};
            CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(curves[k]);
            uint8_t digest[DIGEST_MAX_BYTES];
            struct signature signature;
            assert_result(LETHE_OK, digest_compute(kind, "Lethe", 5, digest));
            assert_ok(sign_digest(pair, digest, digest_bytes(kind), &signature, &err), &err);
            assert_ok(sign_verify_digest(sign_pair_public(pair), digest, digest_bytes(kind),
                                         &signature, &err),
                      &err);
        }
    }
}

static void ed25519_signs_no_digest(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ED25519);
    uint8_t digest[32] = {0};
    struct signature signature;
    assert_result(LETHE_INVALID, sign_digest(pair, digest, sizeof digest, &signature, &err));
    assert_result(LETHE_INVALID,
                  sign_verify_digest(sign_pair_public(pair), digest, 32, &signature, &err));
}

static void both_forms_are_one_signature(void **state)
{
    for (size_t k = 0; k < ARRAY_LEN(signing_kinds); k++) {
        struct lethe_error err = {0};
        CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(signing_kinds[k]);
        for (size_t i = 0; i < 50; i++) { /* now and then r or s begins with a zero */
            struct signature made, fixed, back;
            assert_ok(sign_message(pair, &i, sizeof i, &made, &err), &err);
            assert_ok(signature_to_fixed(signing_kinds[k], &made, &fixed, &err), &err);
            assert_int_equal(signing_kinds[k] == SIGNATURE_ECDSA_P384 ? 96 : 64, fixed.size_bytes);
            assert_ok(
                signature_from_fixed(signing_kinds[k], fixed.bytes, fixed.size_bytes, &back, &err),
                &err);
            assert_int_equal(made.size_bytes, back.size_bytes);
            assert_memory_equal(made.bytes, back.bytes, made.size_bytes);
        }
    }
}

static void what_is_no_signature_has_no_other_form(void **state)
{
    static const char *const bad[] = {
        "3006020100020100", /* the positive control: r and s of 0 have the form */
        "3006020100",          "3006020180020101", "300602010002010000", "30080202000102020001",
        "3080020101020101000", "3106020101020101", "300702010002020001", "30",
    };
    struct lethe_error err = {0};
    struct signature in = {0}, out;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        in.size_bytes = strlen(bad[i]) / 2;
        for (size_t at = 0; at < in.size_bytes; at++)
            sscanf(bad[i] + 2 * at, "%2hhx", &in.bytes[at]);
        assert_result(i == 0 ? LETHE_OK : LETHE_MALFORMED,
                      signature_to_fixed(SIGNATURE_ECDSA_P256, &in, &out, &err));
    }
    uint8_t fixed[97] = {1};
    for (size_t size = 0; size <= sizeof fixed; size++) {
        assert_result(size == 64 ? LETHE_OK : LETHE_MALFORMED,
                      signature_from_fixed(SIGNATURE_ECDSA_P256, fixed, size, &out, &err));
        assert_result(size == 96 ? LETHE_OK : LETHE_MALFORMED,
                      signature_from_fixed(SIGNATURE_ECDSA_P384, fixed, size, &out, &err));
        assert_result(size == 64 ? LETHE_OK : LETHE_MALFORMED,
                      signature_from_fixed(SIGNATURE_ED25519, fixed, size, &out, &err));
    }
}

/* ---- the openssl tool, both ways ------------------------------------------------------------- */

static const struct {
    enum signature_kind kind;
    const char *generate, *sign, *verify; /* arguments of openssl */
    bool we_sign;
} tools[] = {
    {SIGNATURE_ED25519, "genpkey -algorithm ed25519", "pkeyutl -sign -rawin -inkey key -in message",
     "pkeyutl -verify -rawin -pubin -inkey our.pem -in message -sigfile our.sig", true},
    {SIGNATURE_ECDSA_P256, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
     "dgst -sha256 -sign key message", "dgst -sha256 -verify our.pem -signature our.sig message",
     true},
    {SIGNATURE_ECDSA_P384, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384",
     "dgst -sha384 -sign key message", "dgst -sha384 -verify our.pem -signature our.sig message",
     true},
    {SIGNATURE_ECDSA_P521, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521",
     "dgst -sha512 -sign key message", NULL, false},
};

static const char *in(const char *directory, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void run_openssl(const char *directory, const char *arguments, const char *output_file)
{
    char command[1024], output[256];
    snprintf(command, sizeof command, "cd '%s' && openssl %s > '%s' 2>&1", directory, arguments,
             output_file);
    if (run_tool(command, output, sizeof output) != 0)
        fail_msg("%s", command);
}

/* The tool signs and prints the key: we read, verify, and print the same. */
static void check_theirs(const char *directory, size_t tool)
{
    struct lethe_error err = {0};
    run_openssl(directory, tools[tool].generate, "key");
    run_openssl(directory, "pkey -in key -pubout", "pem");
    run_openssl(directory, tools[tool].sign, "signature");
    struct buffer pem = get_file(in(directory, "pem"));
    struct buffer bytes = get_file(in(directory, "signature"));
    struct signature signature;
    CLEANUP(sign_public_free) struct sign_public *key = public_of(pem.bytes);
    assert_int_equal(sign_public_kind(key), tools[tool].kind);
    assert_ok(signature_from_bytes(bytes.bytes, bytes.size_bytes, &signature, &err), &err);
    assert_ok(sign_verify(key, "Lethe", 5, &signature, &err), &err);
    assert_result(LETHE_INTEGRITY, sign_verify(key, "lethe", 5, &signature, &err));
    struct buffer again = {0};
    assert_ok(sign_public_pem(key, &again, &err), &err);
    assert_string_equal(again.bytes, pem.bytes);
    buffer_clear(&again);
    buffer_clear(&pem);
    buffer_clear(&bytes);
}

/* We sign: the tool reads our key and verifies. */
static void check_ours(const char *directory, size_t tool)
{
    struct lethe_error err = {0};
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(tools[tool].kind);
    struct signature signature;
    struct buffer pem = {0};
    assert_ok(sign_message(pair, "Lethe", 5, &signature, &err), &err);
    assert_ok(sign_public_pem(sign_pair_public(pair), &pem, &err), &err);
    put_file(in(directory, "our.pem"), pem.bytes, pem.size_bytes);
    put_file(in(directory, "our.sig"), signature.bytes, signature.size_bytes);
    run_openssl(directory, tools[tool].verify, "log");
    buffer_clear(&pem);
}

static void the_openssl_tool_agrees_both_ways(void **state)
{
    if (!have_tool("openssl"))
        skip();
    char *directory = temp_dir();
    put_file(in(directory, "message"), "Lethe", 5);
    for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
        check_theirs(directory, i);
        if (tools[i].we_sign)
            check_ours(directory, i);
    }
    free(directory);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void *sign_and_verify_often(void *context)
{
    const struct sign_pair *pair = context;
    for (uint32_t i = 0; i < 50; i++) {
        struct signature signature;
        if (sign_message(pair, &i, sizeof i, &signature, NULL) != LETHE_OK ||
            sign_verify(sign_pair_public(pair), &i, sizeof i, &signature, NULL) != LETHE_OK)
            return context;
    }
    return NULL;
}

static void one_pair_serves_many_threads(void **state)
{
    for (size_t k = 0; k < ARRAY_LEN(signing_kinds); k++) {
        CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(signing_kinds[k]);
        pthread_t threads[4];
        for (size_t i = 0; i < ARRAY_LEN(threads); i++)
            assert_int_equal(pthread_create(&threads[i], NULL, sign_and_verify_often, pair), 0);
        for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
            void *failed;
            assert_int_equal(pthread_join(threads[i], &failed), 0);
            assert_null(failed);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ed25519_gives_the_known_answers),
        cmocka_unit_test(p256_gives_the_known_answers),
        cmocka_unit_test(larger_curves_can_be_verified),
        cmocka_unit_test(p521_signs_nothing),
        cmocka_unit_test(a_digest_is_signed_as_the_message_would_be),
        cmocka_unit_test(any_digest_can_be_signed),
        cmocka_unit_test(ed25519_signs_no_digest),
        cmocka_unit_test(both_forms_are_one_signature),
        cmocka_unit_test(what_is_no_signature_has_no_other_form),
        cmocka_unit_test(any_changed_bit_is_refused),
        cmocka_unit_test(any_changed_bit_of_the_key_is_refused),
        cmocka_unit_test(signatures_of_impossible_sizes_are_refused),
        cmocka_unit_test(bytes_that_are_no_private_key_are_refused),
        cmocka_unit_test(only_one_known_public_key_is_taken_from_pem),
        cmocka_unit_test(a_compressed_point_is_the_same_key),
        cmocka_unit_test(the_openssl_tool_agrees_both_ways),
        cmocka_unit_test(one_pair_serves_many_threads),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
