/* The endorsement key's certificate, from the TPM's memory (TCG, EK Credential Profile 2.5, 2.2).
 */
#include "attest/tpm2_device_core.h"
#include "base/error.h"
#include "crypto/x509.h"

#define NV_CHUNK 512u /* every TPM gives as much in one reading */
#define DER_SEQUENCE 0x30
#define DER_LENGTH_16 0x82

static const TPM2_HANDLE indices[EK_KINDS] = {[EK_ECC] = 0x01c0000a, [EK_RSA] = 0x01c00002};

/* What may read it differs: the index itself, or the owner. */
static TSS2_RC read_chunk(struct tpm2_device *device, ESYS_TR index, UINT16 offset, UINT16 wanted,
                          TPM2B_MAX_NV_BUFFER **chunk)
{
    TSS2_RC rc =
        Esys_NV_Read(device->esys, index, index, TPM2_EMPTY_PASSWORD, wanted, offset, chunk);
    return rc == TSS2_RC_SUCCESS ? rc
                                 : Esys_NV_Read(device->esys, ESYS_TR_RH_OWNER, index,
                                                TPM2_EMPTY_PASSWORD, wanted, offset, chunk);
}

static lethe_result read_index(struct tpm2_device *device, ESYS_TR index, size_t size_bytes,
                               struct buffer *out, struct lethe_error *err)
{
    for (size_t offset = 0; offset < size_bytes;) {
        CLEANUP(esys_free) TPM2B_MAX_NV_BUFFER *chunk = NULL;
        size_t wanted = MIN(size_bytes - offset, NV_CHUNK);
        TSS2_RC rc = read_chunk(device, index, (UINT16)offset, (UINT16)wanted, &chunk);
        if (rc != TSS2_RC_SUCCESS)
            return tpm2_device_failed(err, "reading a certificate", rc);
        if (chunk->size != wanted)
            return error_set(err, LETHE_UNAVAILABLE, "the TPM: a certificate that ends too early");
        buffer_append(out, chunk->buffer, wanted);
        offset += wanted;
    }
    return buffer_result(out, err);
}

/* Some leave room behind it. */
static void cut_padding(struct buffer *der, size_t before)
{
    const uint8_t *at = (const uint8_t *)der->bytes + before;
    size_t size_bytes = der->size_bytes - before;
    if (size_bytes < 4 || at[0] != DER_SEQUENCE || at[1] != DER_LENGTH_16)
        return;
    size_t whole = 4 + ((size_t)at[2] << 8 | at[3]);
    if (whole < size_bytes)
        buffer_truncate(der, before + whole);
}

static lethe_result size_of(struct tpm2_device *device, ESYS_TR index, size_t *size_bytes,
                            struct lethe_error *err)
{
    CLEANUP(esys_free) TPM2B_NV_PUBLIC *public_area = NULL;
    TSS2_RC rc = Esys_NV_ReadPublic(device->esys, index, TPM2_NOBODY, &public_area, NULL);
    if (rc != TSS2_RC_SUCCESS)
        return tpm2_device_failed(err, "reading a certificate", rc);
    *size_bytes = public_area->nvPublic.dataSize;
    return *size_bytes <= X509_DER_MAX
               ? LETHE_OK
               : error_set(err, LETHE_UNAVAILABLE,
                           "the TPM: a certificate of %zu bytes; at most %u", *size_bytes,
                           X509_DER_MAX);
}

lethe_result tpm2_device_certificate(struct tpm2_device *device, enum ek_kind kind,
                                     struct buffer *der, struct lethe_error *err)
{
    size_t before = der->size_bytes, size_bytes = 0;
    ESYS_TR index;
    TSS2_RC rc = Esys_TR_FromTPMPublic(device->esys, indices[kind], TPM2_NOBODY, &index);
    if (rc != TSS2_RC_SUCCESS)
        return error_set(err, LETHE_NOT_FOUND, "the TPM has no such certificate");
    lethe_result result = size_of(device, index, &size_bytes, err);
    if (result == LETHE_OK)
        result = read_index(device, index, size_bytes, der, err);
    (void)Esys_TR_Close(device->esys, &index);
    if (result == LETHE_OK)
        cut_padding(der, before);
    else
        buffer_truncate(der, before);
    return result;
}
