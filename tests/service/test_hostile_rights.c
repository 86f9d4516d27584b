/* Who may something, and tries more: other tenants' keys and tokens, paths that are written
 * differently, operators' calls, claims, releases. E-1, E-7, E-8, K-9, K-12 */
#include "hostile.h"

#include "service/tokens.h"

#define ALL                                                                                        \
    "{\"policy\":\"path \\\"*\\\" { capabilities = [\\\"create\\\", \\\"read\\\", \\\"update\\\"," \
    "\\\"delete\\\", \\\"list\\\"] }\"}"

static const char *const others_keys[] = {"b.model.hot", "b.signer", "b.other", "b.x.y.z",
                                          "b.model-2.cold"};

static void operator_does(struct check *check, const char *path, const char *body)
{
    if (call_operator(check, "POST", path, body) / 100 != 2)
        fail_msg("%s: %u %s", path, check->status, body_text(check));
}

static void make_keys(struct check *check)
{
    char path[128];
    for (size_t i = 0; i < ARRAY_LEN(others_keys); i++) {
        bool is_signer = strcmp(others_keys[i], "b.signer") == 0;
        snprintf(path, sizeof path, "transit/keys/%s", others_keys[i]);
        operator_does(check, path,
                      is_signer ? "{\"type\":\"ecdsa-p256\"}"
                                : "{\"exportable\":true,\"allow_plaintext_backup\":true}");
    }
    operator_does(check, "transit/keys/acme.model.hot", "{}");
    operator_does(check, "transit/keys/common", "{}");
    operator_does(check, "sys/policies/acl/all", ALL);
    operator_does(check, "lethe/identities", "{\"id\":\"spiffe://example.org/tenant/b/node\"}");
    operator_does(check, "lethe/identities", "{\"id\":\"spiffe://example.org/tenant/acme/node\"}");
}

static void make_all_powerful(struct check *check, const char *tenant, char token[128])
{
    char name[160];
    make_token(check, tenant, "all", token, name);
}

/* ---- tenants --------------------------------------------------------------------------------- */

static bool is_about_keys(const struct route *route)
{
    return strstr(route->pattern, "/:name") != NULL &&
           (strncmp(route->pattern, "transit/", 8) == 0 ||
            strncmp(route->pattern, "lethe/keys/", 11) == 0);
}

static void assert_denied(struct check *check, const char *path)
{
    if (check->status != 403 || strcmp(body_text(check), REFUSED) != 0)
        fail_msg("%s: %u %s", path, check->status, body_text(check));
}

/* One body for all: each takes of it what it knows. */
static const struct bytes any_body = BYTES(
    "{\"plaintext\":\"aGk=\",\"input\":\"aGk=\",\"ciphertext\":\"vault:v1:AAAA\",\"minimum\":9,"
    "\"reason\":\"x\",\"rotate_every\":3600,\"min_available_version\":1,\"backup\":\"AAAA\","
    "\"signature\":\"vault:v1:AAAA\",\"bits\":256}");

static void nobody_reaches_another_tenants_keys(void **state)
{
    struct check *check = *state;
    char token[128], path[256];
    make_keys(check);
    make_all_powerful(check, "acme", token);
    uint64_t before = state_of(check);
    size_t tried = 0;
    for (const struct route *route = next_route(NULL); route != NULL; route = next_route(route)) {
        for (size_t i = 0; i < ARRAY_LEN(others_keys) && is_about_keys(route); i++, tried++) {
            path_of(route, others_keys[i], path);
            const struct attack one = {first_method(route), path, NULL, token, 0, any_body};
            attack(check, &one);
            assert_denied(check, path);
        }
    }
    assert_true(tried > 100);
    assert_int_equal(403,
                     call(check, "POST", "lethe/keys/b.model/minimum", token, "{\"minimum\":9}"));
    assert_int_equal(403, call(check, "GET", "lethe/keys/b.model/minimum", token, NULL));
    assert_int_equal(403, call(check, "POST", "transit/keys/b.new", token, "{}"));
    assert_true(before == state_of(check));
    /* The control: its own, and everybody's. */
    assert_int_equal(200, call(check, "POST", "transit/encrypt/acme.model.hot", token,
                               "{\"plaintext\":\"aGk=\"}"));
    assert_int_equal(
        200, call(check, "POST", "transit/encrypt/common", token, "{\"plaintext\":\"aGk=\"}"));
    assert_int_equal(
        200, call(check, "POST", "lethe/keys/acme.model/minimum", token, "{\"minimum\":9}"));
}

