/* Leases of a store: what is refused, when they end and when not, whoever looks, and that nobody
 * without the key can make one, end one, or let it last. P-5, P-8 */
#include "fixture.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "store/lease.h"

/* ---- a clock that the test moves ------------------------------------------------------------- */

#define SECOND 1000u

static uint64_t test_now_ms(void *context)
{
    return *(const uint64_t *)context;
}

struct test_clock {
    uint64_t now_ms;
    struct store_clock clock;
};

/* The machine's `boot`th start, an hour old. */
static void start_clock(struct test_clock *clock, uint8_t boot)
{
    clock->now_ms = 3600 * SECOND;
    clock->clock = (struct store_clock){.now_ms = test_now_ms, .context = &clock->now_ms};
    clock->clock.boot[0] = boot;
}

static struct store *open_with(const struct fixture *f, const struct test_clock *clock)
{
    struct store *store = must_open(f->path);
    store_set_clock(store, &clock->clock);
    return store;
}

static struct store *create_with(const struct fixture *f, const struct test_clock *clock)
{
    struct store *store = must_create(f->path);
    store_set_clock(store, &clock->clock);
    return store;
}

/* ---- shorthand ------------------------------------------------------------------------------- */

static uint64_t must_grant(struct store *store, uint32_t ttl_s)
{
    struct lethe_error err = {0};
    uint64_t id;
    assert_ok(store_lease_grant(store, ttl_s, &id, &err), &err);
    assert_true(id > 0 && id < (uint64_t)1 << 63);
    return id;
}

static void must_put_on(struct store *store, uint64_t lease, const char *path)
{
    struct lethe_error err = {0};
    assert_ok(store_begin(store, &err), &err);
    assert_ok(store_lease_attach(store, lease, &err), &err);
    assert_ok(store_put(store, path, path, strlen(path), STORE_ANY, &err), &err);
    assert_ok(store_commit(store, &err), &err);
}

static struct store_expiry must_expire(struct store *store)
{
    struct lethe_error err = {0};
    struct store_expiry expiry;
    assert_ok(store_leases_expire(store, &expiry, &err), &err);
    return expiry;
}

static uint64_t lease_of(struct store *store, const char *path)
{
    struct lethe_error err = {0};
    uint64_t id;
    assert_ok(store_lease_of(store, path, &id, &err), &err);
    return id;
}

static uint64_t left_ms(struct store *store, uint64_t id)
{
    struct lethe_error err = {0};
    struct store_lease lease;
    assert_ok(store_lease_get(store, id, &lease, &err), &err);
    assert_int_equal(id, lease.id);
    return lease.left_ms;
}

/* Every way to use a lease says that it is over. */
static void assert_over(struct store *store, uint64_t id)
{
    struct lethe_error err = {0};
    struct store_lease lease;
    assert_result(LETHE_NOT_FOUND, store_lease_get(store, id, &lease, &err));
    assert_int_equal(0, lease.left_ms);
    assert_result(LETHE_NOT_FOUND, store_lease_keep_alive(store, id, &err));
    assert_ok(store_begin(store, &err), &err);
    assert_result(LETHE_NOT_FOUND, store_lease_attach(store, id, &err));
    store_rollback(store);
}

/* ---- refused --------------------------------------------------------------------------------- */

static void what_is_no_lease_is_refused(void **state)
{
    static const uint64_t ids[] = {1, 4711, (uint64_t)1 << 63, UINT64_MAX};
    static const uint32_t times[] = {0, STORE_LEASE_TTL_MAX_S + 1, UINT32_MAX};
    struct fixture *f = *state;
    struct test_clock clock;
    start_clock(&clock, 1);
    CLEANUP(store_close) struct store *store = create_with(f, &clock);
    uint64_t epoch = store_epoch(store);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        assert_over(store, ids[i]);
        assert_result(LETHE_NOT_FOUND, store_lease_revoke(store, ids[i], &f->err));
    }
    assert_over(store, STORE_NO_LEASE + 1);
    assert_result(LETHE_NOT_FOUND, store_lease_keep_alive(store, STORE_NO_LEASE, &f->err));
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        uint64_t id = 7;
        assert_result(LETHE_INVALID, store_lease_grant(store, times[i], &id, &f->err));
        assert_int_equal(STORE_NO_LEASE, id);
    }
    uint64_t id;
    assert_result(LETHE_NOT_FOUND, store_lease_of(store, "nothing", &id, &f->err));
    assert_result(LETHE_INVALID, store_lease_of(store, "~history", &id, &f->err));
    assert_int_equal(epoch, store_epoch(store));
    must_grant(store, STORE_LEASE_TTL_MIN_S);
    must_grant(store, STORE_LEASE_TTL_MAX_S);
}

