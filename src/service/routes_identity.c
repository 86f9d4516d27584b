/* lethe/identities: who may come with a certificate. Keys of identities never leave their nodes:
 * what comes here are requests, and what goes back are certificates. */
#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "service/authority.h"
#include "service/identities.h"
#include "service/routes_pki.h"
#include "service/tokens.h"

#define REASON_MAX 256u

static struct identities *identities_of(struct call *call)
{
    return call_service(call)->identities;
}

static void put_entry(struct json_writer *writer, const struct identity_entry *entry)
{
    json_put_text(writer, "id", entry->id.text);
    json_put_text(writer, "tenant", entry->id.tenant);
    json_begin_array(writer, "policies");
    for (size_t i = 0; i < entry->policy_count; i++)
        json_put_text(writer, NULL, entry->policies[i]);
    json_end_array(writer);
    json_put_integer(writer, "certificate_ttl", (int64_t)entry->certificate_ttl_s);
    json_put_integer(writer, "creation_time", (int64_t)entry->created_s);
    json_put_integer(writer, "revocation_time", (int64_t)entry->revoked_s);
}

/* ---- who there is ---------------------------------------------------------------------------- */

enum { PUT_ID, PUT_POLICIES, PUT_TTL };
static const struct field put_fields[] = {
    {"id", FIELD_TEXT, true, "a SPIFFE id; spiffe:// may be left out", NULL},
    {"policies", FIELD_LIST, false, "of its calls", NULL},
    {"certificate_ttl", FIELD_DURATION, false, "how long its certificates are good; 24h", NULL},
    {0}};

static lethe_result read_policies(const struct field_value *value, struct identity_entry *entry,
                                  struct lethe_error *err)
{
    CLEANUP(pki_words_clear) struct pki_words words = {0};
    struct x509_list names = {0};
    TRY(pki_list(&words, value, "policies", &names, err));
    if (names.count > CALLER_POLICIES_MAX)
        return error_set(err, LETHE_INVALID, "policies: more than %u", CALLER_POLICIES_MAX);
    for (; entry->policy_count < names.count; entry->policy_count++) {
        const char *name = names.at[entry->policy_count];
        if (strlen(name) >= sizeof entry->policies[0])
            return error_set(err, LETHE_INVALID, "policies: a name of more than 64 characters");
        if (strcmp(name, "root") == 0)
            return error_set(err, LETHE_INVALID, "policies: root is for the first token only");
        strcpy(entry->policies[entry->policy_count], name);
    }
    return LETHE_OK;
}

static lethe_result identity_put(struct call *call, struct lethe_error *err)
{
    const struct field_value *id = call_field(call, PUT_ID);
    const struct field_value *ttl = call_field(call, PUT_TTL);
    struct identity_entry entry = {0};
    TRY(spiffe_read(id->text, id->length, &entry.id, err));
    TRY(read_policies(call_field(call, PUT_POLICIES), &entry, err));
    if (ttl->given && ttl->integer <= 0)
        return error_set(err, LETHE_INVALID, "certificate_ttl: more than 0");
    entry.certificate_ttl_s = ttl->given ? (uint64_t)ttl->integer : 0;
    TRY(identities_put(identities_of(call), &entry, err));
    put_entry(answer_data(call), identities_find(identities_of(call), entry.id.text));
    return LETHE_OK;
}

/* Slashes in a row are one in a path: "spiffe:/a/b" is meant as it is written elsewhere. */
static lethe_result read_path(const char *path, struct spiffe_id *out)
{
    static const char scheme[] = "spiffe:";
    if (strncmp(path, scheme, strlen(scheme)) == 0)
        path += strlen(scheme);
    path += strspn(path, "/");
    return spiffe_read(path, strlen(path), out, NULL);
}

static lethe_result identity_get(struct call *call, struct lethe_error *err)
{
    (void)err;
    struct spiffe_id id;
    if (read_path(call_capture(call, "id"), &id) != LETHE_OK)
        return answer_missing(call);
    const struct identity_entry *entry = identities_find(identities_of(call), id.text);
    if (entry == NULL || !call_may_see(call, entry->id.tenant))
        return answer_missing(call);
    put_entry(answer_data(call), entry);
    return LETHE_OK;
}

