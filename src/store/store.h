/* store/store.h -- an encrypted key-value store that notices what is missing.
 *
 * A row is a path ("keys/default.vad.hot") with a version and a value. Values are AES-256-GCM under
 * a key derived from the store key, path and version as associated data; paths and sizes are
 * visible to whoever holds the file. Encryption of rows alone does not notice a row that vanished
 * or an old one put back, so every transaction also moves an authenticated head: an epoch (plus one
 * per transaction), the number of rows, and a keyed sum over all of them. Every answer comes from a
 * state whose every row was checked against its head; an epoch below one already seen is refused.
 * What cannot be seen from here is the whole file put back as it was before this process looked:
 * that is what the keeper's pin in the log is for. Formats: docs/formats.md, "Store".
 *
 * The rows lie in a back end (struct store_backend): SQLite here, others by the same table.
 * Thread rule: a store is used by one thread at a time; several processes may share one file. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/buffer.h"
#include "mem/slab.h"

#define STORE_PATH_MAX 255u /* [A-Za-z0-9._/-], no empty part between slashes */
#define STORE_VALUE_MAX LETHE_SECRET_MAX_BYTES
#define STORE_KEY_BYTES 32u
#define STORE_META_NAME_MAX 32u /* [a-z0-9_-] */
#define STORE_META_MAX 4096u
#define STORE_BUSY_TIMEOUT_MS 10000u

struct store;

/* ---- opening --------------------------------------------------------------------------------- */

/* Opens the SQLite file `path`, or makes it (mode 0600, and so are the files beside it) when
 * `create`. The store is locked: only store_meta_*, store_format, store_unlock and store_close may
 * be called. LETHE_NOT_FOUND, LETHE_EXISTS (create), LETHE_UNPROTECTED (others can read it),
 * LETHE_INTEGRITY (no file of ours, or a damaged one). */
LETHE_MUST_CHECK lethe_result store_open(const char *path, bool create, struct store **out,
                                         struct lethe_error *err);
/* Forgets an open transaction; the last one to close folds the write-ahead log into the file. NULL
 * is fine. */
void store_close(struct store *store);
/* From now on a transaction waits at most so long for that of another process; 0: not at all. As it
 * was opened, it is STORE_BUSY_TIMEOUT_MS. */
void store_set_patience(struct store *store, unsigned busy_timeout_ms);
DEFINE_CLEANUP(store_close, struct store *);

/* Small plain records beside the rows, for what must be read before the key is known (the store key
 * under the root). Not covered by the head: their content must protect itself. Part of the open
 * transaction, otherwise durable when they return. LETHE_NOT_FOUND, LETHE_INVALID (name or size).
 */
