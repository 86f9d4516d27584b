/* What anyone may read of the PKI, and its settings. */
#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "base/text.h"
#include "service/routes_pki.h"

#define PEM_CHAIN_TYPE "application/pem-certificate-chain"

/* ---- authority and CRL ----------------------------------------------------------------------- */

struct raw {
    const char *content_type;
    enum x509_pem kind;
    bool pem;
    size_t most; /* of the list */
};

static lethe_result answer_list(struct call *call, const uint8_t *list, size_t list_bytes,
                                const struct raw *raw)
{
    struct cursor cursor = cursor_over(list, list_bytes);
    CLEANUP(buffer_clear) struct buffer text = {0};
    const uint8_t *der;
    uint32_t length;
    for (size_t i = 0; i < raw->most && cursor_le32(&cursor, &length) == LETHE_OK &&
                       cursor_bytes(&cursor, length, &der) == LETHE_OK;
         i++)
        if (raw->pem)
            x509_pem_append(raw->kind, der, length, &text);
        else
            buffer_append(&text, der, length);
    TRY(buffer_result(&text, NULL));
    guarded_append(answer_raw(call, raw->content_type), text.bytes, text.size_bytes);
    return LETHE_OK;
}

/* 204 while there is no authority. */
static lethe_result answer_public(struct call *call, bool is_crl, const struct raw *raw,
                                  struct lethe_error *err)
{
    struct authority_view view;
    lethe_result result = authority_view(call_service(call)->authority, AUTHORITY_PKI, &view, err);
    if (result == LETHE_NOT_FOUND) {
        answer_nothing(call);
        return LETHE_OK;
    }
    TRY(result);
    return is_crl ? answer_list(call, view.crls, view.crls_bytes, raw)
                  : answer_list(call, view.chain, view.chain_bytes, raw);
}

lethe_result pki_ca(struct call *call, struct lethe_error *err)
{
    static const struct raw raw = {"application/pkix-cert", X509_PEM_CERTIFICATE, false, 1};
    return answer_public(call, false, &raw, err);
}

lethe_result pki_ca_pem(struct call *call, struct lethe_error *err)
{
    static const struct raw raw = {PEM_CHAIN_TYPE, X509_PEM_CERTIFICATE, true, 1};
    return answer_public(call, false, &raw, err);
}

lethe_result pki_ca_chain(struct call *call, struct lethe_error *err)
{
    static const struct raw raw = {PEM_CHAIN_TYPE, X509_PEM_CERTIFICATE, true, X509_CHAIN_MAX};
    return answer_public(call, false, &raw, err);
}

lethe_result pki_crl(struct call *call, struct lethe_error *err)
{
    static const struct raw raw = {"application/pkix-crl", X509_PEM_CRL, false, 1};
    return answer_public(call, true, &raw, err);
}

lethe_result pki_crl_pem(struct call *call, struct lethe_error *err)
{
    static const struct raw raw = {"application/x-pem-file", X509_PEM_CRL, true, 1};
    return answer_public(call, true, &raw, err);
}

/* ---- certificates ---------------------------------------------------------------------------- */

static void put_issued(struct call *call, const struct authority_issued *issued)
{
    struct json_writer *writer = answer_data(call);
    pki_put_pem(writer, "certificate", X509_PEM_CERTIFICATE, issued->der.bytes,
                issued->der.size_bytes);
    json_put_integer(writer, "revocation_time", (int64_t)issued->revoked_s);
}

static lethe_result own_certificate(struct call *call, struct authority_issued *out,
                                    struct lethe_error *err)
{
    struct authority_view view;
    const uint8_t *der;
    uint32_t length;
    TRY(authority_view(call_service(call)->authority, AUTHORITY_PKI, &view, err));
    struct cursor chain = cursor_over(view.chain, view.chain_bytes);
    TRY(cursor_le32(&chain, &length));
    TRY(cursor_bytes(&chain, length, &der));
    buffer_append(&out->der, der, length);
    return buffer_result(&out->der, err);
}

