#include "check.h"

#include "compiled.h"

static const struct compiled_row ordered[] = {
    {"package t\n"
     "p if { x > 1; x = input.a }",
     "data.t.p: complete constant {s0 = input.a; s1 = gt(s0, 1); s1; yield true}"},
    {"package t\n"
     "p if { y = x + 1; x = input.a; y > 2 }",
     "data.t.p: complete constant {s0 = input.a; s1 = plus(s0, 1); s2 = gt(s1, 2); s2; yield "
     "true}"},
    {"package t\n"
     "p if { f(x) = y; x = 1; y == 2 }\n"
     "f(x) := x",
     "data.t.f: function {yield s0}\n"
     "data.t.p: complete constant {s0 = data.t.f(1); s0 = 2; yield true}"},
    {"package t\n"
     "p if { [x, y] = z; z = input.a; x == y }",
     "data.t.p: complete constant {s0 = input.a; s0 is array of 2; s1 = s0[0]; s2 = s0[1]; s1 = "
     "s2; yield true}"},
    {"package t\n"
     "p if { not x == 1; x = input.a }",
     "data.t.p: complete constant {s0 = input.a; not {s0 = 1; yield }; yield true}"},
    {"package t\n"
     "p if { y = [z | z = x[_]]; x = input.a; y == [] }",
     "data.t.p: complete constant {s0 = input.a; s2 = array {s1 = s0[*]; yield s1}; s2 = []; yield "
     "true}"},
    {"package t\n"
     "p if { input.a = {x: 1}; x = input.b }",
     "data.t.p: complete constant {s0 = input.b; s1 = input.a; s2 = object(s0, 1); s1 = s2; yield "
     "true}"},
    {"package t\n"
     "p if { {x} = input.a; x = input.b }",
     "data.t.p: complete constant {s0 = input.b; s1 = input.a; s2 = {s0}; s1 = s2; yield true}"},
    {"package t\n"
     "p if { x = {y: 1}; y = input.a; x.b }",
     "data.t.p: complete constant {s0 = input.a; s1 = object(s0, 1); s2 = s1.b; s2; yield true}"},
    {"package t\n"
     "p if { every v in w { v > x }; w = input.a; x = 1 }",
     "data.t.p: complete constant {s0 = input.a; every s1 in s0 {s2 = gt(s1, 1); s2; yield }; "
     "yield true}"},
    {"package t\n"
     "p if { count(x) == 1 with input.a as y; x = input.a; y = input.b }",
     "data.t.p: complete constant {s0 = input.a; s1 = input.b; with input.a as s1: s2 = count(s0); "
     "s2 = 1; without; yield true}"},
    {"package t\n"
     "p if { x = y; y = z; z = input.a; x > 0 }",
     "data.t.p: complete constant {s0 = input.a; s1 = gt(s0, 0); s1; yield true}"},
    {"package t\n"
     "p if { a[i] = 1; a = input.a; i > 0 }",
     "data.t.p: complete constant {s0 = input.a; s2 = s0[*s1]; s2 = 1; s3 = gt(s1, 0); s3; yield "
     "true}"},
    {"package t\n"
     "p if { [x, 1] = [input.a, y]; x > y }",
     "data.t.p: complete constant {s0 = input.a; s1 = gt(s0, 1); s1; yield true}"},
    {"package t\n"
     "p contains [x, y] if { y = x; input.a[x] }",
     "data.t.p: set {s1 = input.a[*s0]; s1; s2 = [s0, s0]; yield s2}"},
    {"package t\n"
     "p if { x = [1 | true]; x[i] = j; i == j }",
     "data.t.p: complete constant {s0 = array {yield 1}; s2 = s0[*s1]; s1 = s2; yield true}"},
    {"package t\n"
     "f(x) := y if { y = x }",
     "data.t.f: function {yield s0}"},
    {"package t\n"
     "p if { z = 1; x = {y | y = z} }",
     "data.t.p: complete constant {s0 = set {yield 1}; yield true}"},
    {"package t\n"
     "p := [y | y = x] if { x = input.a }",
     "data.t.p: complete {s0 = input.a; s1 = array {yield s0}; yield s1}"},
};

