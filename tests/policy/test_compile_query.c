#include "check.h"

#include "compiled.h"

/* A query's shape against the modules, or its problems. `package`: "data.t", or NULL. */
struct query_row {
    const char *query, *package, *expected;
};

static const char modules[] = "package t\nimport data.k as aliased\np := 1\nf(x) := x\n"
                              "---\npackage u\nq := 2";

static const struct query_row queries[] = {
    {"data.t.p", NULL, " {s0 = data.t.p; yield } | s0"},
    {"x = 1", NULL, " {s0 = 1; yield } x=s0 | -"},
    {"x := input.a; y = x", NULL, " {s0 = input.a; yield } x=s0 y=s0 | - -"},
    {"input.a == 1", NULL, " {s0 = input.a; s1 = equal(s0, 1); yield } | s1"},
    {"input.a == 1; input.b", NULL,
     " {s0 = input.a; s1 = equal(s0, 1); s1; s2 = input.b; s2; yield } | s1 s2"},
    {"input.a[x]", NULL, " {s1 = input.a[*s0]; s1; yield } x=s0 | s1"},
    {"input.a[_] > 1", NULL, " {s0 = input.a[*]; s1 = gt(s0, 1); s1; yield } | s1"},
    {"some x in input.a; [y | y := x]", NULL,
     " {s0 = input.a[*]; s1 = array {yield s0}; s1; yield } x=s0 | - s1"},
    {"not input.a", NULL, " {not {s0 = input.a; s0; yield }; yield } | -"},
    {"plus(1, 2, x)", NULL, " {s0 = plus(1, 2); yield } x=s0 | -"},
    {"walk(input, [x, y])", NULL,
     " {s0 = input; s1 = walk(s0); s1 is array of 2; s2 = s1[0]; s3 = s1[1]; yield } x=s2 y=s3 | "
     "-"},
    {"data.t.p with input as x; x = 1", NULL,
     " {with input as 1: s0 = data.t.p; without; s0; s1 = 1; yield } x=s1 | s0 -"},
    {"1", NULL, " {s0 = 1; yield } | s0"},
    {"false", NULL, " {s0 = false; yield } | s0"},
    {"[1, input.a]", NULL, " {s0 = input.a; s1 = [1, s0]; yield } | s1"},
    {"p", NULL, "q:1 rego_unsafe_var_error: var p is unsafe\n"},
    {"p", "data.t", " {s0 = data.t.p; yield } | s0"},
    {"f(p)", "data.t", " {s0 = data.t.p; s1 = data.t.f(s0); yield } | s1"},
    {"aliased.x", "data.t", " {s0 = data.k.x; yield } | s0"},
    {"q", "data.t", "q:1 rego_unsafe_var_error: var q is unsafe\n"},
    {"q", "data.u", " {s0 = data.u.q; yield } | s0"},
    {"q", "data.nowhere", "q:1 rego_unsafe_var_error: var q is unsafe\n"},
    {"f(1)", NULL, "q:1 rego_type_error: undefined function f\n"},
    {"x > 1", NULL, "q:1 rego_unsafe_var_error: var x is unsafe\n"},
    {"x := 1; x := 2", NULL, "q:1 rego_compile_error: var x assigned above\n"},
    {"regex.match(\"a\", input.x)", NULL,
     " {s0 = input.x; s1 = regex.match(\"a\", s0); yield } | s1"},
};

static const struct term *package_of(struct arena *arena, const char *package,
                                     struct problems *problems)
{
    struct source *source = arena_zalloc(arena, 1, sizeof *source);
    struct body body;
    unsigned wildcards;
    *source = (struct source){"package", package, strlen(package)};
    assert_result(LETHE_OK, parse_query(arena, source, &(struct parse_options){0}, &body,
                                        &wildcards, problems));
    return body.items[0]->terms.items[0];
}

static void query_print(const struct plan *plan, const struct query_row *row, struct buffer *out)
{
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = COMPILED_ARENA_BYTES};
    struct problems problems = {.arena = &arena};
    const struct source source = {"q", row->query, strlen(row->query)};
    struct body body;
    unsigned wildcards;
    struct plan_query *query = NULL;
    assert_result(LETHE_OK, parse_query(&arena, &source, &(struct parse_options){0}, &body,
                                        &wildcards, &problems));
    const struct term *package =
        row->package == NULL ? NULL : package_of(&arena, row->package, &problems);
    if (compile_query(&arena, plan, &body, package, &query, &problems) == LETHE_OK)
        print_query(query, out);
    print_problems(&problems, out);
}

static void queries_name_their_variables_and_give_each_expression_a_value(void **state)
{
    (void)state;
    CLEANUP(compiled_clear) struct compiled compiled;
    compiled_make(&compiled, modules, false);
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        CLEANUP(buffer_clear) struct buffer out = {0};
        query_print(compiled.plan, &queries[i], &out);
        if (strcmp(out.bytes, queries[i].expected) != 0)
            fail_msg("%s\ngives\n%s\ninstead of\n%s", queries[i].query, out.bytes,
                     queries[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_name_their_variables_and_give_each_expression_a_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