lethe_result pki_certificate(struct call *call, struct lethe_error *err)
{
    const char *name = call_capture(call, "serial");
    uint8_t serial[X509_SERIAL_BYTES];
    size_t serial_bytes;
    struct authority_issued issued = {0};
    lethe_result result = LETHE_NOT_FOUND;
    if (strcmp(name, "ca") == 0)
        result = own_certificate(call, &issued, err);
    else if (x509_serial_parse(name, serial, &serial_bytes) == LETHE_OK)
        result = authority_find(call_service(call)->authority, AUTHORITY_PKI, serial, serial_bytes,
                                &issued, err);
    if (result == LETHE_OK)
        put_issued(call, &issued);
    buffer_clear(&issued.der);
    return result == LETHE_NOT_FOUND ? answer_missing(call) : result;
}

struct listing {
    struct call *call;
    struct json_writer *writer;
};

static void list_serial(void *context, const char *name)
{
    struct listing *l = context;
    uint8_t serial[X509_SERIAL_BYTES];
    char text[X509_SERIAL_TEXT_SIZE];
    size_t serial_bytes = strlen(name) / 2;
    if (serial_bytes > sizeof serial ||
        hex_decode(name, strlen(name), serial, serial_bytes) != LETHE_OK)
        return;
    if (l->writer == NULL) {
        l->writer = answer_data(l->call);
        json_begin_array(l->writer, "keys");
    }
    x509_serial_text(serial, serial_bytes, text);
    json_put_text(l->writer, NULL, text);
}

lethe_result pki_certificates(struct call *call, struct lethe_error *err)
{
    struct listing l = {.call = call};
    TRY(authority_list(call_service(call)->authority, AUTHORITY_PKI, "certs/", list_serial, &l,
                       err));
    if (l.writer == NULL)
        return answer_missing(call);
    json_end_array(l.writer);
    return LETHE_OK;
}

/* ---- the CRL's settings ---------------------------------------------------------------------- */

#define CRL_LEAST_S 3600
#define CRL_MOST_S 31536000

lethe_result pki_crl_rotate(struct call *call, struct lethe_error *err)
{
    struct authority_view view;
    TRY(pki_require(call, &view, err));
    TRY(authority_rotate_crl(call_service(call)->authority, AUTHORITY_PKI, err));
    json_put_boolean(answer_data(call), "success", true);
    return LETHE_OK;
}

lethe_result pki_crl_read(struct call *call, struct lethe_error *err)
{
    const struct authority_settings *settings =
        authority_settings(call_service(call)->authority, AUTHORITY_PKI);
    char expiry[32];
    snprintf(expiry, sizeof expiry, "%llus", (unsigned long long)settings->crl_ttl_s);
    struct json_writer *writer = answer_data(call);
    json_put_text(writer, "expiry", expiry);
    json_put_boolean(writer, "disable", false);
    return LETHE_OK;
}

enum { CRL_EXPIRY, CRL_DISABLE };
const struct field pki_crl_fields[] = {
    {"expiry", FIELD_DURATION, false, "how long a CRL is in force: an hour to a year", NULL},
    {"disable", FIELD_BOOLEAN, false, "not offered: what is revoked stays revoked", NULL},
    {0}};

lethe_result pki_crl_write(struct call *call, struct lethe_error *err)
{
    struct authority *authority = call_service(call)->authority;
    struct authority_settings settings = *authority_settings(authority, AUTHORITY_PKI);
    const struct field_value *expiry = call_field(call, CRL_EXPIRY);
    if (call_field(call, CRL_DISABLE)->boolean)
        return error_set(err, LETHE_INVALID, "disable: a PKI without a CRL is not offered");
    if (expiry->given && (expiry->integer < CRL_LEAST_S || expiry->integer > CRL_MOST_S))
        return error_set(err, LETHE_INVALID, "expiry: an hour to a year");
    if (expiry->given)
        settings.crl_ttl_s = (uint64_t)expiry->integer;
    TRY(authority_set(authority, AUTHORITY_PKI, &settings, err));
    answer_nothing(call);
    return LETHE_OK;
}

