/* Copies, connections and time: what is lost, what is not, and who hears of it. */
#include "pool_site.h"

#include <limits.h>

#include "chance.h"

#define KIB 1024u
#define BLOCK (64u * KIB)
#define BLOCKS 16u
#define BYTES ((size_t)BLOCKS * BLOCK)

static uint8_t model[BYTES], got[BYTES];

static void must_write(struct pool_site *site, struct lethe_pool_lease *lease, uint64_t salt)
{
    site_fill(model, BYTES, salt);
    assert_ok(lethe_pool_write(lease, 0, model, BYTES, &site->err), &site->err);
}

static void must_read(struct pool_site *site, struct lethe_pool_lease *lease)
{
    memset(got, 0xee, BYTES);
    assert_ok(lethe_pool_read(lease, 0, got, BYTES, &site->err), &site->err);
    assert_memory_equal(got, model, BYTES);
}

static struct lethe_pool_copy_state copy_of(const struct lethe_pool_lease *lease, unsigned copy)
{
    struct lethe_pool_copy_state states[8];
    assert_true(lethe_pool_copies(lease, states, 8) > copy);
    return states[copy];
}

/* Until something is so, for ten seconds. */
#define eventually(condition)                                                                      \
    do {                                                                                           \
        unsigned waited_ms = 0;                                                                    \
        for (; !(condition) && waited_ms < 10000; waited_ms += 10)                                 \
            site_sleep_ms(10);                                                                     \
        assert_true(condition);                                                                    \
    } while (0)

/* ---- connections ----------------------------------------------------------------------------- */

/* P-9: who is cut off goes on where it was. */
static void a_broken_connection_is_made_again(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 1);
    for (unsigned i = 0; i < 5; i++) {
        must_write(site, lease, i);
        hostile_cut(site->providers[0]);
        must_read(site, lease);
        hostile_cut(site->providers[0]);
    }
    struct hostile_counters count;
    hostile_count(site->providers[0], &count);
    assert_true(count.attached >= 5);
    site_release(site, lease);
}

static void who_is_not_reached_in_time_is_unavailable(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_options options = site_pool_options(site);
    options.timeout_ms = 300;
    site_reopen(site, &options);
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 1);
    uint64_t left_ms;
    must_write(site, lease, 1);
    hostile_unplug(site->providers[0], true);
    memset(got, 0xee, BYTES);
    assert_result(LETHE_UNAVAILABLE, lethe_pool_read(lease, 0, got, BYTES, &site->err));
    assert_true(lethe_is_zero(got, BYTES)); /* nothing half-done is left */
    assert_result(LETHE_UNAVAILABLE, lethe_pool_renew(lease, &left_ms, &site->err));
    assert_result(LETHE_UNAVAILABLE, lethe_pool_write(lease, 0, model, 1, &site->err));
    hostile_unplug(site->providers[0], false);
    must_read(site, lease); /* that write was never begun */
    assert_ok(lethe_pool_renew(lease, &left_ms, &site->err), &site->err);
    site_release(site, lease);
}

/* A write that may have arrived or not: lost until it is shown to be whole or written again. */
static void an_unfinished_write_is_not_data(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_options options = site_pool_options(site);
    options.timeout_ms = 400;
    site_reopen(site, &options);
    for (unsigned arrives = 0; arrives < 2; arrives++) {
        struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 1);
        must_write(site, lease, 1);
        hostile_play_on(site->providers[0], false, true);
        hostile_play(site->providers[0], HOSTILE_SILENT, 1, false);
        if (!arrives)
            hostile_time(site->providers[0], 60000);
        memset(model, 'u', BLOCK);
        assert_result(LETHE_UNAVAILABLE, lethe_pool_write(lease, 0, model, BLOCK, &site->err));
        hostile_play(site->providers[0], HOSTILE_HONEST, 0, false);
        if (arrives) {
            must_read(site, lease); /* the newest was there after all */
        } else {
            hostile_play_on(site->providers[0], true, false);
            hostile_play(site->providers[0], HOSTILE_STALE, 1, true);
            assert_result(LETHE_LOST, lethe_pool_read(lease, 0, got, BLOCK, &site->err));
            assert_result(LETHE_OK, lethe_pool_read(lease, BLOCK, got, BLOCK, &site->err));
            assert_memory_equal(got, model + BLOCK, BLOCK);
            assert_ok(lethe_pool_write(lease, 0, model, BLOCK, &site->err), &site->err);
            must_read(site, lease);
        }
        hostile_play_on(site->providers[0], true, true);
        site_release(site, lease);
    }
}

