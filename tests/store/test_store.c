/* What callers may rely on: versions, transactions, listing, meta records, several processes. */
#include "fixture.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "store/backend.h"

/* ---- opening --------------------------------------------------------------------------------- */

static void a_store_is_made_once_and_found_again(void **state)
{
    struct fixture *f = *state;
    struct store *store;
    assert_result(LETHE_NOT_FOUND, store_open(f->path, false, &store, &f->err));
    assert_null(store);
    store = must_create(f->path);
    assert_int_equal(1, store_epoch(store));
    must_put(store, "a", "one");
    assert_int_equal(2, store_epoch(store));
    store_close(store);

    assert_result(LETHE_EXISTS, store_open(f->path, true, &store, &f->err));
    store = must_open(f->path);
    assert_int_equal(2, store_epoch(store));
    assert_int_equal(1, must_read(store, "a", "one"));
    store_close(store);
}

static void a_store_is_formatted_once(void **state)
{
    struct fixture *f = *state;
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(1);
    CLEANUP(store_close) struct store *store = NULL;
    assert_ok(store_open(f->path, true, &store, &f->err), &f->err);
    assert_result(LETHE_INTEGRITY, store_unlock(store, key, &f->err)); /* no head yet */
    assert_ok(store_format(store, key, &f->err), &f->err);
    store_close(MOVE(store));
    assert_ok(store_open(f->path, false, &store, &f->err), &f->err);
    assert_result(LETHE_EXISTS, store_format(store, key, &f->err));
    assert_ok(store_unlock(store, key, &f->err), &f->err);
}

static void another_key_does_not_unlock(void **state)
{
    struct fixture *f = *state;
    store_close(must_create(f->path));
    CLEANUP(lethe_secret_free) struct lethe_secret *wrong = test_key(2);
    CLEANUP(lethe_secret_free) struct lethe_secret *right = test_key(1);
    CLEANUP(store_close) struct store *store = NULL;
    assert_ok(store_open(f->path, false, &store, &f->err), &f->err);
    assert_result(LETHE_INTEGRITY, store_unlock(store, wrong, &f->err));
    assert_int_equal(0, store_epoch(store));
    assert_ok(store_unlock(store, right, &f->err), &f->err);
}

static unsigned mode_of(const char *path, const char *suffix)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    struct stat status;
    assert_int_equal(0, stat(name, &status));
    return status.st_mode & 07777;
}

static void nobody_else_can_read_the_files(void **state)
{
    struct fixture *f = *state;
    mode_t old = umask(0);
    struct store *store = must_create(f->path);
    must_put(store, "a", "one");
    assert_int_equal(0600, mode_of(f->path, ""));
    assert_int_equal(0600, mode_of(f->path, "-wal"));
    assert_int_equal(0600, mode_of(f->path, "-shm"));
    store_close(store);
    umask(old);

    assert_int_equal(0, chmod(f->path, 0640));
    assert_result(LETHE_UNPROTECTED, open_result(f->path, &f->err));
}

/* ---- versions -------------------------------------------------------------------------------- */

static void writes_happen_only_at_the_expected_version(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    assert_ok(store_begin(store, &f->err), &f->err);
    assert_result(LETHE_CONFLICT, store_put(store, "a", "x", 1, 1, &f->err));
    assert_ok(store_put(store, "a", "one", 3, STORE_ABSENT, &f->err), &f->err);
    assert_result(LETHE_CONFLICT, store_put(store, "a", "x", 1, STORE_ABSENT, &f->err));
    assert_result(LETHE_CONFLICT, store_put(store, "a", "x", 1, 2, &f->err));
    assert_ok(store_put(store, "a", "two", 3, 1, &f->err), &f->err);
    assert_ok(store_put(store, "a", "three", 5, STORE_ANY, &f->err), &f->err);
    assert_result(LETHE_CONFLICT, store_delete(store, "a", 2, &f->err));
    assert_result(LETHE_CONFLICT, store_delete(store, "b", 2, &f->err));
    assert_result(LETHE_NOT_FOUND, store_delete(store, "b", STORE_ANY, &f->err));
    assert_ok(store_commit(store, &f->err), &f->err);
    assert_int_equal(3, must_read(store, "a", "three"));

    assert_ok(store_begin(store, &f->err), &f->err);
    assert_ok(store_delete(store, "a", 3, &f->err), &f->err);
    assert_ok(store_put(store, "a", "anew", 4, STORE_ABSENT, &f->err), &f->err);
    assert_ok(store_commit(store, &f->err), &f->err);
    assert_int_equal(1, must_read(store, "a", "anew"));
}

