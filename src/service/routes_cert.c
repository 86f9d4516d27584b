/* auth/cert: a token for a certificate of the connection. */
#include "service/routes_cert.h"

#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "service/authority.h"
#include "service/identities.h"

/* ---- whom an entry lets in ------------------------------------------------------------------- */

static lethe_result all_crls(struct service *service, struct buffer *out, struct lethe_error *err)
{
    static const char *const mounts[] = {AUTHORITY_PKI, AUTHORITY_IDENTITIES};
    for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
        struct authority_view view;
        lethe_result result = authority_view(service->authority, mounts[i], &view, err);
        if (result == LETHE_NOT_FOUND)
            continue;
        TRY(result);
        buffer_append(out, view.crls, view.crls_bytes);
    }
    return buffer_result(out, err);
}

static bool take_der(struct cursor *list, const uint8_t **der, uint32_t *length)
{
    return cursor_le32(list, length) == LETHE_OK && cursor_bytes(list, *length, der) == LETHE_OK;
}

/* An entry may hold the very certificate that is to be shown, and nobody's who signs others. */
static lethe_result check_pinned(const struct cert_login *login, const struct buffer *roots,
                                 struct x509_summary *leaf, struct lethe_error *err)
{
    struct cursor shown = cursor_over(login->chain, login->chain_bytes);
    struct cursor pinned = cursor_over(roots->bytes, roots->size_bytes);
    const uint8_t *der, *other;
    uint32_t length, other_length;
    if (!take_der(&shown, &der, &length))
        return error_set(err, LETHE_DENIED, "no certificate");
    while (take_der(&pinned, &other, &other_length)) {
        if (length != other_length || memcmp(der, other, length) != 0)
            continue;
        TRY(x509_read(der, length, leaf, err));
        bool now = login->now_s >= leaf->not_before_s && login->now_s <= leaf->not_after_s;
        if (now && !leaf->is_ca)
            return LETHE_OK;
        x509_summary_clear(leaf);
    }
    return error_set(err, LETHE_DENIED, "the certificate is not believed");
}

static lethe_result check_against(const struct cert_login *login, const struct buffer *roots,
                                  struct x509_summary *leaf, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer crls = {0};
    TRY(all_crls(login->service, &crls, err));
    const struct x509_check check = {
        .chain = login->chain,
        .chain_bytes = login->chain_bytes,
        .roots = roots->bytes,
        .roots_bytes = roots->size_bytes,
        .crls = crls.bytes,
        .crls_bytes = crls.size_bytes,
        .now_s = login->now_s,
        .extended_usage = X509_CLIENT_AUTH,
    };
    lethe_result result = x509_check_chain(&check, leaf, err);
    return result == LETHE_DENIED ? check_pinned(login, roots, leaf, err) : result;
}

lethe_result cert_login_by_entry(struct cert_login *login, const char *name,
                                 struct lethe_error *err)
{
    struct cert_auth auth;
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    CLEANUP(buffer_clear) struct buffer roots = {0};
    CLEANUP(x509_summary_clear) struct x509_summary leaf = {0};
    TRY(cert_auth_get(login->service, name, &row, &auth, &roots, err));
    TRY(check_against(login, &roots, &leaf, err));
    if (!cert_auth_allows(&auth, &leaf.subject))
        return error_set(err, LETHE_DENIED, "the certificate has other names");
    cert_login_take_entry(login, name, &auth);
    cert_login_take_leaf(login, name, &leaf);
    return LETHE_OK;
}

static lethe_result try_entry(void *context, const char *name, struct lethe_error *err)
{
    struct cert_login *login = context;
    lethe_result result = cert_login_by_entry(login, name, err);
    if (result == LETHE_OK)
        return LETHE_CANCELLED; /* found: the others need not be asked */
    return result == LETHE_DENIED || result == LETHE_REVOKED || result == LETHE_MALFORMED ? LETHE_OK
                                                                                          : result;
}