/* ---- addresses ------------------------------------------------------------------------------- */

enum { URLS_ISSUING, URLS_CRL };
const struct field pki_url_fields[] = {
    {"issuing_certificates", FIELD_LIST, false, "where the authority's certificate is; one", NULL},
    {"crl_distribution_points", FIELD_LIST, false, "where the CRL is; one", NULL},
    {0}};

static lethe_result read_url(struct call *call, size_t field, char out[AUTHORITY_URL_MAX + 1],
                             struct lethe_error *err)
{
    struct x509_list urls = {0};
    CLEANUP(pki_words_clear) struct pki_words words = {0};
    const char *name = pki_url_fields[field].name;
    if (!call_field(call, field)->given)
        return LETHE_OK;
    TRY(pki_list(&words, call_field(call, field), name, &urls, err));
    if (urls.count > 1 || (urls.count == 1 && strlen(urls.at[0]) > AUTHORITY_URL_MAX))
        return error_set(err, LETHE_INVALID, "%s: one address of at most %u bytes", name,
                         AUTHORITY_URL_MAX);
    strcpy(out, urls.count == 1 ? urls.at[0] : "");
    return LETHE_OK;
}

lethe_result pki_url_write(struct call *call, struct lethe_error *err)
{
    struct authority *authority = call_service(call)->authority;
    struct authority_settings settings = *authority_settings(authority, AUTHORITY_PKI);
    TRY(read_url(call, URLS_ISSUING, settings.issuing_url, err));
    TRY(read_url(call, URLS_CRL, settings.crl_url, err));
    TRY(authority_set(authority, AUTHORITY_PKI, &settings, err));
    answer_nothing(call);
    return LETHE_OK;
}

static void put_url(struct json_writer *writer, const char *name, const char *url)
{
    json_begin_array(writer, name);
    if (url[0] != '\0')
        json_put_text(writer, NULL, url);
    json_end_array(writer);
}

lethe_result pki_url_read(struct call *call, struct lethe_error *err)
{
    const struct authority_settings *settings =
        authority_settings(call_service(call)->authority, AUTHORITY_PKI);
    struct json_writer *writer = answer_data(call);
    put_url(writer, "issuing_certificates", settings->issuing_url);
    put_url(writer, "crl_distribution_points", settings->crl_url);
    put_url(writer, "ocsp_servers", "");
    return LETHE_OK;
}

/* ---- tidying --------------------------------------------------------------------------------- */

#define TIDY_BUFFER_S 259200
#define TIDY_MOST 10000u

enum { TIDY_STORE, TIDY_REVOKED, TIDY_BUFFER };
const struct field pki_tidy_fields[] = {
    {"tidy_cert_store", FIELD_BOOLEAN, false, "certificates go", NULL},
    {"tidy_revoked_certs", FIELD_BOOLEAN, false, "those that were revoked, too", NULL},
    {"safety_buffer", FIELD_DURATION, false, "how long after their end; 72h", NULL},
    {0}};

lethe_result pki_tidy(struct call *call, struct lethe_error *err)
{
    const struct field_value *buffer = call_field(call, TIDY_BUFFER);
    size_t removed = 0;
    if (buffer->given && buffer->integer < 0)
        return error_set(err, LETHE_INVALID, "safety_buffer: not below 0");
    uint64_t buffer_s = buffer->given ? (uint64_t)buffer->integer : TIDY_BUFFER_S;
    if (call_field(call, TIDY_STORE)->boolean || call_field(call, TIDY_REVOKED)->boolean)
        TRY(authority_tidy(call_service(call)->authority, AUTHORITY_PKI, buffer_s, TIDY_MOST,
                           &removed, err));
    json_put_integer(answer_data(call), "removed", (int64_t)removed);
    return LETHE_OK;
}
