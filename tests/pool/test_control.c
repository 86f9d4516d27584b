/* Leases of a control plane: who gets them, where, and how they end. */
#include "check.h"

#include "../crypto/crypto_check.h"
#include "control_check.h"

#include "base/error.h"

static struct check check;
static struct lethe_error err;
static struct node a, b, c;
static struct asker anna, bert, carl, eva;
static struct wire_allocated got;

static int setup(void **state)
{
    home_setup(state);
    check.limits = (struct control_limits){.leases_per_consumer = 40, .answer_ms = 1000};
    check_setup(&check, state);
    node_init(&a, NODE_A, 64 * MIB);
    node_init(&b, NODE_B, 128 * MIB);
    node_init(&c, NODE_C, 32 * MIB);
    assert_ok(node_join(&check, &a, &err), &err);
    assert_ok(node_join(&check, &b, &err), &err);
    asker_open(&check, &anna, ANNA, WIRE_CONSUMER);
    asker_open(&check, &bert, BERT, WIRE_CONSUMER);
    asker_open(&check, &carl, CARL, WIRE_CONSUMER);
    asker_open(&check, &eva, EVA, WIRE_OPERATOR);
    return 0;
}

static int teardown(void **state)
{
    struct asker *const askers[] = {&anna, &bert, &carl, &eva};
    for (size_t i = 0; i < ARRAY_LEN(askers); i++)
        asker_close(askers[i]);
    node_clear(&a);
    node_clear(&b);
    node_clear(&c);
    check_teardown(&check);
    return home_teardown(state);
}
#define WITH_CONTROL(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* Of a home that is not open any more. */
static size_t records(const char *event, const char *with)
{
    if (check.control != NULL)
        check_stop(&check);
    return count_records(check.home, event, with);
}

/* ---- who may not ----------------------------------------------------------------------------- */

/* P-1, P-2: a role is what a connection said first; what is not of that role ends it. */
static void test_what_a_role_may_not_ask_ends_the_connection(void **state)
{
    static const struct {
        enum wire_role says, acts_as;
        enum wire_type type;
    } cases[] = {
        {WIRE_CONSUMER, WIRE_OPERATOR, WIRE_STATUS},   {WIRE_CONSUMER, WIRE_PROVIDER, WIRE_REPORT},
        {WIRE_OPERATOR, WIRE_CONSUMER, WIRE_ALLOCATE}, {WIRE_PROVIDER, WIRE_OPERATOR, WIRE_REVOKE},
        {WIRE_PROVIDER, WIRE_PROVIDER, WIRE_REPORT}, /* before JOIN */
        {WIRE_CONSUMER, WIRE_CONSUMER, WIRE_TOKEN}}; /* with an index that is none */
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct asker asker = {.acts_as = cases[i].acts_as};
        asker_open(&check, &asker, ANNA, cases[i].says);
        assert_true(asker.welcome);
        assert_result(LETHE_UNAVAILABLE, asker_ask(&asker, cases[i].type, NULL, &err));
        assert_true(asker.ended);
        asker_close(&asker);
    }
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err); /* others go on */
}

static void test_only_providers_that_the_policy_knows_join(void **state)
{
    struct node stranger;
    node_init(&stranger, ANNA, MIB);
    assert_result(LETHE_DENIED, node_join(&check, &stranger, &err));
    node_clear(&stranger);
    assert_null(strstr(ask_status(&eva), "\"id\":\"" ANNA));
    assert_int_equal(1, records("authorization_denied", "pool_join"));
}

static void test_a_consumer_gets_what_the_policy_allows(void **state)
{
    struct asker dora = {0};
    assert_result(LETHE_DENIED, ask_allocate(&bert, 9 * MIB, 1, &got, &err)); /* 8 MiB at most */
    assert_ok(ask_allocate(&bert, 8 * MIB, 1, &got, &err), &err);
    assert_result(LETHE_DENIED, ask_allocate(&bert, MIB, 1, &got, &err));
    asker_open(&check, &dora, "spiffe://example.org/tenant/acme/dora", WIRE_CONSUMER);
    assert_result(LETHE_DENIED, ask_allocate(&dora, MIB, 1, &got, &err));
    asker_close(&dora);
    assert_int_equal(0, a.grants + b.grants - 1);
}

