#include "check.h"

#include "compiled.h"

static const struct compiled_row heads[] = {
    {"package t\n"
     "p := 1",
     "data.t.p: complete constant {yield 1}"},
    {"package t\n"
     "p.q.r := input.x",
     "data.t.p.q.r: complete {s0 = input.x; yield s0}"},
    {"package t\n"
     "p[x] := y if { some x, y in input.o }",
     "data.t.p: complete {s1 = input.o[*s0]; yield s0, s1}"},
    {"package t\n"
     "p[x].y contains z if { some x, z in input.o }",
     "data.t.p: complete {s1 = input.o[*s0]; yield s0, \"y\", s1}"},
    {"package t\n"
     "p contains 1",
     "data.t.p: set {yield 1}"},
    {"package t\n"
     "default p := false\n"
     "p if input.a",
     "data.t.p: complete constant {s0 = input.a; s0; yield true} default constant {yield false}"},
    {"package t\n"
     "f(x, 1, [y, _]) := y if x",
     "data.t.f: function {s1 = 1; s2 is array of 2; s3 = s2[0]; s0; yield s3}"},
    {"package t\n"
     "default f(_) := 0\n"
     "f(x) := 1 if x > 1",
     "data.t.f: function constant {s1 = gt(s0, 1); s1; yield 1} default constant {yield 0}"},
    {"package t\n"
     "p := 1 if input.a else := 2 if input.b else := 3",
     "data.t.p: complete constant {s0 = input.a; s0; yield 1} else constant {s0 = input.b; s0; "
     "yield 2} else constant {yield 3}"},
    {"package t\n"
     "p if { true }",
     "data.t.p: complete constant {yield true}"},
    {"package t\n"
     "p := false",
     "data.t.p: complete constant {yield false}"},
    {"package t\n"
     "p[\"a b\"] := 1\n"
     "p[2] := 3",
     "data.t.p[2]: complete constant {yield 3}\n"
     "data.t.p[\"a b\"]: complete constant {yield 1}"},
    {"package t\n"
     "p := x if { x := 1 }",
     "data.t.p: complete constant {yield 1}"},
    {"package t\n"
     "p := {\"a\": input.a, \"b\": [x | x := input.b[_]]}",
     "data.t.p: complete {s0 = input.a; s2 = array {s1 = input.b[*]; yield s1}; s3 = object(\"a\", "
     "s0, \"b\", s2); yield s3}"},
};

