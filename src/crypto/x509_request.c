/* PKCS#10 (RFC 2986). */
#include <string.h>

#include <openssl/err.h>

#include "crypto/hash.h"
#include "crypto/x509_openssl.h"

typedef STACK_OF(X509_EXTENSION) extensions;
static void extensions_free(extensions *list)
{
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}
DEFINE_CLEANUP(extensions_free, extensions *);

/* ---- reading --------------------------------------------------------------------------------- */

static lethe_result not_a_request(struct lethe_error *err)
{
    if (openssl_was_starved())
        return openssl_failed(err, LETHE_NO_MEMORY, "reading a certificate request");
    ERR_clear_error();
    return error_set(err, LETHE_MALFORMED, "no certificate request in DER (RFC 2986)");
}

static lethe_result check_own_signature(X509_REQ *request, struct lethe_error *err)
{
    EVP_PKEY *pkey = X509_REQ_get0_pubkey(request);
    if (pkey == NULL)
        return not_a_request(err);
    int fits = X509_REQ_verify(request, pkey);
    if (fits == 1)
        return LETHE_OK;
    if (openssl_was_starved())
        return openssl_failed(err, LETHE_NO_MEMORY, "checking a certificate request");
    ERR_clear_error();
    return error_set(err, LETHE_INTEGRITY, "the certificate request is not signed by its own key");
}

/* What a request asks for beside names is for the issuer to decide, and not read. */
static lethe_result read_names(X509_REQ *request, size_t size_bytes, struct x509_summary *out,
                               struct lethe_error *err)
{
    CLEANUP(extensions_free) extensions *list = X509_REQ_get_extensions(request);
    CLEANUP(GENERAL_NAMES_free) GENERAL_NAMES *names = NULL;
    int found = -1;
    if (list != NULL)
        names = X509V3_get_d2i(list, NID_subject_alt_name, &found, NULL);
    if (names == NULL && found != -1)
        return not_a_request(err);
    return x509_read_names(X509_REQ_get_subject_name(request), names, size_bytes, out, err);
}

static lethe_result read_request(X509_REQ *request, const void *der, size_t size_bytes,
                                 struct x509_summary *out, struct lethe_error *err)
{
    enum signature_kind kind;
    TRY(check_own_signature(request, err));
    TRY(read_names(request, size_bytes, out, err));
    sha256(der, size_bytes, out->fingerprint);
    EVP_PKEY *pkey = X509_REQ_get0_pubkey(request);
    bool ours = sign_kind_of(pkey, &kind);
    ERR_clear_error();
    return ours ? sign_public_from_pkey(pkey, &out->key, err) : LETHE_OK;
}

lethe_result x509_read_request(const void *der, size_t size_bytes, struct x509_summary *out,
                               struct lethe_error *err)
{
    const uint8_t *at = der;
    *out = (struct x509_summary){0};
    if (size_bytes == 0 || size_bytes > X509_DER_MAX)
        return error_set(err, LETHE_MALFORMED, "a certificate request of %zu bytes; 1 to %u",
                         size_bytes, X509_DER_MAX);
    openssl_begin();
    CLEANUP(X509_REQ_free) X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)size_bytes);
    if (request == NULL || at != (const uint8_t *)der + size_bytes)
        return not_a_request(err);
    lethe_result result = read_request(request, der, size_bytes, out, err);
    if (result != LETHE_OK)
        x509_summary_clear(out);
    return result;
}

/* ---- making ---------------------------------------------------------------------------------- */

static lethe_result add_names(X509_REQ *request, const struct x509_subject *subject,
                              struct lethe_error *err)
{
    CLEANUP(X509_NAME_free) X509_NAME *name = NULL;
    CLEANUP(GENERAL_NAMES_free) GENERAL_NAMES *names = NULL;
    TRY(x509_make_name(subject, &name, err));
    TRY(x509_make_alternatives(subject, &names, err));
    if (X509_REQ_set_subject_name(request, name) != 1)
        return openssl_failed(err, LETHE_NO_MEMORY, "naming a certificate request");
    if (names == NULL)
        return LETHE_OK;
    extensions *list = NULL;
    bool added = X509V3_add1_i2d(&list, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1 &&
                 X509_REQ_add_extensions(request, list) == 1;
    extensions_free(list);
    return added ? LETHE_OK : openssl_failed(err, LETHE_NO_MEMORY, "naming a certificate request");
}

static lethe_result sign_request(X509_REQ *request, const struct sign_pair *key,
                                 struct lethe_error *err)
{
    OPENSSL_SECRETS_IN_SCOPE();
    CLEANUP(EVP_MD_CTX_free) EVP_MD_CTX *context = x509_signer(key);
    if (context == NULL || X509_REQ_sign_ctx(request, context) <= 0)
        return openssl_failed(err, LETHE_FAILED, "signing a certificate request");
    return LETHE_OK;
}

lethe_result x509_make_request(const struct x509_subject *subject, const struct sign_pair *key,
                               struct buffer *der, struct lethe_error *err)
{
    openssl_begin();
    CLEANUP(X509_REQ_free) X509_REQ *request = X509_REQ_new();
    if (request == NULL || X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
        X509_REQ_set_pubkey(request, sign_pair_public(key)->pkey) != 1)
        return openssl_failed(err, LETHE_NO_MEMORY, "making a certificate request");
    TRY(add_names(request, subject, err));
    TRY(sign_request(request, key, err));
    int size_bytes = i2d_X509_REQ(request, NULL);
    uint8_t *at = size_bytes > 0 ? (uint8_t *)buffer_extend(der, (size_t)size_bytes) : NULL;
    if (at == NULL)
        return openssl_failed(err, LETHE_NO_MEMORY, "writing a certificate request");
    (void)i2d_X509_REQ(request, &at);
    return buffer_result(der, err);
}
