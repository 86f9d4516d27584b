#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "service/attested_core.h"

#define PREFIX "attest/references/"
#define PATH_SIZE (sizeof PREFIX + ATTEST_REFERENCE_NAME_MAX + 24)
#define PCRS_WITHOUT_REFERENCE 0xffu

static void path_of(const struct attest_reference *reference, char out[PATH_SIZE])
{
    snprintf(out, PATH_SIZE, PREFIX "%s/%" PRIu64, reference->name, reference->version);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct loading {
    struct store *store;
    struct attest_reference *references;
    size_t count, capacity;
};

static lethe_result make_room(struct loading *l, struct lethe_error *err)
{
    if (l->count < l->capacity)
        return LETHE_OK;
    size_t capacity = 2 * l->capacity + 16;
    struct attest_reference *grown = reallocarray(l->references, capacity, sizeof *grown);
    if (grown == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu reference values", capacity);
    l->references = grown;
    l->capacity = capacity;
    return LETHE_OK;
}

static lethe_result load_row(void *context, const char *path, uint64_t version,
                             struct lethe_error *err)
{
    struct loading *l = context;
    char expected[PATH_SIZE];
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    (void)version;
    TRY(store_get(l->store, path, &row, NULL, err));
    TRY(make_room(l, err));
    struct attest_reference *reference = &l->references[l->count];
    lethe_result result =
        reference_row_parse(lethe_secret_bytes_const(row), lethe_secret_size(row), reference);
    if (result == LETHE_OK)
        path_of(reference, expected);
    if (result != LETHE_OK || strcmp(expected, path) != 0)
        return error_set(err, LETHE_INTEGRITY, "the row %s is no reference value", path);
    l->count++;
    return LETHE_OK;
}

static int by_name_and_version(const void *a, const void *b)
{
    const struct attest_reference *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : (x->version > y->version) - (x->version < y->version);
}

lethe_result references_refresh(struct attested *attested, struct lethe_error *err)
{
    struct loading l = {.store = keeper_store(attested->service->keeper)};
    lethe_result result = store_list(l.store, PREFIX, load_row, &l, err);
    if (result != LETHE_OK) {
        free(l.references);
        return result;
    }
    if (l.count > 0)
        qsort(l.references, l.count, sizeof *l.references, by_name_and_version);
    free(attested->references);
    attested->references = l.references;
    attested->reference_count = l.count;
    return LETHE_OK;
}

const struct attest_reference *references_at(const struct attested *attested, size_t index)
{
    return index < attested->reference_count ? &attested->references[index] : NULL;
}

uint32_t references_pcrs(const struct attested *attested)
{
    uint32_t mask = 0;
    for (size_t i = 0; i < attested->reference_count; i++) {
        const struct attest_reference *at = &attested->references[i];
        if (at->revoked_s == 0)
            mask |= at->pcr_mask | (at->loader_count > 0 ? 1u << 10 : 0);
    }
    return mask != 0 ? mask : PCRS_WITHOUT_REFERENCE;
}

/* ---- matching -------------------------------------------------------------------------------- */

/* Fewer PCRs differ; of as many, the newer one. */
static bool is_nearer(const struct attest_reference *one, const struct attest_reference *nearest,
                      const struct attest_claims *claims)
{
    if (nearest == NULL)
        return true;
    unsigned ours = attest_reference_distance(one, claims);
    unsigned theirs = attest_reference_distance(nearest, claims);
    return ours < theirs || (ours == theirs && one->added_s >= nearest->added_s);
}

/* The newest that fits; else the sentence is that of the nearest of its kind. */
const struct attest_reference *references_match(const struct attested *attested,
                                                const struct attest_claims *claims, bool reported,
                                                char why[ATTEST_WHY_SIZE])
{
    const struct attest_reference *best = NULL, *nearest = NULL;
    char difference[ATTEST_WHY_SIZE];
    snprintf(why, ATTEST_WHY_SIZE, "there is no reference value for %s%s",
             attest_kind_name(claims->kind),
             reported ? " that names the measurement of the report which vouches for it" : "");
    for (size_t i = 0; i < attested->reference_count; i++) {
        const struct attest_reference *at = &attested->references[i];
        if (at->revoked_s != 0 || at->kind != claims->kind ||
            (reported && at->measurement[0] == '\0'))
            continue;
        if (attest_reference_fits(at, claims, difference)) {
            if (best == NULL || at->added_s >= best->added_s)
                best = at;
        } else if (is_nearer(at, nearest, claims)) {
            nearest = at;
            snprintf(why, ATTEST_WHY_SIZE, "%.*s (reference value %s, version %" PRIu64 ")", 150,
                     difference, at->name, at->version);
        }
    }
    return best;
}

/* ---- changing -------------------------------------------------------------------------------- */

struct change {
    const struct attested *attested;
    struct attest_reference reference; /* to add; or name and version, to revoke */
    bool is_new;
    uint64_t now_s;
    char what[AUDIT_TEXT_MAX];
};

static lethe_result put_row(struct store *store, const struct attest_reference *reference,
                            uint64_t expected, struct lethe_error *err)
{
    char path[PATH_SIZE];
    CLEANUP(buffer_clear) struct buffer row = {0};
    reference_row_format(reference, &row);
    TRY(buffer_result(&row, err));
    path_of(reference, path);
    return store_put(store, path, row.bytes, row.size_bytes, expected, err);
}

static bool is_meant(const struct change *c, const struct attest_reference *at)
{
    return strcmp(at->name, c->reference.name) == 0 && at->revoked_s == 0 &&
           (c->reference.version == 0 || at->version == c->reference.version);
}

static lethe_result revoke_rows(struct store *store, const struct change *c,
                                struct lethe_error *err)
{
    for (size_t i = 0; i < c->attested->reference_count; i++) {
        struct attest_reference changed = c->attested->references[i];
        if (!is_meant(c, &changed))
            continue;
        changed.revoked_s = c->now_s;
        TRY(put_row(store, &changed, STORE_ANY, err));
    }
    return LETHE_OK;
}

static lethe_result write_rows(struct store *store, void *context, uint64_t epoch,
                               struct audit_event *event, struct lethe_error *err)
{
    struct change *c = context;
    (void)epoch;
    *event = audit_permission_changed(c->reference.name, "reference value", c->what);
    return c->is_new ? put_row(store, &c->reference, STORE_ABSENT, err)
                     : revoke_rows(store, c, err);
}

static uint64_t newest_version(const struct attested *attested, const char *name)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < attested->reference_count; i++) {
        if (strcmp(attested->references[i].name, name) == 0)
            newest = MAX(newest, attested->references[i].version);
    }
    return newest;
}

