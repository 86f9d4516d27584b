#include "store/scan.h"

#include <inttypes.h>

#include "base/error.h"

struct scan {
    const struct seal_keys *keys;
    struct rows rows;
    struct head sum; /* of what was seen */
};

static lethe_result scan_row(void *context, const struct store_row *row, struct lethe_error *err)
{
    struct scan *scan = context;
    if (!row_path_is_valid(row->path, false) && !row_path_is_own(row->path))
        return error_set(err, LETHE_INTEGRITY, "the store has a row with a path that no row has");
    if (rows_find(&scan->rows, row->path) != NULL)
        return error_set(err, LETHE_INTEGRITY, "row %s is there twice", row->path);
    uint8_t digest[ROW_DIGEST_BYTES];
    TRY(seal_row_digest(scan->keys, row, digest, err));
    head_add(&scan->sum, digest);
    return rows_put(&scan->rows, row, digest, err);
}

static lethe_result open_row(void *context, const struct store_row *row, struct lethe_error *err)
{
    const struct scan *scan = context;
    CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
    return seal_row_open(scan->keys, row, &value, err);
}

/* Says why rows do not add up to the head. */
static lethe_result explain(const struct scan_source *source, const struct head *head,
                            struct scan *scan, struct lethe_error *err)
{
    const struct head *found = &scan->sum;
    TRY(source->backend->visit(source->state, open_row, scan, err));
    if (found->rows == head->rows)
        return error_set(err, LETHE_INTEGRITY,
                         "a row of the store was replaced by an older one or by another");
    return error_set(err, LETHE_INTEGRITY, "the store has %" PRIu64 " rows instead of %" PRIu64,
                     found->rows, head->rows);
}

lethe_result scan_rows(const struct scan_source *source, const struct head *head, struct rows *rows,
                       struct lethe_error *err)
{
    struct scan scan = {.keys = source->keys};
    lethe_result result = source->backend->visit(source->state, scan_row, &scan, err);
    bool adds_up =
        scan.sum.rows == head->rows && bytes_equal(scan.sum.sum, head->sum, sizeof head->sum);
    if (result == LETHE_OK && !adds_up)
        result = explain(source, head, &scan, err);
    if (result != LETHE_OK) {
        rows_clear(&scan.rows);
        return result;
    }
    rows_clear(rows);
    *rows = scan.rows; /* moved */
    return LETHE_OK;
}