/* What the store keeps for itself is reached by no path and shown by no list. */
static void its_own_rows_are_out_of_reach(void **state)
{
    static const char *const paths[] = {"~lease/0000000000000001", "~history", "~", "a~b",
                                        "a~0000000000000001"};
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    uint64_t id = must_grant(store, 60);
    must_put_on(store, id, "a");
    assert_string_equal("a@1", listing(store, ""));
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct lethe_secret *value;
        assert_result(LETHE_INVALID, store_get(store, paths[i], &value, NULL, &f->err));
        assert_ok(store_begin(store, &f->err), &f->err);
        assert_result(LETHE_INVALID, store_put(store, paths[i], "x", 1, STORE_ANY, &f->err));
        assert_result(LETHE_INVALID, store_delete(store, paths[i], STORE_ANY, &f->err));
        store_rollback(store);
    }
}

static void there_are_no_more_than_the_limit(void **state)
{
    struct fixture *f = *state;
    struct test_clock clock;
    uint64_t id;
    start_clock(&clock, 1);
    CLEANUP(store_close) struct store *store = create_with(f, &clock);
    for (size_t i = 0; i < STORE_LEASES_MAX; i++)
        must_grant(store, 10);
    assert_result(LETHE_LIMIT, store_lease_grant(store, 10, &id, &f->err));
    clock.now_ms += 10 * SECOND; /* overdue ones count until they are expired */
    assert_result(LETHE_LIMIT, store_lease_grant(store, 10, &id, &f->err));
    assert_int_equal(STORE_LEASES_MAX, must_expire(store).leases);
    must_grant(store, 10);
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void rows_vanish_with_their_lease_in_one_transaction(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    uint64_t gone = must_grant(store, 60);
    uint64_t kept = must_grant(store, 60);
    must_put_on(store, gone, "a/1");
    must_put_on(store, kept, "a/2");
    must_put_on(store, gone, "a/3");
    must_put(store, "a/4", "on none");
    assert_true(gone != kept && lease_of(store, "a/1") == gone && lease_of(store, "a/2") == kept);
    assert_int_equal(STORE_NO_LEASE, lease_of(store, "a/4"));
    must_read(store, "a/1", "a/1");

    uint64_t epoch = store_epoch(store);
    assert_ok(store_lease_revoke(store, gone, &f->err), &f->err);
    assert_int_equal(epoch + 1, store_epoch(store));
    assert_string_equal("a/2@1 a/4@1", listing(store, ""));
    assert_over(store, gone);
    assert_result(LETHE_NOT_FOUND, store_lease_revoke(store, gone, &f->err));
    store_close(store);
    store = must_open(f->path);
    assert_string_equal("a/2@1 a/4@1", listing(store, ""));
    assert_int_equal(kept, lease_of(store, "a/2"));
}

/* Each put says where the row belongs. */
static void a_row_moves_between_leases(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    uint64_t one = must_grant(store, 60);
    uint64_t two = must_grant(store, 60);
    must_put_on(store, one, "a");
    must_put_on(store, one, "b");
    must_put_on(store, two, "a");
    must_put(store, "b", "stays");
    assert_int_equal(two, lease_of(store, "a"));
    assert_int_equal(STORE_NO_LEASE, lease_of(store, "b"));
    assert_string_equal("a@2 b@2", listing(store, ""));
    assert_ok(store_lease_revoke(store, one, &f->err), &f->err);
    assert_string_equal("a@2 b@2", listing(store, ""));
    must_delete(store, "a");
    must_put(store, "a", "another life");
    assert_ok(store_lease_revoke(store, two, &f->err), &f->err);
    assert_string_equal("a@1 b@2", listing(store, ""));
    store_close(store);
    store = must_open(f->path);
    must_read(store, "b", "stays");
}

static void attaching_ends_with_the_transaction(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    uint64_t id = must_grant(store, 60);
    for (unsigned i = 0; i < 2; i++) {
        assert_ok(store_begin(store, &f->err), &f->err);
        assert_ok(store_lease_attach(store, id, &f->err), &f->err);
        if (i == 0)
            store_rollback(store);
        else
            assert_ok(store_commit(store, &f->err), &f->err);
        must_put(store, "a", "on none");
        assert_int_equal(STORE_NO_LEASE, lease_of(store, "a"));
    }
    assert_ok(store_begin(store, &f->err), &f->err);
    assert_ok(store_lease_attach(store, id, &f->err), &f->err);
    assert_ok(store_put(store, "b", "x", 1, STORE_ANY, &f->err), &f->err);
    assert_ok(store_lease_attach(store, STORE_NO_LEASE, &f->err), &f->err);
    assert_ok(store_put(store, "c", "x", 1, STORE_ANY, &f->err), &f->err);
    assert_ok(store_commit(store, &f->err), &f->err);
    assert_int_equal(id, lease_of(store, "b"));
    assert_int_equal(STORE_NO_LEASE, lease_of(store, "c"));
}

/* ---- time ------------------------------------------------------------------------------------ */

static void it_is_over_on_time_and_not_before(void **state)
{
    struct fixture *f = *state;
    struct test_clock clock;
    start_clock(&clock, 1);
    CLEANUP(store_close) struct store *store = create_with(f, &clock);
    assert_true(must_expire(store).next_ms == UINT64_MAX);
    uint64_t id = must_grant(store, 10);
    uint64_t longer = must_grant(store, 30);
    must_put_on(store, id, "a");
    assert_int_equal(10 * SECOND, left_ms(store, id));
    clock.now_ms += 10 * SECOND - 1;
    uint64_t epoch = store_epoch(store);
    struct store_expiry expiry = must_expire(store);
    assert_true(expiry.leases == 0 && expiry.rows == 0 && expiry.next_ms == 1);
    assert_int_equal(epoch, store_epoch(store));
    assert_int_equal(1, left_ms(store, id));

    clock.now_ms++;
    assert_over(store, id);
    assert_string_equal("a@1", listing(store, "")); /* until somebody expires it */
    assert_int_equal(epoch, store_epoch(store));
    expiry = must_expire(store);
    assert_true(expiry.leases == 1 && expiry.rows == 1 && expiry.next_ms == 20 * SECOND);
    assert_string_equal("", listing(store, ""));
    assert_int_equal(epoch + 1, store_epoch(store));
    assert_over(store, id);
    assert_int_equal(20 * SECOND, left_ms(store, longer));
}

static void keeping_it_alive_gives_its_whole_time(void **state)
{
    struct fixture *f = *state;
    struct test_clock clock;
    start_clock(&clock, 1);
    CLEANUP(store_close) struct store *store = create_with(f, &clock);
    uint64_t id = must_grant(store, 10);
    must_put_on(store, id, "a");
    for (unsigned i = 0; i < 5; i++) {
        clock.now_ms += 9 * SECOND;
        assert_ok(store_lease_keep_alive(store, id, &f->err), &f->err);
        assert_int_equal(0, must_expire(store).leases);
        assert_int_equal(10 * SECOND, left_ms(store, id));
    }
    clock.now_ms += 10 * SECOND;
    assert_result(LETHE_NOT_FOUND, store_lease_keep_alive(store, id, &f->err));
    assert_int_equal(1, must_expire(store).rows);
}

/* The process is not there for most of the time. */
static void time_goes_on_while_the_store_is_closed(void **state)
{
    struct fixture *f = *state;
    struct test_clock clock;
    start_clock(&clock, 1);
    struct store *store = create_with(f, &clock);
    uint64_t id = must_grant(store, 10);
    must_put_on(store, id, "a");
    store_close(store);
    for (unsigned i = 0; i < 9; i++) {
        clock.now_ms += SECOND;
        store = open_with(f, &clock);
        assert_int_equal(0, must_expire(store).leases);
        assert_int_equal((9 - i) * SECOND, left_ms(store, id));
        store_close(store);
    }
    clock.now_ms += SECOND;
    store = open_with(f, &clock);
    assert_over(store, id);
    assert_int_equal(1, must_expire(store).rows);
    store_close(store);
}

/* After a restart of the machine: the whole time, counted once, from the first look on. */
static void a_restart_of_the_machine_starts_it_anew(void **state)
{
    struct fixture *f = *state;
    struct test_clock clock;
    start_clock(&clock, 1);
    struct store *store = create_with(f, &clock);
    uint64_t id = must_grant(store, 10);
    must_put_on(store, id, "a");
    store_close(store);

    start_clock(&clock, 2);
    clock.now_ms = 7; /* counts from the beginning */
    store = open_with(f, &clock);
    assert_int_equal(10 * SECOND, left_ms(store, id));
    struct store_expiry expiry = must_expire(store);
    assert_true(expiry.leases == 0 && expiry.next_ms == 10 * SECOND);
    store_close(store);
    clock.now_ms += 9 * SECOND;
    store = open_with(f, &clock); /* again, and not anew */
    assert_int_equal(SECOND, left_ms(store, id));
    assert_int_equal(0, must_expire(store).leases);
    assert_int_equal(SECOND, left_ms(store, id));
    clock.now_ms += SECOND;
    assert_int_equal(1, must_expire(store).rows);
    assert_over(store, id);
    store_close(store);
}

/* Overdue in an earlier life of the machine is not known to be overdue; a keep-alive finds it, too.
 */
static void keeping_alive_after_a_restart_of_the_machine(void **state)
{
    struct fixture *f = *state;
    struct test_clock clock;
    start_clock(&clock, 1);
    struct store *store = create_with(f, &clock);
    uint64_t id = must_grant(store, 10);
    store_close(store);
    start_clock(&clock, 2);
    clock.now_ms *= 1000;
    store = open_with(f, &clock);
    assert_ok(store_lease_keep_alive(store, id, &f->err), &f->err);
    assert_int_equal(10 * SECOND, must_expire(store).next_ms);
    clock.now_ms += 10 * SECOND;
    assert_int_equal(1, must_expire(store).leases);
    store_close(store);
}

/* A clock that breaks its promise: never early, and late by no more than the time to live. */
static void a_clock_that_steps(void **state)
{
    struct fixture *f = *state;
    struct test_clock clock;
    start_clock(&clock, 1);
    CLEANUP(store_close) struct store *store = create_with(f, &clock);
    uint64_t id = must_grant(store, 10);
    clock.now_ms += SECOND;
    assert_int_equal(9 * SECOND, must_expire(store).next_ms);
    clock.now_ms -= 1000 * SECOND;
    assert_int_equal(10 * SECOND, left_ms(store, id));
    assert_int_equal(10 * SECOND, must_expire(store).next_ms);
    clock.now_ms += 10 * SECOND;
    assert_int_equal(1, must_expire(store).leases);
    clock.now_ms = 0;
    id = must_grant(store, 10);
    clock.now_ms = UINT64_MAX / 2 - 1;
    assert_int_equal(1, must_expire(store).leases);
    assert_over(store, id);
}

/* ---- leases of others ------------------------------------------------------------------------ */

/* Who looked before knows of what others did since. */
static void leases_of_others_are_seen(void **state)
{
    struct fixture *f = *state;
    struct test_clock clock;
    start_clock(&clock, 1);
    CLEANUP(store_close) struct store *store = create_with(f, &clock);
    CLEANUP(store_close) struct store *other = open_with(f, &clock);
    assert_true(must_expire(store).next_ms == UINT64_MAX);
    uint64_t id = must_grant(other, 10);
    must_put_on(other, id, "a");
    assert_int_equal(10 * SECOND, must_expire(store).next_ms);
    clock.now_ms += 9 * SECOND;
    assert_ok(store_lease_keep_alive(other, id, &f->err), &f->err);
    clock.now_ms += 9 * SECOND;
    struct store_expiry expiry = must_expire(store);
    assert_true(expiry.leases == 0 && expiry.next_ms == SECOND);
    clock.now_ms += SECOND;
    assert_int_equal(1, must_expire(store).rows);
    expiry = must_expire(other);
    assert_true(expiry.leases == 0 && expiry.next_ms == UINT64_MAX);
    assert_string_equal("", listing(other, ""));
}

static void what_is_due_stays_due_while_others_write(void **state)
{
    struct fixture *f = *state;
    struct test_clock clock;
    struct store_expiry expiry;
    start_clock(&clock, 1);
    CLEANUP(store_close) struct store *store = create_with(f, &clock);
    CLEANUP(store_close) struct store *other = open_with(f, &clock);
    must_grant(store, 10);
    must_grant(store, 60);
    assert_int_equal(10 * SECOND, must_expire(store).next_ms);
    clock.now_ms += 10 * SECOND;
    store_set_patience(store, 0);
    assert_ok(store_begin(other, &f->err), &f->err);
    for (unsigned i = 0; i < 2; i++) {
        assert_result(LETHE_BUSY, store_leases_expire(store, &expiry, &f->err));
        assert_int_equal(0, expiry.leases);
    }
    store_rollback(other);
    expiry = must_expire(store);
    assert_true(expiry.leases == 1 && expiry.next_ms == 50 * SECOND);
}

/* ---- the machine's clock --------------------------------------------------------------------- */

static void the_systems_clock(void **state)
{
    static const uint8_t none[STORE_BOOT_BYTES];
    struct fixture *f = *state;
    struct store_clock one;
    struct store_clock two;
    assert_ok(store_clock_system(&one, &f->err), &f->err);
    assert_ok(store_clock_system(&two, &f->err), &f->err);
    assert_memory_equal(one.boot, two.boot, STORE_BOOT_BYTES);
    assert_memory_not_equal(one.boot, none, STORE_BOOT_BYTES);
    uint64_t first = one.now_ms(one.context);
    uint64_t then = two.now_ms(two.context);
    assert_true(first > 0 && then >= first);
    CLEANUP(store_close) struct store *store = must_create(f->path);
    uint64_t id = must_grant(store, 1000);
    assert_in_range(left_ms(store, id), 1, 1000 * SECOND);
}

static uint64_t boottime_ms(void)
{
    struct timespec now;
    assert_int_equal(0, clock_gettime(CLOCK_BOOTTIME, &now));
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec / 1000000;
}

#define DRIFT_S 1000000

/* In a child of a new time namespace: the kernel's clock is ahead by DRIFT_S, the store's is not.
 */
static int look_from_within(const char *outside_ms)
{
    struct lethe_error err = {0};
    struct store_clock clock;
    const uint64_t outside = strtoull(outside_ms, NULL, 10);
    const uint64_t drift_ms = (uint64_t)DRIFT_S * SECOND;
    assert_ok(store_clock_system(&clock, &err), &err);
    assert_true(boottime_ms() >= outside + drift_ms); /* control */
    const uint64_t now = clock.now_ms(clock.context);
    assert_in_range(now, outside, outside + drift_ms / 2);
    return 0;
}

/* In a child. Exits with 77 where a time namespace cannot be had. */
static int make_namespace(const char *outside_ms)
{
    static const char offset[] = "boottime 1000000 0\n";
    if (unshare(CLONE_NEWTIME) != 0)
        return 77;
    int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, offset, strlen(offset)) != (ssize_t)strlen(offset))
        return 77;
    close(fd);
    return WEXITSTATUS(wait_for(spawn_self((const char *const[]){"within", outside_ms, NULL})));
}