/* P-15: whose lease it is says the certificate. Nodes a and b lend to widgets, c does not. */
static void test_a_tenant_is_what_the_certificate_says(void **state)
{
    assert_ok(node_join(&check, &c, &err), &err);
    assert_ok(ask_allocate(&carl, MIB, 2, &got, &err), &err);
    for (size_t i = 0; i < 2; i++) {
        struct node *node = strcmp(got.copies[i].provider, NODE_A) == 0 ? &a : &b;
        const struct node_lease *lease = node_find(node, &got.copies[i].lease);
        assert_non_null(lease);
        assert_string_equal("widgets", lease->terms.tenant);
        assert_string_equal(CARL, lease->terms.consumer);
    }
    assert_result(LETHE_DENIED, ask_allocate(&carl, MIB, 3, &got, &err));
    assert_int_equal(0, c.grants);
}

/* P-4: somebody else's lease, and one that there is not, are answered alike. */
static void test_leases_of_others_are_not_found(void **state)
{
    struct lease_id none = {{9}};
    struct lethe_error other = {0};
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    static const enum wire_type types[] = {WIRE_TOKEN, WIRE_DROP};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        assert_result(LETHE_NOT_FOUND, ask_lease(&bert, types[i], &got.copies[0].lease, &err));
        assert_result(LETHE_NOT_FOUND, ask_lease(&carl, types[i], &got.copies[0].lease, &err));
        assert_result(LETHE_NOT_FOUND, ask_lease(&carl, types[i], &none, &other));
        assert_string_equal(other.text, err.text);
    }
    assert_int_equal(0, a.stops + b.stops);
    assert_ok(ask_lease(&anna, WIRE_TOKEN, &got.copies[0].lease, &err), &err);
}

static void test_what_cannot_be_asked_for_is_refused(void **state)
{
    const struct wire_allocate cases[] = {
        {MIB + 1, BLOCK, 60000, 1},
        {0, BLOCK, 60000, 1},
        {MIB, 4097, 60000, 1},
        {MIB, BLOCK, 60000, 0},
        {MIB, BLOCK, 1, 1},
        {MIB, BLOCK, 60000, 9},
        {UINT64_MAX, BLOCK, 60000, 1},
        {(uint64_t)1 << 62, 1u << 20, 60000, 8},
        {MIB, BLOCK, 25ull * 3600 * 1000, 1}, /* a day at most */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buffer_clear) struct buffer index = {0};
        wire_allocate_write(&cases[i], &index);
        lethe_result result = asker_ask(&anna, WIRE_ALLOCATE, &index, &err);
        if (result != LETHE_INVALID && result != LETHE_LIMIT)
            fail_msg("case %zu: %s", i, lethe_result_name(result));
    }
    assert_int_equal(0, a.grants + b.grants);
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
}

/* ---- limits that hold when requests race ------------------------------------------------------
 */

/* Sends all, then counts how many were granted: replies are looked at on the nodes. */
static size_t race(struct asker *asker, size_t count, uint64_t bytes)
{
    const struct wire_allocate wanted = {bytes, BLOCK, 60000, 1};
    CLEANUP(buffer_clear) struct buffer index = {0};
    wire_allocate_write(&wanted, &index);
    size_t before = node_running(&a) + node_running(&b);
    for (size_t i = 0; i < count; i++)
        assert_true(asker_send(asker, WIRE_ALLOCATE, &index) > 0);
    lethe_result last = asker_answer(asker, &err);
    (void)last;
    ask_status(&eva); /* everything before it is settled */
    return node_running(&a) + node_running(&b) - before;
}

