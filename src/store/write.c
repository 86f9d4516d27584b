#include "store/inside.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "store/reseal.h"

/* ---- writing --------------------------------------------------------------------------------- */

lethe_result store_begin(struct store *store, struct lethe_error *err)
{
    REQUIRE(store->views == 0);
    TRY(store_view_enter(store, STORE_WRITE, err));
    lethe_result result = history_look(store, err);
    if (result != LETHE_OK) {
        store_view_leave(store);
        return result;
    }
    store->writing = true;
    store->touched = false;
    store->broken = LETHE_OK;
    return LETHE_OK;
}

/* What a transaction leaves behind when it has ended, either way. */
static void end_transaction(struct store *store)
{
    store->writing = false;
    store->attach_to = STORE_NO_LEASE;
    rows_clear(&store->changed);
}

void store_rollback(struct store *store)
{
    if (store == NULL || !store->writing)
        return;
    REQUIRE(store->views == 1);
    if (store->previous.row != NULL) {
        seal_keys_clear(&store->keys);
        store->keys = store->previous; /* moved */
        store->previous = (struct seal_keys){0};
    }
    end_transaction(store);
    store->stale = store->stale || store->touched;
    store_view_leave(store);
}

static lethe_result check_writable(struct store *store, const char *path, struct lethe_error *err)
{
    REQUIRE(store->writing && store->views == 1);
    if (store->broken != LETHE_OK)
        return error_set(err, store->broken, "an earlier write of this transaction failed");
    return store_check_path(path, false, err);
}

static lethe_result check_expected(const char *path, const struct row *known, uint64_t expected,
                                   struct lethe_error *err)
{
    uint64_t version = known == NULL ? STORE_ABSENT : known->version;
    if (expected == STORE_ANY || expected == version)
        return LETHE_OK;
    return error_set(err, LETHE_CONFLICT,
                     "row %s is at version %" PRIu64 ", not %" PRIu64 " (0: absent)", path, version,
                     expected);
}

static lethe_result write_row(struct store *store, const struct store_row *row,
                              const struct row *known, struct lethe_error *err)
{
    uint8_t digest[ROW_DIGEST_BYTES];
    TRY(seal_row_digest(&store->keys, row, digest, err));
    TRY(store->backend->write(store->state, row, known == NULL ? 0 : known->lease, err));
    if (known != NULL)
        head_remove(&store->head, known->digest);
    head_add(&store->head, digest);
    TRY(history_note(store, row->path, row->version, err));
    return rows_put(&store->rows, row, digest, err);
}

static lethe_result put_row(struct store *store, const struct store_row *wanted, const void *value,
                            size_t size_bytes, struct lethe_error *err)
{
    struct sealed sealed;
    struct store_row row = *wanted;
    if (store->head.seals >= SEALS_MAX)
        return error_set(err, LETHE_LIMIT,
                         "the store key has sealed as many values as one key may");
    const struct row *known = rows_find(&store->rows, row.path);
    row.version = known == NULL ? 1 : known->version + 1;
    store->head.seals++;
    TRY(seal_row(&store->keys, &row, value, size_bytes, &sealed, err));
    return write_row(store, &row, known, err);
}

lethe_result store_row_put(struct store *store, const struct store_row *row, const void *value,
                           size_t size_bytes, struct lethe_error *err)
{
    store->touched = true;
    store->broken = put_row(store, row, value, size_bytes, err);
    return store->broken;
}

static lethe_result remove_row(struct store *store, const struct row *known,
                               struct lethe_error *err)
{
    const struct store_row row = {.path = known->path, .lease = known->lease};
    TRY(store->backend->remove(store->state, &row, err));
    TRY(history_note(store, row.path, STORE_ABSENT, err));
    head_remove(&store->head, known->digest);
    rows_remove(&store->rows, row.path);
    return LETHE_OK;
}

lethe_result store_row_remove(struct store *store, const struct row *known, struct lethe_error *err)
{
    store->touched = true;
    store->broken = remove_row(store, known, err);
    return store->broken;
}

