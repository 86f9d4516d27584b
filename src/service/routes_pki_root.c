/* Authorities: roots, intermediates, and what is said of them. */
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "crypto/hash.h"
#include "service/routes_pki.h"

enum {
    ROOT_KEY_TYPE = PKI_COMMON,
    ROOT_KEY_BITS,
    ROOT_MAX_PATH,
    ROOT_PERMITTED,
    ROOT_NOT_BEFORE,
    ROOT_UNITS,
    ROOT_ORGANIZATIONS,
    ROOT_COUNTRIES,
    ROOT_LOCALITIES,
    ROOT_PROVINCES,
    ROOT_ISSUER_NAME,
    ROOT_KEY_NAME,
    ROOT_CSR,
    ROOT_CSR_VALUES,
};
#define ROOT_FIELDS                                                                                \
    PKI_COMMON_FIELDS, {"key_type", FIELD_TEXT, false, "ec (if none is given) or ed25519", NULL},  \
        {"key_bits", FIELD_INTEGER, false, "of ec: 256 or 384", NULL},                             \
        {"max_path_length", FIELD_INTEGER, false, "authorities below; -1: any number", NULL},      \
        {"permitted_dns_domains", FIELD_LIST, false, "domains that it may sign for", NULL},        \
        {"not_before_duration", FIELD_DURATION, false, "how far back it begins", NULL},            \
        {"ou", FIELD_LIST, false, "of the subject", NULL},                                         \
        {"organization", FIELD_LIST, false, "of the subject", NULL},                               \
        {"country", FIELD_LIST, false, "of the subject", NULL},                                    \
        {"locality", FIELD_LIST, false, "of the subject", NULL},                                   \
        {"province", FIELD_LIST, false, "of the subject", NULL},                                   \
        {"issuer_name", FIELD_TEXT, false, "told back", NULL},                                     \
    {                                                                                              \
        "key_name", FIELD_TEXT, false, "told back", NULL                                           \
    }
const struct field pki_root_fields[] = {ROOT_FIELDS, {0}};
const struct field pki_intermediate_fields[] = {ROOT_FIELDS, {0}};
const struct field pki_sign_intermediate_fields[] = {
    ROOT_FIELDS,
    {"csr", FIELD_TEXT, true, "the request, PEM", NULL},
    {"use_csr_values", FIELD_BOOLEAN, false, "the subject is as the request says", NULL},
    {0}};

static lethe_result read_name(struct call *call, struct pki_words *words, struct x509_subject *out,
                              struct lethe_error *err)
{
    const struct {
        size_t field;
        const char *name;
        struct x509_list *list;
    } parts[] = {
        {ROOT_UNITS, "ou", &out->units},
        {ROOT_ORGANIZATIONS, "organization", &out->organizations},
        {ROOT_COUNTRIES, "country", &out->countries},
        {ROOT_LOCALITIES, "locality", &out->localities},
        {ROOT_PROVINCES, "province", &out->provinces},
    };
    TRY(pki_read_subject(call, words, out, err));
    if (!call_field(call, PKI_ALT_NAMES)->given)
        out->dns_names.count = 0; /* an authority is no host */
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        TRY(pki_list(words, call_field(call, parts[i].field), parts[i].name, parts[i].list, err));
    return LETHE_OK;
}

static lethe_result require_name(const struct x509_subject *subject, struct lethe_error *err)
{
    if (subject->common_name != NULL && subject->common_name[0] != '\0')
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "common_name is missing");
}

#define TTL_MOST_S UINT64_C(3153600000)
#define BACKDATE_S 30u
#define BACKDATE_MOST_S 86400

static lethe_result read_validity(struct call *call, struct x509_template *t,
                                  struct lethe_error *err)
{
    const struct field_value *before = call_field(call, ROOT_NOT_BEFORE);
    uint64_t ttl_s;
    TRY(pki_read_ttl(call, &ttl_s, err));
    if (before->given && (before->integer < 0 || before->integer > BACKDATE_MOST_S))
        return error_set(err, LETHE_INVALID, "not_before_duration: at most a day");
    t->not_before_s = call_now_s(call) - (before->given ? (uint64_t)before->integer : BACKDATE_S);
    if (ttl_s > TTL_MOST_S)
        return error_set(err, LETHE_INVALID, "ttl: at most 100 years");
    t->not_after_s = call_now_s(call) + (ttl_s != 0 ? ttl_s : AUTHORITY_TTL_MAX_S);
    return LETHE_OK;
}

