/* Regions: their shape, their guards, opening and closing, and what freeing does. */
#include "check.h"

#include <sys/mman.h>

#include <lethe/mem.h>

#include "child.h"
#include "mem/host.h"
#include "mem/slab.h"

static struct lethe_region *must_create(size_t size_bytes, enum lethe_class class_)
{
    struct lethe_region_options options = {
        .class_ = class_,
        .label = {.tenant = "tenant-a", .session = "session-1", .id = "block-7"},
    };
    struct lethe_error err = {0};
    struct lethe_region *region;
    assert_ok(lethe_region_create(size_bytes, &options, &region, &err), &err);
    return region;
}

/* ---- an observer that remembers what it heard and saw ---------------------------------------- */

static struct {
    unsigned reports;
    struct lethe_wipe_report last;
    struct lethe_label label;
    struct lethe_region *watched; /* read at the time of the report */
    bool watched_was_zero;
    struct lethe_region **slot; /* for replace */
    struct lethe_region *in_slot;
} heard;

static void on_region_wiped(void *context, const struct lethe_wipe_report *report)
{
    assert_ptr_equal(context, &heard);
    heard.reports++;
    heard.last = *report;
    heard.label = *report->label;
    if (heard.slot != NULL)
        heard.in_slot = *heard.slot;
    if (heard.watched != NULL) {
        lethe_region_open(heard.watched);
        heard.watched_was_zero =
            lethe_is_zero(lethe_region_bytes(heard.watched), lethe_region_size(heard.watched));
        lethe_region_close(heard.watched);
    }
}

static int listen(void **state)
{
    memset(&heard, 0, sizeof heard);
    lethe_mem_observe(&(struct lethe_mem_observer){on_region_wiped, NULL, &heard});
    return 0;
}

static int stop_listening(void **state)
{
    host.wipe = lethe_wipe;
    lethe_mem_observe(NULL);
    return 0;
}

/* ---- shape ----------------------------------------------------------------------------------- */

static void sizes_are_rounded_up_to_pages_and_zeroed(void **state)
{
    const size_t sizes[][2] = {{1, 4096}, {4096, 4096}, {4097, 8192}, {1000000, 1003520}};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct lethe_region *region = must_create(sizes[i][0], LETHE_CLASS_CONTENT);
        assert_int_equal(lethe_region_size(region), sizes[i][1]);
        assert_int_equal((uintptr_t)lethe_region_bytes(region) % 4096, 0);
        assert_true(lethe_is_zero(lethe_region_bytes(region), sizes[i][1]));
        memset(lethe_region_bytes(region), 1, sizes[i][1]);
        lethe_region_free(region);
    }
    lethe_region_free(NULL);
}

static void impossible_requests_are_refused(void **state)
{
    struct lethe_region_options options = {.class_ = LETHE_CLASS_CONTENT};
    struct lethe_error err;
    const size_t sizes[] = {0, ((size_t)1 << 40) + 1, SIZE_MAX};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct lethe_region *region = (struct lethe_region *)&err;
        assert_result(LETHE_INVALID, lethe_region_create(sizes[i], &options, &region, &err));
        assert_null(region);
    }
    struct lethe_region *region;
    options.class_ = (enum lethe_class)17;
    assert_result(LETHE_INVALID, lethe_region_create(1, &options, &region, &err));
    options.class_ = LETHE_CLASS_KEY;
    memset(options.label.id, 'x', sizeof options.label.id);
    assert_result(LETHE_INVALID, lethe_region_create(1, &options, &region, &err));
}

/* Z-1 */
static void classes_have_names(void **state)
{
    assert_string_equal(lethe_class_name(LETHE_CLASS_KEY), "key");
    assert_string_equal(lethe_class_name(LETHE_CLASS_WEIGHTS), "weights");
    assert_string_equal(lethe_class_name(LETHE_CLASS_OPTIMIZER), "optimizer");
    assert_string_equal(lethe_class_name(LETHE_CLASS_CONTENT), "content");
    assert_string_equal(lethe_class_name((enum lethe_class)99), "unknown");
    assert_string_equal(lethe_locked_by_name(LETHE_LOCKED_BY_MLOCK), "mlock");
    assert_string_equal(lethe_locked_by_name((enum lethe_locked_by)99), "unknown");
}

static void large_regions_start_at_huge_pages(void **state)
{
    struct lethe_region_options options = {.class_ = LETHE_CLASS_WEIGHTS, .huge_pages = true};
    struct lethe_error err = {0};
    struct lethe_region *region;
    size_t huge = (size_t)2 << 20;
    assert_ok(lethe_region_create(2 * huge + 1, &options, &region, &err), &err);
    assert_int_equal((uintptr_t)lethe_region_bytes(region) % huge, 0);
    assert_int_equal(lethe_region_size(region), 2 * huge + 4096);
    memset(lethe_region_bytes(region), 1, lethe_region_size(region));
    lethe_region_free(region);
}

