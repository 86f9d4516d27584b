/* attest/attest.h -- what every kind of evidence comes to: claims, or the first reason why not.
 *
 * Verification needs no network and keeps nothing: trust anchors and expectations are given. A
 * verifier returns LETHE_OK with verified claims, or LETHE_DENIED with the reason in the claims and
 * its sentence in the error; anything else (LETHE_NO_MEMORY) says nothing about the evidence. What
 * was read before a check failed is in the claims too, for whoever shows evidence, but for
 * `verified`, which only a complete check sets. Claims are numbers and texts, never opaque blobs.
 * Thread rule: pure functions. */
#ifndef ATTEST_ATTEST_H
#define ATTEST_ATTEST_H

#include "base/buffer.h"
#include "base/error.h"

/* X(name, code for records, sentence) */
/* clang-format off */
#define ATTEST_REASONS(X)                                                                          \
    X(VERIFIED, "verified", "the evidence is good")                                                \
    X(MALFORMED, "evidence_malformed", "the evidence is not in the form that its kind has")        \
    X(SIZE, "evidence_size", "the evidence is cut short, or longer than its kind is")              \
    X(KIND, "evidence_kind", "evidence of this kind is not accepted")                              \
    X(VERSION, "version_unknown", "the report is of a version that is not known")                  \
    X(MAGIC, "not_of_tpm", "what was signed was not made inside a TPM")                            \
    X(TYPE, "not_a_quote", "what was signed is not a quote")                                       \
    X(ALGORITHM, "algorithm", "signed with an algorithm that is not accepted")                     \
    X(SIGNATURE, "signature", "the signature does not fit")                                        \
    X(BINDING, "binding_mismatch", "signed for another nonce, key, request, service or identity")  \
    X(PCR_SELECTION, "pcr_selection", "the quote covers other PCRs than were asked for")           \
    X(PCR_DIGEST, "pcr_digest", "the PCR values are not those that were quoted")                   \
    X(KEY_ATTRIBUTES, "key_attributes", "the key could have signed what no TPM has measured")      \
    X(KEY_NOT_VOUCHED, "key_not_vouched", "the report vouches for another key")                    \
    X(IMA_LOG, "ima_log", "the IMA log does not lead to PCR 10")                                   \
    X(CHAIN, "chain", "the certificate does not lead to a root that is trusted")                   \
    X(CHAIN_DATES, "certificate_dates", "a certificate has expired, or is not valid yet")          \
    X(CHAIN_REVOKED, "certificate_revoked", "a certificate was revoked")                           \
    X(CRL, "crl", "a CRL is malformed, forged, or not in force")                                   \
    X(CERTIFICATE, "certificate_malformed", "the certificate is not what its kind is")             \
    X(PRODUCT, "product_mismatch", "report and certificate are of different products")             \
    X(SIGNING_KEY, "signing_key", "the report names another kind of key than the certificate")     \
    X(CHIP, "chip_mismatch", "the report is of another chip than the certificate")                 \
    X(CHIP_MASKED, "chip_masked", "the report does not say of which chip it is")                   \
    X(VMPL, "vmpl", "the report was not asked for by a guest (VMPL 0 to 3)")                       \
    X(TCB, "tcb_mismatch", "the report's TCB is not the certificate's")                            \
    X(DEBUG, "debug_allowed", "the guest may be debugged")                                         \
    X(MIGRATION, "migration_allowed", "the guest may be migrated by an agent")                     \
    X(POLICY_BITS, "guest_policy", "the guest's policy has bits that must not be")                 \
    X(RESERVED, "reserved_bits", "bytes that must be zero are not")
/* clang-format on */
enum attest_reason {
#define ATTEST_REASON_ENUM(name, code, sentence) ATTEST_##name,
    ATTEST_REASONS(ATTEST_REASON_ENUM)
#undef ATTEST_REASON_ENUM
        ATTEST_REASON_COUNT
};
const char *attest_reason_code(enum attest_reason reason);
const char *attest_reason_sentence(enum attest_reason reason);

enum attest_kind { ATTEST_TPM2, ATTEST_SEV_SNP };
const char *attest_kind_name(enum attest_kind kind); /* "tpm2", "sev-snp" */
LETHE_MUST_CHECK lethe_result attest_kind_parse(const char *text, enum attest_kind *out);

#define ATTEST_BINDING_BYTES 32u
#define ATTEST_MEASUREMENT_SIZE 104u /* "sha384:" and 96 hex digits */
#define ATTEST_MACHINE_SIZE 129u     /* hex of what identifies the machine's key or chip */
#define ATTEST_PCRS 24u
#define ATTEST_LOADERS_MAX 8u

