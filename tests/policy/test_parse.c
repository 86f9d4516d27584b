#include "check.h"

#include <stdlib.h>

#include "ast_print.h"
#include "policy/parse.h"

#define ARENA_LIMIT_BYTES ((size_t)64 << 20)

struct row {
    const char *text, *expected;
};

static void print_problems(const struct problems *problems, struct buffer *out)
{
    for (const struct problem *p = problems->first; p != NULL; p = p->next)
        problem_print(p, out);
}

/* The shape of a module's imports and rules; `text` is what stands behind its package. */
static void parse_to_shape(const char *text, bool v0, struct buffer *out)
{
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = ARENA_LIMIT_BYTES};
    CLEANUP(buffer_clear) struct buffer whole = {0};
    struct problems problems = {.arena = &arena};
    struct module *module = NULL;
    buffer_format(&whole, "package t\n%s", text);
    const struct source source = {"t.rego", whole.bytes, whole.size_bytes};
    if (parse_module(&arena, &source, &(struct parse_options){.v0 = v0}, &module, &problems) ==
        LETHE_OK)
        print_module(module, out);
    print_problems(&problems, out);
}

static void check_modules(const struct row *rows, size_t count, bool v0)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP(buffer_clear) struct buffer shape = {0}, expected = {0};
        parse_to_shape(rows[i].text, v0, &shape);
        buffer_format(&expected, "package (ref data \"t\")\n%s\n", rows[i].expected);
        if (strcmp(shape.bytes, expected.bytes) != 0)
            fail_msg("%s\nis\n%s\ninstead of\n%s", rows[i].text, shape.bytes, expected.bytes);
    }
}

static void query_to_shape(const char *text, bool v0, struct buffer *out)
{
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = ARENA_LIMIT_BYTES};
    struct problems problems = {.arena = &arena};
    struct body body;
    unsigned wildcards;
    const struct source source = {"query", text, strlen(text)};
    if (parse_query(&arena, &source, &(struct parse_options){.v0 = v0}, &body, &wildcards,
                    &problems) == LETHE_OK)
        print_body(&body, out);
    print_problems(&problems, out);
}

static void check_queries(const struct row *rows, size_t count, bool v0)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP(buffer_clear) struct buffer shape = {0}, expected = {0};
        query_to_shape(rows[i].text, v0, &shape);
        buffer_format(&expected, "{%s}", rows[i].expected);
        if (strcmp(shape.bytes, expected.bytes) != 0)
            fail_msg("%s\nis\n%s\ninstead of\n%s", rows[i].text, shape.bytes, expected.bytes);
    }
}

static void operators_bind_as_in_opa(void **state)
{
    static const struct row rows[] = {
        {"1 + 2 * 3", "(plus 1 (mul 2 3))"},
        {"1 * 2 + 3", "(plus (mul 1 2) 3)"},
        {"1 - 2 - 3", "(minus (minus 1 2) 3)"},
        {"1 / 2 % 3 * 4", "(mul (rem (div 1 2) 3) 4)"},
        {"(1 - 2) * 3", "(mul (minus 1 2) 3)"},
        {"1 - (2 - 3)", "(minus 1 (minus 2 3))"},
        {"a & b | c", "(or (and a b) c)"},
        {"a | b & c", "(or a (and b c))"},
        {"a & b + c", "(and a (plus b c))"},
        {"a | b == c", "(equal (or a b) c)"},
        {"a < b | c", "(lt a (or b c))"},
        {"a - b * c", "(minus a (mul b c))"},
        {"a == b != c", "(neq (equal a b) c)"},
        {"a < b <= c > d >= e", "(gte (gt (lte (lt a b) c) d) e)"},
        {"a == b in c", "((ref internal \"member_2\") (equal a b) c)"},
        {"a in b == c", "((ref internal \"member_2\") a (equal b c))"},
        {"a in b in c", "((ref internal \"member_2\") ((ref internal \"member_2\") a b) c)"},
        {"x := a in b", "(assign x ((ref internal \"member_2\") a b))"},
        {"x = a == b", "(eq x (equal a b))"},
        {"1 - -1", "(minus 1 -1)"},
        {"1 -1", "(minus 1 1)"},
        {"-1 + - 2", "(plus -1 -2)"},
        {"a\n+ b", "(plus a b)"},
        {"a +\nb", "(plus a b)"},
        {"k, v in xs", "((ref internal \"member_3\") k v xs)"},
        {"k, v in xs in ys",
         "((ref internal \"member_2\") ((ref internal \"member_3\") k v xs) ys)"},
        {"a + 1, v | w in xs", "((ref internal \"member_3\") (plus a 1) (or v w) xs)"},
        {"f(x in xs, y)", "(f ((ref internal \"member_2\") x xs) y)"},
        {"f((k, v in xs))", "(f ((ref internal \"member_3\") k v xs))"},
    };
    check_queries(rows, ARRAY_LEN(rows), false);
}

