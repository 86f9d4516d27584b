/* K-4: what a request says before its body is read in one way only. */
#include "service/door_head.h"

#include "check.h"

#include "crypto/crypto.h"
#include "service/call.h"
#include "service/wire.h"

static struct guarded scratch;

static lethe_result read_path(const char *path, struct door_head *out, struct lethe_error *err)
{
    const struct http_request request = {.method = HTTP_GET, .path = {path, strlen(path)}};
    return door_head_read(&request, &scratch, out, err);
}

static void paths_are_decoded_and_tidied(void **state)
{
    static const struct {
        const char *sent;
        const char *path;
    } cases[] = {
        {"/v1/sys/health", "/v1/sys/health"},
        {"/v1//sys///health/", "/v1/sys/health"},
        {"//v1/sys/health", "/v1/sys/health"},
        {"/v1/a%20b", "/v1/a b"},
        {"/v1/%74ransit", "/v1/transit"},
        {"/v1/a+b", "/v1/a+b"},
        {"/v1/...", "/v1/..."},
        {"/v1/.a", "/v1/.a"},
        {"/metrics", "/metrics"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct door_head head;
        struct lethe_error err = {0};
        assert_ok(read_path(cases[i].sent, &head, &err), &err);
        assert_int_equal(head.path.length, strlen(cases[i].path));
        assert_memory_equal(head.path.at, cases[i].path, head.path.length);
    }
}

static void other_paths_are_refused(void **state)
{
    static const struct {
        const char *sent;
        lethe_result result;
    } cases[] = {
        {"/v1/a/../sys/seal", LETHE_MALFORMED},
        {"/v1/a/%2e%2e/sys/seal", LETHE_MALFORMED},
        {"/v1/a/%2E./sys/seal", LETHE_MALFORMED},
        {"/v1/./sys/seal", LETHE_MALFORMED},
        {"/v1/..", LETHE_MALFORMED},
        {"/../v1/a", LETHE_MALFORMED},
        {"/v1/a%2fb", LETHE_MALFORMED},
        {"/v1/a%2Fb", LETHE_MALFORMED},
        {"/v1%2fa", LETHE_MALFORMED},
        {"/v1/a%00b", LETHE_MALFORMED},
        {"/v1/a%0ab", LETHE_MALFORMED},
        {"/v1/a%", LETHE_MALFORMED},
        {"/v1/a%2", LETHE_MALFORMED},
        {"/v1/a%zz", LETHE_MALFORMED},
        {"/", LETHE_NOT_FOUND},
        {"/v1", LETHE_NOT_FOUND},
        {"/v1/", LETHE_NOT_FOUND},
        {"/v2/sys/health", LETHE_NOT_FOUND},
        {"/V1/sys/health", LETHE_NOT_FOUND},
        {"/metrics/x", LETHE_NOT_FOUND},
        {"/ui/", LETHE_NOT_FOUND},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct door_head head;
        struct lethe_error err = {0};
        lethe_result result = read_path(cases[i].sent, &head, &err);
        if (result != cases[i].result)
            fail_msg("%s: %s", cases[i].sent, lethe_result_name(result));
    }
}

struct header {
    const char *name;
    const char *value;
};

static lethe_result read_headers(const struct header *headers, struct door_head *out,
                                 struct lethe_error *err)
{
    struct http_request request = {.method = HTTP_GET, .path = {"/v1/a", 5}};
    for (; headers->name != NULL; headers++) {
        request.headers[request.header_count].name =
            (struct http_text){headers->name, strlen(headers->name)};
        request.headers[request.header_count++].value =
            (struct http_text){headers->value, strlen(headers->value)};
    }
    return door_head_read(&request, &scratch, out, err);
}

static void one_token_is_taken_wherever_it_stands(void **state)
{
    static const struct header cases[][4] = {
        {{"X-Vault-Token", "t.1"}},
        {{"x-vault-token", "t.1"}},
        {{"Authorization", "Bearer t.1"}},
        {{"authorization", "bearer  t.1"}},
        {{"X-Vault-Token", "t.1"}, {"Authorization", "Bearer t.1"}},
        {{"X-Vault-Token", "t.1"}, {"X-Vault-Token", "t.1"}},
        {{"Authorization", "Basic t.2"}, {"X-Vault-Token", "t.1"}},
        {{"X-Vault-Tokens", "t.2"}, {"X-Vault-Token", "t.1"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct door_head head;
        struct lethe_error err = {0};
        assert_ok(read_headers(cases[i], &head, &err), &err);
        assert_int_equal(head.flags, WIRE_HAS_TOKEN);
        assert_int_equal(head.token.length, 3);
        assert_memory_equal(head.token.at, "t.1", 3);
    }
}

static void two_tokens_are_refused(void **state)
{
    static const struct header cases[][4] = {
        {{"X-Vault-Token", "t.1"}, {"Authorization", "Bearer t.2"}},
        {{"X-Vault-Token", "t.1"}, {"Authorization", "Bearer t.12"}},
        {{"X-Vault-Token", "t.1"}, {"X-Vault-Token", "t.2"}},
        {{"X-Vault-Token", ""}, {"X-Vault-Token", "t.2"}},
        {{"Authorization", "Bearer "}, {"X-Vault-Token", "t.1"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct door_head head;
        struct lethe_error err = {0};
        assert_result(LETHE_INVALID, read_headers(cases[i], &head, &err));
        assert_null(strstr(err.text, "t."));
    }
}

static void flags_say_what_else_was_there(void **state)
{
    static const struct {
        struct header headers[4];
        unsigned flags;
    } cases[] = {
        {{{"Host", "x"}}, 0},
        {{{"X-Vault-Token", ""}}, WIRE_HAS_TOKEN},
        {{{"X-Vault-Wrap-TTL", "10s"}}, WIRE_WRAP_TTL},
        {{{"X-Vault-Wrap-TTL", ""}}, WIRE_WRAP_TTL},
        {{{"X-Vault-Namespace", ""}}, 0},
        {{{"X-Vault-Namespace", "a"}}, WIRE_NAMESPACE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct door_head head;
        struct lethe_error err = {0};
        assert_ok(read_headers(cases[i].headers, &head, &err), &err);
        assert_int_equal(head.flags, cases[i].flags);
    }
}

static void methods_are_the_keepers(void **state)
{
    static const struct {
        enum http_method sent;
        unsigned method;
        bool is_head;
    } cases[] = {{HTTP_GET, CALL_GET, false},   {HTTP_HEAD, CALL_GET, true},
                 {HTTP_POST, CALL_POST, false}, {HTTP_PUT, CALL_POST, false},
                 {HTTP_LIST, CALL_LIST, false}, {HTTP_DELETE, CALL_DELETE, false}};
    struct lethe_error err = {0};
    struct door_head head;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct http_request request = {.method = cases[i].sent, .path = {"/v1/a", 5}};
        assert_ok(door_head_read(&request, &scratch, &head, &err), &err);
        assert_true(head.method == cases[i].method && head.is_head == cases[i].is_head);
    }
    static const enum http_method others[] = {HTTP_PATCH, HTTP_OPTIONS};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        const struct http_request request = {.method = others[i], .path = {"/v1/a", 5}};
        assert_result(LETHE_CONFLICT, door_head_read(&request, &scratch, &head, &err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_decoded_and_tidied),
        cmocka_unit_test(other_paths_are_refused),
        cmocka_unit_test(one_token_is_taken_wherever_it_stands),
        cmocka_unit_test(two_tokens_are_refused),
        cmocka_unit_test(flags_say_what_else_was_there),
        cmocka_unit_test(methods_are_the_keepers),
    };
    struct lethe_error err = {0};
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guarded_clear(&scratch);
    return failed;
}
