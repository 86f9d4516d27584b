/* The wall clock jumps, by a day and by years, there and back, while the service runs: nothing that
 * has ended begins again, nothing lives longer, nothing waits for ever, and the log stays whole.
 * K-4, K-7, K-9 */
#include "service_check.h"

#include "service/core_core.h"

#define DAY_S 86400
#define YEAR_S (365 * DAY_S)
#define MINUTE_TOKEN "{\"policies\":[\"root\"],\"ttl\":\"60s\"}"

/* Where the clocks of a test are, beside the system's. */
static int64_t wall_s, passed_s;

static uint64_t wall_ns(void *context)
{
    (void)context;
    return clock_wall_ns(&clock_system) + (uint64_t)((wall_s + passed_s) * 1000000000);
}

static uint64_t monotonic_ns(void *context)
{
    (void)context;
    return clock_monotonic_ns(&clock_system) + (uint64_t)passed_s * 1000000000u;
}

static const struct clock_source jumping = {wall_ns, monotonic_ns, NULL};

static int setup(void **state)
{
    wall_s = passed_s = 0;
    if (service_setup(state) != 0)
        return -1;
    struct check *check = *state;
    check->options.keeper.clock = &jumping;
    reopen(check);
    return 0;
}

static void jump_to(struct check *check, int64_t where_s)
{
    wall_s = where_s;
    passed_s++; /* there is one tick in a second */
    service_tick(check->service);
}

static void make_minute_token(struct check *check, char token[160])
{
    assert_int_equal(200, call(check, "POST", "auth/token/create", check->root, MINUTE_TOKEN));
    snprintf(token, 160, "%s", body_member(check, "client_token"));
}

static unsigned look_up(struct check *check, const char *token)
{
    return call(check, "GET", "auth/token/lookup-self", token, NULL);
}

static const int64_t jumps_s[] = {DAY_S, 10 * (int64_t)YEAR_S};

static void a_token_that_has_ended_stays_ended(void **state)
{
    struct check *check = *state;
    char token[160];
    for (size_t i = 0; i < ARRAY_LEN(jumps_s); i++) {
        make_minute_token(check, token);
        assert_int_equal(200, look_up(check, token)); /* the control */
        wall_s = jumps_s[i];
        assert_int_equal(403, look_up(check, token));
        wall_s = 0; /* no tick has removed it */
        assert_int_equal(403, look_up(check, token));
        assert_int_equal(200, look_up(check, check->root));
        jump_to(check, jumps_s[i]);
        jump_to(check, 0);
        reopen(check);
        assert_int_equal(403, look_up(check, token));
        assert_int_equal(200, look_up(check, check->root));
    }
}

/* The latest time that was seen goes on, however far back the clock is. */
static void a_clock_that_was_set_back_prolongs_nothing(void **state)
{
    struct check *check = *state;
    char before[160], behind[160];
    for (size_t i = 0; i < ARRAY_LEN(jumps_s); i++) {
        make_minute_token(check, before);
        jump_to(check, -jumps_s[i]);
        make_minute_token(check, behind);
        assert_int_equal(200, look_up(check, before));
        assert_int_equal(200, look_up(check, behind));
        passed_s += 50;
        assert_int_equal(200, look_up(check, behind));
        passed_s += 20;
        assert_int_equal(403, look_up(check, before));
        assert_int_equal(403, look_up(check, behind));
        jump_to(check, 0);
    }
}

static void a_lease_is_renewed_from_the_latest_time(void **state)
{
    struct check *check = *state;
    char token[160];
    make_minute_token(check, token);
    jump_to(check, -YEAR_S);
    passed_s += 30;
    assert_int_equal(200, call(check, "POST", "auth/token/renew-self", token, "{}"));
    passed_s += 45;
    assert_int_equal(200, look_up(check, token));
    passed_s += 20;
    assert_int_equal(403, look_up(check, token));
}

