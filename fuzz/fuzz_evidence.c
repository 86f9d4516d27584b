/* Evidence as JSON: parts lie in its storage, within their limits, and are refused whole. */
#include <string.h>

#include "attest/evidence.h"
#include "crypto/crypto.h"

#include "fuzz.h"

static void check_part(const struct evidence *e, const void *bytes, size_t size_bytes, size_t max)
{
    const char *at = bytes;
    FUZZ_PROPERTY((at == NULL) == (size_bytes == 0));
    FUZZ_PROPERTY(size_bytes <= max);
    if (at != NULL)
        FUZZ_PROPERTY(at >= e->storage.bytes &&
                      at + size_bytes <= e->storage.bytes + e->storage.size_bytes);
}

static void check_all(const struct evidence *e)
{
    const struct tpm2_check *t = &e->tpm2;
    const struct sevsnp_check *s = &e->sevsnp;
    check_part(e, t->quote, t->quote_bytes, TPM2_QUOTE_MAX);
    check_part(e, t->signature, t->signature_bytes, TPM2_SIGNATURE_MAX);
    check_part(e, t->ak, t->ak_bytes, TPM2_PUBLIC_MAX);
    check_part(e, t->ima_log, t->ima_log_bytes, TPM2_IMA_LOG_MAX);
    check_part(e, s->report, s->report_bytes, SEVSNP_REPORT_BYTES);
    check_part(e, s->vek, s->vek_bytes, EVIDENCE_TEXT_MAX);
    FUZZ_PROPERTY(e->kind == ATTEST_TPM2 ? t->quote != NULL : s->report != NULL && s->vek != NULL);
    FUZZ_PROPERTY((t->pcrs.mask >> ATTEST_PCRS) == 0);
    FUZZ_PROPERTY(strlen(e->digest) == strlen("sha256:") + 64);
}

/* Nobody can sign for this binding. */
static void check_verdict(const struct evidence *e)
{
    static const uint8_t binding[ATTEST_BINDING_BYTES] = {1};
    static const struct evidence_trust trust = {.now_s = 1750000000, .pcr_mask = 1};
    CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
    FUZZ_PROPERTY(evidence_verify(e, &trust, binding, &claims, NULL) == LETHE_DENIED);
    FUZZ_PROPERTY(!claims.verified && claims.reason != ATTEST_VERIFIED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(evidence_clear) struct evidence e;
    FUZZ_PROPERTY(crypto_start(NULL) == LETHE_OK);
    if (evidence_read((const char *)data, size, &e, NULL) != LETHE_OK) {
        FUZZ_PROPERTY(e.storage.bytes == NULL && e.tpm2.quote == NULL && e.sevsnp.report == NULL);
        return 0;
    }
    check_all(&e);
    check_verdict(&e);
    return 0;
}
