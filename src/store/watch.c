#include "store/watch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "store/inside.h"

/* The place of a change in the history: the row, and how many changes in it are before. */
struct position {
    uint64_t epoch;
    uint16_t place;
    size_t at;
};

struct store_watch {
    struct store *store;
    char *prefix;
    struct position next; /* to be shown */
};

/* ---- opening --------------------------------------------------------------------------------- */

/* Inside a view: whether all that is still to be shown is there. */
static lethe_result check_reach(const struct store_watch *watch, struct lethe_error *err)
{
    uint64_t floor;
    const uint64_t seen = store_watch_epoch(watch);
    TRY(history_floor(watch->store, watch->prefix, &floor, err));
    if (seen >= floor && seen <= watch->store->head.epoch)
        return LETHE_OK;
    error_set(err, LETHE_CONFLICT,
              "the store is at epoch %" PRIu64 " and has changes after %" PRIu64
              ", not those after %" PRIu64,
              watch->store->head.epoch, floor, seen);
    error_hint(err, "list the rows anew and watch from there");
    return LETHE_CONFLICT;
}

static lethe_result check_new(const struct store_watch *watch, struct lethe_error *err)
{
    TRY(store_view_enter(watch->store, STORE_READ, err));
    CLEANUP(store_view_leave) struct store *view = watch->store;
    REQUIRE(view->views > 0);
    return check_reach(watch, err);
}

lethe_result store_watch_open(struct store *store, const char *prefix, uint64_t epoch,
                              struct store_watch **out, struct lethe_error *err)
{
    *out = NULL;
    TRY(store_check_path(prefix, true, err));
    CLEANUP(store_watch_close) struct store_watch *watch = calloc(1, sizeof *watch);
    if (watch != NULL)
        watch->prefix = strdup(prefix);
    if (watch == NULL || watch->prefix == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory to watch a store");
    watch->store = store;
    watch->next.epoch = epoch == UINT64_MAX ? epoch : epoch + 1; /* no epoch comes near it */
    TRY(check_new(watch, err));
    *out = MOVE(watch);
    return LETHE_OK;
}

void store_watch_close(struct store_watch *watch)
{
    if (watch == NULL)
        return;
    free(watch->prefix);
    free(watch);
}

uint64_t store_watch_epoch(const struct store_watch *watch)
{
    return watch->next.epoch - 1;
}

/* ---- showing --------------------------------------------------------------------------------- */

struct show {
    struct store_watch *watch;
    store_event_visit *visit;
    void *context;
};

static lethe_result read_change(struct cursor *cursor, uint64_t *version,
                                char path[STORE_PATH_MAX + 1])
{
    uint8_t length;
    TRY(cursor_le64(cursor, version));
    TRY(cursor_u8(cursor, &length));
    TRY(cursor_text(cursor, length, path, STORE_PATH_MAX + 1));
    return row_path_is_valid(path, false) ? LETHE_OK : LETHE_MALFORMED;
}

/* The changes in one row of history, from the one that is next. */
static lethe_result show_changes(const struct show *show, const struct lethe_secret *value,
                                 struct lethe_error *err)
{
    struct position *next = &show->watch->next;
    const char *prefix = show->watch->prefix;
    struct cursor cursor = cursor_over(lethe_secret_bytes_const(value), lethe_secret_size(value));
    char path[STORE_PATH_MAX + 1];
    struct store_event event = {.epoch = next->epoch, .path = path};
    for (size_t at = 0; cursor_left(&cursor) > 0; at++) {
        if (read_change(&cursor, &event.version, path) != LETHE_OK)
            return error_set(err, LETHE_INTEGRITY, "the history of epoch %" PRIu64 " is none",
                             next->epoch);
        if (at < next->at)
            continue;
        if (strncmp(path, prefix, strlen(prefix)) == 0)
            TRY(show->visit(show->context, &event, err));
        next->at = at + 1;
    }
    return LETHE_OK;
}

static lethe_result show_row(const struct show *show, const struct row *row,
                             struct lethe_error *err)
{
    struct store_watch *watch = show->watch;
    struct change_name name;
    TRY(change_name_read(row->path, &name, err));
    if (name.epoch > watch->store->head.epoch)
        return error_set(err, LETHE_INTEGRITY, "there is a history of the future");
    if (name.epoch != watch->next.epoch || name.place != watch->next.place)
        watch->next = (struct position){.epoch = name.epoch, .place = name.place};
    CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
    TRY(store_row_read(watch->store, row, &value, err));
    return show_changes(show, value, err);
}

lethe_result store_watch_next(struct store_watch *watch, store_event_visit *visit, void *context,
                              struct lethe_error *err)
{
    const struct show show = {watch, visit, context};
    char from[CHANGE_NAME_BYTES];
    REQUIRE(!watch->store->writing);
    TRY(store_view_enter(watch->store, STORE_READ, err));
    CLEANUP(store_view_leave) struct store *view = watch->store;
    TRY(check_reach(watch, err));
    change_name_write(&(struct change_name){.epoch = watch->next.epoch, .place = watch->next.place},
                      from);
    struct rows_place place = rows_seek(&view->rows, from);
    for (const struct row *row; (row = rows_next(&view->rows, &place)) != NULL;) {
        if (strcmp(row->path, CHANGE_ROWS_BEHIND) >= 0)
            break;
        TRY(show_row(&show, row, err));
    }
    watch->next = (struct position){.epoch = view->head.epoch + 1};
    return LETHE_OK;
}
