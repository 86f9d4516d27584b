/* Operators: what they may, and what follows from it everywhere. */
#include "check.h"

#include "../crypto/crypto_check.h"
#include "control_check.h"

#include "base/error.h"

static struct check check;
static struct lethe_error err;
static struct node a, b;
static struct asker anna, carl, eva;
static struct wire_allocated got;

static int setup(void **state)
{
    home_setup(state);
    check.limits = (struct control_limits){.report_ms = 500};
    check_setup(&check, state);
    node_init(&a, NODE_A, 64 * MIB);
    node_init(&b, NODE_B, 128 * MIB);
    assert_ok(node_join(&check, &a, &err), &err);
    assert_ok(node_join(&check, &b, &err), &err);
    asker_open(&check, &anna, ANNA, WIRE_CONSUMER);
    asker_open(&check, &carl, CARL, WIRE_CONSUMER);
    asker_open(&check, &eva, EVA, WIRE_OPERATOR);
    return 0;
}

static int teardown(void **state)
{
    asker_close(&anna);
    asker_close(&carl);
    asker_close(&eva);
    node_clear(&a);
    node_clear(&b);
    check_teardown(&check);
    return home_teardown(state);
}
#define WITH_CONTROL(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static size_t records(const char *event, const char *with)
{
    if (check.control != NULL)
        check_stop(&check);
    return count_records(check.home, event, with);
}

static void allocate(struct asker *asker, uint8_t copies)
{
    assert_ok(ask_allocate(asker, MIB, copies, &got, &err), &err);
}

/* The control plane is there again, and everybody as well. */
static void restart(void)
{
    check_stop(&check);
    check_start(&check);
    asker_close(&eva);
    asker_open(&check, &eva, EVA, WIRE_OPERATOR);
}

/* ---- who may --------------------------------------------------------------------------------- */

/* Who has no right changes nothing; each right is for one thing. */
static void test_operators_without_right(void **state)
{
    static const enum wire_type types[] = {WIRE_REVOKE, WIRE_RESTORE, WIRE_FORCE_STOP, WIRE_DRAIN};
    static const char *const ids[] = {"spiffe://example.org/ops/nobody", BERT, ANNA, NODE_A};
    allocate(&anna, 1);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        struct asker asker = {0};
        asker_open(&check, &asker, ids[i], WIRE_OPERATOR);
        for (size_t j = 0; j < ARRAY_LEN(types); j++)
            assert_result(LETHE_DENIED, ask_order(&asker, types[j], NODE_B, 0, true, &err));
        assert_result(LETHE_DENIED, ask_order(&asker, WIRE_QUOTA, "acme", 0, true, &err));
        assert_result(LETHE_DENIED, ask_stop(&asker, &got.copies[0].lease, &err));
        if (strcmp(ids[i], BERT) == 0)
            assert_non_null(strstr(ask_status(&asker), "lethe-pool-status/1")); /* his one right */
        asker_close(&asker);
    }
    assert_int_equal(0, b.stops + b.banned_count);
    assert_false(b.draining);
    allocate(&anna, 2);
    assert_int_equal(4 * 6, records("authorization_denied", NULL));
    assert_int_equal(0, count_records(check.home, "identity_revoked", NULL));
}

/* ---- revoke ---------------------------------------------------------------------------------- */

/* P-10: open connections end, leases end, and nothing is given any more; also by providers that
 * join later, before they serve, and after a restart. */
static void test_revoke_is_everywhere(void **state)
{
    struct asker second = {0};
    allocate(&anna, 2);
    allocate(&carl, 1);
    assert_ok(ask_order(&eva, WIRE_REVOKE, ANNA, 0, false, &err), &err);
    assert_int_equal(1, a.banned_count); /* before it was answered */
    assert_int_equal(1, b.banned_count);
    check_until(&check, anna.ended);
    asker_open(&check, &second, ANNA, WIRE_CONSUMER);
    assert_result(LETHE_REVOKED, ask_allocate(&second, MIB, 1, &got, &err));
    check_until(&check, second.ended);
    asker_close(&second);
    assert_int_equal(1, node_running(&a) + node_running(&b)); /* carl's */
    assert_ok(node_report(&a, &err), &err);
    assert_ok(node_report(&b, &err), &err);
    struct node c;
    node_init(&c, NODE_C, 8 * MIB);
    assert_ok(node_join(&check, &c, &err), &err);
    assert_int_equal(1, c.banned_count); /* in front of the answer of its first report */
    node_clear(&c);
    restart();
    assert_ok(node_join(&check, &a, &err), &err);
    assert_int_equal(1, a.banned_count);
    asker_open(&check, &second, ANNA, WIRE_CONSUMER);
    assert_result(LETHE_REVOKED, ask_allocate(&second, MIB, 1, &got, &err));
    asker_close(&second);
    assert_non_null(strstr(ask_status(&eva), "\"revoked\":[{\"id\":\"" ANNA "\""));
    assert_int_equal(1, records("identity_revoked", ANNA));
    assert_int_equal(1, count_records(check.home, "identity_revoked", EVA)); /* by whom */
    assert_int_equal(2, count_records(check.home, "lease_revoked", ANNA));
}

