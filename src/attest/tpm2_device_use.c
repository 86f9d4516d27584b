/* What the loaded keys are used for: public halves, activation, quotes. */
#include <string.h>

#include <tss2/tss2_rc.h>

#include "attest/tpm2_core.h"
#include "attest/tpm2_device_core.h"
#include "base/error.h"
#include "crypto/hash.h"

#define QUOTE_TRIES 5u /* a PCR that goes on changing is not waited for */

/* ---- public halves ---------------------------------------------------------------------------
 */

static lethe_result append_public(const TPM2B_PUBLIC *key, struct buffer *out,
                                  struct lethe_error *err)
{
    uint8_t bytes[TPM2_PUBLIC_MAX];
    size_t used = 0;
    TSS2_RC rc = Tss2_MU_TPMT_PUBLIC_Marshal(&key->publicArea, bytes, sizeof bytes, &used);
    if (rc != TSS2_RC_SUCCESS)
        return tpm2_device_failed(err, "writing a public key", rc);
    buffer_append(out, bytes, used);
    return buffer_result(out, err);
}

lethe_result tpm2_device_publics(struct tpm2_device *device, struct buffer *ak, struct buffer *ek,
                                 struct buffer *ek_certificate, struct lethe_error *err)
{
    TRY(tpm2_device_load_key(device, err));
    TRY(append_public(&device->ak_public, ak, err));
    TRY(append_public(&device->ek_public, ek, err));
    lethe_result result = tpm2_device_certificate(device, device->ek_kind, ek_certificate, err);
    return result == LETHE_NOT_FOUND ? error_forget(err) : result;
}

/* ---- activation ------------------------------------------------------------------------------
 */

static lethe_result read_credential(const void *blob, size_t blob_bytes, TPM2B_ID_OBJECT *object,
                                    const void *seed, size_t seed_bytes,
                                    TPM2B_ENCRYPTED_SECRET *secret)
{
    size_t used = 0;
    *object = (TPM2B_ID_OBJECT){0};
    *secret = (TPM2B_ENCRYPTED_SECRET){0};
    if (Tss2_MU_TPM2B_ID_OBJECT_Unmarshal(blob, blob_bytes, &used, object) != TSS2_RC_SUCCESS ||
        used != blob_bytes)
        return LETHE_DENIED;
    used = 0;
    return Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal(seed, seed_bytes, &used, secret) ==
                       TSS2_RC_SUCCESS &&
                   used == seed_bytes
               ? LETHE_OK
               : LETHE_DENIED;
}

static lethe_result take_secret(TPM2B_DIGEST *given, struct lethe_secret **out,
                                struct lethe_error *err)
{
    lethe_result result = given->size > 0 && given->size <= sizeof given->buffer
                              ? lethe_secret_create(given->size, out, err)
                              : error_set(err, LETHE_DENIED, "the credential holds nothing");
    if (result == LETHE_OK)
        memcpy(lethe_secret_bytes(*out), given->buffer, given->size);
    lethe_wipe(given, sizeof *given);
    return result;
}

lethe_result tpm2_device_activate(struct tpm2_device *device, const void *blob, size_t blob_bytes,
                                  const void *seed, size_t seed_bytes, struct lethe_secret **out,
                                  struct lethe_error *err)
{
    TPM2B_ID_OBJECT object;
    TPM2B_ENCRYPTED_SECRET secret;
    CLEANUP(esys_free) TPM2B_DIGEST *given = NULL;
    ESYS_TR session;
    *out = NULL;
    if (read_credential(blob, blob_bytes, &object, seed, seed_bytes, &secret) != LETHE_OK)
        return error_set(err, LETHE_DENIED, "these bytes are no credential");
    TRY(tpm2_device_load_key(device, err));
    TRY(tpm2_device_ek_session(device, &session, err));
    TSS2_RC rc = Esys_ActivateCredential(device->esys, device->ak, device->ek, ESYS_TR_PASSWORD,
                                         session, ESYS_TR_NONE, &object, &secret, &given);
    tpm2_device_flush(device, &session);
    if (rc != TSS2_RC_SUCCESS && !tpm2_device_refused(rc))
        return tpm2_device_failed(err, "activating a credential", rc);
    if (rc != TSS2_RC_SUCCESS)
        return error_set(err, LETHE_DENIED,
                         "the credential was not made for this TPM and attestation key: %s",
                         Tss2_RC_Decode(rc));
    return take_secret(given, out, err);
}

/* ---- quotes ----------------------------------------------------------------------------------
 */

void tpm2_quote_clear(struct tpm2_quote *quote)
{
    buffer_clear(&quote->quote);
    buffer_clear(&quote->signature);
    *quote = (struct tpm2_quote){0};
}

static TPML_PCR_SELECTION selection_of(uint32_t mask)
{
    return (TPML_PCR_SELECTION){
        .count = 1,
        .pcrSelections = {{.hash = TPM2_ALG_SHA256,
                           .sizeofSelect = 3,
                           .pcrSelect = {(BYTE)mask, (BYTE)(mask >> 8), (BYTE)(mask >> 16)}}}};
}

static uint32_t mask_of(const TPML_PCR_SELECTION *selection)
{
    const BYTE *select = selection->pcrSelections[0].pcrSelect;
    if (selection->count != 1 || selection->pcrSelections[0].hash != TPM2_ALG_SHA256)
        return 0;
    return select[0] | (uint32_t)select[1] << 8 | (uint32_t)select[2] << 16;
}

