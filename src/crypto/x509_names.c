/* Names that we put into certificates and requests: the subject, and what else it is called. */
#include <string.h>

#include <openssl/err.h>

#include "crypto/x509_openssl.h"

#define COUNTRY_LENGTH 2u

static lethe_result add_part(X509_NAME *name, int nid, const char *text, struct lethe_error *err)
{
    if (X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, (const uint8_t *)text, -1, -1, 0) == 1)
        return LETHE_OK;
    return openssl_failed(err, LETHE_INVALID, "a name that no certificate can have");
}

static bool is_plain(const char *text)
{
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == '\x7f')
            return false;
    return true;
}

static lethe_result check_text(const char *text, struct lethe_error *err)
{
    if (text[0] == '\0' || strlen(text) > X509_TEXT_MAX || !is_plain(text))
        return error_set(err, LETHE_INVALID,
                         "a name in a certificate has 1 to %u bytes and no control characters",
                         X509_TEXT_MAX);
    return LETHE_OK;
}

static lethe_result add_parts(X509_NAME *name, int nid, const struct x509_list *list,
                              struct lethe_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        TRY(check_text(list->at[i], err));
        if (nid == NID_countryName && strlen(list->at[i]) != COUNTRY_LENGTH)
            return error_set(err, LETHE_INVALID, "a country has two letters (ISO 3166)");
        TRY(add_part(name, nid, list->at[i], err));
    }
    return LETHE_OK;
}

lethe_result x509_make_name(const struct x509_subject *subject, X509_NAME **out,
                            struct lethe_error *err)
{
    *out = NULL;
    openssl_begin();
    CLEANUP(X509_NAME_free) X509_NAME *name = X509_NAME_new();
    if (name == NULL)
        return openssl_failed(err, LETHE_NO_MEMORY, "making a name");
    const struct {
        int nid;
        const struct x509_list *list;
    } parts[] = {
        {NID_countryName, &subject->countries},
        {NID_stateOrProvinceName, &subject->provinces},
        {NID_localityName, &subject->localities},
        {NID_organizationName, &subject->organizations},
        {NID_organizationalUnitName, &subject->units},
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        TRY(add_parts(name, parts[i].nid, parts[i].list, err));
    if (subject->common_name != NULL && subject->common_name[0] != '\0') {
        TRY(check_text(subject->common_name, err));
        TRY(add_part(name, NID_commonName, subject->common_name, err));
    }
    *out = MOVE(name);
    return LETHE_OK;
}

/* ---- alternative names ----------------------------------------------------------------------- */

static bool is_ascii(const char *text)
{
    for (const char *at = text; *at != '\0'; at++)
        if (*at <= ' ' || *at >= '\x7f')
            return false;
    return true;
}

static GENERAL_NAME *text_name(int type, const char *text)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *string = ASN1_IA5STRING_new();
    if (name == NULL || string == NULL || ASN1_STRING_set(string, text, -1) != 1) {
        GENERAL_NAME_free(name);
        ASN1_IA5STRING_free(string);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, type, string);
    return name;
}

static GENERAL_NAME *address_name(int type, const char *text)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(text);
    if (name == NULL || address == NULL) {
        GENERAL_NAME_free(name);
        ASN1_OCTET_STRING_free(address);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, type, address);
    return name;
}

struct alternative {
    int type;
    const char *what;
    GENERAL_NAME *(*make)(int type, const char *text);
    const struct x509_list *list;
};

static lethe_result add_alternatives(GENERAL_NAMES *names, const struct alternative *kind,
                                     struct lethe_error *err)
{
    for (size_t i = 0; i < kind->list->count; i++) {
        TRY(check_text(kind->list->at[i], err));
        if (!is_ascii(kind->list->at[i]))
            return error_set(err, LETHE_INVALID, "%s: only printable ASCII without spaces",
                             kind->what);
        openssl_begin();
        GENERAL_NAME *name = kind->make(kind->type, kind->list->at[i]);
        if (name == NULL)
            return openssl_failed(err, LETHE_INVALID, kind->what);
        if (sk_GENERAL_NAME_push(names, name) == 0) {
            GENERAL_NAME_free(name);
            return openssl_failed(err, LETHE_NO_MEMORY, "making alternative names");
        }
    }
    return LETHE_OK;
}

lethe_result x509_make_alternatives(const struct x509_subject *subject, GENERAL_NAMES **out,
                                    struct lethe_error *err)
{
    const struct alternative kinds[] = {
        {GEN_DNS, "a DNS name", text_name, &subject->dns_names},
        {GEN_IPADD, "an IP address", address_name, &subject->ip_addresses},
        {GEN_URI, "a URI", text_name, &subject->uris},
        {GEN_EMAIL, "an e-mail address", text_name, &subject->emails},
    };
    *out = NULL;
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        count += kinds[i].list->count;
    if (count == 0)
        return LETHE_OK;
    if (count > X509_NAMES_MAX)
        return error_set(err, LETHE_INVALID, "%zu alternative names; at most %u", count,
                         X509_NAMES_MAX);
    CLEANUP(GENERAL_NAMES_free) GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    if (names == NULL)
        return openssl_failed(err, LETHE_NO_MEMORY, "making alternative names");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        TRY(add_alternatives(names, &kinds[i], err));
    *out = MOVE(names);
    return LETHE_OK;
}
