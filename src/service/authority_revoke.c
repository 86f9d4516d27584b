/* What is no longer good: certificates that were revoked, and the list that says so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "service/authority_core.h"

/* ---- rows ------------------------------------------------------------------------------------ */

static lethe_result get_certificate(struct store *store, const char *path,
                                    struct lethe_secret **row,
                                    struct authority_certificate_row *out, struct lethe_error *err)
{
    TRY(store_get(store, path, row, NULL, err));
    if (authority_certificate_parse(lethe_secret_bytes_const(*row), lethe_secret_size(*row), out) !=
        LETHE_OK)
        return error_set(err, LETHE_INTEGRITY, "the row %s has another form", path);
    return LETHE_OK;
}

lethe_result authority_find(struct authority *authority, const char *mount, const uint8_t *serial,
                            size_t serial_bytes, struct authority_issued *out,
                            struct lethe_error *err)
{
    char path[AUTHORITY_PATH_SIZE];
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    struct authority_certificate_row fields;
    *out = (struct authority_issued){0};
    authority_serial_path(authority_mount(authority, mount), "certs/", serial, serial_bytes, path);
    TRY(get_certificate(keeper_store(authority->service->keeper), path, &row, &fields, err));
    buffer_append(&out->der, fields.der, fields.der_bytes);
    out->not_after_s = fields.not_after_s;
    out->revoked_s = fields.revoked_s;
    return buffer_result(&out->der, err);
}

/* "pki/x/certs/SERIAL" becomes "pki/x/revoked/SERIAL". */
static void revoked_path_of(const char *path, char out[AUTHORITY_PATH_SIZE])
{
    const char *serial = strrchr(path, '/') + 1;
    int below = (int)(serial - path) - (int)strlen("certs/");
    snprintf(out, AUTHORITY_PATH_SIZE, "%.*srevoked/%s", below, path, serial);
}

lethe_result authority_mark_revoked(struct authority *authority, struct store *store,
                                    const char *path, uint64_t *revoked_s, struct lethe_error *err)
{
    char revoked_path[AUTHORITY_PATH_SIZE];
    uint8_t mark[AUTHORITY_REVOKED_BYTES];
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    CLEANUP(buffer_clear) struct buffer changed = {0};
    struct authority_certificate_row fields;
    TRY(get_certificate(store, path, &row, &fields, err));
    *revoked_s = fields.revoked_s;
    if (fields.revoked_s != 0)
        return LETHE_OK;
    *revoked_s = fields.revoked_s = authority_now_s(authority);
    authority_certificate_format(&fields, &changed);
    TRY(buffer_result(&changed, err));
    TRY(store_put(store, path, changed.bytes, changed.size_bytes, STORE_ANY, err));
    const struct authority_revoked_row revoked = {.revoked_s = fields.revoked_s,
                                                  .not_after_s = fields.not_after_s};
    authority_revoked_format(&revoked, mark);
    revoked_path_of(path, revoked_path);
    return store_put(store, revoked_path, mark, sizeof mark, STORE_ANY, err);
}

/* ---- the CRL --------------------------------------------------------------------------------- */

struct collecting {
    struct store *store;
    uint64_t now_s;
    struct x509_revoked *list;
    size_t count, capacity;
};

static void collecting_clear(struct collecting *c)
{
    free(c->list);
}
static void collecting_clear_at_scope_end(struct collecting *c)
{
    collecting_clear(c);
}

