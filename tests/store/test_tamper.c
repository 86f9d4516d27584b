/* Someone who can write the file but has no key: rows that vanish, appear, move or come back. */
#include "fixture.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto.h"

/* ---- one change by SQL, then opened ---------------------------------------------------------- */

/* The store before each: a@1 b@3 c@1, all with the same value, so that only paths and versions tell
 * them apart. `old` is the same store one transaction earlier, with b@2. */
static const struct {
    const char *name;
    const char *sql;
    const char *says; /* part of the error */
} changes[] = {
    {"row removed", "DELETE FROM store_row WHERE path = 'a'", "2 rows instead of 3"},
    {"all rows removed", "DELETE FROM store_row", "0 rows instead of 3"},
    {"row added under another path",
     "INSERT INTO store_row SELECT 'd', version, sealed FROM store_row WHERE path = 'c'",
     "row d was changed"},
    {"rows swapped",
     "UPDATE store_row SET sealed = (SELECT sealed FROM store_row o WHERE o.path = "
     "CASE store_row.path WHEN 'a' THEN 'c' ELSE 'a' END) WHERE path IN ('a', 'c')",
     "row a was changed"},
    {"old row put back", "REPLACE INTO store_row SELECT * FROM old.store_row WHERE path = 'b'",
     "older one"},
    {"old row and no new one",
     "DELETE FROM store_row; INSERT INTO store_row SELECT * FROM old.store_row WHERE path = 'b'",
     "1 rows instead of 3"},
    {"version changed", "UPDATE store_row SET version = 2 WHERE path = 'b'", "row b was changed"},
    {"version impossible", "UPDATE store_row SET version = 0 WHERE path = 'b'", "no row has"},
    {"path changed", "UPDATE store_row SET path = 'aa' WHERE path = 'a'", "row aa was changed"},
    {"path impossible", "UPDATE store_row SET path = '/a' WHERE path = 'a'", "no row has"},
    {"path with a NUL", "UPDATE store_row SET path = 'a' || char(0) WHERE path = 'a'",
     "no row has"},
    {"value emptied", "UPDATE store_row SET sealed = x'' WHERE path = 'a'", "empty column"},
    {"value cut", "UPDATE store_row SET sealed = substr(sealed, 1, 20) WHERE path = 'a'",
     "row a has 20 bytes"},
    {"value enlarged", "UPDATE store_row SET sealed = zeroblob(5000) WHERE path = 'a'",
     "row a has 5000 bytes"},
    {"value beyond every limit", "UPDATE store_row SET sealed = zeroblob(9000) WHERE path = 'a'",
     "too big"},
    {"head removed", "DELETE FROM store_meta WHERE name = 'head'", "head is missing"},
    {"head zeroed", "UPDATE store_meta SET value = zeroblob(84) WHERE name = 'head'",
     "head was changed"},
    {"head cut", "UPDATE store_meta SET value = substr(value, 1, 83) WHERE name = 'head'",
     "83 bytes instead of 84"},
    {"old head put back", "REPLACE INTO store_meta SELECT * FROM old.store_meta", "older one"},
    {"head of another store", "REPLACE INTO store_meta SELECT * FROM other.store_meta",
     "head was changed, or belongs to another key"},
    {"table added", "CREATE TABLE extra (x)", "not those of a store"},
    {"view added", "CREATE VIEW v AS SELECT 1", "not those of a store"},
    {"trigger added", "CREATE TRIGGER t AFTER INSERT ON store_row BEGIN DELETE FROM store_row; END",
     "not those of a store"},
    {"index added", "CREATE INDEX i ON store_row (version)", "not those of a store"},
    {"table replaced by a view",
     "ALTER TABLE store_row RENAME TO x; CREATE VIEW store_row AS SELECT * FROM x",
     "not those of a store"},
    {"table dropped", "DROP TABLE store_row", "missing"},
    {"other application", "PRAGMA application_id = 1; PRAGMA wal_checkpoint(TRUNCATE)",
     "not a store of Lethe"},
    {"other format version", "PRAGMA user_version = 2; PRAGMA wal_checkpoint(TRUNCATE)",
     "not a store of Lethe"},
    {"not in write-ahead mode", "PRAGMA journal_mode = DELETE", "not a store of Lethe"},
};

static void tamper_with(const struct fixture *f, const char *change)
{
    char sql[1024];
    snprintf(sql, sizeof sql, "ATTACH '%s/old.db' AS old; ATTACH '%s/other.db' AS other; %s",
             f->directory, f->directory, change);
    tamper(f->path, sql);
}

static void copy_file(const char *from, const char *to)
{
    uint8_t *bytes;
    size_t size_bytes = read_file(from, &bytes);
    write_file(to, bytes, size_bytes);
    free(bytes);
}