static lethe_result identity_list(struct call *call, struct lethe_error *err)
{
    (void)err;
    const struct identity_entry *entry;
    struct json_writer *writer = NULL;
    for (size_t i = 0; (entry = identities_at(identities_of(call), i)) != NULL; i++) {
        if (!call_may_see(call, entry->id.tenant))
            continue;
        if (writer == NULL)
            json_begin_array(writer = answer_data(call), "keys");
        json_put_text(writer, NULL, entry->id.text);
    }
    if (writer == NULL)
        return answer_missing(call);
    json_end_array(writer);
    return LETHE_OK;
}

/* ---- revoking -------------------------------------------------------------------------------- */

enum { REVOKE_ID, REVOKE_REASON };
static const struct field revoke_fields[] = {{"id", FIELD_TEXT, true, "a SPIFFE id", NULL},
                                             {"reason", FIELD_TEXT, true, "for the record", NULL},
                                             {0}};

/* First for good, then what lives by it: whatever of the rest fails, the identity is gone. */
static lethe_result identity_revoke(struct call *call, struct lethe_error *err)
{
    char reason[REASON_MAX];
    struct spiffe_id id;
    struct service *service = call_service(call);
    const struct field_value *given = call_field(call, REVOKE_ID);
    TRY(spiffe_read(given->text, given->length, &id, err));
    TRY(field_copy(call_field(call, REVOKE_REASON), "reason", reason, sizeof reason, err));
    lethe_result result = identities_revoke(service->identities, id.text, reason, err);
    if (result == LETHE_NOT_FOUND)
        return answer_missing(call);
    TRY(result);
    service_cut_off(service, id.text);
    service_publish_text(service, "identity_revoked", id.tenant, "id", id.text);
    TRY(tokens_revoke_identity(service->tokens, id.text, reason, err));
    answer_nothing(call);
    return LETHE_OK;
}

/* ---- certificates ---------------------------------------------------------------------------- */

enum { ISSUE_ID, ISSUE_CSR, ISSUE_TTL };
static const struct field issue_fields[] = {
    {"id", FIELD_TEXT, true, "a SPIFFE id that is known", NULL},
    {"csr", FIELD_TEXT, true, "the node's request, PEM; its names count for nothing", NULL},
    {"ttl", FIELD_DURATION, false, "a minute to 30 days; the identity's", NULL},
    {0}};
enum { RENEW_CSR };
static const struct field renew_fields[] = {
    {"csr", FIELD_TEXT, true, "the node's request, PEM; its names count for nothing", NULL}, {0}};

static lethe_result answer_certificate(struct call *call, const char *id, const struct buffer *der,
                                       struct lethe_error *err)
{
    struct authority_view view;
    char serial[X509_SERIAL_TEXT_SIZE];
    CLEANUP(x509_summary_clear) struct x509_summary s = {0};
    TRY(authority_view(call_service(call)->authority, AUTHORITY_IDENTITIES, &view, err));
    TRY(x509_read(der->bytes, der->size_bytes, &s, err));
    struct cursor chain = cursor_over(view.chain, view.chain_bytes);
    const uint8_t *above;
    uint32_t length;
    struct json_writer *writer = answer_data(call);
    json_put_text(writer, "id", id);
    pki_put_pem(writer, "certificate", X509_PEM_CERTIFICATE, der->bytes, der->size_bytes);
    json_begin_array(writer, "ca_chain");
    while (cursor_le32(&chain, &length) == LETHE_OK &&
           cursor_bytes(&chain, length, &above) == LETHE_OK)
        pki_put_pem(writer, NULL, X509_PEM_CERTIFICATE, above, length);
    json_end_array(writer);
    x509_serial_text(s.serial, s.serial_bytes, serial);
    json_put_text(writer, "serial_number", serial);
    json_put_integer(writer, "expiration", (int64_t)s.not_after_s);
    return LETHE_OK;
}

static lethe_result issue_for(struct call *call, const char *id, const struct field_value *csr,
                              uint64_t ttl_s, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer request = {0}, der = {0};
    TRY(pki_read_pem(X509_PEM_REQUEST, csr, "csr", &request, err));
    TRY(identities_issue(identities_of(call), id, request.bytes, request.size_bytes, ttl_s, &der,
                         err));
    return answer_certificate(call, id, &der, err);
}

