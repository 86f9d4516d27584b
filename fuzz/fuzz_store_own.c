/* What a store keeps for itself: keys of rows as the file has them (path and lease), and rows of
 * leases and of history, sealed under the right key with contents of the input's choice. A key that
 * is taken is one that we write; and whatever the rows say, leases and watches keep their word. */
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "crypto/crypto.h"
#include "fuzz.h"
#include "store/backend.h"
#include "store/lease.h"
#include "store/rows.h"
#include "store/sqlite_file.h"
#include "store/watch.h"

#define ROWS_MAX 16
#define KEY_MAX 300
#define EPOCH 0x1000
#define NOW_MS 1000000u

struct shown {
    struct store_row rows[ROWS_MAX];
    struct sqlite_key keys[ROWS_MAX];
    char texts[ROWS_MAX][KEY_MAX + 1];
    struct sealed sealed[ROWS_MAX];
    size_t count;
    uint8_t head[HEAD_SEALED_BYTES];
};

/* ---- a back end that shows them, and forgets what is written -----------------------------------
 */

static lethe_result begin(void *state, enum store_access access, struct lethe_error *err)
{
    return LETHE_OK;
}

static lethe_result commit(void *state, struct lethe_error *err)
{
    return LETHE_OK;
}

static void rollback(void *state)
{
}

static lethe_result visit(void *state, store_row_visit *show, void *context,
                          struct lethe_error *err)
{
    const struct shown *shown = state;
    for (size_t i = 0; i < shown->count; i++)
        TRY(show(context, &shown->rows[i], err));
    return LETHE_OK;
}

static lethe_result read_row(void *state, const struct store_row *row, store_row_visit *show,
                             void *context, struct lethe_error *err)
{
    const struct shown *shown = state;
    for (size_t i = 0; i < shown->count; i++) {
        if (strcmp(shown->rows[i].path, row->path) == 0 && shown->rows[i].lease == row->lease)
            return show(context, &shown->rows[i], err);
    }
    return LETHE_NOT_FOUND;
}

static lethe_result write_row(void *state, const struct store_row *row, uint64_t was,
                              struct lethe_error *err)
{
    return LETHE_OK;
}

static lethe_result remove_row(void *state, const struct store_row *row, struct lethe_error *err)
{
    return LETHE_OK;
}

static lethe_result meta_get(void *state, const char *name, struct buffer *out,
                             struct lethe_error *err)
{
    const struct shown *shown = state;
    buffer_append(out, shown->head, sizeof shown->head);
    return buffer_result(out, err);
}

static lethe_result meta_put(void *state, const char *name, const void *value, size_t size_bytes,
                             struct lethe_error *err)
{
    return LETHE_OK;
}

static void close_shown(void *state)
{
}

static const struct store_backend shows = {.begin = begin,
                                           .commit = commit,
                                           .rollback = rollback,
                                           .visit = visit,
                                           .read = read_row,
                                           .write = write_row,
                                           .remove = remove_row,
                                           .meta_get = meta_get,
                                           .meta_put = meta_put,
                                           .close = close_shown};

/* ---- the input ---------------------------------------------------------------------------------
 */

/* A key that is taken is the one that is written for the row that it stands for. */
static bool take_key(struct shown *shown)
{
    const size_t at = shown->count;
    struct sqlite_key again;
    struct store_row *row = &shown->rows[at];
    *row = (struct store_row){.version = 1};
    if (!sqlite_key_read(shown->texts[at], &shown->keys[at], row))
        return false;
    if (!row_path_is_valid(row->path, false) && !row_path_is_own(row->path))
        return false;
    FUZZ_PROPERTY(strcmp(sqlite_key_of(row, &again), shown->texts[at]) == 0);
    return true;
}

/* Length of the key (two bytes), key, length of the value (two bytes), value. */
static lethe_result take_row(struct cursor *cursor, struct shown *shown,
                             const struct seal_keys *keys)
{
    const size_t at = shown->count;
    const uint8_t *value;
    uint16_t length;
    TRY(cursor_le16(cursor, &length));
    TRY(cursor_text(cursor, length, shown->texts[at], sizeof shown->texts[at]));
    TRY(cursor_le16(cursor, &length));
    TRY(cursor_bytes(cursor, length, &value));
    if (length == 0 || length > STORE_VALUE_MAX || !take_key(shown))
        return LETHE_OK;
    REQUIRE(seal_row(keys, &shown->rows[at], value, length, &shown->sealed[at], NULL) == LETHE_OK);
    shown->count++;
    return LETHE_OK;
}