static lethe_result read_template(struct call *call, struct pki_words *words,
                                  struct x509_template *t, struct lethe_error *err)
{
    const struct field_value *path = call_field(call, ROOT_MAX_PATH);
    TRY(read_name(call, words, &t->subject, err));
    TRY(read_validity(call, t, err));
    TRY(pki_list(words, call_field(call, ROOT_PERMITTED), "permitted_dns_domains",
                 &t->permitted_dns, err));
    if (path->given && (path->integer < -1 || path->integer > (int64_t)X509_CHAIN_MAX))
        return error_set(err, LETHE_INVALID, "max_path_length: -1 to %u", X509_CHAIN_MAX);
    t->is_ca = true;
    t->max_path_length = path->given ? (int)path->integer : -1;
    return LETHE_OK;
}

static lethe_result read_kind(struct call *call, enum signature_kind *kind, struct lethe_error *err)
{
    bool any;
    TRY(pki_read_kind(call_field(call, ROOT_KEY_TYPE), call_field(call, ROOT_KEY_BITS), kind, &any,
                      err));
    return any ? error_set(err, LETHE_INVALID, "key_type: ec or ed25519") : LETHE_OK;
}

/* A name for whoever wants one: of the certificate or the key, in the form of a UUID. */
static void put_id(struct json_writer *writer, const char *name, const uint8_t *digest)
{
    char text[40];
    snprintf(text, sizeof text,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", digest[0],
             digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7], digest[8],
             digest[9], digest[10], digest[11], digest[12], digest[13], digest[14], digest[15]);
    json_put_text(writer, name, text);
}

static void put_key_id(struct json_writer *writer, const struct sign_public *key)
{
    uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES], digest[SHA256_BYTES];
    size_t raw_bytes;
    sign_public_raw(key, raw, &raw_bytes);
    sha256(raw, raw_bytes, digest);
    put_id(writer, "key_id", digest);
}

static lethe_result put_names(struct call *call, struct json_writer *writer,
                              struct pki_words *words, struct lethe_error *err)
{
    const char *issuer_name, *key_name;
    TRY(pki_word(words, call_field(call, ROOT_ISSUER_NAME), "issuer_name", &issuer_name, err));
    TRY(pki_word(words, call_field(call, ROOT_KEY_NAME), "key_name", &key_name, err));
    json_put_text(writer, "issuer_name", issuer_name);
    json_put_text(writer, "key_name", key_name);
    return LETHE_OK;
}

static lethe_result read_own(struct call *call, struct buffer *der, struct lethe_error *err)
{
    struct authority_view view;
    uint32_t length;
    TRY(pki_require(call, &view, err));
    memcpy(&length, view.chain, sizeof length);
    buffer_append(der, view.chain + sizeof length, le32toh(length));
    return buffer_result(der, err);
}

static lethe_result generate(struct call *call, bool exported, struct lethe_error *err)
{
    enum signature_kind kind;
    struct pki_form_asked form;
    struct x509_template t = {0};
    CLEANUP(pki_words_clear) struct pki_words words = {0};
    CLEANUP(sign_pair_free) struct sign_pair *pair = NULL;
    CLEANUP(buffer_clear) struct buffer der = {0};
    CLEANUP(x509_summary_clear) struct x509_summary s = {0};
    TRY(read_kind(call, &kind, err));
    TRY(pki_read_form(call, &form, err));
    TRY(read_template(call, &words, &t, err));
    TRY(require_name(&t.subject, err));
    TRY(authority_make_root_as(call_service(call)->authority, AUTHORITY_PKI, &t, kind,
                               exported ? &pair : NULL, err));
    TRY(read_own(call, &der, err));
    TRY(x509_read(der.bytes, der.size_bytes, &s, err));
    struct json_writer *writer;
    form.pair = pair;
    TRY(pki_answer(call, &form, &der, &writer, err));
    put_id(writer, "issuer_id", s.fingerprint);
    put_key_id(writer, s.key);
    return put_names(call, writer, &words, err);
}