static void test_revoke_waits_for_providers_that_are_there(void **state)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct wire_order order = {.name = ANNA, .reason = "stolen"};
    wire_order_write(WIRE_REVOKE, &order, &index);
    b.mute = true;
    assert_true(asker_send(&eva, WIRE_REVOKE, &index) > 0);
    check_until(&check, anna.ended && a.banned_count == 1);
    check_turn(&check);
    assert_false(eva.answered);
    asker_close(&b.asker); /* it is told when it comes back */
    assert_result(LETHE_UNAVAILABLE, asker_answer(&eva, &err));
    b.mute = false;
    assert_ok(node_join(&check, &b, &err), &err);
    assert_int_equal(1, b.banned_count);
}

static void test_restore_undoes_it(void **state)
{
    assert_result(LETHE_NOT_FOUND, ask_order(&eva, WIRE_RESTORE, ANNA, 0, false, &err));
    assert_ok(ask_order(&eva, WIRE_REVOKE, ANNA, 0, false, &err), &err);
    assert_ok(ask_order(&eva, WIRE_REVOKE, ANNA, 0, false, &err), &err); /* again is fine */
    assert_ok(ask_order(&eva, WIRE_RESTORE, ANNA, 0, false, &err), &err);
    assert_int_equal(1, a.unbanned_count);
    check_until(&check, anna.ended);
    asker_close(&anna);
    asker_open(&check, &anna, ANNA, WIRE_CONSUMER);
    allocate(&anna, 1);
    assert_int_equal(1, records("pool_modified", "restored"));
    assert_int_equal(0, count_rows(check.home, "pool/revoked/"));
}

static void test_a_revoked_provider_is_given_up(void **state)
{
    allocate(&anna, 1);
    assert_ok(ask_order(&eva, WIRE_REVOKE, NODE_B, 0, false, &err), &err);
    check_until(&check, b.asker.ended);
    assert_result(LETHE_REVOKED, node_join(&check, &b, &err));
    assert_result(LETHE_LOST, ask_lease(&anna, WIRE_TOKEN, &got.copies[0].lease, &err));
    allocate(&anna, 1);
    assert_string_equal(NODE_A, got.copies[0].provider);
    assert_int_equal(1, records("lease_lost", NULL));
    assert_int_equal(1, count_records(check.home, "provider_lost", "revoked"));
}

/* ---- force-stop ------------------------------------------------------------------------------ */

static void test_force_stop_of_a_lease(void **state)
{
    struct lease_id none = {{1}};
    allocate(&anna, 1);
    assert_result(LETHE_NOT_FOUND, ask_stop(&eva, &none, &err));
    b.wipes_at_once = false;
    struct wire_order order = {.lease = got.copies[0].lease, .has_lease = true, .reason = "test"};
    CLEANUP(buffer_clear) struct buffer index = {0};
    wire_order_write(WIRE_FORCE_STOP, &order, &index);
    assert_true(asker_send(&eva, WIRE_FORCE_STOP, &index) > 0);
    check_until(&check, b.stops == 1);
    assert_ok(node_report(&b, &err), &err);
    assert_false(eva.answered); /* not before it is wiped */
    assert_result(LETHE_LOST, ask_lease(&anna, WIRE_TOKEN, &got.copies[0].lease, &err));
    b.leases[0].state = LEASE_RECLAIMED;
    b.leases[0].told = false;
    assert_ok(node_report(&b, &err), &err);
    assert_ok(asker_answer(&eva, &err), &err);
    assert_int_equal(1, records("force_stop", EVA));
    assert_int_equal(1, count_records(check.home, "lease_revoked", "force_stopped"));
    assert_int_equal(0, count_rows(check.home, "pool/leases/"));
}

/* What could not be told is told later, whatever happens in between. */
static void test_force_stop_of_a_lease_out_of_reach(void **state)
{
    allocate(&anna, 1);
    asker_close(&b.asker);
    check_until(&check, strstr(ask_status(&eva), "unreachable") != NULL);
    assert_result(LETHE_UNAVAILABLE, ask_stop(&eva, &got.copies[0].lease, &err));
    restart();
    assert_ok(node_join(&check, &b, &err), &err);
    assert_int_equal(1, b.stops);
    assert_int_equal(0, node_running(&b));
}

static void test_force_stop_of_a_provider(void **state)
{
    for (unsigned i = 0; i < 3; i++)
        allocate(&anna, 1);
    assert_int_equal(3, b.lease_count);
    struct wire_order order = {.name = NODE_B, .reason = "test"};
    CLEANUP(buffer_clear) struct buffer index = {0};
    wire_order_write(WIRE_FORCE_STOP, &order, &index);
    assert_true(asker_send(&eva, WIRE_FORCE_STOP, &index) > 0);
    check_until(&check, b.stops == 3 && b.draining);
    assert_ok(node_report(&b, &err), &err);
    assert_ok(asker_answer(&eva, &err), &err);
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    assert_string_equal(NODE_A, got.copies[0].provider);
    assert_non_null(strstr(ask_status(&eva), "\"state\":\"stopped\""));
    assert_ok(ask_order(&eva, WIRE_DRAIN, NODE_B, 0, false, &err), &err); /* opens it again */
    allocate(&anna, 2);
}

