#include "store/inside.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "store/scan.h"

/* ---- views ----------------------------------------------------------------------------------- */

static lethe_result check_not_older(const struct store *store, const struct head *head,
                                    bool same_head, struct lethe_error *err)
{
    if (head->epoch > store->head.epoch || (head->epoch == store->head.epoch && same_head))
        return LETHE_OK;
    return error_set(err, LETHE_INTEGRITY,
                     "the store went back to epoch %" PRIu64 " after epoch %" PRIu64 " was seen",
                     head->epoch, store->head.epoch);
}

bool store_is_locked(const struct store *store)
{
    return store->keys.row == NULL;
}

/* Opens the head with the key that the lookup gives, which is the store's from now on. */
static lethe_result follow(struct store *store, const struct buffer *sealed, struct head *head,
                           struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    struct seal_keys keys;
    TRY(store->lookup(store->lookup_context, &key, err));
    TRY(seal_keys_derive(key, &keys, err));
    lethe_result result = head_open(&keys, sealed->bytes, sealed->size_bytes, head, err);
    if (result != LETHE_OK) {
        seal_keys_clear(&keys);
        return result;
    }
    seal_keys_clear(&store->keys);
    store->keys = keys; /* moved */
    store->stale = true;
    return LETHE_OK;
}

static lethe_result open_head(struct store *store, const struct buffer *sealed, struct head *head,
                              struct lethe_error *err)
{
    lethe_result result = head_open(&store->keys, sealed->bytes, sealed->size_bytes, head, err);
    if (result != LETHE_INTEGRITY || store->lookup == NULL)
        return result;
    return follow(store, sealed, head, err);
}

/* Inside a view: makes `head` and `rows` what the back end shows, unless they are already. */
static lethe_result refresh(struct store *store, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer sealed = {0};
    lethe_result result = store->backend->meta_get(store->state, HEAD_NAME, &sealed, err);
    if (result == LETHE_NOT_FOUND)
        return error_set(err, LETHE_INTEGRITY, "the store's head is missing");
    TRY(result);
    bool same_head = sealed.size_bytes == HEAD_SEALED_BYTES &&
                     memcmp(sealed.bytes, store->sealed_head, HEAD_SEALED_BYTES) == 0;
    if (same_head && !store->stale)
        return LETHE_OK;

    struct head head;
    TRY(open_head(store, &sealed, &head, err));
    TRY(check_not_older(store, &head, same_head, err));
    const struct scan_source source = {store->backend, store->state, &store->keys};
    TRY(scan_rows(&source, &head, &store->rows, err));
    store->head = head;
    memcpy(store->sealed_head, sealed.bytes, HEAD_SEALED_BYTES);
    store->stale = false;
    store->leases.known = false;
    store->history.known = false;
    return LETHE_OK;
}

lethe_result store_check_path(const char *path, bool prefix, struct lethe_error *err)
{
    if (row_path_is_valid(path, prefix))
        return LETHE_OK;
    return error_set(
        err, LETHE_INVALID,
        "a path in the store has 1 to %u characters of [A-Za-z0-9._/-] and no empty part",
        STORE_PATH_MAX);
}

void store_view_leave(struct store *store)
{
    if (--store->views == 0)
        store->backend->rollback(store->state);
}

lethe_result store_view_enter(struct store *store, enum store_access access,
                              struct lethe_error *err)
{
    REQUIRE(!store_is_locked(store));
    if (store->views > 0) {
        store->views++;
        return LETHE_OK;
    }
    lethe_result result = store->backend->begin(store->state, access, err);
    if (result == LETHE_OK) {
        store->views = 1;
        result = refresh(store, err);
        if (result != LETHE_OK)
            store_view_leave(store);
    }
    store->damaged = result == LETHE_INTEGRITY;
    return result;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct wanted {
    const struct seal_keys *keys;
    const struct row *known;
    struct lethe_secret *value;
};

static lethe_result take_row(void *context, const struct store_row *row, struct lethe_error *err)
{
    struct wanted *wanted = context;
    uint8_t digest[ROW_DIGEST_BYTES];
    TRY(seal_row_digest(wanted->keys, row, digest, err));
    if (row->version != wanted->known->version ||
        !bytes_equal(digest, wanted->known->digest, sizeof digest))
        return error_set(err, LETHE_INTEGRITY, "row %s was changed while the store was open",
                         row->path);
    return seal_row_open(wanted->keys, row, &wanted->value, err);
}

lethe_result store_row_read(struct store *store, const struct row *known,
                            struct lethe_secret **value, struct lethe_error *err)
{
    struct wanted wanted = {.keys = &store->keys, .known = known};
    const struct store_row row = {.path = known->path, .lease = known->lease};
    lethe_result result = store->backend->read(store->state, &row, take_row, &wanted, err);
    store->damaged = result == LETHE_NOT_FOUND || result == LETHE_INTEGRITY;
    if (result == LETHE_NOT_FOUND)
        return error_set(err, LETHE_INTEGRITY, "row %s vanished while the store was open",
                         known->path);
    *value = wanted.value; /* moved; NULL on failure */
    return result;
}

lethe_result store_get(struct store *store, const char *path, struct lethe_secret **value,
                       uint64_t *version, struct lethe_error *err)
{
    *value = NULL;
    TRY(store_check_path(path, false, err));
    TRY(store_view_enter(store, STORE_READ, err));
    CLEANUP(store_view_leave) struct store *view = store;

    const struct row *known = rows_find(&view->rows, path);
    if (known == NULL)
        return error_set(err, LETHE_NOT_FOUND, "there is no row %s", path);
    TRY(store_row_read(view, known, value, err));
    if (version != NULL)
        *version = known->version;
    return LETHE_OK;
}

lethe_result store_list(struct store *store, const char *prefix, store_path_visit *row,
                        void *context, struct lethe_error *err)
{
    TRY(store_check_path(prefix, true, err));
    TRY(store_view_enter(store, STORE_READ, err));
    CLEANUP(store_view_leave) struct store *view = store;

    size_t length = strlen(prefix);
    struct rows_place place = rows_seek(&view->rows, prefix);
    for (const struct row *known; (known = rows_next(&view->rows, &place)) != NULL;) {
        if (strncmp(known->path, prefix, length) != 0 || known->path[0] == ROW_OWN)
            break;
        TRY(row(context, known->path, known->version, err));
    }
    return LETHE_OK;
}