static void lists_show_what_one_may_see(void **state)
{
    struct check *check = *state;
    char token[128];
    make_keys(check);
    make_all_powerful(check, "acme", token);
    assert_int_equal(200, call(check, "LIST", "transit/keys", token, NULL));
    assert_has(check, "\"keys\":[\"acme.model.hot\",\"common\"]");
    assert_int_equal(200, call(check, "GET", "lethe/rotation", token, NULL));
    assert_has(check, "acme.model.hot");
    assert_has_not(check, "\"b.");
    assert_int_equal(200, call(check, "LIST", "lethe/identities", token, NULL));
    assert_has(check, "\"keys\":[\"spiffe://example.org/tenant/acme/node\"]");
    const char *mine = "lethe/identities/example.org/tenant/acme/node";
    const char *theirs = "lethe/identities/example.org/tenant/b/node";
    assert_int_equal(200, call(check, "GET", mine, token, NULL));
    assert_int_equal(404, call(check, "GET", theirs, token, NULL));
    /* The control: whoever belongs to no tenant sees all. */
    assert_int_equal(200, call(check, "GET", theirs, check->root, NULL));
    assert_int_equal(200, call(check, "LIST", "transit/keys", check->root, NULL));
    assert_has(check, "\"b.model.hot\"");
}

/* ---- paths ----------------------------------------------------------------------------------- */

/* What is denied by one spelling is denied by all, or not there. */
static void no_spelling_gets_around_a_policy(void **state)
{
    static const char *const paths[] = {
        "transit/keys/closed",
        "transit/keys/closed/",
        "transit/keys//closed",
        "transit//keys/closed",
        "transit/keys/../keys/closed",
        "transit/keys/./closed",
        "transit/keys/%63losed",
        "transit/keys/closed%00b",
        "transit/keys%2fclosed",
        "transit/keys/closed?list=true",
        "transit/keys/closed?list=1&x",
        "v1/transit/keys/closed",
        "transit/keys/closed\x01",
        "transit/keys/\xef\xbb\xbf"
        "closed",
        "transit/keys/closed ",
        " transit/keys/closed",
        "transit/keys/closed;x",
        "transit/keys/closed.",
        "transit/keys/.closed",
        "transit\\keys\\closed",
        "sys/policies/acl/SECRET",
        "sys/policies/acl/secret",
        "sys/policies/acl/Secret",
        "sys/policy/sEcret",
        "sys/policy/secret/",
        "transit/keys/\xff"
        "closed",
        "transit/keys/closed/..",
        "transit/keys/closed/.",
    };
    struct check *check = *state;
    char token[128], name[160];
    operator_does(check, "transit/keys/closed", "{}");
    operator_does(check, "sys/policies/acl/secret", ALL);
    operator_does(check, "sys/policies/acl/most",
                  "{\"policy\":\"path \\\"*\\\" { capabilities = [\\\"read\\\", \\\"list\\\"] }\\n"
                  "path \\\"transit/keys/closed\\\" { policy = \\\"deny\\\" }\\n"
                  "path \\\"sys/policies/acl/secret\\\" { policy = \\\"deny\\\" }\\n"
                  "path \\\"sys/policy/secret\\\" { policy = \\\"deny\\\" }\"}");
    make_token(check, "", "most", token, name);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        unsigned status = call(check, "GET", paths[i], token, NULL);
        if (status != 403 && status != 404 && status != 405)
            fail_msg("%s: %u %s", paths[i], status, body_text(check));
        assert_has_not(check, "latest_version");
        assert_has_not(check, "capabilities");
    }
    assert_int_equal(200, call(check, "GET", "sys/policies/acl/most", token, NULL));
    assert_int_equal(200, call(check, "GET", "sys/policies/acl/MOST", token, NULL));
}

