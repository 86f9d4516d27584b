/* How much one process may use of a device. A limit once set stays, so this is a program of its
 * own. */
#include "device_check.h"

#include <stdatomic.h>

#define LIMIT ((uint64_t)1 << 20)

/* RP-001, RP-003, RP-004 */
static void the_smallest_limit_counts(void **state)
{
    struct device_capacity capacity;
    device_capacity(under_test.device, &capacity);
    assert_refused(LETHE_INVALID, device_set_limit(under_test.device, 0, &err), NULL);
    assert_refused(LETHE_INVALID,
                   device_set_limit(under_test.device, capacity.limit_bytes + 1, &err), NULL);
    assert_refused(LETHE_INVALID, device_set_limit(under_test.device, UINT64_MAX, &err), NULL);
    assert_ok(device_set_limit(under_test.device, LIMIT, &err), &err);
    assert_ok(device_set_limit(under_test.device, 2 * LIMIT, &err), &err); /* no larger again */
    device_capacity(under_test.device, &capacity);
    assert_int_equal(capacity.limit_bytes, LIMIT);
    assert_int_equal(capacity.available_bytes, LIMIT);
}

/* RP-001, RP-002: filled to the last byte, not one more, and all of it comes back. */
static void a_device_can_be_filled_and_no_more(void **state)
{
    struct device_memory *most = memory_of(LIMIT - 1), *last = memory_of(1), *none;
    const struct device_request one = request_of(1);
    assert_refused(LETHE_NO_MEMORY, device_alloc(under_test.device, &one, &none, &err), most);
    assert_non_null(strstr(err.text, "1 bytes are needed, 0 of 1048576"));
    free_ok(last);
    last = memory_of(1);
    free_ok(last);
    free_ok(most);
    free_ok(memory_of(LIMIT));
    assert_int_equal(used_bytes(), 0);
}

#define THREADS 4u
#define PIECE (LIMIT / 8)

static atomic_uint_fast64_t held, most_held, refusals;

static void *fill(void *context)
{
    struct lethe_error own = {0};
    for (unsigned i = 0; i < 200; i++) {
        struct device_memory *memories[3] = {NULL};
        for (size_t m = 0; m < ARRAY_LEN(memories); m++) {
            const struct device_request request = request_of(PIECE);
            if (device_alloc(under_test.device, &request, &memories[m], &own) != LETHE_OK) {
                atomic_fetch_add(&refusals, 1);
                continue;
            }
            uint64_t now = atomic_fetch_add(&held, PIECE) + PIECE;
            uint64_t most = atomic_load(&most_held);
            while (now > most && !atomic_compare_exchange_weak(&most_held, &most, now))
                ;
        }
        for (size_t m = 0; m < ARRAY_LEN(memories); m++) {
            if (memories[m] == NULL)
                continue;
            atomic_fetch_sub(&held, PIECE);
            if (device_free(memories[m], &own) != LETHE_OK)
                return context;
        }
    }
    return NULL;
}

/* RP-001: twelve pieces are wanted where eight fit. */
static void threads_together_never_get_more(void **state)
{
    pthread_t threads[THREADS];
    atomic_store(&most_held, 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fill, (void *)&held), 0);
    assert_joined(threads, ARRAY_LEN(threads));
    assert_true(atomic_load(&most_held) > 0 && atomic_load(&most_held) <= LIMIT);
    assert_int_equal(used_bytes(), 0);
    assert_int_equal(atomic_load(&held), 0);
}

DEVICE_TESTS(capacity, cmocka_unit_test(the_smallest_limit_counts),
             cmocka_unit_test(a_device_can_be_filled_and_no_more),
             cmocka_unit_test(threads_together_never_get_more));
