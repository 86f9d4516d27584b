/* Roots, and what is signed by them. */
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "service/authority_core.h"

#define BACKDATE_S 30u /* clocks differ */
#define ROOT_TTL_S UINT64_C(315360000)

static const char *called(const struct x509_subject *subject)
{
    if (subject->uris.count > 0)
        return subject->uris.at[0];
    if (subject->common_name != NULL && subject->common_name[0] != '\0')
        return subject->common_name;
    return subject->dns_names.count > 0 ? subject->dns_names.at[0] : "";
}

/* ---- a root ---------------------------------------------------------------------------------- */

struct new_root {
    struct authority *authority;
    const struct authority_mount *mount;
    const struct lethe_secret *key_row;
    const struct buffer *der;
    struct audit_event event;
};

static lethe_result put_authority(struct store *store, const struct authority_mount *mount,
                                  const struct lethe_secret *key_row, const struct buffer *chain,
                                  struct lethe_error *err)
{
    char path[AUTHORITY_PATH_SIZE];
    authority_path(mount, "key", path);
    TRY(store_put(store, path, lethe_secret_bytes_const(key_row), lethe_secret_size(key_row),
                  STORE_ABSENT, err));
    authority_path(mount, "ca", path);
    return document_put(store, path, chain->bytes, chain->size_bytes, err);
}

static lethe_result put_root(struct store *store, void *context, uint64_t epoch,
                             struct audit_event *event, struct lethe_error *err)
{
    const struct new_root *n = context;
    CLEANUP(buffer_clear) struct buffer chain = {0};
    buffer_prefixed(&chain, n->der->bytes, n->der->size_bytes);
    TRY(buffer_result(&chain, err));
    *event = n->event;
    return put_authority(store, n->mount, n->key_row, &chain, err);
}

static lethe_result require_none(const struct authority_mount *mount, struct lethe_error *err)
{
    if (mount->pair == NULL)
        return LETHE_OK;
    error_set(err, LETHE_EXISTS, "there is an authority already");
    error_hint(err, "delete it first: what it issued is then no longer believed");
    return LETHE_EXISTS;
}

static bool is_zero(const uint8_t *bytes, size_t size_bytes)
{
    while (size_bytes > 0 && bytes[size_bytes - 1] == 0)
        size_bytes--;
    return size_bytes == 0;
}

static lethe_result fill_in(struct authority *authority, struct x509_template *t, uint64_t ttl_s,
                            struct lethe_error *err)
{
    uint64_t now_s = authority_now_s(authority);
    if (t->not_before_s == 0)
        t->not_before_s = now_s - BACKDATE_S;
    if (t->not_after_s == 0)
        t->not_after_s = now_s + ttl_s;
    if (is_zero(t->serial, sizeof t->serial))
        TRY(authority_draw_serial(authority, t->serial, err));
    return LETHE_OK;
}

lethe_result authority_make_root_as(struct authority *authority, const char *mount,
                                    struct x509_template *template_, enum signature_kind kind,
                                    struct sign_pair **exported, struct lethe_error *err)
{
    struct authority_mount *m = authority_mount(authority, mount);
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL, *row = NULL;
    CLEANUP(sign_pair_free) struct sign_pair *pair = NULL;
    CLEANUP(buffer_clear) struct buffer der = {0};
    TRY(require_none(m, err));
    TRY(fill_in(authority, template_, ROOT_TTL_S, err));
    TRY(sign_generate(kind, &secret, err));
    TRY(sign_pair_create(kind, secret, &pair, err));
    TRY(authority_key_format(kind, secret, &row, err));
    TRY(x509_issue(template_, sign_pair_public(pair), pair, NULL, 0, &der, err));
    char serial[X509_SERIAL_TEXT_SIZE];
    x509_serial_text(template_->serial, X509_SERIAL_BYTES, serial);
    struct new_root n = {
        .authority = authority,
        .mount = m,
        .key_row = row,
        .der = &der,
        .event = audit_identity_issued(called(&template_->subject), serial, "root",
                                       template_->not_after_s),
    };
    TRY(authority_change(authority, put_root, &n, err));
    if (exported != NULL)
        *exported = MOVE(pair);
    return authority_rotate_crl(authority, mount, err);
}