static lethe_result identity_issue(struct call *call, struct lethe_error *err)
{
    struct spiffe_id id;
    const struct field_value *ttl = call_field(call, ISSUE_TTL);
    const struct field_value *given = call_field(call, ISSUE_ID);
    TRY(spiffe_read(given->text, given->length, &id, err));
    if (ttl->given && ttl->integer <= 0)
        return error_set(err, LETHE_INVALID, "ttl: more than 0");
    lethe_result result = issue_for(call, id.text, call_field(call, ISSUE_CSR),
                                    ttl->given ? (uint64_t)ttl->integer : 0, err);
    return result == LETHE_NOT_FOUND ? answer_missing(call) : result;
}

/* By the certificate of the connection itself: a token, even one of the identity, is not enough. */
static lethe_result identity_renew(struct call *call, struct lethe_error *err)
{
    size_t chain_bytes;
    const char *reason = NULL;
    const struct identity_entry *entry;
    const uint8_t *chain = call_chain(call, &chain_bytes);
    if (chain == NULL || chain_bytes == 0)
        return error_set(err, LETHE_DENIED, "permission denied");
    lethe_result result = identities_prove(identities_of(call), chain, chain_bytes,
                                           call_now_s(call), &entry, &reason, err);
    if (result == LETHE_DENIED || result == LETHE_REVOKED) {
        const struct audit_event event =
            audit_auth_failure("certificate", call_source(call), reason, 1);
        call_record(call, &event);
        return error_set(err, LETHE_DENIED, "permission denied");
    }
    TRY(result);
    return issue_for(call, entry->id.text, call_field(call, RENEW_CSR), 0, err);
}

/* ---- authorities of the operator's ----------------------------------------------------------- */

enum { ROOTS_CERTIFICATES };
static const struct field roots_fields[] = {
    {"certificates", FIELD_TEXT, true, "of authorities that may name anybody, PEM", NULL}, {0}};

static lethe_result roots_write(struct call *call, struct lethe_error *err)
{
    const struct field_value *pem = call_field(call, ROOTS_CERTIFICATES);
    CLEANUP(buffer_clear) struct buffer roots = {0};
    TRY(x509_pem_read(X509_PEM_CERTIFICATE, pem->text, pem->length, &roots, err));
    struct cursor cursor = cursor_over(roots.bytes, roots.size_bytes);
    const uint8_t *der;
    uint32_t length;
    while (cursor_le32(&cursor, &length) == LETHE_OK &&
           cursor_bytes(&cursor, length, &der) == LETHE_OK) {
        CLEANUP(x509_summary_clear) struct x509_summary s = {0};
        TRY(x509_read(der, length, &s, err));
        if (!s.is_ca)
            return error_set(err, LETHE_INVALID, "certificates: one is not an authority's");
    }
    TRY(identities_set_roots(identities_of(call), roots.bytes, roots.size_bytes, err));
    answer_nothing(call);
    return LETHE_OK;
}

static lethe_result roots_delete(struct call *call, struct lethe_error *err)
{
    TRY(identities_set_roots(identities_of(call), NULL, 0, err));
    answer_nothing(call);
    return LETHE_OK;
}

const struct route routes_identity[] = {
    {CALL_POST, "lethe/identities", ROUTE_ADMIN, "identity_write", NULL, put_fields, identity_put,
     "Makes an identity, or changes its policies"},
    {CALL_LIST, "lethe/identities", 0, "identity_list", NULL, NULL, identity_list,
     "Ids of all identities"},
    {CALL_POST, "lethe/identities/revoke", ROUTE_ADMIN, "identity_revoke", NULL, revoke_fields,
     identity_revoke, "Revokes an identity for good, with all that lives by it"},
    {CALL_POST, "lethe/identities/issue", ROUTE_ADMIN, "identity_issue", NULL, issue_fields,
     identity_issue, "A certificate for a node's request"},
    {CALL_POST, "lethe/identities/renew", ROUTE_SELF, "identity_renew", NULL, renew_fields,
     identity_renew, "A new certificate for who comes with one that is still good"},
    {CALL_POST, "lethe/identities/roots", ROUTE_ADMIN, "identity_roots", NULL, roots_fields,
     roots_write, "Authorities beside the built-in one"},
    {CALL_DELETE, "lethe/identities/roots", ROUTE_ADMIN, "identity_roots", NULL, NULL, roots_delete,
     "Only the built-in authority"},
    {CALL_GET, "lethe/identities/*id", 0, "identity_read", NULL, NULL, identity_get, "An identity"},
    {0}};
