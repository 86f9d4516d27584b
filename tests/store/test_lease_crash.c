/* A store that is killed, or failed by its disk, at every call that changes a file while leases
 * begin, live and end: a lease and its rows are both there or both gone, no lease that was
 * confirmed is lost, and the history says exactly what happened to the rows. P-5, P-7 */
#include "fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "crypto/crypto.h"
#include "faults.h"
#include "store/lease.h"
#include "store/watch.h"

/* ---- a life of a lease, in steps of one transaction ------------------------------------------ */

#define START_MS 1000000u
static uint64_t now_ms = START_MS;
static uint64_t test_now_ms(void *context)
{
    return now_ms;
}
static const struct store_clock test_clock = {.now_ms = test_now_ms, .boot = "one"};
static const struct store_clock next_boot = {.now_ms = test_now_ms, .boot = "two"};

struct life {
    struct store *store;
    uint64_t lease;
};

static lethe_result grant(struct life *life, struct lethe_error *err)
{
    return store_lease_grant(life->store, 10, &life->lease, err);
}

/* Rows "p/a" and "p/b" on the lease, "p/kept" again. */
static lethe_result attach(struct life *life, struct lethe_error *err)
{
    TRY(store_begin(life->store, err));
    CLEANUP(store_rollback) struct store *transaction = life->store;
    TRY(store_put(transaction, "p/kept", "x", 1, STORE_ANY, err));
    TRY(store_lease_attach(transaction, life->lease, err));
    TRY(store_put(transaction, "p/a", "x", 1, STORE_ABSENT, err));
    TRY(store_put(transaction, "p/b", "x", 1, STORE_ABSENT, err));
    return store_commit(transaction, err);
}

static lethe_result keep_alive(struct life *life, struct lethe_error *err)
{
    return store_lease_keep_alive(life->store, life->lease, err);
}

static lethe_result expire(struct life *life, struct lethe_error *err)
{
    struct store_expiry expiry;
    return store_leases_expire(life->store, &expiry, err);
}

static lethe_result start_anew(struct life *life, struct lethe_error *err)
{
    store_set_clock(life->store, &next_boot);
    return expire(life, err);
}

static lethe_result run_out(struct life *life, struct lethe_error *err)
{
    now_ms += 10000;
    return expire(life, err);
}

static lethe_result (*const steps[])(struct life *, struct lethe_error *) = {
    grant, attach, keep_alive, start_anew, run_out};

/* What there is after so many of them. */
static const char *const rows_after[] = {
    "p/kept@1", "p/kept@1", "p/a@1 p/b@1 p/kept@2", "p/a@1 p/b@1 p/kept@2", "p/a@1 p/b@1 p/kept@2",
    "p/kept@2"};
static const char *const news_after[] = {"",
                                         "",
                                         "p/a@1 p/b@1 p/kept@2",
                                         "p/a@1 p/b@1 p/kept@2",
                                         "p/a@1 p/b@1 p/kept@2",
                                         "p/a@1 p/b@1 p/kept@2 p/a@0 p/b@0"};
#define FIRST_EPOCH 3

static lethe_result append(void *context, const struct store_event *event, struct lethe_error *err)
{
    char *text = context;
    size_t length = strlen(text);
    snprintf(text + length, 128 - length, "%s%s@%u", length == 0 ? "" : " ", event->path,
             (unsigned)event->version);
    return LETHE_OK;
}

