/* nobody can fill the disk: what an identity may have written is bounded, whatever it calls
 * itself. */
#include "audit/budget.h"
#include "batch_check.h"
#include "emit_check.h"

#define S 1000000000ull

/* 1000 bytes in 10 seconds. */
static struct budget small_budget(void)
{
    const struct audit_limits limits = {.identity_bytes = 1000, .identity_interval_s = 10};
    struct budget budget;
    assert_result(LETHE_OK, budget_create(&budget, &limits, NULL));
    return budget;
}

/* ---- one bucket ------------------------------------------------------------------------------ */

static void a_budget_is_spent_and_comes_back(void **state)
{
    struct budget budget = small_budget();
    uint64_t now = 5 * S;
    for (unsigned i = 0; i < 10; i++)
        assert_true(budget_take(&budget, "uid:1", 100, now));
    assert_false(budget_take(&budget, "uid:1", 1, now));
    assert_true(budget_take(&budget, "uid:2", 1000, now)); /* another's is untouched */
    now += 1 * S;
    assert_true(budget_take(&budget, "uid:1", 100, now));
    assert_false(budget_take(&budget, "uid:1", 1, now));
    now += 1000 * S; /* never more than one interval's */
    assert_true(budget_take(&budget, "uid:1", 1000, now));
    assert_false(budget_take(&budget, "uid:1", 1, now));
    budget_clear(&budget);
}

static void a_refusal_costs_nothing(void **state)
{
    struct budget budget = small_budget();
    assert_true(budget_take(&budget, "a", 600, S));
    for (unsigned i = 0; i < 100; i++)
        assert_false(budget_take(&budget, "a", 401, S));
    assert_true(budget_take(&budget, "a", 400, S));
    assert_false(budget_take(&budget, "b", 1001, S)); /* more than there ever is */
    budget_clear(&budget);
}

static void charges_are_never_refused(void **state)
{
    struct budget budget = small_budget();
    budget_charge(&budget, "a", UINT64_MAX, S);
    assert_false(budget_take(&budget, "a", 1, S));
    assert_true(
        budget_take(&budget, "a", 900, 10 * S)); /* what is owed is one interval's at most */
    budget_clear(&budget);
}

static void no_limit_is_no_limit(void **state)
{
    const struct audit_limits limits = {.identity_bytes = AUDIT_NO_LIMIT};
    struct budget budget;
    assert_result(LETHE_OK, budget_create(&budget, &limits, NULL));
    for (unsigned i = 0; i < 100; i++)
        assert_true(budget_take(&budget, "a", UINT64_MAX, S));
    assert_int_equal(budget.used, 0);
    budget_clear(&budget);
}

/* Numbers at their ends: nothing wraps around into a fresh budget. */
static void extreme_numbers_do_not_wrap(void **state)
{
    const struct audit_limits limits = {.identity_bytes = 1, .identity_interval_s = UINT64_MAX};
    struct budget budget;
    assert_result(LETHE_OK, budget_create(&budget, &limits, NULL));
    assert_false(budget_take(&budget, "a", UINT64_MAX, 0));
    assert_false(budget_take(&budget, "a", 2, 0));
    assert_true(budget_take(&budget, "a", 1, 0));
    assert_false(budget_take(&budget, "a", 1, 0));
    budget_clear(&budget);
}

/* ---- many names ------------------------------------------------------------------------------ */

static uint64_t take_all(struct budget *budget, const char *name, uint64_t now_ns)
{
    uint64_t taken = 0;
    while (budget_take(budget, name, 100, now_ns))
        taken += 100;
    return taken;
}

/* A hundred thousand names get what the table may give, and those who came before keep theirs. */
static void made_up_names_share_one_budget(void **state)
{
    struct budget budget = small_budget();
    uint64_t taken = 0;
    assert_true(budget_take(&budget, "honest", 500, S));
    for (unsigned i = 0; i < 100000; i++) {
        char name[32];
        snprintf(name, sizeof name, "spiffe://made.up/%u", i);
        taken += take_all(&budget, name, S);
    }
    assert_int_equal(taken, BUDGET_IDENTITIES * 1000); /* 255 of the table, and the newcomers' */
    assert_true(budget_take(&budget, "honest", 500, S));
    assert_false(budget_take(&budget, "honest", 1, S));
    assert_int_equal(budget.used, BUDGET_IDENTITIES);
    budget_clear(&budget);
}

