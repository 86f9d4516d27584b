#include "check.h"

#include "compiled.h"

static const struct compiled_row redeclared[] = {
    {"package t\n"
     "p if { x := 1; x := 2 }",
     "0:2 rego_compile_error: var x assigned above"},
    {"package t\n"
     "p if { x == 1; x := 2 }",
     "0:2 rego_compile_error: var x referenced above"},
    {"package t\n"
     "p if { some x; some x; x = 1 }",
     "0:2 rego_compile_error: var x declared above"},
    {"package t\n"
     "p if { some x; x := 1 }",
     "0:2 rego_compile_error: var x declared above"},
    {"package t\n"
     "f(x) := 1 if { x := 1 }",
     "0:2 rego_compile_error: arg x redeclared"},
    {"package t\n"
     "p if { some x in [1]; x := 2 }",
     "0:2 rego_compile_error: var x declared above"},
    {"package t\n"
     "p if { [x, x] := [1, 2] }",
     "0:2 rego_compile_error: var x assigned above"},
    {"package t\n"
     "p if { every x in input.a { x := 1 } }",
     "0:2 rego_compile_error: var x declared above"},
    {"package t\n"
     "p if { some x; input.y }",
     "0:2 rego_compile_error: declared var x unused"},
    {"package t\n"
     "p if { print(x); x := 1 }",
     "0:2 rego_compile_error: var x referenced above"},
    {"package t\n"
     "p if { x := 1; every x in [2] { x > 1 } ; [x | x := 3] }",
     "data.t.p: complete constant {every s0 in [2] {s1 = gt(s0, 1); s1; yield }; s2 = array {yield "
     "3}; s2; yield true}"},
};

static const struct compiled_row assignments[] = {
    {"package t\n"
     "p if { 1 := 2 }",
     "0:2 rego_compile_error: cannot assign to number"},
    {"package t\n"
     "p if { [1, x] := [1, 2] }",
     "0:2 rego_compile_error: cannot assign to number"},
    {"package t\n"
     "p if { input.x := 2 }",
     "0:2 rego_compile_error: cannot assign to ref"},
    {"package t\n"
     "p if { {\"a\": input.x} := input.y }",
     "0:2 rego_compile_error: cannot assign to ref"},
    {"package t\n"
     "p if { {x} := {1} }",
     "0:2 rego_compile_error: cannot assign to set"},
    {"package t\n"
     "p if { f(1) := 2 }",
     "0:2 rego_compile_error: cannot assign to call\n"
     "0:2 rego_type_error: undefined function f"},
    {"package t\n"
     "p if { not x := 2 }",
     "0:2 rego_compile_error: cannot assign vars inside negated expression"},
};

static const struct compiled_row shadowing[] = {
    {"package t\n" /* and what a package is in, is no name in it */
     "p := sub\n"
     "---\n"
     "package t.sub\n"
     "x := 1",
     "0:2 rego_unsafe_var_error: var sub is unsafe"},
    {"package t\n"
     "q := 1\n"
     "p if { q == 1; q := 2 }",
     "0:3 rego_compile_error: var q referenced above"},
    {"package t\n" /* an import is of its module */
     "import data.x as y\n"
     "p := y\n"
     "---\n"
     "package s\n"
     "p := y",
     "1:2 rego_unsafe_var_error: var y is unsafe"},
    {"package t\n"
     "input := 1",
     "0:2 rego_compile_error: rules must not shadow input (use another name)"},
    {"package t\n"
     "data.x := 1",
     "0:2 rego_compile_error: rules must not shadow data (use another name)"},
    {"package t\n"
     "p if { input := 1 }",
     "0:2 rego_compile_error: variables must not shadow input (use another name)"},
    {"package t\n"
     "f(data) := 1",
     "0:2 rego_compile_error: args must not shadow data (use another name)"},
    {"package t\n"
     "p if { some input in [1]; input }",
     "0:2 rego_compile_error: variables must not shadow input (use another name)"},
    {"package t\n"
     "import data.x\n"
     "import input.x\n"
     "p := x",
     "0:3 rego_compile_error: import must not shadow another import: x"},
    {"package t\n"
     "import data.x\n"
     "import input.x as y\n"
     "p := x",
     "data.t.p: complete {s0 = data.x; yield s0}"},
};

