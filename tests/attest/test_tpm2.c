/* E-1: quotes, as recorded of a TPM (tests/vectors/tpm2): good ones are accepted, and nothing else.
 */
#include "recorded.h"

#include <jansson.h>

#include "base/text.h"
#include "crypto/crypto.h"
#include "crypto/hash.h"

static void recorded_quotes_are_good(void **state)
{
    struct evidence_files *files = *state;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        files[i].check.pcr_mask = 1u << 7 | 1u << 0;
        assert_reason(ATTEST_VERIFIED, &files[i].check);
        files[i].check.binding = NULL;
        files[i].check.pcr_mask = 0;
        assert_reason(ATTEST_VERIFIED, &files[i].check);
    }
}

static void claims_say_what_was_quoted(void **state)
{
    struct evidence_files *files = *state;
    CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
    char expected[ATTEST_MEASUREMENT_SIZE] = "sha256:";
    uint8_t digest[32], name[TPM2_NAME_BYTES];
    assert_ok(tpm2_verify(&files->check, &claims, &err), &err);
    assert_int_equal(ATTEST_TPM2, claims.kind);
    assert_int_equal(PCRS_RECORDED, claims.pcr_mask);
    assert_memory_equal(files->values.bytes + 64, claims.pcrs[16], 32);
    sha256(files->values.bytes, files->values.size_bytes, digest);
    hex_encode(digest, 32, expected + 7);
    assert_string_equal(expected, claims.measurement);
    assert_ok(tpm2_key_name(files->ak.bytes, files->ak.size_bytes, name, &err), &err);
    hex_encode(name, sizeof name, expected);
    assert_string_equal(expected, claims.machine);
    assert_int_equal(1, claims.reset_count);
    assert_int_equal(0, claims.restart_count);
    assert_true(claims.clock_safe && claims.clock_ms > 0);
    assert_false(claims.ima_replayed || claims.has_report);

    json_error_t at;
    json_t *json = json_loadb(claims.json.bytes, claims.json.size_bytes, 0, &at);
    assert_non_null(json);
    assert_string_equal("tpm2", json_string_value(json_object_get(json, "kind")));
    assert_string_equal(claims.measurement,
                        json_string_value(json_object_get(json, "measurement")));
    assert_int_equal(1, json_integer_value(json_object_get(json, "reset_count")));
    hex_encode(claims.pcrs[7], 32, expected);
    json_t *pcrs = json_object_get(json, "pcrs");
    assert_int_equal(3, json_object_size(pcrs));
    assert_string_equal(expected, json_string_value(json_object_get(pcrs, "7")));
    assert_null(json_object_get(json, "machine")); /* the keeper's to say */
    json_decref(json);
}

/* Every bit of the quote and of the PCRs; of the signature every bit too. Of the key every bit as
 * well: what does not break the signature makes it a key with another name. */
