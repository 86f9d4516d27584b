/* The extensions of a certificate that we issue (RFC 5280, 4.2.1). */
#include <openssl/err.h>

#include "crypto/x509_openssl.h"

DEFINE_CLEANUP(BASIC_CONSTRAINTS_free, BASIC_CONSTRAINTS *);
DEFINE_CLEANUP(ASN1_BIT_STRING_free, ASN1_BIT_STRING *);
DEFINE_CLEANUP(EXTENDED_KEY_USAGE_free, EXTENDED_KEY_USAGE *);
DEFINE_CLEANUP(NAME_CONSTRAINTS_free, NAME_CONSTRAINTS *);
DEFINE_CLEANUP(CRL_DIST_POINTS_free, CRL_DIST_POINTS *);

#define KEY_USAGE_BITS 7

static lethe_result add(X509 *certificate, int nid, void *value, bool critical,
                        struct lethe_error *err)
{
    if (value != NULL &&
        X509_add1_ext_i2d(certificate, nid, value, critical, X509V3_ADD_DEFAULT) == 1)
        return LETHE_OK;
    return openssl_failed(err, LETHE_NO_MEMORY, "adding an extension to a certificate");
}

static lethe_result add_basic_constraints(X509 *certificate, const struct x509_template *t,
                                          struct lethe_error *err)
{
    CLEANUP(BASIC_CONSTRAINTS_free) BASIC_CONSTRAINTS *basic = BASIC_CONSTRAINTS_new();
    if (basic != NULL && t->is_ca)
        basic->ca = 0xff;
    if (basic != NULL && t->is_ca && t->max_path_length >= 0) {
        basic->pathlen = ASN1_INTEGER_new();
        if (basic->pathlen == NULL || ASN1_INTEGER_set(basic->pathlen, t->max_path_length) != 1)
            return openssl_failed(err, LETHE_NO_MEMORY, "adding a path length");
    }
    return add(certificate, NID_basic_constraints, basic, true, err);
}

static lethe_result add_key_usage(X509 *certificate, const struct x509_template *t,
                                  struct lethe_error *err)
{
    const unsigned of_ca = X509_CERT_SIGN | X509_CRL_SIGN;
    unsigned usage = t->key_usage;
    if (usage == 0)
        usage = t->is_ca ? of_ca : (unsigned)X509_DIGITAL_SIGNATURE;
    if (!t->is_ca && (usage & of_ca) != 0)
        return error_set(err, LETHE_INVALID, "only an authority signs certificates and CRLs");
    if (t->is_ca && (usage & X509_CERT_SIGN) == 0)
        return error_set(err, LETHE_INVALID, "the key of an authority must sign certificates");
    CLEANUP(ASN1_BIT_STRING_free) ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
    for (int i = 0; bits != NULL && i < KEY_USAGE_BITS; i++)
        if ((usage >> i & 1) != 0 && ASN1_BIT_STRING_set_bit(bits, i, 1) != 1)
            return openssl_failed(err, LETHE_NO_MEMORY, "adding a key usage");
    return add(certificate, NID_key_usage, bits, true, err);
}

static lethe_result add_extended_usage(X509 *certificate, const struct x509_template *t,
                                       struct lethe_error *err)
{
    static const struct {
        unsigned bit;
        int nid;
    } usages[] = {
        {X509_SERVER_AUTH, NID_server_auth},  {X509_CLIENT_AUTH, NID_client_auth},
        {X509_CODE_SIGNING, NID_code_sign},   {X509_EMAIL_PROTECTION, NID_email_protect},
        {X509_TIME_STAMPING, NID_time_stamp}, {X509_OCSP_SIGNING, NID_OCSP_sign},
    };
    if (t->extended_usage == 0)
        return LETHE_OK;
    CLEANUP(EXTENDED_KEY_USAGE_free) EXTENDED_KEY_USAGE *list = EXTENDED_KEY_USAGE_new();
    for (size_t i = 0; list != NULL && i < ARRAY_LEN(usages); i++)
        if ((t->extended_usage & usages[i].bit) != 0 &&
            sk_ASN1_OBJECT_push(list, OBJ_nid2obj(usages[i].nid)) == 0)
            return openssl_failed(err, LETHE_NO_MEMORY, "adding an extended usage");
    return add(certificate, NID_ext_key_usage, list, false, err);
}