/* ---- drain ----------------------------------------------------------------------------------- */

static void test_drain(void **state)
{
    assert_result(LETHE_NOT_FOUND, ask_order(&eva, WIRE_DRAIN, NODE_C, 0, true, &err));
    allocate(&anna, 1);
    struct lease_id before = got.copies[0].lease;
    assert_ok(ask_order(&eva, WIRE_DRAIN, NODE_B, 0, true, &err), &err);
    assert_true(b.draining);
    allocate(&anna, 1);
    assert_string_equal(NODE_A, got.copies[0].provider);
    assert_result(LETHE_NO_SPACE, ask_allocate(&anna, MIB, 2, &got, &err));
    assert_result(LETHE_UNAVAILABLE, ask_lease(&anna, WIRE_TOKEN, &before, &err));
    assert_int_equal(1, node_running(&b)); /* goes on */
    restart();
    b.draining = false;
    assert_ok(node_join(&check, &b, &err), &err);
    assert_true(b.draining);
    assert_int_equal(1, node_running(&b));
    assert_ok(ask_order(&eva, WIRE_DRAIN, NODE_B, 0, false, &err), &err);
    assert_false(b.draining);
    asker_close(&anna);
    asker_open(&check, &anna, ANNA, WIRE_CONSUMER);
    assert_ok(ask_lease(&anna, WIRE_TOKEN, &before, &err), &err);
    assert_int_equal(1, records("pool_modified", "draining"));
}

/* ---- order ----------------------------------------------------------------------------------- */

/* Wishes of several operators about one thing: rows and memory end up alike. */
static void test_wishes_in_one_turn_keep_their_order(void **state)
{
    uint64_t quotas[] = {MIB, 2 * MIB, UINT64_MAX, 3 * MIB};
    for (size_t i = 0; i < ARRAY_LEN(quotas); i++) {
        struct wire_order order = {.name = "acme", .bytes = quotas[i]};
        CLEANUP(buffer_clear) struct buffer index = {0};
        wire_order_write(WIRE_QUOTA, &order, &index);
        assert_true(asker_send(&eva, WIRE_QUOTA, &index) > 0);
    }
    assert_ok(asker_answer(&eva, &err), &err);
    assert_non_null(strstr(ask_status(&eva), "\"quota\":3145728"));
    restart();
    assert_non_null(strstr(ask_status(&eva), "\"quota\":3145728"));
}

static void wish_quota(struct asker *asker, const char *tenant, uint64_t bytes)
{
    struct wire_order order = {.bytes = bytes};
    CLEANUP(buffer_clear) struct buffer index = {0};
    snprintf(order.name, sizeof order.name, "%s", tenant);
    wire_order_write(WIRE_QUOTA, &order, &index);
    assert_true(asker_send(asker, WIRE_QUOTA, &index) > 0);
}

/* Of two operators, by three connections: transactions are for one of them. */
static void test_wishes_of_several_operators_keep_their_order(void **state)
{
    struct asker zoe = {0}, second = {0};
    struct asker *const all[] = {&eva, &zoe, &second};
    asker_open(&check, &zoe, ZOE, WIRE_OPERATOR);
    asker_open(&check, &second, EVA, WIRE_OPERATOR);
    for (unsigned round = 0; round < 60; round++) {
        char tenant[16];
        snprintf(tenant, sizeof tenant, "t%u", round);
        for (size_t i = 0; i < ARRAY_LEN(all); i++)
            wish_quota(all[i], tenant, (i + 1) * MIB);
        if (round % 6 == 0) /* so that some turns have one wish of each, and some have many */
            check_turn(&check);
    }
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        assert_ok(asker_answer(all[i], &err), &err);
    char *before = strdup(strstr(ask_status(&eva), "\"tenants\":"));
    asker_close(&zoe);
    asker_close(&second);
    restart();
    const char *after = strstr(ask_status(&eva), "\"tenants\":");
    size_t length = (size_t)(strchr(before, ']') - before);
    assert_true(length > 60 * 16);
    assert_memory_equal(before, after, length);
    free(before);
    assert_int_equal(60, records("pool_modified", ZOE)); /* each on record as whose it was */
    assert_int_equal(120, count_records(check.home, "pool_modified", EVA));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CONTROL(test_operators_without_right),
        WITH_CONTROL(test_revoke_is_everywhere),
        WITH_CONTROL(test_revoke_waits_for_providers_that_are_there),
        WITH_CONTROL(test_restore_undoes_it),
        WITH_CONTROL(test_a_revoked_provider_is_given_up),
        WITH_CONTROL(test_force_stop_of_a_lease),
        WITH_CONTROL(test_force_stop_of_a_lease_out_of_reach),
        WITH_CONTROL(test_force_stop_of_a_provider),
        WITH_CONTROL(test_drain),
        WITH_CONTROL(test_wishes_in_one_turn_keep_their_order),
        WITH_CONTROL(test_wishes_of_several_operators_keep_their_order),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
