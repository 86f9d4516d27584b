/* Policies, data and inputs that were written to be slow or large: each ends soon, with the reason
 * that it deserves. Times are not looked at; what once took minutes would not end in time. */
#include "prepared.h"

#include <stdio.h>

#include "base/buffer.h"

#define MANY 100000
#define MANY_VALUES (20 * MANY)
#define DISTANCE 4 /* of the samples, of which 25,000 still are what would take minutes */

/* No busy machine makes time the limit that is met; what would take minutes still meets it. */
static const struct lethe_policy_limits patient = {.time_ms = 60000};

/* ---- loading ---- */

/* @ is the number, # the next one. */
static void line_print(struct buffer *out, const char *line, unsigned number)
{
    for (const char *at = line; *at != '\0'; at++) {
        if (*at == '@' || *at == '#')
            buffer_format(out, "%u", *at == '@' ? number : number + 1);
        else
            buffer_byte(out, (uint8_t)*at);
    }
    buffer_byte(out, '\n');
}

static void lines_print(struct buffer *out, const char *line, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        line_print(out, line, i);
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

/* `last` is the line behind the others. */
static lethe_result load_lines(const char *line, const char *last, struct lethe_error *err)
{
    struct buffer text = {0};
    unsigned many = MANY / (unsigned)table_stride(DISTANCE);
    buffer_text(&text, "package t\n");
    lines_print(&text, line, many);
    line_print(&text, last, many);
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
    assert_result(LETHE_INVALID, load_lines("p@ := [p#, p0]", "p@ := p0", &err));
    assert_non_null(strstr(err.text, "rule data.t.p0 is recursive: data.t.p0 -> data.t.p1 -> "));
    assert_non_null(strstr(err.text, "data.t.p15 -> ... -> data.t.p0"));
}

/* Each would take RE2 some 10 ms, and come to nothing or to a megabyte. */
static void constant_patterns_are_prepared_within_bounds(void **state)
{
    struct lethe_error err = {0};
    assert_ok(load_lines("p@ if regex.match(`[\\pL\\pN]{0,30}@`, input.x)", "", &err), &err);
    assert_ok(load_lines("p@ if regex.match(`\\pL{1000}@`, input.x)", "", &err), &err);
    assert_ok(load_lines("p@ if regex.match(`\\pL{0,100}@[`, input.x)", "", &err), &err);
}

/* What was not prepared any more is compiled when it is asked. */
static void patterns_that_were_not_prepared_match_all_the_same(void **state)
{
    struct buffer text = {0};
    struct lethe_decision decision;
    buffer_text(&text,
                "package t\np if { r5; not r6; r1995; not r1996; g5; g49995; not g49996 }\n");
    lines_print(&text, "r@ if regex.match(`^a.?c@$`, input[\"@\"])", 2000);
    lines_print(&text, "g@ if glob.match(\"a*@\", [], input[\"g@\"])", 50000);
    struct lethe_policy *policy = prepared(text.bytes, NULL, &patient);
    const char *input = "{\"5\": \"abc5\", \"6\": \"abc\", \"1995\": \"abc1995\", \"1996\": \"b\","
                        " \"g5\": \"ab5\", \"g49995\": \"ab49995\", \"g49996\": \"b49996\"}";
    lethe_policy_decide(policy, "data.t.p", input, strlen(input), &decision);
    assert_int_equal(LETHE_POLICY_ALLOWED, decision.reason);
    lethe_policy_free(policy);
    buffer_clear(&text);
}

/* Two bytes of JSON are a value of fifty. */
static void data_larger_than_a_policy_may_be_is_refused(void **state)
{
    const struct lethe_policy_module module = module_of("t.rego", "package t\np := 1\n");
    struct lethe_policy_options options = {.modules = &module, .module_count = 1};
    struct lethe_policy *policy = NULL;
    struct lethe_error err = {0};
    struct buffer data = {0};
    buffer_text(&data, "{\"a\": [0");
    for (unsigned i = 0; i < MANY_VALUES; i++)
        buffer_text(&data, ",0");
    buffer_text(&data, "]}");
    options.data = data.bytes;
    options.data_size_bytes = data.size_bytes;
    options.limits.load_memory_bytes = (size_t)32 << 20;
    assert_result(LETHE_LIMIT, lethe_policy_prepare(&options, &policy, &err));
    assert_non_null(strstr(err.text, "33554432 bytes"));
    assert_null(policy);
    options.limits.load_memory_bytes = 0;
    assert_ok(lethe_policy_prepare(&options, &policy, &err), &err);
    lethe_policy_free(policy);
    buffer_clear(&data);
}

static void every_limit_of_loading_is_met_or_enough(void **state)
{
    struct buffer text = {0};
    lethe_result result = LETHE_LIMIT;
    buffer_text(&text, "package t\nimport data.x as z\n");
    lines_print(&text,
                "p[x].q contains y if { some x, y in z; every v in y { v > @ }; not r@(x) }\n"
                "r@(x) := [y | y := x[_]] if regex.match(\"a@\", x) else := 2",
                8);
    const struct lethe_policy_module module = {"t.rego", text.bytes, text.size_bytes};
    struct lethe_policy_options options = {.modules = &module, .module_count = 1};
    for (size_t limit = 1; result != LETHE_OK; limit += 1 + limit / 64) {
        struct lethe_policy *policy = NULL;
        struct lethe_error err = {0};
        options.limits.load_memory_bytes = limit;
        result = lethe_policy_prepare(&options, &policy, &err);
        if (result != LETHE_OK)
            assert_result(LETHE_LIMIT, result);
        lethe_policy_free(policy);
    }
    buffer_clear(&text);
}

#define FNV_STEP(hash, letter) (((hash) ^ (uint8_t)(letter)) * 1099511628211u)

/* Rules whose names begin with `prefix` and end in three letters: those that would all be in the
 * first bucket of a table of names. */
static unsigned colliding_print(struct buffer *out, const char *prefix)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const unsigned count = sizeof letters - 1;
    unsigned found = 0;
    uint64_t begin = 14695981039346656037u;
    for (const char *at = prefix; *at != '\0'; at++)
        begin = FNV_STEP(begin, *at);
    for (unsigned i = 0; i < count * count; i++) {
        const char a = letters[i / count], b = letters[i % count];
        const uint64_t of_two = FNV_STEP(FNV_STEP(begin, a), b);
        for (const char *c = letters; *c != '\0'; c++) {
            uint64_t hash = FNV_STEP(of_two, *c);
            if (((hash ^ hash >> 32) & 16383) != 0)
                continue;
            buffer_format(out, "%s%c%c%c := 1\n", prefix, a, b, *c);
            found++;
        }
    }
    return found;
}

