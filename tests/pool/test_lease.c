#include "check.h"

#include "pool/lease.h"

/* The table of docs/pool-protocol.md, once more, as people read it. */
static const struct {
    enum lease_state from;
    enum lease_event event;
    enum lease_state to;
} allowed[] = {
    {LEASE_GRANTED, LEASE_ATTACH, LEASE_ACTIVE},  {LEASE_GRANTED, LEASE_END, LEASE_WIPING},
    {LEASE_ACTIVE, LEASE_ATTACH, LEASE_ACTIVE},   {LEASE_ACTIVE, LEASE_DETACH, LEASE_FROZEN},
    {LEASE_ACTIVE, LEASE_RENEW, LEASE_ACTIVE},    {LEASE_ACTIVE, LEASE_END, LEASE_WIPING},
    {LEASE_FROZEN, LEASE_ATTACH, LEASE_ACTIVE},   {LEASE_FROZEN, LEASE_END, LEASE_WIPING},
    {LEASE_WIPING, LEASE_WIPED, LEASE_RECLAIMED}, {LEASE_WIPING, LEASE_NOT_WIPED, LEASE_UNWIPED},
    {LEASE_GRANTED, LEASE_LOSE, LEASE_LOST},      {LEASE_ACTIVE, LEASE_LOSE, LEASE_LOST},
    {LEASE_FROZEN, LEASE_LOSE, LEASE_LOST},       {LEASE_WIPING, LEASE_LOSE, LEASE_LOST},
};

static lethe_result expected(enum lease_state from, enum lease_event event, enum lease_state *to)
{
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        if (allowed[i].from == from && allowed[i].event == event) {
            *to = allowed[i].to;
            return LETHE_OK;
        }
    *to = from;
    return LETHE_CONFLICT;
}

static void test_every_step(void **state)
{
    for (unsigned from = LEASE_GRANTED; from <= LEASE_LOST; from++)
        for (unsigned event = 0; event < LEASE_EVENT_COUNT; event++) {
            enum lease_state to, now = from;
            assert_result(expected(from, event, &to), lease_step(&now, event));
            assert_int_equal(now, to);
        }
}

/* Only what is active serves, and only what holds no memory may have it granted again. P-6 */
static void test_what_states_mean(void **state)
{
    for (unsigned each = LEASE_GRANTED; each <= LEASE_LOST; each++) {
        assert_int_equal(lease_serves(each), each == LEASE_ACTIVE);
        assert_int_equal(lease_holds_memory(each), each != LEASE_RECLAIMED && each != LEASE_LOST);
        assert_int_equal(lease_is_final(each), each >= LEASE_RECLAIMED);
    }
}

static void test_numbers_from_outside(void **state)
{
    enum lease_state lease = LEASE_ACTIVE;
    enum lease_cause cause = LEASE_CAUSE_EXPIRED;
    for (unsigned number = 0; number < 256; number++) {
        bool known = number >= LEASE_GRANTED && number <= LEASE_LOST;
        assert_result(known ? LETHE_OK : LETHE_MALFORMED, lease_state_read(number, &lease));
        known = number <= LEASE_CAUSE_PROVIDER_LOST;
        assert_result(known ? LETHE_OK : LETHE_MALFORMED, lease_cause_read(number, &cause));
    }
    assert_string_equal(lease_state_word(LEASE_WIPING), "wiping");
    assert_string_equal(lease_cause_word(LEASE_CAUSE_FORCE_STOPPED), "force_stopped");
    assert_int_equal(lease_cause_result(LEASE_CAUSE_REVOKED), LETHE_REVOKED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_step),
        cmocka_unit_test(test_what_states_mean),
        cmocka_unit_test(test_numbers_from_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
