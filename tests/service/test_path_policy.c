/* Path policies as they are read: what is taken, what is refused, and what becomes of it. */
#include "check.h"

#include <stdlib.h>

#include "service/path_policy.h"
#include "service/policies.h"

static lethe_result parse(const char *text, struct buffer *json, struct lethe_error *err)
{
    return path_policy_parse(text, strlen(text), json, err);
}

static void check_same(const char *hcl, const char *other)
{
    CLEANUP(buffer_clear) struct buffer one = {0};
    CLEANUP(buffer_clear) struct buffer two = {0};
    struct lethe_error err = {0};
    assert_ok(parse(hcl, &one, &err), &err);
    assert_ok(parse(other, &two, &err), &err);
    assert_string_equal(one.bytes, two.bytes);
}

static void check_is(const char *text, const char *expected)
{
    CLEANUP(buffer_clear) struct buffer json = {0};
    struct lethe_error err = {0};
    assert_ok(parse(text, &json, &err), &err);
    assert_string_equal(json.bytes, expected);
}

static void check_refused(const char *text, const char *why)
{
    CLEANUP(buffer_clear) struct buffer json = {0};
    struct lethe_error err = {0};
    if (parse(text, &json, &err) != LETHE_MALFORMED)
        fail_msg("%s: not refused", text);
    if (strstr(err.text, why) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", text, err.text, why);
    assert_int_equal(json.size_bytes, 0);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void test_hcl_that_is_none_is_refused_with_its_place(void **state)
{
    check_refused("path", "line 1, column 5: a text in quotes is missing");
    check_refused("path \"a\"", "line 1, column 9: '{' is missing");
    check_refused("path \"a\" {", "line 1, column 11: the name of an attribute");
    check_refused("path \"a\" {\n  capabilities [\"read\"]\n}",
                  "line 2, column 16: '=' is missing");
    check_refused("path \"a\" { capabilities = \"read\" }", "'[' is missing");
    check_refused("path \"a\" { capabilities = [\"read\" \"list\"] }", "',' or ']'");
    check_refused("path \"a\" { capabilities = [read] }", "a capability in quotes");
    check_refused("path \"a\" { capabilities = [\"read\"", "',' or ']'");
    check_refused("path \"a", "a text that does not end");
    check_refused("path \"a\n\" {}", "a text that does not end");
    check_refused("path \"a\\q\" {}", "an escape other than");
    check_refused("path \"a\\", "an escape other than");
    check_refused("/* path", "a comment that does not end");
    check_refused("/*/", "a comment that does not end");
    check_refused("/", "a rule begins with");
    check_refused("patch \"a\" {}", "a rule begins with");
    check_refused("path \"a\" {} }", "a rule begins with");
    check_refused("path \"a\" { , }", "the name of an attribute");
}

static void test_what_would_silently_mean_nothing_is_refused(void **state)
{
    check_refused("path \"a/*/b\" {}", "only at the end");
    check_refused("path \"a**\" {}", "only at the end");
    check_refused("path \"a/+*\" {}", "'+*'");
    check_refused("path \"a/{{identity.entity.id}}\" {}", "templates");
    check_refused("path \"a/${x}\" {}", "templates");
    check_refused("path \"a\\nb\" {}", "control character");
    check_refused("path \"a\" { capabilities = [\"reed\"] }", "column 28: unknown capability");
    check_refused("path \"a\" { capabilities = [\"Read\"] }", "unknown capability");
    check_refused("path \"a\" { capabilities = [\"patch\"] }", "unknown capability");
    check_refused("path \"a\" { policy = \"root\" }", "unknown level");
    check_refused("path \"a\" { allowed_parameters = {} }", "'allowed_parameters' is not enforced");
    check_refused("path \"a\" { min_wrapping_ttl = \"1s\" }", "'min_wrapping_ttl' is not enforced");
    check_refused("path \"\xff\" {}", "not UTF-8");
}

static void test_json_that_is_no_policy_is_refused(void **state)
{
    check_refused("{", "line 1");
    check_refused("{\"path\":[]} x", "line 1");
    check_refused("{\"path\":\"a\"}", "an object of rules");
    check_refused("{\"path\":{\"a\":[]}}", "path \"a\": a rule is an object");
    check_refused("{\"path\":{\"a\":{\"capabilities\":\"read\"}}}", "a list of texts");
    check_refused("{\"path\":{\"a\":{\"capabilities\":[1]}}}", "a list of texts");
    check_refused("{\"path\":{\"a\":{\"capabilities\":[\"no\"]}}}", "unknown capability");
    check_refused("{\"path\":{\"a\":{\"policy\":1}}}", "'policy' is not enforced");
    check_refused("{\"path\":{\"a\":{\"denied_parameters\":{}}}}", "is not enforced");
    check_refused("{\"rules\":{}}", "'rules' is not enforced");
    check_refused("{\"path\":{\"a\":{},\"a\":{}}}", "already");
}

static void test_a_policy_has_limits(void **state)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    CLEANUP(buffer_clear) struct buffer json = {0};
    struct lethe_error err = {0};
    for (size_t i = 0; i < PATH_RULES_MAX; i++)
        buffer_format(&text, "path \"%zu\" {}\n", i);
    assert_ok(path_policy_parse(text.bytes, text.size_bytes, &json, &err), &err);
    buffer_text(&text, "path \"more\" {}");
    assert_result(LETHE_MALFORMED, path_policy_parse(text.bytes, text.size_bytes, &json, &err));
    assert_non_null(strstr(err.text, "line 1025, column 6: more than 1024 paths"));
    buffer_truncate(&text, 0);
    buffer_text(&text, "path \"");
    for (size_t i = 0; i <= PATH_RULE_MAX; i++)
        buffer_text(&text, "x");
    buffer_text(&text, "\" {}");
    assert_result(LETHE_MALFORMED, path_policy_parse(text.bytes, text.size_bytes, &json, &err));
    CLEANUP(memory_free) char *large = calloc(1, PATH_POLICY_BYTES_MAX + 1);
    memset(large, ' ', PATH_POLICY_BYTES_MAX + 1);
    assert_result(LETHE_MALFORMED,
                  path_policy_parse(large, PATH_POLICY_BYTES_MAX + 1, &json, &err));
    assert_ok(path_policy_parse(large, PATH_POLICY_BYTES_MAX, &json, &err), &err);
}

/* ---- what becomes of it ---------------------------------------------------------------------- */

static void test_each_kind_of_path(void **state)
{
    check_is("", "{\"exact\":{},\"prefixes\":[],\"segments\":[]}");
    check_is("path \"sys/health\" { capabilities = [\"read\", \"sudo\"] }",
             "{\"exact\":{\"sys/health\":{\"can\":{\"read\":true,\"sudo\":true}}},"
             "\"prefixes\":[],\"segments\":[]}");
    check_is("path \"a/b*\" { capabilities = [\"list\"] }",
             "{\"exact\":{},\"prefixes\":[{\"prefix\":\"a/b\",\"rank\":\"0003005130004a/b*\","
             "\"can\":{\"list\":true}}],\"segments\":[]}");
    check_is("path \"a/+/c\" { capabilities = [\"read\"] }",
             "{\"exact\":{},\"prefixes\":[],\"segments\":[{\"count\":3,\"literals\":[[0,\"a\"],"
             "[2,\"c\"]],\"rank\":\"0002105120005a/+/c\",\"can\":{\"read\":true}}]}");
    check_is("path \"+/b/c*\" { capabilities = [\"read\"] }",
             "{\"exact\":{},\"prefixes\":[],\"segments\":[{\"count\":3,\"literals\":[[1,\"b\"]],"
             "\"tail\":\"c\",\"rank\":\"0000005120006+/b/c*\",\"can\":{\"read\":true}}]}");
    /* Not a segment of its own: a letter like any other. */
    check_is("path \"a+b\" { capabilities = [\"read\"] }",
             "{\"exact\":{\"a+b\":{\"can\":{\"read\":true}}},\"prefixes\":[],\"segments\":[]}");
}

static void test_ways_to_say_the_same(void **state)
{
    const char *plain = "path \"a/*\" { capabilities = [\"create\", \"update\"] }";
    check_same(plain, "name = \"x\"\n# one\n// two\n/* three */ path \"/a/*\" {\n\n"
                      " comment = \"c\"\n capabilities = [ \"update\" , \"create\", ] , }\n");
    check_same(plain, "\"path\" \"a/*\" { \"capabilities\" = [\"create\",\"update\"] }");
    check_same(plain, " {\"path\": {\"a/*\": {\"capabilities\": [\"create\", \"update\"]}}}");
    check_same(plain, "{\"name\":\"x\",\"path\":[{\"a/*\":{\"capabilities\":[\"create\"]}},"
                      "{\"a/*\":{\"capabilities\":[\"update\"]}}]}");
    check_same(plain, "path \"a/*\" { capabilities = [\"create\"] }\n"
                      "path \"a/*\" { capabilities = [\"update\"] }");
    check_same(
        "path \"a\" { policy = \"write\" }",
        "path \"a\" { capabilities = [\"create\",\"read\",\"update\",\"delete\",\"list\"] }");
    check_same("path \"a\" { policy = \"sudo\" }",
               "path \"a\" { capabilities = [\"create\",\"read\",\"update\",\"delete\",\"list\","
               "\"sudo\"] }");
    check_same("path \"a\" { policy = \"read\" }",
               "path \"a\" { capabilities = [\"read\",\"list\"] }");
    /* Whatever else is said of the path. */
    check_same("path \"a\" { capabilities = [\"read\", \"deny\"] }",
               "path \"a\" { policy = \"deny\" }");
}

/* Each is less specific than the next. */
static void test_ranks_compare_as_vault_says(void **state)
{
    static const char *const order[] = {
        "+/+/*", "+/a/x*", "*",    "+/+/x",   "a*",       "a/+/c*", "a/+/+",
        "a/+/c", "a/+/cc", "a/b*", "a/b/+/*", "a/b/+/d*", "a/b/+",  "a/b/c*",
    };
    char before[64] = "";
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        CLEANUP(buffer_clear) struct buffer json = {0};
        struct lethe_error err = {0};
        char text[96], rank[64];
        snprintf(text, sizeof text, "path \"%s\" {}", order[i]);
        assert_ok(parse(text, &json, &err), &err);
        const char *found = strstr(json.bytes, "\"rank\":\"");
        assert_non_null(found);
        snprintf(rank, sizeof rank, "%.*s", (int)strcspn(found + 8, "\""), found + 8);
        if (strcmp(before, rank) >= 0)
            fail_msg("%s: %s is not above %s", order[i], rank, before);
        memcpy(before, rank, sizeof before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hcl_that_is_none_is_refused_with_its_place),
        cmocka_unit_test(test_what_would_silently_mean_nothing_is_refused),
        cmocka_unit_test(test_json_that_is_no_policy_is_refused),
        cmocka_unit_test(test_a_policy_has_limits),
        cmocka_unit_test(test_each_kind_of_path),
        cmocka_unit_test(test_ways_to_say_the_same),
        cmocka_unit_test(test_ranks_compare_as_vault_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