static void names_that_were_chosen_to_collide_are_refused(void **state)
{
    struct lethe_error err = {0};
    struct buffer text = {0};
    unsigned names = 0;
    buffer_text(&text, "package t\n");
    for (unsigned i = 0; names < 12000; i++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "v%u_", i);
        names += colliding_print(&text, prefix);
    }
    assert_result(LETHE_INVALID, load(&text, &err));
    assert_non_null(strstr(err.text, "too much to be looked at"));
    buffer_clear(&text);
}

/* ---- deciding ---- */

static void assert_reason(enum lethe_policy_reason reason, const char *rules)
{
    struct lethe_decision decision;
    struct buffer text = {0};
    buffer_format(&text, "package t\n%s", rules);
    struct lethe_policy *policy = prepared(text.bytes, NULL, &patient);
    lethe_policy_decide(policy, "data.t.p", "{}", 2, &decision);
    if (decision.reason != reason)
        fail_msg("%s: %s: %s", rules, lethe_policy_reason_code(decision.reason), decision.text);
    lethe_policy_free(policy);
    buffer_clear(&text);
}

static void what_memory_a_text_would_take_as_json_counts(void **state)
{
    assert_reason(LETHE_POLICY_LIMIT_MEMORY,
                  "p if json.is_valid(sprintf(\"[%s0]\", [concat(\"\", [\"0,\" | some _ in "
                  "numbers.range(1, 900000)])]))\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_defaults_are_loaded),
        cmocka_unit_test(only_the_begin_of_a_long_cycle_is_named),
        cmocka_unit_test(names_that_were_chosen_to_collide_are_refused),
        cmocka_unit_test(constant_patterns_are_prepared_within_bounds),
        cmocka_unit_test(data_larger_than_a_policy_may_be_is_refused),
        cmocka_unit_test(every_limit_of_loading_is_met_or_enough),
        cmocka_unit_test(patterns_that_were_not_prepared_match_all_the_same),
        cmocka_unit_test(what_memory_a_text_would_take_as_json_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