lethe_result store_put(struct store *store, const char *path, const void *value, size_t size_bytes,
                       uint64_t expected_version, struct lethe_error *err)
{
    TRY(check_writable(store, path, err));
    if (size_bytes < 1 || size_bytes > STORE_VALUE_MAX)
        return error_set(err, LETHE_INVALID, "a value in the store has 1 to %u bytes, not %zu",
                         STORE_VALUE_MAX, size_bytes);
    TRY(check_expected(path, rows_find(&store->rows, path), expected_version, err));
    const struct store_row row = {.path = path, .lease = store->attach_to};
    return store_row_put(store, &row, value, size_bytes, err);
}

lethe_result store_delete(struct store *store, const char *path, uint64_t expected_version,
                          struct lethe_error *err)
{
    TRY(check_writable(store, path, err));
    REQUIRE(expected_version != STORE_ABSENT);
    const struct row *known = rows_find(&store->rows, path);
    TRY(check_expected(path, known, expected_version, err));
    if (known == NULL)
        return error_set(err, LETHE_NOT_FOUND, "there is no row %s", path);
    return store_row_remove(store, known, err);
}

static lethe_result commit(struct store *store, struct lethe_error *err)
{
    if (store->broken != LETHE_OK)
        return error_set(err, store->broken, "an earlier write of this transaction failed");
    if (store->head.epoch >= SEALS_MAX)
        return error_set(err, LETHE_LIMIT, "the store key has sealed as many heads as one key may");
    TRY(history_write(store, err));
    struct head next = store->head;
    next.epoch++;
    uint8_t sealed[HEAD_SEALED_BYTES];
    TRY(store_write_head(store, &next, sealed, err));
    TRY(store->backend->commit(store->state, err));
    store->head = next;
    memcpy(store->sealed_head, sealed, sizeof sealed);
    return LETHE_OK;
}

lethe_result store_commit(struct store *store, struct lethe_error *err)
{
    REQUIRE(store->writing && store->views == 1);
    lethe_result result = commit(store, err);
    if (result != LETHE_OK) {
        store_rollback(store);
        return result;
    }
    seal_keys_clear(&store->previous);
    end_transaction(store);
    store->views = 0;
    return LETHE_OK;
}

/* ---- another store key ----------------------------------------------------------------------- */

/* From here on the new keys are the store's; those before are kept for a rollback, but only once:
 * what another rekeying of the same transaction made was never seen by anyone. */
static void take_keys(struct store *store, struct seal_keys keys)
{
    if (store->previous.row == NULL)
        store->previous = store->keys; /* moved */
    else
        seal_keys_clear(&store->keys);
    store->keys = keys;
}

static lethe_result rekey(struct store *store, const struct lethe_secret *key,
                          struct lethe_error *err)
{
    struct seal_keys keys;
    TRY(seal_keys_derive(key, &keys, err));
    const struct scan_source source = {store->backend, store->state, &store->keys};
    lethe_result result = reseal_rows(&source, &keys, &store->rows, &store->head, err);
    if (result != LETHE_OK)
        seal_keys_clear(&keys);
    else
        take_keys(store, keys);
    return result;
}

lethe_result store_rekey(struct store *store, const struct lethe_secret *key,
                         struct lethe_error *err)
{
    REQUIRE(store->writing && store->views == 1);
    if (store->broken != LETHE_OK)
        return error_set(err, store->broken, "an earlier write of this transaction failed");
    store->touched = true;
    store->broken = rekey(store, key, err);
    return store->broken;
}

void store_follow(struct store *store, store_key_lookup *lookup, void *context)
{
    store->lookup = lookup;
    store->lookup_context = context;
}

lethe_result store_holds(struct store *store, const void *bytes, size_t size_bytes, bool *found,
                         struct lethe_error *err)
{
    REQUIRE(!store->writing && store->views == 0);
    return store->backend->holds(store->state, bytes, size_bytes, found, err);
}

lethe_result store_forget(struct store *store, struct lethe_error *err)
{
    REQUIRE(!store->writing && store->views == 0);
    return store->backend->forget(store->state, err);
}
