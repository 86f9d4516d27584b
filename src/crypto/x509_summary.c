/* The texts of certificates and requests: what they call somebody. */
#include <arpa/inet.h>
#include <string.h>

#include <openssl/err.h>

#include "crypto/x509_openssl.h"

#define IPV4_BYTES 4
#define IPV6_BYTES 16

void x509_summary_clear(struct x509_summary *summary)
{
    buffer_clear(&summary->storage);
    sign_public_free(summary->key);
    *summary = (struct x509_summary){0};
}

/* Nothing moves: x509_read_names() made room for everything that there can be. */
static lethe_result keep(struct x509_summary *out, const void *text, size_t length,
                         const char **kept, struct lethe_error *err)
{
    const uint8_t *bytes = text;
    if (length > X509_TEXT_MAX)
        return error_set(err, LETHE_MALFORMED, "a name of %zu bytes; at most %u", length,
                         X509_TEXT_MAX);
    for (size_t i = 0; i < length; i++)
        if (bytes[i] < ' ' || bytes[i] == 0x7f)
            return error_set(err, LETHE_MALFORMED, "a name with a control character in it");
    REQUIRE(out->storage.size_bytes + length + 1 <= out->storage.capacity_bytes);
    *kept = out->storage.bytes + out->storage.size_bytes;
    buffer_append(&out->storage, text, length);
    buffer_byte(&out->storage, '\0');
    return buffer_result(&out->storage, err);
}

static lethe_result add_to(struct x509_summary *out, struct x509_list *list, const void *text,
                           size_t length, struct lethe_error *err)
{
    if (list->count == X509_NAMES_MAX)
        return error_set(err, LETHE_MALFORMED, "more than %u names of one kind", X509_NAMES_MAX);
    TRY(keep(out, text, length, &list->at[list->count], err));
    list->count++;
    return LETHE_OK;
}

static lethe_result read_common_name(struct x509_summary *out, const void *text, size_t length,
                                     struct lethe_error *err)
{
    if (out->subject.common_name != NULL)
        return error_set(err, LETHE_MALFORMED, "two common names: it would not be known which");
    return keep(out, text, length, &out->subject.common_name, err);
}

/* One part of the subject; kinds that nobody asks about are passed over. */
static lethe_result read_part(const X509_NAME_ENTRY *entry, struct x509_summary *out,
                              struct lethe_error *err)
{
    struct x509_subject *subject = &out->subject;
    struct {
        int nid;
        struct x509_list *list;
    } parts[] = {
        {NID_commonName, NULL},
        {NID_countryName, &subject->countries},
        {NID_stateOrProvinceName, &subject->provinces},
        {NID_localityName, &subject->localities},
        {NID_organizationName, &subject->organizations},
        {NID_organizationalUnitName, &subject->units},
    };
    int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
    size_t i = 0;
    while (i < ARRAY_LEN(parts) && parts[i].nid != nid)
        i++;
    if (i == ARRAY_LEN(parts))
        return LETHE_OK;
    uint8_t *text = NULL;
    int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
    if (length < 0)
        return openssl_failed(err, LETHE_MALFORMED, "a name that is no text");
    lethe_result result = nid == NID_commonName
                              ? read_common_name(out, text, (size_t)length, err)
                              : add_to(out, parts[i].list, text, (size_t)length, err);
    OPENSSL_free(text);
    return result;
}

static lethe_result read_address(const ASN1_STRING *address, struct x509_summary *out,
                                 struct lethe_error *err)
{
    char text[INET6_ADDRSTRLEN];
    int length = ASN1_STRING_length(address);
    if (length != IPV4_BYTES && length != IPV6_BYTES)
        return error_set(err, LETHE_MALFORMED, "an IP address of %d bytes", length);
    int family = length == IPV4_BYTES ? AF_INET : AF_INET6;
    REQUIRE(inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof text) != NULL);
    return add_to(out, &out->subject.ip_addresses, text, strlen(text), err);
}

static lethe_result read_alternative(const GENERAL_NAME *name, struct x509_summary *out,
                                     struct lethe_error *err)
{
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    struct x509_subject *subject = &out->subject;
    if (type == GEN_IPADD)
        return read_address(value, out, err);
    struct x509_list *list = type == GEN_DNS     ? &subject->dns_names
                             : type == GEN_URI   ? &subject->uris
                             : type == GEN_EMAIL ? &subject->emails
                                                 : NULL;
    if (list == NULL)
        return LETHE_OK;
    return add_to(out, list, ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value), err);
}

/* UTF-8 takes at most twice the bytes that a text of ASN.1 takes, an address as text less than four
 * times; and each has two bytes of ASN.1 in front, which pay for the NUL. */
static lethe_result make_room(struct x509_summary *out, size_t der_bytes, struct lethe_error *err)
{
    (void)buffer_extend(&out->storage, 4 * der_bytes + 1);
    TRY(buffer_result(&out->storage, err));
    buffer_truncate(&out->storage, 0);
    return LETHE_OK;
}

lethe_result x509_read_names(const X509_NAME *subject, const GENERAL_NAMES *names, size_t der_bytes,
                             struct x509_summary *out, struct lethe_error *err)
{
    TRY(make_room(out, der_bytes, err));
    for (int i = 0; i < X509_NAME_entry_count(subject); i++)
        TRY(read_part(X509_NAME_get_entry(subject, i), out, err));
    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++)
        TRY(read_alternative(sk_GENERAL_NAME_value(names, i), out, err));
    return LETHE_OK;
}
