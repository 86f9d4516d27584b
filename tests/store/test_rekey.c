/* Another store key: the rows are the same, the old key and the old bytes are gone, and whoever had
 * the store open finds the new key or a clear error. K-3 */
#include "fixture.h"

#include <inttypes.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "crypto/crypto.h"
#include "faults.h"
#include "store/backend.h"
#include "store/seal.h"

#define NEW_KEY 2

static lethe_result rekey_to(struct store *store, uint8_t seed, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(seed);
    TRY(store_begin(store, err));
    CLEANUP(store_rollback) struct store *transaction = store;
    TRY(store_rekey(transaction, key, err));
    return store_commit(transaction, err);
}

static lethe_result opens_with(const char *path, uint8_t seed, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(seed);
    CLEANUP(store_close) struct store *store = NULL;
    TRY(store_open(path, false, &store, err));
    return store_unlock(store, key, err);
}

/* What SQLite has under `sql`, the first column of the first row; freed with free(). */
static uint8_t *blob_of(const char *path, const char *sql, size_t *size_bytes)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(SQLITE_OK, sqlite3_open(path, &db));
    assert_int_equal(SQLITE_OK, sqlite3_prepare_v2(db, sql, -1, &statement, NULL));
    assert_int_equal(SQLITE_ROW, sqlite3_step(statement));
    *size_bytes = (size_t)sqlite3_column_bytes(statement, 0);
    uint8_t *copy = malloc(*size_bytes);
    assert_non_null(copy);
    memcpy(copy, sqlite3_column_blob(statement, 0), *size_bytes);
    sqlite3_finalize(statement);
    assert_int_equal(SQLITE_OK, sqlite3_close(db));
    return copy;
}

/* ---- what stays and what goes ---------------------------------------------------------------- */

static void rows_stay_and_the_key_changes(void **state)
{
    struct fixture *f = *state;
    struct store *store = must_create(f->path);
    must_put(store, "a/one", "1");
    must_put(store, "a/one", "11");
    must_put(store, "b", "2");
    assert_ok(rekey_to(store, NEW_KEY, &f->err), &f->err);
    assert_int_equal(5, store_epoch(store));
    assert_string_equal("a/one@2 b@1", listing(store, ""));
    must_read(store, "a/one", "11");
    must_put(store, "a/one", "111"); /* the handle goes on */
    store_close(store);

    assert_result(LETHE_INTEGRITY, opens_with(f->path, 1, &f->err));
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(NEW_KEY);
    assert_ok(store_open(f->path, false, &store, &f->err), &f->err);
    assert_ok(store_unlock(store, key, &f->err), &f->err);
    assert_string_equal("a/one@3 b@1", listing(store, ""));
    must_read(store, "a/one", "111");
    must_read(store, "b", "2");
    store_close(store);
}

static void an_empty_store_can_be_rekeyed(void **state)
{
    struct fixture *f = *state;
    struct store *store = must_create(f->path);
    assert_ok(rekey_to(store, NEW_KEY, &f->err), &f->err);
    must_put(store, "a", "1");
    store_close(store);
    assert_ok(opens_with(f->path, NEW_KEY, &f->err), &f->err);
}

static void it_is_part_of_its_transaction(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    CLEANUP(lethe_secret_free) struct lethe_secret *second = test_key(NEW_KEY);
    CLEANUP(lethe_secret_free) struct lethe_secret *third = test_key(3);
    must_put(store, "a", "1");
    assert_ok(store_begin(store, &f->err), &f->err);
    assert_ok(store_put(store, "b", "2", 1, STORE_ABSENT, &f->err), &f->err);
    assert_ok(store_rekey(store, second, &f->err), &f->err);
    assert_ok(store_rekey(store, third, &f->err), &f->err); /* and again */
    assert_ok(store_put(store, "c", "3", 1, STORE_ABSENT, &f->err), &f->err);
    must_read(store, "a", "1");
    must_read(store, "b", "2");
    store_rollback(store);
    assert_string_equal("a@1", listing(store, ""));
    must_read(store, "a", "1");
    assert_ok(opens_with(f->path, 1, &f->err), &f->err);

    assert_ok(store_begin(store, &f->err), &f->err);
    assert_ok(store_delete(store, "a", STORE_ANY, &f->err), &f->err);
    assert_ok(store_rekey(store, second, &f->err), &f->err);
    assert_ok(store_rekey(store, third, &f->err), &f->err);
    assert_ok(store_put(store, "c", "3", 1, STORE_ABSENT, &f->err), &f->err);
    assert_ok(store_commit(store, &f->err), &f->err);
    assert_string_equal("c@1", listing(store, ""));
    assert_ok(opens_with(f->path, 3, &f->err), &f->err);
    assert_result(LETHE_INTEGRITY, opens_with(f->path, NEW_KEY, &f->err));
}

