/* sys/policy, sys/policies/acl and lethe/policies over a whole service. K-5, E-1 */
#include "service_check.h"

#include "service/policies_core.h"

#define ACL "sys/policies/acl/"
#define MODULES "lethe/policies/modules/"
#define READ_X "{\"policy\":\"path \\\"sys/mounts\\\" { capabilities = [\\\"read\\\"] }\"}"

static void refused(struct check *check, const char *path, const char *body, const char *why)
{
    const char *digest = policies_digest(check->service->policies);
    char before[LETHE_POLICY_DIGEST_SIZE];
    snprintf(before, sizeof before, "%s", digest);
    unsigned status = call_operator(check, "POST", path, body);
    if (status != 400 || strstr(body_text(check), why) == NULL)
        fail_msg("%s %s: %u %s", path, body, status, body_text(check));
    assert_string_equal(before, policies_digest(check->service->policies));
}

static void must_make_token(struct check *check, const char *id, const char *policies)
{
    char body[256];
    snprintf(body, sizeof body, "{\"id\":\"%s\",\"policies\":[%s]}", id, policies);
    assert_int_equal(200, call(check, "POST", "auth/token/create", check->root, body));
}

/* ---- what one may ---------------------------------------------------------------------------- */

/* E-7: a path about another tenant's key is told as it would be answered, whatever the policy says
 * of paths. */
static void capabilities_end_at_the_tenant(void **state)
{
    static const char policy[] =
        "{\"policy\":\"path \\\"transit/*\\\" { capabilities = [\\\"create\\\", \\\"read\\\", "
        "\\\"update\\\", \\\"list\\\", \\\"delete\\\"] }\"}";
    static const struct {
        const char *path, *told;
    } rows[] = {
        {"transit/keys/acme.m.hot", "[\"create\",\"read\",\"update\",\"delete\",\"list\"]"},
        {"transit/keys/other.m.hot", "[\"deny\"]"},
        {"transit/keys/other.m.hot/rotate", "[\"deny\"]"},
        {"transit/decrypt/other.m.hot", "[\"deny\"]"},
        {"transit/decrypt/other.signer", "[\"deny\"]"},
        {"lethe/keys/acme.m.hot", "[\"deny\"]"},
    };
    struct check *check = *state;
    char body[128], told[192];
    assert_int_equal(204, call_operator(check, "PUT", ACL "nothing", policy));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(body, sizeof body, "{\"paths\":[\"%s\"]}", rows[i].path);
        snprintf(told, sizeof told, "\"%s\":%s", rows[i].path, rows[i].told);
        assert_int_equal(200, call(check, "POST", "sys/capabilities-self", check->other, body));
        assert_has(check, told);
    }
    assert_int_equal(403, call(check, "GET", "transit/keys/other.m.hot", check->other, NULL));
}

/* ---- path policies --------------------------------------------------------------------------- */

static void only_operators_write_policies(void **state)
{
    static const char *const paths[] = {ACL "x", "sys/policy/x", MODULES "x",
                                        "lethe/policies/data"};
    struct check *check = *state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        assert_int_equal(403, call(check, "POST", paths[i], check->root,
                                   "{\"policy\":\"\",\"rego\":\"\",\"document\":\"{}\"}"));
        assert_int_equal(403, call(check, "DELETE", paths[i], check->root, NULL));
    }
    assert_int_equal(403, call(check, "GET", MODULES "authz", check->root, NULL));
    assert_int_equal(204, call_operator(check, "POST", ACL "x", READ_X));
}

static void policies_are_read_as_they_were_written(void **state)
{
    struct check *check = *state;
    assert_int_equal(204, call_operator(check, "PUT", "sys/policy/App.1", READ_X));
    assert_int_equal(200, call(check, "GET", ACL "app.1", check->root, NULL));
    assert_has(check, "\"data\":{\"name\":\"app.1\",\"policy\":\"path \\\"sys/mounts\\\" {");
    assert_int_equal(200, call(check, "GET", "sys/policy/APP.1", check->root, NULL));
    assert_has(check, "{\"name\":\"app.1\",\"rules\":\"path \\\"sys/mounts\\\" {");
    assert_has(check, "\"data\":{\"name\":\"app.1\",\"rules\":\"path \\\"sys/mounts\\\" {");
    assert_int_equal(200, call(check, "GET", "sys/policy", check->root, NULL));
    assert_has(check, "{\"keys\":[\"app.1\",\"default\",\"root\"],\"policies\":[\"app.1\",");
    assert_has(check,
               "\"data\":{\"keys\":[\"app.1\",\"default\",\"root\"],\"policies\":[\"app.1\",");
    assert_int_equal(200, call(check, "LIST", "sys/policies/acl", check->root, NULL));
    assert_has(check, "\"data\":{\"keys\":[\"app.1\",\"default\",\"root\"]}");
    assert_int_equal(200, call(check, "GET", ACL "default", check->root, NULL));
    assert_has(check, "auth/token/renew-self");
    assert_int_equal(200, call(check, "GET", ACL "root", check->root, NULL));
    assert_has(check, "\"policy\":\"\"");
    assert_int_equal(404, call(check, "GET", ACL "none", check->root, NULL));
    assert_string_equal(body_text(check), "{\"errors\":[]}");
    reopen(check);
    assert_int_equal(200, call(check, "GET", ACL "app.1", check->root, NULL));
}

