#include <string.h>

#include "attest/evidence.h"

static const char loader_path[] = "/usr/bin/lethe";

static struct sevsnp_check with_trust(const struct sevsnp_check *evidence,
                                      const struct evidence_trust *trust)
{
    struct sevsnp_check check = *evidence;
    check.now_s = trust->now_s;
    check.crls = trust->crls;
    check.crls_bytes = trust->crls_bytes;
    check.anchors = trust->snp_anchors;
    check.anchors_product = trust->snp_anchors_product;
    check.cache = trust->cache;
    return check;
}

static lethe_result verify_sevsnp(const struct evidence *evidence,
                                  const struct evidence_trust *trust,
                                  const uint8_t binding[ATTEST_BINDING_BYTES],
                                  struct attest_claims *out, struct lethe_error *err)
{
    uint8_t data[SEVSNP_DATA_BYTES] = {0};
    memcpy(data, binding, ATTEST_BINDING_BYTES);
    struct sevsnp_check check = with_trust(&evidence->sevsnp, trust);
    check.data = data;
    return sevsnp_verify(&check, out, err);
}

static lethe_result verify_tpm2(const struct evidence *evidence, const struct evidence_trust *trust,
                                const uint8_t binding[ATTEST_BINDING_BYTES],
                                struct attest_claims *out, struct lethe_error *err)
{
    const struct sevsnp_check vouched = with_trust(&evidence->sevsnp, trust);
    struct tpm2_check check = evidence->tpm2;
    check.pcr_mask = trust->pcr_mask;
    check.binding = binding;
    check.binding_bytes = ATTEST_BINDING_BYTES;
    check.loader_path = trust->loader_path != NULL ? trust->loader_path : loader_path;
    check.vouched = evidence->tpm2.vouched != NULL ? &vouched : NULL;
    return tpm2_verify(&check, out, err);
}

lethe_result evidence_verify(const struct evidence *evidence, const struct evidence_trust *trust,
                             const uint8_t binding[ATTEST_BINDING_BYTES], struct attest_claims *out,
                             struct lethe_error *err)
{
    return evidence->kind == ATTEST_SEV_SNP ? verify_sevsnp(evidence, trust, binding, out, err)
                                            : verify_tpm2(evidence, trust, binding, out, err);
}