lethe_result pki_generate_internal(struct call *call, struct lethe_error *err)
{
    return generate(call, false, err);
}

lethe_result pki_generate_exported(struct call *call, struct lethe_error *err)
{
    return generate(call, true, err);
}

/* Nothing to remove is as good as removed. */
lethe_result pki_delete_root(struct call *call, struct lethe_error *err)
{
    lethe_result result = authority_delete_root(call_service(call)->authority, AUTHORITY_PKI, err);
    if (result != LETHE_NOT_FOUND)
        TRY(result);
    answer_nothing(call);
    return LETHE_OK;
}

/* ---- intermediates --------------------------------------------------------------------------- */

lethe_result pki_intermediate(struct call *call, struct lethe_error *err)
{
    enum signature_kind kind;
    struct x509_subject subject = {0};
    CLEANUP(pki_words_clear) struct pki_words words = {0};
    CLEANUP(buffer_clear) struct buffer request = {0};
    CLEANUP(x509_summary_clear) struct x509_summary asked = {0};
    TRY(read_kind(call, &kind, err));
    TRY(read_name(call, &words, &subject, err));
    TRY(require_name(&subject, err));
    TRY(authority_make_intermediate(call_service(call)->authority, AUTHORITY_PKI, &subject, kind,
                                    &request, err));
    TRY(x509_read_request(request.bytes, request.size_bytes, &asked, err));
    struct json_writer *writer = answer_data(call);
    pki_put_pem(writer, "csr", X509_PEM_REQUEST, request.bytes, request.size_bytes);
    put_key_id(writer, asked.key);
    return LETHE_OK;
}

enum { SET_SIGNED_CERTIFICATE };
const struct field pki_set_signed_fields[] = {
    {"certificate", FIELD_TEXT, true, "what was signed, and all above it up to the root, PEM",
     NULL},
    {0}};

lethe_result pki_set_signed(struct call *call, struct lethe_error *err)
{
    const struct field_value *pem = call_field(call, SET_SIGNED_CERTIFICATE);
    CLEANUP(buffer_clear) struct buffer chain = {0}, der = {0};
    CLEANUP(x509_summary_clear) struct x509_summary s = {0};
    TRY(x509_pem_read(X509_PEM_CERTIFICATE, pem->text, pem->length, &chain, err));
    TRY(authority_set_signed(call_service(call)->authority, AUTHORITY_PKI, chain.bytes,
                             chain.size_bytes, err));
    TRY(read_own(call, &der, err));
    TRY(x509_read(der.bytes, der.size_bytes, &s, err));
    struct json_writer *writer = answer_data(call);
    json_begin_array(writer, "imported_issuers");
    put_id(writer, NULL, s.fingerprint);
    json_end_array(writer);
    return LETHE_OK;
}

lethe_result pki_sign_intermediate(struct call *call, struct lethe_error *err)
{
    struct pki_form_asked form;
    struct x509_template t = {0};
    struct authority_view view;
    CLEANUP(pki_words_clear) struct pki_words words = {0};
    CLEANUP(buffer_clear) struct buffer request = {0}, der = {0};
    CLEANUP(x509_summary_clear) struct x509_summary asked = {0};
    TRY(pki_require(call, &view, err));
    TRY(pki_read_form(call, &form, err));
    TRY(read_template(call, &words, &t, err));
    TRY(pki_read_pem(X509_PEM_REQUEST, call_field(call, ROOT_CSR), "csr", &request, err));
    TRY(x509_read_request(request.bytes, request.size_bytes, &asked, err));
    if (call_field(call, ROOT_CSR_VALUES)->boolean)
        t.subject = asked.subject; /* never some from here and some from there */
    TRY(require_name(&t.subject, err));
    if (asked.key == NULL)
        return error_set(err, LETHE_INVALID,
                         "csr: keys of this kind are not signed; use EC or "
                         "Ed25519");
    const struct authority_request signing = {
        .mount = AUTHORITY_PKI, .role = "sign-intermediate", .template_ = &t, .key = asked.key};
    TRY(authority_issue(call_service(call)->authority, &signing, &der, err));
    return pki_answer(call, &form, &der, NULL, err);
}
