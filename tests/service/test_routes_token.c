/* auth/token as clients call it, over a whole service. K-9 */
#include "service_check.h"

#include "service/call.h"

#define CREATE "auth/token/create"

/* What a call of auth/token/create gave; kept, since the next answer takes its place. */
struct made {
    char token[160];
    char accessor[64];
};

static struct made made_by(struct check *check)
{
    struct made made;
    snprintf(made.token, sizeof made.token, "%s", body_member(check, "client_token"));
    snprintf(made.accessor, sizeof made.accessor, "%s", body_member(check, "accessor"));
    assert_true(made.token[0] != '\0' && made.accessor[0] != '\0');
    return made;
}

static struct made make(struct check *check, const char *token, const char *body)
{
    if (call(check, "POST", CREATE, token, body) != 200)
        fail_msg("%s: %u %s", body, check->status, body_text(check));
    return made_by(check);
}

static void refused(struct check *check, const char *token, const char *body, const char *why)
{
    unsigned status = call(check, "POST", CREATE, token, body);
    if (status != 400 || strstr(body_text(check), why) == NULL)
        fail_msg("%s: %u %s", body, status, body_text(check));
}

static bool works(struct check *check, const struct made *made)
{
    unsigned status = call(check, "GET", "auth/token/lookup-self", made->token, NULL);
    assert_true(status == 200 || status == 403);
    return status == 200;
}

static void write_policy(struct check *check, const char *name, const char *hcl)
{
    char path[128], body[1024];
    snprintf(path, sizeof path, "sys/policies/acl/%s", name);
    snprintf(body, sizeof body, "{\"policy\":\"%s\"}", hcl);
    if (call_operator(check, "PUT", path, body) != 204)
        fail_msg("%s: %u %s", name, check->status, body_text(check));
}

#define MAKER "path \\\"auth/token/*\\\" { capabilities = [\\\"update\\\"] }"
#define SUDO                                                                                       \
    "path \\\"auth/token/*\\\" { capabilities = [\\\"update\\\", \\\"sudo\\\", \\\"list\\\"] }"

/* ---- shapes ---------------------------------------------------------------------------------- */

static void answers_have_the_shape_that_clients_read(void **state)
{
    struct check *check = *state;
    struct made made =
        make(check, check->root,
             "{\"policies\":[\"App\",\"app\"],\"ttl\":\"10m\",\"display_name\":\"a b\","
             "\"meta\":{\"k\":\"v\\\"\"},\"num_uses\":5,\"role_name\":null}");
    assert_has(check, "\"data\":null");
    assert_has(check, "\"policies\":[\"app\",\"default\"],\"token_policies\":[\"app\",\"default\"],"
                      "\"metadata\":{\"k\":\"v\\\"\"},\"lease_duration\":600,\"renewable\":true,"
                      "\"entity_id\":\"\",\"token_type\":\"service\",\"orphan\":false,"
                      "\"mfa_requirement\":null,\"num_uses\":5}");
    assert_has(check, "policy \\\"app\\\" does not exist");
    assert_int_equal(200, call(check, "GET", "auth/token/lookup-self", made.token, NULL));
    assert_string_equal(body_member(check, "id"), made.token);
    assert_string_equal(body_member(check, "accessor"), made.accessor);
    assert_has(check, "\"creation_ttl\":600");
    assert_has(check,
               "\"explicit_max_ttl\":0,\"display_name\":\"token-a-b\",\"meta\":{\"k\":\"v\\\"\"},"
               "\"num_uses\":4,\"orphan\":false,\"path\":\"auth/token/create\","
               "\"entity_id\":\"\",\"type\":\"service\",\"renewable\":true");
    assert_int_equal(200, call(check, "GET", "auth/token/lookup-self", check->root, NULL));
    assert_has(check, "\"ttl\":0");
    assert_has(check, "\"expire_time\":null");
    assert_has(check, "\"policies\":[\"root\"]");
    assert_has(check, "\"orphan\":true");
}

