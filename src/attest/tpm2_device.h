/* attest/tpm2_device.h -- making evidence with this machine's TPM 2.0, through tpm2-tss.
 *
 * The attestation key is made once, under the endorsement hierarchy, and kept as a file that only
 * its TPM can load ("attest.key": TPM2B_PUBLIC and TPM2B_PRIVATE, wrapped by the TPM; no secret to
 * anybody else). Thread rule: one thread at a time. */
#ifndef ATTEST_TPM2_DEVICE_H
#define ATTEST_TPM2_DEVICE_H

#include "attest/tpm2.h"

struct tpm2_device;
/* `tcti` NULL: the system's TPM ("device:/dev/tpmrm0"); key_path: where the key is, or will be.
 * LETHE_UNAVAILABLE: there is no TPM, or this user may not open it; the hint says the remedy. */
LETHE_MUST_CHECK lethe_result tpm2_device_open(const char *tcti, const char *key_path,
                                               struct tpm2_device **out, struct lethe_error *err);
void tpm2_device_close(struct tpm2_device *device); /* NULL is fine */
DEFINE_CLEANUP(tpm2_device_close, struct tpm2_device *);

/* Makes the key when there is none (mode 0600, whole or not at all). */
LETHE_MUST_CHECK lethe_result tpm2_device_ensure_key(struct tpm2_device *device,
                                                     struct lethe_error *err);
/* TPMT_PUBLIC of attestation and endorsement key; the latter's certificate (DER) from the TPM's
 * memory, empty when it has none. */
LETHE_MUST_CHECK lethe_result tpm2_device_publics(struct tpm2_device *device, struct buffer *ak,
                                                  struct buffer *ek, struct buffer *ek_certificate,
                                                  struct lethe_error *err);
/* TPM2_ActivateCredential. LETHE_DENIED: not for this TPM and key. */
LETHE_MUST_CHECK lethe_result tpm2_device_activate(struct tpm2_device *device, const void *blob,
                                                   size_t blob_bytes, const void *seed,
                                                   size_t seed_bytes, struct lethe_secret **out,
                                                   struct lethe_error *err);
/* Reads PCRs of the SHA-256 bank; no key is needed. */
LETHE_MUST_CHECK lethe_result tpm2_device_pcrs(struct tpm2_device *device, uint32_t pcr_mask,
                                               struct tpm2_pcrs *out, struct lethe_error *err);
/* Quotes the PCRs of the SHA-256 bank, and reads them; again, when one changed in between. */
struct tpm2_quote {
    struct buffer quote, signature;
    struct tpm2_pcrs pcrs;
};
void tpm2_quote_clear(struct tpm2_quote *quote);
LETHE_MUST_CHECK lethe_result tpm2_device_quote(struct tpm2_device *device, uint32_t pcr_mask,
                                                const void *binding, size_t binding_bytes,
                                                struct tpm2_quote *out, struct lethe_error *err);

#endif