static void test_racing_requests_do_not_pass_the_quota(void **state)
{
    assert_ok(ask_order(&eva, WIRE_QUOTA, "acme", 10 * MIB, false, &err), &err);
    assert_int_equal(10, race(&anna, 20, MIB));
    assert_result(LETHE_LIMIT, ask_allocate(&anna, BLOCK, 1, &got, &err));
    assert_result(LETHE_LIMIT, ask_allocate(&bert, BLOCK, 1, &got, &err)); /* the same tenant */
    assert_ok(ask_allocate(&carl, MIB, 1, &got, &err), &err);
    assert_ok(ask_order(&eva, WIRE_QUOTA, "acme", 11 * MIB, false, &err), &err);
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    assert_result(LETHE_LIMIT, ask_allocate(&anna, MIB, 2, &got, &err)); /* copies count */
    assert_ok(ask_order(&eva, WIRE_QUOTA, "acme", UINT64_MAX, false, &err), &err);
    assert_ok(ask_allocate(&anna, MIB, 2, &got, &err), &err);
}

static void test_racing_requests_do_not_overcommit_a_provider(void **state)
{
    assert_int_equal(192 / 16, race(&anna, 20, 16 * MIB - BLOCK) + 0);
    assert_true(a.free_bytes <= a.capacity_bytes && b.free_bytes <= b.capacity_bytes);
    assert_int_equal(0, a.refusals + b.refusals); /* it knew */
    assert_result(LETHE_NO_SPACE, ask_allocate(&anna, 32 * MIB, 1, &got, &err));
}

static void test_a_consumer_has_so_many_leases_at_most(void **state)
{
    assert_int_equal(40, race(&anna, 60, BLOCK));
    assert_result(LETHE_LIMIT, ask_allocate(&anna, BLOCK, 1, &got, &err));
    assert_ok(ask_allocate(&carl, BLOCK, 1, &got, &err), &err);
}

/* ---- placement ------------------------------------------------------------------------------- */

static void assert_copies_apart(size_t count)
{
    assert_int_equal(count, got.count);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(got.copies[i].provider, got.copies[j].provider);
}

/* P-13 */
static void test_copies_are_on_different_providers_or_nowhere(void **state)
{
    assert_ok(node_join(&check, &c, &err), &err);
    assert_ok(ask_allocate(&anna, MIB, 3, &got, &err), &err);
    assert_copies_apart(3);
    assert_result(LETHE_NO_SPACE, ask_allocate(&anna, MIB, 4, &got, &err));
    ask_status(&eva);
    assert_int_equal(3, node_running(&a) + node_running(&b) + node_running(&c));
    assert_int_equal(3, records("lease_granted", NULL));
}

static void test_a_provider_that_refuses_is_passed_over(void **state)
{
    b.refuses = true; /* it has more room than a */
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    assert_string_equal(NODE_A, got.copies[0].provider);
    assert_int_equal(1, b.refusals);
    assert_result(LETHE_DENIED, ask_allocate(&anna, MIB, 2, &got, &err));
    ask_status(&eva);
    assert_int_equal(1, node_running(&a)); /* the half of it is stopped */
    a.refuses = true;
    assert_result(LETHE_DENIED, ask_allocate(&anna, MIB, 1, &got, &err));
}

static void test_a_provider_that_ends_while_it_is_asked_is_passed_over(void **state)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    const struct wire_allocate wanted = {MIB, BLOCK, 60000, 1};
    wire_allocate_write(&wanted, &index);
    b.mute = true;
    assert_true(asker_send(&anna, WIRE_ALLOCATE, &index) > 0);
    for (unsigned i = 0; i < 5; i++)
        check_turn(&check);
    asker_close(&b.asker);
    assert_ok(asker_answer(&anna, &err), &err);
    assert_int_equal(1, a.grants);
}

static void report_until_cut_off(struct node *node)
{
    lethe_result result = LETHE_OK;
    for (unsigned i = 0; i < 2000 && result == LETHE_OK; i++) {
        check_turn(&check);
        result = node_report(node, &err);
    }
    assert_true(node->asker.ended);
}

