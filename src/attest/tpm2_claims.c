/* What a quote's claims come to, for policies. */
#include <inttypes.h>
#include <string.h>

#include "attest/ima.h"
#include "attest/tpm2_core.h"
#include "base/json.h"
#include "base/text.h"
#include "crypto/hash.h"

void tpm2_pcr_digest(const struct tpm2_pcrs *pcrs, uint8_t out[SHA256_BYTES])
{
    uint8_t joined[ATTEST_PCRS * SHA256_BYTES];
    size_t used = 0;
    for (uint32_t pcr = 0; pcr < ATTEST_PCRS; pcr++) {
        if ((pcrs->mask & 1u << pcr) == 0)
            continue;
        memcpy(joined + used, pcrs->values[pcr], SHA256_BYTES);
        used += SHA256_BYTES;
    }
    sha256(joined, used, out);
}

/* Without PCR 10 when its log was replayed: that one changes with every program that starts. And of
 * those alone that were asked for, where any were: software makes any value that it has the events
 * of in PCRs that can be reset, or that nothing uses, and the digest does not say where it was. */
void tpm2_measure(struct attest_claims *claims, uint32_t asked)
{
    uint8_t digest[SHA256_BYTES];
    struct tpm2_pcrs pcrs = {.mask = claims->pcr_mask};
    memcpy(pcrs.values, claims->pcrs, sizeof pcrs.values);
    if (asked != 0)
        pcrs.mask &= asked;
    if (claims->ima_replayed)
        pcrs.mask &= ~(1u << IMA_PCR);
    tpm2_pcr_digest(&pcrs, digest);
    memcpy(claims->measurement, "sha256:", sizeof "sha256:");
    hex_encode(digest, sizeof digest, claims->measurement + strlen("sha256:"));
}

static void append_pcrs(const struct attest_claims *claims, struct buffer *json)
{
    char hex[2 * SHA256_BYTES + 1];
    const char *comma = "";
    buffer_text(json, ",\"pcrs\":{");
    for (uint32_t pcr = 0; pcr < ATTEST_PCRS; pcr++) {
        if ((claims->pcr_mask & 1u << pcr) == 0)
            continue;
        hex_encode(claims->pcrs[pcr], SHA256_BYTES, hex);
        buffer_format(json, "%s\"%" PRIu32 "\":\"%s\"", comma, pcr, hex);
        comma = ",";
    }
    buffer_byte(json, '}');
}

/* The algorithms' names in the log are the machine's texts. */
static void append_loaders(const struct attest_claims *claims, struct buffer *json)
{
    buffer_format(json, ",\"ima\":%s,\"ima_violations\":%" PRIu32 ",\"loaders\":[",
                  claims->ima_replayed ? "true" : "false", claims->ima_violations);
    for (size_t i = 0; i < claims->loader_count; i++) {
        buffer_text(json, i > 0 ? "," : "");
        json_append_string(json, claims->loaders[i], strlen(claims->loaders[i]));
    }
    buffer_byte(json, ']');
}

lethe_result tpm2_claims_json(struct attest_claims *claims, const struct attest_claims *report,
                              struct lethe_error *err)
{
    struct buffer *json = &claims->json;
    buffer_clear(json);
    buffer_format(json,
                  "{\"kind\":\"tpm2\",\"measurement\":\"%s\",\"key\":\"%s\",\"clock_ms\":%" PRIu64
                  ",\"clock_safe\":%s,\"reset_count\":%" PRIu32 ",\"restart_count\":%" PRIu32,
                  claims->measurement, claims->machine, claims->clock_ms,
                  claims->clock_safe ? "true" : "false", claims->reset_count,
                  claims->restart_count);
    append_pcrs(claims, json);
    append_loaders(claims, json);
    if (report != NULL) {
        buffer_text(json, ",\"report\":");
        buffer_append(json, report->json.bytes, report->json.size_bytes);
    }
    buffer_byte(json, '}');
    return buffer_result(json, err);
}
