/* The host's table of certificates: entries of a GUID, an offset and a length, the last one zero.
 * It comes from the host, which nobody believes: what it says is only ever a certificate to try. */
#include <string.h>

#include "attest/sevsnp_tsm.h"
#include "base/cursor.h"
#include "crypto/x509.h"

#define GUID_BYTES 16u
#define ENTRIES_MAX 64u

/* 63da758d-e664-4564-adc5-f4b93be8accd and a8074bc2-a25a-483e-aae6-39c045a0b8a1. Tables are written
 * both as the digits stand there, and as UEFI orders them (the first three numbers
 * little-endian). */
static const uint8_t veks[][GUID_BYTES] = {
    {0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac,
     0xcd},
    {0x8d, 0x75, 0xda, 0x63, 0x64, 0xe6, 0x64, 0x45, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac,
     0xcd},
    {0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e, 0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8,
     0xa1},
    {0xc2, 0x4b, 0x07, 0xa8, 0x5a, 0xa2, 0x3e, 0x48, 0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8,
     0xa1},
};

static bool is_vek(const uint8_t *guid)
{
    for (size_t i = 0; i < ARRAY_LEN(veks); i++)
        if (memcmp(guid, veks[i], GUID_BYTES) == 0)
            return true;
    return false;
}

static lethe_result malformed(struct lethe_error *err, const char *what)
{
    return error_set(err, LETHE_MALFORMED, "the host's table of certificates %s", what);
}

lethe_result sevsnp_certificate_to_der(const void *bytes, size_t size_bytes, struct buffer *der,
                                       struct lethe_error *err)
{
    static const char pem[] = "-----BEGIN ";
    if (size_bytes < sizeof pem || memmem(bytes, size_bytes, pem, sizeof pem - 1) == NULL) {
        if (size_bytes == 0 || size_bytes > X509_DER_MAX)
            return error_set(err, LETHE_MALFORMED, "a certificate of %zu bytes; 1 to %u",
                             size_bytes, X509_DER_MAX);
        buffer_append(der, bytes, size_bytes);
        return buffer_result(der, err);
    }
    CLEANUP(buffer_clear) struct buffer list = {0};
    TRY(x509_pem_read(X509_PEM_CERTIFICATE, bytes, size_bytes, &list, err));
    struct cursor at = cursor_over(list.bytes, list.size_bytes);
    uint32_t length;
    const uint8_t *first;
    TRY(cursor_le32(&at, &length));
    TRY(cursor_bytes(&at, length, &first));
    buffer_append(der, first, length);
    return buffer_result(der, err);
}

static lethe_result take_certificate(const uint8_t *table, size_t size_bytes, uint32_t offset,
                                     uint32_t length, struct buffer *vek, struct lethe_error *err)
{
    struct cursor at = cursor_over(table, size_bytes);
    const uint8_t *bytes;
    if (cursor_skip(&at, offset) != LETHE_OK || cursor_bytes(&at, length, &bytes) != LETHE_OK)
        return malformed(err, "names a place behind its end");
    return sevsnp_certificate_to_der(bytes, length, vek, err);
}

lethe_result sevsnp_table_vek(const void *table, size_t size_bytes, struct buffer *vek,
                              struct lethe_error *err)
{
    static const uint8_t none[GUID_BYTES] = {0};
    if (size_bytes == 0)
        return LETHE_OK;
    struct cursor at = cursor_over(table, size_bytes);
    for (unsigned i = 0; i < ENTRIES_MAX; i++) {
        const uint8_t *guid;
        uint32_t offset, length;
        if (cursor_bytes(&at, GUID_BYTES, &guid) != LETHE_OK ||
            cursor_le32(&at, &offset) != LETHE_OK || cursor_le32(&at, &length) != LETHE_OK)
            return malformed(err, "does not end");
        if (memcmp(guid, none, sizeof none) == 0)
            return LETHE_OK;
        if (is_vek(guid))
            return take_certificate(table, size_bytes, offset, length, vek, err);
    }
    return malformed(err, "has too many entries");
}
