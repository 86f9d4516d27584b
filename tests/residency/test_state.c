/* Checkpoints come in over old ones, and optimizer state changes all the time: what was there
 * before is gone first. */
#include "residency_check.h"

#include "crypto/memory_search.h"
#include "device/ops.h"

#define MIB ((size_t)1 << 20)

static struct lethe_state *must_state(struct site *site, size_t size_bytes)
{
    struct lethe_state *state = NULL;
    const struct lethe_placement placement = {.id = "adam", .tenant = "acme"};
    assert_ok(lethe_state_create(site->worker, &placement, size_bytes, &state, &site->err),
              &site->err);
    return state;
}

/* ---- shards ---------------------------------------------------------------------------------- */

/* Z-5: the old content is nowhere when the new one is; the handle and the id stay. */
static void a_shard_is_replaced(void **state)
{
    struct site *site = *state;
    struct lethe_seal before, after;
    struct lethe_shard *shard = must_seal(site, "a", MIB);
    const struct needle old =
        needle_of((const uint8_t *)device_memory_address(shard->memory) + 4000, 48);
    assert_int_equal(count_in_own_memory(&old), 1);
    lethe_shard_get_seal(shard, &before);
    site->now_s += 10;
    uint8_t *bytes = weights_of(2 * MIB, 9);
    assert_ok(lethe_shard_replace(&shard, bytes, 2 * MIB, true, &site->err), &site->err);
    assert_true(lethe_is_zero(bytes, 2 * MIB));
    free(bytes);
    assert_int_equal(count_in_own_memory(&old), 0);
    lethe_shard_get_seal(shard, &after);
    assert_string_equal(after.id, "a");
    assert_string_not_equal(after.digest, before.digest);
    assert_int_equal(after.sealed_at_s, before.sealed_at_s + 10);
    assert_int_equal(lethe_shard_size(shard), 2 * MIB);
    assert_int_equal(used_bytes(site), 2 * MIB);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FULL, &site->err), &site->err);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FAST, &site->err), &site->err);
    assert_recorded(1, site, "\"event\":\"checkpoint_replaced\"", "\"bytes\":1048576",
                    "\"label\":\"a\"", "\"class\":\"weights\"", "\"verified\":true");
    must_evict(site, shard);
}

/* Refused before anything is given up; and when the new one cannot be had, the old one is gone. */
static void a_replacement_that_fails(void **state)
{
    struct site *site = *state;
    uint8_t bytes[64] = {1};
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    assert_result(LETHE_INVALID, lethe_shard_replace(&shard, NULL, 64, false, &site->err));
    assert_result(LETHE_INVALID, lethe_shard_replace(&shard, bytes, 0, false, &site->err));
    assert_result(LETHE_LIMIT, lethe_shard_replace(&shard, bytes, SIZE_MAX, false, &site->err));
    assert_non_null(shard);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FULL, &site->err), &site->err);
    /* More than this machine has, within what the worker takes. */
    site->worker->shard_limit_bytes = UINT64_MAX;
    assert_result(LETHE_NO_MEMORY,
                  lethe_shard_replace(&shard, bytes, (size_t)1 << 50, false, &site->err));
    assert_null(shard);
    assert_int_equal(used_bytes(site), 0);
    must_evict(site, must_seal(site, "a", 64)); /* the id is free again */
}

/* ---- state ----------------------------------------------------------------------------------- */

/* MS-007: zero at first; every byte within, and none beyond. */
static void state_is_read_and_written_within_its_bounds(void **state)
{
    struct site *site = *state;
    struct lethe_state *adam = must_state(site, 5000);
    uint8_t bytes[5000], read[5000];
    assert_ok(lethe_state_read(adam, 0, read, sizeof read, &site->err), &site->err);
    assert_true(lethe_is_zero(read, sizeof read));
    memset(bytes, 7, sizeof bytes);
    assert_ok(lethe_state_write(adam, 0, bytes, sizeof bytes, &site->err), &site->err);
    assert_ok(lethe_state_write(adam, 5000, NULL, 0, &site->err), &site->err); /* nothing */
    assert_ok(lethe_state_read(adam, 0, NULL, 0, &site->err), &site->err);
    bytes[4999] = 9;
    assert_ok(lethe_state_write(adam, 4999, bytes + 4999, 1, &site->err), &site->err);
    assert_ok(lethe_state_read(adam, 0, read, sizeof read, &site->err), &site->err);
    assert_memory_equal(read, bytes, sizeof read);
    static const struct {
        size_t offset_bytes, size_bytes;
    } outside[] = {{0, 5001},     {1, 5000},     {5000, 1},
                   {SIZE_MAX, 1}, {1, SIZE_MAX}, {SIZE_MAX, SIZE_MAX}};
    for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
        assert_result(LETHE_INVALID, lethe_state_write(adam, outside[i].offset_bytes, bytes,
                                                       outside[i].size_bytes, &site->err));
        assert_result(LETHE_INVALID, lethe_state_read(adam, outside[i].offset_bytes, read,
                                                      outside[i].size_bytes, &site->err));
    }
    assert_ok(lethe_state_free(adam, &site->err), &site->err);
    assert_ok(lethe_state_free(NULL, &site->err), &site->err);
    assert_int_equal(used_bytes(site), 0);
    assert_recorded(1, site, "\"event\":\"vram_deallocated\"", "\"shard\":\"adam\"",
                    "\"wiped\":true", "\"tenant\":\"acme\"");
}

