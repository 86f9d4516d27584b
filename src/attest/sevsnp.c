#include "attest/sevsnp.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "attest/sevsnp_vek.h"
#include "crypto/hash.h"

#define ALGORITHM_P384_SHA384 1u
#define NUMBER_BYTES 48u /* of r and s, in P-384 */
#define VMPL_LAST 3u

/* AMD 56860, 4.3. */
#define POLICY_MUST_BE_ONE (UINT64_C(1) << 17)
#define POLICY_MIGRATION (UINT64_C(1) << 18)
#define POLICY_DEBUG (UINT64_C(1) << 19)
#define POLICY_KNOWN ((UINT64_C(1) << 26) - 1)

lethe_result sevsnp_deny(struct attest_claims *claims, enum attest_reason reason,
                         struct lethe_error *err, const char *format, ...)
{
    char details[384];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(details, sizeof details, format, arguments);
    va_end(arguments);
    claims->reason = reason;
    return error_set(err, LETHE_DENIED, "%s: %s", attest_reason_sentence(reason), details);
}

/* ---- report against certificate -------------------------------------------------------------- */

static lethe_result check_form(const struct sevsnp_report *report, struct attest_claims *claims,
                               struct lethe_error *err)
{
    if (report->algorithm != ALGORITHM_P384_SHA384)
        return sevsnp_deny(claims, ATTEST_ALGORITHM, err, "%u, expected 1 (ECDSA P-384, SHA-384)",
                           report->algorithm);
    if (report->has_reserved)
        return sevsnp_deny(claims, ATTEST_RESERVED, err, "a report of version %u", report->version);
    if (report->vmpl > VMPL_LAST)
        return sevsnp_deny(claims, ATTEST_VMPL, err, "VMPL %u", report->vmpl);
    return LETHE_OK;
}

static lethe_result check_product(const struct sevsnp_report *report, const struct sevsnp_vek *vek,
                                  struct attest_claims *claims, struct lethe_error *err)
{
    if (report->version < SEVSNP_VERSION_CPU)
        return LETHE_OK;
    const struct sevsnp_product *product =
        sevsnp_product_of_cpu(report->cpu_family, report->cpu_model);
    if (product != vek->product)
        return sevsnp_deny(claims, ATTEST_PRODUCT, err,
                           "family %02x, model %02x (%s); the certificate is for %s",
                           report->cpu_family, report->cpu_model,
                           product != NULL ? product->name : "unknown", vek->product->name);
    return LETHE_OK;
}

static lethe_result check_chip(const struct sevsnp_report *report, const struct sevsnp_vek *vek,
                               struct attest_claims *claims, struct lethe_error *err)
{
    if (report->signing_key != (uint32_t)vek->kind)
        return sevsnp_deny(claims, ATTEST_SIGNING_KEY, err, "%u; the certificate is a %s",
                           report->signing_key, vek->kind == SEVSNP_VLEK ? "VLEK" : "VCEK");
    if (report->chip_key_masked)
        return sevsnp_deny(claims, ATTEST_CHIP_MASKED, err, "nor is it signed");
    if (vek->kind == SEVSNP_VLEK) /* a cloud's key, on many chips: it names none */
        return LETHE_OK;
    if (sevsnp_is_zero(report->chip_id, SEVSNP_CHIP_BYTES))
        return sevsnp_deny(claims, ATTEST_CHIP_MASKED, err, "CHIP_ID is zero");
    if (memcmp(report->chip_id, vek->hwid, vek->product->hwid_bytes) != 0)
        return sevsnp_deny(claims, ATTEST_CHIP, err, "CHIP_ID is not its HWID");
    return LETHE_OK;
}

