#include "kms/usage.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "base/text.h"
#include "base/validate.h"
#include "crypto/hash.h"
#include "kms/keeper_core.h"

#define PREFIX "usage/"
#define HASH_BYTES 12u
#define PATH_SIZE (sizeof PREFIX + KEY_NAME_MAX + 1 + 2 * HASH_BYTES)
#define ROW_FORMAT 1
#define FRESH_S 3600u /* the same report within it is not written again */

/* ---- rows ------------------------------------------------------------------------------------ */

static lethe_result parse_counts(struct cursor *cursor, struct usage_row *out)
{
    for (; cursor_left(cursor) > 0; out->count++) {
        struct usage_count *count = &out->counts[out->count];
        if (out->count == USAGE_VERSIONS_MAX)
            return LETHE_MALFORMED;
        TRY(cursor_le64(cursor, &count->version));
        TRY(cursor_le64(cursor, &count->shards));
        if (count->version == 0 || count->shards == 0)
            return LETHE_MALFORMED;
    }
    return out->count > 0 ? LETHE_OK : LETHE_MALFORMED;
}

lethe_result usage_row_parse(const void *bytes, size_t size_bytes, struct usage_row *out)
{
    struct cursor cursor = cursor_over(bytes, size_bytes);
    uint8_t format;
    uint32_t length;
    const uint8_t *model;
    *out = (struct usage_row){0};
    TRY(cursor_u8(&cursor, &format));
    TRY(cursor_le64(&cursor, &out->reported_s));
    TRY(cursor_le32(&cursor, &length));
    TRY(cursor_bytes(&cursor, length, &model));
    if (format != ROW_FORMAT || length == 0 || length > USAGE_MODEL_MAX ||
        memchr(model, '\0', length) != NULL)
        return LETHE_MALFORMED;
    memcpy(out->model, model, length);
    return parse_counts(&cursor, out);
}

void usage_row_format(const struct usage_row *row, struct buffer *out)
{
    buffer_byte(out, ROW_FORMAT);
    buffer_le64(out, row->reported_s);
    buffer_prefixed(out, row->model, strlen(row->model));
    for (size_t i = 0; i < row->count; i++) {
        buffer_le64(out, row->counts[i].version);
        buffer_le64(out, row->counts[i].shards);
    }
}

static void row_path(const char *key, const char *model, char out[PATH_SIZE])
{
    uint8_t digest[SHA256_BYTES];
    char text[2 * HASH_BYTES + 1];
    sha256(model, strlen(model), digest);
    hex_encode(digest, HASH_BYTES, text);
    snprintf(out, PATH_SIZE, PREFIX "%s/%s", key, text);
}

static lethe_result read_row(struct store *store, const char *path, struct usage_row *out,
                             struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
    TRY(store_get(store, path, &value, NULL, err));
    if (usage_row_parse(lethe_secret_bytes_const(value), lethe_secret_size(value), out) == LETHE_OK)
        return LETHE_OK;
    return error_set(err, LETHE_INTEGRITY, "%s is not stored in a form that we know", path);
}

/* ---- listing --------------------------------------------------------------------------------- */

struct paths {
    char (*at)[PATH_SIZE];
    size_t count;
};

static void paths_clear_at_scope_end(struct paths *paths)
{
    free(paths->at);
}