static void the_clock_is_the_machines_in_a_time_namespace(void **state)
{
    struct fixture *f = *state;
    struct store_clock clock;
    char outside_ms[24];
    assert_ok(store_clock_system(&clock, &f->err), &f->err);
    snprintf(outside_ms, sizeof outside_ms, "%" PRIu64, clock.now_ms(clock.context));
    int status = wait_for(spawn_self((const char *const[]){"namespace", outside_ms, NULL}));
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("skipped: no time namespace can be made here (needs root)\n");
        skip();
    }
    assert_int_equal(0, WEXITSTATUS(status));
}

/* ---- another store key ----------------------------------------------------------------------- */

static void leases_stay_under_another_key(void **state)
{
    struct fixture *f = *state;
    struct store *store = must_create(f->path);
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(2);
    uint64_t id = must_grant(store, 60);
    must_put_on(store, id, "a");
    must_put(store, "b", "on none");
    assert_ok(store_begin(store, &f->err), &f->err);
    assert_ok(store_rekey(store, key, &f->err), &f->err);
    assert_ok(store_commit(store, &f->err), &f->err);
    assert_int_equal(id, lease_of(store, "a"));
    store_close(store);
    assert_ok(store_open(f->path, false, &store, &f->err), &f->err);
    assert_ok(store_unlock(store, key, &f->err), &f->err);
    assert_int_equal(id, lease_of(store, "a"));
    must_read(store, "a", "a");
    assert_ok(store_lease_revoke(store, id, &f->err), &f->err);
    assert_string_equal("b@1", listing(store, ""));
    store_close(store);
}

