/* Whether a quote is good: each check in its order, and the first that fails is the answer. */
#include <string.h>

#include "attest/ima.h"
#include "attest/tpm2_core.h"
#include "base/error.h"
#include "base/text.h"
#include "crypto/hash.h"

lethe_result tpm2_refuse(struct attest_claims *claims, enum attest_reason reason,
                         struct lethe_error *err, const char *detail)
{
    claims->reason = reason;
    claims->verified = false;
    if (detail == NULL)
        return error_set(err, LETHE_DENIED, "%s", attest_reason_sentence(reason));
    return error_set(err, LETHE_DENIED, "%s: %s", attest_reason_sentence(reason), detail);
}

struct verifying {
    const struct tpm2_check *check;
    struct attest_claims *out;
    struct tpm2_public ak;
    struct tpm2_attested quote;
    struct attest_claims report; /* of what vouches */
};

static lethe_result check_key(struct verifying *v, struct lethe_error *err)
{
    uint8_t name[TPM2_NAME_BYTES];
    const struct tpm2_check *check = v->check;
    enum attest_reason reason = tpm2_public_read(check->ak, check->ak_bytes, &v->ak);
    if (reason != ATTEST_VERIFIED)
        return tpm2_refuse(v->out, reason, err, "the attestation key");
    TRY(tpm2_key_name(check->ak, check->ak_bytes, name, err));
    hex_encode(name, sizeof name, v->out->machine);
    if (!tpm2_public_is_ak(&v->ak))
        return tpm2_refuse(v->out, ATTEST_KEY_ATTRIBUTES, err, NULL);
    return LETHE_OK;
}

static lethe_result read_quote(struct verifying *v, struct lethe_error *err)
{
    const struct tpm2_attested *quote = &v->quote;
    enum attest_reason reason =
        tpm2_attested_read(v->check->quote, v->check->quote_bytes, &v->quote);
    if (reason != ATTEST_VERIFIED)
        return tpm2_refuse(v->out, reason, err, "the quote");
    v->out->pcr_mask = quote->pcr_mask;
    v->out->clock_ms = quote->clock_ms;
    v->out->clock_safe = quote->clock_safe;
    v->out->reset_count = quote->reset_count;
    v->out->restart_count = quote->restart_count;
    return LETHE_OK;
}

static lethe_result check_signature(struct verifying *v, struct lethe_error *err)
{
    const struct tpm2_bytes signature = {v->check->signature, v->check->signature_bytes};
    const struct tpm2_bytes message = {v->check->quote, v->check->quote_bytes};
    enum attest_reason reason;
    TRY(tpm2_signature_check(&v->ak, &signature, &message, &reason, err));
    return reason == ATTEST_VERIFIED ? LETHE_OK
                                     : tpm2_refuse(v->out, reason, err, "the quote's signature");
}

static lethe_result check_binding(struct verifying *v, struct lethe_error *err)
{
    const struct tpm2_bytes extra = v->quote.extra_data;
    if (v->check->binding == NULL || (extra.size_bytes == v->check->binding_bytes &&
                                      memcmp(extra.at, v->check->binding, extra.size_bytes) == 0))
        return LETHE_OK;
    return tpm2_refuse(v->out, ATTEST_BINDING, err, NULL);
}

/* Values come for exactly those that were quoted: a value beside them would be believed for
 * nothing. A quote of no PCR says nothing about the machine. */
static lethe_result check_pcrs(struct verifying *v, struct lethe_error *err)
{
    uint8_t digest[SHA256_BYTES];
    uint32_t mask = v->quote.pcr_mask;
    if (mask == 0 || mask != v->check->pcrs.mask || (v->check->pcr_mask & ~mask) != 0)
        return tpm2_refuse(v->out, ATTEST_PCR_SELECTION, err, NULL);
    tpm2_pcr_digest(&v->check->pcrs, digest);
    if (memcmp(digest, v->quote.pcr_digest.at, sizeof digest) != 0)
        return tpm2_refuse(v->out, ATTEST_PCR_DIGEST, err, NULL);
    for (uint32_t pcr = 0; pcr < ATTEST_PCRS; pcr++)
        if ((mask & 1u << pcr) != 0)
            memcpy(v->out->pcrs[pcr], v->check->pcrs.values[pcr], SHA256_BYTES);
    return LETHE_OK;
}

