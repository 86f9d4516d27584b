/* Watches of a store: every change once and in order, whoever made it, or a clear word that some
 * were missed. */
#include "fixture.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "crypto/crypto.h"
#include "store/lease.h"
#include "store/watch.h"

/* ---- events as text -------------------------------------------------------------------------- */

struct seen {
    char text[2048]; /* "epoch:path@version ..."; version 0: deleted */
    size_t length;
    size_t stop_before; /* refuses the change of that number, counted from 1; 0: none */
    size_t shown;
};

static lethe_result note_event(void *context, const struct store_event *event,
                               struct lethe_error *err)
{
    struct seen *seen = context;
    if (++seen->shown == seen->stop_before)
        return error_set(err, LETHE_CANCELLED, "enough");
    int length = snprintf(seen->text + seen->length, sizeof seen->text - seen->length,
                          "%s%" PRIu64 ":%s@%" PRIu64, seen->length == 0 ? "" : " ", event->epoch,
                          event->path, event->version);
    seen->length += (size_t)length;
    assert_true(seen->length < sizeof seen->text);
    return LETHE_OK;
}

static const char *news(struct store_watch *watch)
{
    static struct seen seen;
    struct lethe_error err = {0};
    seen = (struct seen){0};
    assert_ok(store_watch_next(watch, note_event, &seen, &err), &err);
    return seen.text;
}

static lethe_result next_result(struct store_watch *watch, struct lethe_error *err)
{
    struct seen seen = {0};
    lethe_result result = store_watch_next(watch, note_event, &seen, err);
    assert_true(result == LETHE_OK || seen.length == 0);
    return result;
}

static struct store_watch *must_watch(struct store *store, const char *prefix, uint64_t epoch)
{
    struct lethe_error err = {0};
    struct store_watch *watch;
    assert_ok(store_watch_open(store, prefix, epoch, &watch, &err), &err);
    return watch;
}

/* A new store at epoch 2 that keeps the history of "p/". */
static struct store *create_kept(const struct fixture *f)
{
    struct lethe_error err = {0};
    struct store *store = must_create(f->path);
    assert_ok(store_history_keep(store, "p/", &err), &err);
    assert_int_equal(2, store_epoch(store));
    return store;
}

/* ---- refused --------------------------------------------------------------------------------- */