/* store.db, old.db and other.db, closed. */
static void make_stores(struct fixture *f)
{
    char old[96];
    char other[96];
    snprintf(old, sizeof old, "%s/old.db", f->directory);
    snprintf(other, sizeof other, "%s/other.db", f->directory);

    struct store *store = must_create(f->path);
    must_put(store, "a", "the same value");
    must_put(store, "c", "the same value");
    must_put(store, "b", "the same value");
    must_put(store, "b", "the same value");
    store_close(store);
    copy_file(f->path, old);
    store = must_open(f->path);
    must_put(store, "b", "the same value");
    store_close(store);

    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(2);
    assert_ok(store_open(other, true, &store, &f->err), &f->err);
    assert_ok(store_format(store, key, &f->err), &f->err);
    store_close(store);
}

static void every_change_is_found_and_named(void **state)
{
    struct fixture *f = *state;
    make_stores(f);
    uint8_t *whole;
    size_t size_bytes = read_file(f->path, &whole);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        write_file(f->path, whole, size_bytes);
        remove_side_files(f->path);
        tamper_with(f, ""); /* control: touching alone changes nothing */
        assert_ok(open_result(f->path, &f->err), &f->err);
        tamper_with(f, changes[i].sql);
        lethe_result result = open_result(f->path, &f->err);
        if (result != LETHE_INTEGRITY || strstr(f->err.text, changes[i].says) == NULL)
            fail_msg("%s: %s: %s", changes[i].name, lethe_result_name(result), f->err.text);
    }
    free(whole);
}

/* What cannot be seen without an anchor, and why the epoch goes into the log: a whole old store. */
static void a_whole_old_store_opens_at_its_old_epoch(void **state)
{
    struct fixture *f = *state;
    make_stores(f);
    struct store *store = must_open(f->path);
    uint64_t newest = store_epoch(store);
    store_close(store);
    char old[96];
    snprintf(old, sizeof old, "%s/old.db", f->directory);
    copy_file(old, f->path);
    store = must_open(f->path);
    assert_string_equal("a@1 b@2 c@1", listing(store, ""));
    assert_int_equal(newest - 1, store_epoch(store));
    store_close(store);
}

/* ---- while it is open ------------------------------------------------------------------------ */

static const struct {
    const char *name;
    const char *sql;
    const char *path; /* which row is then read */
} live_changes[] = {
    {"row removed", "DELETE FROM store_row WHERE path = 'a'", "a"},
    {"old row put back", "REPLACE INTO store_row SELECT * FROM old.store_row WHERE path = 'b'",
     "b"},
    {"row of another path",
     "UPDATE store_row SET sealed = (SELECT sealed FROM store_row WHERE path = 'a') "
     "WHERE path = 'c'",
     "c"},
    {"whole old state put back",
     "DELETE FROM store_row; INSERT INTO store_row SELECT * FROM old.store_row; "
     "REPLACE INTO store_meta SELECT * FROM old.store_meta",
     "a"},
    {"head removed", "DELETE FROM store_meta", "a"},
};

static void changes_under_an_open_store_are_found(void **state)
{
    struct fixture *f = *state;
    make_stores(f);
    uint8_t *whole;
    size_t size_bytes = read_file(f->path, &whole);
    for (size_t i = 0; i < ARRAY_LEN(live_changes); i++) {
        write_file(f->path, whole, size_bytes);
        remove_side_files(f->path);
        struct store *store = must_open(f->path);
        must_read(store, live_changes[i].path, "the same value"); /* control */
        tamper_with(f, live_changes[i].sql);
        struct lethe_secret *value;
        lethe_result result = store_get(store, live_changes[i].path, &value, NULL, &f->err);
        if (result != LETHE_INTEGRITY)
            fail_msg("%s: %s: %s", live_changes[i].name, lethe_result_name(result), f->err.text);
        assert_null(value);
        store_close(store);
        assert_result(i == 3 ? LETHE_OK : LETHE_INTEGRITY, open_result(f->path, &f->err));
    }
    free(whole);
}

/* A row that was deleted and made again has the same path and version in two lives: only the digest
 * tells them apart. */
static void a_row_of_an_earlier_life_is_found(void **state)
{
    struct fixture *f = *state;
    char old[96];
    make_stores(f);
    snprintf(old, sizeof old, "%s/old.db", f->directory);
    copy_file(f->path, old);
    struct store *store = must_open(f->path);
    must_delete(store, "a");
    must_put(store, "a", "the new value");
    assert_int_equal(1, must_read(store, "a", "the new value")); /* as in the old store */
    tamper_with(f, "REPLACE INTO store_row SELECT * FROM old.store_row WHERE path = 'a'");
    struct lethe_secret *value;
    assert_result(LETHE_INTEGRITY, store_get(store, "a", &value, NULL, &f->err));
    store_close(store);
    assert_result(LETHE_INTEGRITY, open_result(f->path, &f->err));
}

