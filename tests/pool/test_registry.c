#include "check.h"

#include <stdlib.h>

#include "pool_names.h"

#include "pool/registry.h"

#define MIB (1u << 20)

static struct registry *make(uint32_t leases_max)
{
    struct lethe_error err = {0};
    struct registry *registry;
    struct pool_provider *provider;
    assert_ok(registry_create(leases_max, &registry, &err), &err);
    assert_ok(registry_add_provider(registry, NODE_A, &provider, &err), &err);
    assert_ok(registry_add_provider(registry, NODE_B, &provider, &err), &err);
    return registry;
}

static struct pool_lease *add(struct registry *registry, uint8_t number, const char *consumer,
                              const char *tenant, const char *provider)
{
    struct lethe_error err = {0};
    struct pool_lease *lease;
    struct lease_row row = lease_row_of(number, consumer, tenant, provider);
    assert_ok(registry_add_lease(registry, &row, &lease, &err), &err);
    return lease;
}

static uint64_t held_by_tenant(struct registry *registry, const char *name)
{
    const struct pool_tenant *tenant = registry_find_tenant(registry, name);
    return tenant == NULL ? 0 : tenant->held_bytes;
}

static void test_what_cannot_be_counted_is_refused(void **state)
{
    struct pool_lease *lease;
    struct registry *registry = make(2);
    struct lease_row row = lease_row_of(1, ANNA, "acme", "spiffe://example.org/node/none");
    assert_result(LETHE_NOT_FOUND, registry_add_lease(registry, &row, &lease, NULL));
    row = lease_row_of(1, ANNA, "acme", NODE_A);
    add(registry, 1, ANNA, "acme", NODE_A);
    assert_result(LETHE_EXISTS, registry_add_lease(registry, &row, &lease, NULL));
    row = lease_row_of(2, ANNA, "acme", NODE_A);
    row.bytes = UINT64_MAX - MIB + 1;
    assert_result(LETHE_LIMIT, registry_add_lease(registry, &row, &lease, NULL));
    add(registry, 2, ANNA, "acme", NODE_B);
    row = lease_row_of(3, ANNA, "acme", NODE_B);
    assert_result(LETHE_LIMIT, registry_add_lease(registry, &row, &lease, NULL));
    assert_int_equal(2 * MIB, held_by_tenant(registry, "acme")); /* the refused left nothing */
    assert_int_equal(2, registry_find_consumer(registry, ANNA)->leases);
    registry_free(registry);
}

/* P-15: quotas hold against what was asked for already, not against what is durable. */
static void test_quotas(void **state)
{
    struct lethe_error err = {0};
    struct registry *registry = make(0);
    assert_ok(registry_set_quota(registry, "acme", 2 * MIB, &err), &err);
    assert_ok(registry_check_quota(registry, "acme", 2 * MIB, 1, &err), &err);
    assert_result(LETHE_LIMIT, registry_check_quota(registry, "acme", 2 * MIB + 1, 0, &err));
    assert_result(LETHE_LIMIT, registry_check_quota(registry, "acme", UINT64_MAX, 0, &err));
    add(registry, 1, ANNA, "acme", NODE_A);
    add(registry, 2, BERT, "acme", NODE_B);
    assert_result(LETHE_LIMIT, registry_check_quota(registry, "acme", 1, 0, &err));
    assert_ok(registry_check_quota(registry, "widgets", MIB, MIB, &err), &err);
    assert_result(LETHE_LIMIT, registry_check_quota(registry, "widgets", MIB + 1, MIB, &err));
    assert_ok(registry_check_quota(registry, "widgets", UINT64_MAX, 0, &err), &err);
    assert_ok(registry_set_quota(registry, "acme", 0, &err), &err); /* under what is held */
    assert_result(LETHE_LIMIT, registry_check_quota(registry, "acme", 1, 0, &err));
    assert_ok(registry_set_quota(registry, "acme", REGISTRY_NO_QUOTA, &err), &err);
    assert_ok(registry_check_quota(registry, "acme", MIB, 0, &err), &err);
    assert_ok(registry_set_quota(registry, "nobody", REGISTRY_NO_QUOTA, &err), &err);
    assert_null(registry_find_tenant(registry, "nobody"));
    registry_free(registry);
}

