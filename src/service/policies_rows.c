#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "service/policies_core.h"

void policy_row(const char *prefix, const char *name, char out[POLICY_ROW_SIZE])
{
    snprintf(out, POLICY_ROW_SIZE, "%s%s", prefix, name);
}

/* ---- names ----------------------------------------------------------------------------------- */

void policy_names_clear(struct policy_names *names)
{
    free(names->items);
    *names = (struct policy_names){0};
}

bool policy_names_hold(const struct policy_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i].text, name) == 0)
            return true;
    }
    return false;
}

lethe_result policy_names_add(struct policy_names *names, const char *name, struct lethe_error *err)
{
    if (names->count == POLICIES_COUNT_MAX)
        return error_set(err, LETHE_LIMIT, "more than %d policies", POLICIES_COUNT_MAX);
    if (names->count == names->capacity) {
        size_t capacity = 2 * names->capacity + 16;
        struct policy_name *grown = reallocarray(names->items, capacity, sizeof *grown);
        if (grown == NULL)
            return error_set(err, LETHE_NO_MEMORY, "no memory for the names of policies");
        names->items = grown;
        names->capacity = capacity;
    }
    snprintf(names->items[names->count++].text, sizeof names->items->text, "%s", name);
    return LETHE_OK;
}

struct listing {
    size_t prefix_length;
    struct policy_names *names;
};

/* A document lies in pieces; each name is wanted once. */
static lethe_result note_row(void *context, const char *path, uint64_t version,
                             struct lethe_error *err)
{
    const struct listing *listing = context;
    struct policy_names *names = listing->names;
    struct policy_name name;
    snprintf(name.text, sizeof name.text, "%.*s", (int)strcspn(path + listing->prefix_length, "/"),
             path + listing->prefix_length);
    if (names->count > 0 && strcmp(names->items[names->count - 1].text, name.text) == 0)
        return LETHE_OK;
    return policy_names_add(names, name.text, err);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct policy_name *)a)->text, ((const struct policy_name *)b)->text);
}

lethe_result policy_names_read(struct store *store, const char *prefix, struct policy_names *out,
                               struct lethe_error *err)
{
    struct listing listing = {strlen(prefix), out};
    TRY(store_list(store, prefix, note_row, &listing, err));
    if (out->count > 0)
        qsort(out->items, out->count, sizeof *out->items, compare_names);
    return LETHE_OK;
}

/* ---- changes --------------------------------------------------------------------------------- */

struct change {
    struct policies *policies;
    const struct policy_write *write;
    struct policy_sources sources;
    struct lethe_policy *policy;
    char what[POLICY_ROW_SIZE]; /* for the record */
};

static void change_clear_at_scope_end(struct change *change)
{
    policy_sources_clear(&change->sources);
    lethe_policy_free(change->policy);
}

static lethe_result put(struct store *store, const char *prefix, const struct policy_write *write,
                        struct lethe_error *err)
{
    bool is_tests = strcmp(prefix, ROWS_TESTS) == 0;
    const char *text = is_tests ? write->tests : write->text;
    size_t length = is_tests ? write->tests_length : write->length;
    char row[POLICY_ROW_SIZE];
    policy_row(prefix, write->name, row);
    if (text != NULL && (length > 0 || !is_tests))
        return document_put(store, row, text, length, err);
    lethe_result result = document_delete(store, row, err);
    return is_tests && result == LETHE_NOT_FOUND ? error_forget(err) : result;
}

static lethe_result write_rows(struct store *store, const struct policy_write *write,
                               uint64_t epoch, struct lethe_error *err)
{
    const uint64_t generation = htole64(epoch);
    TRY(put(store, write->prefix, write, err));
    if (strcmp(write->prefix, ROWS_MODULES) == 0)
        TRY(put(store, ROWS_TESTS, write, err));
    return store_put(store, ROWS_GENERATION, &generation, sizeof generation, STORE_ANY, err);
}

static lethe_result change_rows(struct store *store, void *context, uint64_t epoch,
                                struct audit_event *event, struct lethe_error *err)
{
    struct change *change = context;
    struct policies *policies = change->policies;
    TRY(write_rows(store, change->write, epoch, err));
    TRY(policy_sources_read(store, policies->service->options.policy_directory, &change->sources,
                            err));
    change->sources.generation = epoch;
    TRY(policy_check(&change->sources, &change->policy, err));
    if (strcmp(change->write->prefix, ROWS_DATA) == 0)
        *event = audit_permission_changed("*", "data of the policy",
                                          change->write->text != NULL ? "replaced" : "removed");
    else
        *event = audit_policy_changed(change->what, policies->digest,
                                      lethe_policy_digest(change->policy));
    return LETHE_OK;
}

lethe_result policies_write(struct policies *policies, const struct policy_write *write,
                            struct lethe_error *err)
{
    CLEANUP(change_clear) struct change change = {.policies = policies, .write = write};
    policy_row(write->prefix, write->name, change.what);
    TRY(keeper_change(policies->service->keeper, "", change_rows, &change, err));
    TRY(policies_use(policies, &change.sources, MOVE(change.policy), err));
    service_publish_text(policies->service, "policy_changed", "", "digest", policies->digest);
    return LETHE_OK;
}

lethe_result policies_text(struct policies *policies, const char *prefix, const char *name,
                           struct buffer *out, struct lethe_error *err)
{
    char row[POLICY_ROW_SIZE];
    policy_row(prefix, name, row);
    lethe_result result = document_get(keeper_store(policies->service->keeper), row, out, err);
    if (result == LETHE_NOT_FOUND && strcmp(row, ROWS_PATHS "default") == 0) {
        (void)error_forget(err);
        buffer_text(out, policy_default_text);
        return buffer_result(out, err);
    }
    return result;
}