static const struct compiled_row calls[] = {
    {"package t\n"
     "p if foo.bar(1)",
     "0:2 rego_type_error: undefined function foo.bar"},
    {"package t\n"
     "p if foo(1)",
     "0:2 rego_type_error: undefined function foo"},
    {"package t\n"
     "p if q(1)\n"
     "q := 1",
     "0:2 rego_type_error: undefined function data.t.q"},
    {"package t\n"
     "p if { f := 1; f(2) }",
     "0:2 rego_type_error: undefined function f"},
    {"package t\n"
     "p if data.x.f(1)",
     "0:2 rego_type_error: undefined function data.x.f"},
    {"package t\n"
     "p if input.f(1)",
     "0:2 rego_type_error: undefined function input.f"},
    {"package t\n"
     "p if count(1, 2, 3)",
     "0:2 rego_type_error: count: arity mismatch (3 operands given, 1 expected)"},
    {"package t\n"
     "p if count()",
     "0:2 rego_type_error: count: arity mismatch (0 operands given, 1 expected)"},
    {"package t\n"
     "p if f(1, 2, 3)\n"
     "f(x) := 1",
     "0:2 rego_type_error: data.t.f: arity mismatch (3 operands given, 1 expected)"},
    {"package t\n"
     "p if { x := f(1, 2) }\n"
     "f(x) := 1",
     "0:2 rego_type_error: data.t.f: arity mismatch (2 operands given, 1 expected)"},
    {"package t\n"
     "p if { x := count([1], 2) }",
     "0:2 rego_type_error: count: arity mismatch (2 operands given, 1 expected)"},
    {"package t\n"
     "p if 1 + count([1], 1) == 2",
     "0:2 rego_type_error: count: arity mismatch (2 operands given, 1 expected)"},
    {"package t\n"
     "p if any([true])",
     "0:2 rego_type_error: undefined function any"},
    {"package t\n"
     "p if undefined(x)",
     "0:2 rego_type_error: undefined function undefined"},
};

static const struct compiled_row conflicts[] = {
    {"package t\n"
     "p := 1\n"
     "p contains 2",
     "0:2 rego_type_error: conflicting rules data.t.p found"},
    {"package t\n"
     "p := 1\n"
     "p(x) := 2",
     "0:2 rego_type_error: conflicting rules data.t.p found"},
    {"package t\n"
     "f(x) := 1\n"
     "f(x, y) := 2",
     "0:2 rego_type_error: conflicting rules data.t.f found"},
    {"package t\n"
     "p := 1\n"
     "p[x] := 2 if x := 1",
     "0:2 rego_type_error: conflicting rules data.t.p found"},
    {"package t\n"
     "p[x] := 1 if x := 1\n"
     "p contains 1",
     "0:2 rego_type_error: conflicting rules data.t.p found"},
    {"package t\n"
     "default p := 1\n"
     "default p := 2\n"
     "p := 3",
     "0:2 rego_type_error: multiple default rules data.t.p found at 0:2, 0:3"},
    {"package t\n"
     "p := 1\n"
     "p.q := 2\n"
     "p.r.s := 3",
     "0:2 rego_type_error: rule data.t.p conflicts with [data.t.p.q data.t.p.r.s]"},
    {"package t\n"
     "p contains 1\n"
     "p.q := 2",
     "0:2 rego_type_error: rule data.t.p conflicts with [data.t.p.q]"},
    {"package t\n"
     "p[x] := 1 if x := 1\n"
     "p.q := 2",
     "data.t.p: complete {yield 1, 1}\n"
     "data.t.p.q: complete constant {yield 2}"},
    {"package t\n"
     "p.q := 1\n"
     "p.r := 2",
     "data.t.p.q: complete constant {yield 1}\n"
     "data.t.p.r: complete constant {yield 2}"},
    {"package a\n"
     "b := 1\n"
     "---\n"
     "package a.b\n"
     "c := 1",
     "0:2 rego_type_error: rule data.a.b conflicts with [data.a.b.c]\n"
     "1:1 rego_type_error: package data.a.b conflicts with rule data.a.b defined at 0:2"},
    {"package a\n"
     "b := 1\n"
     "---\n"
     "package a.b",
     "1:1 rego_type_error: package data.a.b conflicts with rule data.a.b defined at 0:2"},
    {"package a\n"
     "b[x] := 1 if x := 2\n"
     "---\n"
     "package a.b\n"
     "c := 1",
     "data.a.b: complete {yield 2, 1}\n"
     "data.a.b.c: complete constant {yield 1}"},
    {"package a\n"
     "p := 1\n"
     "---\n"
     "package a\n"
     "p := 2\n"
     "---\n"
     "package a\n"
     "default p := 3",
     "data.a.p: complete constant {yield 1} constant {yield 2} default constant {yield 3}"},
};

