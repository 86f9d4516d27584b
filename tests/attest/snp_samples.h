/* tests/attest/snp_samples.h -- real reports and certificates (tests/vectors/sevsnp). */
#ifndef TESTS_ATTEST_SNP_SAMPLES_H
#define TESTS_ATTEST_SNP_SAMPLES_H

#include <fcntl.h>

#include "check.h"

#include "attest/sevsnp.h"
#include "base/file.h"
#include "crypto/crypto.h"
#include "crypto/x509.h"

#define SAMPLES_NOW_S UINT64_C(1750000000)  /* 2025-06-15: all of them are valid */
#define VLEK_EXPIRED_S UINT64_C(1765404862) /* 2025-12-10 22:14:22, one second after */

__attribute__((unused)) static int start_crypto(void **state)
{
    return crypto_start(NULL) == LETHE_OK ? 0 : -1;
}

__attribute__((unused)) static struct buffer sample(const char *name)
{
    struct lethe_error err = {0};
    struct buffer bytes = {0};
    char path[512];
    snprintf(path, sizeof path, TEST_VECTORS "/sevsnp/%s", name);
    assert_ok(file_read_all(AT_FDCWD, path, 65536, &bytes, &err), &err);
    return bytes;
}

/* A report with its certificate. */
struct evidence_sample {
    struct buffer report, vek;
};
__attribute__((unused)) static struct evidence_sample load(const char *report, const char *vek)
{
    return (struct evidence_sample){sample(report), sample(vek)};
}
__attribute__((unused)) static void unload(struct evidence_sample *s)
{
    buffer_clear(&s->report);
    buffer_clear(&s->vek);
}
__attribute__((unused)) static struct sevsnp_check check_of(const struct evidence_sample *s)
{
    return (struct sevsnp_check){.report = s->report.bytes,
                                 .report_bytes = s->report.size_bytes,
                                 .vek = s->vek.bytes,
                                 .vek_bytes = s->vek.size_bytes,
                                 .now_s = SAMPLES_NOW_S};
}

/* The reason by its code, so that a failure shows both. */
#define assert_reason(expected, check)                                                             \
    assert_string_equal(reason_of((check)), attest_reason_code(expected))
__attribute__((unused)) static const char *reason_of(const struct sevsnp_check *check)
{
    struct lethe_error err = {0};
    struct attest_claims claims = {0};
    lethe_result result = sevsnp_verify(check, &claims, &err);
    enum attest_reason reason = claims.reason;
    assert_int_equal(result, reason == ATTEST_VERIFIED ? LETHE_OK : LETHE_DENIED);
    assert_int_equal(claims.verified, result == LETHE_OK);
    const char *sentence = attest_reason_sentence(reason);
    if (result != LETHE_OK && strncmp(err.text, sentence, strlen(sentence)) != 0)
        fail_msg("%s instead of %s", (const char *)err.text, sentence);
    attest_claims_clear(&claims);
    return attest_reason_code(reason);
}

#endif
