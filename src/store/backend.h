/* store/backend.h -- where rows lie: raw rows and meta records, one view at a time, no
 * cryptography.
 *
 * A back end is a table of functions over its own state. It keeps rows (path, version, sealed
 * value) and meta records (name, value), and shows them through a view: one state of both, whatever
 * others do meanwhile. Results as in store.h: LETHE_INTEGRITY for anything that this back end never
 * wrote, LETHE_BUSY when another writer does not finish, LETHE_NO_SPACE, LETHE_IO. */
#ifndef STORE_BACKEND_H
#define STORE_BACKEND_H

#include "base/buffer.h"

struct store_row { /* borrowed, for the call */
    const char *path;
    uint64_t version;
    const void *sealed;
    size_t sealed_bytes;
    uint64_t lease; /* 0: none. Kept as it is; rows vanish by the store's own transactions only */
};
typedef lethe_result store_row_visit(void *context, const struct store_row *row,
                                     struct lethe_error *err);

enum store_access {
    STORE_READ,  /* a view of the newest committed state            */
    STORE_WRITE, /* the same, and nobody else writes until it ends  */
};

struct store_backend {
    /* Views do not nest. `commit` ends a view and makes its writes durable together, or fails and
     * leaves the view open; `rollback` ends it and forgets them. */
    lethe_result (*begin)(void *state, enum store_access access, struct lethe_error *err);
    lethe_result (*commit)(void *state, struct lethe_error *err);
    void (*rollback)(void *state);

    /* Inside a view. `visit` shows all rows, in any order, until a call gives something else than
     * LETHE_OK; `read` shows the one with the path and lease of `row`, or gives LETHE_NOT_FOUND. */
    lethe_result (*visit)(void *state, store_row_visit *visit, void *context,
                          struct lethe_error *err);
    lethe_result (*read)(void *state, const struct store_row *row, store_row_visit *visit,
                         void *context, struct lethe_error *err);
    /* Inside a STORE_WRITE view. `write` replaces the row of that path, which had the lease `was`
     * (0 also when there was no row). `remove` looks at path and lease; one that is missing may be
     * removed. */
    lethe_result (*write)(void *state, const struct store_row *row, uint64_t was,
                          struct lethe_error *err);
    lethe_result (*remove)(void *state, const struct store_row *row, struct lethe_error *err);

    /* Part of the open view; without one, of a view of their own. */
    lethe_result (*meta_get)(void *state, const char *name, struct buffer *out,
                             struct lethe_error *err);
    lethe_result (*meta_put)(void *state, const char *name, const void *value, size_t size_bytes,
                             struct lethe_error *err);

    /* Inside a STORE_WRITE view: removes every row and meta record, and overwrites their places. */
    lethe_result (*clear)(void *state, struct lethe_error *err);
    /* Outside a view: overwrites what is left of rows that were replaced or removed. */
    lethe_result (*forget)(void *state, struct lethe_error *err);
    /* Outside a view: whether these bytes are anywhere in the files, used or not. */
    lethe_result (*holds)(void *state, const void *bytes, size_t size_bytes, bool *found,
                          struct lethe_error *err);
    /* How long `begin` and what follows wait for another writer, from now on. */
    void (*set_patience)(void *state, unsigned busy_timeout_ms);
    /* Outside a view; frees `state`. */
    void (*close)(void *state);
};

/* A locked store over a back end, which it closes; `state` is moved, also on failure. */
struct store;
LETHE_MUST_CHECK lethe_result store_over(const struct store_backend *backend, void *state,
                                         struct store **out, struct lethe_error *err);

/* The SQLite one: write-ahead log, synchronous=FULL, secure_delete. */
struct store_sqlite_options {
    const char *path;
    bool create;              /* LETHE_EXISTS when it is there          */
    unsigned busy_timeout_ms; /* how long to wait for another writer    */
};
LETHE_MUST_CHECK lethe_result store_sqlite_open(const struct store_sqlite_options *options,
                                                void **state, struct lethe_error *err);
extern const struct store_backend store_sqlite;

#endif