static void references_go_on_only_directly_behind(void **state)
{
    static const struct row rows[] = {
        {"a.b.c", "(ref a \"b\" \"c\")"},
        {"a[b].c[0]", "(ref a b \"c\" 0)"},
        {"a[x == 1]", "(ref a (equal x 1))"},
        {"a[[1, x]]", "(ref a (array 1 x))"},
        {"a.b(c)", "((ref a \"b\") c)"},
        {"f(x)[0].y", "(ref (f x) 0 \"y\")"},
        {"f()", "(f)"},
        {"f(x, 1,)", "(f x 1)"},
        {"a\n[b]", "a; (array b)"},
        {"a\n(b)", "a; b"},
        {"a # [b]\n[b]", "a; (array b)"},
        {"[1, 2][x]", "(ref [1, 2] x)"},
        {"{\"a\": 1}.a", "(ref {\"a\": 1} \"a\")"},
        {"[x | x = 1][0]", "(ref (array| x {(eq x 1)}) 0)"},
        {"(f(x))[0]", "(ref (f x) 0)"},
        {"a.not.in.if", "(ref a \"not\" \"in\" \"if\")"},
        {"not.a", "(ref not \"a\")"},
        {"not not.a", "not (ref not \"a\")"},
        {"with.a with with.b as 1", "(ref with \"a\") with (ref with \"b\") as 1"},
        {"some.foo", "(ref some \"foo\")"},
        {"every.foo.every", "(ref every \"foo\" \"every\")"},
        {"null.a == true.b", "(equal (ref null \"a\") (ref true \"b\"))"},
        {"some x\nin[x]", "(some x); (ref in x)"},
        {"contains(a, b)", "(contains a b)"},
        {"_ == a[_][_]", "(equal $0 (ref a $1 $2))"},
        {"set()", "set()"},
        {"set(1)", "(set 1)"},
        {"input", "input"},
    };
    check_queries(rows, ARRAY_LEN(rows), false);
}

static void constants_are_values(void **state)
{
    static const struct row rows[] = {
        {"null", "null"},
        {"[true, false, null]", "[true, false, null]"},
        {"0", "0"},
        {"-0", "0"},
        {"1.5e3", "1500"},
        {".5", "0.5"},
        {"-.5", "-0.5"},
        {"12345678901234567890123", "12345678901234567890123"},
        {"\"a\\n\\\"\\u00e9\\ud83d\\ude00\\/\"", "\"a\\n\\\"\xc3\xa9\xf0\x9f\x98\x80/\""},
        {"\"\\ud800x\"", "\"\xef\xbf\xbdx\""},
        {"`a\\n\"{`", "\"a\\\\n\\\"{\""},
        {"``", "\"\""},
        {"[]", "[]"},
        {"{}", "{}"},
        {"[1, 2,]", "[1, 2]"},
        {"{2, 1, 2}", "{1, 2}"},
        {"{\"b\": 1, \"a\": [2]}", "{\"a\": [2], \"b\": 1}"},
        {"{\"a\": 1, \"a\": 2}", "{\"a\": 2}"},
        {"{1: {2: {3}}}", "{1: {2: {3}}}"},
        {"[, 1]", "[1]"},
        {"[1, x]", "(array 1 x)"},
        {"{1, x}", "(set 1 x)"},
        {"{\"a\": x, y: 1}", "(object \"a\" x y 1)"},
    };
    check_queries(rows, ARRAY_LEN(rows), false);
}

