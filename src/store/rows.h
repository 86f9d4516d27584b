/* store/rows.h -- what a store knows of its rows: path, version and digest of each, in byte order.
 *
 * Filled from a scan that adds up to the head, and moved along with every write; what the back end
 * shows later is held against it. Holds no secret. */
#ifndef STORE_ROWS_H
#define STORE_ROWS_H

#include "store/seal.h"

/* STORE_PATH_MAX and what stands beside it. A prefix may be empty, or end in a slash. */
bool row_path_is_valid(const char *path, bool prefix);

struct row {
    char *path;
    uint64_t version;
    uint8_t digest[ROW_DIGEST_BYTES];
};
struct rows { /* struct rows r = {0}; is empty */
    struct row *at;
    size_t count;
    size_t capacity;
};
void rows_clear(struct rows *rows);

/* The place of the first row whose path is not before `path`. */
size_t rows_seek(const struct rows *rows, const char *path);
/* NULL when there is none. */
const struct row *rows_find(const struct rows *rows, const char *path);
/* Adds or replaces. */
LETHE_MUST_CHECK lethe_result rows_put(struct rows *rows, const struct store_row *row,
                                       const uint8_t digest[ROW_DIGEST_BYTES],
                                       struct lethe_error *err);
void rows_remove(struct rows *rows, const char *path);

#endif