static void policies_decide_from_the_answer_on(void **state)
{
    struct check *check = *state;
    must_make_token(check, "token-x", "\"x\"");
    assert_int_equal(403, call(check, "GET", "sys/mounts", "token-x", NULL));
    assert_int_equal(204, call_operator(check, "POST", ACL "x", READ_X));
    assert_int_equal(200, call(check, "GET", "sys/mounts", "token-x", NULL));
    assert_int_equal(403, call(check, "GET", "sys/policy", "token-x", NULL));
    reopen(check);
    assert_int_equal(200, call(check, "GET", "sys/mounts", "token-x", NULL));
    assert_int_equal(204,
                     call_operator(check, "POST", ACL "x",
                                   "{\"rules\":\"path \\\"sys/*\\\" { policy = \\\"deny\\\" }\"}"));
    assert_int_equal(403, call(check, "GET", "sys/mounts", "token-x", NULL));
    assert_int_equal(204, call_operator(check, "DELETE", ACL "x", NULL));
    assert_int_equal(204, call_operator(check, "DELETE", ACL "x", NULL));
    assert_int_equal(404, call(check, "GET", ACL "x", check->root, NULL));
    assert_int_equal(3, records(check, "policy_changed", "policies/x"));
}

static void what_is_no_policy_changes_nothing(void **state)
{
    struct check *check = *state;
    refused(check, ACL "x", "{}", "not supplied or empty");
    refused(check, ACL "x", "{\"policy\":\"\"}", "not supplied or empty");
    refused(check, ACL "x", "{\"policy\":\"path\"}", "line 1, column 5");
    refused(check, ACL "x", "{\"policy\":\"path \\\"a\\\" { capabilities = [\\\"fly\\\"] }\"}",
            "unknown capability");
    refused(check, ACL "root", READ_X, "cannot update");
    refused(check, ACL "a%20b", READ_X, "names of policies");
    refused(check, ACL "a~b", READ_X, "names of policies");
    assert_int_equal(400, call_operator(check, "DELETE", ACL "default", NULL));
    assert_int_equal(400, call_operator(check, "DELETE", "sys/policy/root", NULL));
    assert_int_equal(0, records(check, "policy_changed", NULL));
}

/* Larger than one row of the store. */
static void policies_may_be_long(void **state)
{
    struct check *check = *state;
    CLEANUP(buffer_clear) struct buffer body = {0};
    buffer_text(&body, "{\"policy\":\"");
    for (unsigned i = 0; i < 900; i++)
        buffer_format(&body, "path \\\"transit/keys/%u\\\" { capabilities = [\\\"read\\\"] }\\n",
                      i);
    buffer_text(&body, "path \\\"sys/mounts\\\" { capabilities = [\\\"read\\\"] }\"}");
    assert_int_equal(204, call_operator(check, "POST", ACL "long", body.bytes));
    must_make_token(check, "token-long", "\"long\"");
    reopen(check);
    assert_int_equal(200, call(check, "GET", "sys/mounts", "token-long", NULL));
}

/* ---- modules --------------------------------------------------------------------------------- */

static void modules_are_tested_before_they_are_in_force(void **state)
{
    struct check *check = *state;
    refused(check, MODULES "x", "{}", "rego");
    refused(check, MODULES "x", "{\"rego\":\"\"}", "empty");
    refused(check, MODULES "x", "{\"rego\":\"nonsense\"}", "x:1:");
    refused(check, MODULES "x", "{\"rego\":\"package x\\np := y\"}", "x:2:");
    refused(
        check, MODULES "x",
        "{\"rego\":\"package x\\np := 1\",\"tests\":\"package x_test\\ntest_p if data.x.p == 2\"}",
        "the test test_p failed");
    refused(check, MODULES "authz", "{\"rego\":\"package lethe.authz\\nallow := false\"}",
            "could not change it again");
    assert_int_equal(404, call_operator(check, "LIST", "lethe/policies/modules", NULL));
    assert_int_equal(200, call_operator(check, "POST", MODULES "x",
                                        "{\"rego\":\"package x\\np := 1\",\"tests\":\"package "
                                        "x_test\\ntest_p if data.x.p == 1\"}"));
    assert_string_equal(body_member(check, "policy_digest"),
                        policies_digest(check->service->policies));
    assert_int_equal(200, call_operator(check, "LIST", "lethe/policies/modules", NULL));
    assert_has(check, "\"keys\":[\"x\"]");
    assert_int_equal(200, call_operator(check, "GET", MODULES "x", NULL));
    assert_has(check, "\"rego\":\"package x\\np := 1\",\"tests\":\"package x_test\\n");
    /* Its tests hold for what comes later, too. */
    refused(check, MODULES "y", "{\"rego\":\"package x\\nq := data.x.p\\np := 2\"}", "test_p");
    assert_int_equal(204, call_operator(check, "DELETE", MODULES "x", NULL));
    assert_int_equal(404, call_operator(check, "GET", MODULES "x", NULL));
    assert_int_equal(2, records(check, "policy_changed", "modules/x"));
}

