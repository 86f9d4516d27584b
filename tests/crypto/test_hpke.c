/* E-5: what is sealed to a key is opened by that key alone, for the same purpose, unchanged. */
#include "check.h"

#include <stdlib.h>

#include "base/text.h"
#include "crypto/crypto.h"
#include "crypto/hpke_core.h"
#include "memory_search.h"

static struct lethe_error err;

static size_t unhex(const char *text, uint8_t *out)
{
    assert_result(LETHE_OK, hex_decode(text, strlen(text), out, strlen(text) / 2));
    return strlen(text) / 2;
}

static struct lethe_secret *secret_of(const char *hex)
{
    struct lethe_secret *secret;
    assert_ok(lethe_secret_create(strlen(hex) / 2, &secret, &err), &err);
    unhex(hex, lethe_secret_bytes(secret));
    return secret;
}

/* ---- vectors --------------------------------------------------------------------------------- */

struct vector {
    enum hpke_aead aead;
    const char *ephemeral, *private_key, *public_key, *encapsulated, *shared, *key, *nonce, *cipher;
};
/* The appendix has no AES-256-GCM with X25519: with these two, everything but that is shown. */
static const char info_hex[] = "4f6465206f6e2061204772656369616e2055726e";
static const char aad_hex[] = "436f756e742d30";
static const char plain_hex[] = "4265617574792069732074727574682c20747275746820626561757479";

static const struct vector vectors[] = {
    {HPKE_AES_128_GCM, /* A.1.1 */
     "52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736",
     "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
     "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d",
     "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
     "fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc",
     "4531685d41d65f03dc48f6b8302c05b0", "56d890e5accaaf011cff4b7d",
     "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a"},
    {HPKE_CHACHA20_POLY1305, /* A.2.1 */
     "f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600",
     "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb",
     "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a",
     "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a",
     "0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7",
     "ad2744de8e17f4ebba575b3f5f5a8fa1f69c2a07f6e7500bc60ca6e3e3ec1c91", "5c4d98150661b848853b547f",
     "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"},
};

static void encapsulates_as_in_the_vector(const struct vector *v)
{
    uint8_t public_key[32], expected[64], encapsulated[32], shared[32], own[32];
    CLEANUP(lethe_secret_free) struct lethe_secret *ephemeral = secret_of(v->ephemeral);
    CLEANUP(lethe_secret_free) struct lethe_secret *private_key = secret_of(v->private_key);
    unhex(v->public_key, public_key);
    assert_ok(hpke_public_of(private_key, own, &err), &err);
    assert_memory_equal(public_key, own, 32);
    assert_ok(hpke_encapsulate(ephemeral, public_key, encapsulated, shared, &err), &err);
    unhex(v->encapsulated, expected);
    assert_memory_equal(expected, encapsulated, 32);
    unhex(v->shared, expected);
    assert_memory_equal(expected, shared, 32);
    memset(shared, 0, sizeof shared);
    assert_ok(hpke_decapsulate(private_key, encapsulated, shared, &err), &err);
    assert_memory_equal(expected, shared, 32);
}

static void schedules_as_in_the_vector(const struct vector *v)
{
    uint8_t shared[32], expected[64], info[32], aad[32], plain[64], cipher[64];
    struct hpke_schedule schedule;
    CLEANUP(aead_key_free) struct aead_key *key = NULL;
    unhex(v->shared, shared);
    const struct hpke_context context = {.info = info, .info_bytes = unhex(info_hex, info)};
    assert_ok(hpke_key_schedule(v->aead, shared, &context, &schedule, &err), &err);
    size_t key_bytes = unhex(v->key, expected);
    assert_memory_equal(expected, schedule.key, key_bytes);
    unhex(v->nonce, expected);
    assert_memory_equal(expected, schedule.nonce, sizeof schedule.nonce);
    assert_ok(hpke_aead_key(v->aead, &schedule, &key, &err), &err);
    size_t plain_bytes = unhex(plain_hex, plain);
    const struct aead_message message = {.nonce = schedule.nonce,
                                         .aad = aad,
                                         .aad_bytes = unhex(aad_hex, aad),
                                         .in = plain,
                                         .out = cipher,
                                         .size_bytes = plain_bytes};
    assert_result(LETHE_OK, aead_seal(key, &message, cipher + plain_bytes));
    assert_int_equal(plain_bytes + AEAD_TAG_BYTES, unhex(v->cipher, expected));
    assert_memory_equal(expected, cipher, plain_bytes + AEAD_TAG_BYTES);
}