static void a_key_of_another_size_is_refused(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    assert_ok(lethe_secret_create(STORE_KEY_BYTES - 1, &key, &f->err), &f->err);
    assert_ok(store_begin(store, &f->err), &f->err);
    assert_result(LETHE_INVALID, store_rekey(store, key, &f->err));
    assert_result(LETHE_INVALID, store_commit(store, &f->err));
    must_put(store, "a", "1");
}

/* Half of what random nonces allow is counted per key. */
static void seals_are_counted_anew(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(NEW_KEY);
    struct seal_keys keys;
    struct head head;
    for (int i = 0; i < 5; i++)
        must_put(store, "a", "1");
    must_put(store, "b", "2");
    assert_ok(rekey_to(store, NEW_KEY, &f->err), &f->err);
    size_t size_bytes;
    uint8_t *sealed =
        blob_of(f->path, "SELECT value FROM store_meta WHERE name = 'head'", &size_bytes);
    assert_ok(seal_keys_derive(key, &keys, &f->err), &f->err);
    assert_ok(head_open(&keys, sealed, size_bytes, &head, &f->err), &f->err);
    assert_int_equal(2, head.seals);
    assert_int_equal(2, head.rows);
    assert_int_equal(8, head.epoch);
    seal_keys_clear(&keys);
    free(sealed);
}

/* ---- what is left of the old bytes ----------------------------------------------------------- */

#define CHURN 400
#define NONCE 12

static void churn(struct store *store, struct lethe_error *err)
{
    char path[32];
    char value[1200];
    memset(value, 'v', sizeof value);
    for (unsigned i = 0; i < CHURN; i++) {
        assert_ok(store_begin(store, err), err);
        snprintf(path, sizeof path, "row-%02u", (i * 37) % 60);
        assert_ok(store_put(store, path, value, 20 + (i * 131) % 1100, STORE_ANY, err), err);
        assert_ok(store_commit(store, err), err);
    }
}

struct nonces {
    uint8_t (*at)[NONCE];
    size_t count;
};

/* Nonces of what lies in the store: they occur nowhere else. */
static void note_nonces(const char *path, struct nonces *nonces)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(SQLITE_OK, sqlite3_open(path, &db));
    assert_int_equal(SQLITE_OK, sqlite3_prepare_v2(db,
                                                   "SELECT sealed FROM store_row UNION ALL "
                                                   "SELECT value FROM store_meta",
                                                   -1, &statement, NULL));
    while (sqlite3_step(statement) == SQLITE_ROW) {
        nonces->at = reallocarray(nonces->at, nonces->count + 1, NONCE);
        assert_non_null(nonces->at);
        memcpy(nonces->at[nonces->count++], sqlite3_column_blob(statement, 0), NONCE);
    }
    sqlite3_finalize(statement);
    assert_int_equal(SQLITE_OK, sqlite3_close(db));
}

static size_t count_left(const struct fixture *f, const struct nonces *nonces)
{
    size_t found = 0;
    for (size_t i = 0; i < nonces->count; i++)
        found += count_in_files(f, nonces->at[i], NONCE) > 0;
    return found;
}