/* The path says which key, whatever else does. */
static void nothing_overrides_the_path(void **state)
{
    struct check *check = *state;
    operator_does(check, "transit/keys/one", "{}");
    operator_does(check, "transit/keys/two", "{}");
    assert_int_equal(200, call(check, "POST", "transit/keys/one/rotate?name=two&list=true",
                               check->root, "{\"name\":\"two\"}"));
    assert_has(check, "\"name\":\"one\"");
    assert_int_equal(200, call(check, "GET", "transit/keys/two?name=one", check->root, NULL));
    assert_has(check, "\"latest_version\":1");
    /* A body comes before a query. */
    assert_int_equal(200, call(check, "POST", "transit/random?bytes=64", check->root,
                               "{\"bytes\":1,\"format\":\"hex\"}"));
    assert_int_equal(2, strlen(body_member(check, "random_bytes")));
}

/* ---- operators ------------------------------------------------------------------------------- */

static void operators_calls_are_operators(void **state)
{
    struct check *check = *state;
    char path[256];
    size_t tried = 0;
    make_keys(check);
    for (const struct route *route = next_route(NULL); route != NULL; route = next_route(route)) {
        if ((route->flags & ROUTE_ADMIN) == 0)
            continue;
        path_of(route, "common", path);
        uint64_t before = state_of(check);
        const struct attack one = {first_method(route), path, NULL, check->root, 0, NOTHING};
        attack(check, &one);
        assert_denied(check, path);
        assert_true(before == state_of(check));
        assert_int_not_equal(403, attack_as_operator(check, &one)); /* the control */
        tried++;
    }
    assert_true(tried >= 15);
}

/* An operator who shows a token is whoever the token is. */
static void the_log_s_key_is_the_log_s(void **state)
{
    struct check *check = *state;
    char name[96], path[256];
    snprintf(name, sizeof name, "%s.log", check->options.keeper.node);
    for (const struct route *route = next_route(NULL); route != NULL; route = next_route(route)) {
        if (!is_about_keys(route) || strstr(route->pattern, "minimum") != NULL)
            continue;
        path_of(route, name, path);
        uint64_t before = state_of(check);
        const struct attack one = {first_method(route), path, NULL, NULL, 0, any_body};
        unsigned status = attack_as_operator(check, &one);
        if (status != 400 && status != 404)
            fail_msg("%s: %u %s", path, status, body_text(check));
        assert_true(before == state_of(check));
    }
    (void)call_operator(check, "LIST", "transit/keys", NULL);
    assert_has_not(check, ".log");
}

/* ---- claims ---------------------------------------------------------------------------------- */

static bool has_field(const struct route *route, const char *name)
{
    for (const struct field *field = route->fields; field != NULL && field->name != NULL; field++)
        if (strcmp(field->name, name) == 0)
            return true;
    return false;
}

static void no_route_believes_a_claim(void **state)
{
    static const char *const names[] = {"tenant", "principal", "identity"};
    struct check *check = *state;
    char token[128], path[256], body[128];
    make_keys(check);
    make_all_powerful(check, "acme", token);
    uint64_t before = state_of(check);
    for (const struct route *route = next_route(NULL); route != NULL; route = next_route(route)) {
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            if (has_field(route, names[i]) || (route->flags & ROUTE_OPEN) != 0)
                continue;
            path_of(route, "acme.model.hot", path);
            snprintf(body, sizeof body, "{\"%s\":\"b\"}", names[i]);
            struct attack one = {first_method(route), path, NULL, token, 0, NOTHING};
            char query[32];
            snprintf(query, sizeof query, "%s=b", names[i]);
            one.query = query;
            attack(check, &one);
            assert_denied(check, path);
            if ((first_method(route) & CALL_POST) == 0)
                continue;
            one.query = NULL;
            one.body = (struct bytes){body, strlen(body)};
            attack(check, &one);
            assert_denied(check, path);
        }
    }
    assert_true(before == state_of(check));
}