/* A change that went unnoticed is not made good by the next transaction. */
static void a_transaction_does_not_launder_a_change(void **state)
{
    struct fixture *f = *state;
    make_stores(f);
    struct store *store = must_open(f->path);
    tamper_with(f, "DELETE FROM store_row WHERE path = 'a'");
    must_put(store, "c", "changed"); /* does not look at a */
    must_put(store, "d", "new");
    store_close(store);
    assert_result(LETHE_INTEGRITY, open_result(f->path, &f->err));
}

/* Two histories from one state, as when a copy of the home is used elsewhere and put back. */
static void a_second_history_is_refused(void **state)
{
    struct fixture *f = *state;
    make_stores(f);
    uint8_t *whole;
    size_t size_bytes = read_file(f->path, &whole);
    struct store *store = must_open(f->path);
    must_put(store, "a", "this history");
    store_close(store);
    uint8_t *this_history;
    size_t this_bytes = read_file(f->path, &this_history);

    write_file(f->path, whole, size_bytes);
    store = must_open(f->path);
    must_put(store, "a", "the other history"); /* the same epoch now */
    char other[96];
    snprintf(other, sizeof other, "%s/old.db", f->directory);
    write_file(other, this_history, this_bytes);
    tamper_with(f, "DELETE FROM store_row; INSERT INTO store_row SELECT * FROM old.store_row; "
                   "REPLACE INTO store_meta SELECT * FROM old.store_meta");
    struct lethe_secret *value;
    assert_result(LETHE_INTEGRITY, store_get(store, "a", &value, NULL, &f->err));
    assert_result(LETHE_INTEGRITY, store_begin(store, &f->err));
    store_close(store);
    free(whole);
    free(this_history);
}

/* ---- other files ----------------------------------------------------------------------------- */

static void other_files_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "This is not a store, and was never meant to be one.\n";
    write_file(f->path, text, sizeof text - 1);
    assert_result(LETHE_INTEGRITY, open_result(f->path, &f->err));
    write_file(f->path, "", 0);
    assert_result(LETHE_INTEGRITY, open_result(f->path, &f->err));
    unlink(f->path);

    mode_t old = umask(077);
    tamper(f->path, "CREATE TABLE store_row (path, version, sealed)"); /* SQLite, but not ours */
    umask(old);
    assert_result(LETHE_INTEGRITY, open_result(f->path, &f->err));
    unlink(f->path);

    assert_int_equal(0, mkdir(f->path, 0700));
    assert_result(LETHE_INTEGRITY, open_result(f->path, &f->err));
    assert_int_equal(0, rmdir(f->path));

    store_close(must_create(f->path));
    char link_name[96];
    snprintf(link_name, sizeof link_name, "%s/link.db", f->directory);
    assert_int_equal(0, symlink(f->path, link_name));
    assert_result(LETHE_INTEGRITY, open_result(link_name, &f->err));
}

/* ---- what the files show --------------------------------------------------------------------- */

/* K-2 */
static void no_value_is_in_the_files(void **state)
{
    struct fixture *f = *state;
    static const char value[] = "correct horse battery staple 4711";
    static const char path[] = "a-path-that-is-visible";
    struct store *store = must_create(f->path);
    must_put(store, path, value);
    must_put(store, path, value);
    assert_int_not_equal(0, count_in_files(f, path, strlen(path))); /* the search finds things */
    assert_int_equal(0, count_in_files(f, value, strlen(value)));
    assert_int_equal(0, count_in_files(f, value, 8));
    store_close(store);
    assert_int_not_equal(0, count_in_files(f, path, strlen(path)));
    assert_int_equal(0, count_in_files(f, value, 8));

    store = must_open(f->path);
    assert_ok(store_meta_put(store, "plain", value, strlen(value), &f->err), &f->err);
    assert_int_not_equal(0, count_in_files(f, value, strlen(value))); /* control: it would show */
    store_close(store);
}

static void a_deleted_row_is_overwritten(void **state)
{
    struct fixture *f = *state;
    static const char path[] = "a-path-that-is-visible";
    struct store *store = must_create(f->path);
    must_put(store, path, "x");
    store_close(store);
    assert_int_equal(1, count_in_files(f, path, strlen(path)));
    store = must_open(f->path);
    must_delete(store, path);
    store_close(store);
    assert_int_equal(0, count_in_files(f, path, strlen(path)));
}

#define ON_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    struct lethe_error err = {0};
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        ON_FIXTURE(every_change_is_found_and_named),
        ON_FIXTURE(a_whole_old_store_opens_at_its_old_epoch),
        ON_FIXTURE(changes_under_an_open_store_are_found),
        ON_FIXTURE(a_row_of_an_earlier_life_is_found),
        ON_FIXTURE(a_transaction_does_not_launder_a_change),
        ON_FIXTURE(a_second_history_is_refused),
        ON_FIXTURE(other_files_are_refused),
        ON_FIXTURE(no_value_is_in_the_files),
        ON_FIXTURE(a_deleted_row_is_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