static void nothing_of_the_old_pages_is_left(void **state)
{
    struct fixture *f = *state;
    struct nonces nonces = {0};
    CLEANUP(store_close) struct store *store = must_create(f->path);
    assert_ok(store_meta_put(store, "root", "an old wrapped key", 18, &f->err), &f->err);
    for (int round = 0; round < 4; round++) {
        churn(store, &f->err);
        note_nonces(f->path, &nonces);
        store_close(store); /* the log is folded in */
        store = must_open(f->path);
    }
    size_t before = count_left(f, &nonces);
    bool held = false;
    assert_true(before > 60); /* the search finds what is there */
    assert_ok(store_holds(store, "an old wrapped key", 18, &held, &f->err), &f->err);
    assert_true(held);

    assert_ok(rekey_to(store, NEW_KEY, &f->err), &f->err);
    size_t in_log = count_left(f, &nonces); /* the file is as it was until the log is folded in */
    assert_ok(store_forget(store, &f->err), &f->err);
    assert_int_equal(0, count_left(f, &nonces));
    assert_int_equal(0, count_in_files(f, "an old wrapped key", 18));
    assert_ok(store_holds(store, "an old wrapped key", 18, &held, &f->err), &f->err);
    assert_false(held);
    print_message("%zu of %zu old values found before, %zu with the log uncut, none after\n",
                  before, nonces.count, in_log);
    assert_true(in_log > 0);
    free(nonces.at);
}

/* Without another key too: a row that was deleted leaves nothing. */
static void deleted_rows_leave_nothing(void **state)
{
    struct fixture *f = *state;
    struct nonces nonces = {0};
    size_t kept = 0;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    for (int round = 0; round < 4; round++) {
        churn(store, &f->err);
        note_nonces(f->path, &nonces);
    }
    for (unsigned i = 0; i < 60; i++) {
        char path[32];
        snprintf(path, sizeof path, "row-%02u", i);
        if (i % 7 != 0)
            must_delete(store, path);
        else
            kept++;
    }
    assert_ok(store_forget(store, &f->err), &f->err);
    assert_int_equal(kept, count_left(f, &nonces));
    free(nonces.at);
}

static void what_is_held_is_found_everywhere(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    bool found = true;
    assert_ok(store_holds(store, "SQLite format 3", 15, &found, &f->err), &f->err);
    assert_true(found);
    assert_ok(store_holds(store, "not in the file", 15, &found, &f->err), &f->err);
    assert_false(found);
    uint8_t value[STORE_META_MAX];
    for (size_t size_bytes = 1000; size_bytes <= sizeof value; size_bytes += 774) {
        for (size_t i = 0; i < size_bytes; i++)
            value[i] = (uint8_t)(i * i + size_bytes);
        assert_ok(store_meta_put(store, "root", value, size_bytes, &f->err), &f->err);
        /* a large value is in pieces; its first 400 bytes are in one */
        assert_ok(store_holds(store, value, 400, &found, &f->err), &f->err);
        assert_true(found);
    }
}