/* It is never silent, and answers nothing: whoever waits for it must not wait for ever. */
static void test_a_provider_that_answers_no_order_is_cut_off(void **state)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    const struct wire_allocate wanted = {MIB, BLOCK, 60000, 1};
    wire_allocate_write(&wanted, &index);
    b.mute = true;
    assert_true(asker_send(&anna, WIRE_ALLOCATE, &index) > 0);
    report_until_cut_off(&b);
    assert_ok(asker_answer(&anna, &err), &err);
    assert_int_equal(1, a.grants);
    assert_ok(wire_allocated_read(cursor_over(anna.index.bytes, anna.index.size_bytes), &got, &err),
              &err);
    buffer_clear(&index);
    wire_lease_write(&got.copies[0].lease, &index);
    a.mute = true;
    assert_true(asker_send(&anna, WIRE_DROP, &index) > 0);
    report_until_cut_off(&a);
    assert_result(LETHE_UNAVAILABLE, asker_answer(&anna, &err));
}

/* One certificate does not get every place; a place that becomes free is had again. */
static void test_an_identity_has_its_share_of_the_connections(void **state)
{
    static struct asker more[64];
    for (size_t i = 0; i < 63; i++) {
        asker_open(&check, &more[i], ANNA, WIRE_CONSUMER);
        assert_true(more[i].welcome);
    }
    asker_open(&check, &more[63], ANNA, WIRE_CONSUMER);
    assert_false(more[63].welcome);
    check_until(&check, more[63].ended);
    assert_result(LETHE_LIMIT, more[63].why.code);
    assert_ok(ask_allocate(&bert, MIB, 1, &got, &err), &err);
    asker_close(&more[0]);
    do {
        check_turn(&check);
        asker_close(&more[63]);
        asker_open(&check, &more[63], ANNA, WIRE_CONSUMER);
    } while (!more[63].welcome);
    for (size_t i = 1; i < 64; i++)
        asker_close(&more[i]);
}

/* ---- tokens, rows and records ---------------------------------------------------------------- */

static void test_a_token_is_for_one_lease_consumer_and_boot(void **state)
{
    struct audit_key key;
    struct lease_terms terms, again;
    assert_ok(ask_allocate(&anna, 4 * MIB, 1, &got, &err), &err);
    assert_ok(ask_lease(&anna, WIRE_TOKEN, &got.copies[0].lease, &err), &err);
    struct buffer second = anna.index;
    check_stop(&check);
    struct keeper *keeper = must_open_home(check.home);
    assert_ok(keeper_log_key(keeper, &key, &err), &err);
    must_close_home(keeper);
    const struct wire_placed *placed = &got.copies[0];
    assert_ok(token_open(placed->token, placed->token_bytes, &key, &terms, &err), &err);
    assert_ok(token_open(second.bytes, second.size_bytes, &key, &again, &err), &err);
    assert_memory_equal(&placed->lease, &terms.lease, sizeof terms.lease);
    assert_memory_equal(b.boot_id, terms.boot_id, BOOT_ID_BYTES);
    assert_string_equal(ANNA, terms.consumer);
    assert_string_equal("acme", terms.tenant);
    assert_string_equal(NODE_B, terms.provider);
    assert_int_equal(4 * MIB, terms.bytes);
    assert_int_equal(1, terms.generation);
    assert_memory_equal(&terms.lease, &again.lease, sizeof terms.lease);
    assert_memory_not_equal(terms.nonce, again.nonce, sizeof terms.nonce);
}

