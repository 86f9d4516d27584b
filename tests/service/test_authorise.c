/* Who may what: roles and path policies in data.lethe.authz.allow, asked as the keeper asks. */
#include "check.h"

#include <stdlib.h>
#include <time.h>

#include "service/authorise.h"
#include "service/policies_core.h"

/* Policies of these texts, without a store. `document` is what an operator would write as data. */
struct text {
    const char *name, *hcl;
};
static struct policies *must_prepare(const struct text *texts, const char *document,
                                     const char *authz)
{
    CLEANUP(policy_sources_clear) struct policy_sources sources = {0};
    struct lethe_error err = {0};
    struct lethe_policy *policy;
    struct policies *policies = calloc(1, sizeof *policies);
    assert_non_null(policies);
    assert_ok(policy_sources_read(NULL, NULL, &sources, &err), &err);
    if (authz != NULL) {
        buffer_truncate(&sources.modules[0].text, 0);
        buffer_text(&sources.modules[0].text, authz);
    }
    buffer_truncate(&sources.data, 0);
    buffer_text(&sources.data, "{\"path_policies\":{");
    for (; texts->name != NULL; texts++) {
        buffer_format(&sources.data, "\"%s\":", texts->name);
        assert_ok(path_policy_parse(texts->hcl, strlen(texts->hcl), &sources.data, &err), &err);
        buffer_text(&sources.data, texts[1].name != NULL ? "," : "");
    }
    buffer_format(&sources.data, "}%s}", document);
    assert_ok(policy_sources_prepare(&sources, false, &policy, &err), &err);
    assert_ok(policies_use(policies, &sources, policy, &err), &err);
    return policies;
}
DEFINE_CLEANUP(policies_free, struct policies *);

/* A token of tenant "acme" with policies "a b c". */
static struct caller token_of(const char *policies)
{
    struct caller caller = {.kind = CALLER_TOKEN, .name = "token:x", .tenant = "acme"};
    while (*policies != '\0') {
        size_t length = strcspn(policies, " ");
        snprintf(caller.policies[caller.policy_count++], 65, "%.*s", (int)length, policies);
        policies += length + (policies[length] == ' ');
    }
    return caller;
}

static bool may(struct policies *policies, const struct authorise_question *question)
{
    struct lethe_decision decision;
    struct lethe_error err = {0};
    lethe_result result = authorise(policies, question, &decision, &err);
    assert_true(result == LETHE_OK || result == LETHE_DENIED);
    assert_int_equal(decision.allowed, result == LETHE_OK);
    assert_true(decision.reason == LETHE_POLICY_ALLOWED || decision.reason == LETHE_POLICY_REFUSED);
    if (result != LETHE_OK)
        assert_string_equal(err.text, "permission denied");
    return result == LETHE_OK;
}

static bool can(struct policies *policies, const char *names, const char *path, unsigned capability)
{
    const struct caller caller = token_of(names);
    const struct authorise_question question = {.caller = &caller,
                                                .action = "test",
                                                .path = path,
                                                .capability = capability,
                                                .tenant = "acme"};
    return may(policies, &question);
}

/* ---- path policies --------------------------------------------------------------------------- */

static const struct text vault[] = {
    {"exact", "path \"transit/keys/a\" { capabilities = [\"read\"] }"},
    {"prefix", "path \"transit/keys/*\" { capabilities = [\"update\"] }"},
    {"longer", "path \"transit/keys/a*\" { capabilities = [\"delete\"] }"},
    {"plus", "path \"transit/+/a\" { capabilities = [\"create\"] }"},
    {"plus-tail", "path \"+/keys/b*\" { capabilities = [\"create\"] }"},
    {"deny-a", "path \"transit/keys/a\" { capabilities = [\"deny\"] }"},
    {"deny-all", "path \"transit/keys/*\" { capabilities = [\"deny\"] }"},
    {"list", "path \"transit/keys\" { capabilities = [\"list\"] }"},
    {"list-slash", "path \"transit/keys/\" { capabilities = [\"list\"] }"},
    {"list-all", "path \"transit/keys/*\" { capabilities = [\"list\"] }"},
    {"list-plus", "path \"transit/+\" { capabilities = [\"list\"] }"},
    {"nothing", "path \"transit/keys/a\" { }"},
    {"all", "path \"*\" { capabilities = [\"read\",\"update\"] }"},
    {NULL, NULL},
};

