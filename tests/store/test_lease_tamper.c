/* Someone who can write the file but has no key, and wants a lease to last, end or appear, or a
 * change not to be seen. P-5 */
#include "fixture.h"

#include <inttypes.h>
#include <stdlib.h>

#include "crypto/crypto.h"
#include "store/lease.h"
#include "store/watch.h"

/* The store before each: leases L (with row a) and M (with row b), row c on none, history of "";
 * `old` is the same store before L was kept alive, c written again and d deleted. In the SQL, L and
 * M stand for the ids. */
static const struct {
    const char *name;
    const char *sql;
    const char *says; /* part of the error */
} changes[] = {
    {"lease ended", "DELETE FROM store_row WHERE path = '~lease/L'", "rows instead of"},
    {"lease ended with its row", "DELETE FROM store_row WHERE path = '~lease/L' OR path = 'a~L'",
     "rows instead of"},
    {"lease as it was before it was kept alive",
     "REPLACE INTO store_row SELECT * FROM old.store_row WHERE path = '~lease/L'", "older one"},
    {"lease with the time of another",
     "UPDATE store_row SET sealed = (SELECT sealed FROM store_row o WHERE o.path = '~lease/M') "
     "WHERE path = '~lease/L'",
     "row ~lease/L was changed"},
    {"lease made up",
     "INSERT INTO store_row SELECT '~lease/0000000000000001', version, sealed FROM store_row "
     "WHERE path = '~lease/L'",
     "row ~lease/0000000000000001 was changed"},
    {"lease under another id",
     "UPDATE store_row SET path = '~lease/0000000000000001' WHERE path = '~lease/L'",
     "row ~lease/0000000000000001 was changed"},
    {"row taken off its lease", "UPDATE store_row SET path = 'a' WHERE path = 'a~L'",
     "row a was changed"},
    {"row moved to another lease", "UPDATE store_row SET path = 'a~M' WHERE path = 'a~L'",
     "row a was changed"},
    {"row put on a lease", "UPDATE store_row SET path = 'c~L' WHERE path = 'c'",
     "row c was changed"},
    {"row on a lease and on none",
     "INSERT INTO store_row SELECT 'a', version, sealed FROM store_row WHERE path = 'a~L'",
     "row a is there twice"},
    {"row on two leases",
     "INSERT INTO store_row SELECT 'a~M', version, sealed FROM store_row WHERE path = 'a~L'",
     "row a is there twice"},
    {"row on no lease in words",
     "UPDATE store_row SET path = 'a~0000000000000000' WHERE path = 'a~L'", "no row has"},
    {"row on half a lease", "UPDATE store_row SET path = 'a~12345' WHERE path = 'a~L'",
     "no row has"},
    {"row on more than a lease", "UPDATE store_row SET path = 'a~L' || '0' WHERE path = 'a~L'",
     "no row has"},
    {"lease in capitals", "UPDATE store_row SET path = 'a~000000000000000A' WHERE path = 'a~L'",
     "no row has"},
    {"row on a lease and without a path", "UPDATE store_row SET path = '~L' WHERE path = 'a~L'",
     "row ~L was changed"},
    {"row with a path that is empty", "UPDATE store_row SET path = '' WHERE path = 'a~L'",
     "no row has"},
    {"row of the store on a lease",
     "UPDATE store_row SET path = '~history~L' WHERE path = '~history'", "was changed"},
    {"change hidden",
     "DELETE FROM store_row WHERE path = (SELECT max(path) FROM store_row "
     "WHERE path LIKE '~change/%')",
     "rows instead of"},
    {"history hidden", "DELETE FROM store_row WHERE path LIKE '~change/%'", "rows instead of"},
    {"change replaced by an earlier one",
     "UPDATE store_row SET sealed = (SELECT sealed FROM store_row o WHERE o.path < store_row.path "
     "AND o.path LIKE '~change/%' ORDER BY o.path DESC LIMIT 1) WHERE path = "
     "(SELECT max(path) FROM store_row WHERE path LIKE '~change/%')",
     "was changed"},
    {"change moved to another epoch",
     "UPDATE store_row SET path = '~change/0000000000000fff' || substr(path, 25) WHERE path = "
     "(SELECT max(path) FROM store_row WHERE path LIKE '~change/%')",
     "was changed"},
    {"prefixes forgotten", "DELETE FROM store_row WHERE path = '~history'", "rows instead of"},
    {"prefixes and history of before",
     "DELETE FROM store_row WHERE path LIKE '~%'; "
     "INSERT INTO store_row SELECT * FROM old.store_row WHERE path LIKE '~%'",
     "rows instead of"},
};

