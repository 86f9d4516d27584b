/* Documents in rows: the size (le64) and the content, cut into values as large as the store takes.
 */
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "kms/change.h"

#define SIZE_BYTES sizeof(uint64_t)
#define PIECES_MAX ((DOCUMENT_MAX_BYTES + SIZE_BYTES + STORE_VALUE_MAX - 1) / STORE_VALUE_MAX)
#define PIECE_PATH_SIZE (STORE_PATH_MAX + 24)

static void piece_path(const char *path, size_t piece, char out[PIECE_PATH_SIZE])
{
    snprintf(out, PIECE_PATH_SIZE, "%.*s/%zu", (int)STORE_PATH_MAX, path, piece);
}

/* Removes the pieces from `piece` on; *removed says how many. */
static lethe_result remove_pieces(struct store *store, const char *path, size_t piece,
                                  size_t *removed, struct lethe_error *err)
{
    char at[PIECE_PATH_SIZE];
    struct lethe_error missing = {0};
    for (*removed = 0; piece < PIECES_MAX; piece++, ++*removed) {
        piece_path(path, piece, at);
        lethe_result result = store_delete(store, at, STORE_ANY, &missing);
        if (result == LETHE_NOT_FOUND)
            return LETHE_OK;
        if (result != LETHE_OK && err != NULL)
            *err = missing;
        TRY(result);
    }
    return LETHE_OK;
}

lethe_result document_put(struct store *store, const char *path, const void *bytes,
                          size_t size_bytes, struct lethe_error *err)
{
    char at[PIECE_PATH_SIZE];
    size_t piece = 0;
    size_t removed;
    if (size_bytes > DOCUMENT_MAX_BYTES)
        return error_set(err, LETHE_LIMIT, "a document has at most %zu bytes, not %zu",
                         DOCUMENT_MAX_BYTES, size_bytes);
    CLEANUP(buffer_clear) struct buffer whole = {0};
    const uint64_t size = htole64(size_bytes);
    buffer_append(&whole, &size, sizeof size);
    buffer_append(&whole, bytes, size_bytes);
    TRY(buffer_result(&whole, err));
    for (size_t done = 0; done < whole.size_bytes; piece++) {
        size_t here = MIN(whole.size_bytes - done, (size_t)STORE_VALUE_MAX);
        piece_path(path, piece, at);
        TRY(store_put(store, at, whole.bytes + done, here, STORE_ANY, err));
        done += here;
    }
    return remove_pieces(store, path, piece, &removed, err);
}

static lethe_result damaged(const char *path, struct lethe_error *err)
{
    return error_set(err, LETHE_INTEGRITY, "the document %s is not stored in a form that we know",
                     path);
}

static lethe_result take_first(const char *path, const struct lethe_secret *piece,
                               struct buffer *out, size_t *left_bytes, struct lethe_error *err)
{
    uint64_t size;
    size_t here = lethe_secret_size(piece);
    if (here < sizeof size)
        return damaged(path, err);
    memcpy(&size, lethe_secret_bytes_const(piece), sizeof size);
    size = le64toh(size);
    here -= sizeof size;
    if (size > DOCUMENT_MAX_BYTES || here > size)
        return damaged(path, err);
    buffer_append(out, lethe_secret_bytes_const(piece) + sizeof size, here);
    *left_bytes = (size_t)size - here;
    return LETHE_OK;
}

static lethe_result take_next(const char *path, const struct lethe_secret *piece,
                              struct buffer *out, size_t *left_bytes, struct lethe_error *err)
{
    size_t here = lethe_secret_size(piece);
    if (here > *left_bytes)
        return damaged(path, err);
    buffer_append(out, lethe_secret_bytes_const(piece), here);
    *left_bytes -= here;
    return LETHE_OK;
}

lethe_result document_get(struct store *store, const char *path, struct buffer *out,
                          struct lethe_error *err)
{
    char at[PIECE_PATH_SIZE];
    size_t left_bytes = 1;
    for (size_t piece = 0; left_bytes > 0; piece++) {
        CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
        piece_path(path, piece, at);
        lethe_result result = store_get(store, at, &value, NULL, err);
        if (result == LETHE_NOT_FOUND)
            return piece > 0 ? damaged(path, err)
                             : error_set(err, LETHE_NOT_FOUND, "there is no document %s", path);
        TRY(result);
        TRY((piece == 0 ? take_first : take_next)(path, value, out, &left_bytes, err));
    }
    return buffer_result(out, err);
}

lethe_result document_delete(struct store *store, const char *path, struct lethe_error *err)
{
    size_t removed;
    TRY(remove_pieces(store, path, 0, &removed, err));
    return removed > 0 ? LETHE_OK
                       : error_set(err, LETHE_NOT_FOUND, "there is no document %s", path);
}

lethe_result row_number_get(struct store *store, const char *path, uint64_t *out,
                            struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    *out = 0;
    lethe_result result = store_get(store, path, &row, NULL, err);
    if (result == LETHE_NOT_FOUND)
        return error_forget(err);
    TRY(result);
    if (lethe_secret_size(row) != sizeof *out)
        return error_set(err, LETHE_INTEGRITY, "the row %s is not a number", path);
    memcpy(out, lethe_secret_bytes_const(row), sizeof *out);
    *out = le64toh(*out);
    return LETHE_OK;
}