static lethe_result add_path(void *context, const char *path, uint64_t version,
                             struct lethe_error *err)
{
    struct paths *paths = context;
    char(*grown)[PATH_SIZE] = reallocarray(paths->at, paths->count + 1, sizeof *grown);
    if (grown == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the models of a key");
    paths->at = grown;
    snprintf(paths->at[paths->count++], PATH_SIZE, "%s", path);
    return LETHE_OK;
}

static lethe_result list_paths(struct store *store, const char *key, struct paths *out,
                               struct lethe_error *err)
{
    char prefix[PATH_SIZE];
    snprintf(prefix, sizeof prefix, PREFIX "%s/", key);
    return store_list(store, prefix, add_path, out, err);
}

/* ---- reporting ------------------------------------------------------------------------------- */

static lethe_result check_report(const struct key_info *info, const struct usage_count *counts,
                                 size_t count, struct lethe_error *err)
{
    if (count > USAGE_VERSIONS_MAX)
        return error_set(err, LETHE_LIMIT, "a report has at most %u versions", USAGE_VERSIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (counts[i].version == 0 || counts[i].version > info->newest_version ||
            counts[i].shards == 0)
            return error_set(err, LETHE_INVALID,
                             "a report has versions from 1 to %" PRIu64 ", each with 1 shard or "
                             "more",
                             info->newest_version);
    }
    return LETHE_OK;
}

static lethe_result check_room(struct store *store, const char *key, struct lethe_error *err)
{
    CLEANUP(paths_clear) struct paths paths = {0};
    TRY(list_paths(store, key, &paths, err));
    return paths.count < USAGE_MODELS_MAX
               ? LETHE_OK
               : error_set(err, LETHE_LIMIT, "%u models were reported of the key %s already",
                           USAGE_MODELS_MAX, key);
}

static bool says_the_same(const struct usage_row *a, const struct usage_row *b)
{
    return a->count == b->count && a->reported_s <= b->reported_s &&
           b->reported_s - a->reported_s < FRESH_S &&
           memcmp(a->counts, b->counts, a->count * sizeof *a->counts) == 0;
}

/* Inside a transaction. */
static lethe_result write_row(struct store *store, const char *key, const struct usage_row *row,
                              struct lethe_error *err)
{
    char path[PATH_SIZE];
    struct usage_row before;
    row_path(key, row->model, path);
    lethe_result result = read_row(store, path, &before, err);
    bool is_new = result == LETHE_NOT_FOUND;
    if (is_new)
        TRY(check_room(store, key, err));
    else
        TRY(result);
    if (row->count == 0)
        return is_new ? LETHE_OK : store_delete(store, path, STORE_ANY, err);
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    usage_row_format(row, &bytes);
    TRY(buffer_result(&bytes, err));
    return store_put(store, path, bytes.bytes, bytes.size_bytes, STORE_ANY, err);
}

static lethe_result is_known(struct store *store, const char *key, const struct usage_row *row,
                             bool *known, struct lethe_error *err)
{
    char path[PATH_SIZE];
    struct usage_row before;
    row_path(key, row->model, path);
    lethe_result result = read_row(store, path, &before, err);
    *known = result == LETHE_OK ? says_the_same(&before, row)
                                : result == LETHE_NOT_FOUND && row->count == 0;
    return result == LETHE_NOT_FOUND ? error_forget(err) : result;
}

/* As with reserved uses, nothing that others remember of rows changes by it. */
static lethe_result write_alone(struct keeper *keeper, const char *key, const struct usage_row *row,
                                struct lethe_error *err)
{
    TRY(keeper_begin(keeper, err));
    CLEANUP(store_rollback) struct store *transaction = keeper->store;
    bool had_looked = keeper->looked_epoch == store_epoch(transaction);
    TRY(write_row(transaction, key, row, err));
    TRY(store_commit(transaction, err));
    if (had_looked)
        keeper->looked_epoch = store_epoch(transaction);
    return LETHE_OK;
}

lethe_result usage_report(struct keeper *keeper, const char *key, const char *model,
                          const struct usage_count *counts, size_t count, struct lethe_error *err)
{
    bool known;
    struct key_info info;
    struct usage_row row = {.reported_s = keeper_now_s(keeper), .count = count};
    TRY(validate_model_reference("model", model, err));
    TRY(keyring_info(keeper->store, key, &info, err));
    TRY(check_report(&info, counts, count, err));
    snprintf(row.model, sizeof row.model, "%s", model);
    if (count > 0)
        memcpy(row.counts, counts, count * sizeof *counts);
    TRY(is_known(keeper->store, key, &row, &known, err));
    return known ? LETHE_OK : write_alone(keeper, key, &row, err);
}

/* ---- reading --------------------------------------------------------------------------------- */

static lethe_result visit_row(const struct usage_row *row, usage_visit *visit, void *context,
                              struct lethe_error *err)
{
    for (size_t i = 0; i < row->count; i++) {
        const struct usage usage = {
            .model = row->model, .count = row->counts[i], .reported_s = row->reported_s};
        TRY(visit(context, &usage, err));
    }
    return LETHE_OK;
}

lethe_result usage_read(struct keeper *keeper, const char *key, usage_visit *visit, void *context,
                        struct lethe_error *err)
{
    enum key_kind kind;
    CLEANUP(paths_clear) struct paths paths = {0};
    TRY(key_name_check_any(key, &kind, err));
    TRY(list_paths(keeper->store, key, &paths, err));
    for (size_t i = 0; i < paths.count; i++) {
        struct usage_row row;
        TRY(read_row(keeper->store, paths.at[i], &row, err));
        TRY(visit_row(&row, visit, context, err));
    }
    return LETHE_OK;
}

lethe_result usage_drop(struct store *store, const char *key, struct lethe_error *err)
{
    CLEANUP(paths_clear) struct paths paths = {0};
    TRY(list_paths(store, key, &paths, err));
    for (size_t i = 0; i < paths.count; i++)
        TRY(store_delete(store, paths.at[i], STORE_ANY, err));
    return LETHE_OK;
}