lethe_result authority_make_root(struct authority *authority, const char *mount,
                                 const char *common_name, uint64_t ttl_s, struct lethe_error *err)
{
    struct x509_template t = {
        .subject = {.common_name = common_name},
        .not_after_s = authority_now_s(authority) + ttl_s,
        .is_ca = true,
        .max_path_length = -1,
    };
    return authority_make_root_as(authority, mount, &t, SIGNATURE_ECDSA_P256, NULL, err);
}

static lethe_result delete_rows(struct store *store, void *context, uint64_t epoch,
                                struct audit_event *event, struct lethe_error *err)
{
    const struct authority_mount *mount = context;
    char path[AUTHORITY_PATH_SIZE];
    *event = audit_identity_revoked(mount->ca.subject.common_name, "", "root deleted");
    authority_path(mount, "key", path);
    TRY(store_delete(store, path, STORE_ANY, err));
    authority_path(mount, "ca", path);
    TRY(document_delete(store, path, err));
    authority_path(mount, "crl", path);
    lethe_result result = document_delete(store, path, err);
    return result == LETHE_NOT_FOUND ? error_forget(err) : result;
}

lethe_result authority_delete_root(struct authority *authority, const char *mount,
                                   struct lethe_error *err)
{
    struct authority_mount *m = authority_mount(authority, mount);
    TRY(authority_require(m, err));
    return authority_change(authority, delete_rows, m, err);
}

/* ---- certificates ---------------------------------------------------------------------------- */

struct new_certificate {
    const struct authority_request *request;
    const struct authority_mount *mount;
    const struct buffer *der;
    struct audit_event event;
};

/* Whose it is, for revoking by that; and the certificate itself. */
static lethe_result put_certificate(struct store *store, void *context, uint64_t epoch,
                                    struct audit_event *event, struct lethe_error *err)
{
    const struct new_certificate *n = context;
    const struct x509_template *t = n->request->template_;
    char path[AUTHORITY_PATH_SIZE], what[AUTHORITY_PATH_SIZE];
    CLEANUP(buffer_clear) struct buffer row = {0};
    *event = n->event;
    if (n->request->no_store)
        return LETHE_OK;
    const struct authority_certificate_row fields = {
        .not_after_s = t->not_after_s,
        .der = (const uint8_t *)n->der->bytes,
        .der_bytes = n->der->size_bytes,
    };
    authority_certificate_format(&fields, &row);
    TRY(buffer_result(&row, err));
    authority_serial_path(n->mount, "certs/", t->serial, X509_SERIAL_BYTES, path);
    TRY(store_put(store, path, row.bytes, row.size_bytes, STORE_ABSENT, err));
    if (t->subject.uris.count == 0)
        return LETHE_OK;
    authority_subject_path(n->mount, t->subject.uris.at[0], what);
    const char *below = what + strlen("pki//") + strlen(n->mount->name);
    authority_serial_path(n->mount, below, t->serial, X509_SERIAL_BYTES, path);
    uint8_t index[AUTHORITY_REVOKED_BYTES];
    const struct authority_revoked_row of = {.not_after_s = t->not_after_s};
    authority_revoked_format(&of, index);
    return store_put(store, path, index, sizeof index, STORE_ABSENT, err);
}

static lethe_result sign(struct authority_mount *m, const struct authority_request *request,
                         struct buffer *der, struct lethe_error *err)
{
    size_t own_bytes;
    const void *own = authority_own_der(m, &own_bytes);
    TRY(x509_issue(request->template_, request->key, m->pair, own, own_bytes, der, err));
    if (der->size_bytes > AUTHORITY_CERTIFICATE_MAX)
        return error_set(err, LETHE_INVALID, "a certificate of %zu bytes; at most %u are kept",
                         der->size_bytes, AUTHORITY_CERTIFICATE_MAX);
    return LETHE_OK;
}

