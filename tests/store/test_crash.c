/* A store that is killed, runs out of space or is failed by its disk, at every call that changes a
 * file: afterwards it holds the state of one transaction, whole, and none that was confirmed is
 * lost. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "crypto/crypto.h"
#include "faults.h"

/* State k: "x" and "y" both hold k, and of the rows "only-0" ... there is only "only-k". */
#define TRANSACTIONS 3

static lethe_result move_to(struct store *store, unsigned k, struct lethe_error *err)
{
    char value[16];
    char path[16];
    snprintf(value, sizeof value, "%u", k);
    TRY(store_begin(store, err));
    CLEANUP(store_rollback) struct store *transaction = store;
    TRY(store_put(transaction, "x", value, strlen(value), STORE_ANY, err));
    if (k > 0) {
        snprintf(path, sizeof path, "only-%u", k - 1);
        TRY(store_delete(transaction, path, STORE_ANY, err));
    }
    snprintf(path, sizeof path, "only-%u", k);
    TRY(store_put(transaction, path, value, strlen(value), STORE_ABSENT, err));
    TRY(store_put(transaction, "y", value, strlen(value), STORE_ANY, err));
    return store_commit(transaction, err);
}

/* Asserts that the store is in a state, whole, and says in which. */
static unsigned state_of(struct store *store)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
    assert_ok(store_get(store, "x", &value, NULL, &err), &err);
    assert_int_equal(1, lethe_secret_size(value));
    unsigned k = (unsigned)(lethe_secret_bytes(value)[0] - '0');
    assert_true(k <= TRANSACTIONS);

    char text[16];
    char rows[64];
    snprintf(text, sizeof text, "%u", k);
    must_read(store, "y", text);
    snprintf(rows, sizeof rows, "only-%u@1 x@%u y@%u", k, k + 1, k + 1);
    assert_string_equal(rows, listing(store, ""));
    assert_int_equal(k + 2, store_epoch(store));
    return k;
}

/* The same fresh store at state 0, closed, again and again. */
static void put_back(const struct fixture *f, uint8_t **bytes, size_t *size_bytes)
{
    if (*bytes == NULL) {
        struct lethe_error err = {0};
        struct store *store = must_create(f->path);
        assert_ok(move_to(store, 0, &err), &err);
        store_close(store);
        *size_bytes = read_file(f->path, bytes);
    }
    remove_side_files(f->path);
    write_file(f->path, *bytes, *size_bytes);
}

/* ---- killed ---------------------------------------------------------------------------------- */

/* In a child. Exits with 100 + the number of steps when it was not killed. */
static int run_until_killed(const char *path, const char *step, int confirm_fd)
{
    struct lethe_error err = {0};
    faults_arm(FAULT_KILL, atol(step));
    struct store *store = must_open(path);
    for (unsigned k = 1; k <= TRANSACTIONS; k++) {
        assert_ok(move_to(store, k, &err), &err);
        assert_int_equal(1, syscall(SYS_write, confirm_fd, "!", 1));
    }
    store_close(store);
    return faults_disarm() < atol(step) ? 0 : 1;
}

