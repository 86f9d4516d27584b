/* store/inside.h -- one store and what its parts do for each other: views (view.c), rows (write.c),
 * leases (lease.c), history (history.c). */
#ifndef STORE_INSIDE_H
#define STORE_INSIDE_H

#include "store/backend.h"
#include "store/lease.h"
#include "store/rows.h"
#include "store/watch.h"

#define HEAD_NAME "head" /* the meta record that store_meta_* do not reach */

/* Rows of the store itself, beside LEASE_ROWS. */
#define HISTORY_ROW "~history"        /* the prefixes                                */
#define CHANGE_ROWS "~change/"        /* epoch "." place in it "." epoch of the last */
#define CHANGE_ROWS_BEHIND "~change0" /* sorts behind all of those                   */

/* What is kept in mind of `rows` is read anew when they were. */
struct leases {
    bool known;
    uint64_t next_due_ms;  /* no lease is due before                            */
    uint64_t looked_at_ms; /* a clock that is behind this has stepped back      */
};
struct history {
    bool known;
    size_t prefixes;
    struct history_prefix {
        uint64_t since; /* the first epoch whose changes are kept is one more */
        char text[STORE_PATH_MAX + 1];
    } prefix[STORE_HISTORY_PREFIXES_MAX];
    size_t rows;
};

/* A view is open while `views` > 0. Inside one, `head` and `rows` are what the back end shows, with
 * the writes of an open transaction; head.epoch moves only when it is committed. */
struct store {
    const struct store_backend *backend;
    void *state;
    struct seal_keys keys;     /* all NULL: locked                                           */
    struct seal_keys previous; /* all NULL, but in a transaction that changed the store key  */
    store_key_lookup *lookup;
    void *lookup_context;

    struct head head;
    uint8_t sealed_head[HEAD_SEALED_BYTES]; /* as it was when `rows` were checked against it */
    struct rows rows;
    bool damaged; /* found by what was asked last */
    bool stale;   /* `head` and `rows` must be read again */

    unsigned views;
    bool writing;
    bool touched; /* by the open transaction: what is in mind is not what is in the back end */
    lethe_result broken; /* why the open transaction can only be rolled back */

    struct store_clock clock; /* now_ms NULL: not needed so far */
    struct leases leases;
    uint64_t attach_to; /* the lease of rows that are put now */
    struct history history;
    struct rows changed; /* by the open transaction, where history is kept; version 0: deleted */
};

/* ---- store.c --------------------------------------------------------------------------------- */

LETHE_MUST_CHECK lethe_result store_write_head(struct store *store, const struct head *head,
                                               uint8_t sealed[HEAD_SEALED_BYTES],
                                               struct lethe_error *err);

/* ---- view.c ---------------------------------------------------------------------------------- */

bool store_is_locked(const struct store *store);
/* Views nest here, as they do not in a back end: the outermost one decides what is seen. */
LETHE_MUST_CHECK lethe_result store_view_enter(struct store *store, enum store_access access,
                                               struct lethe_error *err);
void store_view_leave(struct store *store);
DEFINE_CLEANUP(store_view_leave, struct store *);
LETHE_MUST_CHECK lethe_result store_check_path(const char *path, bool prefix,
                                               struct lethe_error *err);
/* Inside a view: the value of a row of `rows`. */
LETHE_MUST_CHECK lethe_result store_row_read(struct store *store, const struct row *known,
                                             struct lethe_secret **value, struct lethe_error *err);

/* ---- write.c: inside a transaction; after a failure it can only be rolled back --------------- */

/* Writes row->path, the version after the one it has, on row->lease. */
LETHE_MUST_CHECK lethe_result store_row_put(struct store *store, const struct store_row *row,
                                            const void *value, size_t size_bytes,
                                            struct lethe_error *err);
LETHE_MUST_CHECK lethe_result store_row_remove(struct store *store, const struct row *known,
                                               struct lethe_error *err);

/* ---- history.c ------------------------------------------------------------------------------- */

/* Inside a view: makes store->history what the rows say. */
LETHE_MUST_CHECK lethe_result history_look(struct store *store, struct lethe_error *err);
/* Inside a transaction: remembers that the row was written or, version 0, removed. */
LETHE_MUST_CHECK lethe_result history_note(struct store *store, const char *path, uint64_t version,
                                           struct lethe_error *err);
/* Writes what was noted, for the epoch after the head's, and forgets the oldest. */
LETHE_MUST_CHECK lethe_result history_write(struct store *store, struct lethe_error *err);
/* Inside a view: the epoch after which all changes under `prefix` are there. LETHE_INVALID when
 * they are not kept. */
LETHE_MUST_CHECK lethe_result history_floor(struct store *store, const char *prefix,
                                            uint64_t *floor, struct lethe_error *err);

/* The path of a row of changes, taken apart. */
struct change_name {
    uint64_t epoch;
    uint16_t place;  /* of this row among those of its epoch     */
    uint64_t before; /* the epoch of the changes before; 0: none */
};
#define CHANGE_NAME_BYTES (sizeof CHANGE_ROWS + 16 + 1 + 4 + 1 + 16)
void change_name_write(const struct change_name *name, char out[CHANGE_NAME_BYTES]);
/* LETHE_INTEGRITY for any other path. */
LETHE_MUST_CHECK lethe_result change_name_read(const char *path, struct change_name *out,
                                               struct lethe_error *err);

#endif