static uint64_t now_ms;
static uint64_t test_now_ms(void *context)
{
    return now_ms;
}
static const struct store_clock test_clock = {.now_ms = test_now_ms, .boot = "boot"};

struct made {
    char l[17];
    char m[17];
    uint64_t lease;
    uint64_t epoch; /* of `old` */
};

static void put_on(struct store *store, uint64_t lease, const char *path)
{
    struct lethe_error err = {0};
    assert_ok(store_begin(store, &err), &err);
    assert_ok(store_lease_attach(store, lease, &err), &err);
    assert_ok(store_put(store, path, "the same value", 14, STORE_ANY, &err), &err);
    assert_ok(store_commit(store, &err), &err);
}

static void make_stores(struct fixture *f, struct made *made)
{
    char old[96];
    uint8_t *bytes;
    uint64_t other;
    snprintf(old, sizeof old, "%s/old.db", f->directory);
    now_ms = 1000000;
    struct store *store = must_create(f->path);
    store_set_clock(store, &test_clock);
    assert_ok(store_history_keep(store, "", &f->err), &f->err);
    assert_ok(store_lease_grant(store, 10, &made->lease, &f->err), &f->err);
    assert_ok(store_lease_grant(store, 1000, &other, &f->err), &f->err);
    snprintf(made->l, sizeof made->l, "%016" PRIx64, made->lease);
    snprintf(made->m, sizeof made->m, "%016" PRIx64, other);
    put_on(store, made->lease, "a");
    put_on(store, other, "b");
    must_put(store, "c", "the same value");
    must_put(store, "d", "the same value");
    made->epoch = store_epoch(store);
    store_close(store);
    size_t size_bytes = read_file(f->path, &bytes);
    write_file(old, bytes, size_bytes);
    free(bytes);
    store = must_open(f->path);
    store_set_clock(store, &test_clock);
    assert_ok(store_lease_keep_alive(store, made->lease, &f->err), &f->err);
    must_put(store, "c", "the same value");
    must_delete(store, "d");
    store_close(store);
}

/* `text` with L and M replaced where they stand behind '/' or '~'. */
static void with_ids(const struct made *made, const char *text, char *out, size_t capacity)
{
    char before = ' ';
    size_t length = 0;
    out[0] = '\0';
    for (; *text != '\0'; before = *text++) {
        const bool is_id = (before == '/' || before == '~') && (*text == 'L' || *text == 'M');
        const char *id = *text == 'L' ? made->l : made->m;
        length += (size_t)snprintf(out + length, capacity - length, "%.*s", is_id ? 16 : 1,
                                   is_id ? id : text);
        assert_true(length < capacity);
    }
}

static void tamper_with(const struct fixture *f, const struct made *made, const char *change)
{
    char sql[1280];
    char text[1024];
    with_ids(made, change, text, sizeof text);
    snprintf(sql, sizeof sql, "ATTACH '%s/old.db' AS old; %s", f->directory, text);
    tamper(f->path, sql);
}

static void every_change_is_found_and_named(void **state)
{
    struct fixture *f = *state;
    struct made made;
    uint8_t *whole;
    char says[128];
    make_stores(f, &made);
    size_t size_bytes = read_file(f->path, &whole);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        write_file(f->path, whole, size_bytes);
        remove_side_files(f->path);
        tamper_with(f, &made, ""); /* control: touching alone changes nothing */
        assert_ok(open_result(f->path, &f->err), &f->err);
        tamper_with(f, &made, changes[i].sql);
        lethe_result result = open_result(f->path, &f->err);
        with_ids(&made, changes[i].says, says, sizeof says);
        if (result != LETHE_INTEGRITY || strstr(f->err.text, says) == NULL)
            fail_msg("%s: %s: %s", changes[i].name, lethe_result_name(result), f->err.text);
    }
    free(whole);
}

/* ---- while it is open ------------------------------------------------------------------------ */

static lethe_result ignore_event(void *context, const struct store_event *event,
                                 struct lethe_error *err)
{
    return LETHE_OK;
}

static lethe_result watch_it(struct store *store, const struct made *made, struct lethe_error *err)
{
    CLEANUP(store_watch_close) struct store_watch *watch = NULL;
    TRY(store_watch_open(store, "", made->epoch, &watch, err));
    return store_watch_next(watch, ignore_event, NULL, err);
}

static lethe_result keep_alive(struct store *store, const struct made *made,
                               struct lethe_error *err)
{
    return store_lease_keep_alive(store, made->lease, err);
}

static lethe_result expire(struct store *store, const struct made *made, struct lethe_error *err)
{
    struct store_expiry expiry;
    return store_leases_expire(store, &expiry, err);
}

