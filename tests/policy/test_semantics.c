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

/* What would be replaced in part, or not at all, is not passed over in silence. */
static void with_replaces_whole_documents_and_functions_only(void **state)
{
    static const struct semantics rows[] = {
        {"p if q with data.t.q.a as 2\nq := {\"a\": 1}", NULL,
         "rego_compile_error: with keyword cannot partially replace virtual document(s)"},
        {"p if q with data.t.q.a.b as 2\nq[x] := 1 if x := input.x", NULL,
         "rego_compile_error: with keyword cannot partially replace virtual document(s)"},
        {"package a.b\nx := {\"y\": 1}\n---\np if 1 with data.a.b.x.y as 2", NULL,
         "rego_compile_error: with keyword cannot partially replace virtual document(s)"},
        {"p := x if x := q with data.t.q.a as 2\nq.a.b := 1", NULL, "{\"a\":2}"},
        {"p := x if x := q with data.t.q.a as 2\nq.a := 1\nq.b := 3", NULL, "{\"a\":2,\"b\":3}"},
        {"p if walk(1, [[], 1]) with walk as 1", NULL,
         "rego_compile_error: with keyword replacing built-in function: target must not be a "
         "relation"},
        {"p if 1 in [2] with internal.member_2 as true", NULL,
         "rego_compile_error: with keyword replacing built-in function: replacement of internal "
         "function \"internal.member_2\" invalid"},
        {"p if 1 with input as x", NULL, "rego_unsafe_var_error: var x is unsafe"},
        {"p if 1 with input as input.x", "{}", "undefined"},
        {"p if 1 with input as input.x", "{\"x\": false}", "true"},
    };
    CHECK_SEMANTICS(rows);
}

/* What has no value whatever the input is: undefined for ever, had it been loaded. */
static void what_can_never_fit_is_refused(void **state)
{
    static const struct semantics rows[] = {
        {"p := 1 + \"a\"", NULL,
         "rego_type_error: plus: invalid argument(s): operand 2 must be number but got string"},
        {"p if not 1 + \"a\" == 2", NULL,
         "rego_type_error: plus: invalid argument(s): operand 2 must be number but got string"},
        {"p := count(3)", NULL,
         "rego_type_error: count: invalid argument(s): operand 1 must be one of {string, object, "
         "set, array} but got number"},
        {"p := x if x := concat([\"a\"], \",\")", NULL,
         "rego_type_error: concat: invalid argument(s): operand 1 must be string but got array"},
        {"p if startswith(input.x, 1)", NULL,
         "rego_type_error: startswith: invalid argument(s): operand 2 must be string but got "
         "number"},
        {"p := {1} & [input.x]", NULL,
         "rego_type_error: and: invalid argument(s): operand 2 must be set but got array"},
        {"p := lower({x | x := 1})", NULL,
         "rego_type_error: lower: invalid argument(s): operand 1 must be string but got set"},
        {"p := {x | x := 1 | 2}", NULL,
         "rego_type_error: or: invalid argument(s): operand 1 must be set but got number"},
        {"p if 1 == \"a\"", NULL, "rego_type_error: match error: left is number, right is string"},
        {"p if not 1 = \"a\"", NULL,
         "rego_type_error: match error: left is number, right is string"},
        {"p if [input.x] == {1}", NULL,
         "rego_type_error: match error: left is array, right is set"},
        {"p if null == false", NULL,
         "rego_type_error: match error: left is null, right is boolean"},
        {"p := 1 == \"a\"", NULL, "false"},
        {"p if 1 != \"a\"", NULL, "true"},
        {"p := count([x | x := 1])", NULL, "1"},
        {"p := count({\"a\": input.x})", "{\"x\": 1}", "1"},
        {"p := sum({input.x})", "{\"x\": 1}", "1"},
        {"p := 1 + input.x", "{\"x\": \"a\"}", "undefined"},
        {"p := is_number(\"a\")", NULL, "false"},
    };
    CHECK_SEMANTICS(rows);
}