static void a_module_may_stand_in_for_the_one_that_came_along(void **state)
{
    static const char only_root[] =
        "{\"rego\":\"package lethe.authz\\nallow if input.admin == true\\nallow if \\\"root\\\" in "
        "input.token_policies\"}";
    struct check *check = *state;
    must_make_token(check, "token-d", "\"default\"");
    assert_int_equal(200, call(check, "GET", "auth/token/lookup-self", "token-d", NULL));
    assert_int_equal(200, call_operator(check, "POST", MODULES "authz", only_root));
    assert_int_equal(403, call(check, "GET", "auth/token/lookup-self", "token-d", NULL));
    reopen(check);
    assert_int_equal(403, call(check, "GET", "auth/token/lookup-self", "token-d", NULL));
    assert_int_equal(200, call(check, "GET", "auth/token/lookup-self", check->root, NULL));
    assert_int_equal(204, call_operator(check, "DELETE", MODULES "authz", NULL));
    assert_int_equal(200, call(check, "GET", "auth/token/lookup-self", "token-d", NULL));
}

/* ---- data ------------------------------------------------------------------------------------ */

static void data_binds_roles_and_suspends(void **state)
{
    struct check *check = *state;
    char body[512], name[96];
    must_make_token(check, "token-r", "\"none\"");
    snprintf(name, sizeof name, "token:%s", body_member(check, "accessor"));
    refused(check, "lethe/policies/data", "{}", "document");
    refused(check, "lethe/policies/data", "{\"document\":\"[]\"}", "a JSON object");
    refused(check, "lethe/policies/data", "{\"document\":\"{\"}", "JSON");
    refused(check, "lethe/policies/data", "{\"document\":\"{\\\"path_policies\\\":{}}\"}",
            "sys/policies/acl");
    assert_int_equal(404, call_operator(check, "GET", "lethe/policies/data", NULL));
    assert_int_equal(403, call(check, "GET", "sys/mounts", "token-r", NULL));
    snprintf(body, sizeof body,
             "{\"document\":\"{\\\"roles\\\":{\\\"r\\\":{\\\"actions\\\":[\\\"mounts_read\\\","
             "\\\"mounts\\\"],\\\"resources\\\":[\\\"sys/*\\\"]}},\\\"role_bindings\\\":"
             "{\\\"%s\\\":[\\\"r\\\"]}}\"}",
             name);
    assert_int_equal(200, call_operator(check, "POST", "lethe/policies/data", body));
    assert_int_equal(200, call_operator(check, "GET", "lethe/policies/data", NULL));
    assert_has(check, "\"document\":\"{\\\"roles\\\":");
    assert_int_equal(200, call(check, "GET", "sys/mounts", "token-r", NULL));
    snprintf(body, sizeof body, "{\"document\":\"{\\\"suspended\\\":{\\\"%s\\\":true}}\"}", name);
    assert_int_equal(200, call_operator(check, "POST", "lethe/policies/data", body));
    assert_int_equal(403, call(check, "GET", "sys/mounts", "token-r", NULL));
    assert_int_equal(204, call_operator(check, "DELETE", "lethe/policies/data", NULL));
    assert_int_equal(404, call_operator(check, "GET", "lethe/policies/data", NULL));
    assert_int_equal(3, records(check, "permission_changed", "data of the policy"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SERVICE(capabilities_end_at_the_tenant),
        ON_SERVICE(only_operators_write_policies),
        ON_SERVICE(policies_are_read_as_they_were_written),
        ON_SERVICE(policies_decide_from_the_answer_on),
        ON_SERVICE(what_is_no_policy_changes_nothing),
        ON_SERVICE(policies_may_be_long),
        ON_SERVICE(modules_are_tested_before_they_are_in_force),
        ON_SERVICE(a_module_may_stand_in_for_the_one_that_came_along),
        ON_SERVICE(data_binds_roles_and_suspends),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
