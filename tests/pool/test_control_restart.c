/* Providers and the control plane go and come back: what runs is not disturbed, what is lost is on
 * record. */
#include "check.h"

#include <stdatomic.h>

#include "../crypto/crypto_check.h"
#include "../store/faults.h"
#include "control_check.h"

#include "base/error.h"

static struct check check;
static struct lethe_error err;
static struct node a, b;
static struct asker anna, eva;
static struct wire_allocated got;

/* A clock whose wall can be moved; the monotonic one goes on. */
static _Atomic int64_t step_ns;
static uint64_t stepped_wall_ns(void *context)
{
    return clock_wall_ns(&clock_system) + (uint64_t)step_ns;
}
static uint64_t same_monotonic_ns(void *context)
{
    return clock_monotonic_ns(&clock_system);
}
static const struct clock_source stepped = {stepped_wall_ns, same_monotonic_ns, NULL};

static void open_askers(void)
{
    asker_open(&check, &anna, ANNA, WIRE_CONSUMER);
    asker_open(&check, &eva, EVA, WIRE_OPERATOR);
}

static void setup_with(void **state, struct control_limits limits)
{
    home_setup(state);
    step_ns = 0;
    check.limits = limits;
    check.clock = &stepped;
    check_setup(&check, state);
    node_init(&a, NODE_A, 64 * MIB);
    node_init(&b, NODE_B, 128 * MIB);
    assert_ok(node_join(&check, &a, &err), &err);
    assert_ok(node_join(&check, &b, &err), &err);
    open_askers();
}

static int setup(void **state)
{
    setup_with(state, (struct control_limits){.unreachable_ms = 60000});
    return 0;
}

static int setup_impatient(void **state)
{
    setup_with(state, (struct control_limits){
                          .report_ms = 50, .unreachable_ms = 400, .lost_after_ms = 300});
    return 0;
}

static int teardown(void **state)
{
    asker_close(&anna);
    asker_close(&eva);
    node_clear(&a);
    node_clear(&b);
    check_teardown(&check);
    return home_teardown(state);
}
#define WITH_CONTROL(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define WITH_IMPATIENCE(test) cmocka_unit_test_setup_teardown(test, setup_impatient, teardown)

static size_t records(const char *event, const char *with)
{
    if (check.control != NULL)
        check_stop(&check);
    return count_records(check.home, event, with);
}

static void restart(void)
{
    check_stop(&check);
    check_start(&check);
    asker_close(&anna);
    asker_close(&eva);
    open_askers();
}

static bool status_has(const char *text)
{
    return strstr(ask_status(&eva), text) != NULL;
}

/* ---- the control plane ----------------------------------------------------------------------- */

/* P-14: what runs goes on; a restart is no event for it. */
static void test_a_restart_disturbs_no_lease(void **state)
{
    assert_ok(ask_allocate(&anna, MIB, 2, &got, &err), &err);
    a.leases[0].state = LEASE_ACTIVE;
    b.leases[0].state = LEASE_FROZEN;
    restart();
    assert_true(status_has("unreachable"));
    assert_ok(ask_lease(&anna, WIRE_TOKEN, &got.copies[0].lease, &err), &err);
    assert_result(LETHE_NO_SPACE, ask_allocate(&anna, MIB, 1, &got, &err)); /* nobody is here */
    assert_ok(node_join(&check, &a, &err), &err);
    assert_ok(node_join(&check, &b, &err), &err);
    assert_int_equal(0, a.stops + b.stops);
    assert_true(status_has("\"state\":\"active\""));
    assert_true(status_has("\"state\":\"frozen\""));
    assert_ok(ask_allocate(&anna, MIB, 2, &got, &err), &err);
    assert_int_equal(2, b.leases[1].terms.generation); /* counts on */
    assert_int_equal(2, records("provider_joined", NULL));
    assert_int_equal(0, count_records(check.home, "lease_lost", NULL));
}

/* It ended while nobody listened. */
static void test_what_ended_meanwhile_is_made_up_for(void **state)
{
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    check_stop(&check);
    b.leases[0].state = LEASE_RECLAIMED;
    b.leases[0].cause = LEASE_CAUSE_EXPIRED;
    b.leases[0].told = false;
    check_start(&check);
    assert_ok(node_join(&check, &b, &err), &err);
    assert_int_equal(1, records("lease_expired", NULL));
    assert_int_equal(0, count_rows(check.home, "pool/leases/"));
}

/* A lease that its provider has, and no row. */
static void test_grants_that_nobody_has_are_stopped(void **state)
{
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    b.leases[1] = b.leases[0];
    b.leases[1].terms.lease.bytes[0]++;
    b.lease_count = 2;
    assert_ok(node_join(&check, &b, &err), &err);
    assert_int_equal(1, b.stops);
    assert_int_equal(LEASE_RECLAIMED, b.leases[1].state);
    assert_int_equal(LEASE_GRANTED, b.leases[0].state);
}

/* ---- providers ------------------------------------------------------------------------------- */