/* ---- releases -------------------------------------------------------------------------------- */

static unsigned decrypt(struct check *check, const char *token, const char *ciphertext,
                        const char *query, const char *members)
{
    char path[128], body[1024];
    snprintf(path, sizeof path, "transit/decrypt/acme.model.hot%s", query);
    snprintf(body, sizeof body, "{%s%s%s}", members, members[0] != '\0' ? "," : "", ciphertext);
    return call(check, "POST", path, token, body);
}

/* E-8: a model's key gives nothing to an old release, however it is asked. */
static void no_decryption_slips_past_the_minimum(void **state)
{
    static const struct {
        const char *query, *members;
    } old[] = {{"", ""},
               {"", "\"release\":4"},
               {"", "\"release\":\"4\""},
               {"?release=9", "\"release\":4"},
               {"", "\"release\":null"},
               {"", "\"purpose\":\"load\""},
               {"", "\"purpose\":\"\""},
               {"", "\"purpose\":\"verify\",\"release\":0"},
               {"", "\"purpose\":\"reencrypt\",\"release\":4"},
               {"", "\"shard\":\"s\",\"key_version\":1"}};
    struct check *check = *state;
    char token[128], one[512], many[600];
    make_keys(check);
    make_all_powerful(check, "acme", token);
    assert_int_equal(200, call(check, "POST", "transit/encrypt/acme.model.hot", token,
                               "{\"plaintext\":\"bWFya2Vy\"}"));
    snprintf(one, sizeof one, "\"ciphertext\":\"%s\"", body_member(check, "ciphertext"));
    snprintf(many, sizeof many, "\"batch_input\":[{\"release\":9,%s}]", one);
    assert_int_equal(200, decrypt(check, token, one, "", ""));
    operator_does(check, "lethe/keys/acme.model/minimum", "{\"minimum\":5}");
    for (size_t i = 0; i < ARRAY_LEN(old); i++) {
        if (decrypt(check, token, one, old[i].query, old[i].members) != 403)
            fail_msg("%zu: %u %s", i, check->status, body_text(check));
        assert_has_not(check, "bWFya2Vy");
        assert_int_equal(403, decrypt(check, token, many, old[i].query, old[i].members));
    }
    assert_int_equal(400, decrypt(check, token, one, "", "\"release\":-1"));
    assert_int_equal(400, decrypt(check, token, one, "", "\"release\":9,\"purpose\":\"x\""));
    assert_int_equal(200, decrypt(check, token, one, "", "\"release\":5"));
    assert_int_equal(200, decrypt(check, token, many, "", "\"release\":5,\"purpose\":\"load\""));
}

/* A policy that refuses what the record would call a decryption is not passed by saying nothing. */
static void a_purpose_is_never_unsaid(void **state)
{
    struct check *check = *state;
    char one[512];
    make_keys(check);
    assert_int_equal(200, call(check, "POST", "transit/encrypt/acme.model.hot", check->root,
                               "{\"plaintext\":\"bWFya2Vy\"}"));
    snprintf(one, sizeof one, "\"ciphertext\":\"%s\"", body_member(check, "ciphertext"));
    operator_does(
        check, "lethe/policies/modules/authz",
        "{\"rego\":\"package lethe.authz\\n"
        "allow := {\\\"allowed\\\": false, \\\"reason\\\": \\\"no\\\"} if "
        "input.purpose == \\\"decrypt\\\" else := {\\\"allowed\\\": true, \\\"reason\\\": "
        "\\\"yes\\\"}\\n\"}");
    assert_int_equal(403, decrypt(check, check->root, one, "", ""));
    assert_int_equal(403, decrypt(check, check->root, one, "", "\"purpose\":\"\""));
    assert_int_equal(403, decrypt(check, check->root, one, "", "\"purpose\":null"));
    assert_int_equal(200, decrypt(check, check->root, one, "", "\"purpose\":\"load\""));
}