static lethe_result check_ima(struct verifying *v, struct lethe_error *err)
{
    struct lethe_error why = {0};
    struct ima_replay replay = {.pcr = v->check->pcrs.values[IMA_PCR],
                                .loader_path = v->check->loader_path,
                                .loaders = v->out->loaders};
    if (v->check->ima_log == NULL)
        return LETHE_OK;
    if (v->check->ima_log_bytes > TPM2_IMA_LOG_MAX)
        return tpm2_refuse(v->out, ATTEST_SIZE, err, "the IMA log");
    if ((v->quote.pcr_mask & 1u << IMA_PCR) == 0)
        return tpm2_refuse(v->out, ATTEST_IMA_LOG, err, "PCR 10 was not quoted");
    lethe_result result = ima_replay(v->check->ima_log, v->check->ima_log_bytes, &replay, &why);
    if (result != LETHE_OK)
        return tpm2_refuse(v->out, ATTEST_IMA_LOG, err, why.text);
    v->out->loader_count = replay.loader_count;
    v->out->ima_violations = (uint32_t)replay.violations;
    v->out->ima_replayed = true;
    return LETHE_OK;
}

static void copy_report(struct attest_claims *out, const struct attest_claims *report)
{
    out->has_report = true;
    out->report_version = report->report_version;
    out->vmpl = report->vmpl;
    out->guest_policy = report->guest_policy;
    out->platform_info = report->platform_info;
    out->tcb = report->tcb;
    out->is_vlek = report->is_vlek;
    memcpy(out->product, report->product, sizeof out->product);
    memcpy(out->report_measurement, report->measurement, sizeof out->report_measurement);
}

/* A virtual TPM is as good as the guest that it belongs to. */
static lethe_result check_vouched(struct verifying *v, struct lethe_error *err)
{
    uint8_t data[SEVSNP_DATA_BYTES] = {0};
    if (v->check->vouched == NULL)
        return LETHE_OK;
    struct sevsnp_check check = *v->check->vouched;
    sha256(v->check->ak, v->check->ak_bytes, data);
    check.data = data;
    lethe_result result = sevsnp_verify(&check, &v->report, err);
    if (result == LETHE_DENIED && v->report.reason == ATTEST_BINDING)
        return tpm2_refuse(v->out, ATTEST_KEY_NOT_VOUCHED, err, NULL);
    if (result == LETHE_DENIED)
        v->out->reason = v->report.reason;
    TRY(error_context(err, result, "the report that vouches for the TPM"));
    copy_report(v->out, &v->report);
    return LETHE_OK;
}

static lethe_result verify(struct verifying *v, struct lethe_error *err)
{
    static lethe_result (*const checks[])(struct verifying *, struct lethe_error *) = {
        check_key, read_quote, check_signature, check_binding, check_pcrs, check_vouched, check_ima,
    };
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        TRY(checks[i](v, err));
    tpm2_measure(v->out, v->check->pcr_mask);
    TRY(tpm2_claims_json(v->out, v->check->vouched != NULL ? &v->report : NULL, err));
    v->out->verified = true;
    return LETHE_OK;
}

lethe_result tpm2_verify(const struct tpm2_check *check, struct attest_claims *out,
                         struct lethe_error *err)
{
    struct verifying v = {.check = check, .out = out};
    *out = (struct attest_claims){.kind = ATTEST_TPM2};
    lethe_result result = verify(&v, err);
    attest_claims_clear(&v.report);
    return result;
}

bool tpm2_counters_go_on(const struct tpm2_counters *earlier, const struct tpm2_counters *later)
{
    if (later->reset_count != earlier->reset_count)
        return later->reset_count > earlier->reset_count;
    if (later->restart_count != earlier->restart_count)
        return later->restart_count > earlier->restart_count;
    return later->clock_ms >= earlier->clock_ms;
}