LETHE_MUST_CHECK lethe_result store_meta_get(struct store *store, const char *name,
                                             struct buffer *out, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result store_meta_put(struct store *store, const char *name,
                                             const void *value, size_t size_bytes,
                                             struct lethe_error *err);

/* Gives a new store its first head (epoch 1, no rows) under `key` and unlocks it. LETHE_EXISTS when
 * it has one. The key is only read: the caller frees it. */
LETHE_MUST_CHECK lethe_result store_format(struct store *store, const struct lethe_secret *key,
                                           struct lethe_error *err);
/* Checks the head and every row. LETHE_INTEGRITY names the row that was changed, or says how many
 * are missing or too many, as far as it can be known. The store stays locked on failure. */
LETHE_MUST_CHECK lethe_result store_unlock(struct store *store, const struct lethe_secret *key,
                                           struct lethe_error *err);
/* The newest epoch that this store has seen or made; 0 while it is locked. */
uint64_t store_epoch(const struct store *store);

/* Whether the last that was asked of this store found what it never wrote. */
bool store_is_damaged(const struct store *store);

/* ---- reading: inside a transaction (its own writes included) or outside ---------------------- */

/* *value is the caller's; `version` may be NULL. LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result store_get(struct store *store, const char *path,
                                        struct lethe_secret **value, uint64_t *version,
                                        struct lethe_error *err);
/* Calls `row` for every path that starts with `prefix`, in byte order, until it gives something
 * else than LETHE_OK, which is then the result. All calls, and what they read with store_get, see
 * one state; they must not write. */
typedef lethe_result store_path_visit(void *context, const char *path, uint64_t version,
                                      struct lethe_error *err);
LETHE_MUST_CHECK lethe_result store_list(struct store *store, const char *prefix,
                                         store_path_visit *row, void *context,
                                         struct lethe_error *err);

/* ---- writing --------------------------------------------------------------------------------- */

/* What a row must be for a write to happen: absent, anything, or of one version. Versions start at
 * 1 and every write of the row adds one; a row that was deleted starts anew. */
#define STORE_ABSENT ((uint64_t)0)
#define STORE_ANY UINT64_MAX

/* One transaction at a time: begin, writes, commit. Other processes wait for it (as
 * long as their patience, then LETHE_BUSY). Nothing is visible to anyone before commit, which is
 * durable when it returns and moves the epoch by one. */
LETHE_MUST_CHECK lethe_result store_begin(struct store *store, struct lethe_error *err);
/* LETHE_CONFLICT when the row is not as expected, LETHE_INVALID (path; size 1 to STORE_VALUE_MAX):
 * nothing was written and the transaction goes on. After any other failure it can only be rolled
 * back. */
LETHE_MUST_CHECK lethe_result store_put(struct store *store, const char *path, const void *value,
                                        size_t size_bytes, uint64_t expected_version,
                                        struct lethe_error *err);
/* As store_put; LETHE_NOT_FOUND when any version would do and there is none. */
LETHE_MUST_CHECK lethe_result store_delete(struct store *store, const char *path,
                                           uint64_t expected_version, struct lethe_error *err);
/* On failure the transaction is rolled back and nothing has changed, with one exception that no
 * store can help: after LETHE_IO (the disk refused to confirm) only the next opening can tell. */
LETHE_MUST_CHECK lethe_result store_commit(struct store *store, struct lethe_error *err);
/* Fine when no transaction is open, so that a writer says once, after begin:
 *     CLEANUP(store_rollback) struct store *transaction = store;  */
void store_rollback(struct store *store);
DEFINE_CLEANUP(store_rollback, struct store *);

/* ---- another store key ----------------------------------------------------------------------- */

/* Inside a transaction, in which more may be written afterwards: every row, with version and value
 * as they were, and the head are sealed under `key` from here on, and what a key may seal is
 * counted anew. The old pages are overwritten as a whole, and with them the meta records: what the
 * caller wants to keep of them it writes again. The key is only read. On failure as store_put. */
LETHE_MUST_CHECK lethe_result store_rekey(struct store *store, const struct lethe_secret *key,
                                          struct lethe_error *err);
/* How this process goes on when another one changed the store key: asked when the head does not
 * open, inside the view, so that store_meta_get shows what belongs to that head. *key is the
 * store's to free. Whatever it gives but LETHE_OK is the result of the read or write. */
typedef lethe_result store_key_lookup(void *context, struct lethe_secret **key,
                                      struct lethe_error *err);
void store_follow(struct store *store, store_key_lookup *lookup, void *context);

/* Outside a transaction: nothing is left in the files of rows that were deleted, nor, after a
 * store_rekey, of anything that was sealed before. LETHE_BUSY while another process looks at an
 * older state: it can be done again. */
LETHE_MUST_CHECK lethe_result store_forget(struct store *store, struct lethe_error *err);
/* Outside a transaction: whether 1 to STORE_META_MAX bytes are anywhere in the files, in pages that
 * are not in use too. */
LETHE_MUST_CHECK lethe_result store_holds(struct store *store, const void *bytes, size_t size_bytes,
                                          bool *found, struct lethe_error *err);

#endif
