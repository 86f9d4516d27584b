#include "check.h"

#include "builtin_call.h"

static const struct builtin_caller caller = {.v0 = true};

/* Addresses that are none, and operands. */
static const struct builtin_example refused[] = {
    {"net.cidr_is_valid", "[\"\"]", "false"},
    {"net.cidr_is_valid", "[\"10.0.0.0\"]", "false"},
    {"net.cidr_is_valid", "[\"10.0.0.0/33\"]", "false"},
    {"net.cidr_is_valid", "[\"10.0.0.0/4294967304\"]", "false"}, /* 8, in 32 bits */
    {"net.cidr_is_valid", "[\"10.0.0/8\"]", "false"},
    {"net.cidr_is_valid", "[\"10.0.0.0/\"]", "false"},
    {"net.cidr_is_valid", "[\"10.0.0.0/-1\"]", "false"},
    {"net.cidr_is_valid", "[\"10.0.0.0/8/8\"]", "false"},
    {"net.cidr_is_valid", "[\"256.0.0.0/8\"]", "false"},
    {"net.cidr_is_valid", "[\"01.0.0.0/8\"]", "false"},
    {"net.cidr_is_valid", "[\"::/129\"]", "false"},
    {"net.cidr_is_valid", "[\":::/8\"]", "false"},
    {"net.cidr_is_valid", "[\"1::2::3/8\"]", "false"},
    {"net.cidr_is_valid", "[\"fe80::1%eth0/64\"]", "false"},
    {"net.cidr_is_valid", "[\"10.0.0.0/ 8\"]", "false"},
    {"net.cidr_is_valid", "[\"there goes a string\"]", "false"},
    {"net.cidr_is_valid", "[\"12345::/16\"]", "false"},
    {"net.cidr_is_valid", "[\"10.0.0.0/99999999999\"]", "false"},
    {"net.cidr_is_valid", "[\"10.0.0.0\\u0000/8\"]", "false"},
    {"net.cidr_is_valid", "[1]", "false"},
    {"net.cidr_contains", "[\"not-a-cidr\", \"192.168.1.67\"]",
     "eval_builtin_error: net.cidr_contains: invalid CIDR address: not-a-cidr"},
    {"net.cidr_contains", "[\"192.168.1.0/28\", \"not-a-cidr\"]",
     "eval_builtin_error: net.cidr_contains: not a valid textual representation of an IP address "
     "or CIDR: not-a-cidr"},
    {"net.cidr_contains", "[1, \"10.0.0.1\"]",
     "eval_type_error: net.cidr_contains: operand 1 must be string but got number"},
    {"net.cidr_intersects", "[\"192.168.1.0/28\", \"192.168.1.0\"]",
     "eval_builtin_error: net.cidr_intersects: invalid CIDR address: 192.168.1.0"},
    {"net.cidr_contains_matches", "[[\"1.1.2.0/24\"], [\"1.1.1.1\", 1]]",
     "eval_builtin_error: net.cidr_contains_matches: operand 2: element must be string or "
     "non-empty array"},
    {"net.cidr_contains_matches", "[[[]], [\"1.1.1.1\"]]",
     "eval_builtin_error: net.cidr_contains_matches: operand 1: element must be string or "
     "non-empty array"},
    {"net.cidr_contains_matches", "[[[1]], [\"1.1.1.1\"]]",
     "eval_type_error: net.cidr_contains_matches: operand 1 must be string but got number"},
    {"net.cidr_merge", "[[1]]", "eval_builtin_error: net.cidr_merge: element must be string"},
    {"net.cidr_merge", "[[\"x\"]]", "eval_builtin_error: net.cidr_merge: invalid CIDR address: x"},
    {"net.cidr_merge", "[[\"2001:db8::1\"]]",
     "eval_builtin_error: net.cidr_merge: IPv6 invalid: needs prefix length"},
    {"net.cidr_expand", "[\"10.0.0.1\"]",
     "eval_builtin_error: net.cidr_expand: invalid CIDR address: 10.0.0.1"},
};

static void what_is_no_block_is_refused(void **state)
{
    BUILTIN_CHECK(&caller, refused);
}