/* One reading: the TPM gives up to eight, and says which. */
static lethe_result read_some(struct tpm2_device *device, uint32_t wanted, struct tpm2_pcrs *pcrs,
                              struct lethe_error *err)
{
    const TPML_PCR_SELECTION selection = selection_of(wanted);
    CLEANUP(esys_free) TPML_PCR_SELECTION *given = NULL;
    CLEANUP(esys_free) TPML_DIGEST *values = NULL;
    UINT32 used = 0;
    TSS2_RC rc = Esys_PCR_Read(device->esys, TPM2_NOBODY, &selection, NULL, &given, &values);
    if (rc != TSS2_RC_SUCCESS)
        return tpm2_device_failed(err, "reading PCRs", rc);
    uint32_t mask = mask_of(given) & wanted;
    for (uint32_t pcr = 0; pcr < ATTEST_PCRS; pcr++) {
        if ((mask & 1u << pcr) == 0)
            continue;
        if (used == values->count || values->digests[used].size != SHA256_BYTES)
            return error_set(err, LETHE_UNAVAILABLE, "the TPM gives no value for PCR %u", pcr);
        memcpy(pcrs->values[pcr], values->digests[used++].buffer, SHA256_BYTES);
    }
    pcrs->mask |= mask;
    return mask != 0 ? LETHE_OK
                     : error_set(err, LETHE_UNAVAILABLE, "the TPM has no SHA-256 bank of PCRs");
}

static lethe_result read_pcrs(struct tpm2_device *device, uint32_t mask, struct tpm2_pcrs *pcrs,
                              struct lethe_error *err)
{
    *pcrs = (struct tpm2_pcrs){0};
    while (pcrs->mask != mask)
        TRY(read_some(device, mask & ~pcrs->mask, pcrs, err));
    return LETHE_OK;
}

lethe_result tpm2_device_pcrs(struct tpm2_device *device, uint32_t pcr_mask, struct tpm2_pcrs *out,
                              struct lethe_error *err)
{
    return read_pcrs(device, pcr_mask, out, err);
}

static lethe_result make_quote(struct tpm2_device *device, uint32_t mask, const TPM2B_DATA *binding,
                               struct tpm2_quote *out, struct lethe_error *err)
{
    const TPMT_SIG_SCHEME the_keys_own = {.scheme = TPM2_ALG_NULL};
    const TPML_PCR_SELECTION selection = selection_of(mask);
    uint8_t signature_bytes[TPM2_SIGNATURE_MAX];
    size_t used = 0;
    CLEANUP(esys_free) TPM2B_ATTEST *attested = NULL;
    CLEANUP(esys_free) TPMT_SIGNATURE *signature = NULL;
    TSS2_RC rc = Esys_Quote(device->esys, device->ak, TPM2_EMPTY_PASSWORD, binding, &the_keys_own,
                            &selection, &attested, &signature);
    if (rc == TSS2_RC_SUCCESS)
        rc = Tss2_MU_TPMT_SIGNATURE_Marshal(signature, signature_bytes, sizeof signature_bytes,
                                            &used);
    if (rc != TSS2_RC_SUCCESS)
        return tpm2_device_failed(err, "quoting PCRs", rc);
    buffer_truncate(&out->quote, 0);
    buffer_truncate(&out->signature, 0);
    buffer_append(&out->quote, attested->attestationData, attested->size);
    buffer_append(&out->signature, signature_bytes, used);
    TRY(buffer_result(&out->quote, err));
    return buffer_result(&out->signature, err);
}

/* Whether what was read is what was quoted. */
static bool is_of_values(const struct tpm2_quote *quote)
{
    struct tpm2_attested attested;
    uint8_t digest[SHA256_BYTES];
    if (tpm2_attested_read(quote->quote.bytes, quote->quote.size_bytes, &attested) !=
        ATTEST_VERIFIED)
        return false;
    tpm2_pcr_digest(&quote->pcrs, digest);
    return attested.pcr_mask == quote->pcrs.mask &&
           memcmp(digest, attested.pcr_digest.at, sizeof digest) == 0;
}

static lethe_result quote(struct tpm2_device *device, uint32_t pcr_mask, const TPM2B_DATA *binding,
                          struct tpm2_quote *out, struct lethe_error *err)
{
    TRY(tpm2_device_load_key(device, err));
    for (unsigned i = 0; i < QUOTE_TRIES; i++) {
        TRY(read_pcrs(device, pcr_mask, &out->pcrs, err));
        TRY(make_quote(device, pcr_mask, binding, out, err));
        if (is_of_values(out))
            return LETHE_OK;
    }
    return error_set(err, LETHE_UNAVAILABLE, "the PCRs go on changing while they are quoted");
}

lethe_result tpm2_device_quote(struct tpm2_device *device, uint32_t pcr_mask, const void *binding,
                               size_t binding_bytes, struct tpm2_quote *out,
                               struct lethe_error *err)
{
    TPM2B_DATA data = {.size = (UINT16)binding_bytes};
    *out = (struct tpm2_quote){0};
    if (pcr_mask == 0 || pcr_mask >> ATTEST_PCRS != 0)
        return error_set(err, LETHE_INVALID, "PCRs 0 to %u are quoted, and at least one",
                         ATTEST_PCRS - 1);
    if (binding_bytes > sizeof data.buffer)
        return error_set(err, LETHE_INVALID, "%zu bytes to bind a quote to; at most %zu",
                         binding_bytes, sizeof data.buffer);
    memcpy(data.buffer, binding, binding_bytes);
    lethe_result result = quote(device, pcr_mask, &data, out, err);
    if (result != LETHE_OK)
        tpm2_quote_clear(out);
    return result;
}
