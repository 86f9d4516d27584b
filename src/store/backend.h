/* store/backend.h -- where rows lie: raw rows, one transaction at a time, no cryptography.
 *
 * A back end is a table of functions over its own state. It keeps two kinds of things: rows (path,
 * version, sealed value) and meta records (name, value). Results as in store.h. */
#ifndef STORE_BACKEND_H
#define STORE_BACKEND_H

#include "base/buffer.h"

struct store_row {
    const char *path;
    uint64_t version;
    const void *sealed;
    size_t sealed_bytes;
};
typedef lethe_result store_row_visit(void *context, const struct store_row *row,
                                     struct lethe_error *err);

struct store_backend {
    /* Rows whose path starts with `prefix`, in byte order; the row is borrowed for the call. */
    lethe_result (*visit)(void *state, const char *prefix, store_row_visit *visit, void *context,
                          struct lethe_error *err);
    lethe_result (*begin)(void *state, struct lethe_error *err);
    lethe_result (*write)(void *state, const struct store_row *row, struct lethe_error *err);
    lethe_result (*remove)(void *state, const char *path, struct lethe_error *err);
    lethe_result (*commit)(void *state, struct lethe_error *err);
    void (*rollback)(void *state);
    lethe_result (*meta_get)(void *state, const char *name, struct buffer *out,
                             struct lethe_error *err);
    lethe_result (*meta_put)(void *state, const char *name, const void *value, size_t size_bytes,
                             struct lethe_error *err);
    void (*close)(void *state);
};

/* The SQLite one (WAL, synchronous FULL, secure_delete). */
LETHE_MUST_CHECK lethe_result store_sqlite_open(const char *path, bool create,
                                                const struct store_backend **backend, void **state,
                                                struct lethe_error *err);

#endif