static void test_nothing_is_allowed_that_no_policy_says(void **state)
{
    CLEANUP(policies_free) struct policies *policies = must_prepare(vault, "", NULL);
    assert_false(can(policies, "", "transit/keys/a", CAN_READ));
    assert_false(can(policies, "none", "transit/keys/a", CAN_READ));
    assert_false(can(policies, "exact", "transit/keys/a", CAN_UPDATE));
    assert_false(can(policies, "exact", "transit/keys/b", CAN_READ));
    assert_false(can(policies, "exact", "transit/keys/a/b", CAN_READ));
    assert_false(can(policies, "exact", "transit/keys/A", CAN_READ));
    assert_false(can(policies, "exact", "", CAN_READ));
    assert_false(can(policies, "prefix", "transit/keys", CAN_UPDATE));
    assert_false(can(policies, "prefix", "transit/key", CAN_UPDATE));
    assert_false(can(policies, "nothing", "transit/keys/a", CAN_READ));
    assert_false(can(policies, "exact", "transit/keys/a", 0));
    assert_false(can(policies, "exact", "transit/keys/a", CAN_DENY));
    assert_true(
        can(policies, "exact", "transit/keys/a", CAN_READ)); /* or all of this says little */
}

static void test_prefixes_and_segments(void **state)
{
    CLEANUP(policies_free) struct policies *policies = must_prepare(vault, "", NULL);
    assert_true(can(policies, "prefix", "transit/keys/", CAN_UPDATE));
    assert_true(can(policies, "prefix", "transit/keys/a/b", CAN_UPDATE));
    assert_true(can(policies, "all", "sys/health", CAN_READ));
    assert_true(can(policies, "plus", "transit/keys/a", CAN_CREATE));
    assert_true(can(policies, "plus", "transit//a", CAN_CREATE));
    assert_false(can(policies, "plus", "transit/a", CAN_CREATE));
    assert_false(can(policies, "plus", "transit/x/y/a", CAN_CREATE));
    assert_false(can(policies, "plus", "transit/keys/a/b", CAN_CREATE));
    assert_false(can(policies, "plus", "sys/keys/a", CAN_CREATE));
    assert_true(can(policies, "plus-tail", "x/keys/b", CAN_CREATE));
    assert_true(can(policies, "plus-tail", "x/keys/bb/c", CAN_CREATE));
    assert_false(can(policies, "plus-tail", "x/keys", CAN_CREATE));
    assert_false(can(policies, "plus-tail", "x/keys/c/b", CAN_CREATE));
}

static void test_the_most_specific_path_counts_over_all_policies(void **state)
{
    CLEANUP(policies_free) struct policies *policies = must_prepare(vault, "", NULL);
    assert_true(can(policies, "prefix exact", "transit/keys/a", CAN_READ));
    assert_false(can(policies, "prefix exact", "transit/keys/a", CAN_UPDATE));
    assert_true(can(policies, "prefix exact", "transit/keys/b", CAN_UPDATE));
    assert_true(can(policies, "prefix longer", "transit/keys/ab", CAN_DELETE));
    assert_false(can(policies, "longer prefix", "transit/keys/ab", CAN_UPDATE));
    assert_true(can(policies, "longer plus", "transit/keys/a", CAN_DELETE));
    assert_false(can(policies, "longer plus", "transit/keys/a", CAN_CREATE));
    assert_false(can(policies, "all exact", "transit/keys/a", CAN_UPDATE));
    /* An empty rule for the very path hides what wider ones say. */
    assert_false(can(policies, "nothing prefix", "transit/keys/a", CAN_UPDATE));
}

static void test_capabilities_of_one_path_add_up_and_deny_wins(void **state)
{
    CLEANUP(policies_free) struct policies *policies = must_prepare(vault, "", NULL);
    assert_true(can(policies, "prefix list-all", "transit/keys/x", CAN_UPDATE));
    assert_true(can(policies, "prefix list-all", "transit/keys/x", CAN_LIST));
    assert_false(can(policies, "exact deny-a", "transit/keys/a", CAN_READ));
    assert_false(can(policies, "deny-a exact", "transit/keys/a", CAN_READ));
    assert_false(can(policies, "prefix deny-all", "transit/keys/x", CAN_UPDATE));
    /* A wider refusal is not one of the path that counts. */
    assert_true(can(policies, "exact deny-all", "transit/keys/a", CAN_READ));
    assert_false(can(policies, "all deny-all", "transit/keys/a", CAN_READ));
}

