#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "store/inside.h"

/* ---- names of rows --------------------------------------------------------------------------- */

void change_name_write(const struct change_name *name, char out[CHANGE_NAME_BYTES])
{
    snprintf(out, CHANGE_NAME_BYTES, CHANGE_ROWS "%016" PRIx64 ".%04" PRIx16 ".%016" PRIx64,
             name->epoch, name->place, name->before);
}

lethe_result change_name_read(const char *path, struct change_name *out, struct lethe_error *err)
{
    char again[CHANGE_NAME_BYTES];
    *out = (struct change_name){0};
    if (sscanf(path, CHANGE_ROWS "%16" SCNx64 ".%4" SCNx16 ".%16" SCNx64, &out->epoch, &out->place,
               &out->before) == 3) {
        change_name_write(out, again);
        if (strcmp(path, again) == 0)
            return LETHE_OK;
    }
    return error_set(err, LETHE_INTEGRITY, "row %s is no history", path);
}

static bool is_change(const struct row *row)
{
    return row != NULL && strncmp(row->path, CHANGE_ROWS, strlen(CHANGE_ROWS)) == 0;
}

/* The oldest row of changes, or NULL. */
static const struct row *first_change(const struct store *store)
{
    struct rows_place place = rows_seek(&store->rows, CHANGE_ROWS);
    const struct row *row = rows_next(&store->rows, &place);
    return is_change(row) ? row : NULL;
}

static size_t count_changes(const struct store *store)
{
    size_t count = 0;
    struct rows_place place = rows_seek(&store->rows, CHANGE_ROWS);
    while (is_change(rows_next(&store->rows, &place)))
        count++;
    return count;
}

/* ---- the prefixes ---------------------------------------------------------------------------- */

/* Of each: since when (le64), its length (one byte), and itself. */
static lethe_result read_prefixes(struct history *history, const struct lethe_secret *value,
                                  struct lethe_error *err)
{
    struct cursor cursor = cursor_over(lethe_secret_bytes_const(value), lethe_secret_size(value));
    history->prefixes = 0;
    while (cursor_left(&cursor) > 0) {
        struct history_prefix *prefix = &history->prefix[history->prefixes];
        uint8_t length;
        if (history->prefixes == STORE_HISTORY_PREFIXES_MAX ||
            cursor_le64(&cursor, &prefix->since) != LETHE_OK ||
            cursor_u8(&cursor, &length) != LETHE_OK ||
            cursor_text(&cursor, length, prefix->text, sizeof prefix->text) != LETHE_OK ||
            !row_path_is_valid(prefix->text, true))
            return error_set(err, LETHE_INTEGRITY, "row %s is no list of prefixes", HISTORY_ROW);
        history->prefixes++;
    }
    return LETHE_OK;
}

static lethe_result write_prefixes(struct store *store, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer value = {0};
    for (size_t i = 0; i < store->history.prefixes; i++) {
        const struct history_prefix *prefix = &store->history.prefix[i];
        const uint64_t since = htole64(prefix->since);
        buffer_append(&value, &since, sizeof since);
        buffer_byte(&value, (uint8_t)strlen(prefix->text));
        buffer_text(&value, prefix->text);
    }
    TRY(buffer_result(&value, err));
    return store_row_put(store, &(struct store_row){.path = HISTORY_ROW}, value.bytes,
                         value.size_bytes, err);
}