static void a_bar_begins_a_comprehension_unless_a_comma_shows_an_operator(void **state)
{
    static const struct row rows[] = {
        {"[a | b]", "(array| a {b})"},
        {"{a | b}", "(set| a {b})"},
        {"{a: b | c}", "(object| a b {c})"},
        {"[a | b; c\nd]", "(array| a {b; c; d})"},
        {"[a | b == c]", "(array| a {(equal b c)})"},
        {"[a | b := c | d]", "(array| a {(assign b (or c d))})"},
        {"[a | not b]", "(array| a {not b})"},
        {"[a | some a, b; c]", "(array| a {(some a b); c})"},
        {"[a | some a in b]", "(array| a {(some-in a b)})"},
        {"[a | some k, a in b]", "(array| a {(some-in k a b)})"},
        {"[a | k, a in b]", "(array| a {((ref internal \"member_3\") k a b)})"},
        {"[a | every x in b { x }]", "(array| a {(every x b {x})})"},
        {"[a | b with input as 1]", "(array| a {b with input as 1})"},
        {"[a | b, c]", "(array (or a b) c)"},
        {"[a | b,]", "(array (or a b))"},
        {"{a | b, c}", "(set (or a b) c)"},
        {"[a | b & c == d, e]", "(array (equal (or a (and b c)) d) e)"},
        {"[a | b | c, d]", "(array (or (or a b) c) d)"},
        {"[a | b in c, d]", "(array ((ref internal \"member_2\") (or a b) c) d)"},
        {"{a: b | c, d: e}", "(object a (or b c) d e)"},
        {"{a: b | c,}", "(object a (or b c))"},
        {"{a: b | c, d: e | f}", "(object a (or b c) d (or e f))"},
        {"[1, a | b]", "(array 1 (or a b))"},
        {"[(a | b)]", "(array (or a b))"},
        {"[(a | b) | c]", "(array| (or a b) {c})"},
        {"{a + 1: b | c}", "(object| (plus a 1) b {c})"},
        {"{a: b + c | d, e: f}", "(object a (or (plus b c) d) e f)"},
        {"[a + b | c]", "(array (or (plus a b) c))"},
        {"[[a | b] | c]", "(array| (array| a {b}) {c})"},
        {"[[a | b, c] | d, e]", "(array (or (array (or a b) c) d) e)"},
        {"[, a | b]", "(array (or a b))"},
    };
    check_queries(rows, ARRAY_LEN(rows), false);
}

static void expressions_end_at_newlines_and_semicolons(void **state)
{
    static const struct row rows[] = {
        {"a; b\nc", "a; b; c"},
        {"a # comment; b\nb", "a; b"},
        {"# first\n\na\n# last", "a"},
        {"a\r\nb", "a; b"},
        {"x := 1", "(assign x 1)"},
        {"[x, y] := [1, 2]", "(assign (array x y) [1, 2])"},
        {"not a == b", "not (equal a b)"},
        {"some x, y\nf(x)", "(some x y); (f x)"},
        {"some x,\n y, z", "(some x y z)"},
        {"some x in xs", "(some-in x xs)"},
        {"some [x, 1] in xs", "(some-in (array x 1) xs)"},
        {"some k, {\"a\": v} in xs with input as 1",
         "(some-in k (object \"a\" v) xs) with input as 1"},
        {"every x in xs { x > 1; y }", "(every x xs {(gt x 1); y})"},
        {"every k, v in f(xs) {\nk\nv\n} with data.a as 2",
         "(every k v (f xs) {k; v}) with (ref data \"a\") as 2"},
        {"a with input.x as 1\n with f as g", "a with (ref input \"x\") as 1 with f as g"},
        {"f(x, y) = z", "(eq (f x y) z)"},
        {"not {a}", "not (set a)"},
    };
    check_queries(rows, ARRAY_LEN(rows), false);
}

