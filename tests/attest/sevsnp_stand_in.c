/* Until sevsnp.c is there: a report is good when its data are its first bytes, and it says 'good'.
 */
#include <string.h>

#include "attest/sevsnp.h"
#include "base/error.h"

lethe_result sevsnp_verify(const struct sevsnp_check *check, struct attest_claims *out,
                           struct lethe_error *err)
{
    const char *report = check->report;
    *out = (struct attest_claims){.kind = ATTEST_SEV_SNP};
    out->reason = check->report_bytes < 64 || memcmp(report + 64, "good", 4) != 0 ? ATTEST_SIGNATURE
                  : memcmp(report, check->data, 64) != 0                          ? ATTEST_BINDING
                                                                                  : ATTEST_VERIFIED;
    if (out->reason != ATTEST_VERIFIED)
        return error_set(err, LETHE_DENIED, "%s", attest_reason_sentence(out->reason));
    strcpy(out->measurement, "sha384:00");
    strcpy(out->product, "Milan");
    out->verified = true;
    buffer_text(&out->json, "{\"kind\":\"sev-snp\"}");
    return buffer_result(&out->json, err);
}
