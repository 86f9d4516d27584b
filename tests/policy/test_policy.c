#include "prepared.h"

#include <stdlib.h>

#define GOOD "package test\n\nallow if input.x == data.x\n"

static lethe_result prepare(const struct lethe_policy_options *options, struct lethe_error *err)
{
    struct lethe_policy *policy = (struct lethe_policy *)1;
    lethe_result result = lethe_policy_prepare(options, &policy, err);
    assert_int_equal(result == LETHE_OK, policy != NULL);
    lethe_policy_free(policy);
    return result;
}

static lethe_result prepare_text(const char *text, const char *data, struct lethe_error *err)
{
    const struct lethe_policy_module module = module_of("authz.rego", text);
    const struct lethe_policy_options options = {
        .modules = &module,
        .module_count = 1,
        .data = data,
        .data_size_bytes = data != NULL ? strlen(data) : 0,
    };
    return prepare(&options, err);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void what_is_no_rego_is_malformed_and_says_where(void **state)
{
    static const struct {
        const char *text, *where;
    } bad[] = {
        {"", "authz.rego:"},
        {"nonsense", "authz.rego:1:"},
        {"package test\n\nallow if {\n\tinput.x ==\n}\n", "authz.rego:5:1: rego_parse_error"},
        {"package test\n\nallow := }\n", "authz.rego:3:10: rego_parse_error"},
        {"package test\n\nallow { true }\n", "authz.rego:3:"}, /* the older syntax */
        {"package test\n\nx := \"\xff\"\n", "authz.rego:3:"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct lethe_error err = {0};
        assert_result(LETHE_MALFORMED, prepare_text(bad[i].text, NULL, &err));
        if (strncmp(err.text, bad[i].where, strlen(bad[i].where)) != 0)
            fail_msg("%s\n: %s instead of %s...", bad[i].text, err.text, bad[i].where);
        assert_int_equal(err.code, LETHE_MALFORMED);
    }
}

static void one_module_that_is_no_rego_is_enough(void **state)
{
    const struct lethe_policy_module modules[] = {module_of("a.rego", "package a\np := }"),
                                                  module_of("b.rego", "package b\np := 1")};
    const struct lethe_policy_options options = {.modules = modules, .module_count = 2};
    struct lethe_policy *policy = NULL;
    struct lethe_error err = {0};
    assert_result(LETHE_MALFORMED, lethe_policy_prepare(&options, &policy, &err));
    assert_non_null(strstr(err.text, "a.rego:2:"));
    assert_null(policy);
}

static void what_cannot_run_is_invalid_and_says_where(void **state)
{
    static const struct {
        const char *text, *code;
    } bad[] = {
        {"package test\n\nallow if x == y\n", "rego_unsafe_var_error"},
        {"package test\n\nallow if not input[x]\n", "rego_unsafe_var_error"},
        {"package test\n\nallow if allow\n", "rego_recursion_error"},
        {"package test\n\nallow if nothing_of_that_name(1)\n", "rego_type_error"},
        {"package test\n\nallow if count()\n", "rego_type_error"},
        {"package test\n\ndefault a := 1\n\ndefault a := 2\n", "rego_type_error"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct lethe_error err = {0};
        assert_result(LETHE_INVALID, prepare_text(bad[i].text, NULL, &err));
        assert_non_null(strstr(err.text, bad[i].code));
        assert_memory_equal(err.text, "authz.rego:", strlen("authz.rego:"));
        assert_int_equal(err.code, LETHE_INVALID);
    }
}

static void a_rule_where_the_data_has_a_value_is_invalid(void **state)
{
    static const struct {
        const char *text, *data, *said; /* NULL: nothing */
    } cases[] = {
        {"package t\nq := 1", "{\"t\": {\"q\": 2}}",
         "conflicting rule for data path data.t.q found"},
        {"package t\nq if false", "{\"t\": {\"q\": true}}",
         "conflicting rule for data path data.t.q found"},
        {"package t\nq contains 1", "{\"t\": {\"q\": {}}}",
         "conflicting rule for data path data.t.q found"},
        {"package t\nf(x) := 1", "{\"t\": {\"f\": 2}}",
         "conflicting rule for data path data.t.f found"},
        {"package t\nq.r := 1", "{\"t\": {\"q\": {\"r\": 2}}}",
         "conflicting rule for data path data.t.q.r found"},
        {"package t\nq := 1", "{\"t\": 2}", "conflicting rule for data path data.t.q found"},
        {"package t\nq := 1", "{\"t\": {\"r\": 2}}", NULL},
        {"package t\nq.r := 1", "{\"t\": {\"q\": {\"s\": 2}}}", NULL},
        {"package t\nq[1] := 1", "{\"t\": {\"q\": [1, 2]}}", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct lethe_error err = {0};
        lethe_result result = prepare_text(cases[i].text, cases[i].data, &err);
        assert_result(cases[i].said == NULL ? LETHE_OK : LETHE_INVALID, result);
        if (cases[i].said != NULL && strstr(err.text, cases[i].said) == NULL)
            fail_msg("%s: %s", cases[i].text, err.text);
    }
}

static void data_is_one_json_object(void **state)
{
    static const char *const bad[] = {
        "", "{", "[]", "1", "null", "{} {}", "{\"a\": 1, \"a\": 2}", "{\"a\": \"\xff\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct lethe_error err = {0};
        assert_result(LETHE_MALFORMED, prepare_text(GOOD, bad[i], &err));
        assert_non_null(strstr(err.text, "data"));
    }
}

static void a_module_over_the_limit_is_not_read(void **state)
{
    struct lethe_error err = {0};
    const struct lethe_policy_module module = {"big.rego", GOOD, SIZE_MAX};
    assert_result(
        LETHE_LIMIT,
        prepare(&(struct lethe_policy_options){.modules = &module, .module_count = 1}, &err));
    assert_non_null(strstr(err.text, "big.rego"));
}

/* ---- what is taken --------------------------------------------------------------------------- */

static bool decides(struct lethe_policy *policy, const char *input)
{
    struct lethe_decision decision;
    lethe_policy_decide(policy, "data.test.allow", input, strlen(input), &decision);
    return decision.allowed;
}

static void an_error_names_a_module_whose_name_the_caller_has_given_up(void **state)
{
    struct lethe_error err = {0};
    struct lethe_decision decision;
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = NULL;
    char name[] = "authz.rego", text[] = "package authz\nallow := 1\nallow := input.x\n";
    const struct lethe_policy_module module = {name, text, sizeof text - 1};
    const struct lethe_policy_options options = {.modules = &module, .module_count = 1};
    assert_ok(lethe_policy_prepare(&options, &policy, &err), &err);
    memset(name, '#', sizeof name);
    memset(text, '#', sizeof text);
    lethe_policy_decide(policy, "data.authz.allow", "{\"x\": 2}", 8, &decision);
    assert_int_equal(decision.reason, LETHE_POLICY_ERROR);
    assert_non_null(strstr(decision.text, "authz.rego:3:1: eval_conflict_error"));
}

static void a_policy_keeps_nothing_of_the_callers(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = NULL;
    char name[] = "authz.rego", text[] = GOOD, data[] = "{\"x\": \"yes\"}";
    const struct lethe_policy_module module = {name, text, sizeof text - 1};
    struct lethe_policy_options options = {
        .modules = &module,
        .module_count = 1,
        .data = data,
        .data_size_bytes = sizeof data - 1,
    };
    assert_ok(lethe_policy_prepare(&options, &policy, &err), &err);
    memset(name, '#', sizeof name);
    memset(text, '#', sizeof text);
    memset(data, '#', sizeof data);
    memset(&options, 0, sizeof options);
    assert_true(decides(policy, "{\"x\": \"yes\"}"));
    assert_false(decides(policy, "{\"x\": \"no\"}"));
}

static void the_older_syntax_is_taken_when_asked_for(void **state)
{
    const struct lethe_policy_module module =
        module_of("old.rego", "package test\n\nallow { input.x == 1 }\n");
    struct lethe_policy_options options = {.modules = &module, .module_count = 1};
    struct lethe_error err = {0};
    assert_result(LETHE_MALFORMED, prepare(&options, &err));
    options.v0 = true;
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = NULL;
    assert_ok(lethe_policy_prepare(&options, &policy, &err), &err);
    assert_true(decides(policy, "{\"x\": 1}"));
    assert_false(decides(policy, "{\"x\": 2}"));
}

static void a_policy_without_modules_allows_nothing(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = NULL;
    assert_ok(lethe_policy_prepare(&(struct lethe_policy_options){0}, &policy, &err), &err);
    assert_false(decides(policy, "{}"));
    lethe_policy_free(NULL);
}

/* ---- digests --------------------------------------------------------------------------------- */

static const struct lethe_policy_module one = {"a.rego", "package a\n", 10};
static const struct lethe_policy_module two = {"b.rego", "package b\n", 10};
static const struct lethe_policy_module renamed = {"c.rego", "package b\n", 10};
static const struct lethe_policy_module changed = {"b.rego", "package c\n", 10};

struct digest {
    char text[LETHE_POLICY_DIGEST_SIZE];
};
static struct digest digest_of(const struct lethe_policy_module *first,
                               const struct lethe_policy_module *second, const char *data, bool v0)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = NULL;
    const struct lethe_policy_module modules[] = {*first, *second};
    const struct lethe_policy_options options = {
        .modules = modules,
        .module_count = 2,
        .data = data,
        .data_size_bytes = strlen(data),
        .v0 = v0,
    };
    struct digest digest;
    assert_ok(lethe_policy_prepare(&options, &policy, &err), &err);
    snprintf(digest.text, sizeof(digest.text), "%s", lethe_policy_digest(policy));
    return digest;
}

static void equal_policies_have_equal_digests(void **state)
{
    struct digest digest = digest_of(&one, &two, "{\"x\": 1, \"y\": 2}", false);
    assert_memory_equal(digest.text, "sha256:", 7);
    assert_int_equal(strspn(digest.text + 7, "0123456789abcdef"), 64);
    assert_int_equal(strlen(digest.text), 7 + 64);
    assert_string_equal(digest.text, digest_of(&two, &one, "{\"y\":2,\"x\":1}", false).text);
    static const struct lethe_policy_module other = {"a.rego", "package z\n", 10};
    assert_string_equal(digest_of(&one, &other, "{}", false).text,
                        digest_of(&other, &one, "{}", false).text);
    static const struct lethe_policy_module longer = {"a.rego", "package a\n#", 11};
    assert_string_equal(digest_of(&one, &longer, "{}", false).text,
                        digest_of(&longer, &one, "{}", false).text);
}

static void a_policy_has_no_more_modules_than_the_limit(void **state)
{
    size_t count = ((size_t)1 << 16) + 1;
    CLEANUP(memory_free) struct lethe_policy_module *modules = calloc(count, sizeof *modules);
    struct lethe_policy *policy = NULL;
    struct lethe_error err = {0};
    assert_non_null(modules);
    for (size_t i = 0; i < count; i++)
        modules[i] = one;
    const struct lethe_policy_options options = {.modules = modules, .module_count = count};
    assert_result(LETHE_LIMIT, lethe_policy_prepare(&options, &policy, &err));
    assert_non_null(strstr(err.text, "more than 65536 modules"));
}

static void what_differs_has_another_digest(void **state)
{
    struct digest digests[] = {
        digest_of(&one, &two, "{}", false),         digest_of(&one, &two, "{}", true),
        digest_of(&one, &two, "{\"x\": 1}", false), digest_of(&one, &renamed, "{}", false),
        digest_of(&one, &changed, "{}", false),     digest_of(&one, &one, "{}", false),
    };
    for (size_t i = 0; i < ARRAY_LEN(digests); i++) {
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(digests[i].text, digests[j].text);
    }
}

/* Made of the format's description by another implementation (Python's hashlib). */
static void the_digest_is_what_its_format_says(void **state)
{
    assert_string_equal(digest_of(&one, &two, "{\"x\": 1}", false).text,
                        "sha256:bae566ab1ff7968daed6b5e9faa34307"
                        "84921c53f4761ec6f937952f0700aee8");
    /* Names order the modules, not texts. */
    static const struct lethe_policy_module last = {"a.rego", "package z\n", 10};
    assert_string_equal(digest_of(&two, &last, "{\"x\": 1}", false).text,
                        "sha256:b7eb3bb136db6176dbc9877db3d2797f"
                        "e09bf906c19547bb98b2185b6f2f2a91");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_rego_is_malformed_and_says_where),
        cmocka_unit_test(one_module_that_is_no_rego_is_enough),
        cmocka_unit_test(what_cannot_run_is_invalid_and_says_where),
        cmocka_unit_test(a_rule_where_the_data_has_a_value_is_invalid),
        cmocka_unit_test(data_is_one_json_object),
        cmocka_unit_test(a_module_over_the_limit_is_not_read),
        cmocka_unit_test(an_error_names_a_module_whose_name_the_caller_has_given_up),
        cmocka_unit_test(a_policy_keeps_nothing_of_the_callers),
        cmocka_unit_test(the_older_syntax_is_taken_when_asked_for),
        cmocka_unit_test(a_policy_without_modules_allows_nothing),
        cmocka_unit_test(equal_policies_have_equal_digests),
        cmocka_unit_test(a_policy_has_no_more_modules_than_the_limit),
        cmocka_unit_test(what_differs_has_another_digest),
        cmocka_unit_test(the_digest_is_what_its_format_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
