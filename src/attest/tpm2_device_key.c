/* The attestation key: made once below the endorsement key, and kept in a file that only this TPM
 * can load. */
#include <string.h>

#include <fcntl.h>

#include "attest/tpm2_device_core.h"
#include "base/error.h"
#include "base/file.h"

#define KEY_FILE_MAX 4096u

/* ---- its file --------------------------------------------------------------------------------
 */

struct wrapped {
    TPM2B_PUBLIC public_part;
    TPM2B_PRIVATE private_part; /* encrypted by the TPM */
};

static lethe_result read_wrapped(const struct tpm2_device *device, struct wrapped *out,
                                 struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer file = {0};
    size_t used = 0;
    *out = (struct wrapped){0};
    TRY(file_read_all(AT_FDCWD, device->key_path, KEY_FILE_MAX, &file, err));
    const uint8_t *bytes = (const uint8_t *)file.bytes;
    TSS2_RC rc = Tss2_MU_TPM2B_PUBLIC_Unmarshal(bytes, file.size_bytes, &used, &out->public_part);
    if (rc == TSS2_RC_SUCCESS)
        rc = Tss2_MU_TPM2B_PRIVATE_Unmarshal(bytes, file.size_bytes, &used, &out->private_part);
    if (rc == TSS2_RC_SUCCESS && used == file.size_bytes)
        return LETHE_OK;
    error_set(err, LETHE_INTEGRITY, "%s is damaged, or no attestation key", device->key_path);
    error_hint(err, "remove it, and enroll this machine again");
    return LETHE_INTEGRITY;
}

static lethe_result write_wrapped(const struct tpm2_device *device, const struct wrapped *key,
                                  struct lethe_error *err)
{
    uint8_t bytes[KEY_FILE_MAX];
    size_t used = 0;
    TSS2_RC rc = Tss2_MU_TPM2B_PUBLIC_Marshal(&key->public_part, bytes, sizeof bytes, &used);
    if (rc == TSS2_RC_SUCCESS)
        rc = Tss2_MU_TPM2B_PRIVATE_Marshal(&key->private_part, bytes, sizeof bytes, &used);
    if (rc != TSS2_RC_SUCCESS)
        return tpm2_device_failed(err, "writing the attestation key", rc);
    return file_write_atomic(AT_FDCWD, device->key_path, bytes, used, 0600, false, err);
}

/* ---- loading ---------------------------------------------------------------------------------
 */

static lethe_result load_below(struct tpm2_device *device, enum ek_kind kind,
                               const struct wrapped *key, struct lethe_error *err)
{
    ESYS_TR session;
    TRY(tpm2_device_load_ek(device, kind, err));
    TRY(tpm2_device_ek_session(device, &session, err));
    TSS2_RC rc = Esys_Load(device->esys, device->ek, session, ESYS_TR_NONE, ESYS_TR_NONE,
                           &key->private_part, &key->public_part, &device->ak);
    tpm2_device_flush(device, &session);
    if (rc != TSS2_RC_SUCCESS) {
        device->ak = ESYS_TR_NONE;
        if (!tpm2_device_refused(rc))
            return tpm2_device_failed(err, "loading the attestation key", rc);
        return LETHE_DENIED;
    }
    device->ak_public = key->public_part;
    return LETHE_OK;
}

/* Below which of the endorsement keys it was made is tried out. */
lethe_result tpm2_device_load_key(struct tpm2_device *device, struct lethe_error *err)
{
    struct wrapped key;
    if (device->ak != ESYS_TR_NONE)
        return LETHE_OK;
    TRY(read_wrapped(device, &key, err));
    for (int kind = 0; kind < EK_KINDS; kind++) {
        lethe_result result = load_below(device, (enum ek_kind)kind, &key, err);
        if (result == LETHE_OK)
            return error_forget(err);
        if (result != LETHE_DENIED && result != LETHE_INVALID)
            return result;
    }
    error_set(err, LETHE_DENIED, "this TPM did not make %s, or was cleared since",
              device->key_path);
    error_hint(err, "remove it, and enroll this machine again");
    return LETHE_DENIED;
}

/* ---- making ----------------------------------------------------------------------------------
 */

/* Of the endorsement keys the one with a certificate, or the one that this TPM can make. */
static lethe_result choose_ek(struct tpm2_device *device, struct lethe_error *err)
{
    lethe_result result = LETHE_INVALID;
    for (int kind = 0; kind < EK_KINDS; kind++) {
        CLEANUP(buffer_clear) struct buffer certificate = {0};
        if (tpm2_device_certificate(device, (enum ek_kind)kind, &certificate, NULL) == LETHE_OK &&
            tpm2_device_load_ek(device, (enum ek_kind)kind, NULL) == LETHE_OK)
            return LETHE_OK;
    }
    for (int kind = 0; kind < EK_KINDS && result == LETHE_INVALID; kind++)
        result = tpm2_device_load_ek(device, (enum ek_kind)kind, err);
    return result == LETHE_OK ? error_forget(err) : result;
}

/* Restricted: it signs what the TPM has made, and nothing that looks like it. Guesses at its empty
 * authorisation value lock nobody out (noDA). */
static TPM2B_PUBLIC ak_template(void)
{
    return (TPM2B_PUBLIC){
        .publicArea = {
            .type = TPM2_ALG_ECC,
            .nameAlg = TPM2_ALG_SHA256,
            .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |
                                TPMA_OBJECT_SIGN_ENCRYPT,
            .parameters.eccDetail = {
                .symmetric.algorithm = TPM2_ALG_NULL,
                .scheme = {.scheme = TPM2_ALG_ECDSA, .details.ecdsa.hashAlg = TPM2_ALG_SHA256},
                .curveID = TPM2_ECC_NIST_P256,
                .kdf.scheme = TPM2_ALG_NULL}}};
}

static lethe_result create(struct tpm2_device *device, struct wrapped *out, struct lethe_error *err)
{
    const TPM2B_SENSITIVE_CREATE nothing = {0};
    const TPM2B_PUBLIC template_ = ak_template();
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION no_pcrs = {0};
    CLEANUP(esys_free) TPM2B_PRIVATE *private_part = NULL;
    CLEANUP(esys_free) TPM2B_PUBLIC *public_part = NULL;
    ESYS_TR session;
    TRY(choose_ek(device, err));
    TRY(tpm2_device_ek_session(device, &session, err));
    TSS2_RC rc =
        Esys_Create(device->esys, device->ek, session, ESYS_TR_NONE, ESYS_TR_NONE, &nothing,
                    &template_, &outside, &no_pcrs, &private_part, &public_part, NULL, NULL, NULL);
    tpm2_device_flush(device, &session);
    if (rc != TSS2_RC_SUCCESS)
        return tpm2_device_failed(err, "making the attestation key", rc);
    *out = (struct wrapped){.public_part = *public_part, .private_part = *private_part};
    return LETHE_OK;
}

/* When somebody else was faster, theirs is the key. */
lethe_result tpm2_device_ensure_key(struct tpm2_device *device, struct lethe_error *err)
{
    struct wrapped key;
    lethe_result result = tpm2_device_load_key(device, err);
    if (result != LETHE_NOT_FOUND)
        return result;
    TRY(create(device, &key, err));
    result = write_wrapped(device, &key, err);
    if (result != LETHE_OK && result != LETHE_EXISTS)
        return result;
    TRY(tpm2_device_load_key(device, err));
    return error_forget(err);
}