static const struct compiled_row statements[] = {
    {"package t\n"
     "p if input.a",
     "data.t.p: complete constant {s0 = input.a; s0; yield true}"},
    {"package t\n"
     "p if input.a == 1",
     "data.t.p: complete constant {s0 = input.a; s0 = 1; yield true}"},
    {"package t\n"
     "p if 1 == 1",
     "data.t.p: complete constant {yield true}"},
    {"package t\n"
     "p if 1 == 2",
     "data.t.p: complete constant {false; yield true}"},
    {"package t\n"
     "p if input.a != 1",
     "data.t.p: complete constant {s0 = input.a; s1 = neq(s0, 1); s1; yield true}"},
    {"package t\n"
     "p := x if x := input.a == 1",
     "data.t.p: complete {s0 = input.a; s1 = equal(s0, 1); yield s1}"},
    {"package t\n"
     "p if input.a = input.b",
     "data.t.p: complete constant {s0 = input.a; s1 = input.b; s1 = s0; yield true}"},
    {"package t\n"
     "p if { x := input.a; y := x; y == 1 }",
     "data.t.p: complete constant {s0 = input.a; s0 = 1; yield true}"},
    {"package t\n"
     "p if { [x, 1, y] = [1, y, x] }",
     "data.t.p: complete constant {yield true}"},
    {"package t\n"
     "p if { [x, {\"k\": y}] = input.a; x == y }",
     "data.t.p: complete constant {s0 = input.a; s0 is array of 2; s1 = s0[0]; s2 = s0[1]; s2 is "
     "object of 1; s3 = s2.k; s1 = s3; yield true}"},
    {"package t\n"
     "p if { {\"a\": x, \"b\": 1} = {\"b\": 1, \"a\": input.x}; x > 1 }",
     "data.t.p: complete constant {s0 = input.x; s1 = gt(s0, 1); s1; yield true}"},
    {"package t\n"
     "p if { [1, 2] = [1, 3] }",
     "data.t.p: complete constant {false; yield true}"},
    {"package t\n"
     "p if { [x] = [1, 2] ; x = 1}",
     "data.t.p: complete constant {false; yield true}"},
    {"package t\n"
     "p if { some x in input.a; x == 1 }",
     "data.t.p: complete constant {s0 = input.a[*]; s0 = 1; yield true}"},
    {"package t\n"
     "p if { some i, [x, y] in input.a; i == x; y == 1 }",
     "data.t.p: complete constant {s1 = input.a[*s0]; s1 is array of 2; s2 = s1[0]; s3 = s1[1]; s0 "
     "= s2; s3 = 1; yield true}"},
    {"package t\n"
     "p if { some x in [1, 2]; x == input.a }",
     "data.t.p: complete constant {s0 = [1, 2][*]; s1 = input.a; s0 = s1; yield true}"},
    {"package t\n"
     "p if { every x in input.a { x > 1 } }",
     "data.t.p: complete constant {s0 = input.a; every s1 in s0 {s2 = gt(s1, 1); s2; yield }; "
     "yield true}"},
    {"package t\n"
     "p if { every k, v in input.a { k == v } }",
     "data.t.p: complete constant {s0 = input.a; s1 = every s2 in s0 {s1 = s2; yield }; yield "
     "true}"},
    {"package t\n"
     "p if { x := {k: v | v := input.a[k]}; x.y == 1 }",
     "data.t.p: complete constant {s2 = object {s1 = input.a[*s0]; yield s0, s1}; s3 = s2.y; s3 = "
     "1; yield true}"},
    {"package t\n"
     "p if 1 in input.a",
     "data.t.p: complete constant {s0 = input.a; s1 = internal.member_2(1, s0); s1; yield true}"},
    {"package t\n"
     "p if 1, 2 in input.a",
     "data.t.p: complete constant {s0 = input.a; s1 = internal.member_3(1, 2, s0); s1; yield "
     "true}"},
    {"package t\n"
     "p if { input.a[i].b[i] == 1 }",
     "data.t.p: complete constant {s1 = input.a[*s0].b[s0]; s1 = 1; yield true}"},
    {"package t\n"
     "p if { input.a[_][x]; x > 1 }",
     "data.t.p: complete constant {s1 = input.a[*][*s0]; s1; s2 = gt(s0, 1); s2; yield true}"},
    {"package t\n"
     "p if { input.a[[x, 1]]; x > 1 }",
     "data.t.p: complete constant {s1 = input.a[*s0]; s0 is array of 2; s2 = s0[0]; s3 = s0[1]; s3 "
     "= 1; s1; s4 = gt(s2, 1); s4; yield true}"},
    {"package t\n"
     "p if [1, 2][input.x] == 1",
     "data.t.p: complete constant {s0 = input.x; s1 = [1, 2][s0]; s1 = 1; yield true}"},
    {"package t\n"
     "p if { x := [1, 2][1]; input.a == x }",
     "data.t.p: complete constant {s0 = input.a; s0 = 2; yield true}"},
    {"package t\n"
     "p if { \"a\" == {\"b\": \"a\"}.b }",
     "data.t.p: complete constant {yield true}"},
    {"package t\n"
     "p if { plus(1, 2, x); x == input.a }",
     "data.t.p: complete constant {s0 = plus(1, 2); s1 = input.a; s0 = s1; yield true}"},
    {"package t\n"
     "p if { walk(input, [x, 1]); x == [] }",
     "data.t.p: complete constant {s0 = input; s1 = walk(s0); s1 is array of 2; s2 = s1[0]; s3 = "
     "s1[1]; s3 = 1; s2 = []; yield true}"},
    {"package t\n"
     "p if regex.match(\"a+\", input.a)",
     "data.t.p: complete constant {s0 = input.a; s1 = regex.match!(\"a+\", s0); s1; yield true}"},
    {"package t\n"
     "p := $\"a {input.b} {1} {\"c\"} {{1}}\"",
     "data.t.p: complete {s1 = set {s0 = input.b; yield s0}; s2 = [\"a \", s1, \" \", 1, \" \", "
     "\"c\", \" \", {{1}}]; s3 = internal.template_string(s2); yield s3}"},
    {"package t\n"
     "p if print(\"a\", input.b, {1})",
     "data.t.p: complete constant {s1 = set {s0 = input.b; yield s0}; s2 = [{\"a\"}, s1, {{1}}]; "
     "s3 = internal.print(s2); yield true}"},
};