static void assert_every_bit_counts(const struct tpm2_check *check, void *bytes, size_t size_bytes)
{
    uint8_t *at = bytes;
    enum attest_reason reason;
    for (size_t bit = 0; bit < 8 * size_bytes; bit++) {
        at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (verify(check, &reason) != LETHE_DENIED)
            fail_msg("bit %zu does not count", bit);
        at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void every_changed_bit_is_found(void **state)
{
    struct evidence_files *files = *state;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        struct evidence_files *f = &files[i];
        assert_every_bit_counts(&f->check, f->quote.bytes, f->quote.size_bytes);
        assert_every_bit_counts(&f->check, f->signature.bytes, f->signature.size_bytes);
        assert_every_bit_counts(&f->check, f->check.pcrs.values[0], 32);
        assert_every_bit_counts(&f->check, f->check.pcrs.values[7], 32);
        assert_every_bit_counts(&f->check, f->check.pcrs.values[16], 32);
        assert_reason(ATTEST_VERIFIED, &f->check);
    }
}

static void a_changed_key_is_another_key(void **state)
{
    struct evidence_files *files = *state;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        uint8_t *ak = (uint8_t *)files[i].ak.bytes;
        CLEANUP(attest_claims_clear) struct attest_claims own = {0};
        assert_ok(tpm2_verify(&files[i].check, &own, &err), &err);
        size_t accepted = 0;
        for (size_t bit = 0; bit < 8 * files[i].ak.size_bytes; bit++) {
            CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
            ak[bit / 8] ^= (uint8_t)(1u << bit % 8);
            lethe_result result = tpm2_verify(&files[i].check, &claims, &err);
            accepted += result == LETHE_OK;
            assert_true(result == LETHE_OK || result == LETHE_DENIED);
            assert_string_not_equal(own.machine, claims.machine);
            ak[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_true(accepted < 32); /* attributes that do not matter to a quote */
    }
}

static void other_lengths_are_refused(void **state)
{
    struct evidence_files *files = *state;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        const struct tpm2_check good = files[i].check;
        struct tpm2_check check = good;
        for (check.quote_bytes = 0; check.quote_bytes < good.quote_bytes; check.quote_bytes++)
            assert_reason(ATTEST_SIZE, &check);
        check = good;
        for (check.ak_bytes = 0; check.ak_bytes < good.ak_bytes; check.ak_bytes++)
            assert_reason(ATTEST_SIZE, &check);
        check = good;
        for (check.signature_bytes = 0; check.signature_bytes < good.signature_bytes;
             check.signature_bytes++)
            assert_reason(ATTEST_SIZE, &check);
        struct buffer *const parts[] = {&files[i].quote, &files[i].ak, &files[i].signature};
        for (size_t part = 0; part < 3; part++)
            buffer_byte(parts[part], 0);
        const struct tpm2_check longer = {.quote = files[i].quote.bytes,
                                          .quote_bytes = good.quote_bytes,
                                          .ak = files[i].ak.bytes,
                                          .ak_bytes = good.ak_bytes,
                                          .signature = files[i].signature.bytes,
                                          .signature_bytes = good.signature_bytes,
                                          .pcrs = good.pcrs};
        assert_reason(ATTEST_VERIFIED, &longer);
        check = longer, check.quote_bytes++;
        assert_reason(ATTEST_SIZE, &check);
        check = longer, check.ak_bytes++;
        assert_reason(ATTEST_SIZE, &check);
        check = longer, check.signature_bytes++;
        assert_reason(ATTEST_SIZE, &check);
    }
}

static void what_is_too_long_is_not_read(void **state)
{
    struct evidence_files *files = *state;
    static uint8_t big[TPM2_QUOTE_MAX + 1];
    struct tpm2_check check = files->check;
    memcpy(big, files->quote.bytes, files->quote.size_bytes);
    check.quote = big, check.quote_bytes = sizeof big;
    assert_reason(ATTEST_SIZE, &check);
    check = files->check;
    memcpy(big, files->signature.bytes, files->signature.size_bytes);
    check.signature = big, check.signature_bytes = sizeof big;
    assert_reason(ATTEST_SIZE, &check);
    check = files->check;
    memcpy(big, files->ak.bytes, files->ak.size_bytes);
    check.ak = big, check.ak_bytes = sizeof big;
    assert_reason(ATTEST_SIZE, &check);
}

static void another_nonce_is_refused(void **state)
{
    struct evidence_files *files = *state;
    struct tpm2_check check = files->check;
    uint8_t nonce[33] = {0};
    memcpy(nonce, check.binding, 32);
    check.binding = nonce;
    check.binding_bytes = 33;
    assert_reason(ATTEST_BINDING, &check);
    check.binding_bytes = 31;
    assert_reason(ATTEST_BINDING, &check);
    check.binding_bytes = 0;
    assert_reason(ATTEST_BINDING, &check);
    check.binding_bytes = 32;
    assert_reason(ATTEST_VERIFIED, &check);
    nonce[31] ^= 1;
    assert_reason(ATTEST_BINDING, &check);
}

static void other_pcrs_are_refused(void **state)
{
    struct evidence_files *files = *state;
    struct tpm2_check check = files->check;
    check.pcr_mask = 1u << 1;
    assert_reason(ATTEST_PCR_SELECTION, &check);
    check.pcr_mask = 0;
    check.pcrs.mask = 1u << 0 | 1u << 7; /* one fewer than was quoted */
    assert_reason(ATTEST_PCR_SELECTION, &check);
    check.pcrs.mask = PCRS_RECORDED | 1u << 10; /* one that was not */
    assert_reason(ATTEST_PCR_SELECTION, &check);
    check.pcrs.mask = PCRS_RECORDED;
    memset(check.pcrs.values[16], 0, 32); /* as it was before it was extended */
    assert_reason(ATTEST_PCR_DIGEST, &check);
}

static void parts_of_two_quotes_do_not_mix(void **state)
{
    struct evidence_files *files = *state;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        for (size_t j = 0; j < ARRAY_LEN(schemes); j++) {
            if (i == j)
                continue;
            struct tpm2_check check = files[i].check;
            check.ak = files[j].check.ak, check.ak_bytes = files[j].check.ak_bytes;
            assert_reason(ATTEST_ALGORITHM, &check); /* of another scheme */
            check.signature = files[j].check.signature;
            check.signature_bytes = files[j].check.signature_bytes;
            assert_reason(ATTEST_SIGNATURE, &check);
        }
}

static void an_unrestricted_key_is_refused(void **state)
{
    (void)state;
    struct evidence_files files = {0};
    load_files(&files, VECTORS, "unrestricted", PCRS_RECORDED);
    assert_reason(ATTEST_KEY_ATTRIBUTES, &files.check);
    assert_result(LETHE_DENIED, tpm2_check_ak(files.ak.bytes, files.ak.size_bytes, &err));
    free_files(&files);
}

/* ---- keys, counters ----------------------------------------------------
 */

static void names_are_of_whole_keys(void **state)
{
    struct evidence_files *files = *state;
    uint8_t name[TPM2_NAME_BYTES], again[TPM2_NAME_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        assert_ok(tpm2_check_ak(files[i].ak.bytes, files[i].ak.size_bytes, &err), &err);
        assert_ok(tpm2_key_name(files[i].ak.bytes, files[i].ak.size_bytes, name, &err), &err);
        assert_int_equal(0x00, name[0]);
        assert_int_equal(0x0b, name[1]);
        sha256(files[i].ak.bytes, files[i].ak.size_bytes, again + 2);
        assert_memory_equal(again + 2, name + 2, 32);
        assert_result(LETHE_MALFORMED,
                      tpm2_key_name(files[i].ak.bytes, files[i].ak.size_bytes - 1, name, &err));
        assert_result(LETHE_DENIED,
                      tpm2_check_ak(files[i].ak.bytes, files[i].ak.size_bytes - 1, &err));
    }
}

static void counters_go_on(void **state)
{
    (void)state;
    const struct tpm2_counters earlier = {1000, 5, 3};
    static const struct {
        struct tpm2_counters later;
        bool expected;
    } cases[] = {
        {{1000, 5, 3}, true},  {{1001, 5, 3}, true},  {{999, 5, 3}, false}, {{0, 6, 0}, true},
        {{9999, 4, 9}, false}, {{9999, 5, 2}, false}, {{0, 5, 4}, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(cases[i].expected, tpm2_counters_go_on(&earlier, &cases[i].later));
}

int main(void)
{
#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, load, unload)
    const struct CMUnitTest tests[] = {
        WITH_FILES(recorded_quotes_are_good),       WITH_FILES(claims_say_what_was_quoted),
        WITH_FILES(every_changed_bit_is_found),     WITH_FILES(a_changed_key_is_another_key),
        WITH_FILES(other_lengths_are_refused),      WITH_FILES(what_is_too_long_is_not_read),
        WITH_FILES(another_nonce_is_refused),       WITH_FILES(other_pcrs_are_refused),
        WITH_FILES(parts_of_two_quotes_do_not_mix), WITH_FILES(an_unrestricted_key_is_refused),
        WITH_FILES(names_are_of_whole_keys),        WITH_FILES(counters_go_on),
    };
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