static lethe_result get(struct store *store, const struct made *made, struct lethe_error *err)
{
    struct store_lease lease;
    return store_lease_get(store, made->lease, &lease, err);
}

static lethe_result read_a(struct store *store, const struct made *made, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
    return store_get(store, "a", &value, NULL, err);
}

static const struct {
    const char *name;
    const char *sql;
    lethe_result (*then)(struct store *, const struct made *, struct lethe_error *);
} live_changes[] = {
    {"an earlier time put back, kept alive",
     "REPLACE INTO store_row SELECT * FROM old.store_row WHERE path = '~lease/L'", keep_alive},
    {"an earlier time put back, looked at",
     "REPLACE INTO store_row SELECT * FROM old.store_row WHERE path = '~lease/L'", get},
    {"an earlier time put back, expired",
     "REPLACE INTO store_row SELECT * FROM old.store_row WHERE path = '~lease/L'", expire},
    {"lease ended, kept alive", "DELETE FROM store_row WHERE path = '~lease/L'", keep_alive},
    {"lease ended, expired", "DELETE FROM store_row WHERE path = '~lease/L'", expire},
    {"row taken off its lease, read", "UPDATE store_row SET path = 'a' WHERE path = 'a~L'", read_a},
    {"change hidden, watched",
     "DELETE FROM store_row WHERE path = (SELECT max(path) FROM store_row WHERE path LIKE "
     "'~change/%')",
     watch_it},
    {"change replaced, watched",
     "UPDATE store_row SET sealed = (SELECT sealed FROM store_row o WHERE o.path < store_row.path "
     "AND o.path LIKE '~change/%' ORDER BY o.path DESC LIMIT 1) WHERE path = "
     "(SELECT max(path) FROM store_row WHERE path LIKE '~change/%')",
     watch_it},
    {"whole old state put back, watched",
     "DELETE FROM store_row; INSERT INTO store_row SELECT * FROM old.store_row; "
     "REPLACE INTO store_meta SELECT * FROM old.store_meta",
     watch_it},
    {"whole old state put back, expired",
     "DELETE FROM store_row; INSERT INTO store_row SELECT * FROM old.store_row; "
     "REPLACE INTO store_meta SELECT * FROM old.store_meta",
     expire},
};

static void changes_under_an_open_store_are_found(void **state)
{
    struct fixture *f = *state;
    struct made made;
    uint8_t *whole;
    make_stores(f, &made);
    size_t size_bytes = read_file(f->path, &whole);
    for (size_t i = 0; i < ARRAY_LEN(live_changes); i++) {
        for (unsigned changed = 0; changed < 2; changed++) { /* 0: the control */
            write_file(f->path, whole, size_bytes);
            remove_side_files(f->path);
            struct store *store = must_open(f->path);
            store_set_clock(store, &test_clock);
            tamper_with(f, &made, changed == 0 ? "" : live_changes[i].sql);
            lethe_result result = live_changes[i].then(store, &made, &f->err);
            if (result != (changed == 0 ? LETHE_OK : LETHE_INTEGRITY))
                fail_msg("%s: %s: %s", live_changes[i].name, lethe_result_name(result),
                         f->err.text);
            assert_int_equal(changed, store_is_damaged(store));
            store_close(store);
        }
    }
    free(whole);
}

/* A lease that nobody looks at is not made good by the next transaction. */
static void a_transaction_does_not_launder_a_lease(void **state)
{
    struct fixture *f = *state;
    struct made made;
    make_stores(f, &made);
    struct store *store = must_open(f->path);
    tamper_with(f, &made,
                "REPLACE INTO store_row SELECT * FROM old.store_row WHERE path = '~lease/L'");
    must_put(store, "c", "changed");
    store_close(store);
    assert_result(LETHE_INTEGRITY, open_result(f->path, &f->err));
}

/* What the file shows of a lease is its id and its rows, not its time. */
static void the_time_of_a_lease_is_not_in_the_files(void **state)
{
    struct fixture *f = *state;
    struct made made;
    make_stores(f, &made);
    assert_int_not_equal(0, count_in_files(f, made.l, 16));
    assert_int_equal(0, count_in_files(f, test_clock.boot, 5)); /* stands beside the time */
}

#define ON_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    struct lethe_error err = {0};
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        ON_FIXTURE(every_change_is_found_and_named),
        ON_FIXTURE(changes_under_an_open_store_are_found),
        ON_FIXTURE(a_transaction_does_not_launder_a_lease),
        ON_FIXTURE(the_time_of_a_lease_is_not_in_the_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