static void has_the_vectors_of_the_rfc(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        encapsulates_as_in_the_vector(&vectors[i]);
        schedules_as_in_the_vector(&vectors[i]);
    }
}

static void opens(const char *private_key, const char *encapsulated, const char *cipher,
                  const char *aad, const char *expected)
{
    uint8_t enc[32], sealed[128], info[32], associated[32], plain[64];
    CLEANUP(lethe_secret_free) struct lethe_secret *key = secret_of(private_key);
    CLEANUP(guarded_clear) struct guarded opened = {0};
    const struct hpke_context context = {.info = info,
                                         .info_bytes = unhex(info_hex, info),
                                         .aad = associated,
                                         .aad_bytes = unhex(aad, associated)};
    unhex(encapsulated, enc);
    size_t plain_bytes = unhex(expected, plain);
    assert_ok(hpke_open(key, &context, enc, sealed, unhex(cipher, sealed), &opened, &err), &err);
    assert_int_equal(plain_bytes, opened.size_bytes);
    assert_memory_equal(plain, opened.bytes, plain_bytes);
}

/* The suite's own: sealed by another implementation (pyca/cryptography 48.0, which has no aad). */
static void opens_what_others_sealed(void **state)
{
    (void)state;
    opens("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
          "39ae5ecd66ff4f4da73c04c0c0396e239849b4c3c75debf9a7e0104b0eff2706",
          "98946078f3c31ff28c788d636321fc922ca93c4ea75dcbef6bac3d17ca4975012a27fe05bfbf6dc4d16032be"
          "69",
          "", plain_hex);
}

/* ---- round trips, and what must fail --------------------------------------------------------- */

struct sealed {
    struct lethe_secret *private_key;
    uint8_t public_key[HPKE_PUBLIC_BYTES];
    uint8_t encapsulated[HPKE_ENCAPSULATED_BYTES];
    struct buffer cipher;
};
static const struct hpke_context usual = {"binding", 7, "lethe-keys-v1", 13};
static const char text[] = "the data keys of a model, as they are released";

static int seal(void **state)
{
    static struct sealed sealed;
    CLEANUP(guarded_clear) struct guarded plain = {0};
    sealed = (struct sealed){0};
    guarded_append(&plain, text, sizeof text);
    assert_ok(hpke_generate(&sealed.private_key, sealed.public_key, &err), &err);
    assert_ok(
        hpke_seal(sealed.public_key, &usual, &plain, sealed.encapsulated, &sealed.cipher, &err),
        &err);
    *state = &sealed;
    return 0;
}

static int unseal(void **state)
{
    struct sealed *sealed = *state;
    lethe_secret_free(sealed->private_key);
    buffer_clear(&sealed->cipher);
    return 0;
}

static lethe_result open_with(const struct sealed *sealed, const struct hpke_context *context)
{
    CLEANUP(guarded_clear) struct guarded plain = {0};
    guarded_append(&plain, "before", 6);
    lethe_result result = hpke_open(sealed->private_key, context, sealed->encapsulated,
                                    sealed->cipher.bytes, sealed->cipher.size_bytes, &plain, &err);
    assert_memory_equal("before", plain.bytes, 6);
    assert_int_equal(plain.size_bytes, result == LETHE_OK ? 6 + sizeof text : 6);
    if (result == LETHE_OK)
        assert_memory_equal(text, plain.bytes + 6, sizeof text);
    return result;
}

static void opens_what_it_sealed(void **state)
{
    assert_ok(open_with(*state, &usual), &err);
}