/* ---- copies ---------------------------------------------------------------------------------- */

/* P-13: what one copy has missed it gets when it is back; until then the other serves. */
static void a_copy_that_was_away_is_repaired(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 2);
    must_write(site, lease, 1);
    hostile_unplug(site->providers[1], true);
    eventually(!copy_of(lease, 1).connected);
    must_write(site, lease, 2);
    assert_int_equal(copy_of(lease, 1).stale_blocks, BLOCKS);
    for (unsigned i = 0; i < 4; i++)
        must_read(site, lease);
    hostile_unplug(site->providers[1], false);
    eventually(copy_of(lease, 1).stale_blocks == 0);
    assert_int_equal(copy_of(lease, 1).repaired_blocks, BLOCKS);
    hostile_unplug(site->providers[0], true); /* now it alone has to do */
    must_read(site, lease);
    hostile_unplug(site->providers[0], false);
    site_release(site, lease);
}

/* Whichever of two answers while the other falls silent in the middle of writing. */
static void the_loss_of_one_of_two_loses_nothing(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 2);
    for (unsigned i = 0; i < 20; i++) {
        must_write(site, lease, i);
        if (i == 9)
            hostile_restart(site->providers[0]); /* P-7: its memory is gone */
        must_read(site, lease);
    }
    eventually(copy_of(lease, 0).lost);
    assert_false(copy_of(lease, 1).lost);
    assert_string_equal(copy_of(lease, 1).provider, "spiffe://pool.test/machine/1");
    hostile_restart(site->providers[1]);
    assert_result(LETHE_LOST, lethe_pool_read(lease, 0, got, 1, &site->err));
    assert_result(LETHE_LOST, lethe_pool_write(lease, 0, got, 1, &site->err));
    assert_non_null(strstr(site->err.text, "machine"));
    site_release(site, lease);
}

/* The only fresh copy is lost: the stale one is never taken for it. */
static void a_stale_copy_is_never_the_last_word(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 2);
    must_write(site, lease, 1);
    hostile_unplug(site->providers[1], true);
    eventually(!copy_of(lease, 1).connected);
    site_fill(model, BLOCK, 2);
    assert_ok(lethe_pool_write(lease, 0, model, BLOCK, &site->err), &site->err);
    hostile_restart(site->providers[0]);
    eventually(copy_of(lease, 0).lost);
    hostile_unplug(site->providers[1], false);
    assert_result(LETHE_LOST, lethe_pool_read(lease, 0, got, BLOCK, &site->err));
    assert_true(lethe_is_zero(got, BLOCK));
    assert_ok(lethe_pool_read(lease, BLOCK, got, BYTES - BLOCK, &site->err), &site->err);
    assert_memory_equal(got, model + BLOCK, BYTES - BLOCK);
    assert_ok(lethe_pool_write(lease, 0, model, BLOCK, &site->err), &site->err);
    must_read(site, lease);
    site_release(site, lease);
}

/* ---- the end of leases ----------------------------------------------------------------------- */

static struct lease_id id_of(const struct lethe_pool_lease *lease, unsigned copy)
{
    struct lease_id id;
    assert_result(LETHE_OK, lease_id_from_hex(copy_of(lease, copy).lease, &id, NULL));
    return id;
}

