/* Wrapped data keys: the format of Vault's transit engine, bound to what they are for. */
#include "check.h"

#include <stdlib.h>

#include "base/text.h"
#include "crypto/crypto.h"
#include "kms/transit.h"

static struct lethe_error err;

static struct lethe_secret *secret_of(uint8_t first, size_t size_bytes)
{
    struct lethe_secret *secret;
    assert_ok(lethe_secret_create(size_bytes, &secret, &err), &err);
    for (size_t i = 0; i < size_bytes; i++)
        lethe_secret_bytes(secret)[i] = (uint8_t)(first + i);
    return secret;
}

static lethe_result counting_fill(void *context, void *out, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        ((uint8_t *)out)[i] = (uint8_t)(0xa0 + i);
    return LETHE_OK;
}
static const struct random_source counting = {.fill = counting_fill};

/* Made with Python's cryptography: AESGCM(bytes(range(32))).encrypt(bytes(range(0xa0, 0xac)),
 * bytes(range(0x40, 0x60)), b"shard 7"). */
static const char known[] =
    "vault:v3:oKGio6Slpqeoqaqrplk+bgGORPgqLM2YSzeOkSD9C0PG4hQ7xFd83SP2K16Pn6dL2O3d0I43aLsP/7i9";

static void a_known_answer(void **state)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *key = secret_of(0, 32);
    CLEANUP(lethe_secret_free) struct lethe_secret *plain = secret_of(0x40, 32);
    CLEANUP(lethe_secret_free) struct lethe_secret *back = NULL;
    const struct transit_binding binding = {
        .key = key, .version = 3, .aad = "shard 7", .aad_bytes = 7};
    CLEANUP(buffer_clear) struct buffer text = {0};
    assert_ok(transit_wrap(&binding, &counting, plain, &text, &err), &err);
    assert_string_equal(known, text.bytes);
    assert_ok(transit_unwrap(&binding, known, &back, &err), &err);
    assert_true(lethe_secret_equal(plain, back));
    uint64_t version;
    assert_ok(transit_version(known, &version, &err), &err);
    assert_int_equal(3, version);
}

static void every_size_comes_back(void **state)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *key = secret_of(9, 32);
    const struct transit_binding binding = {.key = key, .version = UINT64_MAX};
    for (size_t size_bytes = 1; size_bytes <= 64; size_bytes++) {
        CLEANUP(lethe_secret_free) struct lethe_secret *plain = secret_of(1, size_bytes);
        CLEANUP(lethe_secret_free) struct lethe_secret *back = NULL;
        CLEANUP(buffer_clear) struct buffer text = {0};
        assert_ok(transit_wrap(&binding, &random_system, plain, &text, &err), &err);
        assert_ok(transit_unwrap(&binding, text.bytes, &back, &err), &err);
        assert_true(lethe_secret_equal(plain, back));
    }
    CLEANUP(lethe_secret_free) struct lethe_secret *large = secret_of(1, 65);
    CLEANUP(buffer_clear) struct buffer text = {0};
    assert_result(LETHE_INVALID, transit_wrap(&binding, &random_system, large, &text, &err));
}

static lethe_result open_known(const struct transit_binding *binding, const char *text)
{
    struct lethe_secret *back;
    lethe_result result = transit_unwrap(binding, text, &back, &err);
    assert_true(result == LETHE_OK || back == NULL);
    lethe_secret_free(back);
    return result;
}

static void it_opens_only_for_what_it_was_made_for(void **state)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *key = secret_of(0, 32);
    CLEANUP(lethe_secret_free) struct lethe_secret *other = secret_of(1, 32);
    struct transit_binding binding = {.key = key, .version = 3, .aad = "shard 7", .aad_bytes = 7};
    assert_result(LETHE_OK, open_known(&binding, known));
    binding.aad = "shard 8";
    assert_result(LETHE_INTEGRITY, open_known(&binding, known));
    binding.aad_bytes = 0;
    assert_result(LETHE_INTEGRITY, open_known(&binding, known));
    binding =
        (struct transit_binding){.key = other, .version = 3, .aad = "shard 7", .aad_bytes = 7};
    assert_result(LETHE_INTEGRITY, open_known(&binding, known));
}

static void every_changed_character_is_found(void **state)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *key = secret_of(0, 32);
    const struct transit_binding binding = {
        .key = key, .version = 3, .aad = "shard 7", .aad_bytes = 7};
    for (size_t at = 0; known[at] != '\0'; at++) {
        for (unsigned value = 0; value < 256; value++) {
            char text[sizeof known];
            memcpy(text, known, sizeof known);
            text[at] = (char)value;
            if (text[at] == known[at])
                continue;
            /* another version digit: the keyring has another key for it, or none */
            if (at == strlen("vault:v") && value >= '1' && value <= '9')
                continue;
            lethe_result result = open_known(&binding, text);
            assert_true(result == LETHE_MALFORMED || result == LETHE_INTEGRITY);
        }
    }
}

static void malformed_texts_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "vault",
                                      "vault:v",
                                      "vault:v1",
                                      "vault:v0:AAAA",
                                      "vault:v01:AAAA",
                                      "vault:v:AAAA",
                                      "vault:v-1:AAAA",
                                      "vault:v1 :AAAA",
                                      "Vault:v1:AAAA",
                                      "vault:v18446744073709551616:AAAA",
                                      "vault:v1:",
                                      "vault:v1:AAAA",
                                      "vault:v1:????"};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = secret_of(0, 32);
    const struct transit_binding binding = {.key = key, .version = 1};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_result(LETHE_MALFORMED, open_known(&binding, bad[i]));

    char cut[sizeof known];
    for (size_t length = 0; length < sizeof known - 1; length++) {
        memcpy(cut, known, length);
        cut[length] = '\0';
        assert_true(open_known(&binding, cut) != LETHE_OK);
    }
    char long_text[400] = "vault:v1:";
    memset(long_text + strlen(long_text), 'A', 128); /* 96 bytes */
    assert_result(LETHE_MALFORMED, open_known(&binding, long_text));
}

int main(void)
{
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_answer),
        cmocka_unit_test(every_size_comes_back),
        cmocka_unit_test(it_opens_only_for_what_it_was_made_for),
        cmocka_unit_test(every_changed_character_is_found),
        cmocka_unit_test(malformed_texts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