/* Z-5 */
static void state_is_replaced(void **state)
{
    struct site *site = *state;
    struct lethe_state *adam = must_state(site, MIB);
    uint8_t *bytes = weights_of(MIB, 21);
    const struct needle old = needle_of(bytes + 4000, 48);
    assert_ok(lethe_state_write(adam, 0, bytes, MIB, &site->err), &site->err);
    lethe_wipe(bytes, MIB);
    free(bytes);
    assert_int_equal(count_in_own_memory(&old), 1);
    uint8_t next[100], read[100];
    memset(next, 3, sizeof next);
    assert_ok(lethe_state_replace(adam, next, sizeof next, true, &site->err), &site->err);
    assert_true(lethe_is_zero(next, sizeof next));
    assert_int_equal(count_in_own_memory(&old), 0);
    assert_ok(lethe_state_read(adam, 0, read, sizeof read, &site->err), &site->err);
    assert_int_equal(read[99], 3);
    assert_result(LETHE_INVALID, lethe_state_read(adam, 100, read, 1, &site->err));
    assert_recorded(1, site, "\"event\":\"checkpoint_replaced\"", "\"class\":\"optimizer\"",
                    "\"label\":\"adam\"", "\"bytes\":1048576");

    site->worker->shard_limit_bytes = UINT64_MAX;
    assert_result(LETHE_NO_MEMORY,
                  lethe_state_replace(adam, next, (size_t)1 << 50, false, &site->err));
    assert_result(LETHE_LOST, lethe_state_read(adam, 0, read, 1, &site->err));
    assert_result(LETHE_LOST, lethe_state_write(adam, 0, read, 1, &site->err));
    assert_ok(lethe_state_replace(adam, next, sizeof next, false, &site->err), &site->err);
    assert_ok(lethe_state_read(adam, 0, read, 100, &site->err), &site->err);
    assert_ok(lethe_state_free(adam, &site->err), &site->err);
}

/* W-1 IV-001 IV-002 IV-003 */
static void state_that_is_refused(void **state)
{
    struct site *site = *state;
    struct lethe_state *none;
    uint8_t byte = 0;
    static const struct lethe_placement refused[] = {
        {.id = NULL}, {.id = "a b"}, {.id = "a", .device = 7}, {.id = "a", .tenant = "/"}};
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        assert_result(LETHE_INVALID,
                      lethe_state_create(site->worker, &refused[i], 64, &none, &site->err));
    const struct lethe_placement good = {.id = "adam"};
    assert_result(LETHE_INVALID, lethe_state_create(site->worker, &good, 0, &none, &site->err));
    assert_result(LETHE_LIMIT,
                  lethe_state_create(site->worker, &good, SIZE_MAX, &none, &site->err));

    struct lethe_state *adam = must_state(site, 64);
    struct lethe_shard *shard = must_seal(site, "a", 64);
    flip_byte(shard, 0);
    assert_result(LETHE_INTEGRITY, lethe_shard_verify(shard, LETHE_VERIFY_FULL, &site->err));
    assert_result(LETHE_INTEGRITY, lethe_state_write(adam, 0, &byte, 1, &site->err));
    assert_result(LETHE_INTEGRITY, lethe_state_read(adam, 0, &byte, 1, &site->err));
    assert_result(LETHE_INTEGRITY, lethe_state_replace(adam, &byte, 1, false, &site->err));
    assert_result(LETHE_INTEGRITY, lethe_state_create(site->worker, &good, 64, &none, &site->err));
    assert_ok(lethe_state_free(adam, &site->err), &site->err);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_shard_is_replaced),
        TEST(a_replacement_that_fails),
        TEST(state_is_read_and_written_within_its_bounds),
        TEST(state_is_replaced),
        TEST(state_that_is_refused),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