lethe_result authority_issue(struct authority *authority, const struct authority_request *request,
                             struct buffer *der, struct lethe_error *err)
{
    struct authority_mount *m = authority_mount(authority, request->mount);
    struct x509_template *t = request->template_;
    CLEANUP(buffer_clear) struct buffer made = {0};
    TRY(authority_require(m, err));
    if (t->not_before_s == 0)
        t->not_before_s = MAX(m->ca.not_before_s, authority_now_s(authority) - BACKDATE_S);
    TRY(fill_in(authority, t, AUTHORITY_TTL_MAX_S, err));
    t->not_after_s = MIN(t->not_after_s, m->ca.not_after_s);
    if (t->crl_url == NULL)
        t->crl_url = m->settings.crl_url;
    TRY(sign(m, request, &made, err));
    char serial[X509_SERIAL_TEXT_SIZE];
    x509_serial_text(t->serial, X509_SERIAL_BYTES, serial);
    struct new_certificate n = {
        .request = request,
        .mount = m,
        .der = &made,
        .event = audit_identity_issued(called(&t->subject), serial, request->role, t->not_after_s),
    };
    TRY(keeper_change(authority->service->keeper, "", put_certificate, &n, err));
    buffer_append(der, made.bytes, made.size_bytes);
    return buffer_result(der, err);
}

/* ---- the door -------------------------------------------------------------------------------- */

#define DOOR_TTL_S UINT64_C(604800)

/* A name is a DNS name, an address, or a SPIFFE id: each goes where it belongs. */
static lethe_result add_name(struct x509_subject *subject, const char *name,
                             struct lethe_error *err)
{
    bool is_address = strspn(name, "0123456789.") == strlen(name) || strchr(name, ':') != NULL;
    struct x509_list *list = strstr(name, "://") != NULL ? &subject->uris
                             : is_address                ? &subject->ip_addresses
                                                         : &subject->dns_names;
    if (list->count == X509_NAMES_MAX)
        return error_set(err, LETHE_INVALID, "more than %u names", X509_NAMES_MAX);
    list->at[list->count++] = name;
    return LETHE_OK;
}

static lethe_result door_certificate(struct authority *authority, const void *request,
                                     size_t request_bytes, const char *const *names,
                                     struct buffer *der, struct lethe_error *err)
{
    CLEANUP(x509_summary_clear) struct x509_summary asked = {0};
    TRY(x509_read_request(request, request_bytes, &asked, err));
    if (asked.key == NULL)
        return error_set(err, LETHE_INVALID, "the door's key is of a kind that is not signed");
    struct x509_template t = {.not_after_s = authority_now_s(authority) + DOOR_TTL_S,
                              .max_path_length = -1,
                              .extended_usage = X509_SERVER_AUTH};
    for (size_t i = 0; names[i] != NULL; i++)
        TRY(add_name(&t.subject, names[i], err));
    const struct authority_request issued = {
        .mount = AUTHORITY_IDENTITIES, .role = "door", .template_ = &t, .key = asked.key};
    return authority_issue(authority, &issued, der, err);
}

/* A list with lengths in front, as PEM. */
static void append_pem(enum x509_pem kind, const uint8_t *list, size_t list_bytes,
                       struct buffer *out)
{
    struct cursor cursor = cursor_over(list, list_bytes);
    const uint8_t *der;
    uint32_t length;
    while (cursor_le32(&cursor, &length) == LETHE_OK &&
           cursor_bytes(&cursor, length, &der) == LETHE_OK)
        x509_pem_append(kind, der, length, out);
}

lethe_result authority_door(struct authority *authority, const void *request, size_t request_bytes,
                            const char *const *names, struct buffer *chain_pem,
                            struct buffer *roots_pem, struct buffer *crls_pem,
                            struct lethe_error *err)
{
    struct authority_view view;
    CLEANUP(buffer_clear) struct buffer der = {0};
    if (request_bytes > 0) {
        TRY(door_certificate(authority, request, request_bytes, names, &der, err));
        x509_pem_append(X509_PEM_CERTIFICATE, der.bytes, der.size_bytes, chain_pem);
        TRY(buffer_result(chain_pem, err));
    }
    TRY(authority_view(authority, AUTHORITY_IDENTITIES, &view, err));
    append_pem(X509_PEM_CERTIFICATE, view.roots, view.roots_bytes, roots_pem);
    append_pem(X509_PEM_CRL, view.crls, view.crls_bytes, crls_pem);
    TRY(buffer_result(roots_pem, err));
    return buffer_result(crls_pem, err);
}