static void another_purpose_does_not_open(void **state)
{
    const struct hpke_context others[] = {{"bindinh", 7, "lethe-keys-v1", 13},
                                          {"binding", 6, "lethe-keys-v1", 13},
                                          {NULL, 0, "lethe-keys-v1", 13},
                                          {"binding", 7, "lethe-keys-v2", 13},
                                          {"binding", 7, NULL, 0}};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_result(LETHE_INTEGRITY, open_with(*state, &others[i]));
}

static void another_key_does_not_open(void **state)
{
    struct sealed other = *(struct sealed *)*state;
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    assert_ok(hpke_generate(&key, other.public_key, &err), &err);
    other.private_key = key;
    assert_result(LETHE_INTEGRITY, open_with(&other, &usual));
}

/* The highest bit of an X25519 point is not looked at (RFC 7748, 5), but it is in the KEM's context
 * all the same: so it counts. */
static void every_changed_bit_is_found(void **state)
{
    struct sealed *sealed = *state;
    for (size_t bit = 0; bit < 8 * sealed->cipher.size_bytes; bit++) {
        sealed->cipher.bytes[bit / 8] ^= (char)(1 << bit % 8);
        assert_result(LETHE_INTEGRITY, open_with(sealed, &usual));
        sealed->cipher.bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * (size_t)HPKE_ENCAPSULATED_BYTES; bit++) {
        sealed->encapsulated[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_result(LETHE_INTEGRITY, open_with(sealed, &usual));
        sealed->encapsulated[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_ok(open_with(sealed, &usual), &err);
}

static void what_is_cut_or_longer_is_found(void **state)
{
    struct sealed *sealed = *state;
    size_t whole = sealed->cipher.size_bytes;
    buffer_byte(&sealed->cipher, 0);
    assert_result(LETHE_INTEGRITY, open_with(sealed, &usual));
    for (size_t size = 0; size < whole; size++) {
        sealed->cipher.size_bytes = size;
        assert_result(LETHE_INTEGRITY, open_with(sealed, &usual));
    }
}

/* RFC 7748, 6.1; the points of small order, and their forms beyond the field's prime. */
static void points_of_small_order_are_refused(void **state)
{
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
    };
    struct sealed other = *(struct sealed *)*state;
    CLEANUP(guarded_clear) struct guarded plain = {0};
    CLEANUP(buffer_clear) struct buffer cipher = {0};
    guarded_append(&plain, text, sizeof text);
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        uint8_t encapsulated[HPKE_ENCAPSULATED_BYTES];
        unhex(points[i], other.encapsulated);
        assert_result(LETHE_INVALID,
                      hpke_seal(other.encapsulated, &usual, &plain, encapsulated, &cipher, &err));
        assert_int_equal(0, cipher.size_bytes);
        assert_result(LETHE_INTEGRITY, open_with(&other, &usual));
    }
}

static void an_info_that_is_too_long_is_refused(void **state)
{
    static const char long_info[HPKE_INFO_MAX + 1];
    struct hpke_context context = {long_info, HPKE_INFO_MAX + 1, NULL, 0};
    assert_result(LETHE_INVALID, open_with(*state, &context));
    context.info_bytes = HPKE_INFO_MAX;
    assert_result(LETHE_INTEGRITY, open_with(*state, &context));
}

static void nothing_can_be_sealed_and_opened(void **state)
{
    struct sealed *sealed = *state;
    CLEANUP(guarded_clear) struct guarded plain = {0};
    buffer_clear(&sealed->cipher);
    assert_ok(
        hpke_seal(sealed->public_key, &usual, &plain, sealed->encapsulated, &sealed->cipher, &err),
        &err);
    assert_int_equal(HPKE_TAG_BYTES, sealed->cipher.size_bytes);
    assert_ok(hpke_open(sealed->private_key, &usual, sealed->encapsulated, sealed->cipher.bytes,
                        sealed->cipher.size_bytes, &plain, &err),
              &err);
    assert_int_equal(0, plain.size_bytes);
}

/* ---- what stays behind ----------------------------------------------------------------------- */

static struct needle seal_and_open(void)
{
    uint8_t public_key[HPKE_PUBLIC_BYTES], encapsulated[HPKE_ENCAPSULATED_BYTES];
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    CLEANUP(guarded_clear) struct guarded plain = {0};
    CLEANUP(guarded_clear) struct guarded opened = {0};
    CLEANUP(buffer_clear) struct buffer cipher = {0};
    assert_ok(hpke_generate(&key, public_key, &err), &err);
    struct needle needle = needle_of(lethe_secret_bytes(key), lethe_secret_size(key));
    assert_int_equal(1, count_in_own_memory(&needle)); /* the control: it is there, once */
    guarded_append(&plain, text, sizeof text);
    assert_ok(hpke_seal(public_key, &usual, &plain, encapsulated, &cipher, &err), &err);
    assert_ok(hpke_open(key, &usual, encapsulated, cipher.bytes, cipher.size_bytes, &opened, &err),
              &err);
    assert_int_equal(1, count_in_own_memory(&needle)); /* and nowhere else after its use */
    return needle;
}

/* Known keys, so that what is derived on the way can be looked for too. */
static void derived_secrets_are_gone(const struct vector *v)
{
    static const char *const names[] = {"shared secret", "key", "ephemeral key"};
    const char *const texts[] = {v->shared, v->key, v->ephemeral};
    struct needle needles[3];
    uint8_t bytes[64];
    for (size_t i = 0; i < 3; i++)
        needles[i] = needle_of(bytes, unhex(texts[i], bytes));
    lethe_wipe(bytes, sizeof bytes);
    {
        uint8_t public_key[32], encapsulated[32], info[32];
        CLEANUP(lethe_secret_free) struct lethe_secret *ephemeral = secret_of(v->ephemeral);
        CLEANUP(lethe_secret_free) struct lethe_secret *shared = NULL;
        CLEANUP(slab_free) void *schedule = NULL;
        const struct hpke_context context = {.info = info, .info_bytes = unhex(info_hex, info)};
        unhex(v->public_key, public_key);
        assert_ok(lethe_secret_create(32, &shared, &err), &err);
        assert_ok(slab_alloc(sizeof(struct hpke_schedule), &schedule, &err), &err);
        assert_ok(
            hpke_encapsulate(ephemeral, public_key, encapsulated, lethe_secret_bytes(shared), &err),
            &err);
        assert_ok(hpke_key_schedule(v->aead, lethe_secret_bytes(shared), &context, schedule, &err),
                  &err);
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(1, count_in_own_memory(&needles[i]));
    }
    for (size_t i = 0; i < 3; i++)
        if (count_in_own_memory(&needles[i]) != 0)
            fail_msg("the %s is still in memory", names[i]);
}

/* M-1 */
static void no_secret_stays_in_memory(void **state)
{
    (void)state;
    if (HAS_SANITIZER) {
        print_message("a sanitizer keeps what was freed\n");
        skip();
    }
    struct needle needle = seal_and_open();
    assert_int_equal(0, count_in_own_memory(&needle));
    derived_secrets_are_gone(&vectors[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_secret_stays_in_memory),
        cmocka_unit_test(has_the_vectors_of_the_rfc),
        cmocka_unit_test(opens_what_others_sealed),
        cmocka_unit_test_setup_teardown(opens_what_it_sealed, seal, unseal),
        cmocka_unit_test_setup_teardown(another_purpose_does_not_open, seal, unseal),
        cmocka_unit_test_setup_teardown(another_key_does_not_open, seal, unseal),
        cmocka_unit_test_setup_teardown(every_changed_bit_is_found, seal, unseal),
        cmocka_unit_test_setup_teardown(what_is_cut_or_longer_is_found, seal, unseal),
        cmocka_unit_test_setup_teardown(points_of_small_order_are_refused, seal, unseal),
        cmocka_unit_test_setup_teardown(an_info_that_is_too_long_is_refused, seal, unseal),
        cmocka_unit_test_setup_teardown(nothing_can_be_sealed_and_opened, seal, unseal),
    };
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
