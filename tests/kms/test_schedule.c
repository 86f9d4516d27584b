/* Rotation on a schedule: when the newest version is too old, what is made next is made with
 * another. */
#include "home.h"

#include "crypto/crypto.h"
#include "kms/transit.h"

static struct lethe_error err;
static const char key[] = "default.m.hot";

#define DAY_S ((uint64_t)24 * 3600)
#define START_S ((uint64_t)1700000000)

/* ---- a clock that tests set ------------------------------------------------------------------ */

static uint64_t wall_s;

static uint64_t wall_ns(void *context)
{
    return wall_s * 1000000000u;
}

static const struct clock_source set_by_hand = {.wall_ns = wall_ns, .monotonic_ns = wall_ns};

static struct keeper *open_at(struct home *home, uint64_t time_s)
{
    wall_s = time_s;
    home->options.clock = &set_by_hand;
    return must_open_home(home);
}

static uint64_t newest(struct keeper *keeper, const char *name)
{
    uint64_t version = 0;
    const struct key_source *keys = keeper_key_source(keeper);
    assert_ok(keys->newest(keys->context, name, &version, &err), &err);
    return version;
}

static uint64_t version_of(const struct buffer *wrapped)
{
    uint64_t version = 0;
    assert_ok(transit_version(wrapped->bytes, &version, &err), &err);
    return version;
}

static lethe_result count(void *context, const struct key_info *info, struct lethe_error *error)
{
    ++*(size_t *)context;
    return LETHE_OK;
}

static size_t rotate_due(struct keeper *keeper)
{
    size_t rotated = 0;
    assert_ok(keeper_rotate_due(keeper, count, &rotated, &err), &err);
    return rotated;
}

/* A home with one key, made at START_S. */
static struct keeper *home_with_key(struct home *home, struct buffer *wrapped)
{
    wall_s = START_S;
    home->options.clock = &set_by_hand;
    must_make_home(home);
    struct keeper *keeper = open_at(home, START_S);
    assert_ok(wrap_one(keeper, key, wrapped, &err), &err);
    assert_int_equal(1, version_of(wrapped));
    return keeper;
}

/* ---- the schedule ---------------------------------------------------------------------------- */

/* K-7 */
static void what_is_made_when_a_key_is_due_is_made_with_the_next_version(void **state)
{
    struct home *home = *state;
    CLEANUP(buffer_clear) struct buffer old = {0};
    CLEANUP(buffer_clear) struct buffer early = {0};
    CLEANUP(buffer_clear) struct buffer late = {0};
    struct keeper *keeper = home_with_key(home, &old);
    assert_ok(keeper_schedule_key(keeper, key, 30 * DAY_S, &err), &err);
    must_close_home(keeper);

    keeper = open_at(home, START_S + 30 * DAY_S - 1);
    assert_ok(wrap_one(keeper, key, &early, &err), &err);
    assert_int_equal(1, version_of(&early));
    wall_s++;
    assert_ok(wrap_one(keeper, key, &late, &err), &err);
    assert_int_equal(2, version_of(&late));
    assert_int_equal(1, count_records(home, "key_rotated", key));

    assert_ok(unwrap_one(keeper, key, old.bytes, &err), &err); /* K-8 */
    assert_ok(unwrap_one(keeper, key, late.bytes, &err), &err);
    assert_int_equal(2, newest(keeper, key)); /* opening is no reason to rotate */
    must_close_home(keeper);
    assert_log_verifies(home);
}

/* K-7 */
static void signers_have_schedules_too(void **state)
{
    struct home *home = *state;
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    struct signature signature;
    struct keeper *keeper = home_with_key(home, &wrapped);
    const struct key_source *keys = keeper_key_source(keeper);
    assert_ok(keys->sign(keys->context, "default", "x", 1, &signature, &err), &err);
    assert_ok(keeper_schedule_key(keeper, "default.signer", DAY_S, &err), &err);
    wall_s += DAY_S;
    assert_ok(keys->sign(keys->context, "default", "x", 1, &signature, &err), &err);
    assert_int_equal(2, newest(keeper, "default.signer"));
    assert_int_equal(1, newest(keeper, key));
    must_close_home(keeper);
}

