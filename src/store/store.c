#include "store/store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/backend.h"
#include "store/reseal.h"
#include "store/scan.h"

#define HEAD_NAME "head" /* the meta record that store_meta_* do not reach */

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
    lethe_result broken; /* why the open transaction can only be rolled back */
};

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

static bool is_locked(const struct store *store)
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
    return LETHE_OK;
}

static lethe_result check_path(const char *path, bool prefix, struct lethe_error *err)
{
    if (row_path_is_valid(path, prefix))
        return LETHE_OK;
    return error_set(
        err, LETHE_INVALID,
        "a path in the store has 1 to %u characters of [A-Za-z0-9._/-] and no empty part",
        STORE_PATH_MAX);
}

static void view_leave(struct store *store)
{
    if (--store->views == 0)
        store->backend->rollback(store->state);
}
DEFINE_CLEANUP(view_leave, struct store *);

/* Views nest here, as they do not in a back end: the outermost one decides what is seen. */
static lethe_result view_enter(struct store *store, enum store_access access,
                               struct lethe_error *err)
{
    REQUIRE(!is_locked(store));
    if (store->views > 0) {
        store->views++;
        return LETHE_OK;
    }
    lethe_result result = store->backend->begin(store->state, access, err);
    if (result == LETHE_OK) {
        store->views = 1;
        result = refresh(store, err);
        if (result != LETHE_OK)
            view_leave(store);
    }
    store->damaged = result == LETHE_INTEGRITY;
    return result;
}

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

static lethe_result write_head(struct store *store, const struct head *head,
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
    TRY(write_head(store, &(struct head){.epoch = 1}, sealed, err));
    return store->backend->commit(store->state, err);
}

lethe_result store_format(struct store *store, const struct lethe_secret *key,
                          struct lethe_error *err)
{
    REQUIRE(is_locked(store));
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
    REQUIRE(is_locked(store));
    TRY(seal_keys_derive(key, &store->keys, err));
    store->stale = true;
    lethe_result result = view_enter(store, STORE_READ, err);
    if (result == LETHE_OK)
        view_leave(store);
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

lethe_result store_get(struct store *store, const char *path, struct lethe_secret **value,
                       uint64_t *version, struct lethe_error *err)
{
    *value = NULL;
    TRY(check_path(path, false, err));
    TRY(view_enter(store, STORE_READ, err));
    CLEANUP(view_leave) struct store *view = store;

    struct wanted wanted = {.keys = &view->keys, .known = rows_find(&view->rows, path)};
    if (wanted.known == NULL)
        return error_set(err, LETHE_NOT_FOUND, "there is no row %s", path);
    lethe_result result = view->backend->read(view->state, path, take_row, &wanted, err);
    view->damaged = result == LETHE_NOT_FOUND || result == LETHE_INTEGRITY;
    if (result == LETHE_NOT_FOUND)
        return error_set(err, LETHE_INTEGRITY, "row %s vanished while the store was open", path);
    TRY(result);
    if (version != NULL)
        *version = wanted.known->version;
    *value = wanted.value; /* moved */
    return LETHE_OK;
}

lethe_result store_list(struct store *store, const char *prefix, store_path_visit *row,
                        void *context, struct lethe_error *err)
{
    TRY(check_path(prefix, true, err));
    TRY(view_enter(store, STORE_READ, err));
    CLEANUP(view_leave) struct store *view = store;

    size_t length = strlen(prefix);
    for (size_t i = rows_seek(&view->rows, prefix); i < view->rows.count; i++) {
        const struct row *known = &view->rows.at[i];
        if (strncmp(known->path, prefix, length) != 0)
            break;
        TRY(row(context, known->path, known->version, err));
    }
    return LETHE_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

lethe_result store_begin(struct store *store, struct lethe_error *err)
{
    REQUIRE(store->views == 0);
    TRY(view_enter(store, STORE_WRITE, err));
    store->writing = true;
    store->broken = LETHE_OK;
    return LETHE_OK;
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
    store->writing = false;
    store->stale = true;
    view_leave(store);
}

static lethe_result check_writable(struct store *store, const char *path, struct lethe_error *err)
{
    REQUIRE(store->writing && store->views == 1);
    if (store->broken != LETHE_OK)
        return error_set(err, store->broken, "an earlier write of this transaction failed");
    return check_path(path, false, err);
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
    TRY(store->backend->write(store->state, row, err));
    if (known != NULL)
        head_remove(&store->head, known->digest);
    head_add(&store->head, digest);
    return rows_put(&store->rows, row, digest, err);
}

lethe_result store_put(struct store *store, const char *path, const void *value, size_t size_bytes,
                       uint64_t expected_version, struct lethe_error *err)
{
    TRY(check_writable(store, path, err));
    if (size_bytes < 1 || size_bytes > STORE_VALUE_MAX)
        return error_set(err, LETHE_INVALID, "a value in the store has 1 to %u bytes, not %zu",
                         STORE_VALUE_MAX, size_bytes);
    const struct row *known = rows_find(&store->rows, path);
    TRY(check_expected(path, known, expected_version, err));
    if (store->head.seals >= SEALS_MAX)
        return error_set(err, LETHE_LIMIT,
                         "the store key has sealed as many values as one key may");

    struct store_row row = {.path = path, .version = known == NULL ? 1 : known->version + 1};
    struct sealed sealed;
    lethe_result result = seal_row(&store->keys, &row, value, size_bytes, &sealed, err);
    store->head.seals++;
    if (result == LETHE_OK)
        result = write_row(store, &row, known, err);
    store->broken = result;
    return result;
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

    store->broken = store->backend->remove(store->state, path, err);
    TRY(store->broken);
    head_remove(&store->head, known->digest);
    rows_remove(&store->rows, path);
    return LETHE_OK;
}

static lethe_result commit(struct store *store, struct lethe_error *err)
{
    if (store->broken != LETHE_OK)
        return error_set(err, store->broken, "an earlier write of this transaction failed");
    if (store->head.epoch >= SEALS_MAX)
        return error_set(err, LETHE_LIMIT, "the store key has sealed as many heads as one key may");
    struct head next = store->head;
    next.epoch++;
    uint8_t sealed[HEAD_SEALED_BYTES];
    TRY(write_head(store, &next, sealed, err));
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
    store->writing = false;
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