/* ---- tokens ---------------------------------------------------------------------------------- */

#define CREATE "auth/token/create"

static void nobody_makes_more_than_itself(void **state)
{
    static const char *const bodies[] = {
        "{\"policies\":[\"root\"]}",
        "{\"policies\":\"root\"}",
        "{\"policies\":[\"ROOT\"]}",
        "{\"policies\":[\"Root\",\"all\"]}",
        "{\"policies\":[\"other\"]}",
        "{\"policies\":\"all,other\"}",
        "{\"policies\":[\" root\"]}",
        "{\"policies\":[\"root\\u0000\"]}",
        "{\"policies\":[\"all\"],\"tenant\":\"b\"}",
        "{\"policies\":[\"all\"],\"no_parent\":true}",
        "{\"policies\":[\"all\"],\"period\":\"1h\"}",
        "{\"policies\":[\"all\"],\"id\":\"my-own\"}",
    };
    struct check *check = *state;
    char token[128];
    make_keys(check);
    make_all_powerful(check, "acme", token);
    uint64_t before = state_of(check);
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        if (call(check, "POST", CREATE, token, bodies[i]) != 400)
            fail_msg("%s: %u %s", bodies[i], check->status, body_text(check));
    assert_int_equal(403, call(check, "POST", CREATE "-orphan", token, "{}"));
    assert_true(before == state_of(check));
    assert_int_equal(200, call(check, "POST", CREATE, token, "{\"policies\":[\"all\"]}"));
}

static void nobody_lives_longer_than_it_may(void **state)
{
    static const char *const wishes[] = {"\"100000h\"", "9223372036854775807", "7200", "\"2h\""};
    struct check *check = *state;
    char token[128], body[128];
    assert_int_equal(200, call(check, "POST", CREATE, check->root,
                               "{\"policies\":[\"x\"],\"ttl\":60,\"explicit_max_ttl\":\"1h\"}"));
    snprintf(token, sizeof token, "%s", body_member(check, "client_token"));
    for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
        snprintf(body, sizeof body, "{\"increment\":%s}", wishes[i]);
        assert_int_equal(200, call(check, "POST", "auth/token/renew-self", token, body));
        assert_has(check, "\"lease_duration\":3600");
    }
    assert_int_equal(400,
                     call(check, "POST", "auth/token/renew-self", token, "{\"increment\":-1}"));
}

/* What is somebody else's is as unknown as what is not there. */
static void other_tenants_tokens_are_unknown(void **state)
{
    static const char *const calls[] = {"lookup", "renew", "revoke"};
    struct check *check = *state;
    char mine[128], theirs[128], name[160], path[64], body[256];
    make_keys(check);
    make_all_powerful(check, "acme", mine);
    make_token(check, "b", "all", theirs, name);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        snprintf(path, sizeof path, "auth/token/%s-accessor", calls[i]);
        snprintf(body, sizeof body, "{\"accessor\":\"%s\"}", name + strlen("token:"));
        assert_int_equal(403, call(check, "POST", path, mine, body));
        char with[256];
        snprintf(with, sizeof with, "%s", body_text(check));
        assert_int_equal(403, call(check, "POST", path, mine, "{\"accessor\":\"none\"}"));
        assert_string_equal(with, body_text(check));
        snprintf(path, sizeof path, "auth/token/%s", calls[i]);
        snprintf(body, sizeof body, "{\"token\":\"%s\"}", theirs);
        assert_int_equal(403, call(check, "POST", path, mine, body));
        assert_string_equal(with, body_text(check));
        snprintf(body, sizeof body, "{\"token\":\"%s\"}", check->root);
        assert_int_equal(403, call(check, "POST", path, mine, body));
        assert_string_equal(with, body_text(check));
    }
    assert_int_equal(200, call(check, "GET", "auth/token/lookup-self", theirs, NULL));
    assert_int_equal(200, call(check, "GET", "auth/token/lookup-self", check->root, NULL));
}