/* A reader of an older state keeps the log from being cut: that is said, and can be done again. */
static void a_reader_holds_it_up(void **state)
{
    struct fixture *f = *state;
    sqlite3 *reader;
    CLEANUP(store_close) struct store *store = NULL;
    void *backend;
    const struct store_sqlite_options options = {.path = f->path, .busy_timeout_ms = 50};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(1);
    store_close(must_create(f->path));
    assert_ok(store_sqlite_open(&options, &backend, &f->err), &f->err);
    assert_ok(store_over(&store_sqlite, backend, &store, &f->err), &f->err);
    assert_ok(store_unlock(store, key, &f->err), &f->err);
    must_put(store, "a", "1");

    assert_int_equal(SQLITE_OK, sqlite3_open(f->path, &reader));
    assert_int_equal(
        SQLITE_OK, sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM store_row", NULL, NULL, NULL));
    assert_ok(rekey_to(store, NEW_KEY, &f->err), &f->err);
    assert_result(LETHE_BUSY, store_forget(store, &f->err));
    assert_int_equal(SQLITE_OK, sqlite3_exec(reader, "COMMIT", NULL, NULL, NULL));
    assert_int_equal(SQLITE_OK, sqlite3_close(reader));
    assert_ok(store_forget(store, &f->err), &f->err);
    must_read(store, "a", "1");
}

/* ---- who has it open ------------------------------------------------------------------------- */

struct lookup {
    uint8_t seed;
    lethe_result result;
    unsigned asked;
};

static lethe_result look_up(void *context, struct lethe_secret **key, struct lethe_error *err)
{
    struct lookup *lookup = context;
    lookup->asked++;
    *key = NULL;
    if (lookup->result != LETHE_OK)
        return error_set(err, lookup->result, "no key");
    *key = test_key(lookup->seed);
    return LETHE_OK;
}

static void others_follow(void **state)
{
    struct fixture *f = *state;
    struct lookup lookup = {.seed = NEW_KEY};
    CLEANUP(store_close) struct store *store = must_create(f->path);
    must_put(store, "a", "1");
    CLEANUP(store_close) struct store *other = must_open(f->path);
    store_follow(other, look_up, &lookup);
    must_read(other, "a", "1");
    assert_int_equal(0, lookup.asked);

    assert_ok(rekey_to(store, NEW_KEY, &f->err), &f->err);
    must_read(other, "a", "1");
    assert_int_equal(1, lookup.asked);
    must_put(other, "a", "2"); /* and they see what it writes */
    must_read(store, "a", "2");
    assert_int_equal(1, lookup.asked);

    lookup.seed = 3; /* again, first seen inside a transaction that is rolled back */
    assert_ok(rekey_to(store, 3, &f->err), &f->err);
    assert_ok(store_begin(other, &f->err), &f->err);
    assert_ok(store_put(other, "b", "9", 1, STORE_ABSENT, &f->err), &f->err);
    store_rollback(other);
    assert_string_equal("a@2", listing(other, ""));
    assert_int_equal(2, lookup.asked);
}

static void who_cannot_follow_is_told(void **state)
{
    struct fixture *f = *state;
    struct lookup lookup = {.result = LETHE_UNAVAILABLE};
    CLEANUP(store_close) struct store *store = must_create(f->path);
    must_put(store, "a", "1");
    CLEANUP(store_close) struct store *other = must_open(f->path);
    CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
    assert_ok(rekey_to(store, NEW_KEY, &f->err), &f->err);
    assert_result(LETHE_INTEGRITY, store_get(other, "a", &value, NULL, &f->err));
    store_follow(other, look_up, &lookup);
    assert_result(LETHE_UNAVAILABLE, store_get(other, "a", &value, NULL, &f->err));
    assert_result(LETHE_UNAVAILABLE, store_begin(other, &f->err));
    lookup = (struct lookup){.seed = 9};
    assert_result(LETHE_INTEGRITY, store_get(other, "a", &value, NULL, &f->err));
    lookup.seed = NEW_KEY;
    must_read(other, "a", "1");
}

/* Following a key does not mean believing an older state. */
static void an_old_store_is_refused_under_any_key(void **state)
{
    struct fixture *f = *state;
    struct lookup lookup = {.seed = 1};
    uint8_t *old;
    struct store *store = must_create(f->path);
    must_put(store, "a", "1");
    store_close(store);
    size_t size_bytes = read_file(f->path, &old);
    store = must_open(f->path);
    store_follow(store, look_up, &lookup);
    assert_ok(rekey_to(store, NEW_KEY, &f->err), &f->err);
    assert_ok(store_forget(store, &f->err), &f->err);
    write_file(f->path, old, size_bytes);
    remove_side_files(f->path);
    struct store *again;
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(1);
    assert_ok(store_open(f->path, false, &again, &f->err), &f->err); /* a good store, alone */
    assert_ok(store_unlock(again, key, &f->err), &f->err);
    must_put(again, "b", "1");
    store_close(again);
    CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
    assert_int_not_equal(LETHE_OK, store_get(store, "a", &value, NULL, &f->err));
    store_close(store);
    free(old);
}

/* ---- killed, failed by the disk -------------------------------------------------------------- */

static void put_back(const struct fixture *f, uint8_t **bytes, size_t *size_bytes)
{
    if (*bytes == NULL) {
        struct store *store = must_create(f->path);
        must_put(store, "a", "1");
        must_put(store, "b", "2");
        store_close(store);
        *size_bytes = read_file(f->path, bytes);
    }
    remove_side_files(f->path);
    write_file(f->path, *bytes, *size_bytes);
}

/* Exactly one of the two keys opens it, and shows all of it; gives whether that is the new one. */
static bool opens_with_one_key(struct fixture *f)
{
    lethe_result old_key = opens_with(f->path, 1, &f->err);
    lethe_result new_key = opens_with(f->path, NEW_KEY, &f->err);
    assert_true((old_key == LETHE_OK) != (new_key == LETHE_OK));
    assert_true(old_key == LETHE_OK || old_key == LETHE_INTEGRITY);
    assert_true(new_key == LETHE_OK || new_key == LETHE_INTEGRITY);
    CLEANUP(lethe_secret_free)
    struct lethe_secret *key = test_key(new_key == LETHE_OK ? NEW_KEY : 1);
    CLEANUP(store_close) struct store *store = NULL;
    assert_ok(store_open(f->path, false, &store, &f->err), &f->err);
    assert_ok(store_unlock(store, key, &f->err), &f->err);
    must_read(store, "a", "1");
    must_read(store, "b", "2");
    return new_key == LETHE_OK;
}

static int rekey_until_killed(const char *path, const char *step)
{
    struct lethe_error err = {0};
    struct store *store = must_open(path);
    faults_arm(FAULT_KILL, atol(step));
    assert_ok(rekey_to(store, NEW_KEY, &err), &err);
    assert_ok(store_forget(store, &err), &err);
    store_close(store);
    return faults_disarm() < atol(step) ? 0 : 1;
}

static void killed_at_every_step(void **state)
{
    struct fixture *f = *state;
    uint8_t *bytes = NULL;
    size_t size_bytes;
    size_t seen[2] = {0};
    bool finished = false;
    long step = 1;
    for (; !finished; step++) {
        char text[24];
        put_back(f, &bytes, &size_bytes);
        snprintf(text, sizeof text, "%ld", step);
        int status = wait_for(spawn_self((const char *const[]){"run", f->path, text, NULL}));
        finished = WIFEXITED(status);
        assert_true(finished ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
        seen[opens_with_one_key(f)]++;
    }
    print_message("killed at %ld steps: the old key opened it %zu times, the new one %zu times\n",
                  step - 2, seen[0], seen[1]);
    assert_true(seen[0] > 5 && seen[1] > 5);
    free(bytes);
}

static void sweep(struct fixture *f, enum fault fault)
{
    uint8_t *bytes = NULL;
    size_t size_bytes;
    bool reached = true;
    long step = 1;
    for (; reached; step++) {
        put_back(f, &bytes, &size_bytes);
        struct lookup lookup = {.seed = NEW_KEY};
        struct store *store = must_open(f->path);
        store_follow(store, look_up, &lookup);
        faults_arm(fault, step);
        lethe_result result = rekey_to(store, NEW_KEY, &f->err);
        if (result == LETHE_OK)
            result = store_forget(store, &f->err);
        reached = faults_disarm() >= step;
        if (result != LETHE_OK && result != (fault == FAULT_FULL ? LETHE_NO_SPACE : LETHE_IO))
            fail_msg("step %ld: %s: %s", step, lethe_result_name(result), f->err.text);
        must_read(store, "a", "1"); /* the same handle goes on */
        must_put(store, "c", "3");
        store_close(store);
        opens_with_one_key(f);
    }
    print_message("failed at %ld steps\n", step - 2);
    assert_true(step > 5);
    free(bytes);
}

static void out_of_space_at_every_step(void **state)
{
    sweep(*state, FAULT_FULL);
}

static void failed_at_every_step(void **state)
{
    sweep(*state, FAULT_BAD);
}

#define ON_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    struct lethe_error err = {0};
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    if (argc == 4 && strcmp(argv[1], "run") == 0)
        return rekey_until_killed(argv[2], argv[3]);
    const struct CMUnitTest tests[] = {
        ON_FIXTURE(rows_stay_and_the_key_changes),
        ON_FIXTURE(an_empty_store_can_be_rekeyed),
        ON_FIXTURE(it_is_part_of_its_transaction),
        ON_FIXTURE(a_key_of_another_size_is_refused),
        ON_FIXTURE(seals_are_counted_anew),
        ON_FIXTURE(nothing_of_the_old_pages_is_left),
        ON_FIXTURE(deleted_rows_leave_nothing),
        ON_FIXTURE(what_is_held_is_found_everywhere),
        ON_FIXTURE(a_reader_holds_it_up),
        ON_FIXTURE(others_follow),
        ON_FIXTURE(who_cannot_follow_is_told),
        ON_FIXTURE(an_old_store_is_refused_under_any_key),
        ON_FIXTURE(killed_at_every_step),
        ON_FIXTURE(out_of_space_at_every_step),
        ON_FIXTURE(failed_at_every_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
