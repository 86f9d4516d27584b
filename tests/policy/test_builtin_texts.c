#include "check.h"

#include <stdlib.h>

#include "policy/builtin_call.h"

static const struct builtin_caller caller;

static void describe(const struct value *value, struct buffer *out)
{
    value_print_term(value, out);
    assert_result(LETHE_OK, buffer_result(out, NULL));
}

/* The line: name, operands, result. */
static void check_line(char *line)
{
    CLEANUP(arena_clear) struct arena arena = {0};
    CLEANUP(buffer_clear) struct buffer out = {0};
    CLEANUP(buffer_clear) struct buffer want = {0};
    char *rest = line;
    const char *name = strsep(&rest, "\t"), *operands = strsep(&rest, "\t");
    const char *result = strsep(&rest, "\n");
    const struct value *value = NULL;
    assert_non_null(result);
    assert_result(LETHE_OK, value_parse_json(&arena, result, strlen(result), &value, NULL));
    describe(value, &want);
    builtin_call_text(&caller, name, operands, &out);
    assert_result(LETHE_OK, buffer_result(&out, NULL));
    if (strcmp(out.bytes, want.bytes) != 0)
        fail_msg("%s%s\n  gives     %s\n  should be %s", name, operands, out.bytes, want.bytes);
}

static void texts_are_those_that_go_makes(void **state)
{
    FILE *file = fopen(TEST_VECTORS "/rego/texts.txt", "re");
    assert_non_null(file);
    CLEANUP(memory_free) char *line = NULL;
    size_t capacity = 0, lines = 0;
    for (; getline(&line, &capacity, file) > 0; lines++)
        check_line(line);
    fclose(file);
    assert_true(lines > 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_those_that_go_makes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
