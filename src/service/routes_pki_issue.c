/* Certificates by a role: for a key made here, or for the caller's. */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "service/routes_pki.h"

enum { SIGN_CSR = PKI_COMMON };
const struct field pki_issue_fields[] = {PKI_COMMON_FIELDS, {0}};
const struct field pki_sign_fields[] = {
    PKI_COMMON_FIELDS, {"csr", FIELD_TEXT, true, "the request, PEM", NULL}, {0}};

/* What one call needs of what it asks for and what it may have. */
struct issuing {
    struct pki_words words;
    struct lethe_secret *row; /* the role borrows of it */
    struct authority_role role;
    struct pki_form_asked form;
    struct authority_view view;
    struct x509_template template_;
    bool capped;
};
static void issuing_clear_at_scope_end(struct issuing *i)
{
    pki_words_clear(&i->words);
    lethe_secret_free(i->row);
}

static lethe_result begin(struct call *call, struct issuing *i, struct lethe_error *err)
{
    const char *name = call_capture(call, "role");
    TRY(pki_require(call, &i->view, err));
    lethe_result result =
        authority_role_get(call_service(call)->authority, name, &i->row, &i->role, err);
    if (result == LETHE_NOT_FOUND)
        return error_set(err, LETHE_INVALID, "unknown role: %s", name);
    TRY(result);
    TRY(pki_read_form(call, &i->form, err));
    return pki_read_subject(call, &i->words, &i->template_.subject, err);
}

static lethe_result fill_in(struct call *call, struct issuing *i, struct lethe_error *err)
{
    struct x509_template *t = &i->template_;
    const struct x509_list *lists = i->role.lists;
    uint64_t ttl_s, now_s = call_now_s(call);
    TRY(authority_role_allows(&i->role, &t->subject, err));
    TRY(pki_read_ttl(call, &ttl_s, err));
    t->subject.units = lists[ROLE_ou];
    t->subject.organizations = lists[ROLE_organization];
    t->subject.countries = lists[ROLE_country];
    t->subject.localities = lists[ROLE_locality];
    t->subject.provinces = lists[ROLE_province];
    t->not_before_s = now_s - MIN(now_s, i->role.not_before_s);
    t->not_after_s = now_s + authority_role_ttl(&i->role, ttl_s, &i->capped);
    t->max_path_length = -1;
    t->key_usage = i->role.key_usage;
    t->extended_usage = authority_role_usage(&i->role);
    return LETHE_OK;
}

static lethe_result issue(struct call *call, struct issuing *i, const struct sign_public *key,
                          struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer der = {0};
    TRY(fill_in(call, i, err));
    bool outlives = i->template_.not_after_s > i->view.not_after_s;
    const struct authority_request request = {
        .mount = AUTHORITY_PKI,
        .role = call_capture(call, "role"),
        .template_ = &i->template_,
        .key = key,
        .no_store = i->role.flags[ROLE_no_store],
    };
    TRY(authority_issue(call_service(call)->authority, &request, &der, err));
    TRY(pki_answer(call, &i->form, &der, NULL, err));
    if (i->capped)
        answer_warning(call, "ttl is more than the role gives: it is as long as that");
    if (outlives)
        answer_warning(call, "ttl is more than the authority has left: it ends with that");
    return LETHE_OK;
}

lethe_result pki_issue(struct call *call, struct lethe_error *err)
{
    CLEANUP(issuing_clear) struct issuing i = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    CLEANUP(sign_pair_free) struct sign_pair *pair = NULL;
    TRY(begin(call, &i, err));
    TRY(sign_generate(i.role.kind, &secret, err));
    TRY(sign_pair_create(i.role.kind, secret, &pair, err));
    i.form.pair = pair;
    return issue(call, &i, sign_pair_public(pair), err);
}

static lethe_result check_key(const struct authority_role *role, const struct x509_summary *asked,
                              struct lethe_error *err)
{
    if (asked->key == NULL)
        return error_set(err, LETHE_INVALID,
                         "csr: keys of this kind (RSA) are not signed; use EC or Ed25519");
    if (!role->any_key && sign_public_kind(asked->key) != role->kind)
        return error_set(err, LETHE_INVALID, "csr: the role is for %s keys",
                         signature_kind_name(role->kind));
    return LETHE_OK;
}