/* P-7 */
static void test_a_provider_that_was_restarted_has_lost_its_leases(void **state)
{
    assert_ok(ask_allocate(&anna, MIB, 2, &got, &err), &err);
    struct lease_id lost = b.leases[0].terms.lease;
    asker_close(&b.asker);
    check_until(&check, status_has("unreachable"));
    b.boot_id[0]++;
    b.lease_count = 0;
    assert_ok(node_join(&check, &b, &err), &err);
    assert_result(LETHE_NOT_FOUND, ask_lease(&anna, WIRE_TOKEN, &lost, &err));
    assert_int_equal(1, node_running(&a));
    assert_int_equal(1, records("lease_lost", NULL));
    assert_int_equal(1, count_records(check.home, "provider_lost", NULL));
    assert_int_equal(3, count_records(check.home, "provider_joined", NULL));
    assert_int_equal(1, count_rows(check.home, "pool/leases/"));
}

static void lose_b(void)
{
    asker_close(&b.asker);
    check_until(&check, status_has("\"state\":\"lost\",\"cause\""));
    assert_true(status_has("\"state\":\"lost\",\"capacity\""));
}

/* P-9: the same boot id after it was given up: its report makes up for it. */
static void test_a_lost_provider_comes_back(void **state)
{
    assert_ok(ask_allocate(&anna, MIB, 2, &got, &err), &err);
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    struct lease_id ended = b.leases[0].terms.lease, running = b.leases[1].terms.lease;
    lose_b();
    assert_result(LETHE_LOST, ask_lease(&anna, WIRE_TOKEN, &running, &err));
    restart(); /* and the rows know it */
    assert_true(status_has("\"state\":\"lost\",\"cause\""));
    b.leases[0].state = LEASE_RECLAIMED;
    b.leases[0].cause = LEASE_CAUSE_EXPIRED;
    b.leases[0].told = false;
    assert_ok(node_join(&check, &b, &err), &err);
    assert_ok(ask_lease(&anna, WIRE_TOKEN, &running, &err), &err);
    assert_result(LETHE_NOT_FOUND, ask_lease(&anna, WIRE_TOKEN, &ended, &err));
    assert_int_equal(1, node_running(&b));
    assert_int_equal(1, records("lease_resumed", "provider_returned"));
    assert_int_equal(1, count_records(check.home, "lease_expired", NULL));
    assert_log_verifies(check.home);
}

static void test_a_lost_provider_comes_back_empty(void **state)
{
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    lose_b();
    b.boot_id[0]++;
    b.lease_count = 0;
    assert_ok(node_join(&check, &b, &err), &err);
    assert_result(LETHE_NOT_FOUND, ask_lease(&anna, WIRE_TOKEN, &got.copies[0].lease, &err));
    assert_int_equal(1, records("lease_lost", NULL)); /* once */
    assert_int_equal(0, count_rows(check.home, "pool/leases/"));
}

/* What it lent does not count any more, so that others get it elsewhere. */
static void test_what_is_lost_is_not_held(void **state)
{
    assert_ok(ask_order(&eva, WIRE_QUOTA, "acme", MIB, false, &err), &err);
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    assert_result(LETHE_LIMIT, ask_allocate(&anna, MIB, 1, &got, &err));
    assert_ok(node_report(&a, &err), &err);
    lose_b();
    assert_ok(node_join(&check, &a, &err), &err);
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
}

static void test_a_silent_provider_is_cut_off(void **state)
{
    check_until(&check, a.asker.ended && b.asker.ended);
    assert_ok(node_join(&check, &a, &err), &err);
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    assert_string_equal(NODE_A, got.copies[0].provider);
}

static void test_a_flapping_provider_writes_no_records(void **state)
{
    struct node again; /* the same process, by another connection */
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    node_init(&again, NODE_B, b.capacity_bytes);
    again.leases[0] = b.leases[0];
    again.lease_count = 1;
    for (unsigned i = 0; i < 50; i++) {
        struct node *now = i % 2 == 0 ? &again : &b, *before = i % 2 == 0 ? &b : &again;
        if (i % 3 == 0)
            asker_close(&before->asker);
        assert_ok(node_join(&check, now, &err), &err);
        if (i % 3 != 0) /* the new one has taken over */
            check_until(&check, before->asker.ended);
    }
    assert_int_equal(0, b.stops + again.stops);
    node_clear(&again);
    assert_ok(ask_lease(&anna, WIRE_TOKEN, &got.copies[0].lease, &err), &err);
    assert_int_equal(2, records("provider_joined", NULL));
    assert_int_equal(0, count_records(check.home, "provider_lost", NULL));
}