static lethe_result add_alternative_names(X509 *certificate, const struct x509_template *t,
                                          struct lethe_error *err)
{
    CLEANUP(GENERAL_NAMES_free) GENERAL_NAMES *names = NULL;
    TRY(x509_make_alternatives(&t->subject, &names, err));
    bool nameless = X509_NAME_entry_count(X509_get_subject_name(certificate)) == 0;
    if (names == NULL && nameless)
        return error_set(err, LETHE_INVALID, "a certificate needs a common name or another name");
    /* RFC 5280, 4.2.1.6: critical where nothing else says who it is. */
    return names != NULL ? add(certificate, NID_subject_alt_name, names, nameless, err) : LETHE_OK;
}

static bool permit(NAME_CONSTRAINTS *constraints, const struct x509_subject *one_name)
{
    CLEANUP(GENERAL_NAMES_free) GENERAL_NAMES *names = NULL;
    GENERAL_SUBTREE *subtree = GENERAL_SUBTREE_new();
    if (subtree == NULL || x509_make_alternatives(one_name, &names, NULL) != LETHE_OK ||
        sk_GENERAL_SUBTREE_push(constraints->permittedSubtrees, subtree) == 0) {
        GENERAL_SUBTREE_free(subtree);
        return false;
    }
    GENERAL_NAME_free(subtree->base);
    subtree->base = sk_GENERAL_NAME_pop(names);
    return true;
}

static lethe_result add_name_constraints(X509 *certificate, const struct x509_template *t,
                                         struct lethe_error *err)
{
    if (t->permitted_dns.count == 0)
        return LETHE_OK;
    if (!t->is_ca)
        return error_set(err, LETHE_INVALID, "only an authority has permitted domains");
    CLEANUP(NAME_CONSTRAINTS_free) NAME_CONSTRAINTS *constraints = NAME_CONSTRAINTS_new();
    if (constraints != NULL)
        constraints->permittedSubtrees = sk_GENERAL_SUBTREE_new_null();
    if (constraints == NULL || constraints->permittedSubtrees == NULL)
        return openssl_failed(err, LETHE_NO_MEMORY, "adding permitted domains");
    for (size_t i = 0; i < t->permitted_dns.count; i++) {
        struct x509_subject one = {.dns_names = {.at = {t->permitted_dns.at[i]}, .count = 1}};
        if (!permit(constraints, &one))
            return openssl_failed(err, LETHE_INVALID, "a permitted domain");
    }
    return add(certificate, NID_name_constraints, constraints, true, err);
}

static lethe_result add_crl_url(X509 *certificate, const struct x509_template *t,
                                struct lethe_error *err)
{
    if (t->crl_url == NULL || t->crl_url[0] == '\0')
        return LETHE_OK;
    struct x509_subject one = {.uris = {.at = {t->crl_url}, .count = 1}};
    CLEANUP(GENERAL_NAMES_free) GENERAL_NAMES *names = NULL;
    TRY(x509_make_alternatives(&one, &names, err));
    CLEANUP(CRL_DIST_POINTS_free) CRL_DIST_POINTS *points = sk_DIST_POINT_new_null();
    DIST_POINT *point = DIST_POINT_new();
    if (points == NULL || point == NULL || sk_DIST_POINT_push(points, point) == 0) {
        DIST_POINT_free(point);
        return openssl_failed(err, LETHE_NO_MEMORY, "adding the address of the CRL");
    }
    point->distpoint = DIST_POINT_NAME_new();
    if (point->distpoint == NULL)
        return openssl_failed(err, LETHE_NO_MEMORY, "adding the address of the CRL");
    point->distpoint->type = 0; /* a full name, of the two that there may be */
    point->distpoint->name.fullname = MOVE(names);
    return add(certificate, NID_crl_distribution_points, points, false, err);
}

lethe_result x509_add_extensions(X509 *certificate, const struct x509_template *template_,
                                 struct lethe_error *err)
{
    static lethe_result (*const steps[])(X509 *, const struct x509_template *,
                                         struct lethe_error *) = {
        add_basic_constraints, add_key_usage,        add_extended_usage,
        add_alternative_names, add_name_constraints, add_crl_url,
    };
    openssl_begin();
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        TRY(steps[i](certificate, template_, err));
    return LETHE_OK;
}