/* P-10. */
static void the_cause_of_an_end_is_told(void **state)
{
    struct pool_site *site = *state;
    static const struct {
        enum lease_cause cause;
        lethe_result result;
    } ends[] = {{LEASE_CAUSE_EXPIRED, LETHE_LOST},
                {LEASE_CAUSE_REVOKED, LETHE_REVOKED},
                {LEASE_CAUSE_FORCE_STOPPED, LETHE_LOST},
                {LEASE_CAUSE_DRAINED, LETHE_LOST}};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 1);
        const struct lease_id id = id_of(lease, 0);
        must_write(site, lease, i);
        assert_true(hostile_end(site->providers[0], &id, ends[i].cause));
        eventually(copy_of(lease, 0).lost);
        assert_result(ends[i].result, lethe_pool_read(lease, 0, got, BYTES, &site->err));
        assert_result(ends[i].result, lethe_pool_write(lease, 0, got, 1, &site->err));
        assert_result(ends[i].result, lethe_pool_renew(lease, NULL, &site->err));
        assert_non_null(strstr(site->err.text, lease_cause_word(ends[i].cause)));
        site_release(site, lease);
    }
}

static void one_copy_may_be_stopped(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 3);
    const struct lease_id id = id_of(lease, 1);
    must_write(site, lease, 1);
    assert_true(hostile_end(site->providers[1], &id, LEASE_CAUSE_FORCE_STOPPED));
    eventually(copy_of(lease, 1).lost);
    must_read(site, lease);
    must_write(site, lease, 2);
    must_read(site, lease);
    site_release(site, lease);
}

static void what_is_released_is_gone_everywhere(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 3);
    struct hostile_counters count;
    struct small_control_counters control;
    must_write(site, lease, 1);
    hostile_unplug(site->providers[2], true); /* the control plane reaches it */
    eventually(!copy_of(lease, 2).connected);
    site_release(site, lease);
    for (unsigned i = 0; i < 3; i++) {
        hostile_count(site->providers[i], &count);
        assert_int_equal(count.leases, 0);
    }
    small_control_count(site->control, &control);
    assert_int_equal(control.dropped, 1);
    lease = site_lease(site, BYTES, BLOCK, 1);
    hostile_unplug(site->providers[0], true);
    small_control_unplug(site->control, true); /* nobody does */
    eventually(!copy_of(lease, 0).connected);
    assert_result(LETHE_UNAVAILABLE, lethe_pool_release(lease, &site->err));
    small_control_unplug(site->control, false);
}

/* P-6: wiping may take longer than an answer may: who shows that it is there is waited for. */
static void who_still_wipes_is_waited_for(void **state)
{
    struct pool_site *site = *state;
    struct hostile_counters count;
    struct small_control_counters control;
    struct lethe_pool_options options = site_pool_options(site);
    options.timeout_ms = 1000;
    site_reopen(site, &options);
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 2);
    must_write(site, lease, 1);
    hostile_play_release(site->providers[0], 6); /* each is asked for after 250 ms */
    site_release(site, lease);
    small_control_count(site->control, &control);
    assert_int_equal(control.dropped, 0);
    /* one that is silent is not: the control plane is asked in its place */
    lease = site_lease(site, BYTES, BLOCK, 1);
    hostile_play_release(site->providers[0], UINT_MAX);
    uint64_t before = control.asked;
    site_release(site, lease);
    small_control_count(site->control, &control);
    assert_true(control.asked > before);
    hostile_count(site->providers[0], &count);
    assert_int_equal(count.released, 2);
}

static void a_closed_lease_is_let_be(void **state)
{
    struct pool_site *site = *state;
    struct hostile_counters count;
    for (unsigned i = 0; i < 3; i++) {
        struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 2);
        must_write(site, lease, i);
        lethe_pool_lease_close(lease);
    }
    hostile_count(site->providers[0], &count);
    assert_int_equal(count.leases, 3);
    lethe_pool_lease_close(NULL);
    assert_result(LETHE_OK, lethe_pool_release(NULL, NULL));
    struct lethe_pool_lease *left = site_lease(site, BYTES, BLOCK, 2);
    must_write(site, left, 9); /* the pool's end is its, too */
}

/* ---- time ------------------------------------------------------------------------------------ */