static lethe_result make_room(struct collecting *c, struct lethe_error *err)
{
    if (c->count < c->capacity)
        return LETHE_OK;
    size_t capacity = c->capacity == 0 ? 64 : 2 * c->capacity;
    struct x509_revoked *list = realloc(c->list, capacity * sizeof *list);
    if (list == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a CRL");
    c->list = list;
    c->capacity = capacity;
    return LETHE_OK;
}

/* What has expired by itself needs no entry (RFC 5280, 3.3). */
static lethe_result collect(void *context, const char *path, uint64_t version,
                            struct lethe_error *err)
{
    struct collecting *c = context;
    const char *serial = strrchr(path, '/') + 1;
    const size_t serial_bytes = strlen(serial) / 2;
    struct authority_revoked_row row;
    CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
    TRY(store_get(c->store, path, &value, NULL, err));
    TRY(make_room(c, err));
    struct x509_revoked *at = &c->list[c->count];
    if (authority_revoked_parse(lethe_secret_bytes_const(value), lethe_secret_size(value), &row) !=
            LETHE_OK ||
        serial_bytes > X509_SERIAL_BYTES ||
        hex_decode(serial, strlen(serial), at->serial, serial_bytes) != LETHE_OK)
        return error_set(err, LETHE_INTEGRITY, "the row %s has another form", path);
    at->serial_bytes = serial_bytes;
    at->revoked_s = row.revoked_s;
    c->count += row.not_after_s >= c->now_s;
    return LETHE_OK;
}

/* The newest number counts, and it is the store's: another process may have made one. */
static lethe_result last_number(struct store *store, const char *path, uint64_t *number,
                                struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer document = {0};
    struct authority_crl_row row;
    *number = 0;
    lethe_result result = document_get(store, path, &document, err);
    if (result == LETHE_NOT_FOUND)
        return error_forget(err);
    TRY(result);
    if (authority_crl_parse((const uint8_t *)document.bytes, document.size_bytes, &row) != LETHE_OK)
        return error_set(err, LETHE_INTEGRITY, "the CRL is stored in another form");
    *number = row.number;
    return LETHE_OK;
}

lethe_result authority_write_crl(struct authority *authority, struct store *store,
                                 const struct authority_mount *mount, struct lethe_error *err)
{
    char path[AUTHORITY_PATH_SIZE];
    CLEANUP(collecting_clear)
    struct collecting c = {.store = store, .now_s = authority_now_s(authority)};
    CLEANUP(buffer_clear) struct buffer der = {0}, document = {0};
    authority_path(mount, "revoked/", path);
    TRY(store_list(store, path, collect, &c, err));
    authority_path(mount, "crl", path);
    struct x509_crl_template t = {.revoked = c.list,
                                  .count = c.count,
                                  .this_s = c.now_s,
                                  .next_s = c.now_s + mount->settings.crl_ttl_s};
    TRY(last_number(store, path, &t.number, err));
    t.number++;
    size_t own_bytes;
    const void *own = authority_own_der(mount, &own_bytes);
    TRY(x509_make_crl(&t, mount->pair, own, own_bytes, &der, err));
    const struct authority_crl_row row = {.number = t.number,
                                          .this_s = t.this_s,
                                          .next_s = t.next_s,
                                          .der = (const uint8_t *)der.bytes,
                                          .der_bytes = der.size_bytes};
    authority_crl_format(&row, &document);
    TRY(buffer_result(&document, err));
    return document_put(store, path, document.bytes, document.size_bytes, err);
}

struct rotation {
    struct authority *authority;
    const struct authority_mount *mount;
};

static lethe_result rotate(struct store *store, void *context, uint64_t epoch,
                           struct audit_event *event, struct lethe_error *err)
{
    const struct rotation *r = context;
    *event = audit_permission_changed(r->mount->name, "pki/crl", "rotated");
    return authority_write_crl(r->authority, store, r->mount, err);
}

lethe_result authority_rotate_crl(struct authority *authority, const char *mount,
                                  struct lethe_error *err)
{
    struct rotation r = {authority, authority_mount(authority, mount)};
    TRY(authority_require(r.mount, err));
    return authority_change(authority, rotate, &r, err);
}

/* ---- revoking -------------------------------------------------------------------------------- */

struct revocation {
    struct authority *authority;
    const struct authority_mount *mount;
    const uint8_t *serial;
    size_t serial_bytes;
    uint64_t revoked_s;
    char serial_text[X509_SERIAL_TEXT_SIZE];
};

static lethe_result revoke(struct store *store, void *context, uint64_t epoch,
                           struct audit_event *event, struct lethe_error *err)
{
    struct revocation *r = context;
    char path[AUTHORITY_PATH_SIZE];
    *event = audit_identity_revoked(r->mount->name, r->serial_text, "pki/revoke");
    authority_serial_path(r->mount, "certs/", r->serial, r->serial_bytes, path);
    TRY(authority_mark_revoked(r->authority, store, path, &r->revoked_s, err));
    return authority_write_crl(r->authority, store, r->mount, err);
}

lethe_result authority_revoke(struct authority *authority, const char *mount, const uint8_t *serial,
                              size_t serial_bytes, uint64_t *revoked_s, struct lethe_error *err)
{
    struct revocation r = {.authority = authority,
                           .mount = authority_mount(authority, mount),
                           .serial = serial,
                           .serial_bytes = serial_bytes};
    struct authority_issued before;
    TRY(authority_require(r.mount, err));
    TRY(authority_find(authority, mount, serial, serial_bytes, &before, err));
    buffer_clear(&before.der);
    *revoked_s = before.revoked_s;
    if (before.revoked_s != 0)
        return LETHE_OK;
    x509_serial_text(serial, serial_bytes, r.serial_text);
    TRY(authority_change(authority, revoke, &r, err));
    *revoked_s = r.revoked_s;
    return LETHE_OK;
}

/* ---- lists of paths, for changes that cannot be made while a list is read ---------------------
 */

struct paths {
    struct buffer text; /* one behind the other, each with its NUL */
    size_t count;
};
static void paths_clear_at_scope_end(struct paths *paths)
{
    buffer_clear(&paths->text);
}

static lethe_result note_path(void *context, const char *path, uint64_t version,
                              struct lethe_error *err)
{
    struct paths *paths = context;
    buffer_append(&paths->text, path, strlen(path) + 1);
    paths->count++;
    return buffer_result(&paths->text, err);
}

lethe_result authority_revoke_subject(struct authority *authority, struct store *store,
                                      const char *mount, const char *uri, struct lethe_error *err)
{
    const struct authority_mount *m = authority_mount(authority, mount);
    char of[AUTHORITY_PATH_SIZE], path[AUTHORITY_PATH_SIZE];
    CLEANUP(paths_clear) struct paths paths = {0};
    TRY(authority_require(m, err));
    authority_subject_path(m, uri, of);
    TRY(store_list(store, of, note_path, &paths, err));
    const char *at = paths.text.bytes;
    for (size_t i = 0; i < paths.count; i++, at += strlen(at) + 1) {
        uint64_t revoked_s;
        char what[AUTHORITY_PATH_SIZE];
        snprintf(what, sizeof what, "certs/%s", strrchr(at, '/') + 1);
        authority_path(m, what, path);
        TRY(authority_mark_revoked(authority, store, path, &revoked_s, err));
    }
    return authority_write_crl(authority, store, m, err);
}

/* ---- tidying --------------------------------------------------------------------------------- */

struct tidying {
    struct store *store;
    const struct authority_mount *mount;
    uint64_t before_s;
    size_t most;
    struct paths expired;
    size_t removed;
};
static void tidying_clear_at_scope_end(struct tidying *tidying)
{
    paths_clear_at_scope_end(&tidying->expired);
}

static lethe_result note_expired(void *context, const char *path, uint64_t version,
                                 struct lethe_error *err)
{
    struct tidying *t = context;
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    struct authority_certificate_row fields;
    if (t->expired.count == t->most)
        return LETHE_CANCELLED; /* enough */
    TRY(get_certificate(t->store, path, &row, &fields, err));
    return fields.not_after_s < t->before_s ? note_path(&t->expired, path, version, err) : LETHE_OK;
}

static lethe_result delete_if_there(struct store *store, const char *path, struct lethe_error *err)
{
    lethe_result result = store_delete(store, path, STORE_ANY, err);
    return result == LETHE_NOT_FOUND ? error_forget(err) : result;
}

static lethe_result forget_subject(struct store *store, const struct authority_mount *mount,
                                   const struct authority_certificate_row *fields,
                                   const char *serial, struct lethe_error *err)
{
    CLEANUP(x509_summary_clear) struct x509_summary s = {0};
    char of[AUTHORITY_PATH_SIZE];
    TRY(x509_read(fields->der, fields->der_bytes, &s, err));
    if (s.subject.uris.count == 0)
        return LETHE_OK;
    authority_subject_path(mount, s.subject.uris.at[0], of);
    strncat(of, serial, sizeof of - strlen(of) - 1);
    return delete_if_there(store, of, err);
}

static lethe_result tidy_one(struct tidying *t, struct store *store, const char *path,
                             struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    struct authority_certificate_row fields;
    char revoked_path[AUTHORITY_PATH_SIZE];
    lethe_result result = get_certificate(store, path, &row, &fields, err);
    if (result == LETHE_NOT_FOUND) /* another process was faster */
        return error_forget(err);
    TRY(result);
    TRY(forget_subject(store, t->mount, &fields, strrchr(path, '/') + 1, err));
    revoked_path_of(path, revoked_path);
    TRY(delete_if_there(store, revoked_path, err));
    TRY(store_delete(store, path, STORE_ANY, err));
    t->removed++;
    return LETHE_OK;
}

static lethe_result tidy(struct store *store, void *context, uint64_t epoch,
                         struct audit_event *event, struct lethe_error *err)
{
    struct tidying *t = context;
    const char *at = t->expired.text.bytes;
    t->removed = 0;
    for (size_t i = 0; i < t->expired.count; i++, at += strlen(at) + 1)
        TRY(tidy_one(t, store, at, err));
    *event = audit_data_deleted("expired certificates", t->mount->name, t->removed, "deleted");
    return LETHE_OK;
}

lethe_result authority_tidy(struct authority *authority, const char *mount, uint64_t buffer_s,
                            size_t most, size_t *removed, struct lethe_error *err)
{
    uint64_t now_s = authority_now_s(authority);
    CLEANUP(tidying_clear)
    struct tidying t = {.store = keeper_store(authority->service->keeper),
                        .mount = authority_mount(authority, mount),
                        .before_s = now_s > buffer_s ? now_s - buffer_s : 0,
                        .most = most};
    char path[AUTHORITY_PATH_SIZE];
    *removed = 0;
    authority_path(t.mount, "certs/", path);
    lethe_result result = store_list(t.store, path, note_expired, &t, err);
    if (result != LETHE_CANCELLED)
        TRY(result);
    if (t.expired.count == 0)
        return LETHE_OK;
    TRY(authority_change(authority, tidy, &t, err));
    *removed = t.removed;
    return LETHE_OK;
}

/* ---- lists for callers ----------------------------------------------------------------------- */

struct visiting {
    size_t skip;
    authority_visit *visit;
    void *context;
};

static lethe_result show_name(void *context, const char *path, uint64_t version,
                              struct lethe_error *err)
{
    const struct visiting *v = context;
    v->visit(v->context, path + v->skip);
    return LETHE_OK;
}

lethe_result authority_list(struct authority *authority, const char *mount, const char *what,
                            authority_visit *visit, void *context, struct lethe_error *err)
{
    char path[AUTHORITY_PATH_SIZE];
    authority_path(authority_mount(authority, mount), what, path);
    struct visiting v = {strlen(path), visit, context};
    return store_list(keeper_store(authority->service->keeper), path, show_name, &v, err);
}
