/* E-1: quotes, as recorded of a TPM (tests/vectors/tpm2): good ones are accepted, and nothing else.
 */
#include "tpm2_check.h"

#include <jansson.h>

#include "base/text.h"
#include "crypto/crypto.h"
#include "crypto/hash.h"

#define VECTORS TEST_VECTORS "/tpm2"

static const char *const schemes[] = {"ecdsa", "rsassa", "rsapss"};

/* Checks, and takes the reason along. */
static lethe_result verify(const struct tpm2_check *check, enum attest_reason *reason)
{
    CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
    lethe_result result = tpm2_verify(check, &claims, &err);
    *reason = claims.reason;
    assert_int_equal(result == LETHE_OK, claims.verified);
    assert_true((result == LETHE_OK) == (claims.json.size_bytes > 0));
    return result;
}

static void assert_reason(enum attest_reason expected, const struct tpm2_check *check)
{
    enum attest_reason reason;
    lethe_result result = verify(check, &reason);
    if (reason != expected)
        fail_msg("got %s instead of %s", attest_reason_code(reason), attest_reason_code(expected));
    assert_result(expected == ATTEST_VERIFIED ? LETHE_OK : LETHE_DENIED, result);
    if (expected != ATTEST_VERIFIED)
        assert_non_null(strstr(err.text, attest_reason_sentence(expected)));
}

static int load(void **state)
{
    static struct evidence_files files[ARRAY_LEN(schemes)];
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        load_files(&files[i], VECTORS, schemes[i], PCRS_RECORDED);
    *state = files;
    return 0;
}

static int unload(void **state)
{
    struct evidence_files *files = *state;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        free_files(&files[i]);
    return 0;
}

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

/* ---- edges of each field ----------------------------------------------------------------------
 */

struct edge {
    size_t at, size_bytes;
    uint64_t value; /* big-endian */
    enum attest_reason expected;
};

static void put(void *bytes, const struct edge *edge)
{
    for (size_t i = 0; i < edge->size_bytes; i++)
        ((uint8_t *)bytes)[edge->at + i] = (uint8_t)(edge->value >> 8 * (edge->size_bytes - 1 - i));
}

/* Fields are judged before the signature is: it does not fit, where they are fine. */
static void fields_of_a_quote_have_edges(void **state)
{
    static const struct edge edges[] = {
        {0, 4, 0, ATTEST_MAGIC},
        {0, 4, 0xff544348, ATTEST_MAGIC},
        {0, 4, 0xffffffff, ATTEST_MAGIC},
        {4, 2, 0x8017, ATTEST_TYPE}, /* certify */
        {4, 2, 0x8019, ATTEST_TYPE},
        {4, 2, 0, ATTEST_TYPE},
        {6, 2, 0, ATTEST_MALFORMED},
        {6, 2, 33, ATTEST_MALFORMED},
        {6, 2, 35, ATTEST_MALFORMED},
        {6, 2, 0xffff, ATTEST_SIZE},
        {8, 2, 4, ATTEST_MALFORMED}, /* SHA-1 */
        {8, 2, 12, ATTEST_MALFORMED},
        {42, 2, 65, ATTEST_MALFORMED},
        {42, 2, 0xffff, ATTEST_SIZE},
        {76, 8, UINT64_C(1) << 53, ATTEST_MALFORMED},
        {76, 8, (UINT64_C(1) << 53) - 1, ATTEST_SIGNATURE},
        {76, 8, UINT64_MAX, ATTEST_MALFORMED},
        {84, 4, 0xffffffff, ATTEST_SIGNATURE},
        {88, 4, 0xffffffff, ATTEST_SIGNATURE},
        {92, 1, 0, ATTEST_SIGNATURE},
        {92, 1, 2, ATTEST_MALFORMED},
        {92, 1, 255, ATTEST_MALFORMED},
        {101, 4, 0, ATTEST_PCR_SELECTION},
        {101, 4, 2, ATTEST_PCR_SELECTION},
        {101, 4, 0xffffffff, ATTEST_PCR_SELECTION},
        {105, 2, 4, ATTEST_PCR_SELECTION},
        {105, 2, 12, ATTEST_PCR_SELECTION},
        {107, 1, 0, ATTEST_PCR_SELECTION},
        {107, 1, 2, ATTEST_PCR_SELECTION},
        {107, 1, 4, ATTEST_SIZE}, /* takes the length behind it along */
        {107, 1, 5, ATTEST_PCR_SELECTION},
        {107, 1, 255, ATTEST_PCR_SELECTION},
        {108, 3, 0, ATTEST_SIGNATURE},
        {111, 2, 0, ATTEST_MALFORMED},
        {111, 2, 31, ATTEST_MALFORMED},
        {111, 2, 33, ATTEST_SIZE},
        {111, 2, 0xffff, ATTEST_SIZE},
    };
    struct evidence_files *files = *state;
    uint8_t quote[145];
    struct tpm2_check check = files->check;
    assert_int_equal(sizeof quote, files->quote.size_bytes);
    check.quote = quote;
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        memcpy(quote, files->quote.bytes, sizeof quote);
        put(quote, &edges[i]);
        assert_reason(edges[i].expected, &check);
    }
}

