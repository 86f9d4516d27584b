/* This machine's TPM, through tpm2-tss (TCG, Library part 3): the way to it, and its endorsement
 * key. */
#include "attest/tpm2_device.h"

#include <stdlib.h>
#include <string.h>

#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include "attest/tpm2_device_core.h"
#include "base/error.h"

lethe_result tpm2_device_failed(struct lethe_error *err, const char *what, TSS2_RC rc)
{
    return error_set(err, LETHE_UNAVAILABLE, "the TPM: %s: %s", what, Tss2_RC_Decode(rc));
}

bool tpm2_device_refused(TSS2_RC rc)
{
    TSS2_RC layer = rc & TSS2_RC_LAYER_MASK, base = rc & ~TSS2_RC_LAYER_MASK;
    if (layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER)
        return (base & TPM2_RC_FMT1) != 0;
    return layer != TSS2_TCTI_RC_LAYER && base != TSS2_BASE_RC_MEMORY &&
           base != TSS2_BASE_RC_IO_ERROR;
}

void tpm2_device_flush(struct tpm2_device *device, ESYS_TR *handle)
{
    if (*handle != ESYS_TR_NONE)
        (void)Esys_FlushContext(device->esys, *handle);
    *handle = ESYS_TR_NONE;
}

static lethe_result connect_to(struct tpm2_device *device, const char *tcti,
                               struct lethe_error *err)
{
    setenv("TSS2_LOG", "all+none", false); /* our errors say it; whoever debugs has set it */
    TSS2_RC rc = Tss2_TctiLdr_Initialize(tcti, &device->tcti);
    if (rc != TSS2_RC_SUCCESS) {
        tpm2_device_failed(err, "it cannot be reached", rc);
        error_hint(err, "is there one (/dev/tpmrm0), and may this user open it (group tss)?");
        return LETHE_UNAVAILABLE;
    }
    rc = Esys_Initialize(&device->esys, device->tcti, NULL);
    return rc == TSS2_RC_SUCCESS ? LETHE_OK : tpm2_device_failed(err, "starting", rc);
}

lethe_result tpm2_device_open(const char *tcti, const char *key_path, struct tpm2_device **out,
                              struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(tpm2_device_close) struct tpm2_device *device = calloc(1, sizeof *device);
    if (device == NULL || (device->key_path = strdup(key_path)) == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a TPM");
    device->ek = device->ak = ESYS_TR_NONE;
    device->ek_kind = EK_NONE;
    TRY(connect_to(device, tcti != NULL ? tcti : "device:/dev/tpmrm0", err));
    *out = MOVE(device);
    return LETHE_OK;
}

void tpm2_device_close(struct tpm2_device *device)
{
    if (device == NULL)
        return;
    if (device->esys != NULL) {
        tpm2_device_flush(device, &device->ak);
        tpm2_device_flush(device, &device->ek);
        Esys_Finalize(&device->esys);
    }
    if (device->tcti != NULL)
        Tss2_TctiLdr_Finalize(&device->tcti);
    free(device->key_path);
    free(device);
}

/* ---- the endorsement key ---------------------------------------------------------------------
 */

/* TCG, EK Credential Profile 2.5, B.3.3 and B.3.4: templates L-1 and L-2. Whoever uses the key
 * shows the endorsement hierarchy's authorisation (PolicySecret). */
static TPMT_PUBLIC ek_template(enum ek_kind kind)
{
    static const TPM2B_DIGEST policy = {
        .size = 32, .buffer = {0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,
                               0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52,
                               0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa}};
    const TPMT_SYM_DEF_OBJECT cipher = {
        .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};
    TPMT_PUBLIC key = {.nameAlg = TPM2_ALG_SHA256,
                       .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                           TPMA_OBJECT_SENSITIVEDATAORIGIN |
                                           TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED |
                                           TPMA_OBJECT_DECRYPT,
                       .authPolicy = policy};
    if (kind == EK_RSA) {
        key.type = TPM2_ALG_RSA;
        key.parameters.rsaDetail =
            (TPMS_RSA_PARMS){.symmetric = cipher, .scheme.scheme = TPM2_ALG_NULL, .keyBits = 2048};
        key.unique.rsa.size = 256;
        return key;
    }
    key.type = TPM2_ALG_ECC;
    key.parameters.eccDetail = (TPMS_ECC_PARMS){.symmetric = cipher,
                                                .scheme.scheme = TPM2_ALG_NULL,
                                                .curveID = TPM2_ECC_NIST_P256,
                                                .kdf.scheme = TPM2_ALG_NULL};
    key.unique.ecc.x.size = key.unique.ecc.y.size = 32;
    return key;
}

lethe_result tpm2_device_load_ek(struct tpm2_device *device, enum ek_kind kind,
                                 struct lethe_error *err)
{
    const TPM2B_SENSITIVE_CREATE nothing = {0};
    const TPM2B_PUBLIC template_ = {.publicArea = ek_template(kind)};
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION no_pcrs = {0};
    CLEANUP(esys_free) TPM2B_PUBLIC *made = NULL;
    if (device->ek != ESYS_TR_NONE && device->ek_kind == kind)
        return LETHE_OK;
    tpm2_device_flush(device, &device->ak);
    tpm2_device_flush(device, &device->ek);
    TSS2_RC rc =
        Esys_CreatePrimary(device->esys, ESYS_TR_RH_ENDORSEMENT, TPM2_EMPTY_PASSWORD, &nothing,
                           &template_, &outside, &no_pcrs, &device->ek, &made, NULL, NULL, NULL);
    if (rc != TSS2_RC_SUCCESS) {
        device->ek = ESYS_TR_NONE;
        tpm2_device_failed(err, "making the endorsement key", rc);
        return tpm2_device_refused(rc) ? LETHE_INVALID : LETHE_UNAVAILABLE;
    }
    device->ek_public = *made;
    device->ek_kind = kind;
    return LETHE_OK;
}

static lethe_result open_session(struct tpm2_device *device, ESYS_TR *out, struct lethe_error *err)
{
    const TPMT_SYM_DEF cipher = {
        .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};
    TSS2_RC rc = Esys_StartAuthSession(device->esys, device->ek, ESYS_TR_NONE, TPM2_NOBODY, NULL,
                                       TPM2_SE_POLICY, &cipher, TPM2_ALG_SHA256, out);
    return rc == TSS2_RC_SUCCESS ? LETHE_OK : tpm2_device_failed(err, "starting a session", rc);
}

lethe_result tpm2_device_ek_session(struct tpm2_device *device, ESYS_TR *out,
                                    struct lethe_error *err)
{
    const TPM2B_NONCE no_nonce = {0};
    const TPM2B_DIGEST any_command = {0};
    const TPM2B_NONCE no_reference = {0};
    *out = ESYS_TR_NONE;
    TRY(open_session(device, out, err));
    TSS2_RC rc = Esys_PolicySecret(device->esys, ESYS_TR_RH_ENDORSEMENT, *out, TPM2_EMPTY_PASSWORD,
                                   &no_nonce, &any_command, &no_reference, 0, NULL, NULL);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_TRSess_SetAttributes(device->esys, *out,
                                       TPMA_SESSION_ENCRYPT | TPMA_SESSION_CONTINUESESSION, 0xff);
    if (rc == TSS2_RC_SUCCESS)
        return LETHE_OK;
    tpm2_device_flush(device, out);
    tpm2_device_failed(err, "the endorsement hierarchy may not be used", rc);
    error_hint(err,
               "Lethe needs its authorisation value to be empty, as it is when it was not set");
    return LETHE_UNAVAILABLE;
}