lethe_result references_add(struct attested *attested, const struct attest_reference *reference,
                            uint64_t *version, struct lethe_error *err)
{
    struct change c = {.attested = attested, .reference = *reference, .is_new = true};
    TRY(attested_check_name("reference values", reference->name, err));
    if (attested->reference_count >= REFERENCES_MAX)
        return error_set(err, LETHE_LIMIT, "there are %u reference values, as many as there can be",
                         REFERENCES_MAX);
    c.reference.version = newest_version(attested, reference->name) + 1;
    c.reference.added_s = attested_now_s(attested);
    c.reference.revoked_s = 0;
    snprintf(c.what, sizeof c.what, "version %" PRIu64 " added", c.reference.version);
    TRY(keeper_change(attested->service->keeper, "", write_rows, &c, err));
    *version = c.reference.version;
    return references_refresh(attested, err);
}

lethe_result references_revoke(struct attested *attested, const char *name, uint64_t version,
                               const char *reason, struct lethe_error *err)
{
    bool any = false;
    struct change c = {.attested = attested, .now_s = attested_now_s(attested)};
    TRY(attested_check_name("reference values", name, err));
    strcpy(c.reference.name, name);
    c.reference.version = version;
    for (size_t i = 0; i < attested->reference_count; i++)
        any = any || is_meant(&c, &attested->references[i]);
    if (!any)
        return error_set(err, LETHE_NOT_FOUND, "there is no such reference value in force");
    if (version == 0)
        snprintf(c.what, sizeof c.what, "all versions revoked: %.400s", reason);
    else
        snprintf(c.what, sizeof c.what, "version %" PRIu64 " revoked: %.400s", version, reason);
    TRY(keeper_change(attested->service->keeper, "", write_rows, &c, err));
    return references_refresh(attested, err);
}