/* Runs a child that is killed at `step`; gives how many commits it confirmed. */
static unsigned kill_at(const char *path, long step, bool *finished)
{
    int confirm[2];
    assert_int_equal(0, pipe(confirm));
    char step_text[24];
    char fd_text[24];
    snprintf(step_text, sizeof step_text, "%ld", step);
    snprintf(fd_text, sizeof fd_text, "%d", confirm[1]);
    int child = spawn_self((const char *const[]){"run", path, step_text, fd_text, NULL});
    close(confirm[1]);
    int status = wait_for(child);
    *finished = WIFEXITED(status);
    assert_true(WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
    char marks[TRANSACTIONS + 1];
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
    unsigned unconfirmed = 0;
    bool finished = false;
    long step = 1;
    for (; !finished; step++) {
        put_back(f, &bytes, &size_bytes);
        unsigned confirmed = kill_at(f->path, step, &finished);
        struct store *store = must_open(f->path);
        unsigned k = state_of(store);
        assert_true(k == confirmed || k == confirmed + 1);
        unconfirmed += k - confirmed;
        if (k < TRANSACTIONS) /* and life goes on */
            assert_ok(move_to(store, k + 1, &f->err), &f->err);
        store_close(store);
        store_close(must_open(f->path));
    }
    print_message("killed at %ld steps; %u times the commit had happened unconfirmed\n", step - 2,
                  unconfirmed);
    assert_true(step > 30);
    free(bytes);
}

/* ---- failed by the disk ---------------------------------------------------------------------- */

/* One transaction with a fault at `step`; gives whether the fault was reached. */
static bool fail_at(struct fixture *f, enum fault fault, long step)
{
    struct store *store = must_open(f->path);
    assert_ok(move_to(store, 1, &f->err), &f->err);
    faults_arm(fault, step);
    lethe_result result = move_to(store, 2, &f->err);
    bool reached = faults_disarm() >= step;
    if (result != LETHE_OK && result != (fault == FAULT_FULL ? LETHE_NO_SPACE : LETHE_IO))
        fail_msg("step %ld: %s: %s", step, lethe_result_name(result), f->err.text);

    unsigned k = state_of(store); /* the same handle goes on */
    assert_int_equal(result == LETHE_OK ? 2 : 1, k);
    assert_ok(move_to(store, k + 1, &f->err), &f->err);
    store_close(store);
    store = must_open(f->path);
    assert_int_equal(k + 1, state_of(store));
    store_close(store);
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

/* Opening and closing on a failing disk gives a clear error or works, and loses nothing. */
static void opening_fails_cleanly_at_every_step(void **state)
{
    struct fixture *f = *state;
    uint8_t *bytes = NULL;
    size_t size_bytes;
    bool reached = true;
    for (long step = 1; reached; step++) {
        put_back(f, &bytes, &size_bytes);
        faults_arm(FAULT_BAD, step);
        lethe_result result = open_result(f->path, &f->err);
        reached = faults_disarm() >= step;
        assert_true(result == LETHE_OK || result == LETHE_IO);
        struct store *store = must_open(f->path);
        assert_int_equal(0, state_of(store));
        store_close(store);
    }
    free(bytes);
}

/* A store that could not be made is not there. */
static void creating_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    bool reached = true;
    for (long step = 1; reached; step++) {
        struct store *store;
        faults_arm(FAULT_FULL, step);
        lethe_result result = store_open(f->path, true, &store, &f->err);
        reached = faults_disarm() >= step;
        store_close(store);
        if (result != LETHE_OK) {
            assert_int_equal(LETHE_NO_SPACE, result);
            assert_int_equal(-1, access(f->path, F_OK));
        }
        unlink(f->path);
    }
}

/* What a commit reports as durable was synced: the last write to the log comes before a sync. */
static void a_commit_syncs(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    assert_ok(move_to(store, 0, &f->err), &f->err);
    faults_arm(FAULT_NONE, 0);
    assert_ok(move_to(store, 1, &f->err), &f->err);
    long steps = faults_disarm();
    faults_arm(FAULT_BAD, steps); /* the last one */
    assert_result(LETHE_IO, move_to(store, 2, &f->err));
    faults_disarm();
    assert_non_null(strstr(f->err.text, "committing"));
}

/* ---- a really full disk ---------------------------------------------------------------------- */

/* In a child with a mount namespace of its own: a tmpfs that a large file fills up. Exits with 77
 * where that cannot be had. */
static int on_a_full_disk(const char *directory)
{
    struct lethe_error err = {0};
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", directory, "tmpfs", 0, "size=512k") != 0)
        return 77;
    char path[96];
    char filler[96];
    snprintf(path, sizeof path, "%s/store.db", directory);
    snprintf(filler, sizeof filler, "%s/filler", directory);
    struct store *store = must_create(path);
    assert_ok(move_to(store, 0, &err), &err);
    store_close(store);

    store = must_open(path);
    int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    static const char block[4096];
    while (write(fd, block, sizeof block) > 0)
        ;
    assert_int_equal(ENOSPC, errno);
    assert_result(LETHE_NO_SPACE, move_to(store, 1, &err));
    assert_non_null(strstr(err.hint, "space"));
    assert_int_equal(0, state_of(store));
    store_close(store);
    lethe_result result = open_result(path, &err); /* no space even for the side files */
    assert_true(result == LETHE_OK || result == LETHE_NO_SPACE);

    assert_int_equal(0, unlink(filler));
    close(fd);
    store = must_open(path);
    assert_int_equal(0, state_of(store));
    assert_ok(move_to(store, 1, &err), &err);
    store_close(store);
    return 0;
}

static void a_full_disk_keeps_the_old_state(void **state)
{
    struct fixture *f = *state;
    int status = wait_for(spawn_self((const char *const[]){"full", f->directory, NULL}));
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("skipped: no tmpfs can be mounted here (needs root)\n");
        skip();
    }
    assert_int_equal(0, WEXITSTATUS(status));
}

#define ON_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    struct lethe_error err = {0};
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    if (argc == 5 && strcmp(argv[1], "run") == 0)
        return run_until_killed(argv[2], argv[3], atoi(argv[4]));
    if (argc == 3 && strcmp(argv[1], "full") == 0)
        return on_a_full_disk(argv[2]);
    const struct CMUnitTest tests[] = {
        ON_FIXTURE(killed_at_every_step),
        ON_FIXTURE(out_of_space_at_every_step),
        ON_FIXTURE(failed_at_every_step),
        ON_FIXTURE(opening_fails_cleanly_at_every_step),
        ON_FIXTURE(creating_leaves_nothing_behind),
        ON_FIXTURE(a_commit_syncs),
        ON_FIXTURE(a_full_disk_keeps_the_old_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