static void templates_hold_texts_and_terms(void **state)
{
    static const struct row rows[] = {
        {"$\"\"", "(template)"},
        {"$\"a\"", "(template \"a\")"},
        {"$\"a{b}c{1}{\"d\"}\"", "(template \"a\" b \"c\" 1 \"d\")"},
        {"$\"\\{a}\\n\\\"\\\\\"", "(template \"{a}\\n\\\"\\\\\")"},
        {"$`\\{a}\\n\n{b}\"`", "(template \"{a}\\\\n\\n\" b \"\\\"\")"},
        {"$\"{ {1, x} }{{}}{{\"a\": b}}\"", "(template (set 1 x) {} (object \"a\" b))"},
        {"$\"{$\"{a}\"}{$`{b}`}\"", "(template (template a) (template b))"},
        {"$\"{1 + a}{f(b)[0]}\"", "(template (plus 1 a) (ref (f b) 0))"},
        {"$\"{[x | some x in a]}\"", "(template (array| x {(some-in x a)}))"},
        {"$\"{x in xs}\"", "(template ((ref internal \"member_2\") x xs))"},
        {"$\"{a with input as 1}\"", "(template (ref (array| $0 {(eq $0 a) with input as 1}) 0))"},
        {"f($\"{x}\") == $\"y\"", "(equal (f (template x)) (template \"y\"))"},
    };
    check_queries(rows, ARRAY_LEN(rows), false);
}

static void rules_of_the_newer_syntax(void **state)
{
    static const struct row rows[] = {
        {"p := 1", "complete p = 1 {true}"},
        {"p = 1", "complete p = 1 {true}"},
        {"p if a", "complete p = true {a}"},
        {"p if { a; b }", "complete p = true {a; b}"},
        {"p := x if {\n\tx := 1\n}", "complete p = x {(assign x 1)}"},
        {"p if { true }", "complete p = true {true}"},
        {"p if { a | b }", "complete p = true {(set| a {b})}"},
        {"p if {\"a\": 1}", "complete p = true {{\"a\": 1}}"},
        {"p if {a} == {1}", "complete p = true {(equal (set a) {1})}"},
        {"p if not a", "complete p = true {not a}"},
        {"p if every x in xs { x }", "complete p = true {(every x xs {x})}"},
        {"p if { a } { b }", "complete p = true {a}\ncomplete p = true {b}"},
        {"p.q.r := 1", "complete (ref p \"q\" \"r\") = 1 {true}"},
        {"p[x].q[y] := z if a", "complete (ref p x \"q\" y) = z {a}"},
        {"p[x] if a[x]", "complete (ref p x) = true {(ref a x)}"},
        {"p[x] := y if a", "complete (ref p x) = y {a}"},
        {"p contains x if a", "set p contains x {a}"},
        {"p contains 1", "set p contains 1 {true}"},
        {"p.q[x] contains [x, y] if a", "set (ref p \"q\" x) contains (array x y) {a}"},
        {"f(x) := x", "function f(x) = x {true}"},
        {"f(x, [_, 1], {\"a\": y}) if a",
         "function f(x, (array $0 1), (object \"a\" y)) = true {a}"},
        {"p.q.f(x) := 1 if x", "function (ref p \"q\" \"f\")(x) = 1 {x}"},
        {"f(x)", "function f(x) = true {true}"},
        {"f() := 1", "complete f = 1 {true}"},
        {"default p := {\"a\": [1]}", "default complete p = {\"a\": [1]} {true}"},
        {"default p := [x | some x in a]",
         "default complete p = (array| x {(some-in x a)}) {true}"},
        {"default f(_, x) := 1", "default function f($0, x) = 1 {true}"},
        {"default p.q.f(x) := 1", "default function (ref p \"q\" \"f\")(x) = 1 {true}"},
        {"p := 1 if a else := 2 if { b } else := 3", "complete p = 1 {a} else 2 {b} else 3 {true}"},
        {"p if { a } else if { b }\n\nelse if c",
         "complete p = true {a} else true {b} else true {c}"},
        {"p if a else := false", "complete p = true {a} else false {true}"},
        {"p if { a } # x\n# METADATA\n# title: y\nq := 1",
         "complete p = true {a}\ncomplete q = 1 {true}"},
        {"p if { a } q if { b }", "complete p = true {a}\ncomplete q = true {b}"},
        {"as.foo := 1\nfoo.as := 2",
         "complete (ref as \"foo\") = 1 {true}\ncomplete (ref foo \"as\") = 2 {true}"},
        {"default default.if.f(_) := 1",
         "default function (ref default \"if\" \"f\")($0) = 1 {true}"},
        {"package.a := 1\nimport.b := 2",
         "complete (ref package \"a\") = 1 {true}\ncomplete (ref import \"b\") = 2 {true}"},
        {"else.a := 1 if b\nelse.c contains 1",
         "complete (ref else \"a\") = 1 {b}\nset (ref else \"c\") contains 1 {true}"},
        {"p := 1 if a\nelse.b := 2", "complete p = 1 {a}\ncomplete (ref else \"b\") = 2 {true}"},
        {"p := x, y in xs", "complete p = ((ref internal \"member_3\") x y xs) {true}"},
    };
    check_modules(rows, ARRAY_LEN(rows), false);
}

