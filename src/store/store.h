/* store/store.h -- an encrypted key-value store that notices what is missing.
 *
 * A row is a path ("keys/default.vad.hot") with a version and a value. Values are AES-256-GCM under
 * the store key, path and version as associated data; paths and sizes are visible to whoever holds
 * the file. Encryption of rows alone does not notice a row that vanished or an old file put back,
 * so every transaction also moves an authenticated head: an epoch (plus one per transaction) and a
 * keyed sum over all rows. Unlocking checks every row against the head. Formats: docs/formats.md,
 * "Store".
 *
 * The rows lie in a back end (struct store_backend): SQLite here, others by the same table.
 * Thread rule: a store is used by one thread at a time; several processes may share one file. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/clock.h"
#include "mem/slab.h"

#define STORE_PATH_MAX 255 /* [A-Za-z0-9._/-], no empty part */
#define STORE_VALUE_MAX LETHE_SECRET_MAX_BYTES
#define STORE_KEY_BYTES 32u
#define STORE_META_MAX 4096u

struct store;

/* What a row must be for a write to happen. Versions start at 1. */
#define STORE_ABSENT ((uint64_t)0)
#define STORE_ANY UINT64_MAX

/* Opens the SQLite file `path`, created with mode 0600 when `create` and it is not there. The store
 * is locked: only store_meta_* and store_create_key work until store_unlock. LETHE_NOT_FOUND,
 * LETHE_EXISTS (create), LETHE_INTEGRITY (not such a file, or damaged). */
LETHE_MUST_CHECK lethe_result store_open(const char *path, bool create, struct store **out,
                                         struct lethe_error *err);
void store_close(
    struct store *store); /* forgets an open transaction; truncates the log of writes */
DEFINE_CLEANUP(store_close, struct store *);

/* Small plain records beside the rows, for what must be read before the key is known (the store key
 * under the root). Not covered by the head; their content must protect itself. */
LETHE_MUST_CHECK lethe_result store_meta_get(struct store *store, const char *name,
                                             struct buffer *out, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result store_meta_put(struct store *store, const char *name,
                                             const void *value, size_t size_bytes,
                                             struct lethe_error *err);

/* Gives a new store its first head (epoch 1, no rows) under `key` and unlocks it. */
LETHE_MUST_CHECK lethe_result store_format(struct store *store, const struct lethe_secret *key,
                                           struct lethe_error *err);
/* Checks the head and every row. LETHE_INTEGRITY names the row that is missing, extra or changed as
 * far as it can be known. */
LETHE_MUST_CHECK lethe_result store_unlock(struct store *store, const struct lethe_secret *key,
                                           struct lethe_error *err);
/* The newest epoch that this store has seen or made. */
uint64_t store_epoch(const struct store *store);

/* Reads, inside or outside a transaction. *value is the caller's. LETHE_NOT_FOUND. `version` may be
 * NULL. */
LETHE_MUST_CHECK lethe_result store_get(struct store *store, const char *path,
                                        struct lethe_secret **value, uint64_t *version,
                                        struct lethe_error *err);
/* Calls `row` for every path that starts with `prefix`, in byte order, until it gives something
 * else than LETHE_OK, which is then the result. `row` may read but not write. */
LETHE_MUST_CHECK lethe_result store_list(struct store *store, const char *prefix,
                                         lethe_result (*row)(void *context, const char *path,
                                                             uint64_t version,
                                                             struct lethe_error *err),
                                         void *context, struct lethe_error *err);

/* One transaction at a time: begin, writes, commit. Other processes wait for it (at most 10 s, then
 * LETHE_BUSY). Nothing is visible to anyone before commit, which is durable when it returns and
 * gives the new epoch. */
LETHE_MUST_CHECK lethe_result store_begin(struct store *store, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result store_put(struct store *store, const char *path, const void *value,
                                        size_t size_bytes, uint64_t expected_version,
                                        struct lethe_error *err); /* LETHE_CONFLICT */
LETHE_MUST_CHECK lethe_result store_delete(struct store *store, const char *path,
                                           uint64_t expected_version, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result store_commit(struct store *store, struct lethe_error *err);
void store_rollback(struct store *store); /* fine when no transaction is open */

#endif
