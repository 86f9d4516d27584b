#include "check.h"

#include <malloc.h>
#include <stdlib.h>

#include "failing_memory.h"
#include "policy/arena.h"

FAILS(malloc)

#define SECRET "0123456789 a name of a person"

/* What is given back is looked at, just before it is. */
static size_t secrets_given_back;

static bool holds_secret(const char *bytes, size_t size_bytes)
{
    return memmem(bytes, size_bytes, SECRET, strlen(SECRET)) != NULL;
}

void __real_free(void *memory);
void __wrap_free(void *memory);
void __wrap_free(void *memory)
{
    if (memory != NULL && holds_secret(memory, malloc_usable_size(memory)))
        secrets_given_back++;
    __real_free(memory);
}

/* ---- allocating ---- */

static void memory_is_aligned_and_apart(void **state)
{
    struct arena arena = {0};
    char *last_end = NULL;
    for (size_t size = 0; size < 300; size++) {
        char *room = arena_alloc(&arena, size);
        assert_non_null(room);
        assert_int_equal((uintptr_t)room % 8, 0);
        assert_true(last_end == NULL || room >= last_end || room + size <= last_end - size);
        memset(room, (int)size, size);
        last_end = room + size;
    }
    assert_true(arena.used_bytes >= 300 * 299 / 2);
    arena_clear(&arena);
    assert_int_equal(arena.used_bytes, 0);
}

static void zeroed_memory_is_zero_and_copies_end_in_nul(void **state)
{
    struct arena arena = {0};
    arena_alloc(&arena, 8);
    memset(arena.at, 0xff, (size_t)(arena.end - arena.at));
    const char *zeros = arena_zalloc(&arena, 50, 40);
    for (size_t i = 0; i < 2000; i++)
        assert_int_equal(zeros[i], 0);
    assert_string_equal(arena_copy(&arena, "abc", 2), "ab");
    assert_string_equal(arena_copy(&arena, NULL, 0), "");
    arena_clear(&arena);
}

static void the_newest_grows_in_place_and_others_move(void **state)
{
    struct arena arena = {0};
    char *text = arena_copy(&arena, "abc", 3);
    assert_ptr_equal(arena_grow(&arena, text, 4, 100), text);
    assert_ptr_equal(arena_grow(&arena, text, 100, 101), text);
    char *behind = arena_alloc(&arena, 1);
    assert_true(behind >= text + 101);
    char *moved = arena_grow(&arena, text, 101, 200);
    assert_ptr_not_equal(moved, text);
    assert_string_equal(moved, "abc");
    char *large = arena_grow(&arena, moved, 200, (size_t)3 << 20);
    assert_string_equal(large, "abc");
    assert_non_null(arena_grow(&arena, NULL, 0, 10));
    arena_clear(&arena);
}

/* ---- limits ---- */

static void nothing_is_given_over_the_limit_and_after_that_nothing_at_all(void **state)
{
    struct lethe_error err = {0};
    struct arena arena = {.limit_bytes = 1000};
    assert_non_null(arena_alloc(&arena, 1000));
    assert_ok(arena_result(&arena, &err), &err);
    assert_null(arena_alloc(&arena, 1));
    assert_result(LETHE_LIMIT, arena_result(&arena, &err));
    assert_non_null(strstr(err.text, "1000 bytes"));
    assert_null(arena_alloc(&arena, 0));
    assert_null(arena_copy(&arena, "", 0));
    assert_null(arena_zalloc(&arena, 1, 1));
    assert_null(arena_grow(&arena, NULL, 0, 1));
    arena_clear(&arena);
    assert_int_equal(arena.limit_bytes, 1000);
    assert_non_null(arena_alloc(&arena, 1000));
    arena_clear(&arena);
}

static void growing_in_place_counts_too(void **state)
{
    struct arena arena = {.limit_bytes = 1000};
    void *room = arena_alloc(&arena, 8);
    room = arena_grow(&arena, room, 8, 1000);
    assert_non_null(room);
    assert_null(arena_grow(&arena, room, 1000, 1001));
    assert_result(LETHE_LIMIT, arena.failure);
    arena_clear(&arena);
}

static void sizes_that_overflow_are_over_the_limit(void **state)
{
    for (size_t less = 0; less < 64; less++) {
        struct arena arena = {0}, copying = {0}, growing = {0};
        assert_null(arena_alloc(&arena, SIZE_MAX - less));
        assert_int_not_equal(arena.failure, LETHE_OK);
        assert_null(arena_zalloc(&copying, SIZE_MAX / 2, 3));
        assert_result(LETHE_LIMIT, copying.failure);
        void *room = arena_alloc(&growing, 8);
        assert_null(arena_grow(&growing, room, 8, SIZE_MAX - less));
        assert_int_not_equal(growing.failure, LETHE_OK);
        arena_clear(&arena);
        arena_clear(&growing);
    }
}

static void memory_that_the_system_refuses_is_said(void **state)
{
    struct lethe_error err = {0};
    struct arena arena = {0};
    assert_non_null(arena_alloc(&arena, 100));
    calls_left = 1;
    assert_null(arena_alloc(&arena, 100000));
    assert_null(arena_alloc(&arena, 1));
    assert_result(LETHE_NO_MEMORY, arena_result(&arena, &err));
    arena_clear(&arena);
    assert_non_null(arena_alloc(&arena, 100));
    arena_clear(&arena);
}

/* ---- wiping ---- */

static void fill_with_secrets(struct arena *arena)
{
    arena_copy(arena, SECRET, strlen(SECRET));
    for (size_t i = 0; i < 2000; i++) {
        char *text = arena_copy(arena, SECRET, strlen(SECRET));
        if (i % 100 == 0)
            arena_grow(arena, text, strlen(SECRET) + 1, 5000);
    }
}

static void what_is_given_back_is_wiped(void **state)
{
    /* The look finds what is not wiped. */
    secrets_given_back = 0;
    char *volatile text = strdup(SECRET);
    assert_string_equal(text, SECRET);
    free(text);
    assert_int_equal(secrets_given_back, 1);

    secrets_given_back = 0;
    struct arena arena = {0};
    fill_with_secrets(&arena);
    arena_clear(&arena);
    assert_int_equal(secrets_given_back, 0);
}

static void an_arena_that_failed_is_wiped_too(void **state)
{
    secrets_given_back = 0;
    struct arena arena = {.limit_bytes = 30000};
    fill_with_secrets(&arena);
    assert_result(LETHE_LIMIT, arena.failure);
    arena_clear(&arena);
    assert_int_equal(secrets_given_back, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_and_apart),
        cmocka_unit_test(zeroed_memory_is_zero_and_copies_end_in_nul),
        cmocka_unit_test(the_newest_grows_in_place_and_others_move),
        cmocka_unit_test(nothing_is_given_over_the_limit_and_after_that_nothing_at_all),
        cmocka_unit_test(growing_in_place_counts_too),
        cmocka_unit_test(sizes_that_overflow_are_over_the_limit),
        cmocka_unit_test(memory_that_the_system_refuses_is_said),
        cmocka_unit_test(what_is_given_back_is_wiped),
        cmocka_unit_test(an_arena_that_failed_is_wiped_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
