/* attest/evidence.h -- evidence as it travels: one JSON object (docs/release-protocol.md).
 *
 * Reading is strict (unknown members, duplicates, sizes beyond the kind's limits are
 * LETHE_MALFORMED), and leaves decoded parts in one buffer. Thread rule: pure functions. */
#ifndef ATTEST_EVIDENCE_H
#define ATTEST_EVIDENCE_H

#include "attest/tpm2.h"

#define EVIDENCE_TEXT_MAX (2u << 20)

struct evidence {
    enum attest_kind kind;
    struct buffer storage; /* what the parts borrow from */
    struct tpm2_check tpm2;
    struct sevsnp_check sevsnp; /* of the kind; or what vouches, and tpm2.vouched points to it */
    char digest[72];            /* "sha256:<hex>" of the text */
};
void evidence_clear(struct evidence *evidence);
static inline void evidence_clear_at_scope_end(struct evidence *evidence)
{
    evidence_clear(evidence);
}
/* Texts of the parts only: nothing is verified. Do not copy or move *out. */
LETHE_MUST_CHECK lethe_result evidence_read(const char *json, size_t length, struct evidence *out,
                                            struct lethe_error *err);

struct evidence_trust {
    uint64_t now_s;
    uint32_t pcr_mask;       /* that a quote must cover */
    const char *loader_path; /* NULL: "/usr/bin/lethe" */
    const void *crls;
    size_t crls_bytes;
    const char *snp_anchors, *snp_anchors_product; /* for tests; NULL: AMD's */
    struct sevsnp_cache *cache;
};
/* Verifies whatever kind it is, for this binding. As tpm2_verify() and sevsnp_verify(). */
LETHE_MUST_CHECK lethe_result evidence_verify(const struct evidence *evidence,
                                              const struct evidence_trust *trust,
                                              const uint8_t binding[ATTEST_BINDING_BYTES],
                                              struct attest_claims *out, struct lethe_error *err);

/* Who makes evidence on this machine: the program fills it in by its options. */
struct evidence_source {
    enum attest_kind kind;
    /* Appends the JSON object. LETHE_UNAVAILABLE: this machine cannot. */
    lethe_result (*produce)(void *context, const uint8_t binding[ATTEST_BINDING_BYTES],
                            uint32_t pcr_mask, struct buffer *json, struct lethe_error *err);
    void *context;
};
struct evidence_options {
    enum attest_kind kind;
    const char *tcti;     /* of the TPM; NULL: the system's */
    const char *key_path; /* of the attestation key */
    const char *ima_log; /* path; NULL: the kernel's, when it can be read and PCR 10 is asked for */
    const char *tsm_root; /* NULL: the kernel's */
    const char *vek_path; /* DER or PEM, where the host gives no certificate; NULL: none */
};
struct evidence_maker;
LETHE_MUST_CHECK lethe_result evidence_maker_open(const struct evidence_options *options,
                                                  struct evidence_maker **out,
                                                  struct lethe_error *err);
void evidence_maker_close(struct evidence_maker *maker); /* NULL is fine */
DEFINE_CLEANUP(evidence_maker_close, struct evidence_maker *);
const struct evidence_source *evidence_maker_source(struct evidence_maker *maker);

#endif
