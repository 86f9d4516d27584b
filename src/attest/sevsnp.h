/* attest/sevsnp.h -- SEV-SNP attestation reports (AMD 56860, versions 2 to 5), with the chain
 * ARK - ASK - VCEK or ARK - ASVK - VLEK.
 *
 * The roots of AMD (Milan, Genoa, Turin) are built in and pinned; nothing is fetched. The debug
 * bit, a migration agent, and reserved bits that are set are refused here; measurement, least TCB
 * and VMPL are the reference value's. A report of a VCEK says of which chip it is, and that is the
 * certificate's; one of a VLEK (a cloud's) need not. From version 3 on the report names the CPU,
 * which is of the product that the chain is for; before, the chain alone says what it is. Thread
 * rule: one thread at a time for a cache. */
#ifndef ATTEST_SEVSNP_H
#define ATTEST_SEVSNP_H

#include "attest/attest.h"

#define SEVSNP_REPORT_BYTES 1184u
#define SEVSNP_DATA_BYTES 64u

/* Certificates whose chain was verified, so that the next report of that chip costs one P-384
 * verification: bounded, by the SHA-256 of certificate, anchors and CRLs, until the first of them
 * expires. The one not used for longest goes first. */
struct sevsnp_cache;
LETHE_MUST_CHECK lethe_result sevsnp_cache_create(size_t capacity, struct sevsnp_cache **out,
                                                  struct lethe_error *err);
void sevsnp_cache_free(struct sevsnp_cache *cache);   /* NULL is fine */
void sevsnp_cache_forget(struct sevsnp_cache *cache); /* frees what other CRLs have led to */

struct sevsnp_check {
    const void *report;
    size_t report_bytes;
    const void *vek; /* DER */
    size_t vek_bytes;
    const uint8_t *data; /* SEVSNP_DATA_BYTES that report_data must be; NULL: not looked at */
    uint64_t now_s;
    const void *crls; /* PEM, one after another; may be NULL */
    size_t crls_bytes;
    /* For tests: PEM of intermediate and root in place of AMD's, for this product. NULL: AMD's. */
    const char *anchors;
    const char *anchors_product;
    struct sevsnp_cache *cache; /* may be NULL */
};
LETHE_MUST_CHECK lethe_result sevsnp_verify(const struct sevsnp_check *check,
                                            struct attest_claims *out, struct lethe_error *err);

/* Reads without verifying anything, for showing. Of a report of version 2, which names no CPU,
 * product and TCBs are left out. LETHE_DENIED: not of a size and version that are known. */
LETHE_MUST_CHECK lethe_result sevsnp_read(const void *report, size_t size_bytes,
                                          struct attest_claims *out, struct lethe_error *err);

/* A report of this guest, from the kernel's configfs (Documentation/ABI/testing/configfs-tsm):
 * `root` NULL: /sys/kernel/config/tsm/report. `vek` gets the certificate when the host gave one
 * (auxblob), or stays empty. LETHE_UNAVAILABLE: no such interface, or it is busy. */
LETHE_MUST_CHECK lethe_result sevsnp_produce(const char *root,
                                             const uint8_t data[SEVSNP_DATA_BYTES],
                                             struct buffer *report, struct buffer *vek,
                                             struct lethe_error *err);

#endif