static void rules_of_the_older_syntax(void **state)
{
    static const struct row rows[] = {
        {"p { a }", "complete p = true {a}"},
        {"p = x { a }", "complete p = x {a}"},
        {"p := x { a }", "complete p = x {a}"},
        {"p[x] { a }", "set p contains x {a}"},
        {"p[x] = y { a }", "complete (ref p x) = y {a}"},
        {"p.q { a }", "set p contains \"q\" {a}"},
        {"p.q = 1 { a }", "complete (ref p \"q\") = 1 {a}"},
        {"p[x][y] { a }", "complete (ref p x y) = true {a}"},
        {"p[\"a\"]", "set p contains \"a\" {true}"},
        {"p.q.r", "complete (ref p \"q\" \"r\") = true {true}"},
        {"p [x] { a }", "set p contains x {a}"},
        {"p { a } { b } { c }",
         "complete p = true {a}\ncomplete p = true {b}\ncomplete p = true {c}"},
        {"f(x) = y { a } { b }", "function f(x) = y {a}\nfunction f(x) = y {b}"},
        {"p = 1 { a } else = 2 { b } else { c } else = 3",
         "complete p = 1 {a} else 2 {b} else true {c} else 3 {true}"},
        {"default p = 1", "default complete p = 1 {true}"},
        {"in = 1\nif = 2\nevery { contains }",
         "complete in = 1 {true}\ncomplete if = 2 {true}\ncomplete every = true {contains}"},
        {"import future.keywords.if\np if a",
         "import (ref future \"keywords\" \"if\") as if\ncomplete p = true {a}"},
        {"import future.keywords.if\np[x] if a",
         "import (ref future \"keywords\" \"if\") as if\ncomplete (ref p x) = true {a}"},
        {"import future.keywords.contains\np contains x { a }",
         "import (ref future \"keywords\" \"contains\") as contains\nset p contains x {a}"},
        {"import future.keywords.every\np { every x in y { x } }",
         "import (ref future \"keywords\" \"every\") as every\ncomplete p = true {(every x y "
         "{x})}"},
        {"import future.keywords\nimport future.keywords.in\np { some x in y }",
         "import (ref future \"keywords\") as keywords\n"
         "import (ref future \"keywords\" \"in\") as in\ncomplete p = true {(some-in x y)}"},
        {"import rego.v1\np contains x if a",
         "import (ref rego \"v1\") as v1\nset p contains x {a}"},
    };
    check_modules(rows, ARRAY_LEN(rows), true);
}

