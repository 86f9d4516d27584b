/* tests/attest/recorded.h -- the recorded quotes of each signature scheme, and what is said to
 * them. */
#ifndef TESTS_RECORDED_H
#define TESTS_RECORDED_H

#include "tpm2_check.h"

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

#endif