/* P-11: what ended how is on record, and its row is gone. */
static void test_ends_are_on_record(void **state)
{
    static const struct {
        enum lease_cause cause;
        enum lease_state state;
        const char *event, *with;
    } ends[] = {
        {LEASE_CAUSE_EXPIRED, LEASE_RECLAIMED, "lease_expired", "reclaimed"},
        {LEASE_CAUSE_RELEASED, LEASE_RECLAIMED, "lease_released", "reclaimed"},
        {LEASE_CAUSE_REVOKED, LEASE_UNWIPED, "lease_revoked", "unwiped"},
        {LEASE_CAUSE_FORCE_STOPPED, LEASE_RECLAIMED, "lease_revoked", "force_stopped"},
    };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        b.leases[i].state = ends[i].state;
        b.leases[i].cause = ends[i].cause;
        b.leases[i].told = false;
    }
    assert_ok(node_report(&b, &err), &err);
    assert_non_null(strstr(ask_status(&eva), "\"leases\":[]"));
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        assert_int_equal(1, records(ends[i].event, ends[i].with));
    assert_int_equal(0, count_rows(check.home, "pool/leases/"));
    assert_int_equal(2, count_rows(check.home, "pool/providers/"));
    assert_log_verifies(check.home);
}

static void test_drop_is_answered_when_it_is_wiped(void **state)
{
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    b.wipes_at_once = false;
    CLEANUP(buffer_clear) struct buffer index = {0};
    wire_lease_write(&got.copies[0].lease, &index);
    uint64_t drop = asker_send(&anna, WIRE_DROP, &index);
    assert_true(drop > 0);
    check_until(&check, b.stops == 1);
    assert_ok(node_report(&b, &err), &err);
    ask_status(&eva);
    assert_false(anna.answered);
    assert_result(LETHE_NOT_FOUND, ask_lease(&carl, WIRE_DROP, &got.copies[0].lease, &err));
    /* who waits asks whether anybody is there */
    assert_result(LETHE_NOT_FOUND, ask_lease(&anna, WIRE_TOKEN, &got.copies[0].lease, &err));
    anna.answered = false;
    anna.awaited = drop;
    b.leases[0].state = LEASE_RECLAIMED;
    b.leases[0].told = false;
    assert_ok(node_report(&b, &err), &err);
    assert_ok(asker_answer(&anna, &err), &err);
    assert_result(LETHE_NOT_FOUND, ask_lease(&anna, WIRE_TOKEN, &got.copies[0].lease, &err));
}

static void test_drop_says_when_it_could_not_be_wiped(void **state)
{
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    b.wipes_at_once = false;
    CLEANUP(buffer_clear) struct buffer index = {0};
    wire_lease_write(&got.copies[0].lease, &index);
    assert_true(asker_send(&anna, WIRE_DROP, &index) > 0);
    check_until(&check, b.stops == 1);
    b.leases[0].state = LEASE_UNWIPED;
    assert_ok(node_report(&b, &err), &err);
    assert_result(LETHE_UNWIPED, asker_answer(&anna, &err));
}

static void test_an_ending_lease_gets_no_token(void **state)
{
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    b.leases[0].state = LEASE_WIPING;
    b.leases[0].cause = LEASE_CAUSE_EXPIRED;
    assert_ok(node_report(&b, &err), &err);
    assert_result(LETHE_LOST, ask_lease(&anna, WIRE_TOKEN, &got.copies[0].lease, &err));
}

/* ---- what providers say ---------------------------------------------------------------------- */