static lethe_result compare_tcb(const struct attest_tcb *reported, const struct sevsnp_vek *vek,
                                struct attest_claims *claims, struct lethe_error *err)
{
    uint8_t found, expected;
    const char *name;
    for (size_t i = 0; (name = sevsnp_tcb_part(reported, i, &found)) != NULL; i++) {
        (void)sevsnp_tcb_part(&vek->tcb, i, &expected);
        if (found != expected)
            return sevsnp_deny(claims, ATTEST_TCB, err, "%s %u; the certificate is for %u", name,
                               found, expected);
    }
    return LETHE_OK;
}

static lethe_result check_tcb(const struct sevsnp_report *report, const struct sevsnp_vek *vek,
                              struct attest_claims *claims, struct lethe_error *err)
{
    const uint8_t *const tcbs[] = {report->current_tcb, report->committed_tcb, report->launch_tcb};
    struct attest_tcb reported, other;
    bool is_clean = sevsnp_tcb_read(vek->product, report->reported_tcb, &reported);
    for (size_t i = 0; i < ARRAY_LEN(tcbs); i++)
        is_clean &= sevsnp_tcb_read(vek->product, tcbs[i], &other);
    if (!is_clean)
        return sevsnp_deny(claims, ATTEST_RESERVED, err, "a TCB of %s", vek->product->name);
    return compare_tcb(&reported, vek, claims, err);
}

/* Little-endian and padded to 72 bytes, into `out`, big-endian. */
static bool read_number(const uint8_t *number, uint8_t out[NUMBER_BYTES])
{
    for (size_t i = 0; i < NUMBER_BYTES; i++)
        out[i] = number[NUMBER_BYTES - 1 - i];
    return sevsnp_is_zero(number + NUMBER_BYTES, SEVSNP_NUMBER_BYTES - NUMBER_BYTES);
}

static lethe_result check_signature(const struct sevsnp_report *report,
                                    const struct sevsnp_vek *vek, struct attest_claims *claims,
                                    struct lethe_error *err)
{
    uint8_t fixed[2 * NUMBER_BYTES];
    struct signature signature;
    if (!read_number(report->r, fixed) || !read_number(report->s, fixed + NUMBER_BYTES))
        return sevsnp_deny(claims, ATTEST_SIGNATURE, err, "r or s is longer than 48 bytes");
    lethe_result result =
        signature_from_fixed(SIGNATURE_ECDSA_P384, fixed, sizeof fixed, &signature, err);
    if (result == LETHE_OK)
        result = sign_verify(vek->key, report->bytes, SEVSNP_SIGNED_BYTES, &signature, err);
    if (result == LETHE_OK || result == LETHE_NO_MEMORY)
        return result;
    return sevsnp_deny(claims, ATTEST_SIGNATURE, err, "it is not of the certificate's key");
}

/* ---- what no guest may be -------------------------------------------------------------------- */

static lethe_result check_policy(const struct sevsnp_report *report, const struct sevsnp_vek *vek,
                                 struct attest_claims *claims, struct lethe_error *err)
{
    if ((report->policy & POLICY_DEBUG) != 0)
        return sevsnp_deny(claims, ATTEST_DEBUG, err, "bit 19 of its policy");
    if ((report->policy & POLICY_MIGRATION) != 0)
        return sevsnp_deny(claims, ATTEST_MIGRATION, err, "bit 18 of its policy");
    if ((report->policy & ~POLICY_KNOWN) != 0 || (report->policy & POLICY_MUST_BE_ONE) == 0)
        return sevsnp_deny(claims, ATTEST_POLICY_BITS, err, "%016llx",
                           (unsigned long long)report->policy);
    return LETHE_OK;
}

static lethe_result check_data(const struct sevsnp_check *check, const struct sevsnp_report *report,
                               struct attest_claims *claims, struct lethe_error *err)
{
    if (check->data == NULL || bytes_equal(check->data, report->data, SEVSNP_DATA_BYTES))
        return LETHE_OK;
    return sevsnp_deny(claims, ATTEST_BINDING, err, "report_data is another");
}

/* ---- all of it ------------------------------------------------------------------------------- */