static void what_is_not_kept_cannot_be_watched(void **state)
{
    struct fixture *f = *state;
    struct store_watch *watch;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    assert_result(LETHE_INVALID, store_watch_open(store, "p/", 1, &watch, &f->err));
    assert_null(watch);
    assert_result(LETHE_INVALID, store_history_keep(store, "/p", &f->err));
    assert_result(LETHE_INVALID, store_history_keep(store, "~change/", &f->err));
    must_put(store, "p/before", "x");
    assert_ok(store_history_keep(store, "p/", &f->err), &f->err);
    static const char *const others[] = {"", "p", "q/"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_result(LETHE_INVALID, store_watch_open(store, others[i], 3, &watch, &f->err));
    assert_result(LETHE_INVALID, store_watch_open(store, "~change/", 3, &watch, &f->err));

    static const uint64_t epochs[] = {0, 1, 2, 4, UINT64_MAX - 1, UINT64_MAX}; /* it is at 3 */
    for (size_t i = 0; i < ARRAY_LEN(epochs); i++) {
        assert_result(LETHE_CONFLICT, store_watch_open(store, "p/", epochs[i], &watch, &f->err));
        assert_null(watch);
        assert_non_null(strstr(f->err.hint, "list the rows anew"));
    }
    store_watch_close(must_watch(store, "p/", 3));
    store_watch_close(must_watch(store, "p/deeper/", 3));
}

static void there_are_no_more_prefixes_than_the_limit(void **state)
{
    struct fixture *f = *state;
    char prefix[STORE_PATH_MAX + 2];
    CLEANUP(store_close) struct store *store = must_create(f->path);
    memset(prefix, 'x', sizeof prefix);
    prefix[STORE_PATH_MAX] = '\0'; /* the longest ones fit, too */
    for (unsigned i = 0; i < STORE_HISTORY_PREFIXES_MAX; i++) {
        prefix[0] = (char)('a' + i);
        assert_ok(store_history_keep(store, prefix, &f->err), &f->err);
    }
    uint64_t epoch = store_epoch(store);
    assert_ok(store_history_keep(store, prefix, &f->err), &f->err); /* kept already */
    assert_result(LETHE_LIMIT, store_history_keep(store, "z/", &f->err));
    assert_int_equal(epoch, store_epoch(store));
    store_close(store);
    store = must_open(f->path);
    store_watch_close(must_watch(store, prefix, epoch));
    assert_result(LETHE_LIMIT, store_history_keep(store, "z/", &f->err));
}

/* ---- what is shown --------------------------------------------------------------------------- */

static void every_change_is_shown_once_and_in_order(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = create_kept(f);
    CLEANUP(store_watch_close) struct store_watch *watch = must_watch(store, "p/", 2);
    assert_string_equal("", news(watch));
    must_put(store, "p/b", "x");
    must_put(store, "p/a", "x");
    must_put(store, "elsewhere", "x");
    must_put(store, "p", "x");
    must_put(store, "p/b", "x");
    must_delete(store, "p/a");
    must_put(store, "p/a", "x");
    assert_string_equal("3:p/b@1 4:p/a@1 7:p/b@2 8:p/a@0 9:p/a@1", news(watch));
    assert_string_equal("", news(watch));
    assert_int_equal(9, store_watch_epoch(watch));
    must_put(store, "elsewhere", "x");
    assert_string_equal("", news(watch));
    assert_int_equal(10, store_watch_epoch(watch));
    CLEANUP(store_watch_close) struct store_watch *late = must_watch(store, "p/", 4);
    assert_string_equal("7:p/b@2 8:p/a@0 9:p/a@1", news(late));
    CLEANUP(store_watch_close) struct store_watch *narrow = must_watch(store, "p/a", 2);
    assert_string_equal("4:p/a@1 8:p/a@0 9:p/a@1", news(narrow));
}

static void a_transaction_is_one_change_a_row(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = create_kept(f);
    CLEANUP(store_watch_close) struct store_watch *watch = must_watch(store, "p/", 2);
    static const char *const puts[] = {"p/c", "p/a", "p/b", "p/a", "q"};
    assert_ok(store_begin(store, &f->err), &f->err);
    for (size_t i = 0; i < ARRAY_LEN(puts); i++)
        assert_ok(store_put(store, puts[i], "x", 1, STORE_ANY, &f->err), &f->err);
    assert_ok(store_delete(store, "p/b", 1, &f->err), &f->err);
    assert_ok(store_commit(store, &f->err), &f->err);
    assert_string_equal("3:p/a@2 3:p/b@0 3:p/c@1", news(watch));
    assert_ok(store_begin(store, &f->err), &f->err);
    assert_ok(store_put(store, "p/a", "x", 1, STORE_ANY, &f->err), &f->err);
    store_rollback(store);
    assert_string_equal("", news(watch));
    must_put(store, "p/d", "x"); /* what was rolled back is not in the next one */
    assert_string_equal("4:p/d@1", news(watch));
}

static void the_end_of_a_lease_is_shown(void **state)
{
    struct fixture *f = *state;
    uint64_t id;
    CLEANUP(store_close) struct store *store = create_kept(f);
    assert_ok(store_lease_grant(store, 60, &id, &f->err), &f->err);
    assert_ok(store_begin(store, &f->err), &f->err);
    assert_ok(store_lease_attach(store, id, &f->err), &f->err);
    assert_ok(store_put(store, "p/a", "x", 1, STORE_ANY, &f->err), &f->err);
    assert_ok(store_put(store, "p/b", "x", 1, STORE_ANY, &f->err), &f->err);
    assert_ok(store_put(store, "q", "x", 1, STORE_ANY, &f->err), &f->err);
    assert_ok(store_commit(store, &f->err), &f->err);
    CLEANUP(store_watch_close) struct store_watch *watch = must_watch(store, "p/", 4);
    assert_ok(store_lease_keep_alive(store, id, &f->err), &f->err);
    assert_string_equal("", news(watch));
    assert_ok(store_lease_revoke(store, id, &f->err), &f->err);
    assert_string_equal("6:p/a@0 6:p/b@0", news(watch));
}

/* Refusing a change leaves it for the next call, wherever it is. */
static void a_refused_change_is_shown_again(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = create_kept(f);
    static const char *const rows[] = {"p/a", "p/b", "p/c"};
    for (unsigned round = 0; round < 2; round++) {
        assert_ok(store_begin(store, &f->err), &f->err);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
            assert_ok(store_put(store, rows[i], "x", 1, STORE_ANY, &f->err), &f->err);
        assert_ok(store_commit(store, &f->err), &f->err);
    }
    for (size_t stop = 1; stop <= 7; stop++) {
        CLEANUP(store_watch_close) struct store_watch *watch = must_watch(store, "p/", 2);
        struct seen seen = {.stop_before = stop};
        lethe_result result = store_watch_next(watch, note_event, &seen, &f->err);
        assert_int_equal(stop <= 6 ? LETHE_CANCELLED : LETHE_OK, result);
        assert_int_equal(stop <= 3 ? 2 : stop <= 6 ? 3 : 4, store_watch_epoch(watch));
        seen.stop_before = 0;
        assert_ok(store_watch_next(watch, note_event, &seen, &f->err), &f->err);
        assert_string_equal("3:p/a@1 3:p/b@1 3:p/c@1 4:p/a@2 4:p/b@2 4:p/c@2", seen.text);
    }
}

static lethe_result read_it(void *context, const struct store_event *event, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
    uint64_t version;
    TRY(store_get(context, event->path, &value, &version, err));
    assert_int_equal(event->version, version);
    assert_string_equal("p/a@1", listing(context, "p/"));
    return LETHE_OK;
}

static void rows_can_be_read_while_changes_are_shown(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = create_kept(f);
    CLEANUP(store_watch_close) struct store_watch *watch = must_watch(store, "p/", 2);
    must_put(store, "p/a", "x");
    assert_ok(store_watch_next(watch, read_it, store, &f->err), &f->err);
    assert_string_equal("", news(watch));
}

static void history_outlives_the_process_and_the_key(void **state)
{
    struct fixture *f = *state;
    struct store *store = create_kept(f);
    must_put(store, "p/a", "x");
    store_close(store);
    store = must_open(f->path);
    must_put(store, "p/b", "x");
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(2);
    assert_ok(store_begin(store, &f->err), &f->err);
    assert_ok(store_rekey(store, key, &f->err), &f->err);
    assert_ok(store_put(store, "p/c", "x", 1, STORE_ANY, &f->err), &f->err);
    assert_ok(store_commit(store, &f->err), &f->err);
    store_close(store);
    assert_ok(store_open(f->path, false, &store, &f->err), &f->err);
    assert_ok(store_unlock(store, key, &f->err), &f->err);
    struct store_watch *watch = must_watch(store, "p/", 2);
    assert_string_equal("3:p/a@1 4:p/b@1 5:p/c@1", news(watch));
    store_watch_close(watch);
    store_close(store);
}

/* Who had the store open before someone asked for a history writes it, too. */
static void a_history_that_others_keep_is_written(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *writer = must_create(f->path);
    must_put(writer, "p/a", "x");
    CLEANUP(store_close) struct store *store = must_open(f->path);
    assert_ok(store_history_keep(store, "p/", &f->err), &f->err);
    struct store_watch *watch = must_watch(store, "p/", 3);
    must_put(writer, "p/a", "x");
    must_put(store, "p/b", "x");
    must_delete(writer, "p/a");
    assert_string_equal("4:p/a@2 5:p/b@1 6:p/a@0", news(watch));
    store_watch_close(watch);
}

/* ---- history that is gone -------------------------------------------------------------------- */

static void what_was_forgotten_is_said(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = create_kept(f);
    CLEANUP(store_watch_close) struct store_watch *slow = must_watch(store, "p/", 2);
    for (unsigned i = 0; i < STORE_HISTORY_ROWS_MAX; i++)
        must_put(store, "p/a", "x");
    struct store_watch *last = must_watch(store, "p/", 2); /* all of it is there */
    must_put(store, "p/a", "x");
    assert_result(LETHE_CONFLICT, next_result(slow, &f->err));
    assert_result(LETHE_CONFLICT, next_result(last, &f->err));
    store_watch_close(last);
    assert_result(LETHE_CONFLICT, store_watch_open(store, "p/", 2, &last, &f->err));
    CLEANUP(store_watch_close) struct store_watch *oldest = must_watch(store, "p/", 3);
    for (unsigned i = 0; i < 100; i++) /* other rows forget nothing */
        must_put(store, "elsewhere", "x");
    struct seen first = {.stop_before = 2};
    assert_result(LETHE_CANCELLED, store_watch_next(oldest, note_event, &first, &f->err));
    assert_string_equal("4:p/a@2", first.text);
    store_watch_close(MOVE(oldest));
    store_close(store);
    store = must_open(f->path);
    struct store_watch *again = must_watch(store, "p/", 3);
    struct seen seen = {.stop_before = 2};
    assert_result(LETHE_CANCELLED, store_watch_next(again, note_event, &seen, &f->err));
    assert_string_equal("4:p/a@2", seen.text);
    store_watch_close(again);
}

/* A transaction that fills more than one row, and more than all of them: it is whole, or gone. */
static void put_many(struct store *store, unsigned rows)
{
    struct lethe_error err = {0};
    char path[STORE_PATH_MAX + 1];
    assert_ok(store_begin(store, &err), &err);
    for (unsigned i = 0; i < rows; i++) {
        memset(path, 'x', STORE_PATH_MAX);
        int length = snprintf(path, sizeof path, "p/%06u", i);
        path[length] = '-';
        path[STORE_PATH_MAX] = '\0';
        assert_ok(store_put(store, path, "x", 1, STORE_ANY, &err), &err);
    }
    assert_ok(store_commit(store, &err), &err);
}

struct counted {
    uint64_t epoch; /* of the first and, so, of all */
    unsigned shown;
    unsigned stop_at;
};

static lethe_result count_event(void *context, const struct store_event *event,
                                struct lethe_error *err)
{
    struct counted *counted = context;
    if (counted->shown == counted->stop_at)
        return LETHE_CANCELLED;
    assert_int_equal(counted->shown, atoi(event->path + 2));
    assert_int_equal(counted->epoch, event->epoch);
    counted->shown++;
    return LETHE_OK;
}

#define PER_ROW (STORE_VALUE_MAX / (9 + STORE_PATH_MAX))

static void a_large_transaction_is_kept_whole(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = create_kept(f);
    struct store_watch *watch = must_watch(store, "p/", 2);
    struct store_watch *stops = must_watch(store, "p/", 2);
    const unsigned rows = PER_ROW * 3;
    put_many(store, rows);
    struct counted counted = {.epoch = 3, .stop_at = UINT32_MAX};
    assert_ok(store_watch_next(watch, count_event, &counted, &f->err), &f->err);
    assert_int_equal(rows, counted.shown);
    counted = (struct counted){.epoch = 3};
    for (unsigned i = 0; i < rows; i++, counted.stop_at++) /* one by one, across the rows */
        assert_result(LETHE_CANCELLED, store_watch_next(stops, count_event, &counted, &f->err));
    counted.stop_at = UINT32_MAX;
    assert_ok(store_watch_next(stops, count_event, &counted, &f->err), &f->err);
    assert_int_equal(rows, counted.shown);

    const unsigned too_many = PER_ROW * (STORE_HISTORY_ROWS_MAX + 2);
    put_many(store, too_many); /* alone it is more than is kept of others */
    counted = (struct counted){.epoch = 4, .stop_at = UINT32_MAX};
    assert_ok(store_watch_next(watch, count_event, &counted, &f->err), &f->err);
    assert_int_equal(too_many, counted.shown);
    must_put(store, "p/a", "x"); /* and it goes as a whole */
    assert_string_equal("5:p/a@1", news(watch));
    store_watch_close(watch);
    assert_result(LETHE_CONFLICT, store_watch_open(store, "p/", 3, &watch, &f->err));
    store_watch_close(must_watch(store, "p/", 4));
    store_watch_close(stops);
}

/* ---- several processes ----------------------------------------------------------------------- */

#define WRITERS 3
#define ROUNDS 60
#define ROWS 12

/* What the changes add up to. */
struct model {
    uint64_t version[ROWS];
    uint64_t epoch;
    size_t changes;
};

static lethe_result apply(void *context, const struct store_event *event, struct lethe_error *err)
{
    struct model *model = context;
    const int row = atoi(event->path + 2);
    assert_true(event->epoch >= model->epoch && row < ROWS);
    if (event->version != STORE_ABSENT && event->version != 1) /* none is missing before it */
        assert_int_equal(model->version[row] + 1, event->version);
    model->version[row] = event->version;
    model->epoch = event->epoch;
    model->changes++;
    return LETHE_OK;
}

static const char *model_text(const struct model *model)
{
    static char text[1024];
    size_t length = 0;
    text[0] = '\0';
    for (int i = 0; i < ROWS; i++) {
        if (model->version[i] != 0)
            length += (size_t)snprintf(text + length, sizeof text - length, "%sp/%02d@%" PRIu64,
                                       length == 0 ? "" : " ", i, model->version[i]);
    }
    return text;
}

/* In a child: writes rows on and off a lease, deletes them, ends the lease. */
static int write_rows(const char *path, unsigned seed)
{
    struct lethe_error err = {0};
    struct store *store = must_open(path);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t lease;
        char row[8];
        assert_ok(store_lease_grant(store, 60, &lease, &err), &err);
        assert_ok(store_begin(store, &err), &err);
        assert_ok(store_lease_attach(store, lease, &err), &err);
        for (unsigned i = 0; i < 3; i++) {
            snprintf(row, sizeof row, "p/%02u", (seed + round * 5 + i * 7) % ROWS);
            lethe_result result = round % 4 == 1 ? store_delete(store, row, STORE_ANY, &err)
                                                 : store_put(store, row, "x", 1, STORE_ANY, &err);
            assert_true(result == LETHE_OK || result == LETHE_NOT_FOUND);
            assert_ok(store_lease_attach(store, STORE_NO_LEASE, &err), &err);
        }
        assert_ok(store_commit(store, &err), &err);
        if (round % 3 != 0)
            assert_ok(store_lease_revoke(store, lease, &err), &err);
    }
    store_close(store);
    return 0;
}

