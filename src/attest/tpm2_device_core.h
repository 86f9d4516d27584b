/* attest/tpm2_device_core.h -- what the files about this machine's TPM share. Not for other rooms.
 *
 * The endorsement key is made anew from the TPM's seed when it is needed, and stays loaded, as does
 * the attestation key below it: making an RSA one takes a real TPM seconds. */
#ifndef ATTEST_TPM2_DEVICE_CORE_H
#define ATTEST_TPM2_DEVICE_CORE_H

#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>

#include "attest/tpm2_device.h"

enum ek_kind { EK_ECC, EK_RSA, EK_KINDS, EK_NONE = EK_KINDS };

struct tpm2_device {
    char *key_path;
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
    enum ek_kind ek_kind;
    ESYS_TR ek, ak; /* ESYS_TR_NONE: not loaded */
    TPM2B_PUBLIC ek_public, ak_public;
};

#define TPM2_NOBODY ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE
#define TPM2_EMPTY_PASSWORD ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE

static inline void esys_free_at_scope_end(void *at)
{
    Esys_Free(*(void **)at);
}

/* LETHE_UNAVAILABLE, and what the TPM said. */
lethe_result tpm2_device_failed(struct lethe_error *err, const char *what, TSS2_RC rc);
/* Whether the TPM, or what checks before it, refused what it was given; otherwise it had no room,
 * was busy, or is gone. */
bool tpm2_device_refused(TSS2_RC rc);
/* Loads an endorsement key of the kind in place of the other one. LETHE_INVALID: this TPM cannot
 * make one of the kind. */
LETHE_MUST_CHECK lethe_result tpm2_device_load_ek(struct tpm2_device *device, enum ek_kind kind,
                                                  struct lethe_error *err);
void tpm2_device_flush(struct tpm2_device *device, ESYS_TR *handle);
/* A session in which the endorsement key may be used, salted with it: what the TPM gives back is
 * encrypted on its way. The caller flushes it. */
LETHE_MUST_CHECK lethe_result tpm2_device_ek_session(struct tpm2_device *device, ESYS_TR *out,
                                                     struct lethe_error *err);
/* The certificate of the kind from the TPM's memory; LETHE_NOT_FOUND: it has none. */
LETHE_MUST_CHECK lethe_result tpm2_device_certificate(struct tpm2_device *device, enum ek_kind kind,
                                                      struct buffer *der, struct lethe_error *err);
/* The key from its file. LETHE_NOT_FOUND: there is none; LETHE_DENIED: it is another TPM's. */
LETHE_MUST_CHECK lethe_result tpm2_device_load_key(struct tpm2_device *device,
                                                   struct lethe_error *err);

#endif
