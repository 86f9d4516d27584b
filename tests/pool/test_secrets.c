/* P-12: where plaintext and block keys of a consumer are, and that they are gone with their lease:
 * the whole process is searched, with what is there as the positive control. */
#include "pool_site.h"

#include "crypto/memory_search.h"
#include "pool/client_calls.h"

#define BLOCK (64u * 1024)
#define BYTES ((size_t)8 * BLOCK)
#define NEEDLE_BYTES 32u

/* The caller's memory, a mapping of its own: all over it the same random bytes. */
struct caller {
    struct lethe_region *region;
    uint8_t *bytes;
    struct needle needle;
};

static void fill(struct caller *caller)
{
    const struct lethe_region_options options = {.class_ = LETHE_CLASS_CONTENT,
                                                 .label = {.id = "caller"}};
    assert_result(LETHE_OK, lethe_region_create(BYTES, &options, &caller->region, NULL));
    caller->bytes = lethe_region_bytes(caller->region);
    assert_result(LETHE_OK, random_fill(&random_system, caller->bytes, NEEDLE_BYTES));
    for (size_t at = NEEDLE_BYTES; at < BYTES; at += NEEDLE_BYTES)
        memcpy(caller->bytes + at, caller->bytes, NEEDLE_BYTES);
    caller->needle = needle_of(caller->bytes, NEEDLE_BYTES);
}

static struct needle key_of(const struct lethe_pool_lease *lease)
{
    return needle_of(lethe_secret_bytes_const(lease->secret), AEAD_KEY_BYTES);
}

static void write_and_read(struct pool_site *site, struct lethe_pool_lease *lease,
                           struct caller *caller)
{
    const struct {
        uint64_t offset;
        size_t size_bytes;
    } parts[] = {{0, BYTES}, {100, 5000}, {BLOCK - 64, 2 * BLOCK}, {3 * BLOCK, 32}};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        assert_ok(lethe_pool_write(lease, parts[i].offset, caller->bytes, parts[i].size_bytes,
                                   &site->err),
                  &site->err);
        assert_ok(
            lethe_pool_read(lease, parts[i].offset, caller->bytes, parts[i].size_bytes, &site->err),
            &site->err);
    }
}

static void plaintext_is_only_where_the_caller_has_it(void **state)
{
    struct pool_site *site = *state;
    struct caller caller;
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 2);
    fill(&caller);
    assert_true(count_in_own_memory(&caller.needle) >= BYTES / NEEDLE_BYTES / 2); /* control */
    write_and_read(site, lease, &caller);
    assert_int_equal(count_except(&caller.needle, caller.bytes), 0);
    hostile_play(site->providers[0], HOSTILE_CHANGE, 1, false);
    hostile_play(site->providers[1], HOSTILE_CHANGE, 1, false);
    (void)!lethe_pool_read(lease, 100, caller.bytes, 5000, &site->err);
    assert_int_equal(count_except(&caller.needle, caller.bytes), 0);
    site_release(site, lease);
    lethe_region_free(caller.region);
    assert_int_equal(count_in_own_memory(&caller.needle), 0);
}

static void a_key_ends_with_its_lease(void **state)
{
    struct pool_site *site = *state;
    struct caller caller;
    fill(&caller);
    for (unsigned releases = 0; releases < 2; releases++) {
        struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 1);
        const struct needle key = key_of(lease);
        write_and_read(site, lease, &caller);
        assert_true(count_in_own_memory(&key) >= 1); /* the positive control */
        if (releases)
            site_release(site, lease);
        else
            lethe_pool_lease_close(lease);
        assert_int_equal(count_in_own_memory(&key), 0);
    }
    lethe_region_free(caller.region);
}

/* A pool that is closed takes the keys of all its leases with it. */
static void keys_end_with_their_pool(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 1);
    const struct needle key = key_of(lease);
    assert_true(count_in_own_memory(&key) >= 1);
    lethe_pool_close(site->pool);
    site->pool = NULL;
    assert_int_equal(count_in_own_memory(&key), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SITE_TEST(plaintext_is_only_where_the_caller_has_it),
        SITE_TEST(a_key_ends_with_its_lease),
        SITE_TEST(keys_end_with_their_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