/* A grant that the old connection was asked for is placed elsewhere, and nothing stays counted. */
static void test_a_provider_that_comes_anew_while_it_is_asked(void **state)
{
    struct node again;
    CLEANUP(buffer_clear) struct buffer index = {0};
    const struct wire_allocate wanted = {100 * MIB, BLOCK, 60000, 1};
    wire_allocate_write(&wanted, &index);
    node_init(&again, NODE_B, b.capacity_bytes);
    b.mute = true;
    assert_true(asker_send(&anna, WIRE_ALLOCATE, &index) > 0);
    for (unsigned i = 0; i < 5; i++)
        check_turn(&check);
    assert_ok(node_join(&check, &again, &err), &err);
    assert_result(LETHE_UNAVAILABLE, asker_answer(&anna, &err)); /* a has no room for it */
    assert_ok(ask_allocate(&anna, 100 * MIB, 1, &got, &err), &err);
    assert_int_equal(1, again.grants);
    node_clear(&again);
}

/* ---- a full disk ----------------------------------------------------------------------------- */

/* What cannot be on record does not happen, and is not remembered. */
static void test_a_full_disk_changes_nothing(void **state)
{
    assert_ok(ask_allocate(&anna, MIB, 2, &got, &err), &err);
    faults_arm(FAULT_FULL, 1);
    assert_result(LETHE_NO_SPACE, ask_allocate(&anna, MIB, 2, &got, &err));
    assert_result(LETHE_NO_SPACE, ask_order(&eva, WIRE_QUOTA, "acme", 0, false, &err));
    assert_result(LETHE_NO_SPACE, ask_order(&eva, WIRE_DRAIN, NODE_A, 0, true, &err));
    assert_result(LETHE_NO_SPACE, ask_order(&eva, WIRE_REVOKE, ANNA, 0, false, &err));
    assert_false(a.draining || anna.ended);
    assert_int_equal(2, node_running(&a) + node_running(&b)); /* the others were stopped */
    b.leases[0].state = LEASE_RECLAIMED;
    b.leases[0].cause = LEASE_CAUSE_EXPIRED;
    b.leases[0].told = false;
    assert_result(LETHE_UNAVAILABLE, node_report(&b, &err)); /* it is to come again */
    assert_true(faults_disarm() > 1);
    assert_ok(node_join(&check, &b, &err), &err);
    assert_ok(ask_allocate(&anna, MIB, 2, &got, &err), &err);
    assert_int_equal(1, records("lease_expired", NULL));
    assert_int_equal(4, count_records(check.home, "lease_granted", NULL));
    assert_int_equal(3, count_rows(check.home, "pool/leases/"));
    assert_log_verifies(check.home);
}

/* Two processes with one identity: the first has the leases, the second gets nothing. */
static void test_a_second_provider_with_the_same_identity(void **state)
{
    struct node other;
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    node_init(&other, NODE_B, 999 * MIB);
    other.boot_id[0] = 77;
    assert_result(LETHE_EXISTS, node_join(&check, &other, &err));
    assert_false(b.asker.ended);
    assert_ok(node_report(&b, &err), &err);
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    assert_int_equal(2, node_running(&b));
    asker_close(&b.asker);
    check_until(&check, status_has("unreachable"));
    assert_ok(node_join(&check, &other, &err), &err); /* b is gone: now it is a restart */
    node_clear(&other);
    assert_int_equal(2, records("lease_lost", NULL));
}

/* ---- clocks ---------------------------------------------------------------------------------- */

static void test_steps_of_the_wall_clock_change_nothing(void **state)
{
    static const int64_t steps[] = {3600, -7200, 86400ll * 3650, -86400ll * 3650};
    assert_ok(ask_allocate(&anna, MIB, 2, &got, &err), &err);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        step_ns = steps[i] * 1000000000;
        for (unsigned turns = 0; turns < 20; turns++)
            check_turn(&check);
        assert_ok(node_report(&a, &err), &err);
        assert_true(status_has("\"state\":\"granted\""));
        assert_ok(ask_lease(&anna, WIRE_TOKEN, &got.copies[0].lease, &err), &err);
    }
    restart();
    assert_ok(node_join(&check, &a, &err), &err);
    assert_ok(node_join(&check, &b, &err), &err);
    assert_int_equal(0, a.stops + b.stops);
    assert_false(a.asker.ended || b.asker.ended);
    assert_int_equal(0, records("lease_lost", NULL) +
                            count_records(check.home, "lease_expired", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CONTROL(test_a_restart_disturbs_no_lease),
        WITH_CONTROL(test_what_ended_meanwhile_is_made_up_for),
        WITH_CONTROL(test_grants_that_nobody_has_are_stopped),
        WITH_CONTROL(test_a_provider_that_was_restarted_has_lost_its_leases),
        WITH_IMPATIENCE(test_a_lost_provider_comes_back),
        WITH_IMPATIENCE(test_a_lost_provider_comes_back_empty),
        WITH_IMPATIENCE(test_what_is_lost_is_not_held),
        WITH_IMPATIENCE(test_a_silent_provider_is_cut_off),
        WITH_CONTROL(test_a_flapping_provider_writes_no_records),
        WITH_CONTROL(test_a_provider_that_comes_anew_while_it_is_asked),
        WITH_CONTROL(test_a_full_disk_changes_nothing),
        WITH_CONTROL(test_a_second_provider_with_the_same_identity),
        WITH_CONTROL(test_steps_of_the_wall_clock_change_nothing),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
