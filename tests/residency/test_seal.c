/* Sealing: what a seal says, that nothing else passes for it, and what is refused. */
#include "residency_check.h"

#include "crypto/tree.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* CI-001 CI-002 */
static void sealed_verified_executed_evicted(void **state)
{
    struct site *site = *state;
    struct lethe_seal seal;
    uint64_t before = used_bytes(site);
    struct lethe_shard *shard = must_seal(site, "layer_0-7", 3 * MIB + 5);
    lethe_shard_get_seal(shard, &seal);
    assert_string_equal(seal.id, "layer_0-7");
    assert_string_equal(seal.device, "host:0");
    assert_int_equal(seal.sealed_at_s, 1795176000);
    assert_int_equal(lethe_shard_size(shard), 3 * MIB + 5);
    assert_int_equal(used_bytes(site), before + 3 * MIB + 5);
    assert_ok(lethe_seal_check(site->worker, &seal, &site->err), &site->err);

    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FAST, &site->err), &site->err);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FULL, &site->err), &site->err);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_SIGNATURE, &site->err), &site->err);
    must_evict(site, shard);
    assert_int_equal(used_bytes(site), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sealed_verified_executed_evicted, site_setup,
                                        site_teardown),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