static void tokens_are_looked_up_by_token_and_accessor(void **state)
{
    struct check *check = *state;
    struct made made = make(check, check->root, "{\"policies\":[\"app\"],\"ttl\":600}");
    char body[256];
    snprintf(body, sizeof body, "{\"token\":\"%s\"}", made.token);
    assert_int_equal(200, call(check, "POST", "auth/token/lookup", check->root, body));
    assert_string_equal(body_member(check, "id"), made.token);
    snprintf(body, sizeof body, "{\"accessor\":\"%s\"}", made.accessor);
    assert_int_equal(200, call(check, "POST", "auth/token/lookup-accessor", check->root, body));
    assert_has(check, "\"id\":\"\"");
    assert_has_not(check, made.token);
    assert_int_equal(200, call(check, "POST", "auth/token/lookup", check->root, NULL));
    assert_has(check, "\"policies\":[\"root\"]");
    assert_int_equal(200, call(check, "LIST", "auth/token/accessors", check->root, NULL));
    assert_has(check, made.accessor);
    /* One text, whatever it was that was wrong. */
    const char *const wrong[][2] = {
        {"auth/token/lookup", "{\"token\":\"wrong\"}"},
        {"auth/token/lookup-accessor", "{\"accessor\":\"wrong\"}"},
        {"auth/token/lookup-accessor",
         "{\"accessor\":\"012345678901234567890123456789012345678901\"}"},
        {"auth/token/renew", "{\"token\":\"wrong\"}"},
        {"auth/token/revoke", "{\"token\":\"wrong\"}"},
        {"auth/token/revoke-accessor", "{\"accessor\":\"wrong\"}"},
        {"auth/token/revoke-orphan", "{\"token\":\"wrong\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(403, call(check, "POST", wrong[i][0], check->root, wrong[i][1]));
        assert_string_equal(body_text(check), "{\"errors\":[\"permission denied\"]}");
    }
    assert_int_equal(ARRAY_LEN(wrong), records(check, "invalid_token_used", NULL));
    assert_int_equal(400, call(check, "POST", "auth/token/revoke", check->root, "{}"));
    assert_int_equal(400, call(check, "POST", "auth/token/lookup-accessor", check->root, "{}"));
}

/* ---- nobody makes what may more -------------------------------------------------------------- */

static void a_token_never_may_more_than_its_maker(void **state)
{
    struct check *check = *state;
    write_policy(check, "maker", MAKER);
    write_policy(check, "other", "path \\\"x\\\" { capabilities = [\\\"read\\\"] }");
    struct made maker = make(check, check->root, "{\"policies\":[\"maker\",\"third\"]}");
    struct made bare = make(check, check->root, "{\"policies\":[\"other\"]}");
    assert_int_equal(403, call(check, "POST", CREATE, bare.token, "{}"));
    assert_int_equal(403, call(check, "POST", "auth/token/create-orphan", maker.token, "{}"));
    assert_int_equal(403, call(check, "LIST", "auth/token/accessors", maker.token, NULL));
    refused(check, maker.token, "{\"policies\":[\"other\"]}", "child policies must be subset");
    refused(check, maker.token, "{\"policies\":\"maker,other\"}", "child policies must be subset");
    refused(check, maker.token, "{\"policies\":[\"root\"]}", "root tokens may not be created");
    refused(check, maker.token, "{\"policies\":[\"ROOT\"]}", "root tokens may not be created");
    refused(check, maker.token, "{\"id\":\"chosen\"}", "root or sudo privileges required");
    refused(check, maker.token, "{\"period\":\"1h\"}", "root or sudo privileges required");
    refused(check, maker.token, "{\"no_parent\":true}", "root or sudo privileges required");
    refused(check, maker.token, "{\"tenant\":\"acme\"}", "root privileges required");
    make(check, maker.token, "{\"no_parent\":false,\"period\":0,\"id\":\"\"}");
    assert_has(check, "\"policies\":[\"default\",\"maker\",\"third\"]");
    make(check, maker.token, "{\"policies\":[\"third\"],\"no_default_policy\":\"true\"}");
    assert_has(check, "\"policies\":[\"third\"],");
}

static void sudo_may_choose_but_makes_no_root(void **state)
{
    struct check *check = *state;
    write_policy(check, "sudo", SUDO);
    struct made sudo = make(check, check->root, "{\"policies\":[\"sudo\"]}");
    refused(check, sudo.token, "{\"policies\":[\"root\"]}", "root tokens may not be created");
    refused(check, sudo.token, "{\"tenant\":\"acme\"}", "root privileges required");
    make(check, sudo.token, "{\"policies\":[\"app\"],\"period\":\"1h\",\"id\":\"chosen-by-me\"}");
    assert_string_equal(body_member(check, "client_token"), "chosen-by-me");
    assert_has(check, "\"lease_duration\":3600");
    refused(check, sudo.token, "{\"id\":\"chosen-by-me\"}", "duplicate ID");
    assert_int_equal(200, call(check, "POST", "auth/token/create-orphan", sudo.token, "{}"));
    assert_has(check, "\"orphan\":true");
    assert_int_equal(200, call(check, "LIST", "auth/token/accessors", sudo.token, NULL));
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const char *const bodies[][2] = {
        {"{\"ttl\":-1}", "field ttl"},
        {"{\"num_uses\":-1}", "num_uses cannot be negative"},
        {"{\"ttl\":\"soon\"}", "field ttl"},
        {"{\"type\":\"batch\"}", "type"},
        {"{\"entity_alias\":\"x\"}", "entit"},
        {"{\"policies\":[\"a b\"]}", "names of policies"},
        {"{\"policies\":[\"a/b\"]}", "names of policies"},
        {"{\"policies\":[{}]}", "no text"},
        {"{\"meta\":[]}", "field meta"},
        {"{\"id\":\"a b\"}", "an id is"},
        {"{\"tenant\":\"a/b\"}", "tenant"},
        {"[]", "JSON object"},
    };
    struct check *check = *state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        refused(check, check->root, bodies[i][0], bodies[i][1]);
    CLEANUP(buffer_clear) struct buffer many = {0};
    buffer_text(&many, "{\"policies\":[\"p\"");
    for (size_t i = 0; i < CALLER_POLICIES_MAX; i++)
        buffer_format(&many, ",\"p%zu\"", i);
    buffer_text(&many, "]}");
    refused(check, check->root, many.bytes, "at most 32 policies");
    buffer_truncate(&many, 0);
    buffer_text(&many, "{\"meta\":{\"k\":\"");
    for (size_t i = 0; i < 1100; i++)
        buffer_text(&many, "x");
    buffer_text(&many, "\"}}");
    refused(check, check->root, many.bytes, "meta is larger");
    assert_int_equal(400, call_operator(check, "POST", CREATE, "{}"));
    assert_int_equal(200, call_operator(check, "POST", CREATE, "{\"policies\":[\"root\"]}"));
}

/* ---- tenants --------------------------------------------------------------------------------- */

/* K-5: another tenant's tokens are as unknown as those that there are not. */
static void tenants_do_not_see_each_others_tokens(void **state)
{
    struct check *check = *state;
    char body[256];
    write_policy(check, "sudo", SUDO);
    struct made ours = make(check, check->root, "{\"policies\":[\"sudo\"],\"tenant\":\"acme\"}");
    struct made theirs = make(check, check->root, "{\"policies\":[\"sudo\"],\"tenant\":\"other\"}");
    struct made child = make(check, ours.token, "{}");
    const char *const paths[] = {"lookup-accessor", "renew-accessor", "revoke-accessor"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        char path[64];
        snprintf(path, sizeof path, "auth/token/%s", paths[i]);
        snprintf(body, sizeof body, "{\"accessor\":\"%s\"}", child.accessor);
        assert_int_equal(403, call(check, "POST", path, theirs.token, body));
        snprintf(body, sizeof body, "{\"token\":\"%s\"}", child.token);
        *strchr(path, '-') = '\0';
        assert_int_equal(403, call(check, "POST", "auth/token/lookup", theirs.token, body));
    }
    assert_true(works(check, &child));
    assert_int_equal(200, call(check, "LIST", "auth/token/accessors", theirs.token, NULL));
    assert_has(check, theirs.accessor);
    assert_has_not(check, ours.accessor);
    snprintf(body, sizeof body, "{\"accessor\":\"%s\"}", child.accessor);
    assert_int_equal(200, call(check, "POST", "auth/token/lookup-accessor", ours.token, body));
}

/* ---- renewing -------------------------------------------------------------------------------- */

static void renewing_gives_the_token_back(void **state)
{
    struct check *check = *state;
    char body[256];
    struct made made = make(check, check->root, "{\"policies\":[\"app\"],\"ttl\":600}");
    assert_int_equal(
        200, call(check, "POST", "auth/token/renew-self", made.token, "{\"increment\":\"20m\"}"));
    assert_string_equal(body_member(check, "client_token"), made.token);
    assert_has(check, "\"lease_duration\":1200");
    snprintf(body, sizeof body, "{\"token\":\"%s\",\"increment\":60}", made.token);
    assert_int_equal(200, call(check, "POST", "auth/token/renew", check->root, body));
    assert_string_equal(body_member(check, "client_token"), made.token);
    assert_has(check, "\"lease_duration\":60,");
    snprintf(body, sizeof body, "{\"accessor\":\"%s\"}", made.accessor);
    assert_int_equal(200, call(check, "POST", "auth/token/renew-accessor", check->root, body));
    assert_has(check, "\"client_token\":\"\"");
    assert_has(check, "\"lease_duration\":600,");
    assert_int_equal(200, call(check, "GET", "auth/token/lookup-self", made.token, NULL));
    assert_has(check, "\"last_renewal\":\"20");
    assert_int_equal(400, call(check, "POST", "auth/token/renew-self", check->root, NULL));
    assert_has(check, "lease is not renewable");
    made = make(check, check->root, "{\"policies\":[\"app\"],\"ttl\":600,\"renewable\":false}");
    assert_int_equal(400, call(check, "POST", "auth/token/renew-self", made.token, NULL));
    assert_int_equal(400, call(check, "POST", "auth/token/renew", check->root, "{}"));
    assert_has(check, "missing token ID");
}

/* ---- revoking -------------------------------------------------------------------------------- */

static void revoked_tokens_are_gone_with_their_children(void **state)
{
    struct check *check = *state;
    char body[256];
    write_policy(check, "maker", MAKER);
    struct made parent = make(check, check->root, "{\"policies\":[\"maker\"]}");
    struct made child = make(check, parent.token, "{}");
    struct made grandchild = make(check, child.token, "{}");
    snprintf(body, sizeof body, "{\"token\":\"%s\"}", child.token);
    assert_int_equal(204, call(check, "POST", "auth/token/revoke-orphan", check->root, body));
    assert_false(works(check, &child));
    assert_true(works(check, &grandchild));
    child = make(check, parent.token, "{}");
    assert_int_equal(204, call(check, "PUT", "auth/token/revoke-self", parent.token, NULL));
    assert_false(works(check, &parent));
    assert_false(works(check, &child));
    assert_true(works(check, &grandchild));
    snprintf(body, sizeof body, "{\"accessor\":\"%s\"}", grandchild.accessor);
    assert_int_equal(204, call(check, "POST", "auth/token/revoke-accessor", check->root, body));
    assert_false(works(check, &grandchild));
    reopen(check);
    assert_false(works(check, &grandchild));
    const struct made *const all[] = {&parent, &child, &grandchild};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        snprintf(body, sizeof body, "\"token\":\"%s\"", all[i]->accessor);
        assert_int_equal(1, records(check, "token_revoked", body));
    }
}

