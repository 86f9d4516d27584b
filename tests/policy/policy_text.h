/* tests/policy/policy_text.h -- policies from text to plan, for tests of what runs them. */
#ifndef TESTS_POLICY_TEXT_H
#define TESTS_POLICY_TEXT_H

#include "check.h"

#include "policy/compile.h"
#include "policy/evaluate.h"
#include "policy/parse.h"

#define UNUSED __attribute__((unused))

struct policy {
    struct arena arena;
    struct source source;
    struct plan *plan;
};

UNUSED static const struct value *json(struct arena *arena, const char *text)
{
    const struct value *value = NULL;
    struct lethe_error err;
    assert_ok(value_parse_json(arena, text, strlen(text), &value, &err), &err);
    return value;
}

/* The text is the module behind `package t`; data is JSON, or NULL. */
UNUSED static void policy_prepare(struct policy *policy, const char *text, const char *data)
{
    struct module *module = NULL;
    struct lethe_error err;
    struct buffer whole = {0};
    buffer_format(&whole, "package t\n%s", text);
    *policy = (struct policy){.source = {.name = "t.rego", .size_bytes = whole.size_bytes}};
    policy->source.text = arena_copy(&policy->arena, whole.bytes, whole.size_bytes);
    buffer_clear(&whole);
    struct problems problems = {.arena = &policy->arena};
    const struct parse_options options = {0};
    (void)!parse_module(&policy->arena, &policy->source, &options, &module, &problems);
    assert_ok(problems_result(&problems, &err), &err);
    const struct module *modules[] = {module};
    (void)!compile_policy(&policy->arena, modules, 1,
                          json(&policy->arena, data == NULL ? "{}" : data), &policy->plan,
                          &problems);
    assert_ok(problems_result(&problems, &err), &err);
    assert_non_null(policy->plan);
}

UNUSED static void policy_clear(struct policy *policy)
{
    compile_release(policy->plan);
    arena_clear(&policy->arena);
}

/* data.t.<name> */
UNUSED static lethe_result policy_ask(const struct policy *policy, const char *name,
                                      const struct evaluation_options *options, struct arena *arena,
                                      const struct value **out, struct evaluation_failure *failure)
{
    const struct value t = {.kind = VALUE_STRING, .count = 1, .string = "t"};
    const struct value rule = {
        .kind = VALUE_STRING, .count = (uint32_t)strlen(name), .string = name};
    const struct value *const path[] = {&t, &rule};
    return evaluate_path(policy->plan, path, ARRAY_LEN(path), options, arena, out, failure);
}

#endif