/* Who has spent its budget is not forgotten by coming back under other names meanwhile. */
static void nobody_is_forgotten_before_its_time(void **state)
{
    struct budget budget = small_budget();
    assert_int_equal(take_all(&budget, "greedy", S), 1000);
    for (unsigned i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%u", i);
        (void)!budget_take(&budget, name, 100, 2 * S);
    }
    assert_int_equal(take_all(&budget, "greedy", 2 * S), 100);
    /* Later all are full again, and any of them may make room. */
    uint64_t now = 1000 * S;
    for (unsigned i = 0; i < 1000; i++, now += 10 * S) {
        char name[32];
        snprintf(name, sizeof name, "later%u", i);
        assert_int_equal(take_all(&budget, name, now), 1000);
    }
    budget_clear(&budget);
}

static void long_names_are_cut_and_compared_so(void **state)
{
    static char first[4096], second[4096];
    struct budget budget = small_budget();
    memset(first, 'x', sizeof first - 1);
    memset(second, 'x', sizeof second - 1);
    second[600] = 'y';
    assert_int_equal(take_all(&budget, first, S), 1000);
    assert_int_equal(take_all(&budget, second, S), 0);
    second[100] = 'y';
    assert_int_equal(take_all(&budget, second, S), 1000);
    budget_clear(&budget);
}

static void what_was_dropped_is_remembered_until_reported(void **state)
{
    struct budget budget = small_budget();
    for (unsigned i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%u", i);
        budget_note_dropped(&budget, name, S);
    }
    for (unsigned i = 0; i < 10; i++) /* all are full, and none may go: newcomers share */
        budget_note_dropped(&budget, "late", 1000 * S);
    assert_int_equal(budget.dropped, 310);
    unsigned seen = 0;
    for (const struct identity *at = NULL; (at = budget_next_dropped(&budget, at)) != NULL;
         seen++) {
        uint64_t count = at->dropped;
        assert_int_equal(count, budget_is_newcomers(&budget, at) ? 300 - 256 + 10 : 1);
        budget_reported(&budget, at, count);
    }
    assert_int_equal(seen, 257);
    assert_int_equal(budget.dropped, 0);
    budget_clear(&budget);
}

/* ---- in a log -------------------------------------------------------------------------------- */

static struct node *node_with_budget(uint64_t bytes)
{
    struct node *node = node_fresh("alpha");
    node->options.limits.identity_bytes = bytes;
    node->options.limits.identity_interval_s = 10;
    return node;
}

static void emit_as(struct audit_log *log, const char *actor, unsigned count)
{
    const struct audit_who who = {actor, "default", ""};
    const struct audit_event event = audit_session_started("flood");
    for (unsigned i = 0; i < count; i++)
        audit_emit(log, &who, &event);
}

/* one actor floods; its drops are counted under its name, and others are as before. */
static void a_flood_is_one_actors_own(void **state)
{
    struct node *node = node_with_budget(30000);
    struct audit_log *log = must_open(node);
    emit_as(log, "uid:1", 1000);
    emit_as(log, "uid:2", 10);
    must_close(log);
    uint64_t dropped = dropped_in_log(node, "\"source\":\"uid:1\"");
    assert_true(dropped > 800);
    assert_int_equal(count_in_log(node, "\"actor\":\"uid:1\""), 1000 - dropped);
    assert_int_equal(count_in_log(node, "\"actor\":\"uid:2\""), 10);
    assert_int_equal(dropped_in_log(node, "\"source\":\"uid:2\""), 0);
    node_free(node);
}

/* The control: without a limit all of it is there. */
static void without_a_budget_it_is_all_there(void **state)
{
    struct node *node = node_with_budget(AUDIT_NO_LIMIT);
    struct audit_log *log = must_open(node);
    emit_as(log, "uid:1", 1000);
    must_close(log);
    must_verify(node, 1000);
    node_free(node);
}

/* made-up names: the log stays within the bound, and says what it left out. */
static void a_flood_under_many_names_is_bounded(void **state)
{
    struct node *node = node_with_budget(1000); /* three records each */
    struct audit_log *log = must_open(node);
    struct lethe_error err = {0};
    const unsigned names = 5000, each = 4;
    for (unsigned i = 0; i < names; i++) {
        char actor[32];
        snprintf(actor, sizeof actor, "spiffe://made.up/%u", i);
        emit_as(log, actor, each);
        if (i % 500 == 0)
            assert_ok(audit_sync(log, &err), &err);
    }
    must_close(log);
    unsigned written = count_in_log(node, "flood");
    uint64_t dropped = dropped_in_log(node, "budget");
    assert_true(written <= (BUDGET_IDENTITIES + 1) * 3);
    assert_int_equal(written + dropped, names * each);
    assert_true(dropped_in_log(node, "sources beyond the first 256") > 0);
    assert_true(count_in_log(node, "events_dropped") < 600);
    node_free(node);
}

