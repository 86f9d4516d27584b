/* The extensions of AMD's certificates, below 1.3.6.1.4.1.3704.1 (AMD 57230, 3.2). */
#include "attest/sevsnp_vek.h"

#include <string.h>

#include "base/cursor.h"
#include "crypto/x509_vendor.h"

#define ARC "1.3.6.1.4.1.3704.1."
#define DER_INTEGER 0x02
#define DER_OCTET_STRING 0x04
#define DER_UTF8_STRING 0x0c
#define DER_PRINTABLE_STRING 0x13
#define DER_IA5_STRING 0x16
#define DER_LENGTH_MAX 0x7f /* as one byte; nothing here is longer */

void sevsnp_vek_clear(struct sevsnp_vek *vek)
{
    sign_public_free(vek->key);
    *vek = (struct sevsnp_vek){0};
}

static lethe_result no_such(const char *what, struct lethe_error *err)
{
    return error_set(err, LETHE_MALFORMED, "no %s in the certificate, or one of another form",
                     what);
}

/* One value of DER, and nothing behind it. */
static bool read_der(const uint8_t *bytes, size_t size_bytes, uint8_t *tag, struct cursor *content)
{
    struct cursor at = cursor_over(bytes, size_bytes);
    uint8_t length;
    if (cursor_u8(&at, tag) != LETHE_OK || cursor_u8(&at, &length) != LETHE_OK ||
        length > DER_LENGTH_MAX || cursor_left(&at) != length)
        return false;
    *content = at;
    return true;
}

/* 0 to 255, so one byte, or two when the first would look like a sign. */
static bool read_level(const uint8_t *bytes, size_t size_bytes, uint8_t *out)
{
    struct cursor content;
    uint8_t tag, first;
    if (!read_der(bytes, size_bytes, &tag, &content) || tag != DER_INTEGER ||
        cursor_u8(&content, &first) != LETHE_OK)
        return false;
    *out = first;
    if (cursor_left(&content) == 0)
        return (first & 0x80) == 0;
    return first == 0 && cursor_u8(&content, out) == LETHE_OK && (*out & 0x80) != 0 &&
           cursor_left(&content) == 0;
}

static bool read_text(const uint8_t *bytes, size_t size_bytes, char *out, size_t out_size)
{
    struct cursor content;
    uint8_t tag;
    if (!read_der(bytes, size_bytes, &tag, &content) || cursor_left(&content) >= out_size ||
        (tag != DER_IA5_STRING && tag != DER_UTF8_STRING && tag != DER_PRINTABLE_STRING))
        return false;
    size_t length = cursor_left(&content);
    for (size_t i = 0; i < length; i++)
        if (content.at[i] < ' ' || content.at[i] > '~')
            return false;
    memcpy(out, content.at, length);
    out[length] = '\0';
    return length > 0;
}

/* LETHE_MALFORMED: not there. */
static lethe_result find(const struct x509_vendor *certificate, const char *oid, const char *what,
                         struct cursor *out, struct lethe_error *err)
{
    const uint8_t *bytes;
    size_t size_bytes;
    lethe_result result = x509_vendor_extension(certificate, oid, &bytes, &size_bytes);
    if (result == LETHE_NO_MEMORY)
        return error_set(err, result, "no memory to read a certificate");
    if (result != LETHE_OK)
        return no_such(what, err);
    *out = cursor_over(bytes, size_bytes);
    return LETHE_OK;
}

static lethe_result read_tcb(const struct x509_vendor *certificate, struct sevsnp_vek *vek,
                             struct lethe_error *err)
{
    const struct {
        const char *oid, *what;
        uint8_t *level;
    } parts[SEVSNP_TCB_PARTS] = {
        {ARC "3.9", "level of the FMC", &vek->tcb.fmc},
        {ARC "3.1", "level of the boot loader", &vek->tcb.bootloader},
        {ARC "3.2", "level of the TEE", &vek->tcb.tee},
        {ARC "3.3", "level of SNP", &vek->tcb.snp},
        {ARC "3.8", "level of the microcode", &vek->tcb.microcode},
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct cursor value;
        if (vek->product->tcb_at[i] == SEVSNP_ABSENT)
            continue;
        TRY(find(certificate, parts[i].oid, parts[i].what, &value, err));
        if (!read_level(value.at, cursor_left(&value), parts[i].level))
            return no_such(parts[i].what, err);
    }
    return LETHE_OK;
}

/* "Milan", or with a stepping behind it: "Milan-B0". */
static lethe_result read_product(const struct x509_vendor *certificate,
                                 const struct sevsnp_vek *vek, struct lethe_error *err)
{
    struct cursor value;
    char text[32];
    size_t length = strlen(vek->product->name);
    TRY(find(certificate, ARC "2", "product", &value, err));
    if (!read_text(value.at, cursor_left(&value), text, sizeof text))
        return no_such("product", err);
    if (strncmp(text, vek->product->name, length) != 0 ||
        (text[length] != '\0' && text[length] != '-'))
        return error_set(err, LETHE_MALFORMED, "a certificate of %s below an authority of %s", text,
                         vek->product->name);
    return LETHE_OK;
}

/* The bytes themselves, or wrapped in an OCTET STRING: there are both. */
static lethe_result read_hwid(const struct x509_vendor *certificate, struct sevsnp_vek *vek,
                              struct lethe_error *err)
{
    struct cursor value, inner;
    uint8_t tag;
    size_t expected = vek->product->hwid_bytes;
    TRY(find(certificate, ARC "4", "hardware id", &value, err));
    if (cursor_left(&value) == expected + 2 &&
        read_der(value.at, cursor_left(&value), &tag, &inner) && tag == DER_OCTET_STRING)
        value = inner;
    if (cursor_left(&value) != expected || sevsnp_is_zero(value.at, expected))
        return no_such("hardware id", err);
    memcpy(vek->hwid, value.at, expected);
    return LETHE_OK;
}

static lethe_result read_csp(const struct x509_vendor *certificate, struct sevsnp_vek *vek,
                             struct lethe_error *err)
{
    struct cursor value;
    TRY(find(certificate, ARC "5", "id of the cloud provider", &value, err));
    if (!read_text(value.at, cursor_left(&value), vek->csp_id, sizeof vek->csp_id))
        return no_such("id of the cloud provider", err);
    return LETHE_OK;
}

lethe_result sevsnp_vek_read(const struct x509_vendor *certificate, struct sevsnp_vek *vek,
                             struct lethe_error *err)
{
    TRY(read_product(certificate, vek, err));
    TRY(read_tcb(certificate, vek, err));
    TRY((vek->kind == SEVSNP_VCEK ? read_hwid : read_csp)(certificate, vek, err));
    TRY(x509_vendor_key(certificate, &vek->key, err));
    if (sign_public_kind(vek->key) != SIGNATURE_ECDSA_P384)
        return no_such("P-384 key", err);
    return LETHE_OK;
}
