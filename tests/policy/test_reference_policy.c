/* The reference policy of E-2, as an operator has it and as it comes with Lethe. */
#include "prepared.h"

#include <fcntl.h>

#include "base/buffer.h"
#include "base/file.h"

#define POLICIES TEST_VECTORS "/../../policies"
#define RULE "data.model_serving.decryption.allow_decrypt"
#define DATA                                                                                       \
    "{\"required_measurement\": \"sha256:good\", \"tenant_models\": {\"acme\": {\"llama\": "       \
    "true}}}"

/* Each input as the policy wants it, with another value, missing, and of another type. */
enum state { RIGHT, WRONG, ABSENT, MISTYPED, STATE_COUNT };
static const struct {
    const char *name;
    bool attested; /* in the attestation's report, else in the request */
    const char *json[STATE_COUNT];
} inputs[] = {
    {"valid", true, {"true", "false", NULL, "\"true\""}},
    {"measurement", true, {"\"sha256:good\"", "\"sha256:bad\"", NULL, "[\"sha256:good\"]"}},
    {"principal", false, {"\"model-loader-sa\"", "\"somebody\"", NULL, "[\"model-loader-sa\"]"}},
    {"operation", false, {"\"decrypt_for_vram_load\"", "\"export\"", NULL, "1"}},
    {"model_id", false, {"\"llama\"", "\"mistral\"", NULL, "true"}},
    {"tenant", false, {"\"acme\"", "\"other\"", NULL, "null"}},
};
#define INPUTS ARRAY_LEN(inputs)

static void append_part(struct buffer *out, const enum state *states, bool attested)
{
    const char *separator = "";
    for (size_t i = 0; i < INPUTS; i++) {
        const char *json = inputs[i].json[states[i]];
        if (inputs[i].attested != attested || json == NULL)
            continue;
        buffer_format(out, "%s\"%s\": %s", separator, inputs[i].name, json);
        separator = ", ";
    }
}

static struct lethe_decision ask(const struct lethe_policy *policy, const enum state *states)
{
    CLEANUP(buffer_clear) struct buffer input = {0};
    struct lethe_decision decision;
    buffer_text(&input, "{\"environment\": {\"attestation_report\": {");
    append_part(&input, states, true);
    buffer_text(&input, "}}, \"request\": {");
    append_part(&input, states, false);
    buffer_text(&input, "}}");
    lethe_policy_decide(policy, RULE, input.bytes, input.size_bytes, &decision);
    return decision;
}

/* The number's digits, to the base of how many states there are, are the states. */
static bool states_of(size_t number, enum state *states)
{
    bool all_right = true;
    for (size_t i = 0; i < INPUTS; i++) {
        states[i] = (enum state)(number % STATE_COUNT);
        number /= STATE_COUNT;
        all_right = all_right && states[i] == RIGHT;
    }
    return all_right;
}

static void check_every_combination(const struct lethe_policy *policy)
{
    size_t combinations = 1, allowed = 0;
    for (size_t i = 0; i < INPUTS; i++)
        combinations *= STATE_COUNT;
    for (size_t number = 0; number < combinations; number++) {
        enum state states[INPUTS];
        bool all_right = states_of(number, states);
        struct lethe_decision decision = ask(policy, states);
        assert_int_equal(decision.allowed, all_right);
        assert_string_equal(decision.text,
                            all_right ? "Conditions met" : "no rule of the policy allows it");
        allowed += decision.allowed;
    }
    assert_int_equal(allowed, 1);
}

/* ---- the same policy in both syntaxes -------------------------------------------------------- */

static struct lethe_policy *policy_of(const char *const *paths, size_t count, bool v0,
                                      const char *data)
{
    struct lethe_error err = {0};
    struct lethe_policy *policy = NULL;
    struct buffer texts[2] = {0};
    struct lethe_policy_module modules[2];
    assert_true(count <= ARRAY_LEN(texts));
    for (size_t i = 0; i < count; i++) {
        assert_ok(file_read_all(AT_FDCWD, paths[i], 1 << 20, &texts[i], &err), &err);
        modules[i] = (struct lethe_policy_module){paths[i], texts[i].bytes, texts[i].size_bytes};
    }
    const struct lethe_policy_options options = {
        .modules = modules,
        .module_count = count,
        .data = data,
        .data_size_bytes = strlen(data),
        .v0 = v0,
    };
    assert_ok(lethe_policy_prepare(&options, &policy, &err), &err);
    for (size_t i = 0; i < count; i++)
        buffer_clear(&texts[i]);
    return policy;
}

static struct lethe_policy *v0_policy(const char *data)
{
    static const char *const paths[] = {TEST_VECTORS "/rego/reference_v0.rego",
                                        TEST_VECTORS "/rego/reference_v0_measurement.rego"};
    return policy_of(paths, ARRAY_LEN(paths), true, data);
}

static struct lethe_policy *v1_policy(const char *data)
{
    static const char *const paths[] = {POLICIES "/release.rego"};
    return policy_of(paths, ARRAY_LEN(paths), false, data);
}

static struct lethe_policy *(*const versions[])(const char *data) = {v0_policy, v1_policy};

static void one_combination_of_all_is_allowed(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        CLEANUP(lethe_policy_free) struct lethe_policy *policy = versions[i](DATA);
        check_every_combination(policy);
    }
}

static void with_other_data_nothing_is_allowed(void **state)
{
    static const char *const data[] = {
        "{}",
        "{\"required_measurement\": \"sha256:good\"}",
        "{\"tenant_models\": {\"acme\": {\"llama\": true}}}",
        "{\"required_measurement\": null, \"tenant_models\": {\"acme\": {\"llama\": true}}}",
        "{\"required_measurement\": \"sha256:good\", \"tenant_models\": {\"acme\": {}}}",
        "{\"required_measurement\": \"sha256:good\", \"tenant_models\": {\"acme\": true}}",
        "{\"required_measurement\": \"sha256:good\", \"tenant_models\": {\"acme\": [\"llama\"]}}",
        "{\"required_measurement\": \"sha256:good\", \"tenant_models\": {\"acme\": {\"llama\": "
        "1}}}",
        "{\"required_measurement\": \"sha256:good\", "
        "\"tenant_models\": {\"acme\": {\"llama\": false}}}",
        "{\"required_measurement\": \"sha256:good\", "
        "\"tenant_models\": {\"acme\": {\"llama\": \"true\"}}}",
        "{\"required_measurement\": \"sha256:good\", "
        "\"tenant_models\": {\"other\": {\"llama\": true}}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(versions) * ARRAY_LEN(data); i++) {
        CLEANUP(lethe_policy_free)
        struct lethe_policy *policy = versions[i % 2](data[i / 2]);
        for (size_t number = 0; number < STATE_COUNT * STATE_COUNT; number++) {
            enum state states[INPUTS];
            states_of(number, states);
            assert_int_equal(ask(policy, states).reason, LETHE_POLICY_UNDEFINED);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_combination_of_all_is_allowed),
        cmocka_unit_test(with_other_data_nothing_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
