/* A store over a back end that shows whatever the input says: rows with any path, version and
 * bytes, and a head that is sealed under the right key, with numbers of the input's choice. Nothing
 * of it may be taken for a row that was written, except a set of rows that adds up. */
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "crypto/crypto.h"
#include "fuzz.h"
#include "store/backend.h"
#include "store/seal.h"

#define ROWS_MAX 16

struct shown {
    struct store_row rows[ROWS_MAX];
    char paths[ROWS_MAX][STORE_PATH_MAX + 2];
    size_t count;
    uint8_t head[HEAD_SEALED_BYTES];
    size_t head_bytes;
};

/* ---- a back end --------------------------------------------------------------------------------
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
        if (strcmp(shown->rows[i].path, row->path) == 0)
            return show(context, &shown->rows[i], err);
    }
    return LETHE_NOT_FOUND;
}

static lethe_result meta_get(void *state, const char *name, struct buffer *out,
                             struct lethe_error *err)
{
    const struct shown *shown = state;
    buffer_append(out, shown->head, shown->head_bytes);
    return buffer_result(out, err);
}

static void close_shown(void *state)
{
}

static const struct store_backend shows = {.begin = begin,
                                           .commit = commit,
                                           .rollback = rollback,
                                           .visit = visit,
                                           .read = read_row,
                                           .meta_get = meta_get,
                                           .close = close_shown};

/* ---- the input ---------------------------------------------------------------------------------
 */

/* Length of the path, path, version, length of the bytes, bytes. */
static lethe_result take_row(struct cursor *cursor, struct shown *shown)
{
    struct store_row *row = &shown->rows[shown->count];
    char *path = shown->paths[shown->count];
    const uint8_t *bytes;
    uint8_t path_bytes;
    uint8_t version;
    uint16_t sealed_bytes;
    TRY(cursor_u8(cursor, &path_bytes));
    TRY(cursor_bytes(cursor, path_bytes, &bytes));
    memcpy(path, bytes, path_bytes);
    path[path_bytes] = '\0';
    TRY(cursor_u8(cursor, &version));
    TRY(cursor_le16(cursor, &sealed_bytes));
    TRY(cursor_bytes(cursor, sealed_bytes, &bytes));
    *row = (struct store_row){path, version & 0x7f, bytes, sealed_bytes, version >> 7};
    shown->count++;
    return LETHE_OK;
}

/* The head that these rows would have, but for what the input adds to its count. */
static void seal_head(struct shown *shown, const struct seal_keys *keys, uint8_t kind)
{
    struct head head = {.epoch = 1 + kind / 4u};
    uint8_t digest[ROW_DIGEST_BYTES];
    for (size_t i = 0; i < shown->count; i++) {
        REQUIRE(seal_row_digest(keys, &shown->rows[i], digest, NULL) == LETHE_OK);
        head_add(&head, digest);
    }
    head.rows += (kind & 1) != 0;
    REQUIRE(head_seal(keys, &head, shown->head, NULL) == LETHE_OK);
    shown->head_bytes = sizeof shown->head - ((kind & 2) != 0);
}

static void read_all(struct store *store, const struct shown *shown)
{
    for (size_t i = 0; i < shown->count; i++) {
        struct lethe_secret *value;
        /* nobody sealed them */
        FUZZ_PROPERTY(store_get(store, shown->rows[i].path, &value, NULL, NULL) != LETHE_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shown shown = {.count = 0};
    struct cursor cursor = cursor_over(data, size);
    struct seal_keys keys;
    uint8_t kind;
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    CLEANUP(store_close) struct store *store = NULL;
    REQUIRE(crypto_start(NULL) == LETHE_OK);
    if (cursor_u8(&cursor, &kind) != LETHE_OK)
        return 0;
    while (shown.count < ROWS_MAX && take_row(&cursor, &shown) == LETHE_OK)
        continue;
    REQUIRE(lethe_secret_create(STORE_KEY_BYTES, &key, NULL) == LETHE_OK);
    REQUIRE(seal_keys_derive(key, &keys, NULL) == LETHE_OK);
    seal_head(&shown, &keys, kind);
    seal_keys_clear(&keys);
    REQUIRE(store_over(&shows, &shown, &store, NULL) == LETHE_OK);
    lethe_result result = store_unlock(store, key, NULL);
    FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_INTEGRITY);
    FUZZ_PROPERTY(result == LETHE_INTEGRITY || (kind & 3) == 0);
    if (result == LETHE_OK)
        read_all(store, &shown);
    return 0;
}
