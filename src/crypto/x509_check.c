/* Whether somebody's chain leads to a root (RFC 5280, 6.1). OpenSSL walks it; here is what it is
 * told, and what its answers mean. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "crypto/x509_openssl.h"

/* 112 bits: RSA from 2048 bits, no SHA-1. */
#define SECURITY_LEVEL 2

typedef STACK_OF(X509) certificates;
static void certificates_free(certificates *list)
{
    sk_X509_pop_free(list, X509_free);
}
DEFINE_CLEANUP(certificates_free, certificates *);
typedef STACK_OF(X509_CRL) crl_list;
static void crl_list_free(crl_list *list)
{
    sk_X509_CRL_pop_free(list, X509_CRL_free);
}
DEFINE_CLEANUP(crl_list_free, crl_list *);
DEFINE_CLEANUP(X509_STORE_free, X509_STORE *);
DEFINE_CLEANUP(X509_STORE_CTX_free, X509_STORE_CTX *);

struct checking {
    certificates *roots;
    certificates *chain; /* leaf first */
    crl_list *crls;
};

/* ---- reading --------------------------------------------------------------------------------- */

static lethe_result next_of(struct cursor *list, const uint8_t **der, size_t *size_bytes,
                            struct lethe_error *err)
{
    uint32_t length;
    if (cursor_le32(list, &length) != LETHE_OK || cursor_bytes(list, length, der) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "a list of certificates that ends too early");
    *size_bytes = length;
    return LETHE_OK;
}

static lethe_result read_certificates(const void *bytes, size_t size_bytes, unsigned max,
                                      certificates *out, struct lethe_error *err)
{
    struct cursor list = cursor_over(bytes, size_bytes);
    while (cursor_left(&list) > 0) {
        const uint8_t *der;
        size_t der_bytes;
        CLEANUP(X509_free) X509 *certificate = NULL;
        TRY(next_of(&list, &der, &der_bytes, err));
        if ((unsigned)sk_X509_num(out) == max)
            return error_set(err, LETHE_MALFORMED, "more than %u certificates", max);
        TRY(x509_parse(der, der_bytes, &certificate, err));
        if (sk_X509_push(out, certificate) == 0)
            return openssl_failed(err, LETHE_NO_MEMORY, "reading a chain");
        certificate = NULL; /* moved */
    }
    return LETHE_OK;
}

static lethe_result read_crls(const void *bytes, size_t size_bytes, crl_list *out,
                              struct lethe_error *err)
{
    struct cursor list = cursor_over(bytes, size_bytes);
    while (cursor_left(&list) > 0) {
        const uint8_t *der;
        size_t der_bytes;
        CLEANUP(X509_CRL_free) X509_CRL *crl = NULL;
        TRY(next_of(&list, &der, &der_bytes, err));
        TRY(x509_parse_crl(der, der_bytes, &crl, err));
        if (sk_X509_CRL_push(out, crl) == 0)
            return openssl_failed(err, LETHE_NO_MEMORY, "reading CRLs");
        crl = NULL; /* moved */
    }
    return LETHE_OK;
}

/* ---- walking --------------------------------------------------------------------------------- */

/* An authority without a CRL of ours has not revoked anything that we know of. But if there is one
 * with its name, it must be the right one. */
static bool is_without_crl(X509_STORE_CTX *context)
{
    const crl_list *crls = X509_STORE_CTX_get_app_data(context);
    const X509_NAME *issuer = X509_get_issuer_name(X509_STORE_CTX_get_current_cert(context));
    for (int i = 0; i < sk_X509_CRL_num(crls); i++)
        if (X509_NAME_cmp(X509_CRL_get_issuer(sk_X509_CRL_value(crls, i)), issuer) == 0)
            return false;
    return true;
}

/* A root is believed for its name and key (RFC 5280, 6.1.1, d), whatever else it leaves unsaid:
 * `openssl req -x509` makes such ones. */
static bool is_about_a_root(X509_STORE_CTX *context)
{
    static const int unsaid[] = {
        X509_V_ERR_CA_CERT_MISSING_KEY_USAGE,
        X509_V_ERR_CA_BCONS_NOT_CRITICAL,
        X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER,
    };
    int error = X509_STORE_CTX_get_error(context);
    int last = sk_X509_num(X509_STORE_CTX_get0_chain(context)) - 1;
    for (size_t i = 0; i < ARRAY_LEN(unsaid); i++)
        if (error == unsaid[i])
            return last > 0 && X509_STORE_CTX_get_error_depth(context) == last;
    return false;
}

static int judge(int fits, X509_STORE_CTX *context)
{
    if (fits == 1)
        return 1;
    bool no_crl = X509_STORE_CTX_get_error(context) == X509_V_ERR_UNABLE_TO_GET_CRL &&
                  is_without_crl(context);
    if (!no_crl && !is_about_a_root(context))
        return 0;
    X509_STORE_CTX_set_error(context, X509_V_OK);
    return 1;
}

