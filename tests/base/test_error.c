#include "check.h"

#include <errno.h>

#include "base/error.h"

static void every_result_has_name_sentence_and_exit_code(void **state)
{
    for (lethe_result result = LETHE_OK; result <= LETHE_UNWIPED; result++) {
        assert_true(strlen(lethe_result_name(result)) > 0);
        assert_true(strlen(lethe_result_sentence(result)) > 0);
        assert_in_range(lethe_result_exit_code(result), 0, 6);
        assert_int_equal(lethe_result_exit_code(result) == 0, result == LETHE_OK);
    }
    assert_string_equal(lethe_result_name(LETHE_UNWIPED), "UNWIPED");
    assert_true(lethe_result_is_retriable(LETHE_BUSY));
    assert_false(lethe_result_is_retriable(LETHE_INTEGRITY));
}

static void a_number_that_is_no_result_is_survived(void **state)
{
    lethe_result bad = (lethe_result)4711;
    assert_string_equal(lethe_result_name(bad), "UNKNOWN");
    assert_int_equal(lethe_result_exit_code(bad), 1);
    assert_false(lethe_result_is_retriable(bad));
}

static void context_goes_in_front_and_a_new_error_clears_the_hint(void **state)
{
    struct lethe_error err = {0};
    assert_result(LETHE_DENIED, error_set(&err, LETHE_DENIED, "key %d", 7));
    error_hint(&err, "ask %s", "someone");
    assert_result(LETHE_DENIED, error_context(&err, LETHE_DENIED, "shard %s", "a"));
    assert_string_equal(err.text, "shard a: key 7");
    assert_string_equal(err.hint, "ask someone");

    assert_result(LETHE_OK, error_context(&err, LETHE_OK, "not this"));
    assert_string_equal(err.text, "shard a: key 7");
    error_set(&err, LETHE_IO, "other");
    assert_string_equal(err.hint, "");
}

static void long_texts_are_cut_not_overrun(void **state)
{
    char big[2048];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    struct lethe_error err = {0};
    error_set(&err, LETHE_IO, "%s", big);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    error_context(&err, LETHE_IO, "%s", big);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    error_hint(&err, "%s", big);
    assert_int_equal(strlen(err.hint), sizeof err.hint - 1);
}

static void who_uses_the_library_writes_errors_too(void **state)
{
    struct lethe_error err = {.hint = "from before"};
    assert_result(LETHE_NO_SPACE, lethe_error_set(&err, LETHE_NO_SPACE, "slot %d", 7));
    assert_int_equal(err.code, LETHE_NO_SPACE);
    assert_string_equal(err.text, "slot 7");
    assert_string_equal(err.hint, "");
    assert_result(LETHE_IO, lethe_error_set(NULL, LETHE_IO, "x"));
}

static void results_follow_from_errno(void **state)
{
    static const struct {
        int number;
        lethe_result result;
    } rows[] = {{ENOSPC, LETHE_NO_SPACE},  {EDQUOT, LETHE_NO_SPACE},  {EFBIG, LETHE_NO_SPACE},
                {ENOMEM, LETHE_NO_MEMORY}, {ENOENT, LETHE_NOT_FOUND}, {EEXIST, LETHE_EXISTS},
                {EIO, LETHE_IO},           {123456, LETHE_IO}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lethe_error err = {0};
        errno = rows[i].number;
        assert_result(rows[i].result, error_from_errno(&err, "reading %s", "x"));
        assert_memory_equal(err.text, "reading x: ", 11);
        assert_true(strlen(err.text) > 11);
    }
}

static void what_was_no_error_is_taken_back(void **state)
{
    struct lethe_error err = {0};
    (void)error_set(&err, LETHE_NOT_FOUND, "there is no row");
    error_hint(&err, "make it");
    assert_result(LETHE_OK, error_forget(&err));
    assert_int_equal(err.code, LETHE_OK);
    assert_string_equal(err.text, "");
    assert_string_equal(err.hint, "");
}

static void nobody_has_to_listen(void **state)
{
    assert_result(LETHE_OK, error_forget(NULL));
    assert_result(LETHE_IO, error_set(NULL, LETHE_IO, "x"));
    error_hint(NULL, "x");
    assert_result(LETHE_IO, error_context(NULL, LETHE_IO, "x"));
    errno = ENOENT;
    assert_result(LETHE_NOT_FOUND, error_from_errno(NULL, "x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_result_has_name_sentence_and_exit_code),
        cmocka_unit_test(a_number_that_is_no_result_is_survived),
        cmocka_unit_test(context_goes_in_front_and_a_new_error_clears_the_hint),
        cmocka_unit_test(long_texts_are_cut_not_overrun),
        cmocka_unit_test(who_uses_the_library_writes_errors_too),
        cmocka_unit_test(results_follow_from_errno),
        cmocka_unit_test(what_was_no_error_is_taken_back),
        cmocka_unit_test(nobody_has_to_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
