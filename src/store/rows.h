/* store/rows.h -- what a store knows of its rows: path, version, lease and digest of each, in byte
 * order of the paths.
 *
 * Filled from a scan that adds up to the head, and moved along with every write; what the back end
 * shows later is held against it. A list of short blocks, so that no order of writes is slow. Holds
 * no secret. */
#ifndef STORE_ROWS_H
#define STORE_ROWS_H

#include "store/seal.h"

/* STORE_PATH_MAX and what stands beside it. A prefix may be empty, or end in a slash. */
bool row_path_is_valid(const char *path, bool prefix);
/* Rows that the store keeps for itself begin with '~', which no caller's path has and which sorts
 * behind all of them. */
#define ROW_OWN '~'
bool row_path_is_own(const char *path);

struct row {
    char *path;
    uint64_t version;
    uint64_t lease;
    uint8_t digest[ROW_DIGEST_BYTES];
};
struct row_block;
struct rows { /* struct rows r = {0}; is empty */
    struct row_block **blocks;
    size_t block_count;
    size_t block_capacity;
    size_t count;
};
void rows_clear(struct rows *rows);

/* Valid until the next row is put or removed. */
struct rows_place {
    size_t block;
    size_t at;
};
/* The place of the first row whose path is not before `path`. */
struct rows_place rows_seek(const struct rows *rows, const char *path);
/* The row at the place, and one step forward; NULL at the end. */
const struct row *rows_next(const struct rows *rows, struct rows_place *place);
/* The last row whose path is before `path`; NULL when there is none. */
const struct row *rows_before(const struct rows *rows, const char *path);
/* NULL when there is none. */
const struct row *rows_find(const struct rows *rows, const char *path);
/* Adds or replaces. */
LETHE_MUST_CHECK lethe_result rows_put(struct rows *rows, const struct store_row *row,
                                       const uint8_t digest[ROW_DIGEST_BYTES],
                                       struct lethe_error *err);
/* The row's own copy of its path may be given: it is freed last. */
void rows_remove(struct rows *rows, const char *path);

#endif
