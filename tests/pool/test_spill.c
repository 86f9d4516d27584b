/* KV caches that spill to a pool: the same rows come back, from whichever copy is left. */
#include "pool_site.h"

#include "../residency/kv_check.h"

struct spill_site {
    struct pool_site *pool;
    struct kv_site *kv;
    struct lethe_pool_spill *spill;
};

static int set_up(void **state)
{
    struct spill_site *site = calloc(1, sizeof *site);
    void *pool = NULL, *kv = NULL;
    assert_result(LETHE_OK, crypto_start(NULL)); /* before anything uses OpenSSL */
    assert_int_equal(kv_setup(&kv), 0);
    assert_int_equal(site_set_up(&pool), 0);
    site->pool = pool;
    site->kv = kv;
    *state = site;
    return 0;
}

static int tear_down(void **state)
{
    struct spill_site *site = *state;
    void *pool = site->pool, *kv = site->kv;
    assert_int_equal(kv_teardown(&kv), 0);
    assert_int_equal(site_tear_down(&pool), 0);
    free(site);
    return 0;
}

static void must_spill(struct spill_site *site, uint64_t slots, unsigned copies)
{
    struct lethe_kv_options options = cache_options(3);
    const struct lethe_pool_spill_options spill = {.slot_bytes = lethe_kv_spill_bytes(&options),
                                                   .budget_bytes =
                                                       slots * lethe_kv_spill_bytes(&options),
                                                   .copies = copies};
    assert_ok(lethe_pool_spill_create(site->pool->pool, &spill, &site->spill, &site->pool->err),
              &site->pool->err);
    const struct lethe_spill table = lethe_pool_spill_table(site->spill);
    must_cache_with(site->kv, 3, &table);
}

static void must_free(struct spill_site *site)
{
    assert_ok(lethe_kv_cache_free(MOVE(site->kv->cache), &site->kv->err), &site->kv->err);
    assert_ok(lethe_pool_spill_free(site->spill, &site->pool->err), &site->pool->err);
}

static void append_to(struct kv_site *kv, struct lethe_kv *one, struct lethe_kv *two,
                      uint64_t first, uint64_t end)
{
    for (uint64_t token = first; token < end; token++) {
        must_append(kv, one, 1, token, 1);
        must_append(kv, two, 2, token, 1);
    }
}

static void what_does_not_fit_comes_back(void **state)
{
    struct spill_site *site = *state;
    must_spill(site, 40, 1);
    struct lethe_kv *one = must_open_kv(site->kv, "acme", "s1");
    struct lethe_kv *two = must_open_kv(site->kv, "other", "s1");
    append_to(site->kv, one, two, 0, 30);
    for (unsigned round = 0; round < 3; round++) {
        assert_gather(site->kv, one, 1, 0, 30);
        assert_gather(site->kv, two, 2, 0, 30);
    }
    must_end(site->kv, one);
    must_end(site->kv, two);
    must_free(site);
}

/* P-13. */
static void one_of_two_providers_may_go(void **state)
{
    struct spill_site *site = *state;
    must_spill(site, 40, 2);
    struct lethe_kv *one = must_open_kv(site->kv, "acme", "s1");
    struct lethe_kv *two = must_open_kv(site->kv, "acme", "s2");
    append_to(site->kv, one, two, 0, 20);
    hostile_restart(site->pool->providers[0]);
    append_to(site->kv, one, two, 20, 30);
    assert_gather(site->kv, one, 1, 0, 30);
    assert_gather(site->kv, two, 2, 0, 30);
    must_end(site->kv, one);
    must_end(site->kv, two);
    must_free(site);
}

static void a_provider_that_lies_is_not_believed(void **state)
{
    struct spill_site *site = *state;
    must_spill(site, 40, 1);
    struct lethe_kv *one = must_open_kv(site->kv, "acme", "s1");
    struct lethe_kv *two = must_open_kv(site->kv, "acme", "s2");
    uint8_t keys[ROW_BYTES];
    append_to(site->kv, one, two, 0, 20);
    hostile_play_on(site->pool->providers[0], true, false);
    hostile_play(site->pool->providers[0], HOSTILE_SWAP, 1, false);
    assert_result(LETHE_INTEGRITY, lethe_kv_gather(one, 0, 0, 1, keys, NULL, &site->kv->err));
    hostile_play(site->pool->providers[0], HOSTILE_HONEST, 0, false);
    assert_gather(site->kv, two, 2, 0, 20);
    assert_ok(lethe_kv_end(one, LETHE_SESSION_ENDED, &site->kv->err), &site->kv->err);
    must_end(site->kv, two);
    must_free(site);
}

static void a_full_store_says_so_and_slots_come_back(void **state)
{
    struct spill_site *site = *state;
    must_spill(site, 2, 1);
    const struct lethe_spill table = lethe_pool_spill_table(site->spill);
    uint8_t bytes[1552] = "a block", out[1552];
    for (unsigned round = 0; round < 3; round++) {
        struct lethe_spill_id ids[3] = {
            {.block = 3 * round}, {.block = 3 * round + 1}, {.block = 3 * round + 2}};
        assert_result(LETHE_OK, table.put(table.context, &ids[0], bytes, sizeof bytes, NULL));
        assert_result(LETHE_OK, table.put(table.context, &ids[1], bytes, 100, NULL));
        assert_result(LETHE_NO_SPACE, table.put(table.context, &ids[2], bytes, 100, NULL));
        assert_result(LETHE_NOT_FOUND, table.get(table.context, &ids[2], out, 100, NULL));
        assert_result(LETHE_OK, table.get(table.context, &ids[0], out, sizeof out, NULL));
        assert_memory_equal(out, bytes, sizeof out);
        table.drop(table.context, &ids[0]);
        table.drop(table.context, &ids[0]);
        table.drop(table.context, &ids[2]);
        assert_result(LETHE_OK, table.put(table.context, &ids[2], bytes, 100, NULL));
        table.drop(table.context, &ids[1]);
        table.drop(table.context, &ids[2]);
    }
    struct lethe_spill_id id = {.block = 1};
    assert_result(LETHE_INVALID, table.put(table.context, &id, bytes, 1553, NULL));
    must_free(site);
}

static void sizes_that_hold_nothing_are_refused(void **state)
{
    struct spill_site *site = *state;
    static const struct lethe_pool_spill_options bad[] = {
        {.slot_bytes = 0, .budget_bytes = 100},
        {.slot_bytes = 101, .budget_bytes = 100},
        {.slot_bytes = 1, .budget_bytes = UINT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_not_equal(
            lethe_pool_spill_create(site->pool->pool, &bad[i], &site->spill, &site->pool->err),
            LETHE_OK);
        assert_null(site->spill);
    }
    assert_result(LETHE_OK, lethe_pool_spill_free(NULL, NULL));
}

#define SPILL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        SPILL_TEST(what_does_not_fit_comes_back),
        SPILL_TEST(one_of_two_providers_may_go),
        SPILL_TEST(a_provider_that_lies_is_not_believed),
        SPILL_TEST(a_full_store_says_so_and_slots_come_back),
        SPILL_TEST(sizes_that_hold_nothing_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