static void streams_go_on_or_end(void **state)
{
    struct check *check = *state;
    for (size_t i = 0; i < ARRAY_LEN(jumps_s); i++) {
        wall_s = jumps_s[i];
        assert_int_equal(200, call(check, "GET", "lethe/events", check->root, NULL));
        assert_true(check->stream);
        assert_int_equal(1, check->service->core->stream_count);
        jump_to(check, 0); /* it ends, and the client comes again */
        assert_int_equal(0, check->service->core->stream_count);
        assert_int_equal(200, call(check, "GET", "lethe/events", check->root, NULL));
        unsigned before = check->pieces;
        for (unsigned seconds = 0; seconds < 40; seconds++) {
            passed_s++;
            service_tick(check->service);
        }
        assert_int_equal(200, look_up(check, check->root));
        assert_true(check->pieces >= before + 2);
        assert_int_equal(1, check->service->core->stream_count);
        passed_s += 3601;
        service_tick(check->service);
        assert_int_equal(0, check->service->core->stream_count);
    }
}

static void a_list_of_the_revoked_is_of_now(void **state)
{
    struct check *check = *state;
    static char early[4096];
    char late[4096];
    static const char root[] = "{\"common_name\":\"r\",\"ttl\":\"200000h\"}";
    assert_int_equal(200, call(check, "POST", "pki/root/generate/internal", check->root, root));
    assert_int_equal(200, call(check, "GET", "pki/crl/pem", NULL, NULL));
    snprintf(early, sizeof early, "%s", body_text(check));
    assert_int_equal(200, call(check, "GET", "pki/crl/pem", NULL, NULL));
    assert_string_equal(early, body_text(check)); /* the control */
    jump_to(check, 10 * (int64_t)YEAR_S);
    assert_int_equal(200, call(check, "GET", "pki/crl/pem", NULL, NULL));
    snprintf(late, sizeof late, "%s", body_text(check));
    assert_string_not_equal(early, late);
    jump_to(check, 0); /* nobody takes one of a time to come */
    assert_int_equal(200, call(check, "GET", "pki/crl/pem", NULL, NULL));
    assert_string_not_equal(late, body_text(check));
}

static void a_key_that_is_due_is_rotated_once(void **state)
{
    struct check *check = *state;
    assert_int_equal(200, call(check, "POST", "transit/keys/k", check->root, "{}"));
    assert_int_equal(
        2, call(check, "POST", "lethe/keys/k/schedule", check->root, "{\"rotate_every\":\"24h\"}") /
               100);
    jump_to(check, DAY_S + 1);
    assert_int_equal(200, call(check, "GET", "transit/keys/k", check->root, NULL));
    assert_has(check, "\"latest_version\":2");
    static const int64_t back_s[] = {0, -YEAR_S, 60, 2 * DAY_S - 60};
    for (size_t i = 0; i < ARRAY_LEN(back_s); i++) {
        jump_to(check, back_s[i]);
        assert_int_equal(200, call(check, "GET", "transit/keys/k", check->root, NULL));
        assert_has(check, "\"latest_version\":2");
    }
    jump_to(check, 2 * DAY_S + 60);
    assert_int_equal(200, call(check, "GET", "transit/keys/k", check->root, NULL));
    assert_has(check, "\"latest_version\":3");
}

static void the_log_stays_whole(void **state)
{
    struct check *check = *state;
    static const int64_t where_s[] = {DAY_S, 0, -DAY_S, 10 * (int64_t)YEAR_S, -(int64_t)YEAR_S, 0};
    char path[64];
    for (size_t i = 0; i < ARRAY_LEN(where_s); i++) {
        jump_to(check, where_s[i]);
        snprintf(path, sizeof path, "transit/keys/n%zu", i);
        assert_int_equal(200, call(check, "POST", path, check->root, "{}"));
        snprintf(path, sizeof path, "\"n%zu\"", i);
        assert_int_equal(1, records(check, "key_created", path));
    }
    assert_log_verifies(check->home);
    reopen(check);
    assert_int_equal(200, call(check, "GET", "transit/keys/n5", check->root, NULL));
}

#define JUMPING(test) cmocka_unit_test_setup_teardown(test, setup, service_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JUMPING(a_token_that_has_ended_stays_ended),
        JUMPING(a_clock_that_was_set_back_prolongs_nothing),
        JUMPING(a_lease_is_renewed_from_the_latest_time),
        JUMPING(streams_go_on_or_end),
        JUMPING(a_list_of_the_revoked_is_of_now),
        JUMPING(a_key_that_is_due_is_rotated_once),
        JUMPING(the_log_stays_whole),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