static void nothing_is_missed_across_processes(void **state)
{
    struct fixture *f = *state;
    int children[WRITERS];
    struct model model = {0};
    CLEANUP(store_close) struct store *store = create_kept(f);
    struct store_watch *watch = must_watch(store, "p/", 2);
    for (unsigned i = 0; i < WRITERS; i++) {
        char seed[8];
        snprintf(seed, sizeof seed, "%u", i);
        children[i] = spawn_self((const char *const[]){"write", f->path, seed, NULL});
    }
    unsigned looks = 0;
    for (unsigned left = WRITERS; left > 0; looks++) {
        int status;
        assert_ok(store_watch_next(watch, apply, &model, &f->err), &f->err);
        if (looks % 8 == 0) { /* another watch, where this one was */
            uint64_t epoch = store_watch_epoch(watch);
            store_watch_close(watch);
            watch = must_watch(store, "p/", epoch);
        }
        while (left > 0 && waitpid(children[left - 1], &status, WNOHANG) != 0) {
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
            left--;
        }
    }
    assert_ok(store_watch_next(watch, apply, &model, &f->err), &f->err);
    assert_string_equal(listing(store, "p/"), model_text(&model));
    assert_int_equal(store_epoch(store), store_watch_epoch(watch));
    assert_true(model.changes > WRITERS * ROUNDS);
    print_message("%zu changes in %u looks\n", model.changes, looks);
    store_watch_close(watch);
}

#define ON_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    struct lethe_error err = {0};
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    if (argc == 4 && strcmp(argv[1], "write") == 0)
        return write_rows(argv[2], (unsigned)atoi(argv[3]));
    const struct CMUnitTest tests[] = {
        ON_FIXTURE(what_is_not_kept_cannot_be_watched),
        ON_FIXTURE(there_are_no_more_prefixes_than_the_limit),
        ON_FIXTURE(every_change_is_shown_once_and_in_order),
        ON_FIXTURE(a_transaction_is_one_change_a_row),
        ON_FIXTURE(the_end_of_a_lease_is_shown),
        ON_FIXTURE(a_refused_change_is_shown_again),
        ON_FIXTURE(rows_can_be_read_while_changes_are_shown),
        ON_FIXTURE(history_outlives_the_process_and_the_key),
        ON_FIXTURE(a_history_that_others_keep_is_written),
        ON_FIXTURE(what_was_forgotten_is_said),
        ON_FIXTURE(a_large_transaction_is_kept_whole),
        ON_FIXTURE(nothing_is_missed_across_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