static void take_backup(struct check *check, const char *name, char body[4096])
{
    char path[128];
    snprintf(path, sizeof path, "transit/backup/%s", name);
    assert_int_equal(200, call_operator(check, "GET", path, NULL));
    snprintf(body, 4096, "{\"force\":true,\"backup\":\"%s\"}", body_member(check, "backup"));
}

/* E-7: with --dev, where restoring takes no operator, a backup is as much its tenant's as the key:
 * it comes back for nobody else, under no name. */
static void backups_are_their_tenants_in_dev_too(void **state)
{
    static const char exportable[] = "{\"exportable\":true,\"allow_plaintext_backup\":true}";
    static const char *const paths[] = {"transit/restore", "transit/restore/acme.stolen",
                                        "transit/restore/stolen", "transit/restore/b.key"};
    struct check *check = *state;
    char mine[128], theirs[4096], own[4096];
    make_keys(check);
    operator_does(check, "transit/keys/b.key", exportable);
    operator_does(check, "transit/keys/acme.key", exportable);
    make_all_powerful(check, "acme", mine);
    take_backup(check, "b.key", theirs);
    take_backup(check, "acme.key", own);
    assert_int_equal(403, call(check, "POST", "transit/restore", mine, own));
    check->service->options.dev = true;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        call(check, "POST", paths[i], mine, theirs);
        assert_denied(check, paths[i]);
    }
    assert_int_equal(3, records(check, "authorization_denied", "another tenant's key"));
    assert_int_equal(204, call(check, "POST", "transit/restore", mine, own)); /* the control */
    assert_int_equal(204, call(check, "POST", "transit/restore/acme.copy", mine, own));
    assert_int_equal(204, call(check, "POST", "transit/restore", check->root, theirs));
}

/* A policy that lets everybody in takes an operator. */
static void policies_are_operators(void **state)
{
    static const char everybody[] =
        "{\"rego\":\"package lethe.authz\\nallow := {\\\"allowed\\\": true, \\\"reason\\\": "
        "\\\"all\\\"}\\n\"}";
    struct check *check = *state;
    const char *path = "lethe/policies/modules/authz";
    assert_int_equal(403, call(check, "POST", path, check->root, everybody));
    assert_int_equal(403, call(check, "GET", "sys/mounts", check->other, NULL));
    operator_does(check, path, everybody);
    assert_int_equal(200, call(check, "GET", "sys/mounts", check->other, NULL));
    assert_int_equal(403, call(check, "POST", path, check->root, everybody));
    assert_int_equal(204, call_operator(check, "DELETE", path, NULL));
    assert_int_equal(403, call(check, "GET", "sys/mounts", check->other, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SERVICE(nobody_reaches_another_tenants_keys),
        ON_SERVICE(lists_show_what_one_may_see),
        ON_SERVICE(no_spelling_gets_around_a_policy),
        ON_SERVICE(nothing_overrides_the_path),
        ON_SERVICE(operators_calls_are_operators),
        ON_SERVICE(the_log_s_key_is_the_log_s),
        ON_SERVICE(no_route_believes_a_claim),
        ON_SERVICE(no_decryption_slips_past_the_minimum),
        ON_SERVICE(a_purpose_is_never_unsaid),
        ON_SERVICE(nobody_makes_more_than_itself),
        ON_SERVICE(nobody_lives_longer_than_it_may),
        ON_SERVICE(other_tenants_tokens_are_unknown),
        ON_SERVICE(backups_are_their_tenants_in_dev_too),
        ON_SERVICE(policies_are_operators),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
