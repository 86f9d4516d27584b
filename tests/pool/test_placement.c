#include "check.h"

#include "pool/placement.h"

#define KIB 1024u

static void test_nobody_has_room(void **state)
{
    const struct placement_candidate none[] = {
        {"a", 4 * KIB - 1, 0, true}, {"b", 4 * KIB, 0, false}, /* draining, gone, or tried */
    };
    assert_int_equal(PLACEMENT_NONE, placement_best(none, 2, 4 * KIB));
    assert_int_equal(PLACEMENT_NONE, placement_best(none, 0, 0));
    assert_int_equal(0, placement_best(none, 2, 4 * KIB - 1)); /* the control */
}

static void test_the_most_free_first_then_fewest_leases_then_by_name(void **state)
{
    const struct placement_candidate candidates[] = {
        {"d", 100, 2, true}, {"c", 100, 1, true}, {"b", 100, 1, true}, {"a", 99, 0, true}};
    assert_int_equal(2, placement_best(candidates, 4, 10));
    assert_int_equal(1, placement_best(candidates, 2, 10));
    assert_int_equal(0, placement_best(candidates, 1, 10));
}

/* P-13: no two copies of an allocation on one provider, whatever is free where. */
static void test_copies_are_on_different_providers(void **state)
{
    struct placement_candidate candidates[8];
    char names[8][2] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (size_t i = 0; i < ARRAY_LEN(candidates); i++)
        candidates[i] = (struct placement_candidate){names[i], 1000 - i % 3, (uint32_t)i, true};
    for (size_t copy = 0; copy < ARRAY_LEN(candidates); copy++) {
        size_t best = placement_best(candidates, ARRAY_LEN(candidates), 1);
        assert_true(best < ARRAY_LEN(candidates));
        assert_true(candidates[best].usable);
        candidates[best].usable = false;
    }
    assert_int_equal(PLACEMENT_NONE, placement_best(candidates, ARRAY_LEN(candidates), 1));
}

static void test_a_lease_needs_its_blocks_and_pages_of_tags(void **state)
{
    assert_int_equal(64 * KIB + 4 * KIB, placement_need(64 * KIB, 64 * KIB));
    assert_int_equal(1024 * KIB + 4 * KIB, placement_need(1024 * KIB, 4 * KIB));
    assert_int_equal(1028 * KIB + 8 * KIB, placement_need(1028 * KIB, 4 * KIB));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_has_room),
        cmocka_unit_test(test_the_most_free_first_then_fewest_leases_then_by_name),
        cmocka_unit_test(test_copies_are_on_different_providers),
        cmocka_unit_test(test_a_lease_needs_its_blocks_and_pages_of_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