static lethe_result check_all(const struct sevsnp_check *check, const struct sevsnp_report *report,
                              const struct sevsnp_vek *vek, struct attest_claims *claims,
                              struct lethe_error *err)
{
    static lethe_result (*const checks[])(const struct sevsnp_report *, const struct sevsnp_vek *,
                                          struct attest_claims *, struct lethe_error *) = {
        check_product, check_chip, check_tcb, check_signature, check_policy};
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        TRY(checks[i](report, vek, claims, err));
    return check_data(check, report, claims, err);
}

/* `own` is used where there is no cache. */
static lethe_result find_vek(const struct sevsnp_check *check, struct sevsnp_vek *own,
                             struct attest_claims *claims, const struct sevsnp_vek **out,
                             struct lethe_error *err)
{
    uint8_t key[SEVSNP_CACHE_KEY_BYTES];
    if (check->cache != NULL) {
        TRY(sevsnp_cache_key(check, key, err));
        *out = sevsnp_cache_find(check->cache, key, check->now_s);
        if (*out != NULL)
            return LETHE_OK;
    }
    TRY(sevsnp_vek_verify(check, claims, own, err));
    *out = check->cache != NULL ? sevsnp_cache_put(check->cache, key, own) : own;
    return LETHE_OK;
}

static lethe_result read_report(const void *bytes, size_t size_bytes, struct sevsnp_report *report,
                                struct attest_claims *claims, struct lethe_error *err)
{
    enum attest_reason reason = sevsnp_report_read(bytes, size_bytes, report);
    if (reason == ATTEST_SIZE)
        return sevsnp_deny(claims, reason, err, "%zu bytes, expected %u", size_bytes,
                           SEVSNP_REPORT_BYTES);
    if (reason != ATTEST_VERIFIED)
        return sevsnp_deny(claims, reason, err, "version %u, expected 2 to 5", report->version);
    sevsnp_claims_fill(report, sevsnp_product_of_cpu(report->cpu_family, report->cpu_model),
                       claims);
    return LETHE_OK;
}

lethe_result sevsnp_verify(const struct sevsnp_check *check, struct attest_claims *out,
                           struct lethe_error *err)
{
    *out = (struct attest_claims){.kind = ATTEST_SEV_SNP, .reason = ATTEST_MALFORMED};
    CLEANUP(sevsnp_vek_clear) struct sevsnp_vek own = {0};
    const struct sevsnp_vek *vek = NULL;
    struct sevsnp_report report;
    TRY(read_report(check->report, check->report_bytes, &report, out, err));
    lethe_result result = check_form(&report, out, err);
    if (result == LETHE_OK)
        result = find_vek(check, &own, out, &vek, err);
    const struct sevsnp_product *product =
        vek != NULL ? vek->product : sevsnp_product_of_cpu(report.cpu_family, report.cpu_model);
    sevsnp_claims_fill(&report, product, out);
    out->is_vlek = vek != NULL ? vek->kind == SEVSNP_VLEK : out->is_vlek;
    if (result == LETHE_OK)
        result = check_all(check, &report, vek, out, err);
    if (result == LETHE_OK || result == LETHE_DENIED) {
        lethe_result written = sevsnp_claims_write(&report, product, vek, out, err);
        result = written != LETHE_OK ? written : result;
    }
    if (result != LETHE_OK)
        return result;
    out->reason = ATTEST_VERIFIED;
    out->verified = true;
    return LETHE_OK;
}

lethe_result sevsnp_read(const void *report, size_t size_bytes, struct attest_claims *out,
                         struct lethe_error *err)
{
    *out = (struct attest_claims){.kind = ATTEST_SEV_SNP, .reason = ATTEST_MALFORMED};
    struct sevsnp_report read;
    TRY(read_report(report, size_bytes, &read, out, err));
    return sevsnp_claims_write(&read, sevsnp_product_of_cpu(read.cpu_family, read.cpu_model), NULL,
                               out, err);
}