static void test_lists_are_asked_for_with_and_without_a_slash(void **state)
{
    CLEANUP(policies_free) struct policies *policies = must_prepare(vault, "", NULL);
    const char *const ways[] = {"list", "list-slash", "list-all", "list-plus"};
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        assert_true(can(policies, ways[i], "transit/keys", CAN_LIST));
        assert_false(can(policies, ways[i], "transit/keys", CAN_READ));
    }
    assert_false(can(policies, "list list-slash list-all", "transit", CAN_LIST));
    assert_false(can(policies, "list deny-all", "transit/key", CAN_LIST));
    assert_false(can(policies, "list-plus deny-all", "transit/keys", CAN_LIST));
}

static void test_sudo_is_needed_where_it_is_asked(void **state)
{
    const struct text texts[] = {
        {"plain", "path \"sys/*\" { capabilities = [\"update\"] }"},
        {"sudo", "path \"sys/*\" { capabilities = [\"sudo\"] }"},
        {"sudo-elsewhere", "path \"sys/seal\" { capabilities = [\"sudo\"] }"},
        {NULL, NULL},
    };
    CLEANUP(policies_free) struct policies *policies = must_prepare(texts, "", NULL);
    const struct {
        const char *names;
        bool expected;
    } rows[] = {{"plain", false},
                {"sudo", false},
                {"plain sudo", true},
                {"plain sudo-elsewhere", false},
                {"root", true}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct caller caller = token_of(rows[i].names);
        const struct authorise_question question = {
            .caller = &caller, .path = "sys/seal", .capability = CAN_UPDATE, .sudo = true};
        assert_int_equal(may(policies, &question), rows[i].expected);
    }
}

/* ---- who is above, and who is outside -------------------------------------------------------- */

static const char document[] =
    ",\"roles\":{\"loader\":{\"actions\":[\"decrypt\"],\"resources\":[\"transit/**\"]},"
    "\"anyone\":{\"actions\":[\"decrypt\"],\"resources\":[\"transit/**\"],\"any_tenant\":true}},"
    "\"role_bindings\":{\"spiffe://t/loader\":[\"loader\"],\"spiffe://t/any\":[\"anyone\"]},"
    "\"suspended\":{\"spiffe://t/gone\":true}";