static void fields_of_an_ecc_key_have_edges(void **state)
{
    static const struct edge edges[] = {
        {0, 2, 8, ATTEST_ALGORITHM}, /* keyed hash */
        {0, 2, 0, ATTEST_ALGORITHM},
        {2, 2, 4, ATTEST_ALGORITHM},
        {4, 4, 0, ATTEST_KEY_ATTRIBUTES},
        {4, 4, 0xffffffff, ATTEST_KEY_ATTRIBUTES},
        {4, 4, 0x00050070, ATTEST_KEY_ATTRIBUTES}, /* not fixedTPM */
        {4, 4, 0x00050062, ATTEST_KEY_ATTRIBUTES}, /* not fixedParent */
        {4, 4, 0x00050052, ATTEST_KEY_ATTRIBUTES}, /* made elsewhere */
        {4, 4, 0x00040072, ATTEST_KEY_ATTRIBUTES}, /* not restricted */
        {4, 4, 0x00010072, ATTEST_KEY_ATTRIBUTES}, /* does not sign */
        {4, 4, 0x00070072, ATTEST_KEY_ATTRIBUTES}, /* decrypts too */
        {4, 4, 0x00050072, ATTEST_VERIFIED},
        {8, 2, 1, ATTEST_MALFORMED}, /* a policy of one byte; what follows is shifted */
        {8, 2, 0xffff, ATTEST_SIZE},
        {10, 2, 6, ATTEST_ALGORITHM}, /* AES: two more fields are read */
        {10, 2, 0x26, ATTEST_ALGORITHM},
        {12, 2, 0x10, ATTEST_ALGORITHM}, /* NULL: one field fewer, what follows is shifted */
        {12, 2, 0x1a, ATTEST_ALGORITHM}, /* ECDAA */
        {14, 2, 4, ATTEST_ALGORITHM},    /* SHA-1 */
        {16, 2, 4, ATTEST_ALGORITHM},    /* P-384 */
        {18, 2, 7, ATTEST_ALGORITHM},
        {20, 2, 0, ATTEST_SIZE},
        {20, 2, 0xffff, ATTEST_SIZE},
        {54, 2, 31, ATTEST_SIZE},
        {54, 2, 33, ATTEST_SIZE},
        {22, 8, 0, ATTEST_SIGNATURE}, /* not on the curve */
    };
    struct evidence_files *files = *state;
    uint8_t ak[88];
    struct tpm2_check check = files->check;
    assert_int_equal(sizeof ak, files->ak.size_bytes);
    check.ak = ak;
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        memcpy(ak, files->ak.bytes, sizeof ak);
        put(ak, &edges[i]);
        assert_reason(edges[i].expected, &check);
    }
}