/* A lease that it was never granted is stopped, and the one of another provider stays as it is. */
static void test_a_provider_reports_leases_that_are_not_its_own(void **state)
{
    memcpy(a.boot_id, b.boot_id, sizeof a.boot_id); /* as a token says it */
    asker_close(&a.asker);
    check_until(&check, strstr(ask_status(&eva), "unreachable") != NULL);
    assert_ok(node_join(&check, &a, &err), &err);
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    assert_string_equal(NODE_B, got.copies[0].provider);
    struct wire_change change = {{{7}}, 1, LEASE_ACTIVE, LEASE_CAUSE_NONE, 1000};
    assert_ok(node_report_one(&a, &change, &err), &err);
    assert_int_equal(1, a.stops);
    change.lease = got.copies[0].lease;
    static const struct {
        enum lease_state state;
        enum lease_cause cause;
    } claims[] = {{LEASE_ACTIVE, LEASE_CAUSE_NONE},
                  {LEASE_RECLAIMED, LEASE_CAUSE_RELEASED},
                  {LEASE_UNWIPED, LEASE_CAUSE_EXPIRED}};
    for (size_t i = 0; i < ARRAY_LEN(claims); i++) {
        change.state = claims[i].state;
        change.cause = claims[i].cause;
        assert_ok(node_report_one(&a, &change, &err), &err);
    }
    assert_int_equal(2, a.stops);
    assert_ok(ask_lease(&anna, WIRE_TOKEN, &got.copies[0].lease, &err), &err);
    /* Its own, of another grant. */
    change = (struct wire_change){got.copies[0].lease, 2, LEASE_RECLAIMED, LEASE_CAUSE_RELEASED, 0};
    assert_ok(node_report_one(&b, &change, &err), &err);
    assert_ok(ask_lease(&anna, WIRE_TOKEN, &got.copies[0].lease, &err), &err);
    assert_int_equal(0, records("lease_released", NULL));
}

static void test_states_come_by_report(void **state)
{
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
    assert_non_null(strstr(ask_status(&eva), "\"state\":\"granted\""));
    static const enum lease_state states[] = {LEASE_ACTIVE, LEASE_FROZEN, LEASE_ACTIVE};
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        char text[64];
        b.leases[0].state = states[i];
        b.leases[0].told = false;
        assert_ok(node_report(&b, &err), &err);
        snprintf(text, sizeof text, "\"state\":\"%s\"", lease_state_word(states[i]));
        assert_non_null(strstr(ask_status(&eva), text));
    }
    assert_int_equal(1, records("lease_granted", NULL));
    assert_int_equal(0, records("lease_frozen", NULL)); /* that is the provider's log */
}

static void test_a_reply_to_nothing_ends_a_provider(void **state)
{
    const struct wire_head head = {.type = WIRE_GRANT | WIRE_REPLY, .request = 77};
    assert_ok(link_send(a.asker.link, &head, NULL, NULL, &err), &err);
    check_until(&check, a.asker.ended);
    assert_ok(ask_allocate(&anna, MIB, 1, &got, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CONTROL(test_what_a_role_may_not_ask_ends_the_connection),
        WITH_CONTROL(test_only_providers_that_the_policy_knows_join),
        WITH_CONTROL(test_a_consumer_gets_what_the_policy_allows),
        WITH_CONTROL(test_a_tenant_is_what_the_certificate_says),
        WITH_CONTROL(test_leases_of_others_are_not_found),
        WITH_CONTROL(test_what_cannot_be_asked_for_is_refused),
        WITH_CONTROL(test_racing_requests_do_not_pass_the_quota),
        WITH_CONTROL(test_racing_requests_do_not_overcommit_a_provider),
        WITH_CONTROL(test_a_consumer_has_so_many_leases_at_most),
        WITH_CONTROL(test_copies_are_on_different_providers_or_nowhere),
        WITH_CONTROL(test_a_provider_that_refuses_is_passed_over),
        WITH_CONTROL(test_a_provider_that_ends_while_it_is_asked_is_passed_over),
        WITH_CONTROL(test_a_provider_that_answers_no_order_is_cut_off),
        WITH_CONTROL(test_an_identity_has_its_share_of_the_connections),
        WITH_CONTROL(test_a_token_is_for_one_lease_consumer_and_boot),
        WITH_CONTROL(test_ends_are_on_record),
        WITH_CONTROL(test_drop_is_answered_when_it_is_wiped),
        WITH_CONTROL(test_drop_says_when_it_could_not_be_wiped),
        WITH_CONTROL(test_an_ending_lease_gets_no_token),
        WITH_CONTROL(test_a_provider_reports_leases_that_are_not_its_own),
        WITH_CONTROL(test_states_come_by_report),
        WITH_CONTROL(test_a_reply_to_nothing_ends_a_provider),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