/* a commit over budget says so, and that it may be tried again; a critical one is written. */
static void critical_commits_are_never_refused(void **state)
{
    struct node *node = node_with_budget(2000);
    struct audit_log *log = must_open(node);
    struct lethe_error err = {0};
    const struct audit_event critical = audit_integrity_violation("what", "why");
    const struct audit_event owed = audit_key_created("k", "aes256-gcm96", 1, "0123456789ab", 7);
    const struct audit_event both[] = {audit_session_started("with it"), critical};
    lethe_result result = LETHE_OK;
    for (unsigned i = 0; result == LETHE_OK && i < 100; i++)
        result = commit_key_used(log, i, &err);
    assert_result(LETHE_UNAVAILABLE, result);
    assert_true(lethe_result_is_retriable(result));
    assert_non_null(strstr(err.text, "budget"));
    assert_non_null(strstr(err.hint, "identity_bytes"));
    for (unsigned i = 0; i < 20; i++)
        assert_ok(audit_commit(log, &someone, &critical, &err), &err);
    assert_ok(audit_commit(log, &someone, &owed, &err), &err);
    assert_ok(audit_commit_all(log, &someone, both, 2, &err), &err);
    assert_result(LETHE_UNAVAILABLE, commit_key_used(log, 1, &err));
    node->now_ns += 10 * S;
    must_commit(log, 2);
    must_close(log);
    assert_int_equal(count_in_log(node, "integrity_violation"), 21);
    node_free(node);
}

/* records of many actors in one group: who is over its budget is refused for itself only,
 * also where all speak of one event. */
static void each_of_many_has_its_own_budget(void **state)
{
    struct node *node = node_with_budget(2000);
    struct audit_log *log = must_open(node);
    struct lethe_error err = {0};
    struct audit_head head;
    const struct audit_event used = audit_key_used("shared", 1, "encrypt", "allowed", 1);
    const struct audit_event critical = audit_integrity_violation("what", "why");
    struct refusals refusals = {0};
    struct audit_batch *batch;
    const struct audit_who other = {"uid:8", "", ""};
    lethe_result result = LETHE_OK;
    for (unsigned i = 0; result == LETHE_OK && i < 100; i++)
        result = commit_key_used(log, i, &err);
    assert_result(LETHE_UNAVAILABLE, result);
    uint64_t before = records_of(log);
    assert_ok(audit_batch_create(log, NULL, NULL, &batch, &err), &err);
    for (size_t i = 0; i < 12; i++)
        assert_result(LETHE_OK, audit_push(batch, i % 3 == 1 ? &other : &someone,
                                           i % 3 == 2 ? &critical : &used, i));
    audit_batch_wait(batch);
    assert_int_equal(audit_batch_count(batch), 12);
    audit_batch_failed(batch, note_refusal, &refusals);
    assert_int_equal(refusals.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(refusals.tags[i], 3 * i);
        assert_result(LETHE_UNAVAILABLE, refusals.results[i]);
    }
    audit_batch_free(batch);
    audit_head(log, &head);
    assert_int_equal(head.records, before + 8);
    must_close(log);
    assert_int_equal(count_in_log(node, "\"actor\":\"uid:8\""), 4);
    assert_int_equal(count_in_log(node, "integrity_violation"), 4);
    node_free(node);
}

/* Hostile text as a name is a name like any other, and harmless where it is reported. */
static void a_hostile_name_is_reported_harmlessly(void **state)
{
    struct node *node = node_with_budget(1000);
    struct audit_log *log = must_open(node);
    emit_as(log, "\x1b[2J\nuid:0\",\"x\":\"\xe2\x80\xae", 10);
    must_close(log);
    assert_int_equal(dropped_in_log(node, "\"source\":\"?[2J?uid:0\\\",\\\"x\\\":\\\"?\""), 7);
    must_verify(node, 4);
    node_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_budget_is_spent_and_comes_back),
        cmocka_unit_test(a_refusal_costs_nothing),
        cmocka_unit_test(charges_are_never_refused),
        cmocka_unit_test(no_limit_is_no_limit),
        cmocka_unit_test(extreme_numbers_do_not_wrap),
        cmocka_unit_test(made_up_names_share_one_budget),
        cmocka_unit_test(nobody_is_forgotten_before_its_time),
        cmocka_unit_test(long_names_are_cut_and_compared_so),
        cmocka_unit_test(what_was_dropped_is_remembered_until_reported),
        cmocka_unit_test(a_flood_is_one_actors_own),
        cmocka_unit_test(without_a_budget_it_is_all_there),
        cmocka_unit_test(a_flood_under_many_names_is_bounded),
        cmocka_unit_test(critical_commits_are_never_refused),
        cmocka_unit_test(each_of_many_has_its_own_budget),
        cmocka_unit_test(a_hostile_name_is_reported_harmlessly),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