static void fields_of_an_rsa_key_have_edges(void **state)
{
    static const struct edge edges[] = {
        {12, 2, 0x15, ATTEST_ALGORITHM}, /* RSAES */
        {12, 2, 0x16, ATTEST_ALGORITHM}, /* RSAPSS: the signature is not */
        {12, 2, 0x18, ATTEST_ALGORITHM}, /* ECDSA */
        {14, 2, 4, ATTEST_ALGORITHM},
        {16, 2, 1024, ATTEST_MALFORMED},
        {16, 2, 0, ATTEST_MALFORMED},
        {16, 2, 0xffff, ATTEST_MALFORMED},
        {18, 4, 65537, ATTEST_VERIFIED},
        {18, 4, 3, ATTEST_SIGNATURE},
        {18, 4, 0xffffffff, ATTEST_SIGNATURE},
        {22, 2, 255, ATTEST_MALFORMED},
        {22, 2, 257, ATTEST_SIZE},
        {24, 1, 0x7f, ATTEST_SIGNATURE}, /* a modulus of 2,047 bits */
        {279, 1, 0, ATTEST_SIGNATURE},   /* even */
    };
    struct evidence_files *files = *state;
    uint8_t ak[280];
    struct tpm2_check check = files[1].check;
    assert_int_equal(sizeof ak, files[1].ak.size_bytes);
    check.ak = ak;
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        memcpy(ak, files[1].ak.bytes, sizeof ak);
        put(ak, &edges[i]);
        assert_reason(edges[i].expected, &check);
    }
}

static void fields_of_a_signature_have_edges(void **state)
{
    static const struct edge edges[] = {
        {0, 2, 0x14, ATTEST_ALGORITHM}, {0, 2, 0x1a, ATTEST_ALGORITHM}, {0, 2, 0, ATTEST_ALGORITHM},
        {2, 2, 4, ATTEST_ALGORITHM},    {2, 2, 12, ATTEST_ALGORITHM},   {4, 2, 0, ATTEST_SIZE},
        {4, 2, 0xffff, ATTEST_SIZE},    {38, 2, 31, ATTEST_SIZE},       {38, 2, 33, ATTEST_SIZE},
        {40, 8, 0, ATTEST_SIGNATURE},
    };
    struct evidence_files *files = *state;
    uint8_t signature[72];
    struct tpm2_check check = files->check;
    assert_int_equal(sizeof signature, files->signature.size_bytes);
    check.signature = signature;
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        memcpy(signature, files->signature.bytes, sizeof signature);
        put(signature, &edges[i]);
        assert_reason(edges[i].expected, &check);
    }
    memset(signature + 6, 0, 32); /* r and s of zero */
    memset(signature + 40, 0, 32);
    assert_reason(ATTEST_SIGNATURE, &check);
}

/* A leading zero may be left out, and none may be added. */
static void numbers_of_a_signature_are_padded(void **state)
{
    struct evidence_files *files = *state;
    uint8_t longer[73];
    struct tpm2_check check = files->check;
    memcpy(longer, files->signature.bytes, 4);
    longer[4] = 0, longer[5] = 33, longer[6] = 0;
    memcpy(longer + 7, files->signature.bytes + 6, 66);
    check.signature = longer, check.signature_bytes = sizeof longer;
    assert_reason(ATTEST_SIGNATURE, &check);
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
        WITH_FILES(recorded_quotes_are_good),
        WITH_FILES(claims_say_what_was_quoted),
        WITH_FILES(every_changed_bit_is_found),
        WITH_FILES(a_changed_key_is_another_key),
        WITH_FILES(other_lengths_are_refused),
        WITH_FILES(what_is_too_long_is_not_read),
        WITH_FILES(another_nonce_is_refused),
        WITH_FILES(other_pcrs_are_refused),
        WITH_FILES(parts_of_two_quotes_do_not_mix),
        WITH_FILES(an_unrestricted_key_is_refused),
        WITH_FILES(fields_of_a_quote_have_edges),
        WITH_FILES(fields_of_an_ecc_key_have_edges),
        WITH_FILES(fields_of_an_rsa_key_have_edges),
        WITH_FILES(fields_of_a_signature_have_edges),
        WITH_FILES(numbers_of_a_signature_are_padded),
        WITH_FILES(names_are_of_whole_keys),
        WITH_FILES(counters_go_on),
    };
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