/* As Python's ipaddress has it: whether the first contains the second, and whether they meet. */
static const struct {
    const char *a, *b;
    bool contains, intersects;
} pairs[] = {
    {"10.0.0.0/8", "10.0.0.0/8", 1, 1},
    {"10.0.0.0/8", "10.1.0.0/16", 1, 1},
    {"10.0.0.0/8", "192.168.1.64/26", 0, 0},
    {"10.0.0.0/8", "0.0.0.0/0", 0, 1},
    {"10.0.0.0/8", "::/0", 0, 0},
    {"10.0.0.0/8", "2001:db8::/32", 0, 0},
    {"10.0.0.0/8", "2001:db8:0:1::/64", 0, 0},
    {"10.0.0.0/8", "fd00::/8", 0, 0},
    {"10.0.0.0/8", "::ffff:10.0.0.0/104", 1, 1},
    {"10.0.0.0/8", "255.255.255.255/32", 0, 0},
    {"10.1.0.0/16", "10.0.0.0/8", 0, 1},
    {"10.1.0.0/16", "10.1.0.0/16", 1, 1},
    {"10.1.0.0/16", "192.168.1.64/26", 0, 0},
    {"10.1.0.0/16", "0.0.0.0/0", 0, 1},
    {"10.1.0.0/16", "::/0", 0, 0},
    {"10.1.0.0/16", "2001:db8::/32", 0, 0},
    {"10.1.0.0/16", "2001:db8:0:1::/64", 0, 0},
    {"10.1.0.0/16", "fd00::/8", 0, 0},
    {"10.1.0.0/16", "::ffff:10.0.0.0/104", 0, 1},
    {"10.1.0.0/16", "255.255.255.255/32", 0, 0},
    {"192.168.1.64/26", "10.0.0.0/8", 0, 0},
    {"192.168.1.64/26", "10.1.0.0/16", 0, 0},
    {"192.168.1.64/26", "192.168.1.64/26", 1, 1},
    {"192.168.1.64/26", "0.0.0.0/0", 0, 1},
    {"192.168.1.64/26", "::/0", 0, 0},
    {"192.168.1.64/26", "2001:db8::/32", 0, 0},
    {"192.168.1.64/26", "2001:db8:0:1::/64", 0, 0},
    {"192.168.1.64/26", "fd00::/8", 0, 0},
    {"192.168.1.64/26", "::ffff:10.0.0.0/104", 0, 0},
    {"192.168.1.64/26", "255.255.255.255/32", 0, 0},
    {"0.0.0.0/0", "10.0.0.0/8", 1, 1},
    {"0.0.0.0/0", "10.1.0.0/16", 1, 1},
    {"0.0.0.0/0", "192.168.1.64/26", 1, 1},
    {"0.0.0.0/0", "0.0.0.0/0", 1, 1},
    {"0.0.0.0/0", "::/0", 0, 0},
    {"0.0.0.0/0", "2001:db8::/32", 0, 0},
    {"0.0.0.0/0", "2001:db8:0:1::/64", 0, 0},
    {"0.0.0.0/0", "fd00::/8", 0, 0},
    {"0.0.0.0/0", "::ffff:10.0.0.0/104", 1, 1},
    {"0.0.0.0/0", "255.255.255.255/32", 1, 1},
    {"::/0", "10.0.0.0/8", 0, 0},
    {"::/0", "10.1.0.0/16", 0, 0},
    {"::/0", "192.168.1.64/26", 0, 0},
    {"::/0", "0.0.0.0/0", 0, 0},
    {"::/0", "::/0", 1, 1},
    {"::/0", "2001:db8::/32", 1, 1},
    {"::/0", "2001:db8:0:1::/64", 1, 1},
    {"::/0", "fd00::/8", 1, 1},
    {"::/0", "::ffff:10.0.0.0/104", 0, 0},
    {"::/0", "255.255.255.255/32", 0, 0},
    {"2001:db8::/32", "10.0.0.0/8", 0, 0},
    {"2001:db8::/32", "10.1.0.0/16", 0, 0},
    {"2001:db8::/32", "192.168.1.64/26", 0, 0},
    {"2001:db8::/32", "0.0.0.0/0", 0, 0},
    {"2001:db8::/32", "::/0", 0, 1},
    {"2001:db8::/32", "2001:db8::/32", 1, 1},
    {"2001:db8::/32", "2001:db8:0:1::/64", 1, 1},
    {"2001:db8::/32", "fd00::/8", 0, 0},
    {"2001:db8::/32", "::ffff:10.0.0.0/104", 0, 0},
    {"2001:db8::/32", "255.255.255.255/32", 0, 0},
    {"2001:db8:0:1::/64", "10.0.0.0/8", 0, 0},
    {"2001:db8:0:1::/64", "10.1.0.0/16", 0, 0},
    {"2001:db8:0:1::/64", "192.168.1.64/26", 0, 0},
    {"2001:db8:0:1::/64", "0.0.0.0/0", 0, 0},
    {"2001:db8:0:1::/64", "::/0", 0, 1},
    {"2001:db8:0:1::/64", "2001:db8::/32", 0, 1},
    {"2001:db8:0:1::/64", "2001:db8:0:1::/64", 1, 1},
    {"2001:db8:0:1::/64", "fd00::/8", 0, 0},
    {"2001:db8:0:1::/64", "::ffff:10.0.0.0/104", 0, 0},
    {"2001:db8:0:1::/64", "255.255.255.255/32", 0, 0},
    {"fd00::/8", "10.0.0.0/8", 0, 0},
    {"fd00::/8", "10.1.0.0/16", 0, 0},
    {"fd00::/8", "192.168.1.64/26", 0, 0},
    {"fd00::/8", "0.0.0.0/0", 0, 0},
    {"fd00::/8", "::/0", 0, 1},
    {"fd00::/8", "2001:db8::/32", 0, 0},
    {"fd00::/8", "2001:db8:0:1::/64", 0, 0},
    {"fd00::/8", "fd00::/8", 1, 1},
    {"fd00::/8", "::ffff:10.0.0.0/104", 0, 0},
    {"fd00::/8", "255.255.255.255/32", 0, 0},
    {"::ffff:10.0.0.0/104", "10.0.0.0/8", 1, 1},
    {"::ffff:10.0.0.0/104", "10.1.0.0/16", 1, 1},
    {"::ffff:10.0.0.0/104", "192.168.1.64/26", 0, 0},
    {"::ffff:10.0.0.0/104", "0.0.0.0/0", 0, 1},
    {"::ffff:10.0.0.0/104", "::/0", 0, 0},
    {"::ffff:10.0.0.0/104", "2001:db8::/32", 0, 0},
    {"::ffff:10.0.0.0/104", "2001:db8:0:1::/64", 0, 0},
    {"::ffff:10.0.0.0/104", "fd00::/8", 0, 0},
    {"::ffff:10.0.0.0/104", "::ffff:10.0.0.0/104", 1, 1},
    {"::ffff:10.0.0.0/104", "255.255.255.255/32", 0, 0},
    {"255.255.255.255/32", "10.0.0.0/8", 0, 0},
    {"255.255.255.255/32", "10.1.0.0/16", 0, 0},
    {"255.255.255.255/32", "192.168.1.64/26", 0, 0},
    {"255.255.255.255/32", "0.0.0.0/0", 0, 1},
    {"255.255.255.255/32", "::/0", 0, 0},
    {"255.255.255.255/32", "2001:db8::/32", 0, 0},
    {"255.255.255.255/32", "2001:db8:0:1::/64", 0, 0},
    {"255.255.255.255/32", "fd00::/8", 0, 0},
    {"255.255.255.255/32", "::ffff:10.0.0.0/104", 0, 0},
    {"255.255.255.255/32", "255.255.255.255/32", 1, 1},
};