lethe_result history_look(struct store *store, struct lethe_error *err)
{
    struct history *history = &store->history;
    if (history->known)
        return LETHE_OK;
    history->prefixes = 0;
    history->rows = 0;
    const struct row *known = rows_find(&store->rows, HISTORY_ROW);
    if (known != NULL) {
        CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
        TRY(store_row_read(store, known, &value, err));
        TRY(read_prefixes(history, value, err));
        history->rows = count_changes(store);
    }
    history->known = true;
    return LETHE_OK;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The prefix that covers `text` for the longest time; NULL: none does. */
static const struct history_prefix *covering(const struct history *history, const char *text)
{
    const struct history_prefix *best = NULL;
    for (size_t i = 0; i < history->prefixes; i++) {
        const struct history_prefix *prefix = &history->prefix[i];
        if (starts_with(text, prefix->text) && (best == NULL || prefix->since < best->since))
            best = prefix;
    }
    return best;
}

lethe_result store_history_keep(struct store *store, const char *prefix, struct lethe_error *err)
{
    TRY(store_check_path(prefix, true, err));
    TRY(store_begin(store, err));
    CLEANUP(store_rollback) struct store *transaction = store;
    struct history *history = &transaction->history;
    if (covering(history, prefix) != NULL)
        return LETHE_OK;
    if (history->prefixes == STORE_HISTORY_PREFIXES_MAX)
        return error_set(err, LETHE_LIMIT, "history is kept for %u prefixes, which is the limit",
                         STORE_HISTORY_PREFIXES_MAX);
    transaction->touched = true;
    struct history_prefix *added = &history->prefix[history->prefixes++];
    added->since = transaction->head.epoch + 1;
    snprintf(added->text, sizeof added->text, "%s", prefix);
    TRY(write_prefixes(transaction, err));
    return store_commit(transaction, err);
}

lethe_result history_floor(struct store *store, const char *prefix, uint64_t *floor,
                           struct lethe_error *err)
{
    TRY(history_look(store, err));
    const struct history_prefix *covers = covering(&store->history, prefix);
    if (covers == NULL)
        return error_set(err, LETHE_INVALID, "no history is kept of rows under \"%s\"", prefix);
    *floor = covers->since;
    const struct row *first = first_change(store);
    if (first == NULL)
        return LETHE_OK;
    struct change_name name;
    TRY(change_name_read(first->path, &name, err));
    *floor = MAX(*floor, name.before);
    return LETHE_OK;
}

/* ---- what a transaction changes -------------------------------------------------------------- */

lethe_result history_note(struct store *store, const char *path, uint64_t version,
                          struct lethe_error *err)
{
    static const uint8_t no_digest[ROW_DIGEST_BYTES];
    if (store->history.prefixes == 0 || path[0] == ROW_OWN ||
        covering(&store->history, path) == NULL)
        return LETHE_OK;
    return rows_put(&store->changed, &(struct store_row){.path = path, .version = version},
                    no_digest, err);
}

static lethe_result write_changes(struct store *store, const struct change_name *name,
                                  const struct buffer *value, struct lethe_error *err)
{
    char path[CHANGE_NAME_BYTES];
    TRY(buffer_result(value, err));
    change_name_write(name, path);
    store->history.rows++;
    return store_row_put(store, &(struct store_row){.path = path}, value->bytes, value->size_bytes,
                         err);
}

/* Of each change: the version (le64), the length of the path (one byte), and the path. */
static void append_change(struct buffer *value, const struct row *row)
{
    const uint64_t version = htole64(row->version);
    buffer_append(value, &version, sizeof version);
    buffer_byte(value, (uint8_t)strlen(row->path));
    buffer_text(value, row->path);
}

static lethe_result write_all(struct store *store, struct change_name *name,
                              struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer value = {0};
    struct rows_place place = {0};
    for (const struct row *row; (row = rows_next(&store->changed, &place)) != NULL;) {
        size_t whole = value.size_bytes;
        append_change(&value, row);
        if (value.size_bytes <= STORE_VALUE_MAX)
            continue;
        buffer_truncate(&value, whole);
        TRY(write_changes(store, name, &value, err));
        if (name->place == UINT16_MAX)
            return error_set(err, LETHE_LIMIT, "one transaction changes too many rows");
        name->place++;
        buffer_truncate(&value, 0);
        append_change(&value, row);
    }
    return write_changes(store, name, &value, err);
}

/* Whole transactions, the oldest first, as long as there are too many rows; but not `newest`. */
static lethe_result forget_oldest(struct store *store, uint64_t newest, struct lethe_error *err)
{
    uint64_t forgetting = 0;
    for (const struct row *row; (row = first_change(store)) != NULL;) {
        struct change_name name;
        TRY(change_name_read(row->path, &name, err));
        bool enough = store->history.rows <= STORE_HISTORY_ROWS_MAX && name.epoch != forgetting;
        if (enough || name.epoch >= newest)
            return LETHE_OK;
        TRY(store_row_remove(store, row, err));
        store->history.rows--;
        forgetting = name.epoch;
    }
    return LETHE_OK;
}

lethe_result history_write(struct store *store, struct lethe_error *err)
{
    struct change_name last = {0};
    if (store->changed.count == 0)
        return LETHE_OK;
    const struct row *row = rows_before(&store->rows, CHANGE_ROWS_BEHIND);
    if (is_change(row))
        TRY(change_name_read(row->path, &last, err));
    struct change_name name = {.epoch = store->head.epoch + 1, .before = last.epoch};
    TRY(write_all(store, &name, err));
    return forget_oldest(store, name.epoch, err);
}
