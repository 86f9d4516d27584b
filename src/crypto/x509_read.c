#include <string.h>
#include <time.h>

#include <openssl/err.h>

#include "crypto/hash.h"
#include "crypto/x509_openssl.h"

DEFINE_CLEANUP(BN_free, BIGNUM *);

/* ---- DER ------------------------------------------------------------------------------------- */

static lethe_result not_der(const char *what, struct lethe_error *err)
{
    if (openssl_was_starved())
        return openssl_failed(err, LETHE_NO_MEMORY, what);
    ERR_clear_error();
    return error_set(err, LETHE_MALFORMED, "no %s in DER (RFC 5280)", what);
}

/* Whether the bytes are what OpenSSL itself would write: then no two of them mean the same. */
static bool is_same(const void *der, size_t size_bytes, const void *value,
                    int (*write)(const void *value, uint8_t **out))
{
    uint8_t *written = NULL;
    int written_bytes = write(value, &written);
    bool same = written_bytes >= 0 && (size_t)written_bytes == size_bytes &&
                memcmp(written, der, size_bytes) == 0;
    OPENSSL_free(written);
    return same;
}

static int write_certificate(const void *value, uint8_t **out)
{
    return i2d_X509(value, out);
}

static int write_crl(const void *value, uint8_t **out)
{
    return i2d_X509_CRL(value, out);
}

lethe_result x509_parse(const void *der, size_t size_bytes, X509 **out, struct lethe_error *err)
{
    const uint8_t *at = der;
    *out = NULL;
    if (size_bytes == 0 || size_bytes > X509_DER_MAX)
        return error_set(err, LETHE_MALFORMED, "a certificate of %zu bytes; 1 to %u", size_bytes,
                         X509_DER_MAX);
    openssl_begin();
    CLEANUP(X509_free) X509 *certificate = d2i_X509(NULL, &at, (long)size_bytes);
    if (certificate == NULL || !is_same(der, size_bytes, certificate, write_certificate))
        return not_der("certificate", err);
    *out = MOVE(certificate);
    return LETHE_OK;
}

lethe_result x509_parse_crl(const void *der, size_t size_bytes, X509_CRL **out,
                            struct lethe_error *err)
{
    const uint8_t *at = der;
    *out = NULL;
    if (size_bytes == 0 || size_bytes > X509_CRL_DER_MAX)
        return error_set(err, LETHE_MALFORMED, "a CRL of %zu bytes; 1 to %u", size_bytes,
                         X509_CRL_DER_MAX);
    openssl_begin();
    CLEANUP(X509_CRL_free) X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)size_bytes);
    if (crl == NULL || !is_same(der, size_bytes, crl, write_crl))
        return not_der("CRL", err);
    *out = MOVE(crl);
    return LETHE_OK;
}

/* ---- what it says ---------------------------------------------------------------------------- */

static lethe_result read_serial(const X509 *certificate, struct x509_summary *out,
                                struct lethe_error *err)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    CLEANUP(BN_free) BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
    if (number == NULL)
        return openssl_failed(err, LETHE_NO_MEMORY, "reading a serial number");
    if (BN_is_negative(number) || BN_is_zero(number) ||
        BN_num_bytes(number) > (int)X509_SERIAL_BYTES)
        return error_set(err, LETHE_MALFORMED,
                         "the serial number is not a positive one of at most "
                         "%u bytes",
                         X509_SERIAL_BYTES);
    out->serial_bytes = (size_t)BN_bn2bin(number, out->serial);
    return LETHE_OK;
}

/* Before 1970 is 0: what ended then has ended. */
static bool read_time(const ASN1_TIME *time, uint64_t *seconds)
{
    struct tm parts = {0};
    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return false;
    time_t unix_s = timegm(&parts);
    *seconds = unix_s < 0 ? 0 : (uint64_t)unix_s;
    return true;
}

static void copy_id(const ASN1_OCTET_STRING *id, uint8_t *out, size_t *size_bytes)
{
    size_t length = id != NULL ? (size_t)ASN1_STRING_length(id) : 0;
    *size_bytes = length <= 32 ? length : 0; /* longer ones are nobody's that we look for */
    if (*size_bytes > 0)
        memcpy(out, ASN1_STRING_get0_data(id), *size_bytes);
}

/* A key of another kind (RSA) stays away; what cannot be read at all is malformed. */
static lethe_result read_key(EVP_PKEY *pkey, struct x509_summary *out, struct lethe_error *err)
{
    enum signature_kind kind;
    if (pkey == NULL)
        return not_der("public key", err);
    if (!sign_kind_of(pkey, &kind)) {
        ERR_clear_error();
        return LETHE_OK;
    }
    return sign_public_from_pkey(pkey, &out->key, err);
}

/* An extension that is there twice, or cannot be read, is as bad as a forged one. */
static lethe_result read_alternatives(const X509 *certificate, GENERAL_NAMES **names,
                                      struct lethe_error *err)
{
    int found;
    *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &found, NULL);
    return *names != NULL || found == -1 ? LETHE_OK : not_der("alternative names", err);
}

lethe_result x509_summarise(const X509 *certificate, const void *der, size_t size_bytes,
                            struct x509_summary *out, struct lethe_error *err)
{
    X509 *cached = (X509 *)(uintptr_t)certificate; /* OpenSSL reads extensions when first asked */
    CLEANUP(GENERAL_NAMES_free) GENERAL_NAMES *names = NULL;
    openssl_begin();
    if ((X509_get_extension_flags(cached) & EXFLAG_INVALID) != 0)
        return not_der("extension", err);
    TRY(read_alternatives(certificate, &names, err));
    TRY(x509_read_names(X509_get_subject_name(certificate), names, size_bytes, out, err));
    TRY(read_serial(certificate, out, err));
    if (!read_time(X509_get0_notBefore(certificate), &out->not_before_s) ||
        !read_time(X509_get0_notAfter(certificate), &out->not_after_s))
        return not_der("validity", err);
    out->is_ca = X509_check_ca(cached) == 1;
    sha256(der, size_bytes, out->fingerprint);
    copy_id(X509_get0_subject_key_id(cached), out->subject_key_id, &out->subject_key_id_bytes);
    copy_id(X509_get0_authority_key_id(cached), out->authority_key_id,
            &out->authority_key_id_bytes);
    return read_key(X509_get0_pubkey(certificate), out, err);
}

lethe_result x509_read(const void *der, size_t size_bytes, struct x509_summary *out,
                       struct lethe_error *err)
{
    *out = (struct x509_summary){0};
    CLEANUP(X509_free) X509 *certificate = NULL;
    TRY(x509_parse(der, size_bytes, &certificate, err));
    lethe_result result = x509_summarise(certificate, der, size_bytes, out, err);
    if (result != LETHE_OK)
        x509_summary_clear(out);
    return result;
}