static void check_pair(const char *name, size_t i, bool want)
{
    char operands[128];
    snprintf(operands, sizeof operands, "[\"%s\", \"%s\"]", pairs[i].a, pairs[i].b);
    const struct builtin_example example = {name, operands, want ? "true" : "false"};
    builtin_check(&caller, &example, 1);
}

static void blocks_contain_and_meet_as_an_independent_implementation_says(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        check_pair("net.cidr_contains", i, pairs[i].contains);
        check_pair("net.cidr_overlap", i, pairs[i].contains);
        check_pair("net.cidr_intersects", i, pairs[i].intersects);
    }
}

/* Addresses alone, and forms of them. */
static const struct builtin_example addresses[] = {

    {"net.cidr_contains", "[\"10.0.0.0/8\", \"10.1.2.3\"]", "true"},
    {"net.cidr_contains", "[\"10.0.0.0/8\", \"11.1.2.3\"]", "false"},
    {"net.cidr_contains", "[\"10.0.0.0/8\", \"::ffff:10.1.2.3\"]", "true"},
    {"net.cidr_contains", "[\"2001:db8::/32\", \"2001:db8::1\"]", "true"},
    {"net.cidr_contains", "[\"::/0\", \"10.1.2.3\"]", "false"},
    {"net.cidr_is_valid", "[\"2002::1234:abcd:ffff:c0a8:101/64\"]", "true"},
    {"net.cidr_is_valid", "[\"192.168.1.2/024\"]", "true"},
};

