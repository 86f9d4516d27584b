/* Policies, data and inputs that were written to be slow or large: each ends soon, with the reason
 * that it deserves. Times are not looked at; what once took minutes would not end in time. */
#include "prepared.h"

#include "base/buffer.h"

#define MANY 100000

/* ---- loading ---- */

/* `line` for each number below `count`: @ is the number, # the next one. */
static void lines_print(struct buffer *out, const char *line, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        for (const char *at = line; *at != '\0'; at++) {
            if (*at == '@' || *at == '#')
                buffer_format(out, "%u", *at == '@' ? i : i + 1);
            else
                buffer_byte(out, (uint8_t)*at);
        }
        buffer_byte(out, '\n');
    }
}

static lethe_result load(const struct buffer *text, struct lethe_error *err)
{
    struct lethe_policy *policy = NULL;
    const struct lethe_policy_module module = {"t.rego", text->bytes, text->size_bytes};
    const struct lethe_policy_options options = {.modules = &module, .module_count = 1};
    lethe_result result = lethe_policy_prepare(&options, &policy, err);
    lethe_policy_free(policy);
    return result;
}

static lethe_result load_lines(const char *line, const char *behind, struct lethe_error *err)
{
    struct buffer text = {0};
    buffer_text(&text, "package t\n");
    lines_print(&text, line, MANY);
    buffer_text(&text, behind);
    lethe_result result = load(&text, err);
    buffer_clear(&text);
    return result;
}

static void many_defaults_are_loaded(void **state)
{
    struct lethe_error err = {0};
    assert_ok(load_lines("default p@ := 1", "", &err), &err);
}

static void only_the_begin_of_a_long_cycle_is_named(void **state)
{
    struct lethe_error err = {0};
    assert_result(LETHE_INVALID, load_lines("p@ := [p#, p0]", "p100000 := p0\n", &err));
    assert_non_null(strstr(err.text, "rule data.t.p0 is recursive: data.t.p0 -> data.t.p1 -> "));
    assert_non_null(strstr(err.text, "data.t.p15 -> ... -> data.t.p0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_defaults_are_loaded),
        cmocka_unit_test(only_the_begin_of_a_long_cycle_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
