#include "service/cert_auths.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "service/core_core.h"
#include "service/name_match.h"
#include "service/row_texts.h"

#define ROW_FORMAT 1
#define SETTINGS "cert_auths/"
#define ROOTS "cert_roots/"
#define PATH_SIZE (sizeof SETTINGS + CERT_AUTH_NAME_MAX)
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

const char *const cert_auth_list_names[CERT_LIST_COUNT] = {
#define LIST_NAME(name) #name,
    CERT_AUTH_LISTS(LIST_NAME)
#undef LIST_NAME
};

/* ---- rows ------------------------------------------------------------------------------------ */

void cert_auth_format(const struct cert_auth *auth, struct buffer *out)
{
    buffer_byte(out, ROW_FORMAT);
    buffer_le64(out, auth->ttl_s);
    buffer_le64(out, auth->max_ttl_s);
    buffer_le64(out, auth->period_s);
    buffer_le64(out, auth->num_uses);
    row_put_text(out, auth->display_name);
    for (size_t i = 0; i < CERT_LIST_COUNT; i++)
        row_put_texts(out, &auth->lists[i]);
}

lethe_result cert_auth_parse(const uint8_t *bytes, size_t size_bytes, struct cert_auth *out)
{
    struct cursor cursor = cursor_over(bytes, size_bytes);
    *out = (struct cert_auth){0};
    TRY(row_take_format(&cursor, ROW_FORMAT));
    TRY(cursor_le64(&cursor, &out->ttl_s));
    TRY(cursor_le64(&cursor, &out->max_ttl_s));
    TRY(cursor_le64(&cursor, &out->period_s));
    TRY(cursor_le64(&cursor, &out->num_uses));
    TRY(row_take_text(&cursor, &out->display_name));
    for (size_t i = 0; i < CERT_LIST_COUNT; i++)
        TRY(row_take_texts(&cursor, &out->lists[i]));
    return cursor_left(&cursor) == 0 ? LETHE_OK : LETHE_MALFORMED;
}

/* ---- the store ------------------------------------------------------------------------------- */

static lethe_result path_of(const char *prefix, const char *name, char out[PATH_SIZE],
                            struct lethe_error *err)
{
    size_t length = strlen(name);
    if (length == 0 || length > CERT_AUTH_NAME_MAX || strspn(name, NAME_CHARACTERS) != length)
        return error_set(err, LETHE_INVALID, "a name has 1 to %u of [A-Za-z0-9._-]",
                         CERT_AUTH_NAME_MAX);
    snprintf(out, PATH_SIZE, "%s%s", prefix, name);
    return LETHE_OK;
}

lethe_result cert_auth_get(struct service *service, const char *name, struct lethe_secret **row,
                           struct cert_auth *out, struct buffer *roots, struct lethe_error *err)
{
    char path[PATH_SIZE];
    struct store *store = keeper_store(service->keeper);
    TRY(path_of(SETTINGS, name, path, err));
    TRY(store_get(store, path, row, NULL, err));
    if (cert_auth_parse(lethe_secret_bytes_const(*row), lethe_secret_size(*row), out) != LETHE_OK)
        return error_set(err, LETHE_INTEGRITY, "the row %s has another form", path);
    TRY(path_of(ROOTS, name, path, err));
    return document_get(store, path, roots, err);
}

struct auth_change {
    const char *name;
    char settings_path[PATH_SIZE], roots_path[PATH_SIZE];
    const struct buffer *settings, *roots; /* NULL: it goes */
};

static lethe_result change_auth(struct store *store, void *context, uint64_t epoch,
                                struct audit_event *event, struct lethe_error *err)
{
    const struct auth_change *c = context;
    bool stays = c->settings != NULL;
    *event = audit_permission_changed(c->name, "auth/cert", stays ? "written" : "deleted");
    if (!stays) {
        TRY(store_delete(store, c->settings_path, STORE_ANY, err));
        return document_delete(store, c->roots_path, err);
    }
    TRY(store_put(store, c->settings_path, c->settings->bytes, c->settings->size_bytes, STORE_ANY,
                  err));
    return document_put(store, c->roots_path, c->roots->bytes, c->roots->size_bytes, err);
}