static void imports_leave_input_and_data_what_they_are(void **state)
{
    static const struct semantics rows[] = {
        {"import data.x.input\np = input.admin", "{\"admin\": true}",
         "rego_compile_error: imports must not shadow input (use another name)"},
        {"import data.x as input\np = input.admin", "{\"admin\": true}",
         "rego_compile_error: imports must not shadow input (use another name)"},
        {"import input.data\np = data.x", "{\"data\": {\"x\": 1}}",
         "rego_compile_error: imports must not shadow data (use another name)"},
        {"import input as data\np = data.x", "{\"x\": 1}",
         "rego_compile_error: imports must not shadow data (use another name)"},
        {"import input\np if input.x", "{\"x\": 1}", "true"},
        {"import data\np if data.t.q\nq := 1", NULL, "true"},
    };
    CHECK_SEMANTICS(rows);
    check_semantics(rows, ARRAY_LEN(rows) - 2, true);
}

#define ABSENT(name)                                                                               \
    {                                                                                              \
        "p if not " name "(input.x)", NULL,                                                        \
            "rego_type_error: undefined function " name                                            \
            " (a built-in of OPA that policies here do without)"                                   \
    }
static void built_ins_that_are_not_there_are_named_at_once(void **state)
{
    static const struct semantics rows[] = {
        ABSENT("crypto.parse_private_keys"),
        ABSENT("crypto.x509.parse_certificates"),
        ABSENT("graphql.parse"),
        ABSENT("http.send"),
        ABSENT("io.jwt.decode_verify"),
        ABSENT("io.jwt.verify_rs256"),
        ABSENT("json.match_schema"),
        ABSENT("json.verify_schema"),
        ABSENT("net.lookup_ip_addr"),
        ABSENT("providers.aws.sign_req"),
        ABSENT("rego.metadata.rule"),
        ABSENT("rego.parse_module"),
        ABSENT("strings.render_template"),
        ABSENT("trace"),
        ABSENT("uri.parse"),
        {"p if http.get(1)", NULL, "rego_type_error: undefined function http.get"},
        {"p if yaml.parse(1)", NULL, "rego_type_error: undefined function yaml.parse"},
        {"p if q with http.send as 1\nq := 1", NULL,
         "rego_type_error: with keyword target must reference existing input, data, or a function"},
    };
    CHECK_SEMANTICS(rows);
}

static void an_assignment_by_name_has_two_sides(void **state)
{
    static const struct semantics rows[] = {
        {"p if assign()", NULL,
         "rego_type_error: assign: arity mismatch (0 operands given, 2 expected)"},
        {"p if assign(x)", NULL,
         "rego_type_error: assign: arity mismatch (1 operands given, 2 expected)"},
        {"p if assign(x, 1, true)", NULL,
         "rego_type_error: assign: arity mismatch (3 operands given, 2 expected)"},
        {"p := x if assign(x, 1)", NULL, "1"},
    };
    CHECK_SEMANTICS(rows);
}

static void some_in_may_name_a_variable_twice(void **state)
{
    static const struct semantics rows[] = {
        {"p := [x | some [x, x] in [[1, 1], [2, 3]]]", NULL, "[1]"},
        {"p := [x | some x, x in [0, 5, 2]]", NULL, "[0,2]"},
        {"p := [x | some x, [_, x] in {1: [0, 1], 2: [0, 3]}]", NULL, "[1]"},
        {"p if { some x in [1]; some x in [1] }", NULL, "rego_compile_error: var x declared above"},
        {"p if { x := 1; some [x, x] in [[1, 1]] }", NULL,
         "rego_compile_error: var x assigned above"},
        {"p if { some x, y in [0]; [y, y] := [1, 1] }", NULL,
         "rego_compile_error: var y declared above"},
    };
    CHECK_SEMANTICS(rows);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_negated_comparison_with_what_is_not_there_holds),
        cmocka_unit_test(with_replaces_whole_documents_and_functions_only),
        cmocka_unit_test(what_can_never_fit_is_refused),
        cmocka_unit_test(imports_leave_input_and_data_what_they_are),
        cmocka_unit_test(built_ins_that_are_not_there_are_named_at_once),
        cmocka_unit_test(an_assignment_by_name_has_two_sides),
        cmocka_unit_test(some_in_may_name_a_variable_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