static void paths_and_values_have_limits(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    static const char *const bad[] = {"", "/a", "a/", "a//b", "a b", "a\n", "\xc3\xa9", "a%"};
    char longest[STORE_PATH_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[STORE_PATH_MAX + 1] = '\0';
    static uint8_t value[STORE_VALUE_MAX + 1];

    assert_ok(store_begin(store, &f->err), &f->err);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_result(LETHE_INVALID, store_put(store, bad[i], "x", 1, STORE_ANY, &f->err));
    assert_result(LETHE_INVALID, store_put(store, longest, "x", 1, STORE_ANY, &f->err));
    longest[STORE_PATH_MAX] = '\0';
    assert_result(LETHE_INVALID, store_put(store, "a", value, 0, STORE_ANY, &f->err));
    assert_result(LETHE_INVALID,
                  store_put(store, "a", value, STORE_VALUE_MAX + 1, STORE_ANY, &f->err));
    assert_ok(store_put(store, longest, value, STORE_VALUE_MAX, STORE_ANY, &f->err), &f->err);
    assert_ok(store_commit(store, &f->err), &f->err);

    CLEANUP(lethe_secret_free) struct lethe_secret *read = NULL;
    assert_ok(store_get(store, longest, &read, NULL, &f->err), &f->err);
    assert_int_equal(STORE_VALUE_MAX, lethe_secret_size(read));
}

/* ---- transactions ---------------------------------------------------------------------------- */

static void a_rollback_forgets_everything(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    must_put(store, "keep", "old");
    must_put(store, "drop", "old");
    assert_ok(store_begin(store, &f->err), &f->err);
    assert_ok(store_put(store, "keep", "new", 3, STORE_ANY, &f->err), &f->err);
    assert_ok(store_put(store, "more", "new", 3, STORE_ANY, &f->err), &f->err);
    assert_ok(store_delete(store, "drop", STORE_ANY, &f->err), &f->err);
    assert_ok(store_meta_put(store, "m", "new", 3, &f->err), &f->err);
    assert_string_equal("keep@2 more@1", listing(store, ""));
    assert_int_equal(2, must_read(store, "keep", "new")); /* its own writes are seen inside */
    store_rollback(store);
    store_rollback(store); /* fine */

    assert_string_equal("drop@1 keep@1", listing(store, ""));
    CLEANUP(buffer_clear) struct buffer meta = {0};
    assert_result(LETHE_NOT_FOUND, store_meta_get(store, "m", &meta, &f->err));
    assert_int_equal(3, store_epoch(store));
    must_put(store, "keep", "newer"); /* the sum is right again */
    store_close(MOVE(store));
    store = must_open(f->path);
    assert_string_equal("drop@1 keep@2", listing(store, ""));
}

static void closing_forgets_an_open_transaction(void **state)
{
    struct fixture *f = *state;
    struct store *store = must_create(f->path);
    assert_ok(store_begin(store, &f->err), &f->err);
    assert_ok(store_put(store, "a", "x", 1, STORE_ANY, &f->err), &f->err);
    store_close(store);
    store = must_open(f->path);
    assert_string_equal("", listing(store, ""));
    store_close(store);
}

static void nothing_is_visible_before_commit(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *writer = must_create(f->path);
    CLEANUP(store_close) struct store *reader = must_open(f->path);
    assert_ok(store_begin(writer, &f->err), &f->err);
    assert_ok(store_put(writer, "a", "x", 1, STORE_ANY, &f->err), &f->err);
    assert_string_equal("", listing(reader, ""));
    assert_ok(store_commit(writer, &f->err), &f->err);
    assert_string_equal("a@1", listing(reader, ""));
    assert_int_equal(store_epoch(writer), store_epoch(reader));
}

static void a_second_writer_waits_and_then_gives_up(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *first = must_create(f->path);
    assert_ok(store_begin(first, &f->err), &f->err);

    const struct store_sqlite_options options = {.path = f->path, .busy_timeout_ms = 30};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(1);
    void *rows;
    CLEANUP(store_close) struct store *second = NULL;
    assert_ok(store_sqlite_open(&options, &rows, &f->err), &f->err);
    assert_ok(store_over(&store_sqlite, rows, &second, &f->err), &f->err);
    assert_ok(store_unlock(second, key, &f->err), &f->err);
    assert_result(LETHE_BUSY, store_begin(second, &f->err));
    assert_true(f->err.hint[0] != '\0');
    assert_string_equal("", listing(second, "")); /* reading goes on */

    assert_ok(store_commit(first, &f->err), &f->err);
    assert_ok(store_begin(second, &f->err), &f->err);
    assert_int_equal(2, store_epoch(second));
}

/* ---- listing --------------------------------------------------------------------------------- */

static void lists_are_by_prefix_in_byte_order(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    static const char *const paths[] = {"k/b", "k/a", "k", "k/a/x", "ka", "K/a", "k/B", "l"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        must_put(store, paths[i], "x");
    assert_string_equal("k/B@1 k/a@1 k/a/x@1 k/b@1", listing(store, "k/"));
    assert_string_equal("k@1 k/B@1 k/a@1 k/a/x@1 k/b@1 ka@1", listing(store, "k"));
    assert_string_equal("", listing(store, "z"));
    assert_string_equal("K/a@1 k@1 k/B@1 k/a@1 k/a/x@1 k/b@1 ka@1 l@1", listing(store, ""));
}

struct reading {
    struct store *store;
    struct store *other;
    int calls;
};

static lethe_result read_while_others_write(void *context, const char *path, uint64_t version,
                                            struct lethe_error *err)
{
    struct reading *reading = context;
    reading->calls++;
    must_put(reading->other, "b", "changed"); /* not seen by this list */
    CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
    uint64_t seen;
    TRY(store_get(reading->store, path, &value, &seen, err));
    assert_int_equal(version, seen);
    return reading->calls == 2 ? LETHE_CANCELLED : LETHE_OK;
}

static void a_list_sees_one_state_and_can_stop(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    CLEANUP(store_close) struct store *other = must_open(f->path);
    must_put(store, "a", "x");
    must_put(store, "b", "x");
    must_put(store, "c", "x");
    struct reading reading = {.store = store, .other = other};
    assert_result(LETHE_CANCELLED,
                  store_list(store, "", read_while_others_write, &reading, &f->err));
    assert_int_equal(2, reading.calls);
    assert_string_equal("a@1 b@3 c@1", listing(store, ""));
}

/* ---- meta records ---------------------------------------------------------------------------- */

static void meta_records_need_no_key(void **state)
{
    struct fixture *f = *state;
    store_close(must_create(f->path));
    CLEANUP(store_close) struct store *store = NULL;
    assert_ok(store_open(f->path, false, &store, &f->err), &f->err);
    CLEANUP(buffer_clear) struct buffer value = {0};
    assert_result(LETHE_NOT_FOUND, store_meta_get(store, "root", &value, &f->err));
    assert_ok(store_meta_put(store, "root", "first", 5, &f->err), &f->err);
    assert_ok(store_meta_put(store, "root", "second", 6, &f->err), &f->err);
    assert_ok(store_meta_get(store, "root", &value, &f->err), &f->err);
    assert_string_equal("second", value.bytes);
    static const char *const bad[] = {"", "Root", "a/b", "123456789012345678901234567890123"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_result(LETHE_INVALID, store_meta_put(store, bad[i], "x", 1, &f->err));
    static char large[STORE_META_MAX + 1];
    assert_result(LETHE_INVALID, store_meta_put(store, "a", large, sizeof large, &f->err));
    assert_result(LETHE_INVALID, store_meta_put(store, "a", large, 0, &f->err));
    assert_ok(store_meta_put(store, "a", large, STORE_META_MAX, &f->err), &f->err);
}

/* ---- what is read ---------------------------------------------------------------------------- */

static unsigned scans;
static lethe_result counting_visit(void *state, store_row_visit *visit, void *context,
                                   struct lethe_error *err)
{
    scans++;
    return store_sqlite.visit(state, visit, context, err);
}

/* Losing a compare-and-swap costs no look at every row; what was really written is forgotten. */
static void only_what_was_written_is_read_again(void **state)
{
    struct fixture *f = *state;
    void *rows;
    struct store *store = must_create(f->path);
    must_put(store, "a", "x");
    store_close(store);
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(1);
    struct store_backend counting = store_sqlite;
    counting.visit = counting_visit;
    const struct store_sqlite_options options = {.path = f->path};
    assert_ok(store_sqlite_open(&options, &rows, &f->err), &f->err);
    assert_ok(store_over(&counting, rows, &store, &f->err), &f->err);
    assert_ok(store_unlock(store, key, &f->err), &f->err);
    scans = 0;
    assert_ok(store_begin(store, &f->err), &f->err);
    assert_result(LETHE_CONFLICT, store_put(store, "a", "y", 1, 7, &f->err));
    store_rollback(store);
    assert_string_equal("a@1", listing(store, ""));
    must_put(store, "a", "y");
    assert_int_equal(0, scans);
    assert_ok(store_begin(store, &f->err), &f->err);
    assert_ok(store_put(store, "a", "z", 1, 2, &f->err), &f->err);
    store_rollback(store);
    assert_string_equal("a@2", listing(store, ""));
    assert_int_equal(1, scans);
    must_read(store, "a", "y");
    store_close(store);
}

/* ---- several processes ----------------------------------------------------------------------- */

#define PROCESSES 4
#define INCREMENTS 20

/* In a child: adds one to the counter, again and again, with nothing but compare-and-swap. */
static int count_up(const char *path)
{
    CLEANUP(store_close) struct store *store = must_open(path);
    struct lethe_error err = {0};
    for (int i = 0; i < INCREMENTS; i++) {
        assert_ok(store_begin(store, &err), &err);
        CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
        uint64_t version;
        assert_ok(store_get(store, "counter", &value, &version, &err), &err);
        uint64_t *count = (uint64_t *)lethe_secret_bytes(value);
        ++*count;
        assert_ok(store_put(store, "counter", count, sizeof *count, version, &err), &err);
        assert_ok(store_commit(store, &err), &err);
    }
    return 0;
}

static void several_processes_lose_nothing(void **state)
{
    struct fixture *f = *state;
    struct store *store = must_create(f->path);
    uint64_t zero = 0;
    assert_ok(store_begin(store, &f->err), &f->err);
    assert_ok(store_put(store, "counter", &zero, sizeof zero, STORE_ABSENT, &f->err), &f->err);
    assert_ok(store_commit(store, &f->err), &f->err);

    int children[PROCESSES];
    for (size_t i = 0; i < ARRAY_LEN(children); i++)
        children[i] = spawn_self((const char *const[]){"count-up", f->path, NULL});
    uint64_t seen = 0;
    for (int i = 0; i < 50; i++) { /* this handle reads all the while, and never backwards */
        CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
        assert_ok(store_get(store, "counter", &value, NULL, &f->err), &f->err);
        uint64_t now = *(uint64_t *)lethe_secret_bytes(value);
        assert_true(now >= seen);
        seen = now;
        usleep(1000);
    }
    for (size_t i = 0; i < ARRAY_LEN(children); i++)
        assert_int_equal(0, wait_for(children[i]));

    CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
    uint64_t version;
    assert_ok(store_get(store, "counter", &value, &version, &f->err), &f->err);
    assert_int_equal(PROCESSES * INCREMENTS, *(uint64_t *)lethe_secret_bytes(value));
    assert_int_equal(PROCESSES * INCREMENTS + 1, version);
    assert_int_equal(PROCESSES * INCREMENTS + 2, store_epoch(store));
    store_close(store);
    store_close(must_open(f->path));
}

#define ON_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    struct lethe_error err = {0};
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    if (argc == 3 && strcmp(argv[1], "count-up") == 0)
        return count_up(argv[2]);
    const struct CMUnitTest tests[] = {
        ON_FIXTURE(a_store_is_made_once_and_found_again),
        ON_FIXTURE(a_store_is_formatted_once),
        ON_FIXTURE(another_key_does_not_unlock),
        ON_FIXTURE(nobody_else_can_read_the_files),
        ON_FIXTURE(writes_happen_only_at_the_expected_version),
        ON_FIXTURE(paths_and_values_have_limits),
        ON_FIXTURE(a_rollback_forgets_everything),
        ON_FIXTURE(closing_forgets_an_open_transaction),
        ON_FIXTURE(nothing_is_visible_before_commit),
        ON_FIXTURE(a_second_writer_waits_and_then_gives_up),
        ON_FIXTURE(lists_are_by_prefix_in_byte_order),
        ON_FIXTURE(a_list_sees_one_state_and_can_stop),
        ON_FIXTURE(meta_records_need_no_key),
        ON_FIXTURE(only_what_was_written_is_read_again),
        ON_FIXTURE(several_processes_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