/* K-7 */
static void all_that_are_due_are_rotated_at_once(void **state)
{
    struct home *home = *state;
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    struct keeper *keeper = home_with_key(home, &wrapped);
    static const char *const others[] = {"default.b.hot", "default.c.hot", "default.d.hot"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_ok(keeper_create_key(keeper, others[i], &err), &err);
    assert_ok(keeper_schedule_key(keeper, key, DAY_S, &err), &err);
    assert_ok(keeper_schedule_key(keeper, others[0], 2 * DAY_S, &err), &err);
    assert_ok(keeper_schedule_key(keeper, others[1], 3 * DAY_S, &err), &err);
    assert_int_equal(0, rotate_due(keeper));
    wall_s += 2 * DAY_S;
    assert_int_equal(2, rotate_due(keeper));
    assert_int_equal(0, rotate_due(keeper)); /* they are new again */
    assert_int_equal(2, newest(keeper, key));
    assert_int_equal(2, newest(keeper, others[0]));
    assert_int_equal(1, newest(keeper, others[1]));
    assert_int_equal(1, newest(keeper, others[2]));
    must_close_home(keeper);
}

static void a_clock_that_steps_back_rotates_nothing(void **state)
{
    struct home *home = *state;
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    struct keeper *keeper = home_with_key(home, &wrapped);
    assert_ok(keeper_schedule_key(keeper, key, DAY_S, &err), &err);
    wall_s = START_S - 1000 * DAY_S;
    assert_int_equal(0, rotate_due(keeper));
    must_close_home(keeper);
}

static void what_is_revoked_or_destroyed_or_taken_off_is_left(void **state)
{
    struct home *home = *state;
    struct key_outcome outcome;
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    struct keeper *keeper = home_with_key(home, &wrapped);
    assert_ok(keeper_create_key(keeper, "default.b.hot", &err), &err);
    assert_ok(keeper_schedule_key(keeper, key, DAY_S, &err), &err);
    assert_ok(keeper_schedule_key(keeper, "default.b.hot", DAY_S, &err), &err);
    assert_ok(keeper_schedule_key(keeper, "default.b.hot", 0, &err), &err);
    assert_ok(keeper_destroy_key(keeper, key, &outcome, &err), &err);
    wall_s += 2 * DAY_S;
    assert_int_equal(0, rotate_due(keeper));
    assert_result(LETHE_REVOKED, keeper_schedule_key(keeper, key, DAY_S, &err));
    char log_key[KEY_NAME_MAX + 1];
    snprintf(log_key, sizeof log_key, "%s.log", home->options.node);
    assert_result(LETHE_INVALID, keeper_schedule_key(keeper, log_key, DAY_S, &err));
    assert_result(LETHE_NOT_FOUND, keeper_schedule_key(keeper, "default.x.hot", DAY_S, &err));
    must_close_home(keeper);
}

/* The second process sees under the lock that the first was faster. */
static void two_processes_rotate_once(void **state)
{
    struct home *home = *state;
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    struct keeper *one = home_with_key(home, &wrapped);
    assert_ok(keeper_schedule_key(one, key, DAY_S, &err), &err);
    struct keeper *two = open_at(home, START_S + DAY_S);
    assert_int_equal(1, rotate_due(one));
    assert_int_equal(0, rotate_due(two));
    assert_int_equal(2, newest(two, key));
    must_close_home(two);
    must_close_home(one);
    assert_log_verifies(home);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        ON_HOME(what_is_made_when_a_key_is_due_is_made_with_the_next_version),
        ON_HOME(signers_have_schedules_too),
        ON_HOME(all_that_are_due_are_rotated_at_once),
        ON_HOME(a_clock_that_steps_back_rotates_nothing),
        ON_HOME(what_is_revoked_or_destroyed_or_taken_off_is_left),
        ON_HOME(two_processes_rotate_once),
    };
    assert_ok(crypto_start(&err), &err);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