/* ---- guards ---------------------------------------------------------------------------------- */

static void write_byte(void *address)
{
    *(volatile uint8_t *)address = 1;
}

static void read_byte(void *address)
{
    (void)*(volatile uint8_t *)address;
}

/* Of /proc/self/smaps only the begin is read then; the kernel counts pages of all that it prints.
 */
static void newer_regions_lie_below_all_else(void **state)
{
    static const char in_the_program;
    struct lethe_region *older = must_create(1, LETHE_CLASS_WEIGHTS);
    struct lethe_region *newer = must_create(1, LETHE_CLASS_WEIGHTS);
    const void *heap = malloc(1);
    assert_true(lethe_region_bytes(newer) < lethe_region_bytes(older));
    assert_true((uintptr_t)lethe_region_bytes(older) < (uintptr_t)&in_the_program);
    assert_true((uintptr_t)lethe_region_bytes(older) < (uintptr_t)heap);
    free((void *)heap);
    lethe_region_free(older);
    lethe_region_free(newer);
}

static void pages_around_a_region_fault(void **state)
{
    const enum lethe_class classes[] = {LETHE_CLASS_WEIGHTS, LETHE_CLASS_CONTENT};
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        struct lethe_region *region = must_create(3 * 4096, classes[i]);
        uint8_t *bytes = lethe_region_bytes(region);
        assert_child_succeeds(write_byte, bytes); /* inside: the control */
        assert_child_succeeds(write_byte, bytes + 3 * 4096 - 1);
        assert_child_dies(write_byte, bytes - 1, SIGSEGV, "");
        assert_child_dies(write_byte, bytes + 3 * 4096, SIGSEGV, "");
        assert_child_dies(read_byte, bytes - 4096, SIGSEGV, "");
        assert_child_dies(read_byte, bytes + 4 * 4096 - 1, SIGSEGV, "");
        lethe_region_free(region);
    }
}

