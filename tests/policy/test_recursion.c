#include "check.h"

#include "compiled.h"

static const struct compiled_row recursive[] = {
    {"package t\n"
     "p := q.a.b\n"
     "q := {\"a\": p}",
     "0:2 rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.q -> data.t.p"},
    {"package t\n"
     "default p := [x | some x in q]\n"
     "q := p",
     "0:2 rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.q -> data.t.p"},
    {"package t\n"
     "p := p",
     "0:2 rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.p"},
    {"package t\n"
     "p if q\n"
     "q if r\n"
     "r if p",
     "0:2 rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.q -> data.t.r -> "
     "data.t.p"},
    {"package t\n"
     "p if data.t[x]",
     "0:2 rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.p"},
    {"package t\n"
     "p if data.t",
     "0:2 rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.p"},
    {"package t\n"
     "p if data[x][y]",
     "0:2 rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.p"},
    {"package t\n"
     "p if data[x].p",
     "0:2 rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.p"},
    {"package t\n"
     "p[x] := 1 if x := p[_]",
     "0:2 rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.p"},
    {"package t\n"
     "p contains x if x := p[_]",
     "0:2 rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.p"},
    {"package t\n"
     "f(x) := f(x - 1)",
     "0:2 rego_recursion_error: rule data.t.f is recursive: data.t.f -> data.t.f"},
    {"package t\n"
     "f(x) := g(x)\n"
     "g(x) := [y | y := f(x)]",
     "0:2 rego_recursion_error: rule data.t.f is recursive: data.t.f -> data.t.g -> data.t.f"},
    {"package t\n"
     "p if not q\n"
     "q if not p",
     "0:2 rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.q -> data.t.p"},
    {"package t\n"
     "p if { every x in [1] { q == x } }\n"
     "q := 1 if p",
     "0:2 rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.q -> data.t.p"},
    {"package t\n"
     "p if q with input as 1\n"
     "q if p",
     "0:2 rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.q -> data.t.p"},
    {"package t\n"
     "p if count([1]) == 1 with count as f\n"
     "f(x) := 1 if p",
     "0:3 rego_recursion_error: rule data.t.f is recursive: data.t.f -> data.t.p -> data.t.f"},
    {"package t\n"
     "p := 1 if input.x else := p",
     "0:2 rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.p"},
    {"package t\n"
     "default p := 1\n"
     "p := 2 if q\n"
     "q if p",
     "0:3 rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.q -> data.t.p"},
    {"package t\n"
     "p.q := 1 if data.t.p.r\n"
     "p.r := 2 if data.t.p",
     "0:2 rego_recursion_error: rule data.t.p.q is recursive: data.t.p.q -> data.t.p.r -> "
     "data.t.p.q\n"
     "0:3 rego_recursion_error: rule data.t.p.r is recursive: data.t.p.r -> data.t.p.r"},
    {"package a.b\n"
     "p if data.a.c.q\n"
     "---\n"
     "package a.c\n"
     "q if data.a[x].p",
     "0:2 rego_recursion_error: rule data.a.b.p is recursive: data.a.b.p -> data.a.c.q -> "
     "data.a.b.p"},
    {"package t\n"
     "p if q\n"
     "q if p\n"
     "r if s\n"
     "s if r",
     "0:2 rego_recursion_error: rule data.t.p is recursive: data.t.p -> data.t.q -> data.t.p\n"
     "0:4 rego_recursion_error: rule data.t.r is recursive: data.t.r -> data.t.s -> data.t.r"},
};

static const struct compiled_row sound[] = {
    {"package t\n"
     "p if q\n"
     "q := 1",
     "data.t.p: complete constant {s0 = data.t.q; s0; yield true}\n"
     "data.t.q: complete constant {yield 1}"},
    {"package t\n"
     "p.q := 1 if data.t.p.r\n"
     "p.r := 2",
     "data.t.p.q: complete constant {s0 = data.t.p.r; s0; yield 1}\n"
     "data.t.p.r: complete constant {yield 2}"},
    {"package t\n"
     "p if data[x].u",
     "data.t.p: complete constant {s1 = data[*s0].u; s1; yield true}"},
    {"package t\n"
     "p if data.u[x]",
     "data.t.p: complete constant {s1 = data.u[*s0]; s1; yield true}"},
    {"package t\n"
     "p := 1 if data.t.q[x]\n"
     "q.r := 1",
     "data.t.p: complete constant {s1 = data.t.q[*s0]; s1; yield 1}\n"
     "data.t.q.r: complete constant {yield 1}"},
    {"package t\n"
     "f(x) := 1 if g(x)\n"
     "g(x) := 2",
     "data.t.f: function constant {s1 = data.t.g(s0); s1; yield 1}\n"
     "data.t.g: function constant {yield 2}"},
};

static void a_rule_that_needs_itself_is_named_with_the_way_back(void **state)
{
    (void)state;
    check_compiled(recursive, ARRAY_LEN(recursive), false);
}

static void a_rule_that_needs_others_is_not_recursive(void **state)
{
    (void)state;
    check_compiled(sound, ARRAY_LEN(sound), false);
}

static void chain(struct buffer *text, unsigned count, const char *end)
{
    buffer_text(text, "package t\n");
    for (unsigned i = 0; i < count; i++)
        buffer_format(text, "p%u := x if x := p%u\n", i, i + 1);
    buffer_format(text, "p%u := %s\n", count, end);
}

static void ten_thousand_rules_in_a_row_are_looked_through(void **state)
{
    (void)state;
    CLEANUP(buffer_clear) struct buffer text = {0}, back = {0}, out = {0};
    chain(&text, 10000, "1");
    compiled_print(text.bytes, false, &out);
    assert_non_null(strstr(out.bytes, "data.t.p10000: complete constant {yield 1}"));
    buffer_clear(&out);
    chain(&back, 10000, "p0");
    compiled_print(back.bytes, false, &out);
    assert_non_null(strstr(out.bytes, "rego_recursion_error: rule data.t.p"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_that_needs_itself_is_named_with_the_way_back),
        cmocka_unit_test(a_rule_that_needs_others_is_not_recursive),
        cmocka_unit_test(ten_thousand_rules_in_a_row_are_looked_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