static bool set_rules(X509_STORE_CTX *context, const struct x509_check *check)
{
    unsigned long flags = X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE;
    if (check->crls_bytes > 0)
        flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
    X509_VERIFY_PARAM *rules = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(rules, (time_t)check->now_s);
    X509_VERIFY_PARAM_set_depth(rules, (int)X509_CHAIN_MAX);
    X509_VERIFY_PARAM_set_auth_level(rules, SECURITY_LEVEL);
    int purpose = (check->extended_usage & X509_SERVER_AUTH) != 0   ? X509_PURPOSE_SSL_SERVER
                  : (check->extended_usage & X509_CLIENT_AUTH) != 0 ? X509_PURPOSE_SSL_CLIENT
                                                                    : X509_PURPOSE_ANY;
    return X509_VERIFY_PARAM_set_flags(rules, flags) == 1 &&
           X509_VERIFY_PARAM_set_purpose(rules, purpose) == 1;
}

static lethe_result say_why(X509_STORE_CTX *context, struct lethe_error *err)
{
    int reason = X509_STORE_CTX_get_error(context);
    if (openssl_was_starved() || reason == X509_V_ERR_OUT_OF_MEM)
        return openssl_failed(err, LETHE_NO_MEMORY, "checking a certificate");
    ERR_clear_error();
    lethe_result code = reason == X509_V_ERR_CERT_REVOKED ? LETHE_REVOKED : LETHE_DENIED;
    return error_set(err, code, "%s %d of the chain: %s", "certificate",
                     X509_STORE_CTX_get_error_depth(context),
                     X509_verify_cert_error_string(reason));
}

static lethe_result walk(const struct checking *c, const struct x509_check *check,
                         struct lethe_error *err)
{
    openssl_begin();
    CLEANUP(X509_STORE_free) X509_STORE *store = X509_STORE_new();
    CLEANUP(X509_STORE_CTX_free) X509_STORE_CTX *context = X509_STORE_CTX_new();
    if (store == NULL || context == NULL ||
        X509_STORE_CTX_init(context, store, sk_X509_value(c->chain, 0), c->chain) != 1 ||
        X509_STORE_CTX_set_app_data(context, c->crls) != 1 || !set_rules(context, check))
        return openssl_failed(err, LETHE_NO_MEMORY, "checking a certificate");
    X509_STORE_CTX_set0_trusted_stack(context, c->roots);
    X509_STORE_CTX_set0_crls(context, c->crls);
    X509_STORE_CTX_set_verify_cb(context, judge);
    return X509_verify_cert(context) == 1 ? LETHE_OK : say_why(context, err);
}

/* ---- usage ----------------------------------------------------------------------------------- */

/* Said in so many words: a certificate without usages is for nothing in particular. */
static lethe_result check_usage(X509 *leaf, unsigned wanted, struct lethe_error *err)
{
    static const struct {
        unsigned bit;
        uint32_t flag;
    } usages[] = {
        {X509_SERVER_AUTH, XKU_SSL_SERVER},  {X509_CLIENT_AUTH, XKU_SSL_CLIENT},
        {X509_CODE_SIGNING, XKU_CODE_SIGN},  {X509_EMAIL_PROTECTION, XKU_SMIME},
        {X509_TIME_STAMPING, XKU_TIMESTAMP}, {X509_OCSP_SIGNING, XKU_OCSP_SIGN},
    };
    uint32_t has = X509_get_extended_key_usage(leaf);
    bool has_any = (X509_get_extension_flags(leaf) & EXFLAG_XKUSAGE) != 0;
    for (size_t i = 0; i < ARRAY_LEN(usages); i++)
        if ((wanted & usages[i].bit) != 0 && (!has_any || (has & usages[i].flag) == 0))
            return error_set(err, LETHE_DENIED, "the certificate is not for this usage");
    return LETHE_OK;
}

lethe_result x509_check_chain(const struct x509_check *check, struct x509_summary *leaf,
                              struct lethe_error *err)
{
    *leaf = (struct x509_summary){0};
    openssl_begin();
    CLEANUP(certificates_free) certificates *roots = sk_X509_new_null();
    CLEANUP(certificates_free) certificates *chain = sk_X509_new_null();
    CLEANUP(crl_list_free) crl_list *crls = sk_X509_CRL_new_null();
    if (roots == NULL || chain == NULL || crls == NULL)
        return openssl_failed(err, LETHE_NO_MEMORY, "checking a certificate");
    TRY(read_certificates(check->chain, check->chain_bytes, X509_CHAIN_MAX, chain, err));
    TRY(read_certificates(check->roots, check->roots_bytes, X509_ROOTS_MAX, roots, err));
    TRY(read_crls(check->crls, check->crls_bytes, crls, err));
    if (sk_X509_num(chain) == 0)
        return error_set(err, LETHE_MALFORMED, "a chain without a certificate");
    const struct checking c = {.roots = roots, .chain = chain, .crls = crls};
    TRY(walk(&c, check, err));
    TRY(check_usage(sk_X509_value(chain, 0), check->extended_usage, err));
    const uint8_t *der = (const uint8_t *)check->chain + sizeof(uint32_t);
    size_t der_bytes = (size_t)i2d_X509(sk_X509_value(chain, 0), NULL);
    lethe_result result = x509_summarise(sk_X509_value(chain, 0), der, der_bytes, leaf, err);
    if (result != LETHE_OK)
        x509_summary_clear(leaf);
    return result;
}