/* ---- many rows ------------------------------------------------------------------------------- */

#define MANY 16000

static lethe_result count_row(void *context, const char *path, uint64_t version,
                              struct lethe_error *err)
{
    ++*(size_t *)context;
    return LETHE_OK;
}

static void many_rows_on_a_few_leases(void **state)
{
    struct fixture *f = *state;
    CLEANUP(store_close) struct store *store = must_create(f->path);
    uint64_t leases[4];
    char path[32];
    size_t left = 0;
    for (size_t i = 0; i < ARRAY_LEN(leases); i++)
        leases[i] = must_grant(store, 60);
    assert_ok(store_begin(store, &f->err), &f->err);
    for (size_t i = 0; i < MANY; i++) {
        assert_ok(store_lease_attach(store, leases[i % 4], &f->err), &f->err);
        snprintf(path, sizeof path, "pool/%05zu", i * 7919 % MANY); /* in no order */
        assert_ok(store_put(store, path, "x", 1, STORE_ABSENT, &f->err), &f->err);
    }
    assert_ok(store_commit(store, &f->err), &f->err);
    assert_ok(store_lease_revoke(store, leases[1], &f->err), &f->err);
    store_close(store);
    store = must_open(f->path);
    assert_ok(store_list(store, "pool/", count_row, &left, &f->err), &f->err);
    assert_int_equal(MANY / 4 * 3, left);
}

