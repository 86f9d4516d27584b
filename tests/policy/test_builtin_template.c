#include "check.h"

#include "policy/builtin_call.h"

static const struct builtin_caller caller;

static void parts_print_as_in_templates(void **state)
{
    static const struct builtin_example examples[] = {
        {"internal.template_string", "[[]]", "\"\""},
        {"internal.template_string", "[[\"a \", {\"$set\": [42]}, \" b\"]]", "\"a 42 b\""},
        {"internal.template_string", "[[{\"$set\": [\"x\"]}, 1.5, null]]", "\"x1.5null\""},
        {"internal.template_string", "[[\"<\", {\"$set\": []}, \">\"]]", "\"<<undefined>>\""},
        {"internal.template_string", "[[{\"$set\": [[42, \"foo\", null]]}]]",
         "\"[42, \\\"foo\\\", null]\""},
        {"internal.template_string",
         "[[{\"$set\": [{\"$set\": []}]}, {\"$set\": [{\"a\": \"b\"}]}]]",
         "\"set(){\\\"a\\\": \\\"b\\\"}\""},
        {"internal.template_string", "[[{\"$set\": [1, 2]}]]",
         "eval_builtin_error: internal.template_string: template-strings must not produce multiple "
         "outputs"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void keep_line(void *context, const char *text, size_t size_bytes)
{
    struct buffer *lines = context;
    buffer_append(lines, text, size_bytes);
    buffer_byte(lines, '\n');
}

static void assert_printed(const char *operands, const char *want)
{
    CLEANUP(buffer_clear) struct buffer lines = {0};
    CLEANUP(buffer_clear) struct buffer out = {0};
    struct builtin_caller printing = {.world = {.print = keep_line, .print_context = &lines}};
    builtin_call_text(&printing, "internal.print", operands, &out);
    assert_string_equal(out.bytes, "true");
    assert_string_equal(lines.bytes, want);
}

static void print_gives_a_line_for_each_choice(void **state)
{
    assert_printed("[[]]", "\n");
    assert_printed("[[{\"$set\": [\"a\"]}, {\"$set\": [[1, \"b\"]]}]]", "a [1, \"b\"]\n");
    assert_printed("[[{\"$set\": []}, {\"$set\": [1]}]]", "<undefined> 1\n");
    assert_printed("[[{\"$set\": [1, 2]}, {\"$set\": [\"x\", \"y\"]}]]", "1 x\n1 y\n2 x\n2 y\n");
    assert_printed("[[\"a\", 1]]", "a 1\n");
}

static void printing_to_nobody_is_no_error(void **state)
{
    static const struct builtin_example examples[] = {
        {"internal.print", "[[{\"$set\": [1]}]]", "true"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void count_line(void *context, const char *text, size_t size_bytes)
{
    (void)text, (void)size_bytes;
    ++*(size_t *)context;
}

/* Ten choices for each of twenty operands are 10^20 lines. */
static void more_choices_than_anyone_reads_meet_a_limit(void **state)
{
    CLEANUP(buffer_clear) struct buffer operands = {0};
    CLEANUP(buffer_clear) struct buffer out = {0};
    size_t lines = 0;
    struct builtin_caller printing = {.world = {.print = count_line, .print_context = &lines},
                                      .steps = 100000};
    for (int i = 0; i < 20; i++)
        buffer_format(&operands, "%s{\"$set\": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}",
                      i > 0 ? ", " : "[[");
    buffer_text(&operands, "]]");
    builtin_call_text(&printing, "internal.print", operands.bytes, &out);
    assert_string_equal(out.bytes, "limit");
    assert_true(lines > 0 && lines < 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_print_as_in_templates),
        cmocka_unit_test(print_gives_a_line_for_each_choice),
        cmocka_unit_test(printing_to_nobody_is_no_error),
        cmocka_unit_test(more_choices_than_anyone_reads_meet_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