/* Where the role takes names from the request, what the call says beside it counts for nothing. */
static lethe_result take_names(struct call *call, struct issuing *i,
                               const struct x509_subject *asked, struct lethe_error *err)
{
    struct x509_subject *subject = &i->template_.subject;
    if (i->role.flags[ROLE_use_csr_sans]) {
        const char *common_name = subject->common_name;
        *subject = (struct x509_subject){
            .common_name = common_name,
            .dns_names = asked->dns_names,
            .ip_addresses = asked->ip_addresses,
            .uris = asked->uris,
            .emails = asked->emails,
        };
    }
    if (i->role.flags[ROLE_use_csr_common_name] && asked->common_name != NULL)
        subject->common_name = asked->common_name;
    return pki_repeat_common_name(call, subject, err);
}

lethe_result pki_sign(struct call *call, struct lethe_error *err)
{
    CLEANUP(issuing_clear) struct issuing i = {0};
    CLEANUP(buffer_clear) struct buffer request = {0};
    CLEANUP(x509_summary_clear) struct x509_summary asked = {0};
    TRY(begin(call, &i, err));
    TRY(pki_read_pem(X509_PEM_REQUEST, call_field(call, SIGN_CSR), "csr", &request, err));
    TRY(x509_read_request(request.bytes, request.size_bytes, &asked, err));
    TRY(check_key(&i.role, &asked, err));
    TRY(take_names(call, &i, &asked.subject, err));
    return issue(call, &i, asked.key, err);
}

/* ---- revoking -------------------------------------------------------------------------------- */

#define NS_PER_S UINT64_C(1000000000)

enum { REVOKE_SERIAL, REVOKE_CERTIFICATE };
const struct field pki_revoke_fields[] = {
    {"serial_number", FIELD_TEXT, false, "of the certificate", NULL},
    {"certificate", FIELD_TEXT, false, "or the certificate itself, PEM", NULL},
    {0}};

struct serial {
    uint8_t bytes[X509_SERIAL_BYTES];
    size_t size_bytes;
};

static lethe_result serial_of_certificate(const struct field_value *pem, struct serial *out,
                                          struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer der = {0};
    CLEANUP(x509_summary_clear) struct x509_summary s = {0};
    TRY(pki_read_pem(X509_PEM_CERTIFICATE, pem, "certificate", &der, err));
    TRY(x509_read(der.bytes, der.size_bytes, &s, err));
    memcpy(out->bytes, s.serial, s.serial_bytes);
    out->size_bytes = s.serial_bytes;
    return LETHE_OK;
}

static lethe_result read_serial(struct call *call, struct serial *out, struct lethe_error *err)
{
    const struct field_value *number = call_field(call, REVOKE_SERIAL);
    const struct field_value *certificate = call_field(call, REVOKE_CERTIFICATE);
    char text[X509_SERIAL_TEXT_SIZE + 1];
    if (number->given == certificate->given)
        return error_set(err, LETHE_INVALID, "serial_number or certificate, one of them");
    if (certificate->given)
        return serial_of_certificate(certificate, out, err);
    TRY(field_copy(number, "serial_number", text, sizeof text, err));
    if (x509_serial_parse(text, out->bytes, &out->size_bytes) != LETHE_OK)
        return error_set(err, LETHE_INVALID, "serial_number: expected hex pairs, as 0a:1b:2c");
    return LETHE_OK;
}

lethe_result pki_revoke(struct call *call, struct lethe_error *err)
{
    struct serial serial;
    struct authority_view view;
    uint64_t revoked_s;
    char when[TIME_TEXT_SIZE];
    TRY(pki_require(call, &view, err));
    TRY(read_serial(call, &serial, err));
    lethe_result result = authority_revoke(call_service(call)->authority, AUTHORITY_PKI,
                                           serial.bytes, serial.size_bytes, &revoked_s, err);
    if (result == LETHE_NOT_FOUND)
        return error_set(err, LETHE_INVALID, "no certificate with this serial number was issued");
    TRY(result);
    time_text_s(revoked_s * NS_PER_S, when);
    struct json_writer *writer = answer_data(call);
    json_put_integer(writer, "revocation_time", (int64_t)revoked_s);
    json_put_text(writer, "revocation_time_rfc3339", when);
    json_put_text(writer, "state", "revoked");
    return LETHE_OK;
}