static lethe_result prepare(const char *name, struct auth_change *out, struct lethe_error *err)
{
    *out = (struct auth_change){.name = name};
    TRY(path_of(SETTINGS, name, out->settings_path, err));
    return path_of(ROOTS, name, out->roots_path, err);
}

lethe_result cert_auth_put(struct service *service, const char *name, const struct cert_auth *auth,
                           const struct buffer *roots, struct lethe_error *err)
{
    struct auth_change c;
    CLEANUP(buffer_clear) struct buffer row = {0};
    TRY(prepare(name, &c, err));
    cert_auth_format(auth, &row);
    TRY(buffer_result(&row, err));
    if (row.size_bytes > STORE_VALUE_MAX)
        return error_set(err, LETHE_INVALID, "an entry of %zu bytes; at most %u", row.size_bytes,
                         (unsigned)STORE_VALUE_MAX);
    c.settings = &row;
    c.roots = roots;
    service->core->settings_stale = true; /* doors ask for other certificates */
    return keeper_change(service->keeper, "", change_auth, &c, err);
}

lethe_result cert_auth_delete(struct service *service, const char *name, struct lethe_error *err)
{
    struct auth_change c;
    TRY(prepare(name, &c, err));
    service->core->settings_stale = true; /* doors ask for other certificates */
    return keeper_change(service->keeper, "", change_auth, &c, err);
}

struct visiting {
    cert_auth_visit *visit;
    void *context;
};

static lethe_result show_name(void *context, const char *path, uint64_t version,
                              struct lethe_error *err)
{
    const struct visiting *v = context;
    return v->visit(v->context, path + strlen(SETTINGS), err);
}

lethe_result cert_auth_list(struct service *service, cert_auth_visit *visit, void *context,
                            struct lethe_error *err)
{
    struct visiting v = {visit, context};
    return store_list(keeper_store(service->keeper), SETTINGS, show_name, &v, err);
}

struct gathering {
    struct service *service;
    struct buffer *roots;
};

static lethe_result add_roots(void *context, const char *name, struct lethe_error *err)
{
    const struct gathering *g = context;
    struct cert_auth unused;
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    CLEANUP(buffer_clear) struct buffer roots = {0};
    TRY(cert_auth_get(g->service, name, &row, &unused, &roots, err));
    buffer_append(g->roots, roots.bytes, roots.size_bytes);
    return buffer_result(g->roots, err);
}

lethe_result cert_auth_roots(struct service *service, struct buffer *roots, struct lethe_error *err)
{
    struct gathering g = {service, roots};
    return cert_auth_list(service, add_roots, &g, err);
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool any_matches(const struct x509_list *patterns, const char *text)
{
    for (size_t i = 0; i < patterns->count; i++)
        if (name_matches(patterns->at[i], text, false))
            return true;
    return false;
}

static bool one_matches(const struct x509_list *patterns, const struct x509_list *names)
{
    for (size_t i = 0; i < names->count; i++)
        if (any_matches(patterns, names->at[i]))
            return true;
    return patterns->count == 0;
}

bool cert_auth_allows(const struct cert_auth *auth, const struct x509_subject *subject)
{
    struct x509_list common_name = {.at = {subject->common_name}, .count = 1};
    if (subject->common_name == NULL)
        common_name.count = 0;
    return one_matches(&auth->lists[CERT_allowed_common_names], &common_name) &&
           one_matches(&auth->lists[CERT_allowed_dns_sans], &subject->dns_names) &&
           one_matches(&auth->lists[CERT_allowed_email_sans], &subject->emails) &&
           one_matches(&auth->lists[CERT_allowed_uri_sans], &subject->uris) &&
           one_matches(&auth->lists[CERT_allowed_organizational_units], &subject->units);
}
