#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "service/identities_core.h"

#define PREFIX "identities/"
#define PATH_SIZE (sizeof PREFIX + 2 * SHA256_BYTES)
#define ROOTS_PATH "identity_roots"
#define NS_PER_S UINT64_C(1000000000)

static uint64_t now_of(const struct service *service)
{
    const struct clock_source *clock = service->options.keeper.clock;
    return clock_wall_ns(clock != NULL ? clock : &clock_system) / NS_PER_S;
}

static void path_of(const char *id, char out[PATH_SIZE])
{
    uint8_t hash[SHA256_BYTES];
    sha256(id, strlen(id), hash);
    memcpy(out, PREFIX, sizeof PREFIX - 1);
    hex_encode(hash, sizeof hash, out + sizeof PREFIX - 1);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct loading {
    struct store *store;
    struct identity_entry *entries;
    size_t count, capacity;
};

static lethe_result make_room(struct loading *l, struct lethe_error *err)
{
    if (l->count < l->capacity)
        return LETHE_OK;
    size_t capacity = l->capacity == 0 ? 16 : 2 * l->capacity;
    struct identity_entry *entries = realloc(l->entries, capacity * sizeof *entries);
    if (entries == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu identities", capacity);
    l->entries = entries;
    l->capacity = capacity;
    return LETHE_OK;
}

/* The row must be where its id says, or it could be another's. */
static lethe_result load_row(void *context, const char *path, uint64_t version,
                             struct lethe_error *err)
{
    struct loading *l = context;
    char expected[PATH_SIZE];
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    TRY(store_get(l->store, path, &row, NULL, err));
    TRY(make_room(l, err));
    struct identity_entry *entry = &l->entries[l->count];
    lethe_result result =
        identity_row_parse(lethe_secret_bytes_const(row), lethe_secret_size(row), entry);
    path_of(entry->id.text, expected);
    if (result != LETHE_OK || strcmp(expected, path) != 0)
        return error_set(err, LETHE_INTEGRITY, "the row %s is no identity's", path);
    l->count++;
    return LETHE_OK;
}

static int by_id(const void *a, const void *b)
{
    const struct identity_entry *x = a, *y = b;
    return strcmp(x->id.text, y->id.text);
}

static lethe_result load_roots(struct store *store, struct buffer *out, struct lethe_error *err)
{
    lethe_result result = document_get(store, ROOTS_PATH, out, err);
    return result == LETHE_NOT_FOUND ? error_forget(err) : result;
}

lethe_result identities_refresh(struct identities *identities, struct lethe_error *err)
{
    struct loading l = {.store = keeper_store(identities->service->keeper)};
    struct buffer roots = {0};
    lethe_result result = store_list(l.store, PREFIX, load_row, &l, err);
    if (result == LETHE_OK)
        result = load_roots(l.store, &roots, err);
    if (result != LETHE_OK) {
        free(l.entries);
        buffer_clear(&roots);
        return result;
    }
    if (l.count > 0)
        qsort(l.entries, l.count, sizeof *l.entries, by_id);
    free(identities->entries);
    buffer_clear(&identities->roots);
    memset(identities->proven, 0, sizeof identities->proven);
    identities->entries = l.entries;
    identities->count = l.count;
    identities->roots = roots;
    return LETHE_OK;
}

lethe_result identities_open(struct service *service, struct identities **out,
                             struct lethe_error *err)
{
    *out = NULL;
    struct identities *identities = calloc(1, sizeof *identities);
    if (identities == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for identities");
    identities->service = service;
    lethe_result result = identities_refresh(identities, err);
    if (result != LETHE_OK)
        identities_free(identities);
    else
        *out = identities;
    return result;
}

void identities_free(struct identities *identities)
{
    if (identities == NULL)
        return;
    free(identities->entries);
    buffer_clear(&identities->roots);
    free(identities);
}

const struct identity_entry *identities_find(struct identities *identities, const char *id)
{
    size_t low = 0, high = identities->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(identities->entries[middle].id.text, id);
        if (order == 0)
            return &identities->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct identity_entry *identities_at(const struct identities *identities, size_t index)
{
    return index < identities->count ? &identities->entries[index] : NULL;
}

/* ---- changing -------------------------------------------------------------------------------- */

struct identity_change {
    struct identities *identities;
    struct identity_entry entry;
    const char *reason;
    char policies[AUDIT_TEXT_MAX];
};

static lethe_result put_row(struct store *store, const struct identity_entry *entry,
                            struct lethe_error *err)
{
    char path[PATH_SIZE];
    CLEANUP(buffer_clear) struct buffer row = {0};
    identity_row_format(entry, &row);
    TRY(buffer_result(&row, err));
    path_of(entry->id.text, path);
    return store_put(store, path, row.bytes, row.size_bytes, STORE_ANY, err);
}

static lethe_result change_put(struct store *store, void *context, uint64_t epoch,
                               struct audit_event *event, struct lethe_error *err)
{
    struct identity_change *c = context;
    *event = audit_permission_changed(c->entry.id.text, "policies", c->policies);
    return put_row(store, &c->entry, err);
}

static void join_policies(const struct identity_entry *entry, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < entry->policy_count && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", i > 0 ? "," : "", entry->policies[i]);
}

static lethe_result check_ttl(uint64_t ttl_s, struct lethe_error *err)
{
    if (ttl_s >= IDENTITY_TTL_LEAST_S && ttl_s <= IDENTITY_TTL_MOST_S)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID,
                     "certificates of an identity live a minute to 30 days (%llu s to %llu s)",
                     (unsigned long long)IDENTITY_TTL_LEAST_S,
                     (unsigned long long)IDENTITY_TTL_MOST_S);
}

lethe_result identities_put(struct identities *identities, const struct identity_entry *entry,
                            struct lethe_error *err)
{
    const struct identity_entry *before = identities_find(identities, entry->id.text);
    struct identity_change c = {.identities = identities, .entry = *entry};
    if (before != NULL && before->revoked_s != 0)
        return error_set(err, LETHE_CONFLICT, "this identity was revoked, and does not come back");
    if (before == NULL && identities->count >= IDENTITIES_MAX)
        return error_set(err, LETHE_LIMIT, "there are %u identities, as many as there can be",
                         IDENTITIES_MAX);
    if (c.entry.certificate_ttl_s == 0)
        c.entry.certificate_ttl_s = IDENTITY_TTL_S;
    TRY(check_ttl(c.entry.certificate_ttl_s, err));
    c.entry.created_s = before != NULL ? before->created_s : now_of(identities->service);
    c.entry.revoked_s = 0;
    join_policies(entry, c.policies, sizeof c.policies);
    TRY(keeper_change(identities->service->keeper, entry->id.tenant, change_put, &c, err));
    return identities_refresh(identities, err);
}

static lethe_result change_revoke(struct store *store, void *context, uint64_t epoch,
                                  struct audit_event *event, struct lethe_error *err)
{
    struct identity_change *c = context;
    *event = audit_identity_revoked(c->entry.id.text, "", c->reason);
    TRY(put_row(store, &c->entry, err));
    return authority_revoke_subject(c->identities->service->authority, store, AUTHORITY_IDENTITIES,
                                    c->entry.id.text, err);
}

lethe_result identities_revoke(struct identities *identities, const char *id, const char *reason,
                               struct lethe_error *err)
{
    const struct identity_entry *before = identities_find(identities, id);
    if (before == NULL)
        return error_set(err, LETHE_NOT_FOUND, "there is no such identity");
    if (before->revoked_s != 0)
        return LETHE_OK;
    struct identity_change c = {.identities = identities, .entry = *before, .reason = reason};
    c.entry.revoked_s = now_of(identities->service);
    TRY(keeper_change(identities->service->keeper, c.entry.id.tenant, change_revoke, &c, err));
    TRY(authority_refresh(identities->service->authority, err));
    return identities_refresh(identities, err);
}

struct roots_change {
    const void *roots;
    size_t roots_bytes;
};

static lethe_result change_roots(struct store *store, void *context, uint64_t epoch,
                                 struct audit_event *event, struct lethe_error *err)
{
    const struct roots_change *c = context;
    *event = audit_permission_changed("authorities", ROOTS_PATH,
                                      c->roots_bytes > 0 ? "written" : "deleted");
    if (c->roots_bytes > 0)
        return document_put(store, ROOTS_PATH, c->roots, c->roots_bytes, err);
    lethe_result result = document_delete(store, ROOTS_PATH, err);
    return result == LETHE_NOT_FOUND ? error_forget(err) : result;
}

lethe_result identities_set_roots(struct identities *identities, const void *roots,
                                  size_t roots_bytes, struct lethe_error *err)
{
    struct roots_change c = {roots, roots_bytes};
    TRY(keeper_change(identities->service->keeper, "", change_roots, &c, err));
    return identities_refresh(identities, err);
}

/* ---- certificates ---------------------------------------------------------------------------- */

static lethe_result check_issuable(struct identities *identities, const char *id,
                                   const struct identity_entry **out, struct lethe_error *err)
{
    const char *domain = identities->service->options.trust_domain;
    const struct identity_entry *entry = identities_find(identities, id);
    if (entry == NULL)
        return error_set(err, LETHE_NOT_FOUND, "there is no such identity");
    if (entry->revoked_s != 0)
        return error_set(err, LETHE_REVOKED, "this identity was revoked");
    if (domain != NULL && strcmp(entry->id.trust_domain, domain) != 0)
        return error_set(err, LETHE_INVALID, "certificates are signed here for %s only", domain);
    *out = entry;
    return LETHE_OK;
}

lethe_result identities_issue(struct identities *identities, const char *id, const void *request,
                              size_t request_bytes, uint64_t ttl_s, struct buffer *der,
                              struct lethe_error *err)
{
    const struct identity_entry *entry;
    CLEANUP(x509_summary_clear) struct x509_summary asked = {0};
    TRY(check_issuable(identities, id, &entry, err));
    TRY(check_ttl(ttl_s != 0 ? ttl_s : entry->certificate_ttl_s, err));
    TRY(x509_read_request(request, request_bytes, &asked, err));
    if (asked.key == NULL || sign_public_kind(asked.key) == SIGNATURE_ECDSA_P521)
        return error_set(err, LETHE_INVALID,
                         "expected a request with an Ed25519, ECDSA P-256 or P-384 key");
    struct x509_template t = {
        .subject = {.uris = {.at = {entry->id.text}, .count = 1}},
        .not_after_s =
            now_of(identities->service) + (ttl_s != 0 ? ttl_s : entry->certificate_ttl_s),
        .max_path_length = -1,
        .extended_usage = X509_CLIENT_AUTH | X509_SERVER_AUTH,
    };
    const struct authority_request issued = {
        .mount = AUTHORITY_IDENTITIES, .role = "identity", .template_ = &t, .key = asked.key};
    return authority_issue(identities->service->authority, &issued, der, err);
}