/* K-5 */
static void test_nobody_reaches_another_tenant(void **state)
{
    CLEANUP(policies_free) struct policies *policies = must_prepare(vault, document, NULL);
    const struct {
        const char *name, *policies, *tenant, *of;
        bool expected;
    } rows[] = {
        {"token:x", "all", "acme", "acme", true},
        {"token:x", "all", "acme", "other", false},
        {"token:x", "all", "acme", "", true},
        {"token:x", "all", "", "other", true},
        {"token:x", "root", "acme", "other", false},
        {"token:x", "root", "", "other", true},
        {"spiffe://t/loader", "", "acme", "acme", true},
        {"spiffe://t/loader", "all", "acme", "other", false},
        {"spiffe://t/any", "", "acme", "other", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct caller caller = token_of(rows[i].policies);
        snprintf(caller.name, sizeof caller.name, "%s", rows[i].name);
        snprintf(caller.tenant, sizeof caller.tenant, "%s", rows[i].tenant);
        const struct authorise_question question = {.caller = &caller,
                                                    .action = "decrypt",
                                                    .path = "transit/decrypt/k",
                                                    .capability = CAN_UPDATE,
                                                    .tenant = rows[i].of};
        if (may(policies, &question) != rows[i].expected)
            fail_msg("row %zu", i);
    }
}

static void test_suspension_and_denial_override_roles_and_policies(void **state)
{
    const struct text texts[] = {
        {"all", "path \"*\" { capabilities = [\"update\"] }"},
        {"deny", "path \"transit/decrypt/k\" { capabilities = [\"deny\"] }"},
        {NULL, NULL},
    };
    CLEANUP(policies_free) struct policies *policies = must_prepare(texts, document, NULL);
    const struct {
        const char *name, *policies;
        bool expected;
    } rows[] = {
        {"spiffe://t/loader", "", true},        {"spiffe://t/loader", "deny", false},
        {"spiffe://t/gone", "all", false},      {"spiffe://t/gone", "root", false},
        {"spiffe://t/else", "all", true},       {"spiffe://t/else", "", false},
        {"spiffe://t/else", "all deny", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct caller caller = token_of(rows[i].policies);
        snprintf(caller.name, sizeof caller.name, "%s", rows[i].name);
        const struct authorise_question question = {.caller = &caller,
                                                    .action = "decrypt",
                                                    .path = "transit/decrypt/k",
                                                    .capability = CAN_UPDATE,
                                                    .tenant = "acme"};
        if (may(policies, &question) != rows[i].expected)
            fail_msg("row %zu", i);
    }
}

/* Being an operator takes both: the local socket, and no token that says otherwise. */
static void test_only_the_local_socket_makes_an_operator(void **state)
{
    CLEANUP(policies_free) struct policies *policies = must_prepare(vault, "", NULL);
    for (int bits = 0; bits < 4; bits++) {
        struct caller caller = token_of("");
        caller.kind = bits & 1 ? CALLER_ADMIN : CALLER_TOKEN;
        const struct authorise_question question = {
            .caller = &caller, .path = "x", .capability = CAN_UPDATE, .admin = (bits & 2) != 0};
        assert_int_equal(may(policies, &question), bits == 3);
    }
}

static void test_names_and_paths_cannot_break_out_of_the_input(void **state)
{
    CLEANUP(policies_free) struct policies *policies = must_prepare(vault, "", NULL);
    struct caller caller = token_of("");
    snprintf(caller.name, sizeof caller.name, "x\",\"admin\":true,\"y\":\"");
    struct authorise_question question = {
        .caller = &caller, .path = "x\",\"admin\":true,\"y\":\"", .capability = CAN_READ};
    assert_false(may(policies, &question));
    struct lethe_decision decision;
    question.path = "\xff";
    assert_result(LETHE_DENIED, authorise(policies, &question, &decision, NULL));
    assert_int_equal(decision.reason, LETHE_POLICY_BAD_INPUT);
}

/* ---- policies that are broken ---------------------------------------------------------------- */

static void test_a_policy_that_errs_says_no_but_operators_can_replace_it(void **state)
{
    static const char *const broken[] = {
        "package lethe.authz\nallow := false",
        "package lethe.authz\nallow if input.nothing",
        "package lethe.other\nallow := true",
        "package lethe.authz\nallow := x if some x in [1, 2]",
    };
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        CLEANUP(policies_free) struct policies *policies = must_prepare(vault, "", broken[i]);
        struct caller caller = token_of("root");
        struct lethe_decision decision;
        struct authorise_question question = {
            .caller = &caller, .path = "sys/policies/acl/x", .capability = CAN_UPDATE};
        assert_result(LETHE_DENIED, authorise(policies, &question, &decision, NULL));
        caller.kind = CALLER_ADMIN;
        assert_result(LETHE_DENIED, authorise(policies, &question, &decision, NULL));
        question.admin = true;
        assert_result(LETHE_OK, authorise(policies, &question, &decision, NULL));
        assert_true(decision.allowed);
        question.path = "transit/export/encryption-key/k";
        assert_result(LETHE_DENIED, authorise(policies, &question, &decision, NULL));
    }
}

static void check_check(const char *authz, const char *tests, const char *why)
{
    CLEANUP(policy_sources_clear) struct policy_sources sources = {0};
    struct lethe_error err = {0};
    struct lethe_policy *policy;
    assert_ok(policy_sources_read(NULL, NULL, &sources, &err), &err);
    struct policy_module *module = &sources.modules[1];
    if (authz != NULL) {
        buffer_truncate(&sources.modules[0].text, 0);
        buffer_text(&sources.modules[0].text, authz);
    }
    if (tests != NULL) { /* in place of release.rego */
        buffer_truncate(&module->text, 0);
        buffer_text(&module->text, tests);
        module->is_test = true;
    }
    lethe_result result = policy_check(&sources, &policy, &err);
    assert_true((result == LETHE_OK) == (why == NULL));
    assert_true((policy != NULL) == (why == NULL));
    if (why != NULL && strstr(err.text, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
    lethe_policy_free(policy);
}

static void test_what_locks_out_or_fails_its_tests_does_not_come_into_force(void **state)
{
    check_check(NULL, NULL, NULL);
    check_check("package lethe.authz\nallow := false", NULL, "an operator on this machine could");
    check_check("package lethe.authz\nallow if input.admin", NULL, "a root token could not");
    check_check("package lethe.authz\nallow := true", NULL, NULL);
    check_check("package lethe.authz\nallow := x", NULL, "authz:2:");
    check_check("nonsense", NULL, "authz:1:");
    check_check(NULL, "package t\ntest_it if data.lethe.authz.allow.allowed", "the test test_it");
    check_check(NULL, "package t\ntest_it if not data.lethe.authz.allow.allowed", NULL);
    check_check(NULL, "package t.u\ntest_one if true\ntest_it[1] := 2", "the test test_it");
}

/* ---- how long it takes (printed, not judged) ------------------------------------------------- */

static void measure(struct policies *policies, const char *what, const struct caller *caller,
                    const char *path)
{
    const struct authorise_question question = {.caller = caller,
                                                .action = "encrypt",
                                                .path = path,
                                                .capability = CAN_UPDATE,
                                                .source = "192.0.2.7",
                                                .admin = true,
                                                .tenant = "acme"};
    struct lethe_decision decision;
    struct timespec from, to;
    double best = 1e9;
    for (int round = 0; round < 20; round++) {
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (int i = 0; i < 500; i++)
            assert_result(LETHE_OK, authorise(policies, &question, &decision, NULL));
        clock_gettime(CLOCK_MONOTONIC, &to);
        double us =
            ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / 500e3;
        best = us < best ? us : best;
    }
    print_message("%-28s %6.2f us\n", what, best);
}

static void test_decisions_are_quick(void **state)
{
    const struct text texts[] = {
        {"default", "path \"auth/token/lookup-self\" { capabilities = [\"read\"] }\n"
                    "path \"auth/token/renew-self\" { capabilities = [\"update\"] }\n"
                    "path \"auth/token/revoke-self\" { capabilities = [\"update\"] }\n"},
        {"exact", "path \"transit/encrypt/app\" { capabilities = [\"update\"] }\n"
                  "path \"transit/decrypt/app\" { capabilities = [\"update\"] }\n"},
        {"prefix", "path \"transit/encrypt/*\" { capabilities = [\"update\"] }\n"
                   "path \"transit/decrypt/*\" { capabilities = [\"update\"] }\n"
                   "path \"transit/*\" { capabilities = [\"read\"] }\n"},
        {"plus", "path \"transit/+/app\" { capabilities = [\"update\"] }\n"},
        {NULL, NULL},
    };
    CLEANUP(policies_free) struct policies *policies = must_prepare(texts, "", NULL);
    struct caller caller = token_of("default exact");
    measure(policies, "default and exact", &caller, "transit/encrypt/app");
    caller = token_of("default prefix");
    measure(policies, "default and prefixes", &caller, "transit/encrypt/app");
    caller = token_of("default plus");
    measure(policies, "default and segments", &caller, "transit/encrypt/app");
    caller = token_of("root");
    measure(policies, "root", &caller, "transit/encrypt/app");
    caller.kind = CALLER_ADMIN;
    measure(policies, "operator", &caller, "transit/encrypt/app");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_allowed_that_no_policy_says),
        cmocka_unit_test(test_prefixes_and_segments),
        cmocka_unit_test(test_the_most_specific_path_counts_over_all_policies),
        cmocka_unit_test(test_capabilities_of_one_path_add_up_and_deny_wins),
        cmocka_unit_test(test_lists_are_asked_for_with_and_without_a_slash),
        cmocka_unit_test(test_sudo_is_needed_where_it_is_asked),
        cmocka_unit_test(test_nobody_reaches_another_tenant),
        cmocka_unit_test(test_suspension_and_denial_override_roles_and_policies),
        cmocka_unit_test(test_only_the_local_socket_makes_an_operator),
        cmocka_unit_test(test_names_and_paths_cannot_break_out_of_the_input),
        cmocka_unit_test(test_a_policy_that_errs_says_no_but_operators_can_replace_it),
        cmocka_unit_test(test_what_locks_out_or_fails_its_tests_does_not_come_into_force),
        cmocka_unit_test(test_decisions_are_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
