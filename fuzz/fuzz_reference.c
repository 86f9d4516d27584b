/* Reference values: what is taken is written as it is read back, and names no PCR that software can
 * reset. */
#include <string.h>

#include "attest/attest.h"

#include "fuzz.h"

#define RESETTABLE (1u << 16 | 1u << 23)

static void check_same(const struct attest_reference *a, const struct attest_reference *b)
{
    FUZZ_PROPERTY(a->kind == b->kind && a->pcr_mask == b->pcr_mask);
    FUZZ_PROPERTY(memcmp(a->pcrs, b->pcrs, sizeof a->pcrs) == 0);
    FUZZ_PROPERTY(a->loader_count == b->loader_count);
    FUZZ_PROPERTY(memcmp(a->loaders, b->loaders, sizeof a->loaders) == 0);
    FUZZ_PROPERTY(strcmp(a->measurement, b->measurement) == 0);
    FUZZ_PROPERTY(memcmp(&a->least_tcb, &b->least_tcb, sizeof a->least_tcb) == 0);
    FUZZ_PROPERTY(a->vmpl_max == b->vmpl_max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct attest_reference first, second;
    struct attest_claims claims = {.verified = true};
    char why[ATTEST_WHY_SIZE];
    CLEANUP(buffer_clear) struct buffer json = {0};
    if (attest_reference_parse((const char *)data, size, &first, NULL) != LETHE_OK)
        return 0;
    FUZZ_PROPERTY((first.pcr_mask & RESETTABLE) == 0 && first.vmpl_max <= 3);
    FUZZ_PROPERTY(first.kind == ATTEST_TPM2 ? first.pcr_mask != 0 : first.measurement[0] != '\0');
    attest_reference_format(&first, &json);
    FUZZ_PROPERTY(attest_reference_parse(json.bytes, json.size_bytes, &second, NULL) == LETHE_OK);
    check_same(&first, &second);
    claims.kind = first.kind;
    FUZZ_PROPERTY(!attest_reference_fits(&first, &claims, why) && why[0] != '\0');
    return 0;
}