static const struct compiled_row negations[] = {
    {"package t\n"
     "p if not input.a",
     "data.t.p: complete constant {not {s0 = input.a; s0; yield }; yield true}"},
    {"package t\n"
     "p if not input.a[input.b]",
     "data.t.p: complete constant {s0 = input.b; not {s1 = input.a[s0]; s1; yield }; yield true}"},
    {"package t\n"
     "p if not count(input.a) > 1",
     "data.t.p: complete constant {s0 = input.a; s1 = count(s0); not {s2 = gt(s1, 1); s2; yield }; "
     "yield true}"},
    {"package t\n"
     "p if not input.a = [input.b]",
     "data.t.p: complete constant {s0 = input.b; not {s1 = input.a; s2 = [s0]; s1 = s2; yield }; "
     "yield true}"},
    {"package t\n"
     "p if { x := 1; not x == input.a }",
     "data.t.p: complete constant {not {s0 = input.a; 1 = s0; yield }; yield true}"},
    {"package t\n"
     "p if { not input.a with input.b as 1 }",
     "data.t.p: complete constant {with input.b as 1: not {s0 = input.a; s0; yield }; without; "
     "yield true}"},
    {"package t\n"
     "import future.keywords.not\n"
     "p if { not count(input.a[_]) > 1 }",
     "data.t.p: complete constant {not {s0 = input.a[*]; s1 = count(s0); s2 = gt(s1, 1); s2; yield "
     "}; yield true}"},
    {"package t\n"
     "import future.keywords.not\n"
     "p if { not { x := input.a; x > 1 } }",
     "data.t.p: complete constant {not {s0 = input.a; s1 = gt(s0, 1); s1; yield }; yield true}"},
};

static const struct compiled_row replacements[] = {
    {"package t\n"
     "p if q with input as 1\n"
     "q if input",
     "data.t.p: complete constant {with input as 1: s0 = data.t.q; s0; without; yield true}\n"
     "data.t.q: complete constant {s0 = input; s0; yield true}"},
    {"package t\n"
     "p if q with input.a as input.b with data.x.y as [input.c]\n"
     "q := 1",
     "data.t.p: complete constant {s0 = input.b; s1 = input.c; s2 = [s1]; with input.a as s0, "
     "data.x.y as s2: s3 = data.t.q; s3; without; yield true}\n"
     "data.t.q: complete constant {yield 1}"},
    {"package t\n"
     "p if q with q as 2\n"
     "q := 1",
     "data.t.p: complete constant {with data.t.q as 2: s0 = data.t.q; s0; without; yield true}\n"
     "data.t.q: complete constant {yield 1}"},
    {"package t\n"
     "p if q(1) with q as 2\n"
     "q(x) := x",
     "data.t.p: complete constant {with data.t.q as 2: s0 = data.t.q(1); s0; without; yield true}\n"
     "data.t.q: function {yield s0}"},
    {"package t\n"
     "p if q(1) with q as count\n"
     "q(x) := x",
     "data.t.p: complete constant {with data.t.q as count: s0 = data.t.q(1); s0; without; yield "
     "true}\n"
     "data.t.q: function {yield s0}"},
    {"package t\n"
     "p if count([1]) with count as q\n"
     "q(x) := x",
     "data.t.p: complete constant {with count as data.t.q: s0 = count([1]); s0; without; yield "
     "true}\n"
     "data.t.q: function {yield s0}"},
    {"package t\n"
     "p if { count([1]) == 1 with count as 2; input.a }",
     "data.t.p: complete constant {with count as 2: s0 = count([1]); s0 = 1; without; s1 = "
     "input.a; s1; yield true}"},
    {"package t\n"
     "p := x if x := count(input.a) with input.a as [1]",
     "data.t.p: complete {with input.a as [1]: s0 = input.a; s1 = count(s0); without; yield s1}"},
};

static const struct compiled_row names[] = {
    {"package t\n"
     "import data.a.b\n"
     "import input.c as d\n"
     "p if b.x == d.y",
     "data.t.p: complete constant {s0 = data.a.b.x; s1 = input.c.y; s0 = s1; yield true}"},
    {"package t\n"
     "p := q\n"
     "q := 1",
     "data.t.p: complete {s0 = data.t.q; yield s0}\n"
     "data.t.q: complete constant {yield 1}"},
    {"package t\n"
     "p if { q := 1; input.a == q }\n"
     "q := 2",
     "data.t.p: complete constant {s0 = input.a; s0 = 1; yield true}\n"
     "data.t.q: complete constant {yield 2}"},
    {"package t\n"
     "p if { input.a == [q | q := 1] ; q == 1 }\n"
     "q := 2",
     "data.t.p: complete constant {s0 = input.a; s1 = array {yield 1}; s0 = s1; s2 = data.t.q; s2 "
     "= 1; yield true}\n"
     "data.t.q: complete constant {yield 2}"},
    {"package t\n"
     "f(q) := q\n"
     "q := 1",
     "data.t.f: function {yield s0}\n"
     "data.t.q: complete constant {yield 1}"},
    {"package a.b\n"
     "p := data.a.c.q\n"
     "---\n"
     "package a.c\n"
     "q := data.a.b.r\n"
     "---\n"
     "package a.b\n"
     "r := 1",
     "data.a.b.p: complete {s0 = data.a.c.q; yield s0}\n"
     "data.a.b.r: complete constant {yield 1}\n"
     "data.a.c.q: complete {s0 = data.a.b.r; yield s0}"},
    {"package a\n"
     "import data.b.f\n"
     "import data.b\n"
     "p := f(1)\n"
     "q := b.f(2)\n"
     "r := data.b.f(3)\n"
     "---\n"
     "package b\n"
     "f(x) := x",
     "data.a.p: complete {s0 = data.b.f(1); yield s0}\n"
     "data.a.q: complete {s0 = data.b.f(2); yield s0}\n"
     "data.a.r: complete {s0 = data.b.f(3); yield s0}\n"
     "data.b.f: function {yield s0}"},
    {"package t\n"
     "count(x) := 7\n"
     "p := count([])",
     "data.t.count: function constant {yield 7}\n"
     "data.t.p: complete {s0 = data.t.count([]); yield s0}"},
    {"package t\n"
     "import data.x.q\n"
     "p := q\n"
     "q := 1",
     "data.t.p: complete {s0 = data.x.q; yield s0}\n"
     "data.t.q: complete constant {yield 1}"},
    {"package t\n"
     "p := [x | x := 1] if x := input.a",
     "data.t.p: complete {s0 = input.a; s1 = array {yield 1}; yield s1}"},
};

