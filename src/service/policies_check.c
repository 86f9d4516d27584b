/* What a policy must be before it comes into force. A change that fails here has changed nothing:
 * it is part of the transaction that would make it. */
#include <string.h>

#include "base/error.h"
#include "policy/policy.h"
#include "service/policies_core.h"

#define TEST_PREFIX "test_"
#define TESTS_MAX 512u

/* ---- tests: rules of the modules' own, whose names begin with test_ ----------------------------
 */

static void append_key(struct buffer *path, const struct value *key)
{
    buffer_text(path, "[");
    value_print_json(key, path);
    buffer_text(path, "]");
}

/* data["package"]["test_name"]; false: the rule is no test. */
static bool test_path(const struct module *module, const struct rule *rule, struct buffer *path)
{
    const struct term *head = term_head(rule->ref);
    if (rule->kind == RULE_FUNCTION || rule->is_default || head->kind != TERM_VARIABLE ||
        strncmp(head->name, TEST_PREFIX, strlen(TEST_PREFIX)) != 0)
        return false;
    buffer_text(path, "data");
    for (size_t i = 1; i < module->package->parts.count; i++) {
        REQUIRE(module->package->parts.items[i]->kind == TERM_VALUE);
        append_key(path, module->package->parts.items[i]->value);
    }
    buffer_format(path, ".%s", head->name);
    return true;
}

static lethe_result run_test(const struct lethe_policy *policy, const struct module *module,
                             const struct rule *rule, size_t *count, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer path = {0};
    struct lethe_decision decision;
    if (!test_path(module, rule, &path))
        return LETHE_OK;
    TRY(buffer_result(&path, err));
    if (++*count > TESTS_MAX)
        return error_set(err, LETHE_INVALID, "more than %u tests", TESTS_MAX);
    lethe_policy_decide(policy, path.bytes, "{}", 2, &decision);
    if (decision.allowed)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "the test %s failed: %s", term_head(rule->ref)->name,
                     decision.text);
}

static lethe_result run_tests(const struct policy_sources *sources, struct lethe_error *err)
{
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = NULL;
    size_t count = 0;
    TRY(policy_sources_prepare(sources, true, &policy, err));
    for (size_t i = 0; i < policy->plan->module_count; i++) {
        const struct module *module = policy->plan->modules[i];
        for (size_t j = 0; j < module->rule_count; j++)
            TRY(run_test(policy, module, module->rules[j], &count, err));
    }
    return LETHE_OK;
}

/* ---- nobody is locked out ---------------------------------------------------------------------
 */

#define PROBE(kind, admin, policies)                                                               \
    "{\"principal\":\"" kind "\",\"method\":\"" kind                                               \
    "\",\"tenant\":\"\",\"token_policies\":[" policies "],\"admin\":" admin                        \
    ",\"action\":\"policy_write\",\"capability\":\"update\","                                      \
    "\"sudo\":true,\"purpose\":\"\",\"source\":\"\",\"resource\":{\"path\":\"sys/policies/acl/"    \
    "x\","                                                                                         \
    "\"tenant\":\"\",\"model\":\"\",\"tier\":\"\"},\"time\":0}"

static lethe_result probe(const struct lethe_policy *policy, struct lethe_error *err)
{
    static const struct {
        const char *who, *input;
    } probes[] = {
        {"an operator on this machine", PROBE("admin", "true", "")},
        {"a root token", PROBE("token", "false", "\"root\"")},
    };
    for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
        struct lethe_decision decision;
        lethe_policy_decide(policy, POLICY_ALLOW, probes[i].input, strlen(probes[i].input),
                            &decision);
        if (!decision.allowed)
            return error_set(err, LETHE_INVALID,
                             "with this policy %s could not change it again: "
                             "%s",
                             probes[i].who, decision.text);
    }
    return LETHE_OK;
}

lethe_result policy_check(const struct policy_sources *sources, struct lethe_policy **out,
                          struct lethe_error *err)
{
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = NULL;
    *out = NULL;
    TRY(policy_sources_prepare(sources, false, &policy, err));
    TRY(probe(policy, err));
    TRY(run_tests(sources, err));
    *out = MOVE(policy);
    return LETHE_OK;
}
