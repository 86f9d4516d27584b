#include "semantics.h"

/* `==` in a module is `=` whose sides are bound: a ref that leads nowhere is not equal. Other calls
 * need their operands in front of the `not`. */
static void a_negated_comparison_with_what_is_not_there_holds(void **state)
{
    static const struct semantics rows[] = {
        {"p if not input.x == 1", NULL, "true"},
        {"p if not input.x == 1", "{}", "true"},
        {"p if not input.x == 1", "{\"x\": 2}", "true"},
        {"p if not input.x == 1", "{\"x\": 1}", "undefined"},
        {"p if not 1 == input.x", "{}", "true"},
        {"p if not input.x == input.y", "{}", "true"},
        {"p if not data.none.x == 1", NULL, "true"},
        {"p if not q == 1\nq := 1 if input.x", "{}", "true"},
        {"p if { some u in input.us; not u.role == \"admin\" }", "{\"us\": [{\"id\": 1}]}", "true"},
        {"p if not equal(input.x, 1)", "{}", "true"},
        {"p if not input.x = 1", "{}", "true"},
        {"p if not input.x != 1", "{}", "undefined"},
        {"p if not input.x > 1", "{}", "undefined"},
        {"p if not count(input.x) == 0", "{}", "undefined"},
        {"p if not [input.x] == [1]", "{}", "undefined"},
        {"p if not input.xs[input.i] == 1", "{\"xs\": [1]}", "undefined"},
        {"p if not input.xs[_] == 1", NULL, "rego_unsafe_var_error: var _ is unsafe"},
        {"p if not x == 1", NULL, "rego_unsafe_var_error: var x is unsafe"},
        {"import future.keywords.not\np if not input.x != 1", "{}", "true"},
        {"import future.keywords.not\np if not count(input.x) == 0", "{}", "true"},
    };
    CHECK_SEMANTICS(rows);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_negated_comparison_with_what_is_not_there_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