/* Nothing else can come to lie next to a region, because the guards are mappings of their own. */
static void guards_keep_neighbours_away(void **state)
{
    struct lethe_region *region = must_create(3 * 4096, LETHE_CLASS_CONTENT);
    uint8_t *bytes = lethe_region_bytes(region);
    uint8_t *const guards[] = {bytes - 4096, bytes + 3 * 4096};
    for (size_t i = 0; i < ARRAY_LEN(guards); i++)
        assert_ptr_equal(mmap(guards[i], 4096, PROT_READ,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
                         MAP_FAILED);
    lethe_region_free(region);
}

/* A key region is not there in a child, so the child makes its own. */
static void write_at_offset_of_key_region(void *offset)
{
    struct lethe_region *region;
    struct lethe_region_options options = {.class_ = LETHE_CLASS_KEY};
    child_require(lethe_region_create(4096, &options, &region, NULL) == LETHE_OK);
    lethe_region_open(region);
    write_byte((uint8_t *)lethe_region_bytes(region) + (intptr_t)offset);
    lethe_region_close(region);
    lethe_region_free(region);
}

static void pages_around_a_key_region_fault(void **state)
{
    assert_child_succeeds(write_at_offset_of_key_region, (void *)0);
    assert_child_succeeds(write_at_offset_of_key_region, (void *)4095);
    assert_child_dies(write_at_offset_of_key_region, (void *)-1, SIGSEGV, "");
    assert_child_dies(write_at_offset_of_key_region, (void *)4096, SIGSEGV, "");
}

/* ---- open and close -------------------------------------------------------------------------- */

static void touch_closed_key_region(void *opens)
{
    struct lethe_region *region;
    struct lethe_region_options options = {.class_ = LETHE_CLASS_KEY};
    child_require(lethe_region_create(4096, &options, &region, NULL) == LETHE_OK);
    for (intptr_t i = 0; i < (intptr_t)opens; i++)
        lethe_region_open(region);
    for (intptr_t i = 0; i < (intptr_t)opens - 1; i++)
        lethe_region_close(region);
    if ((intptr_t)opens > 0)
        write_byte(lethe_region_bytes(region)); /* still open once */
    for (intptr_t i = 0; i < MIN((intptr_t)opens, 1); i++)
        lethe_region_close(region);
    fputs("closed", stderr);
    read_byte(lethe_region_bytes(region));
}

static void key_regions_are_closed_unless_opened(void **state)
{
    assert_child_dies(touch_closed_key_region, (void *)0, SIGSEGV, "closed");
    assert_child_dies(touch_closed_key_region, (void *)1, SIGSEGV, "closed");
    assert_child_dies(touch_closed_key_region, (void *)3, SIGSEGV, "closed");
}

static void content_survives_closing(void **state)
{
    struct lethe_region *region = must_create(8192, LETHE_CLASS_KEY);
    lethe_region_open(region);
    pattern_fill(lethe_region_bytes(region), 8192, 21);
    lethe_region_close(region);
    lethe_region_open(region);
    assert_int_equal(pattern_count(lethe_region_bytes(region), 8192, 21), 1);
    lethe_region_close(region);
    lethe_region_free(region);
}

static void close_once_more_than_opened(void *unused)
{
    struct lethe_region *region;
    struct lethe_region_options options = {.class_ = LETHE_CLASS_KEY};
    child_require(lethe_region_create(4096, &options, &region, NULL) == LETHE_OK);
    lethe_region_close(region);
}

static void closing_more_often_than_opening_aborts(void **state)
{
    assert_child_dies(close_once_more_than_opened, NULL, SIGABRT, "broken precondition");
}

/* ---- wipe and free --------------------------------------------------------------------------- */

/* Z-8: size, class, label, duration, verified; at the time of the report the bytes are zero. */
static void freeing_wipes_and_reports(void **state)
{
    for (int class_ = LETHE_CLASS_KEY; class_ <= LETHE_CLASS_CONTENT; class_++) {
        listen(state);
        struct lethe_region *region = must_create(20000, (enum lethe_class)class_);
        heard.watched = region;
        lethe_region_open(region);
        pattern_fill(lethe_region_bytes(region), lethe_region_size(region), 31);
        assert_false(lethe_is_zero(lethe_region_bytes(region), lethe_region_size(region)));
        lethe_region_close(region);
        lethe_region_free(region);
        assert_int_equal(heard.reports, 1);
        assert_true(heard.watched_was_zero);
        assert_true(heard.last.verified);
        assert_int_equal(heard.last.class_, class_);
        assert_int_equal(heard.last.size_bytes, 20480);
        assert_true(heard.last.duration_ns > 0);
        assert_string_equal(heard.label.tenant, "tenant-a");
        assert_string_equal(heard.label.session, "session-1");
        assert_string_equal(heard.label.id, "block-7");
    }
}

static void wiping_in_place_leaves_a_usable_region(void **state)
{
    struct lethe_region *region = must_create(5000, LETHE_CLASS_OPTIMIZER);
    struct lethe_error err = {0};
    pattern_fill(lethe_region_bytes(region), 5000, 41);
    assert_ok(lethe_region_wipe(region, &err), &err);
    assert_int_equal(heard.reports, 1);
    assert_true(lethe_is_zero(lethe_region_bytes(region), lethe_region_size(region)));
    pattern_fill(lethe_region_bytes(region), 5000, 41);
    lethe_region_free(region);
    assert_int_equal(heard.reports, 2);
}

static void read_freed_region(void *unused)
{
    struct lethe_region *region = must_create(4096, LETHE_CLASS_CONTENT);
    volatile uint8_t *bytes = lethe_region_bytes(region);
    lethe_region_free(region);
    fputs("freed", stderr);
    (void)*bytes;
}

static void freed_memory_is_unmapped(void **state)
{
    assert_child_dies(read_freed_region, NULL, SIGSEGV, "freed");
}

/* A wipe that misses one byte, as a compiler or a cosmic ray might make it. */
static void wipe_all_but_one_byte(void *memory, size_t size_bytes)
{
    lethe_wipe(memory, size_bytes);
    ((uint8_t *)memory)[size_bytes / 2] = 1;
}

static void a_failed_wipe_is_noticed(void **state)
{
    struct lethe_region *region = must_create(8192, LETHE_CLASS_WEIGHTS);
    struct lethe_error err;
    host.wipe = wipe_all_but_one_byte;
    assert_result(LETHE_UNWIPED, lethe_region_wipe(region, &err));
    assert_false(heard.last.verified);
    assert_non_null(strstr(err.text, "not zero"));

    /* Freed all the same, it stays mapped but out of reach. */
    uint8_t *bytes = lethe_region_bytes(region);
    lethe_region_free(region);
    assert_int_equal(heard.reports, 2);
    assert_false(heard.last.verified);
    struct child child = run_child(read_byte, bytes);
    assert_int_equal(child.signal, SIGSEGV);
    assert_int_equal(mprotect(bytes, 8192, PROT_READ), 0);
    assert_int_equal(bytes[4096], 1);
}

static void free_badly_with_nobody_listening(void *unused)
{
    lethe_mem_observe(NULL);
    struct lethe_region *region = must_create(4096, LETHE_CLASS_CONTENT);
    host.wipe = wipe_all_but_one_byte;
    lethe_region_free(region);
}

static void a_failed_wipe_that_nobody_hears_of_aborts(void **state)
{
    assert_child_dies(free_badly_with_nobody_listening, NULL, SIGABRT, "observer");
}

/* ---- replace --------------------------------------------------------------------------------- */

/* Z-5: when the old content is wiped, nobody can see the new one yet. */
static void replacing_wipes_the_old_before_the_new_is_seen(void **state)
{
    struct lethe_error err = {0};
    struct lethe_region *current = must_create(4096, LETHE_CLASS_OPTIMIZER);
    struct lethe_region *next = must_create(8192, LETHE_CLASS_OPTIMIZER);
    pattern_fill(lethe_region_bytes(current), 4096, 51);
    pattern_fill(lethe_region_bytes(next), 8192, 52);
    heard.watched = current;
    heard.slot = &current;
    heard.in_slot = next;
    assert_ok(lethe_region_replace(&current, next, &err), &err);
    assert_int_equal(heard.reports, 1);
    assert_int_equal(heard.last.size_bytes, 4096);
    assert_true(heard.watched_was_zero);
    assert_null(heard.in_slot);
    assert_ptr_equal(current, next);
    assert_int_equal(pattern_count(lethe_region_bytes(current), 8192, 52), 1);
    heard.watched = NULL;
    lethe_region_free(current);
}

static void replacing_nothing_only_puts(void **state)
{
    struct lethe_error err = {0};
    struct lethe_region *current = NULL;
    struct lethe_region *next = must_create(4096, LETHE_CLASS_OPTIMIZER);
    assert_ok(lethe_region_replace(&current, next, &err), &err);
    assert_int_equal(heard.reports, 0);
    assert_ptr_equal(current, next);
    lethe_region_free(current);
}

static unsigned wipes_left_bad;

static void wipe_badly_at_first(void *memory, size_t size_bytes)
{
    lethe_wipe(memory, size_bytes);
    if (wipes_left_bad > 0 && wipes_left_bad-- > 0)
        *(uint8_t *)memory = 1;
}

/* Z-5 */
static void replacing_fails_when_the_old_cannot_be_wiped(void **state)
{
    struct lethe_error err;
    struct lethe_region *current = must_create(4096, LETHE_CLASS_OPTIMIZER);
    struct lethe_region *next = must_create(8192, LETHE_CLASS_OPTIMIZER);
    host.wipe = wipe_badly_at_first;
    wipes_left_bad = 1;
    assert_result(LETHE_UNWIPED, lethe_region_replace(&current, next, &err));
    assert_null(current);
    assert_int_equal(heard.reports, 2); /* the old one, in vain; and the new one */
    assert_true(heard.last.verified);
    assert_int_equal(heard.last.size_bytes, 8192);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_rounded_up_to_pages_and_zeroed),
        cmocka_unit_test(impossible_requests_are_refused),
        cmocka_unit_test(classes_have_names),
        cmocka_unit_test(large_regions_start_at_huge_pages),
        cmocka_unit_test(newer_regions_lie_below_all_else),
        cmocka_unit_test(pages_around_a_region_fault),
        cmocka_unit_test(guards_keep_neighbours_away),
        cmocka_unit_test(pages_around_a_key_region_fault),
        cmocka_unit_test(key_regions_are_closed_unless_opened),
        cmocka_unit_test(content_survives_closing),
        cmocka_unit_test(closing_more_often_than_opening_aborts),
        cmocka_unit_test_setup_teardown(freeing_wipes_and_reports, listen, stop_listening),
        cmocka_unit_test_setup_teardown(wiping_in_place_leaves_a_usable_region, listen,
                                        stop_listening),
        cmocka_unit_test(freed_memory_is_unmapped),
        cmocka_unit_test_setup_teardown(a_failed_wipe_is_noticed, listen, stop_listening),
        cmocka_unit_test(a_failed_wipe_that_nobody_hears_of_aborts),
        cmocka_unit_test_setup_teardown(replacing_wipes_the_old_before_the_new_is_seen, listen,
                                        stop_listening),
        cmocka_unit_test_setup_teardown(replacing_nothing_only_puts, listen, stop_listening),
        cmocka_unit_test_setup_teardown(replacing_fails_when_the_old_cannot_be_wiped, listen,
                                        stop_listening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