/* The identity itself, where no entry says otherwise. */
static lethe_result by_identity(struct cert_login *login, const struct identity_entry *entry,
                                struct lethe_error *err)
{
    CLEANUP(x509_summary_clear) struct x509_summary leaf = {0};
    struct cursor shown = cursor_over(login->chain, login->chain_bytes);
    const uint8_t *der;
    uint32_t length;
    if (entry == NULL || !take_der(&shown, &der, &length))
        return error_set(err, LETHE_DENIED, "the certificate is nobody's");
    TRY(x509_read(der, length, &leaf, err));
    memcpy(login->entry.policies, entry->policies, sizeof entry->policies);
    login->entry.policy_count = entry->policy_count;
    strcpy(login->entry.display_name, "cert-identity");
    cert_login_take_leaf(login, "identity", &leaf);
    return LETHE_OK;
}

static lethe_result find(struct cert_login *login, const char *name, struct lethe_error *err)
{
    const struct identity_entry *identity = NULL;
    lethe_result proven =
        identities_prove(login->service->identities, login->chain, login->chain_bytes, login->now_s,
                         &identity, &login->reason, err);
    if (proven != LETHE_OK && proven != LETHE_DENIED)
        return proven; /* who was revoked gets in by no entry either */
    if (identity != NULL) {
        strcpy(login->entry.identity, identity->id.text);
        strcpy(login->entry.tenant, identity->id.tenant);
    }
    if (name[0] != '\0')
        return cert_login_by_entry(login, name, err);
    lethe_result found = cert_auth_list(login->service, try_entry, login, err);
    if (found == LETHE_CANCELLED)
        return LETHE_OK;
    TRY(found);
    return by_identity(login, identity, err);
}

/* ---- the call -------------------------------------------------------------------------------- */

enum { LOGIN_NAME };
static const struct field login_fields[] = {
    {"name", FIELD_TEXT, false, "of the entry; any, if none is given", NULL}, {0}};

/* One text for everything that is wrong, and the reason on record. */
static lethe_result refuse(struct call *call, const char *reason, struct lethe_error *err)
{
    const struct audit_event event = audit_auth_failure(
        "certificate", call_source(call), reason != NULL ? reason : "no entry for it", 1);
    call_record(call, &event);
    call_penalise(call);
    return error_set(err, LETHE_DENIED, "permission denied");
}

static bool is_refusal(lethe_result result)
{
    return result == LETHE_DENIED || result == LETHE_REVOKED || result == LETHE_MALFORMED ||
           result == LETHE_NOT_FOUND || result == LETHE_INVALID;
}

static lethe_result answer_token(struct call *call, struct cert_login *login,
                                 struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *token = NULL;
    TRY(tokens_create(login->service->tokens, &login->entry, &token, err));
    const char *who = login->entry.identity[0] != '\0' ? login->entry.identity : login->common_name;
    const struct audit_event event = audit_auth_success(who, "certificate", call_source(call));
    call_record(call, &event);
    tokens_write_auth(answer_auth(call), &login->entry, token, login->now_s);
    return LETHE_OK;
}

static lethe_result cert_login_call(struct call *call, struct lethe_error *err)
{
    char name[CERT_AUTH_NAME_MAX + 1];
    struct cert_login login = {.service = call_service(call), .now_s = call_now_s(call)};
    login.chain = call_chain(call, &login.chain_bytes);
    TRY(field_copy(call_field(call, LOGIN_NAME), "name", name, sizeof name, err));
    if (login.chain == NULL || login.chain_bytes == 0)
        return refuse(call, "no certificate", err);
    cert_login_begin(&login);
    lethe_result result = find(&login, name, err);
    if (is_refusal(result))
        return refuse(call, login.reason, err);
    TRY(result);
    return answer_token(call, &login, err);
}

const struct route routes_cert[] = {
    {CALL_POST, "auth/cert/login", ROUTE_OPEN, "cert_login", NULL, login_fields, cert_login_call,
     "A token for the certificate of the connection"},
    {CALL_POST, "auth/cert/certs/:name", ROUTE_ADMIN, "cert_auth_write", cert_auth_exists,
     cert_auth_fields, cert_auth_write, "Whose certificates get which tokens"},
    {CALL_GET, "auth/cert/certs/:name", 0, "cert_auth_read", NULL, NULL, cert_auth_read,
     "An entry"},
    {CALL_DELETE, "auth/cert/certs/:name", ROUTE_ADMIN, "cert_auth_delete", NULL, NULL,
     cert_auth_remove, "Removes an entry"},
    {CALL_LIST, "auth/cert/certs", 0, "cert_auth_list", NULL, NULL, cert_auth_names,
     "Names of all entries"},
    {0}};