static void imports_have_the_name_they_give(void **state)
{
    static const struct row rows[] = {
        {"import data.a.b", "import (ref data \"a\" \"b\") as b"},
        {"import data.a.b as c", "import (ref data \"a\" \"b\") as c"},
        {"import input.x\nimport data", "import (ref input \"x\") as x\nimport data as data"},
        {"import data[\"a b\"].c", "import (ref data \"a b\" \"c\") as c"},
        {"import data.if.in as x", "import (ref data \"if\" \"in\") as x"},
        {"import rego.v1\nimport future.keywords.in",
         "import (ref rego \"v1\") as v1\nimport (ref future \"keywords\" \"in\") as in"},
        {"import future.keywords.not\np if not { a; not { b } }",
         "import (ref future \"keywords\" \"not\") as not\ncomplete p = true {(not {a; (not "
         "{b})})}"},
    };
    check_modules(rows, ARRAY_LEN(rows), false);
}

/* A module's facts beyond its shape. */
static void a_module_says_how_it_was_written(void **state)
{
    static const struct {
        const char *text;
        bool v0, expected_v0, expected_not;
        unsigned wildcards;
    } rows[] = {
        {"package p\nq := [_, _]", false, false, false, 2},
        {"package p\nq if { _ }", false, false, false, 1},
        {"package p\nq { _ }", true, true, false, 1},
        {"package p\nimport rego.v1", true, false, false, 0},
        {"package p\nimport future.keywords.not", false, false, true, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(arena_clear) struct arena arena = {0};
        struct problems problems = {.arena = &arena};
        struct module *module = NULL;
        const struct source source = {"t", rows[i].text, strlen(rows[i].text)};
        const struct parse_options options = {.v0 = rows[i].v0};
        assert_result(LETHE_OK, parse_module(&arena, &source, &options, &module, &problems));
        assert_ptr_equal(module->source, &source);
        assert_int_equal(module->v0, rows[i].expected_v0);
        assert_int_equal(module->keyword_not, rows[i].expected_not);
        assert_int_equal(module->wildcard_count, rows[i].wildcards);
    }
}

static void check_place(struct place place, const char *expected)
{
    assert_int_equal(place.length, strlen(expected));
    assert_memory_equal(place.source->text + place.offset, expected, place.length);
}

static void places_cover_what_was_written(void **state)
{
    static const char text[] = "package a.b\n\nimport data.x as y\nf(x) := x + 1 if {\n\tx > 2\n"
                               "\tnot y.z with input as {} # no\n} else := g(3) if x\n";
    CLEANUP(arena_clear) struct arena arena = {0};
    struct problems problems = {.arena = &arena};
    struct module *module = NULL;
    const struct source source = {"t", text, strlen(text)};
    assert_result(LETHE_OK,
                  parse_module(&arena, &source, &(struct parse_options){0}, &module, &problems));
    const struct rule *rule = module->rules[0];
    check_place(module->package_place, "package a.b");
    check_place(module->imports[0].place, "import data.x as y");
    check_place(module->imports[0].path->place, "data.x");
    check_place(rule->head_place, "f(x) := x + 1");
    check_place(rule->value->place, "x + 1");
    check_place(rule->body.items[0]->place, "x > 2");
    check_place(rule->body.items[1]->place, "not y.z with input as {}");
    check_place(rule->body.items[1]->withs[0].place, "with input as {}");
    check_place(rule->else_rule->place, "else := g(3) if x");
    check_place(rule->else_rule->value->place, "g(3)");
    assert_int_equal(rule->place.offset, rule->head_place.offset);
    assert_int_equal(rule->place.offset + rule->place.length, strlen(text) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_bind_as_in_opa),
        cmocka_unit_test(references_go_on_only_directly_behind),
        cmocka_unit_test(constants_are_values),
        cmocka_unit_test(a_bar_begins_a_comprehension_unless_a_comma_shows_an_operator),
        cmocka_unit_test(expressions_end_at_newlines_and_semicolons),
        cmocka_unit_test(templates_hold_texts_and_terms),
        cmocka_unit_test(rules_of_the_newer_syntax),
        cmocka_unit_test(rules_of_the_older_syntax),
        cmocka_unit_test(imports_have_the_name_they_give),
        cmocka_unit_test(a_module_says_how_it_was_written),
        cmocka_unit_test(places_cover_what_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
