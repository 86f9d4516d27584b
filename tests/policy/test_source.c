#include "check.h"

#include <stdlib.h>

#include "policy/source.h"

#define OF(text) (&(const struct source){"t.rego", (text), sizeof(text) - 1})

static void rows_and_columns_count_bytes_from_one(void **state)
{
    static const struct {
        const char *text;
        uint32_t offset;
        unsigned row, column;
    } rows[] = {
        {"", 0, 1, 1},          {"abc", 0, 1, 1},  {"abc", 2, 1, 3},      {"abc", 3, 1, 4},
        {"a\nb", 1, 1, 2},      {"a\nb", 2, 2, 1}, {"a\r\nb", 3, 2, 1},   {"\n\n", 2, 3, 1},
        {"\xc3\xa9x", 2, 1, 3}, {"a\tb", 2, 1, 3}, {"abc", 100000, 1, 4},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned row, column;
        const struct source source = {"t", rows[i].text, strlen(rows[i].text)};
        place_row_column((struct place){&source, rows[i].offset, 1}, &row, &column);
        assert_int_equal(row, rows[i].row);
        assert_int_equal(column, rows[i].column);
    }
    unsigned row, column;
    place_row_column((struct place){0}, &row, &column);
    assert_int_equal(row, 1);
    assert_int_equal(column, 1);
}

static void check_print(const struct source *source, uint32_t offset, const char *expected)
{
    CLEANUP(buffer_clear) struct buffer out = {0};
    const struct problem problem = {
        .code = PROBLEM_PARSE, .place = {source, offset, 1}, .text = "no"};
    problem_print(&problem, &out);
    assert_string_equal(out.bytes, expected);
}

static void a_problem_is_printed_with_its_line_and_a_caret(void **state)
{
    check_print(OF("one\ntwo three\nfour"), 8,
                "t.rego:2:5: rego_parse_error: no\ntwo three\n    ^\n");
    check_print(OF("one"), 3, "t.rego:1:4: rego_parse_error: no\none\n   ^\n");
    check_print(OF(""), 0, "t.rego:1:1: rego_parse_error: no\n\n^\n");
    check_print(OF("a\n"), 2, "t.rego:2:1: rego_parse_error: no\n\n^\n");
    check_print(OF("\ta\tb"), 3, "t.rego:1:4: rego_parse_error: no\n\ta\tb\n\t \t^\n");
    check_print(OF("\xc3\xa9\xc3\xa9x"), 4,
                "t.rego:1:5: rego_parse_error: no\n\xc3\xa9\xc3\xa9x\n  ^\n");
    check_print(OF("ab\r\ncd"), 1, "t.rego:1:2: rego_parse_error: no\nab\n ^\n");
}

/* What a terminal would obey, or cannot show, is a question mark of one column. */
static void a_line_is_harmless_to_a_terminal(void **state)
{
    check_print(OF("\x1b[31mx"), 5, "t.rego:1:6: rego_parse_error: no\n?[31mx\n     ^\n");
    check_print(OF("\xff\xfe"
                   "a"),
                2, "t.rego:1:3: rego_parse_error: no\n??a\n  ^\n");
    check_print(OF("\xc2\x9bx"), 2, "t.rego:1:3: rego_parse_error: no\n?x\n ^\n");
    check_print(OF("\x7f"), 0, "t.rego:1:1: rego_parse_error: no\n?\n^\n");
}

/* A line may be the whole of a text of megabytes. */
static void only_the_part_of_a_long_line_around_the_place_is_shown(void **state)
{
    static char text[300001];
    CLEANUP(buffer_clear) struct buffer out = {0};
    for (size_t i = 0; i < sizeof text - 1; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    const struct source source = {"t", text, sizeof text - 1};
    const struct problem problem = {.place = {&source, 200000, 2}, .text = "no"};
    problem_print(&problem, &out);
    assert_true(out.size_bytes < 400);
    const char *line = strchr(out.bytes, '\n') + 1;
    const char *caret = strchr(line, '\n') + 1;
    assert_null(memchr(line, '?', (size_t)(caret - line)));
    assert_string_equal(caret + strspn(caret, " "), "^\n");
    assert_int_equal(strspn(caret, " "), 50);
}

static void what_the_compiler_made_has_no_line(void **state)
{
    CLEANUP(buffer_clear) struct buffer out = {0};
    problem_print(&(const struct problem){.code = PROBLEM_UNSAFE, .text = "var x is unsafe"}, &out);
    assert_string_equal(out.bytes, "rego_unsafe_var_error: var x is unsafe\n");
}

static void codes_are_those_of_opa(void **state)
{
    assert_string_equal(problem_code_name(PROBLEM_PARSE), "rego_parse_error");
    assert_string_equal(problem_code_name(PROBLEM_COMPILE), "rego_compile_error");
    assert_string_equal(problem_code_name(PROBLEM_RECURSION), "rego_recursion_error");
    assert_string_equal(problem_code_name(PROBLEM_TYPE), "rego_type_error");
}

static void ten_problems_are_kept_in_order(void **state)
{
    CLEANUP(arena_clear) struct arena arena = {0};
    struct problems problems = {.arena = &arena};
    struct lethe_error err = {0};
    const struct source *source = OF("abc");
    unsigned count = 0;
    assert_result(LETHE_OK, problems_result(&problems, &err));
    for (int i = 0; i < 20; i++)
        assert_result(LETHE_INVALID, problem_add(&problems, PROBLEM_COMPILE,
                                                 (struct place){source, 1, 1}, "problem %d", i));
    for (const struct problem *p = problems.first; p != NULL; p = p->next) {
        char expected[32];
        snprintf(expected, sizeof expected, "problem %u", count++);
        assert_string_equal(p->text, expected);
    }
    assert_int_equal(count, PROBLEMS_MAX);
    assert_int_equal(problems.count, PROBLEMS_MAX);
    assert_result(LETHE_INVALID, problems_result(&problems, &err));
    assert_string_equal(err.text, "t.rego:1:2: rego_compile_error: problem 0");
}

static void a_full_arena_drops_the_problem_and_says_so(void **state)
{
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = 1};
    struct problems problems = {.arena = &arena};
    assert_result(LETHE_INVALID, problem_add(&problems, PROBLEM_PARSE, (struct place){0}, "no"));
    assert_null(problems.first);
    assert_result(LETHE_LIMIT, arena_result(&arena, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_and_columns_count_bytes_from_one),
        cmocka_unit_test(a_problem_is_printed_with_its_line_and_a_caret),
        cmocka_unit_test(a_line_is_harmless_to_a_terminal),
        cmocka_unit_test(only_the_part_of_a_long_line_around_the_place_is_shown),
        cmocka_unit_test(what_the_compiler_made_has_no_line),
        cmocka_unit_test(codes_are_those_of_opa),
        cmocka_unit_test(ten_problems_are_kept_in_order),
        cmocka_unit_test(a_full_arena_drops_the_problem_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
