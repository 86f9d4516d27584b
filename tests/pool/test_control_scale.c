/* 1,000 consumers of ten tenants, with 16 leases each. Times are printed, and not asserted. */
#include "check.h"

#include <time.h>

#include "../crypto/crypto_check.h"
#include "control_check.h"

#include "base/clock.h"
#include "base/error.h"

#define CONSUMERS (HAS_SANITIZER ? 200u : 1000u) /* sanitizers take each step's time tenfold */
#define LEASES_EACH 16u
#define TENANTS 10u
#define AT_ONCE 50u

static struct check check;
static struct lethe_error err;
static struct node node;
static struct asker eva, askers[AT_ONCE];

static void name_consumer(unsigned number, char out[64])
{
    snprintf(out, 64, "spiffe://example.org/tenant/t%u/consumer-%u", number % TENANTS, number);
}

static char *make_data(void)
{
    struct buffer out = {0};
    char id[64];
    buffer_text(&out,
                "{\"pool\":{\"operators\":{\"" EVA "\":{\"may\":[\"status\"]}},\"consumers\":{");
    for (unsigned i = 0; i < CONSUMERS; i++) {
        name_consumer(i, id);
        buffer_format(&out, "%s\"%s\":{\"max_bytes\":1073741824}", i > 0 ? "," : "", id);
    }
    buffer_text(&out, "},\"providers\":{\"" NODE_A "\":{\"max_bytes\":1099511627776,\"tenants\":[");
    for (unsigned i = 0; i < TENANTS; i++)
        buffer_format(&out, "%s\"t%u\"", i > 0 ? "," : "", i);
    buffer_text(&out, "]}}}}");
    assert_result(LETHE_OK, buffer_result(&out, &err));
    return out.bytes;
}

static double seconds_since(uint64_t start_ns)
{
    return (double)(clock_monotonic_ns(&clock_system) - start_ns) / 1e9;
}

static void send_allocations(struct asker *asker)
{
    const struct wire_allocate wanted = {BLOCK, BLOCK, 60000, 1};
    CLEANUP(buffer_clear) struct buffer index = {0};
    wire_allocate_write(&wanted, &index);
    for (unsigned i = 0; i < LEASES_EACH; i++)
        assert_true(asker_send(asker, WIRE_ALLOCATE, &index) > 0);
}

static double allocate_batch(unsigned first)
{
    char id[64];
    for (unsigned i = 0; i < AT_ONCE; i++) {
        name_consumer(first + i, id);
        asker_open(&check, &askers[i], id, WIRE_CONSUMER);
    }
    uint64_t start_ns = clock_monotonic_ns(&clock_system);
    for (unsigned i = 0; i < AT_ONCE; i++)
        send_allocations(&askers[i]);
    for (unsigned i = 0; i < AT_ONCE; i++)
        assert_ok(asker_answer(&askers[i], &err), &err);
    double took = seconds_since(start_ns);
    for (unsigned i = 0; i < AT_ONCE; i++)
        asker_close(&askers[i]);
    return took;
}

static void test_a_thousand_consumers_with_sixteen_leases_each(void **state)
{
    double allocating = 0;
    char *data = make_data();
    check.data = data;
    check.limits = (struct control_limits){.unreachable_ms = 120000};
    uint64_t start_ns = clock_monotonic_ns(&clock_system);
    check_setup(&check, state);
    node_init(&node, NODE_A, 4096 * MIB);
    assert_ok(node_join(&check, &node, &err), &err);
    for (unsigned i = 0; i < CONSUMERS; i += AT_ONCE)
        allocating += allocate_batch(i);
    assert_int_equal(CONSUMERS * LEASES_EACH, node_running(&node));
    print_message("%u leases: %.2f s with connecting, %.2f s without; %.2f s of CPU\n",
                  CONSUMERS * LEASES_EACH, seconds_since(start_ns), allocating,
                  (double)clock() / CLOCKS_PER_SEC);

    check_stop(&check);
    start_ns = clock_monotonic_ns(&clock_system);
    check_start(&check);
    print_message("started with them: %.2f s\n", seconds_since(start_ns));
    start_ns = clock_monotonic_ns(&clock_system);
    assert_ok(node_join(&check, &node, &err), &err);
    print_message("joined with them: %.2f s\n", seconds_since(start_ns));
    assert_int_equal(0, node.stops);

    start_ns = clock_monotonic_ns(&clock_system);
    asker_open(&check, &eva, EVA, WIRE_OPERATOR);
    const char *status = ask_status(&eva);
    print_message("status of %.1f MB: %.2f s\n", (double)strlen(status) / 1e6,
                  seconds_since(start_ns));
    size_t shown = 0;
    for (const char *at = status; (at = strstr(at, "{\"lease\":")) != NULL; at++)
        shown++;
    assert_int_equal(CONSUMERS * LEASES_EACH, shown);

    node.boot_id[0]++; /* P-7 */
    node.lease_count = 0;
    asker_close(&node.asker);
    start_ns = clock_monotonic_ns(&clock_system);
    assert_ok(node_join(&check, &node, &err), &err);
    print_message("all of them lost: %.2f s\n", seconds_since(start_ns));
    node_clear(&node);
    asker_close(&eva);
    check_teardown(&check);
    free(data);
    assert_int_equal(0, count_rows(*state, "pool/leases/"));
    assert_int_equal(CONSUMERS * LEASES_EACH, count_records(*state, "lease_lost", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_HOME(test_a_thousand_consumers_with_sixteen_leases_each),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