static void test_sums_follow_states(void **state)
{
    struct registry_counts counts;
    struct registry *registry = make(0);
    struct pool_lease *lease = add(registry, 1, ANNA, "acme", NODE_A);
    static const struct {
        enum lease_state state;
        uint64_t held;
    } cases[] = {{LEASE_ACTIVE, MIB},
                 {LEASE_WIPING, MIB},
                 {LEASE_LOST, 0},
                 {LEASE_FROZEN, MIB},
                 {LEASE_RECLAIMED, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        registry_set_state(registry, lease, cases[i].state);
        registry_count(registry, &counts);
        assert_int_equal(cases[i].held, counts.held_bytes);
        assert_int_equal(cases[i].held, held_by_tenant(registry, "acme"));
        assert_int_equal(cases[i].held, registry_find_consumer(registry, ANNA)->held_bytes);
        assert_int_equal(cases[i].held, registry_find_provider(registry, NODE_A)->lent_bytes);
        assert_int_equal(cases[i].state == LEASE_LOST ? 1 : 0, counts.lost);
        assert_int_equal(1, counts.leases);
    }
    registry_remove_lease(registry, lease);
    registry_count(registry, &counts);
    assert_int_equal(0, counts.leases);
    assert_null(registry_find_consumer(registry, ANNA)); /* who holds nothing takes no memory */
    assert_null(registry_find_tenant(registry, "acme"));
    registry_free(registry);
}

static void test_a_tenant_with_a_quota_is_remembered_without_leases(void **state)
{
    struct lethe_error err = {0};
    struct registry *registry = make(0);
    struct pool_lease *lease = add(registry, 1, ANNA, "acme", NODE_A);
    assert_ok(registry_set_quota(registry, "acme", MIB, &err), &err);
    registry_remove_lease(registry, lease);
    assert_int_equal(MIB, registry_find_tenant(registry, "acme")->quota_bytes);
    assert_ok(registry_set_quota(registry, "acme", REGISTRY_NO_QUOTA, &err), &err);
    assert_null(registry_find_tenant(registry, "acme"));
    registry_free(registry);
}

static void test_revoked_identities(void **state)
{
    struct lethe_error err = {0};
    struct registry *registry = make(0);
    struct revoked_row row = {.id = ANNA, .reason = "first"};
    assert_ok(registry_revoke(registry, &row, &err), &err);
    strcpy(row.reason, "second");
    assert_ok(registry_revoke(registry, &row, &err), &err);
    assert_string_equal("first", registry_find_revoked(registry, ANNA)->reason);
    assert_null(registry_find_revoked(registry, BERT));
    registry_restore(registry, BERT); /* was not */
    registry_restore(registry, ANNA);
    assert_null(registry_find_revoked(registry, ANNA));
    registry_free(registry);
}

static void test_only_joined_providers_that_listed_their_leases_are_candidates(void **state)
{
    struct placement_candidate candidates[2];
    struct registry *registry = make(0);
    struct pool_provider *provider = registry_find_provider(registry, NODE_A);
    *provider = (struct pool_provider){.row = provider->row,
                                       .state = PROVIDER_JOINED,
                                       .listed = true,
                                       .free_bytes = 10,
                                       .asked_bytes = 4};
    registry_candidates(registry, candidates);
    assert_true(candidates[0].usable); /* the control */
    assert_int_equal(6, candidates[0].free_bytes);
    assert_false(candidates[1].usable);
    provider->asked_bytes = 11;
    registry_candidates(registry, candidates);
    assert_int_equal(0, candidates[0].free_bytes);
    provider->row.wish = PROVIDER_DRAINING;
    registry_candidates(registry, candidates);
    assert_false(candidates[0].usable);
    provider->row.wish = PROVIDER_OPEN;
    provider->listed = false;
    registry_candidates(registry, candidates);
    assert_false(candidates[0].usable);
    provider->listed = true;
    provider->state = PROVIDER_UNREACHABLE;
    registry_candidates(registry, candidates);
    assert_false(candidates[0].usable);
    registry_free(registry);
}

/* Against sums that are made anew each time. */
#define ROUNDS 20000u
#define SLOTS 64u

static void check_sums(struct registry *registry, struct pool_lease *const slots[SLOTS])
{
    uint64_t anna = 0, acme = 0, node = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        bool holds = slots[i] != NULL && lease_holds_memory(slots[i]->state);
        uint64_t bytes = holds ? slots[i]->bytes : 0;
        anna += holds && strcmp(slots[i]->consumer->id, ANNA) == 0 ? bytes : 0;
        acme += holds && strcmp(slots[i]->consumer->tenant->name, "acme") == 0 ? bytes : 0;
        node += holds && strcmp(slots[i]->provider->row.id, NODE_A) == 0 ? bytes : 0;
    }
    const struct pool_consumer *consumer = registry_find_consumer(registry, ANNA);
    assert_int_equal(anna, consumer == NULL ? 0 : consumer->held_bytes);
    assert_int_equal(acme, held_by_tenant(registry, "acme"));
    assert_int_equal(node, registry_find_provider(registry, NODE_A)->lent_bytes);
}

static void test_sums_hold_after_many_random_changes(void **state)
{
    static const struct {
        const char *id, *tenant;
    } who[] = {{ANNA, "acme"}, {BERT, "acme"}, {CARL, "widgets"}};
    struct pool_lease *slots[SLOTS] = {0};
    struct registry *registry = make(0);
    srandom(1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t slot = (size_t)random() % SLOTS, one = (size_t)random() % ARRAY_LEN(who);
        if (slots[slot] == NULL)
            slots[slot] = add(registry, (uint8_t)slot, who[one].id, who[one].tenant,
                              random() % 2 == 0 ? NODE_A : NODE_B);
        else if (random() % 3 == 0)
            registry_remove_lease(registry, MOVE(slots[slot]));
        else
            registry_set_state(registry, slots[slot],
                               LEASE_GRANTED + (enum lease_state)(random() % LEASE_LOST));
        if (round % 97 == 0)
            check_sums(registry, slots);
    }
    check_sums(registry, slots);
    registry_free(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_cannot_be_counted_is_refused),
        cmocka_unit_test(test_quotas),
        cmocka_unit_test(test_sums_follow_states),
        cmocka_unit_test(test_a_tenant_with_a_quota_is_remembered_without_leases),
        cmocka_unit_test(test_revoked_identities),
        cmocka_unit_test(test_only_joined_providers_that_listed_their_leases_are_candidates),
        cmocka_unit_test(test_sums_hold_after_many_random_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
