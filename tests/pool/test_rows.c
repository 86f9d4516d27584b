#include "check.h"

#include "../kms/home.h"
#include "pool_names.h"

#include "kms/change.h"
#include "pool/registry.h"

/* ---- one row --------------------------------------------------------------------------------- */

#define MAKE(kind, row)                                                                            \
    struct buffer bytes = {0};                                                                     \
    kind##_row_format(row, &bytes);                                                                \
    assert_result(LETHE_OK, buffer_result(&bytes, NULL))

static struct cursor over(const struct buffer *bytes, size_t size_bytes)
{
    return cursor_over(bytes->bytes, size_bytes);
}

/* Cut off anywhere, one byte too many, of another format: no row. */
#define CHECK_ROW(kind, given)                                                                     \
    do {                                                                                           \
        struct buffer second = {0};                                                                \
        struct kind##_row again;                                                                   \
        MAKE(kind, given);                                                                         \
        for (size_t size = 0; size < bytes.size_bytes; size++)                                     \
            assert_result(LETHE_MALFORMED, kind##_row_parse(over(&bytes, size), &again));          \
        assert_result(LETHE_OK, kind##_row_parse(over(&bytes, bytes.size_bytes), &again));         \
        kind##_row_format(&again, &second);                                                        \
        assert_int_equal(bytes.size_bytes, second.size_bytes);                                     \
        assert_memory_equal(bytes.bytes, second.bytes, second.size_bytes);                         \
        bytes.bytes[0]++;                                                                          \
        assert_result(LETHE_MALFORMED, kind##_row_parse(over(&bytes, bytes.size_bytes), &again));  \
        bytes.bytes[0]--;                                                                          \
        buffer_byte(&bytes, 0);                                                                    \
        assert_result(LETHE_MALFORMED, kind##_row_parse(over(&bytes, bytes.size_bytes), &again));  \
        buffer_clear(&bytes);                                                                      \
        buffer_clear(&second);                                                                     \
    } while (0)

static void test_rows_are_taken_whole_or_not_at_all(void **state)
{
    struct lease_row lease = lease_row_of(1, ANNA, "acme", NODE_A);
    struct provider_row provider = provider_row_of(NODE_A);
    struct revoked_row revoked = {.id = ANNA, .reason = "stolen", .revoked_ms = 3};
    struct quota_row quota = {.tenant = "acme", .bytes = 1 << 30};
    provider.wish = PROVIDER_STOPPED;
    CHECK_ROW(lease, &lease);
    CHECK_ROW(provider, &provider);
    CHECK_ROW(revoked, &revoked);
    CHECK_ROW(quota, &quota);
}

static void assert_no_lease(const struct lease_row *row)
{
    struct lease_row again;
    MAKE(lease, row);
    assert_result(LETHE_MALFORMED, lease_row_parse(over(&bytes, bytes.size_bytes), &again));
    buffer_clear(&bytes);
}

static void test_a_lease_that_none_can_be_is_no_row(void **state)
{
    const struct lease_row sound = lease_row_of(1, ANNA, "acme", NODE_A);
    struct lease_row row = sound;
    row.block_bytes = 4097;
    assert_no_lease(&row);
    row = sound;
    row.bytes++;
    assert_no_lease(&row);
    row = sound;
    row.bytes = 0;
    assert_no_lease(&row);
    row = sound;
    row.state = LEASE_ACTIVE; /* its provider knows */
    assert_no_lease(&row);
    row = sound;
    row.state = 0;
    assert_no_lease(&row);
    row = sound;
    row.cause = 7;
    assert_no_lease(&row);
    row = sound;
    strcpy(row.consumer, "anna");
    assert_no_lease(&row);
    row = sound;
    strcpy(row.tenant, "a/b");
    assert_no_lease(&row);
    row = sound;
    row.tenant[0] = '\0';
    assert_no_lease(&row);
}

/* ---- rows of a home -------------------------------------------------------------------------- */

struct put {
    char path[POOL_PATH_SIZE];
    struct buffer bytes;
};

static lethe_result put_row(struct store *store, void *context, uint64_t epoch,
                            struct audit_event *event, struct lethe_error *err)
{
    const struct put *put = context;
    *event = audit_pool_modified("test", "row");
    return store_put(store, put->path, put->bytes.bytes, put->bytes.size_bytes, STORE_ANY, err);
}

static void store_one(struct keeper *keeper, struct put *put)
{
    struct lethe_error err = {0};
    assert_ok(keeper_change(keeper, "", put_row, put, &err), &err);
    buffer_clear(&put->bytes);
}

static void put_provider(struct keeper *keeper, const char *id)
{
    struct put put = {0};
    struct provider_row row = provider_row_of(id);
    provider_row_path(id, put.path);
    provider_row_format(&row, &put.bytes);
    store_one(keeper, &put);
}

static void put_lease(struct keeper *keeper, const struct lease_row *row)
{
    struct put put = {0};
    lease_row_path(&row->lease, put.path);
    lease_row_format(row, &put.bytes);
    store_one(keeper, &put);
}

static lethe_result load(struct keeper *keeper, struct registry **out, struct lethe_error *err)
{
    assert_ok(registry_create(0, out, err), err);
    return registry_load(*out, keeper_store(keeper), err);
}

static void test_a_registry_is_what_its_rows_say(void **state)
{
    struct lethe_error err = {0};
    struct registry *registry;
    const struct home *home = *state;
    must_make_home(home);
    struct keeper *keeper = must_open_home(home);
    struct lease_row one = lease_row_of(1, ANNA, "acme", NODE_A);
    struct lease_row two = lease_row_of(2, CARL, "widgets", NODE_B);
    struct revoked_row revoked = {.id = BERT, .reason = "stolen"};
    two.state = LEASE_LOST;
    put_provider(keeper, NODE_B);
    put_provider(keeper, NODE_A);
    put_lease(keeper, &two);
    put_lease(keeper, &one);
    struct put put = {0};
    revoked_row_path(BERT, put.path);
    revoked_row_format(&revoked, &put.bytes);
    store_one(keeper, &put);
    struct quota_row quota = {.tenant = "acme", .bytes = 77};
    quota_row_path("acme", put.path);
    quota_row_format(&quota, &put.bytes);
    store_one(keeper, &put);

    assert_ok(load(keeper, &registry, &err), &err);
    assert_int_equal(2, registry_provider_count(registry));
    assert_int_equal(PROVIDER_UNREACHABLE, registry_find_provider(registry, NODE_A)->state);
    struct pool_lease *lease = registry_find_lease(registry, &one.lease);
    struct lease_row again;
    registry_lease_row(lease, &again);
    assert_memory_equal(&one.lease, &again.lease, sizeof again.lease);
    assert_string_equal(ANNA, again.consumer);
    assert_string_equal("acme", again.tenant);
    assert_string_equal(NODE_A, again.provider);
    assert_int_equal(one.granted_ms, again.granted_ms);
    assert_true(lease->durable);
    assert_int_equal(1 << 20, registry_find_tenant(registry, "acme")->held_bytes);
    assert_int_equal(77, registry_find_tenant(registry, "acme")->quota_bytes);
    assert_int_equal(0, registry_find_tenant(registry, "widgets")->held_bytes); /* lost */
    assert_string_equal("stolen", registry_find_revoked(registry, BERT)->reason);
    assert_null(registry_find_revoked(registry, ANNA));
    assert_int_equal(2, registry_find_provider(registry, NODE_B)->generation);
    registry_free(registry);
    must_close_home(keeper);
}

static void assert_damaged(struct keeper *keeper, const char *word)
{
    struct lethe_error err = {0};
    struct registry *registry;
    assert_result(LETHE_INTEGRITY, load(keeper, &registry, &err));
    assert_non_null(strstr(err.text, word));
    registry_free(registry);
}

static void test_rows_that_cannot_be_are_named(void **state)
{
    const struct home *home = *state;
    must_make_home(home);
    struct keeper *keeper = must_open_home(home);
    struct lease_row row = lease_row_of(1, ANNA, "acme", NODE_A);
    put_lease(keeper, &row);
    assert_damaged(keeper, "provider"); /* no row of it */
    put_provider(keeper, NODE_A);
    struct lease_row other = lease_row_of(2, ANNA, "acme", NODE_A);
    struct put put = {0};
    lease_row_path(&row.lease, put.path);
    lease_row_format(&other, &put.bytes); /* at the place of the first */
    store_one(keeper, &put);
    assert_damaged(keeper, "pool/leases/01");
    put_lease(keeper, &row);
    strcpy(put.path, "pool/leases/00");
    buffer_text(&put.bytes, "nonsense");
    store_one(keeper, &put);
    assert_damaged(keeper, "pool/leases/00");
    must_close_home(keeper);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_taken_whole_or_not_at_all),
        cmocka_unit_test(test_a_lease_that_none_can_be_is_no_row),
        ON_HOME(test_a_registry_is_what_its_rows_say),
        ON_HOME(test_rows_that_cannot_be_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