/* ---- uses ------------------------------------------------------------------------------------ */

static void a_token_of_two_uses_answers_twice(void **state)
{
    struct check *check = *state;
    struct made made = make(check, check->root, "{\"policies\":[\"app\"],\"num_uses\":2}");
    assert_true(works(check, &made));
    assert_has(check, "\"num_uses\":1");
    reopen(check);
    assert_true(works(check, &made)); /* the last use is answered in full */
    assert_has(check, "\"num_uses\":0");
    assert_false(works(check, &made));
    write_policy(check, "maker", MAKER);
    made = make(check, check->root, "{\"policies\":[\"maker\"],\"num_uses\":2}");
    refused(check, made.token, "{}", "restricted use token");
    refused(check, made.token, "{}", "restricted use token");
    assert_false(works(check, &made));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SERVICE(answers_have_the_shape_that_clients_read),
        ON_SERVICE(tokens_are_looked_up_by_token_and_accessor),
        ON_SERVICE(a_token_never_may_more_than_its_maker),
        ON_SERVICE(sudo_may_choose_but_makes_no_root),
        ON_SERVICE(what_makes_no_sense_is_refused),
        ON_SERVICE(tenants_do_not_see_each_others_tokens),
        ON_SERVICE(renewing_gives_the_token_back),
        ON_SERVICE(revoked_tokens_are_gone_with_their_children),
        ON_SERVICE(a_token_of_two_uses_answers_twice),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
