#include "check.h"

#include "mem/guarded.h"

static size_t wiped_regions;

static void count_wiped(void *context, const struct lethe_wipe_report *report)
{
    assert_true(report->verified);
    wiped_regions++;
}

/* Z-1: what grows leaves nothing behind: the old pages are wiped before they are given back. */
static void test_growing_wipes_what_was_before(void **state)
{
    const struct lethe_mem_observer observer = {.region_wiped = count_wiped};
    CLEANUP(guarded_clear) struct guarded text = {0};
    lethe_mem_observe(&observer);
    wiped_regions = 0;
    for (size_t i = 0; i < 10000; i++)
        guarded_append(&text, "0123456789", 10);
    assert_int_equal(guarded_result(&text, NULL), LETHE_OK);
    assert_int_equal(text.size_bytes, 100000);
    for (size_t i = 0; i < text.size_bytes; i++)
        assert_int_equal(text.bytes[i], '0' + i % 10);
    assert_true(wiped_regions >= 2);
    lethe_mem_observe(NULL);
}

static void test_emptying_wipes_and_keeps_the_memory(void **state)
{
    CLEANUP(guarded_clear) struct guarded text = {0};
    guarded_text(&text, "secret");
    const uint8_t *at = text.bytes;
    assert_false(lethe_is_zero(at, 6)); /* the control: it was there */
    guarded_wipe(&text);
    assert_true(lethe_is_zero(at, text.capacity_bytes));
    guarded_text(&text, "more");
    assert_ptr_equal(text.bytes, at);
}

static void test_consuming_moves_and_wipes(void **state)
{
    CLEANUP(guarded_clear) struct guarded text = {0};
    guarded_text(&text, "firstsecond");
    guarded_consume(&text, 5);
    assert_int_equal(text.size_bytes, 6);
    assert_memory_equal(text.bytes, "second", 6);
    assert_true(lethe_is_zero(text.bytes + 6, text.capacity_bytes - 6));
    guarded_truncate(&text, 2);
    assert_true(lethe_is_zero(text.bytes + 2, text.capacity_bytes - 2));
}

static void test_pieces(void **state)
{
    CLEANUP(guarded_clear) struct guarded text = {0};
    guarded_format(&text, "%d-%s", 12, "x");
    guarded_base64(&text, "\xff\xff\xff\xff", 4);
    guarded_base64(&text, "", 0);
    assert_memory_equal(text.bytes, "12-x/////w==", 12);
    assert_int_equal(text.size_bytes, 12);
}

static void test_the_first_failure_stays(void **state)
{
    CLEANUP(guarded_clear) struct guarded text = {0};
    guarded_text(&text, "a");
    assert_null(guarded_extend(&text, GUARDED_LIMIT_BYTES));
    guarded_text(&text, "b");
    assert_int_equal(text.size_bytes, 1);
    assert_int_equal(guarded_result(&text, NULL), LETHE_LIMIT);
    assert_null(guarded_extend(&text, SIZE_MAX));
    guarded_wipe(&text);
    guarded_text(&text, "c");
    assert_int_equal(guarded_result(&text, NULL), LETHE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growing_wipes_what_was_before),
        cmocka_unit_test(test_emptying_wipes_and_keeps_the_memory),
        cmocka_unit_test(test_consuming_moves_and_wipes),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_the_first_failure_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