static const struct compiled_row replaced[] = {
    {"package t\n"
     "p if input.x with data.y[input.z] as 1",
     "0:2 rego_type_error: with keyword target must reference existing input, data, or a function"},
    {"package t\n"
     "p if input.x with foo as 1",
     "0:2 rego_type_error: with keyword target must reference existing input, data, or a function"},
    {"package t\n"
     "p if { x := 1; input.x with x as 1 }",
     "0:2 rego_type_error: with keyword target must reference existing input, data, or a function"},
    {"package t\n"
     "p if count([1]) with count as f\n"
     "f(x, y) := 1",
     "0:2 rego_type_error: data.t.f: arity mismatch (a function of 1 operands is replaced by one "
     "of 2)"},
    {"package t\n"
     "p if f(1) with f as concat\n"
     "f(x) := 1",
     "0:2 rego_type_error: concat: arity mismatch (a function of 1 operands is replaced by one of "
     "2)"},
    {"package t\n"
     "p if input.x with input.y as z",
     "0:2 rego_unsafe_var_error: var z is unsafe"},
    {"package t\n"
     "p if input.x with foo.bar.baz as 1",
     "0:2 rego_type_error: with keyword target must reference existing input, data, or a function"},
    {"package t\n"
     "p if input.x with plus as f\n"
     "f(x, y) := 1",
     "data.t.f: function constant {yield 1}\n"
     "data.t.p: complete constant {with plus as data.t.f: s0 = input.x; s0; without; yield true}"},
};

static void a_variable_is_declared_once_and_before_it_is_used(void **state)
{
    (void)state;
    check_compiled(redeclared, ARRAY_LEN(redeclared), false);
}

static void only_variables_are_assigned_to(void **state)
{
    (void)state;
    check_compiled(assignments, ARRAY_LEN(assignments), false);
}

static void nothing_hides_input_and_data_and_no_import_another(void **state)
{
    (void)state;
    check_compiled(shadowing, ARRAY_LEN(shadowing), false);
}

static void calls_are_of_functions_that_exist_with_as_many_operands_as_they_take(void **state)
{
    (void)state;
    check_compiled(calls, ARRAY_LEN(calls), false);
}

static void rules_that_contradict_each_other_are_found(void **state)
{
    (void)state;
    check_compiled(conflicts, ARRAY_LEN(conflicts), false);
}

static void with_replaces_input_data_and_functions(void **state)
{
    (void)state;
    check_compiled(replaced, ARRAY_LEN(replaced), false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_variable_is_declared_once_and_before_it_is_used),
        cmocka_unit_test(only_variables_are_assigned_to),
        cmocka_unit_test(nothing_hides_input_and_data_and_no_import_another),
        cmocka_unit_test(calls_are_of_functions_that_exist_with_as_many_operands_as_they_take),
        cmocka_unit_test(rules_that_contradict_each_other_are_found),
        cmocka_unit_test(with_replaces_input_data_and_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
