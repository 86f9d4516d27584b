/* attest/sevsnp_vek.h -- what a VCEK's or VLEK's certificate says, once its chain was verified. Not
 * for other rooms. */
#ifndef ATTEST_SEVSNP_VEK_H
#define ATTEST_SEVSNP_VEK_H

#include "attest/sevsnp_report.h"
#include "crypto/sign.h"

#define SEVSNP_CSP_SIZE 65u

struct sevsnp_vek {
    const struct sevsnp_product *product;
    enum sevsnp_signing_key kind;
    struct attest_tcb tcb;
    uint8_t hwid[SEVSNP_CHIP_BYTES]; /* product->hwid_bytes of a VCEK */
    char csp_id[SEVSNP_CSP_SIZE];    /* of a VLEK: whose cloud it is; or "" */
    struct sign_public *key;
    uint64_t good_from_s, good_until_s;
};
void sevsnp_vek_clear(struct sevsnp_vek *vek);
static inline void sevsnp_vek_clear_at_scope_end(struct sevsnp_vek *vek)
{
    sevsnp_vek_clear(vek);
}
/* The whole chain. LETHE_DENIED with the reason in `claims`. */
LETHE_MUST_CHECK lethe_result sevsnp_vek_verify(const struct sevsnp_check *check,
                                                struct attest_claims *claims,
                                                struct sevsnp_vek *out, struct lethe_error *err);

struct x509_vendor;
/* Its extensions, by `product`. LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result sevsnp_vek_read(const struct x509_vendor *certificate,
                                              struct sevsnp_vek *vek, struct lethe_error *err);

/* ---- those that were verified before --------------------------------------------------------- */

#define SEVSNP_CACHE_KEY_BYTES 32u
/* Of all that the answer depends on, but the time. */
LETHE_MUST_CHECK lethe_result sevsnp_cache_key(const struct sevsnp_check *check,
                                               uint8_t out[SEVSNP_CACHE_KEY_BYTES],
                                               struct lethe_error *err);
/* Borrowed until the cache is used again; NULL: not there, or not good at that time. */
const struct sevsnp_vek *sevsnp_cache_find(struct sevsnp_cache *cache,
                                           const uint8_t key[SEVSNP_CACHE_KEY_BYTES],
                                           uint64_t now_s);
/* Takes what is in *vek, and gives it back as find does. */
const struct sevsnp_vek *sevsnp_cache_put(struct sevsnp_cache *cache,
                                          const uint8_t key[SEVSNP_CACHE_KEY_BYTES],
                                          struct sevsnp_vek *vek);

#endif