static const struct compiled_row unsafe[] = {
    {"package t\n"
     "p := x if { x > 1 }",
     "0:2 rego_unsafe_var_error: var x is unsafe"},
    {"package t\n"
     "p := 1 if { y = x + 1 }",
     "0:2 rego_unsafe_var_error: var x is unsafe\n"
     "0:2 rego_unsafe_var_error: var y is unsafe"},
    {"package t\n"
     "p contains x if true",
     "0:2 rego_unsafe_var_error: var x is unsafe"},
    {"package t\n"
     "p[x] := 1 if input.a",
     "0:2 rego_unsafe_var_error: var x is unsafe"},
    {"package t\n"
     "p := [x | input.a]",
     "0:2 rego_unsafe_var_error: var x is unsafe"},
    {"package t\n"
     "p if { not input.x[_] }",
     "0:2 rego_unsafe_var_error: var _ is unsafe"},
    {"package t\n"
     "p if { not f(y) }\n"
     "f(x) := 1",
     "0:2 rego_unsafe_var_error: var y is unsafe"},
    {"package t\n"
     "p if { not input.a = x }",
     "0:2 rego_unsafe_var_error: var x is unsafe"},
    {"package t\n"
     "p if { x = y }",
     "0:2 rego_unsafe_var_error: var x is unsafe\n"
     "0:2 rego_unsafe_var_error: var y is unsafe"},
    {"package t\n"
     "p if { x := y }",
     "0:2 rego_unsafe_var_error: var x is unsafe\n"
     "0:2 rego_unsafe_var_error: var y is unsafe"},
    {"package t\n"
     "p if { every x in y { x } }",
     "0:2 rego_unsafe_var_error: var y is unsafe"},
    {"package t\n"
     "p if { every x in input.a { y > x } }",
     "0:2 rego_unsafe_var_error: var y is unsafe"},
    {"package t\n"
     "p if { x = {y | y = z} }",
     "0:2 rego_unsafe_var_error: var y is unsafe\n"
     "0:2 rego_unsafe_var_error: var z is unsafe"},
    {"package t\n"
     "p if { x = [y | y = input.q[_]]; y > 1 }",
     "0:2 rego_unsafe_var_error: var x is unsafe\n"
     "0:2 rego_unsafe_var_error: var y is unsafe"},
    {"package t\n"
     "p if { {x} = {1} }",
     "0:2 rego_unsafe_var_error: var x is unsafe"},
    {"package t\n"
     "p if { {x: 1} = {1: 1} }",
     "0:2 rego_unsafe_var_error: var x is unsafe"},
    {"package t\n"
     "p if { [x, y] = [1] }",
     "0:2 rego_unsafe_var_error: var x is unsafe\n"
     "0:2 rego_unsafe_var_error: var y is unsafe"},
    {"package t\n"
     "p if { input.x = [_, y]; y > z }",
     "0:2 rego_unsafe_var_error: var z is unsafe"},
    {"package t\n"
     "p if print(x)",
     "0:2 rego_unsafe_var_error: var x is unsafe"},
    {"package t\n"
     "p := $\"{x}\"",
     "0:2 rego_unsafe_var_error: var x is unsafe"},
    {"package t\n"
     "p if { f(x) = y; f(y) = x }\n"
     "f(x) := x",
     "0:2 rego_unsafe_var_error: var x is unsafe\n"
     "0:2 rego_unsafe_var_error: var y is unsafe"},
    {"package t\n"
     "p if { count(_) }",
     "0:2 rego_unsafe_var_error: var _ is unsafe"},
    {"package t\n"
     "p if { input.x with input.y as z }",
     "0:2 rego_unsafe_var_error: var z is unsafe"},
    {"package t\n"
     "p if { x[1] }",
     "0:2 rego_unsafe_var_error: var x is unsafe"},
    {"package t\n"
     "p if { [y | x] }",
     "0:2 rego_unsafe_var_error: var x is unsafe\n"
     "0:2 rego_unsafe_var_error: var y is unsafe"},
    {"package t\n"
     "p if { some x; x }",
     "0:2 rego_unsafe_var_error: var x is unsafe"},
    {"package t\n"
     "p := x if { every x in [1] { x } }",
     "0:2 rego_unsafe_var_error: var x is unsafe"},
    {"package t\n"
     "f(x) := z if { x }",
     "0:2 rego_unsafe_var_error: var z is unsafe"},
    {"package t\n"
     "p := y if input.a else := z if input.b",
     "0:2 rego_unsafe_var_error: var y is unsafe\n"
     "0:2 rego_unsafe_var_error: var z is unsafe"},
    {"package t\n"
     "default f(x) := y\n"
     "f(1) := 2",
     "0:2 rego_parse_error: illegal default rule (value cannot contain var)"},
};

static void expressions_wait_for_what_they_need(void **state)
{
    (void)state;
    check_compiled(ordered, ARRAY_LEN(ordered), false);
}

static void what_nothing_binds_is_unsafe(void **state)
{
    (void)state;
    check_compiled(unsafe, ARRAY_LEN(unsafe), false);
}

/* Each expression needs what the next one binds: the worst order there is. */
static void chain_backwards(struct buffer *text, unsigned count)
{
    buffer_text(text, "package t\np if {\n");
    for (unsigned i = 0; i < count; i++)
        buffer_format(text, "x%u = x%u + 1\n", i, i + 1);
    buffer_format(text, "x%u = input.a\n}\n", count);
}

static void a_body_backwards_is_ordered_or_is_too_much(void **state)
{
    (void)state;
    CLEANUP(buffer_clear) struct buffer some = {0}, many = {0}, out = {0};
    chain_backwards(&some, 1000);
    compiled_print(some.bytes, false, &out);
    assert_non_null(strstr(out.bytes, "s0 = input.a; s1 = plus(s0, 1); s2 = plus(s1, 1)"));
    buffer_clear(&out);
    chain_backwards(&many, 50000);
    compiled_print(many.bytes, false, &out);
    assert_non_null(strstr(out.bytes, "rego_compile_error: too much to be looked at"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_wait_for_what_they_need),
        cmocka_unit_test(what_nothing_binds_is_unsafe),
        cmocka_unit_test(a_body_backwards_is_ordered_or_is_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
