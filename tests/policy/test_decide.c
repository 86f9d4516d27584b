/* E-2: whatever is not a clear yes is a no, with its reason. */
#include "prepared.h"

#include <stdlib.h>

#include "base/buffer.h"

static struct lethe_decision ask(const struct lethe_policy *policy, const char *rule,
                                 const char *input)
{
    struct lethe_decision decision;
    memset(&decision, 0xa5, sizeof decision); /* nothing is left as it was */
    lethe_policy_decide(policy, rule, input, strlen(input), &decision);
    assert_int_equal(decision.allowed, decision.reason == LETHE_POLICY_ALLOWED);
    assert_string_equal(decision.policy_digest, lethe_policy_digest(policy));
    assert_non_null(memchr(decision.text, '\0', sizeof(decision.text)));
    assert_true(decision.text[0] != '\0');
    return decision;
}

static void expect(enum lethe_policy_reason reason, const char *text,
                   const struct lethe_decision *got)
{
    if (got->reason != reason)
        fail_msg("%s (%s) instead of %s", lethe_policy_reason_code(got->reason), got->text,
                 lethe_policy_reason_code(reason));
    if (strstr(got->text, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", got->text, text);
}

/* ---- answers --------------------------------------------------------------------------------- */

static const char answers[] =
    "package test\n"
    "yes := true\n"
    "no := false\n"
    "nothing := null\n"
    "one := 1\n"
    "text := \"true\"\n"
    "list := [true]\n"
    "members contains true\n"
    "empty := {}\n"
    "other := {\"allow\": true}\n"
    "number := {\"allowed\": 1}\n"
    "word := {\"allowed\": \"true\"}\n"
    "null_inside := {\"allowed\": null, \"reason\": \"unsure\"}\n"
    "allowed := {\"allowed\": true}\n"
    "refused := {\"allowed\": false}\n"
    "why_yes := {\"allowed\": true, \"justification\": \"all is well\"}\n"
    "why_no := {\"allowed\": false, \"reason\": \"not today\"}\n"
    "both := {\"allowed\": true, \"reason\": \"b\", \"justification\": \"a\"}\n"
    "no_text := {\"allowed\": true, \"reason\": 7}\n"
    "texts := {\"allowed\": true, \"reason\": [\"a\", \"b\", \"c\"]}\n"
    "today if time.now_ns() > 1700000000000000000\n"
    "undefined := true if input.never\n"
    "broken := 1 / 0\n"
    "divided := true if input.x / 0 == 1\n"
    "table.yes := true\n"
    "table[x] := false if some x in [\"no\"]\n"
    "function(x) := true\n"
    "twice := 1\n"
    "twice := x if x := input.x\n";

static const struct {
    const char *rule;
    enum lethe_policy_reason reason;
    const char *text;
} table[] = {
    {"data.test.yes", LETHE_POLICY_ALLOWED, "the policy allows it"},
    {"data.test.allowed", LETHE_POLICY_ALLOWED, "the policy allows it"},
    {"data.test.why_yes", LETHE_POLICY_ALLOWED, "all is well"},
    {"data.test.both", LETHE_POLICY_ALLOWED, "a"},
    {"data.test.no_text", LETHE_POLICY_ALLOWED, "the policy allows it"},
    {"data.test.texts", LETHE_POLICY_ALLOWED, "the policy allows it"},
    {"data.test.today", LETHE_POLICY_ALLOWED, "the policy allows it"},
    {"data.test.table.yes", LETHE_POLICY_ALLOWED, "the policy allows it"},
    {"data[\"test\"][\"yes\"]", LETHE_POLICY_ALLOWED, "the policy allows it"},
    {"data.test[\"y\\u0065s\"]", LETHE_POLICY_ALLOWED, "the policy allows it"},

    {"data.test.no", LETHE_POLICY_REFUSED, "the policy says no"},
    {"data.test.refused", LETHE_POLICY_REFUSED, "the policy says no"},
    {"data.test.why_no", LETHE_POLICY_REFUSED, "not today"},
    {"data.test.table.no", LETHE_POLICY_REFUSED, "the policy says no"},

    {"data.test.undefined", LETHE_POLICY_UNDEFINED, "no rule"},
    {"data.test.broken", LETHE_POLICY_UNDEFINED, "no rule"},
    {"data.test.divided", LETHE_POLICY_UNDEFINED, "no rule"},
    {"data.test.table.other", LETHE_POLICY_UNDEFINED, "no rule"},

    {"data.test.nothing", LETHE_POLICY_NOT_A_DECISION, "neither true"},
    {"data.test.one", LETHE_POLICY_NOT_A_DECISION, "neither true"},
    {"data.test.text", LETHE_POLICY_NOT_A_DECISION, "neither true"},
    {"data.test.list", LETHE_POLICY_NOT_A_DECISION, "neither true"},
    {"data.test.members", LETHE_POLICY_NOT_A_DECISION, "neither true"},
    {"data.test.empty", LETHE_POLICY_NOT_A_DECISION, "neither true"},
    {"data.test.other", LETHE_POLICY_NOT_A_DECISION, "neither true"},
    {"data.test.number", LETHE_POLICY_NOT_A_DECISION, "neither true"},
    {"data.test.word", LETHE_POLICY_NOT_A_DECISION, "neither true"},
    {"data.test.null_inside", LETHE_POLICY_NOT_A_DECISION, "neither true"},
    {"data.test.table", LETHE_POLICY_NOT_A_DECISION, "neither true"},

    {"data.test.twice", LETHE_POLICY_ERROR, "eval_conflict_error"},

    {"", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"data", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"data.", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"data.test", LETHE_POLICY_BAD_RULE, "path of a rule"}, /* a package */
    {"data.test.missing", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"data.base.yes", LETHE_POLICY_BAD_RULE, "path of a rule"}, /* no rule, but data */
    {"data.test.function", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"data.test.yes ", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {" data.test.yes", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"data..test.yes", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"datatest.yes", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"input.yes", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"test.yes", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"true", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"data.test.yes; true", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"data.test.1", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"data[\"test\"", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"data[\"test\").yes", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"data[\"test", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"data[\"test\\", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"data[\"\\x\"]", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"data[test].yes", LETHE_POLICY_BAD_RULE, "path of a rule"},
    {"data.\xff.yes", LETHE_POLICY_BAD_RULE, "path of a rule"},
};

static void only_a_clear_yes_is_a_yes(void **state)
{
    CLEANUP(lethe_policy_free)
    struct lethe_policy *policy = prepared(answers, "{\"base\": {\"yes\": true}}", NULL);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct lethe_decision decision = ask(policy, table[i].rule, "{\"x\": 2}");
        print_message("%s: %s\n", table[i].rule, decision.text);
        expect(table[i].reason, table[i].text, &decision);
    }
}

static void an_error_says_where_it_was(void **state)
{
    CLEANUP(lethe_policy_free)
    struct lethe_policy *policy = prepared(answers, NULL, NULL);
    struct lethe_decision decision = ask(policy, "data.test.twice", "{\"x\": 2}");
    expect(LETHE_POLICY_ERROR, "test.rego:", &decision);
    decision = ask(policy, "data.test.twice", "{\"x\": 1}"); /* twice the same is no conflict */
    expect(LETHE_POLICY_NOT_A_DECISION, "", &decision);
}

static void a_path_that_is_too_long_is_no_rule(void **state)
{
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = prepared(answers, NULL, NULL);
    CLEANUP(buffer_clear) struct buffer rule = {0};
    buffer_text(&rule, "data.test.yes");
    for (unsigned i = 0; i < 100000; i++)
        buffer_text(&rule, ".a");
    struct lethe_decision decision = ask(policy, rule.bytes, "{}");
    expect(LETHE_POLICY_BAD_RULE, "path of a rule", &decision);
}

/* ---- input ----------------------------------------------------------------------------------- */

static void input_is_one_json_document(void **state)
{
    static const char *const bad[] = {
        "",         "{",    "{} {}", "{'a': 1}", "{\"a\": 1, \"a\": 2}",
        "\"\xff\"", "[1,]", "nul",   "01",       "\"\\ud800\""};
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = prepared(answers, NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct lethe_decision decision = ask(policy, "data.test.yes", bad[i]);
        expect(LETHE_POLICY_BAD_INPUT, "", &decision);
    }
    static const char *const good[] = {"{}", "null", "7", "\"text\"", " [1] "};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct lethe_decision decision = ask(policy, "data.test.yes", good[i]);
        expect(LETHE_POLICY_ALLOWED, "", &decision);
    }
}

static void input_of_great_depth_is_refused(void **state)
{
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = prepared(answers, NULL, NULL);
    CLEANUP(buffer_clear) struct buffer input = {0};
    for (unsigned i = 0; i < 1000000; i++)
        buffer_byte(&input, '[');
    struct lethe_decision decision = ask(policy, "data.test.yes", input.bytes);
    expect(LETHE_POLICY_BAD_INPUT, "", &decision);
}

/* What the policy says may quote the input, and goes into logs and onto terminals. */
static void texts_are_cut_and_harmless(void **state)
{
    CLEANUP(lethe_policy_free)
    struct lethe_policy *policy = prepared(
        "package test\nallow := {\"allowed\": false, \"reason\": input.text}\n", NULL, NULL);
    struct lethe_decision decision =
        ask(policy, "data.test.allow", "{\"text\": \"a\\u0000b\\u001b[2J\\nc\\u202e\"}");
    expect(LETHE_POLICY_REFUSED, "a?b?[2J?c", &decision);
    CLEANUP(buffer_clear) struct buffer input = {0};
    buffer_text(&input, "{\"text\": \"");
    for (unsigned i = 0; i < 1000; i++)
        buffer_text(&input, "\xc3\xa4");
    buffer_text(&input, "\"}");
    decision = ask(policy, "data.test.allow", input.bytes);
    expect(LETHE_POLICY_REFUSED, "\xc3\xa4...", &decision);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static const char endless[] = "package test\n"
                              "allow if {\n"
                              "\tnumbers := numbers.range(1, 100000)\n"
                              "\tsome x in numbers\n"
                              "\tsome y in numbers\n"
                              "\tx * y == -1\n"
                              "}\n";

static void steps_are_limited(void **state)
{
    const struct lethe_policy_limits limits = {.steps = 500000, .time_ms = 60000};
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = prepared(endless, NULL, &limits);
    struct lethe_decision decision = ask(policy, "data.test.allow", "{}");
    expect(LETHE_POLICY_LIMIT_STEPS, "more than 500000 steps", &decision);
}

static void time_is_limited(void **state)
{
    const struct lethe_policy_limits limits = {.steps = UINT64_MAX / 2, .time_ms = 20};
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = prepared(endless, NULL, &limits);
    struct lethe_decision decision = ask(policy, "data.test.allow", "{}");
    expect(LETHE_POLICY_LIMIT_TIME, "longer than 20 ms", &decision);
}

static void memory_is_limited(void **state)
{
    static const char text[] = "package test\n"
                               "allow if count([x | some x in numbers.range(1, 200000)]) > 0\n"
                               "small := true\n";
    const struct lethe_policy_limits limits = {.memory_bytes = (size_t)1 << 20};
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = prepared(text, NULL, &limits);
    struct lethe_decision decision = ask(policy, "data.test.allow", "{}");
    expect(LETHE_POLICY_LIMIT_MEMORY, "more than 1048576 bytes", &decision);
    decision = ask(policy, "data.test.small", "{}");
    expect(LETHE_POLICY_ALLOWED, "", &decision);
    CLEANUP(buffer_clear) struct buffer input = {0};
    buffer_byte(&input, '[');
    for (unsigned i = 0; i < 200000; i++)
        buffer_text(&input, "1,");
    buffer_text(&input, "1]");
    decision = ask(policy, "data.test.small", input.bytes);
    expect(LETHE_POLICY_LIMIT_MEMORY, "too much memory", &decision);
}

/* Reading the input too has a limit that nobody has to set. */
static void memory_is_limited_by_default(void **state)
{
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = prepared(answers, NULL, NULL);
    CLEANUP(buffer_clear) struct buffer input = {0};
    buffer_byte(&input, '[');
    for (unsigned i = 0; i < 2000000; i++)
        buffer_text(&input, "1,");
    buffer_text(&input, "1]");
    struct lethe_decision decision = ask(policy, "data.test.yes", input.bytes);
    expect(LETHE_POLICY_LIMIT_MEMORY, "too much memory", &decision);
}

static void depth_is_limited(void **state)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    buffer_text(&text, "package test\nf0(x) := x\n");
    for (unsigned i = 1; i < 100; i++)
        buffer_format(&text, "f%u(x) := y if y := f%u(x) + 1\n", i, i - 1);
    buffer_text(&text, "allow if f99(1) == 100\nshallow if f1(1) == 2\n");
    const struct lethe_policy_limits limits = {.depth = 50};
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = prepared(text.bytes, NULL, &limits);
    struct lethe_decision decision = ask(policy, "data.test.allow", "{}");
    expect(LETHE_POLICY_LIMIT_DEPTH, "deeper than 50", &decision);
    decision = ask(policy, "data.test.shallow", "{}");
    expect(LETHE_POLICY_ALLOWED, "", &decision);
    CLEANUP(lethe_policy_free) struct lethe_policy *unlimited = prepared(text.bytes, NULL, NULL);
    decision = ask(unlimited, "data.test.allow", "{}");
    expect(LETHE_POLICY_ALLOWED, "", &decision);
}

/* ---- reasons --------------------------------------------------------------------------------- */

static void every_reason_has_a_code_and_a_sentence(void **state)
{
#define CHECK_REASON(name, code, sentence)                                                         \
    assert_string_equal(lethe_policy_reason_code(LETHE_POLICY_##name), code);                      \
    assert_string_equal(lethe_policy_reason_sentence(LETHE_POLICY_##name), sentence);
    LETHE_POLICY_REASONS(CHECK_REASON)
#undef CHECK_REASON
    assert_string_equal(lethe_policy_reason_code((enum lethe_policy_reason)999), "unknown");
    struct lethe_decision zeroed = {0};
    assert_int_equal(zeroed.reason, LETHE_POLICY_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_clear_yes_is_a_yes),
        cmocka_unit_test(an_error_says_where_it_was),
        cmocka_unit_test(a_path_that_is_too_long_is_no_rule),
        cmocka_unit_test(input_is_one_json_document),
        cmocka_unit_test(input_of_great_depth_is_refused),
        cmocka_unit_test(texts_are_cut_and_harmless),
        cmocka_unit_test(steps_are_limited),
        cmocka_unit_test(time_is_limited),
        cmocka_unit_test(memory_is_limited),
        cmocka_unit_test(memory_is_limited_by_default),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(every_reason_has_a_code_and_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