/* Asserts that the store is whole after some of the steps, and says after how many. */
static unsigned state_of(struct store *store)
{
    struct lethe_error err = {0};
    char news[128] = "";
    struct store_expiry expiry;
    struct store_watch *watch;
    listing(store, ""); /* sees the newest */
    unsigned k = (unsigned)(store_epoch(store) - FIRST_EPOCH);
    assert_true(k < ARRAY_LEN(rows_after));
    assert_string_equal(rows_after[k], listing(store, ""));
    assert_ok(store_watch_open(store, "p/", FIRST_EPOCH, &watch, &err), &err);
    assert_ok(store_watch_next(watch, append, news, &err), &err);
    store_watch_close(watch);
    assert_string_equal(news_after[k], news);

    uint64_t lease = STORE_NO_LEASE;
    if (k >= 2 && k <= 4)
        assert_ok(store_lease_of(store, "p/a", &lease, &err), &err);
    struct store_lease left;
    assert_result(k >= 2 && k <= 4 ? LETHE_OK : LETHE_NOT_FOUND,
                  store_lease_get(store, lease, &left, &err));
    if (k >= 1 && k <= 4) { /* nothing stays for ever */
        store_set_clock(store, &test_clock);
        assert_ok(store_leases_expire(store, &expiry, &err), &err);
        now_ms += 20000;
        assert_ok(store_leases_expire(store, &expiry, &err), &err);
        assert_int_equal(1, expiry.leases);
        assert_int_equal(k == 1 ? 0 : 2, expiry.rows);
    }
    assert_ok(store_leases_expire(store, &expiry, &err), &err);
    assert_true(expiry.next_ms == UINT64_MAX);
    return k;
}

static void put_back(const struct fixture *f, uint8_t **bytes, size_t *size_bytes)
{
    if (*bytes == NULL) {
        struct lethe_error err = {0};
        struct store *store = must_create(f->path);
        assert_ok(store_history_keep(store, "p/", &err), &err);
        must_put(store, "p/kept", "x");
        assert_int_equal(FIRST_EPOCH, store_epoch(store));
        store_close(store);
        *size_bytes = read_file(f->path, bytes);
    }
    remove_side_files(f->path);
    write_file(f->path, *bytes, *size_bytes);
}

/* ---- killed ---------------------------------------------------------------------------------- */

/* In a child. */
static int run_until_killed(const char *path, const char *step, int confirm_fd)
{
    struct lethe_error err = {0};
    faults_arm(FAULT_KILL, atol(step));
    struct life life = {.store = must_open(path)};
    store_set_clock(life.store, &test_clock);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        assert_ok(steps[i](&life, &err), &err);
        assert_int_equal(1, syscall(SYS_write, confirm_fd, "!", 1));
    }
    store_close(life.store);
    return faults_disarm() < atol(step) ? 0 : 1;
}

/* Gives how many steps were confirmed. */
static unsigned kill_at(const char *path, long step, bool *finished)
{
    int confirm[2];
    char step_text[24];
    char fd_text[24];
    char marks[ARRAY_LEN(steps) + 1];
    assert_int_equal(0, pipe(confirm));
    snprintf(step_text, sizeof step_text, "%ld", step);
    snprintf(fd_text, sizeof fd_text, "%d", confirm[1]);
    int child = spawn_self((const char *const[]){"run", path, step_text, fd_text, NULL});
    close(confirm[1]);
    int status = wait_for(child);
    *finished = WIFEXITED(status);
    assert_true(WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
    ssize_t confirmed = read(confirm[0], marks, sizeof marks);
    assert_true(confirmed >= 0);
    close(confirm[0]);
    return (unsigned)confirmed;
}

static void killed_at_every_step(void **state)
{
    struct fixture *f = *state;
    uint8_t *bytes = NULL;
    size_t size_bytes;
    bool finished = false;
    bool reached[ARRAY_LEN(rows_after)] = {false};
    long step = 1;
    for (; !finished; step++) {
        put_back(f, &bytes, &size_bytes);
        now_ms = START_MS; /* as for the child */
        unsigned confirmed = kill_at(f->path, step, &finished);
        struct store *store = must_open(f->path);
        store_set_clock(store, &test_clock);
        unsigned k = state_of(store);
        assert_true(k == confirmed || k == confirmed + 1);
        reached[k] = true;
        store_close(store);
        store_close(must_open(f->path));
    }
    print_message("killed at %ld steps\n", step - 2);
    for (size_t k = 0; k < ARRAY_LEN(reached); k++)
        assert_true(reached[k]);
    free(bytes);
}

/* ---- failed by the disk ---------------------------------------------------------------------- */

/* All steps, each done again when it failed, with a fault at `step`; gives whether it was reached.
 */
static bool fail_at(struct fixture *f, enum fault fault, long step)
{
    struct life life = {.store = must_open(f->path)};
    store_set_clock(life.store, &test_clock);
    bool reached = false;
    faults_arm(fault, step);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        uint64_t before = store_epoch(life.store);
        lethe_result result = steps[i](&life, &f->err);
        if (result == LETHE_OK)
            continue;
        assert_int_equal(fault == FAULT_FULL ? LETHE_NO_SPACE : LETHE_IO, result);
        reached = faults_disarm() >= step;
        assert_true(reached);
        assert_string_equal(rows_after[i], listing(life.store, ""));
        assert_int_equal(before, store_epoch(life.store));
        assert_ok(steps[i](&life, &f->err), &f->err);
    }
    reached = reached || faults_disarm() >= step;
    assert_int_equal(5, state_of(life.store));
    store_close(life.store);
    return reached;
}