struct attest_tcb { /* security patch levels; what a product has not is 0 */
    uint8_t fmc, bootloader, tee, snp, microcode;
};

struct attest_claims {
    enum attest_kind kind;
    enum attest_reason reason;
    bool verified;
    char measurement[ATTEST_MEASUREMENT_SIZE]; /* docs/release-protocol.md */
    char machine[ATTEST_MACHINE_SIZE]; /* tpm2: hex of the key's name; sev-snp: of CHIP_ID, "" when
                                          it is masked */
    /* tpm2 */
    uint32_t pcr_mask; /* those quoted */
    uint8_t pcrs[ATTEST_PCRS][32];
    uint64_t clock_ms;
    uint32_t reset_count, restart_count;
    bool clock_safe;
    bool ima_replayed;
    uint32_t ima_violations; /* entries of the log of which the PCR does not say which file it was:
                                what a policy wants to see is 0 */
    char loaders[ATTEST_LOADERS_MAX][72]; /* "sha256:<hex>": every digest with which the loader's
                                             path is in the log, in order, once each */
    size_t loader_count;
    /* sev-snp, or the report that vouches for a virtual TPM */
    bool has_report;
    uint32_t report_version, vmpl;
    uint64_t guest_policy, platform_info;
    struct attest_tcb tcb; /* reported */
    char product[16];      /* "Milan", "Genoa", "Turin" */
    bool is_vlek;
    char report_measurement[ATTEST_MEASUREMENT_SIZE]; /* tpm2: of the report that vouches */
    /* All of it as one JSON object, the policy's `attestation_report` without what only the
     * keeper knows (`valid`, `machine`, `reference`). */
    struct buffer json;
};
void attest_claims_clear(struct attest_claims *claims);
static inline void attest_claims_clear_at_scope_end(struct attest_claims *claims)
{
    attest_claims_clear(claims);
}

/* What both ends of an exchange begin their bindings with, and seal keys with
 * (docs/release-protocol.md). */
#define ATTEST_RELEASE_LABEL "lethe-release-v1"
#define ATTEST_SERVICE_LABEL "lethe-service-v1"
#define ATTEST_KEYS_AAD "lethe-keys-v1"

/* SHA-256 over the parts, each behind its length (4 bytes, little-endian). */
struct attest_part {
    const void *bytes;
    size_t size_bytes;
};
LETHE_MUST_CHECK lethe_result attest_binding(const struct attest_part *parts, size_t count,
                                             uint8_t out[ATTEST_BINDING_BYTES],
                                             struct lethe_error *err);

/* ---- reference values ------------------------------------------------------------------------ */

#define ATTEST_REFERENCE_NAME_MAX 64u

struct attest_reference {
    char name[ATTEST_REFERENCE_NAME_MAX + 1];
    uint64_t version;
    enum attest_kind kind;
    uint64_t revoked_s; /* 0: not */
    uint64_t added_s;
    /* tpm2: PCRs that must be quoted, with these values; 16 and 23 cannot be named. */
    uint32_t pcr_mask;
    uint8_t pcrs[ATTEST_PCRS][32];
    char loaders[ATTEST_LOADERS_MAX][72]; /* 0: any; else an IMA log is asked for, and every digest
                                             of the loader in it is one of these */
    size_t loader_count;
    /* sev-snp (and a virtual TPM's report when `measurement` is not "") */
    char measurement[ATTEST_MEASUREMENT_SIZE];
    struct attest_tcb least_tcb; /* field by field */
    uint32_t vmpl_max;
};
/* Reads and writes it as JSON: {"kind", "pcrs": {"7": hex}, "loaders": [], "measurement",
 * "least_tcb": {"bootloader": 3, ...}, "vmpl_max": 0, ...}. What comes is checked as from outside:
 * LETHE_INVALID names the member. Name, version and times are the store's, not of the text. */
LETHE_MUST_CHECK lethe_result attest_reference_parse(const char *json, size_t length,
                                                     struct attest_reference *out,
                                                     struct lethe_error *err);
void attest_reference_format(const struct attest_reference *reference, struct buffer *json);
/* Whether verified claims fit; `why` gets what differs first: "PCR 7 is <hex>, expected <hex>". */
#define ATTEST_WHY_SIZE 256u
bool attest_reference_fits(const struct attest_reference *reference,
                           const struct attest_claims *claims, char why[ATTEST_WHY_SIZE]);
/* How many of its PCRs differ, or were not quoted. */
unsigned attest_reference_distance(const struct attest_reference *reference,
                                   const struct attest_claims *claims);

#endif
