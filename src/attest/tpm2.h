/* attest/tpm2.h -- quotes of a TPM 2.0 (TCG, Library part 2), verified without one.
 *
 * Structures are the TCG's, big-endian. Keys: ECDSA P-256 with SHA-256, RSA from 2,048 bits with
 * RSASSA or RSAPSS and SHA-256. Thread rule: pure functions. */
#ifndef ATTEST_TPM2_H
#define ATTEST_TPM2_H

#include "attest/sevsnp.h"
#include "mem/slab.h"

#define TPM2_QUOTE_MAX 1024u
#define TPM2_SIGNATURE_MAX 1024u
#define TPM2_PUBLIC_MAX 1024u
#define TPM2_IMA_LOG_MAX (768u << 10)

struct tpm2_pcrs {
    uint32_t mask;
    uint8_t values[ATTEST_PCRS][32]; /* SHA-256 bank */
};

struct tpm2_check {
    const void *quote; /* TPMS_ATTEST */
    size_t quote_bytes;
    const void *signature; /* TPMT_SIGNATURE */
    size_t signature_bytes;
    const void *ak; /* TPMT_PUBLIC */
    size_t ak_bytes;
    struct tpm2_pcrs pcrs; /* as claimed */
    uint32_t pcr_mask;     /* those that must be quoted, others may; 0: not looked at */
    const void *binding;   /* what extraData must be; NULL: not looked at */
    size_t binding_bytes;
    const void *ima_log; /* binary_runtime_measurements; NULL: none */
    size_t ima_log_bytes;
    const char *loader_path; /* whose digests in the IMA log are claimed; NULL: none */
    /* A report that vouches for the key: its report_data begins with SHA-256 of `ak`. NULL: none.
     * Its `data` is set here. */
    const struct sevsnp_check *vouched;
};
LETHE_MUST_CHECK lethe_result tpm2_verify(const struct tpm2_check *check, struct attest_claims *out,
                                          struct lethe_error *err);

/* The name of a key: 000B and SHA-256 of its TPMT_PUBLIC. LETHE_MALFORMED. */
#define TPM2_NAME_BYTES 34u
LETHE_MUST_CHECK lethe_result tpm2_key_name(const void *public_area, size_t size_bytes,
                                            uint8_t out[TPM2_NAME_BYTES], struct lethe_error *err);
/* Whether it is a key that signs only what its TPM has made (restricted, signing, fixedTPM,
 * fixedParent, sensitiveDataOrigin, not decrypting). LETHE_DENIED. */
LETHE_MUST_CHECK lethe_result tpm2_check_ak(const void *public_area, size_t size_bytes,
                                            struct lethe_error *err);

/* TPM2_MakeCredential in software (TCG, Library part 1, 24): only the TPM with this endorsement key
 * gives the secret back, and only if a key of this name is loaded in it. `secret` is up to 32
 * bytes; blob and encrypted seed are the TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET that
 * TPM2_ActivateCredential takes. The endorsement key: ECC P-256, or RSA 2,048 to 4,096, restricted,
 * decrypting, AES-128-CFB. LETHE_MALFORMED, LETHE_DENIED. */
LETHE_MUST_CHECK lethe_result tpm2_make_credential(const void *ek, size_t ek_bytes,
                                                   const uint8_t ak_name[TPM2_NAME_BYTES],
                                                   const struct lethe_secret *secret,
                                                   struct buffer *blob, struct buffer *seed,
                                                   struct lethe_error *err);
/* Checks the endorsement key's certificate (DER): it is of this key, and leads to one of the roots
 * (PEM) at that time. LETHE_DENIED. */
LETHE_MUST_CHECK lethe_result tpm2_check_ek(const void *ek, size_t ek_bytes,
                                            const void *certificate, size_t certificate_bytes,
                                            const char *roots_pem, uint64_t now_s,
                                            struct lethe_error *err);

/* How far a machine's counters have come: false when `later` is older than `earlier`, or says the
 * same boot with an earlier clock. */
struct tpm2_counters {
    uint64_t clock_ms;
    uint32_t reset_count, restart_count;
};
bool tpm2_counters_go_on(const struct tpm2_counters *earlier, const struct tpm2_counters *later);

#endif