static void addresses_are_blocks_of_one(void **state)
{
    BUILTIN_CHECK(&caller, addresses);
}

/* Names are indexes, keys, or the elements themselves. */
static const struct builtin_example matches[] = {

    {"net.cidr_contains_matches", "[[], [1]]", "set()"},
    {"net.cidr_contains_matches", "[7, 8]", "set()"},
    {"net.cidr_contains_matches", "[\"1.1.1.0/24\", \"1.1.1.128\"]",
     "{[\"1.1.1.0/24\", \"1.1.1.128\"]}"},
    {"net.cidr_contains_matches",
     "[[[\"1.1.2.0/24\", 1], \"1.1.1.0/24\"], [\"1.1.1.1\", \"1.1.2.1\"]]", "{[0, 1], [1, 0]}"},
    {"net.cidr_contains_matches",
     "[{\"$set\": [[\"1.1.0.0/16\", \"foo\"], \"1.1.2.0/24\"]}, {\"x\": \"1.1.1.128\", \"y\": "
     "[\"1.1.254.254\", \"bar\"]}]",
     "{[[\"1.1.0.0/16\", \"foo\"], \"x\"], [[\"1.1.0.0/16\", \"foo\"], \"y\"]}"},
};

static void matches_are_named_by_where_they_stand(void **state)
{
    BUILTIN_CHECK(&caller, matches);
}

/* As Python's ipaddress has it. */
static const struct builtin_example expanded[] = {
    {"net.cidr_expand", "[\"192.0.2.252/30\"]",
     "{\"192.0.2.252\", \"192.0.2.253\", \"192.0.2.254\", \"192.0.2.255\"}"},
    {"net.cidr_expand", "[\"::fffe/127\"]", "{\"::fffe\", \"::ffff\"}"},
    {"net.cidr_expand", "[\"2001:db8::/126\"]",
     "{\"2001:db8::\", \"2001:db8::1\", \"2001:db8::2\", \"2001:db8::3\"}"},
    {"net.cidr_expand", "[\"1:0:0:2:0:0:0:fe/127\"]", "{\"1:0:0:2::fe\", \"1:0:0:2::ff\"}"},
    {"net.cidr_expand", "[\"0:0:1::/128\"]", "{\"0:0:1::\"}"},
    {"net.cidr_expand", "[\"::1:0:0:0:0/128\"]", "{\"0:0:0:1::\"}"},
};

static void blocks_are_expanded_as_an_independent_implementation_does(void **state)
{
    BUILTIN_CHECK(&caller, expanded);
}