#define ON_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    struct lethe_error err = {0};
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    if (argc == 3 && strcmp(argv[1], "namespace") == 0)
        return make_namespace(argv[2]);
    if (argc == 3 && strcmp(argv[1], "within") == 0)
        return look_from_within(argv[2]);
    const struct CMUnitTest tests[] = {
        ON_FIXTURE(what_is_no_lease_is_refused),
        ON_FIXTURE(its_own_rows_are_out_of_reach),
        ON_FIXTURE(there_are_no_more_than_the_limit),
        ON_FIXTURE(rows_vanish_with_their_lease_in_one_transaction),
        ON_FIXTURE(a_row_moves_between_leases),
        ON_FIXTURE(attaching_ends_with_the_transaction),
        ON_FIXTURE(it_is_over_on_time_and_not_before),
        ON_FIXTURE(keeping_it_alive_gives_its_whole_time),
        ON_FIXTURE(time_goes_on_while_the_store_is_closed),
        ON_FIXTURE(a_restart_of_the_machine_starts_it_anew),
        ON_FIXTURE(keeping_alive_after_a_restart_of_the_machine),
        ON_FIXTURE(a_clock_that_steps),
        ON_FIXTURE(leases_of_others_are_seen),
        ON_FIXTURE(what_is_due_stays_due_while_others_write),
        ON_FIXTURE(the_systems_clock),
        ON_FIXTURE(the_clock_is_the_machines_in_a_time_namespace),
        ON_FIXTURE(leases_stay_under_another_key),
        ON_FIXTURE(many_rows_on_a_few_leases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