static void seal_head(struct shown *shown, const struct seal_keys *keys)
{
    struct head head = {.epoch = EPOCH};
    uint8_t digest[ROW_DIGEST_BYTES];
    for (size_t i = 0; i < shown->count; i++) {
        REQUIRE(seal_row_digest(keys, &shown->rows[i], digest, NULL) == LETHE_OK);
        head_add(&head, digest);
    }
    REQUIRE(head_seal(keys, &head, shown->head, NULL) == LETHE_OK);
}

/* ---- what is asked of them ---------------------------------------------------------------------
 */

static uint64_t now_ms(void *context)
{
    return NOW_MS;
}

static lethe_result check_event(void *context, const struct store_event *event,
                                struct lethe_error *err)
{
    uint64_t *last = context;
    FUZZ_PROPERTY(event->epoch >= *last && event->epoch <= EPOCH);
    FUZZ_PROPERTY(row_path_is_valid(event->path, false));
    *last = event->epoch;
    return LETHE_OK;
}

static void watch_all(struct store *store, uint64_t epoch)
{
    struct store_watch *watch;
    lethe_result result = store_watch_open(store, "", epoch, &watch, NULL);
    if (result == LETHE_OK) {
        uint64_t last = epoch + 1;
        result = store_watch_next(watch, check_event, &last, NULL);
        FUZZ_PROPERTY(result != LETHE_OK || store_watch_epoch(watch) == EPOCH);
        store_watch_close(watch);
    }
    FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_INVALID || result == LETHE_CONFLICT ||
                  result == LETHE_INTEGRITY);
}

static void look_at_leases(struct store *store, const struct shown *shown)
{
    for (size_t i = 0; i < shown->count; i++) {
        struct store_lease lease;
        lethe_result result = store_lease_get(store, shown->rows[i].lease, &lease, NULL);
        if (result == LETHE_OK)
            FUZZ_PROPERTY(lease.ttl_s >= STORE_LEASE_TTL_MIN_S &&
                          lease.ttl_s <= STORE_LEASE_TTL_MAX_S && lease.left_ms > 0 &&
                          lease.left_ms <= lease.ttl_s * (uint64_t)1000);
        else
            FUZZ_PROPERTY(result == LETHE_NOT_FOUND || result == LETHE_INTEGRITY);
    }
}

/* Also writes: a row of leases that is none ends nothing. */
static void expire(struct store *store)
{
    struct store_expiry expiry;
    lethe_result result = store_leases_expire(store, &expiry, NULL);
    FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_INTEGRITY);
    FUZZ_PROPERTY(result == LETHE_OK || (expiry.leases == 0 && expiry.rows == 0));
    FUZZ_PROPERTY(expiry.leases <= ROWS_MAX && expiry.rows <= ROWS_MAX);
}

static void ask(struct shown *shown, const struct lethe_secret *key)
{
    static const struct store_clock clock = {.now_ms = now_ms};
    CLEANUP(store_close) struct store *store = NULL;
    REQUIRE(store_over(&shows, shown, &store, NULL) == LETHE_OK);
    store_set_clock(store, &clock);
    lethe_result result = store_unlock(store, key, NULL);
    FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_INTEGRITY); /* a path is there twice */
    if (result != LETHE_OK)
        return;
    look_at_leases(store, shown);
    for (uint64_t epoch = 0; epoch < 4; epoch++)
        watch_all(store, epoch);
    watch_all(store, EPOCH);
    expire(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor cursor = cursor_over(data, size);
    struct seal_keys keys;
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    REQUIRE(crypto_start(NULL) == LETHE_OK);
    struct shown *shown = calloc(1, sizeof *shown);
    REQUIRE(shown != NULL);
    REQUIRE(lethe_secret_create(STORE_KEY_BYTES, &key, NULL) == LETHE_OK);
    REQUIRE(seal_keys_derive(key, &keys, NULL) == LETHE_OK);
    while (shown->count < ROWS_MAX && take_row(&cursor, shown, &keys) == LETHE_OK)
        continue;
    seal_head(shown, &keys);
    seal_keys_clear(&keys);
    ask(shown, key);
    free(shown);
    return 0;
}