static void leases_are_renewed_by_themselves(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease, *other;
    struct hostile_counters count;
    const struct lethe_pool_lease_options options = {
        .bytes = BYTES, .ttl_ms = 1000, .copies = 1, .no_renewal = false};
    struct lethe_pool_lease_options never = options;
    never.no_renewal = true;
    assert_ok(lethe_pool_allocate(site->pool, &options, &lease, &site->err), &site->err);
    eventually((hostile_count(site->providers[0], &count), count.renewed >= 3));
    site_release(site, lease);
    hostile_count(site->providers[0], &count);
    uint64_t before = count.renewed;
    assert_ok(lethe_pool_allocate(site->pool, &never, &other, &site->err), &site->err);
    site_sleep_ms(800);
    hostile_count(site->providers[0], &count);
    assert_int_equal(count.renewed, before);
    uint64_t left_ms = 0;
    assert_ok(lethe_pool_renew(other, &left_ms, &site->err), &site->err);
    assert_int_equal(left_ms, 1000);
    site_release(site, other);
}

/* P-14: tokens are fetched again while a lease lives, and what is under way goes on. */
static void a_token_is_renewed_at_half_of_its_life(void **state)
{
    struct pool_site *site = *state;
    struct small_control_counters count;
    struct hostile_counters provider;
    small_control_life(site->control, 400);
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 1);
    for (unsigned i = 0; i < 100; i++) {
        must_write(site, lease, i);
        must_read(site, lease);
        site_sleep_ms(5);
    }
    eventually((small_control_count(site->control, &count), count.tokens >= 2));
    hostile_count(site->providers[0], &provider);
    assert_true(provider.attached >= 2);
    small_control_unplug(site->control, true); /* without it the lease goes on */
    site_sleep_ms(300);
    must_write(site, lease, 1000);
    must_read(site, lease);
    small_control_unplug(site->control, false);
    site_release(site, lease);
}

/* What runs out while nobody is reached is lost, without anybody saying so. */
static void who_is_away_too_long_has_lost(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease;
    const struct lethe_pool_lease_options options = {.bytes = BYTES, .ttl_ms = 1000, .copies = 1};
    assert_ok(lethe_pool_allocate(site->pool, &options, &lease, &site->err), &site->err);
    must_write(site, lease, 1);
    hostile_unplug(site->providers[0], true);
    eventually(copy_of(lease, 0).lost);
    assert_result(LETHE_LOST, lethe_pool_read(lease, 0, got, 1, &site->err));
    site_release(site, lease);
}

/* P-13: copies that would be lost together are none, whatever the control plane says. */
static void two_copies_are_never_on_one_provider(void **state)
{
    struct pool_site *site = *state;
    const struct lethe_pool_lease_options options = {
        .bytes = BYTES, .block_bytes = BLOCK, .copies = 2};
    struct lethe_pool_lease *lease = NULL;
    struct small_control_counters count;
    small_control_bunch(site->control, true);
    assert_result(LETHE_MALFORMED, lethe_pool_allocate(site->pool, &options, &lease, &site->err));
    assert_null(lease);
    small_control_count(site->control, &count);
    assert_int_equal(count.dropped, 2); /* what was granted is given back */
    small_control_bunch(site->control, false);
    assert_ok(lethe_pool_allocate(site->pool, &options, &lease, &site->err), &site->err);
    site_release(site, lease);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SITE_TEST(a_broken_connection_is_made_again),
        SITE_TEST(who_is_not_reached_in_time_is_unavailable),
        SITE_TEST(an_unfinished_write_is_not_data),
        SITE_TEST(a_copy_that_was_away_is_repaired),
        SITE_TEST(the_loss_of_one_of_two_loses_nothing),
        SITE_TEST(a_stale_copy_is_never_the_last_word),
        SITE_TEST(the_cause_of_an_end_is_told),
        SITE_TEST(one_copy_may_be_stopped),
        SITE_TEST(what_is_released_is_gone_everywhere),
        SITE_TEST(who_still_wipes_is_waited_for),
        SITE_TEST(a_closed_lease_is_let_be),
        SITE_TEST(leases_are_renewed_by_themselves),
        SITE_TEST(a_token_is_renewed_at_half_of_its_life),
        SITE_TEST(who_is_away_too_long_has_lost),
        SITE_TEST(two_copies_are_never_on_one_provider),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