static const struct compiled_row older[] = {
    {"package t\n"
     "p[x] { x := input.a[_] }",
     "data.t.p: set {s0 = input.a[*]; yield s0}"},
    {"package t\n"
     "p[x] = y { y := input.a[x] }",
     "data.t.p: complete {s1 = input.a[*s0]; yield s0, s1}"},
    {"package t\n"
     "import data.x\n"
     "import input.x\n"
     "p { x }",
     "data.t.p: complete constant {s0 = input.x; s0; yield true}"},
    {"package t\n"
     "p { any([true]) }",
     "data.t.p: complete constant {s0 = any([true]); s0; yield true}"},
    {"package t\n"
     "input = 1 { true }",
     "data.t.input: complete constant {yield 1}"},
    {"package t\n"
     "p = x { input := 1; x := input }",
     "data.t.p: complete constant {yield 1}"},
    {"package t\n"
     "p { input.a } { input.b }",
     "data.t.p: complete constant {s0 = input.a; s0; yield true} constant {s0 = input.b; s0; yield "
     "true}"},
};

static void rules_yield_the_operands_behind_their_ground_path_and_then_the_value(void **state)
{
    (void)state;
    check_compiled(heads, ARRAY_LEN(heads), false);
}

static void statements_become_few_steps(void **state)
{
    (void)state;
    check_compiled(statements, ARRAY_LEN(statements), false);
}

static void only_the_outermost_call_or_ref_is_negated_unless_the_newer_not_is_imported(void **state)
{
    (void)state;
    check_compiled(negations, ARRAY_LEN(negations), false);
}

static void replacements_hold_from_with_to_without(void **state)
{
    (void)state;
    check_compiled(replacements, ARRAY_LEN(replacements), false);
}

static void names_are_locals_then_imports_then_rules_of_the_package(void **state)
{
    (void)state;
    check_compiled(names, ARRAY_LEN(names), false);
}

static void the_older_syntax_has_sets_and_built_ins_of_its_own(void **state)
{
    (void)state;
    check_compiled(older, ARRAY_LEN(older), true);
}

/* Whatever memory there is, it is enough or that is said. */
static void too_little_memory_is_a_limit(void **state)
{
    (void)state;
    static const char text[] =
        "package t\nimport data.x\nf(a, [b]) := c if c := a + b\n"
        "p contains [y | y := x[_]; not f(y, [1])] if { every z in x { z > 1 with input as 1 } }";
    size_t limits = 0;
    lethe_result result = LETHE_LIMIT;
    for (size_t limit = 1024; result != LETHE_OK; limit += 64) {
        CLEANUP(compiled_clear) struct compiled compiled;
        result = compiled_limited(&compiled, text, limit, false);
        limits += result == LETHE_LIMIT;
        assert_true(result == LETHE_OK || result == LETHE_LIMIT);
    }
    assert_true(limits > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_yield_the_operands_behind_their_ground_path_and_then_the_value),
        cmocka_unit_test(statements_become_few_steps),
        cmocka_unit_test(
            only_the_outermost_call_or_ref_is_negated_unless_the_newer_not_is_imported),
        cmocka_unit_test(replacements_hold_from_with_to_without),
        cmocka_unit_test(names_are_locals_then_imports_then_rules_of_the_package),
        cmocka_unit_test(the_older_syntax_has_sets_and_built_ins_of_its_own),
        cmocka_unit_test(too_little_memory_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