static void sweep(struct fixture *f, enum fault fault)
{
    uint8_t *bytes = NULL;
    size_t size_bytes;
    long step = 1;
    do
        put_back(f, &bytes, &size_bytes);
    while (fail_at(f, fault, step++));
    print_message("failed at %ld steps\n", step - 2);
    assert_true(step > 20);
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

/* ---- several processes ----------------------------------------------------------------------- */

/* In a child: expires until there is no lease. Exits with the number of rows it removed. */
static int expire_all(const char *path)
{
    struct lethe_error err = {0};
    struct store_expiry expiry = {0};
    size_t rows = 0;
    struct store *store = must_open(path);
    while (expiry.next_ms != UINT64_MAX) {
        assert_ok(store_leases_expire(store, &expiry, &err), &err);
        rows += expiry.rows;
        usleep(2000);
    }
    store_close(store);
    return (int)rows;
}

/* Everybody expires; every row goes once. With the machine's own clock, so that a lease may be over
 * before it got its row. */
static void each_lease_ends_once(void **state)
{
    struct fixture *f = *state;
    int children[3];
    int attached = 0;
    int rows = 0;
    struct store *store = must_create(f->path);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t lease;
        char path[8];
        snprintf(path, sizeof path, "p/%02u", i);
        assert_ok(store_lease_grant(store, 1, &lease, &f->err), &f->err);
        assert_ok(store_begin(store, &f->err), &f->err);
        if (store_lease_attach(store, lease, &f->err) == LETHE_OK) {
            assert_ok(store_put(store, path, "x", 1, STORE_ABSENT, &f->err), &f->err);
            attached++;
        }
        assert_ok(store_commit(store, &f->err), &f->err);
    }
    assert_int_not_equal(0, attached);
    for (size_t i = 0; i < ARRAY_LEN(children); i++)
        children[i] = spawn_self((const char *const[]){"expire", f->path, NULL});
    for (size_t i = 0; i < ARRAY_LEN(children); i++) {
        int status = wait_for(children[i]);
        assert_true(WIFEXITED(status));
        rows += WEXITSTATUS(status);
    }
    assert_int_equal(attached, rows);
    assert_string_equal("", listing(store, ""));
    store_close(store);
}

#define ON_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    struct lethe_error err = {0};
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    if (argc == 5 && strcmp(argv[1], "run") == 0)
        return run_until_killed(argv[2], argv[3], atoi(argv[4]));
    if (argc == 3 && strcmp(argv[1], "expire") == 0)
        return expire_all(argv[2]);
    const struct CMUnitTest tests[] = {
        ON_FIXTURE(killed_at_every_step),
        ON_FIXTURE(out_of_space_at_every_step),
        ON_FIXTURE(failed_at_every_step),
        ON_FIXTURE(each_lease_ends_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