/* The first are Python's ipaddress.collapse_addresses, of each family; then corners. */
static const struct builtin_example merged[] = {
    {"net.cidr_merge", "[[\"2001:db8::/61\", \"10.0.5.0/26\", \"10.0.0.0/22\"]]",
     "{\"10.0.0.0/22\", \"10.0.5.0/26\", \"2001:db8::/61\"}"},
    {"net.cidr_merge", "[[\"10.0.1.0/26\", \"10.0.3.0/26\", \"2001:db8::/61\", \"2001:db8::/62\"]]",
     "{\"10.0.1.0/26\", \"10.0.3.0/26\", \"2001:db8::/61\"}"},
    {"net.cidr_merge", "[[\"10.0.4.0/26\", \"2001:db8::/61\", \"10.0.4.0/22\"]]",
     "{\"10.0.4.0/22\", \"2001:db8::/61\"}"},
    {"net.cidr_merge",
     "[[\"2001:db8::/62\", \"192.168.5.0/25\", \"192.168.5.0/24\", \"10.0.0.0/22\", "
     "\"192.168.5.0/25\"]]",
     "{\"10.0.0.0/22\", \"192.168.5.0/24\", \"2001:db8::/62\"}"},
    {"net.cidr_merge", "[[\"2001:db8::/61\", \"10.0.4.0/23\", \"2001:db8::/61\"]]",
     "{\"10.0.4.0/23\", \"2001:db8::/61\"}"},
    {"net.cidr_merge",
     "[[\"192.168.5.0/24\", \"192.168.0.0/22\", \"2001:db8::/61\", \"192.168.7.0/24\", "
     "\"2001:db8::/61\", \"2001:db8:0:4::/62\"]]",
     "{\"192.168.0.0/22\", \"192.168.5.0/24\", \"192.168.7.0/24\", \"2001:db8::/61\"}"},
    {"net.cidr_merge",
     "[[\"10.0.3.0/24\", \"10.0.6.0/25\", \"2001:db8::/61\", \"192.168.4.0/23\", "
     "\"2001:db8:0:4::/64\"]]",
     "{\"10.0.3.0/24\", \"10.0.6.0/25\", \"192.168.4.0/23\", \"2001:db8::/61\"}"},
    {"net.cidr_merge", "[[\"2001:db8:0:4::/62\", \"10.0.2.0/23\", \"2001:db8::/64\"]]",
     "{\"10.0.2.0/23\", \"2001:db8:0:4::/62\", \"2001:db8::/64\"}"},
    {"net.cidr_merge",
     "[[\"192.168.0.0/23\", \"192.168.4.0/23\", \"2001:db8::/64\", \"2001:db8:0:6::/64\", "
     "\"10.0.7.0/25\"]]",
     "{\"10.0.7.0/25\", \"192.168.0.0/23\", \"192.168.4.0/23\", \"2001:db8:0:6::/64\", "
     "\"2001:db8::/64\"}"},
    {"net.cidr_merge", "[[\"10.0.6.0/23\"]]", "{\"10.0.6.0/23\"}"},
    {"net.cidr_merge", "[[\"10.0.0.0/22\"]]", "{\"10.0.0.0/22\"}"},
    {"net.cidr_merge",
     "[[\"10.0.5.0/26\", \"10.0.6.0/23\", \"2001:db8:0:4::/63\", \"10.0.7.0/25\", "
     "\"192.168.0.0/23\"]]",
     "{\"10.0.5.0/26\", \"10.0.6.0/23\", \"192.168.0.0/23\", \"2001:db8:0:4::/63\"}"},
    {"net.cidr_merge", "[[]]", "set()"},
    {"net.cidr_merge", "[{\"$set\": [\"0.0.0.0/0\", \"::/0\"]}]", "{\"0.0.0.0/0\", \"::/0\"}"},
    {"net.cidr_merge", "[[\"0.0.0.0/1\", \"128.0.0.0/1\"]]", "{\"0.0.0.0/0\"}"},
    {"net.cidr_merge", "[[\"::/1\", \"8000::/1\"]]", "{\"::/0\"}"},
    {"net.cidr_merge", "[[\"10.0.0.1/32\", \"10.0.0.2/31\"]]",
     "{\"10.0.0.1/32\", \"10.0.0.2/31\"}"},
    {"net.cidr_merge", "[[\"192.0.2.7\", \"192.0.3.0/24\", \"10.1.2.3\"]]",
     "{\"10.0.0.0/8\", \"192.0.2.0/23\"}"},
};

static void blocks_are_merged_into_the_fewest(void **state)
{
    BUILTIN_CHECK(&caller, merged);
}

static void a_block_of_too_many_addresses_ends_at_the_limit(void **state)
{
    static const struct builtin_example examples[] = {
        {"net.cidr_expand", "[\"10.0.0.0/8\"]", "limit"},
        {"net.cidr_expand", "[\"0.0.0.0/0\"]", "limit"},
        {"net.cidr_expand", "[\"::/0\"]", "limit"},
    };
    BUILTIN_CHECK(&caller, examples);
    const struct builtin_caller poor = {.steps = 5000};
    const struct builtin_example one = {"net.cidr_expand", "[\"10.0.0.0/18\"]", "limit"};
    builtin_check(&poor, &one, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_block_is_refused),
        cmocka_unit_test(blocks_contain_and_meet_as_an_independent_implementation_says),
        cmocka_unit_test(addresses_are_blocks_of_one),
        cmocka_unit_test(matches_are_named_by_where_they_stand),
        cmocka_unit_test(blocks_are_expanded_as_an_independent_implementation_does),
        cmocka_unit_test(blocks_are_merged_into_the_fewest),
        cmocka_unit_test(a_block_of_too_many_addresses_ends_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
