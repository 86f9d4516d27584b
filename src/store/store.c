#include "store/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/inside.h"

/* ---- opening --------------------------------------------------------------------------------- */

lethe_result store_over(const struct store_backend *backend, void *state, struct store **out,
                        struct lethe_error *err)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        backend->close(state);
        return error_set(err, LETHE_NO_MEMORY, "no memory to open a store");
    }
    (*out)->backend = backend;
    (*out)->state = state;
    return LETHE_OK;
}

lethe_result store_open(const char *path, bool create, struct store **out, struct lethe_error *err)
{
    *out = NULL;
    const struct store_sqlite_options options = {
        .path = path, .create = create, .busy_timeout_ms = STORE_BUSY_TIMEOUT_MS};
    void *state;
    TRY(store_sqlite_open(&options, &state, err));
    return store_over(&store_sqlite, state, out, err);
}

static void lock(struct store *store)
{
    seal_keys_clear(&store->keys);
    rows_clear(&store->rows);
    rows_clear(&store->changed);
    store->head = (struct head){0};
    store->stale = true;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    store_rollback(store);
    REQUIRE(store->views == 0);
    lock(store);
    store->backend->close(store->state);
    free(store);
}

void store_set_patience(struct store *store, unsigned busy_timeout_ms)
{
    store->backend->set_patience(store->state, busy_timeout_ms);
}

lethe_result store_write_head(struct store *store, const struct head *head,
                              uint8_t sealed[HEAD_SEALED_BYTES], struct lethe_error *err)
{
    TRY(head_seal(&store->keys, head, sealed, err));
    return store->backend->meta_put(store->state, HEAD_NAME, sealed, HEAD_SEALED_BYTES, err);
}

/* Inside a view that writes. */
static lethe_result write_first_head(struct store *store, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer old = {0};
    lethe_result result = store->backend->meta_get(store->state, HEAD_NAME, &old, err);
    if (result == LETHE_OK)
        return error_set(err, LETHE_EXISTS, "the store has a head already");
    if (result != LETHE_NOT_FOUND)
        return result;
    uint8_t sealed[HEAD_SEALED_BYTES];
    TRY(store_write_head(store, &(struct head){.epoch = 1}, sealed, err));
    return store->backend->commit(store->state, err);
}

lethe_result store_format(struct store *store, const struct lethe_secret *key,
                          struct lethe_error *err)
{
    REQUIRE(store_is_locked(store));
    TRY(seal_keys_derive(key, &store->keys, err));
    lethe_result result = store->backend->begin(store->state, STORE_WRITE, err);
    if (result == LETHE_OK) {
        result = write_first_head(store, err);
        if (result != LETHE_OK)
            store->backend->rollback(store->state);
    }
    lock(store);
    return result == LETHE_OK ? store_unlock(store, key, err) : result;
}

lethe_result store_unlock(struct store *store, const struct lethe_secret *key,
                          struct lethe_error *err)
{
    REQUIRE(store_is_locked(store));
    TRY(seal_keys_derive(key, &store->keys, err));
    store->stale = true;
    lethe_result result = store_view_enter(store, STORE_READ, err);
    if (result == LETHE_OK)
        store_view_leave(store);
    else
        lock(store);
    return result;
}

bool store_is_damaged(const struct store *store)
{
    return store->damaged;
}

uint64_t store_epoch(const struct store *store)
{
    return store->head.epoch;
}

/* ---- meta records ---------------------------------------------------------------------------- */

static lethe_result check_meta_name(const char *name, struct lethe_error *err)
{
    REQUIRE(strcmp(name, HEAD_NAME) != 0);
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    if (length >= 1 && length <= STORE_META_NAME_MAX && name[length] == '\0')
        return LETHE_OK;
    return error_set(err, LETHE_INVALID,
                     "a meta record's name has 1 to %u characters of [a-z0-9_-]",
                     STORE_META_NAME_MAX);
}

lethe_result store_meta_get(struct store *store, const char *name, struct buffer *out,
                            struct lethe_error *err)
{
    TRY(check_meta_name(name, err));
    return store->backend->meta_get(store->state, name, out, err);
}

lethe_result store_meta_put(struct store *store, const char *name, const void *value,
                            size_t size_bytes, struct lethe_error *err)
{
    TRY(check_meta_name(name, err));
    if (size_bytes < 1 || size_bytes > STORE_META_MAX)
        return error_set(err, LETHE_INVALID, "a meta record has 1 to %u bytes, not %zu",
                         STORE_META_MAX, size_bytes);
    lethe_result result = store->backend->meta_put(store->state, name, value, size_bytes, err);
    if (result != LETHE_OK && store->writing)
        store->broken = result;
    return result;
}
