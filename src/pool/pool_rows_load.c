#include <string.h>

#include "base/error.h"
#include "pool/pool_rows.h"

struct load {
    struct store *store;
    const struct pool_rows_visit *visit;
};

/* What is parsed says where it lies: a row at another place is none of ours. */
static lethe_result is_at(const char *path, const char expected[POOL_PATH_SIZE])
{
    return strcmp(path, expected) == 0 ? LETHE_OK : LETHE_MALFORMED;
}

static lethe_result load_provider(const struct load *load, const char *path, struct cursor cursor,
                                  struct lethe_error *err)
{
    struct provider_row row;
    char own[POOL_PATH_SIZE];
    TRY(provider_row_parse(cursor, &row));
    provider_row_path(row.id, own);
    TRY(is_at(path, own));
    return load->visit->provider(load->visit->context, &row, err);
}

static lethe_result load_lease(const struct load *load, const char *path, struct cursor cursor,
                               struct lethe_error *err)
{
    struct lease_row row;
    char own[POOL_PATH_SIZE];
    TRY(lease_row_parse(cursor, &row));
    lease_row_path(&row.lease, own);
    TRY(is_at(path, own));
    return load->visit->lease(load->visit->context, &row, err);
}

static lethe_result load_quota(const struct load *load, const char *path, struct cursor cursor,
                               struct lethe_error *err)
{
    struct quota_row row;
    char own[POOL_PATH_SIZE];
    TRY(quota_row_parse(cursor, &row));
    quota_row_path(row.tenant, own);
    TRY(is_at(path, own));
    return load->visit->quota(load->visit->context, &row, err);
}

static lethe_result load_revoked(const struct load *load, const char *path, struct cursor cursor,
                                 struct lethe_error *err)
{
    struct revoked_row row;
    char own[POOL_PATH_SIZE];
    TRY(revoked_row_parse(cursor, &row));
    revoked_row_path(row.id, own);
    TRY(is_at(path, own));
    return load->visit->revoked(load->visit->context, &row, err);
}

typedef lethe_result load_row(const struct load *load, const char *path, struct cursor cursor,
                              struct lethe_error *err);
static const struct {
    const char *prefix;
    load_row *load;
} families[] = {
    {POOL_ROWS_PREFIX "providers/", load_provider},
    {POOL_ROWS_PREFIX "leases/", load_lease},
    {POOL_ROWS_PREFIX "quotas/", load_quota},
    {POOL_ROWS_PREFIX "revoked/", load_revoked},
};

/* A result of the visitor's own comes with a text; that of a parser does not. */
static lethe_result load_value(const struct load *load, load_row *family, const char *path,
                               struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
    TRY(store_get(load->store, path, &value, NULL, err));
    struct cursor cursor = cursor_over(lethe_secret_bytes_const(value), lethe_secret_size(value));
    lethe_result result = family(load, path, cursor, err);
    if (result == LETHE_MALFORMED)
        return error_set(err, LETHE_INTEGRITY, "the store's row \"%s\" is malformed", path);
    return result;
}

static load_row *family_of(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        if (strncmp(path, families[i].prefix, strlen(families[i].prefix)) == 0)
            return families[i].load;
    }
    return NULL;
}

static lethe_result visit_row(void *context, const char *path, uint64_t version,
                              struct lethe_error *err)
{
    load_row *family = family_of(path);
    if (family == NULL)
        return error_set(err, LETHE_INTEGRITY, "the store's row \"%s\" is of no known kind", path);
    return load_value(context, family, path, err);
}

lethe_result pool_rows_load(struct store *store, const struct pool_rows_visit *visit,
                            struct lethe_error *err)
{
    struct load load = {store, visit};
    /* Leases name their providers. */
    TRY(store_list(store, families[0].prefix, visit_row, &load, err));
    for (size_t i = 1; i < ARRAY_LEN(families); i++)
        TRY(store_list(store, families[i].prefix, visit_row, &load, err));
    return LETHE_OK;
}
