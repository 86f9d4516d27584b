#include "check.h"

#include <time.h>

#include "builtin_call.h"
#include "policy/yaml_value.h"

static const struct builtin_caller caller = {0};

/* The term that a text is read as, or why it is not. */
static void read_as(const char *text, size_t size_bytes, struct buffer *out)
{
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = (size_t)64 << 20};
    struct lethe_error err = {0};
    const struct value *value = NULL;
    const struct yaml_source source = {text, size_bytes, NULL};
    lethe_result result = value_parse_yaml(&arena, &source, &value, &err);
    if (result == LETHE_OK)
        value_print_term(value, out);
    else
        buffer_format(out, "%s: %s", lethe_result_name(result), err.text);
}

struct example {
    const char *yaml, *want;
};

static void check_examples(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP(buffer_clear) struct buffer out = {0};
        read_as(examples[i].yaml, strlen(examples[i].yaml), &out);
        if (strcmp(out.bytes, examples[i].want) != 0)
            fail_msg("%s\n  is read as %s\n  should be  %s", examples[i].yaml, out.bytes,
                     examples[i].want);
    }
}
#define CHECK_EXAMPLES(examples) check_examples((examples), ARRAY_LEN(examples))

/* ---- what is refused ---- */

static const struct example no_yaml[] = {
    {"foo:\n   - qux: bar\n   - baz: {",
     "MALFORMED: line 4, column 1: did not find expected node content"},
    {"a: [1, 2", "MALFORMED: line 2, column 1: did not find expected ',' or ']'"},
    {"\ta: 1", "MALFORMED: line 1, column 1: found character that cannot start any token"},
    {"a: b: c", "MALFORMED: line 1, column 5: mapping values are not allowed in this context"},
    {"a: 1\n- 2", "MALFORMED: line 2, column 1: did not find expected key"},
    {"\"a", "MALFORMED: line 1, column 3: found unexpected end of stream"},
    {"\"\\ud800\"", "MALFORMED: line 1, column 4: found invalid Unicode character escape code"},
    {"\"\\q\"", "MALFORMED: line 1, column 2: found unknown escape character"},
    {"@", "MALFORMED: line 1, column 1: found character that cannot start any token"},
    {"{} }", "MALFORMED: line 1, column 4: did not find expected <document start>"},
    {"a\n--- b\n", "\"a\""}, /* see below: a further document is not read */
    {"%YAML 3.0\n--- a", "MALFORMED: line 1, column 1: found incompatible YAML document"},
    {"\xff", "MALFORMED: byte 0: invalid leading UTF-8 octet"},
    {"a: \xc3", "MALFORMED: byte 3: incomplete UTF-8 octet sequence"},
    {"a: \xed\xa0\x80", "MALFORMED: byte 3: invalid Unicode character"},
    {"a: \x01", "MALFORMED: byte 3: control characters are not allowed"},
    {"\xff\xfe"
     "a",
     "MALFORMED: byte 0: invalid leading UTF-8 octet"},
};

static void what_is_no_yaml_is_refused_with_its_place(void **state)
{
    CHECK_EXAMPLES(no_yaml);
    CLEANUP(buffer_clear) struct buffer out = {0};
    read_as("a\0b", 3, &out);
    assert_string_equal(out.bytes, "MALFORMED: byte 1: control characters are not allowed");
}

static const struct example no_json[] = {
    {"a: .inf", "MALFORMED: line 1, column 4: JSON has no number that is not finite"},
    {"[+.INF]", "MALFORMED: line 1, column 2: JSON has no number that is not finite"},
    {"-.Inf", "MALFORMED: line 1, column 1: JSON has no number that is not finite"},
    {".NaN", "MALFORMED: line 1, column 1: JSON has no number that is not finite"},
    {"~: 1", "MALFORMED: line 1, column 1: a key is neither a text nor a number nor a boolean"},
    {"? [a]\n: 1",
     "MALFORMED: line 1, column 3: a key is neither a text nor a number nor a boolean"},
    {"{{a: 1}: 1}",
     "MALFORMED: line 1, column 2: a key is neither a text nor a number nor a boolean"},
    {"x: &a [1]\n*a : 2",
     "MALFORMED: line 2, column 1: a key is neither a text nor a number nor a boolean"},
    {"a: 1\nb: 2\na: 1",
     "MALFORMED: line 1, column 1: the mapping that begins here has a key twice"},
    {"1: a\n\"1\": b", "MALFORMED: line 1, column 1: the mapping that begins here has a key twice"},
    {"yes: a\n\"true\": b",
     "MALFORMED: line 1, column 1: the mapping that begins here has a key twice"},
    {"!!int a", "MALFORMED: line 1, column 1: the scalar is not what its tag says"},
    {"!!int 1.5", "MALFORMED: line 1, column 1: the scalar is not what its tag says"},
    {"!!int 1e400", "MALFORMED: line 1, column 1: the scalar is not what its tag says"},
    {"!!float true", "MALFORMED: line 1, column 1: the scalar is not what its tag says"},
    {"!!bool 1", "MALFORMED: line 1, column 1: the scalar is not what its tag says"},
    {"!!null 0", "MALFORMED: line 1, column 1: the scalar is not what its tag says"},
    {"!!binary aGk=", "MALFORMED: line 1, column 1: a scalar with this tag cannot become JSON"},
    {"!!timestamp 2001-01-01",
     "MALFORMED: line 1, column 1: a scalar with this tag cannot become JSON"},
};

static void what_json_cannot_say_is_refused(void **state)
{
    CHECK_EXAMPLES(no_json);
}

static const struct example wrong_names[] = {
    {"*a", "MALFORMED: line 1, column 1: no anchor in front of it has the name of the alias"},
    {"[*a, &a 1]",
     "MALFORMED: line 1, column 2: no anchor in front of it has the name of the alias"},
    {"&a [*a]", "MALFORMED: line 1, column 5: the alias stands for what it is a part of"},
    {"&a {b: {c: *a}}", "MALFORMED: line 1, column 12: the alias stands for what it is a part of"},
    {"&a\n<<: *a", "MALFORMED: line 2, column 5: the alias stands for what it is a part of"},
    {"<<: 1",
     "MALFORMED: line 1, column 5: what is merged must be a mapping, or a list of mappings"},
    {"<<:", "MALFORMED: line 1, column 4: what is merged must be a mapping, or a list of mappings"},
    {"<<: [{a: 1}, 2]",
     "MALFORMED: line 1, column 5: what is merged must be a mapping, or a list of mappings"},
    {"x: &a [{b: 1}]\ny: {<<: *a}",
     "MALFORMED: line 2, column 9: what is merged must be a mapping, or a list of mappings"},
};

static void aliases_and_merges_of_what_they_cannot_be_of_are_refused(void **state)
{
    CHECK_EXAMPLES(wrong_names);
}

/* ---- limits ---- */

static void nests(const char *opening, size_t count, struct buffer *out)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    for (size_t i = 0; i < count; i++)
        buffer_text(&text, opening);
    read_as(text.bytes, text.size_bytes, out);
}

static void depth_ends_at_a_limit(void **state)
{
    static const char *const openings[] = {"[", "{a: ", "- ", "? "};
    for (size_t i = 0; i < ARRAY_LEN(openings); i++) {
        CLEANUP(buffer_clear) struct buffer out = {0};
        nests(openings[i], VALUE_DEPTH_MAX + 1, &out);
        assert_non_null(strstr(out.bytes, "nested too deeply"));
        buffer_truncate(&out, 0);
        nests(openings[i], 100000, &out);
        assert_non_null(strstr(out.bytes, "nested too deeply"));
        buffer_truncate(&out, 0);
        nests(openings[i], VALUE_DEPTH_MAX, &out);
        assert_null(strstr(out.bytes, "nested too deeply"));
    }
}

/* Each line is ten times the one before it: "a0: &a0 [lol]", "a1: &a1 [*a0, *a0, ...]", ... */
static void append_laughs(struct buffer *text, unsigned levels, const char *open, const char *close)
{
    buffer_text(text, "a0: &a0 {k: lol}\n");
    for (unsigned level = 1; level < levels; level++) {
        buffer_format(text, "a%u: &a%u %s", level, level, open);
        for (unsigned i = 0; i < 10; i++)
            buffer_format(text, i == 0 ? "%s*a%u" : ", %s*a%u", open[0] == '{' ? "x: " : "",
                          level - 1);
        buffer_format(text, "%s\n", close);
    }
}

static void a_billion_laughs_end_at_a_limit_at_once(void **state)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    CLEANUP(buffer_clear) struct buffer out = {0};
    append_laughs(&text, 40, "[", "]");
    clock_t before = clock();
    read_as(text.bytes, text.size_bytes, &out);
    assert_non_null(strstr(out.bytes, "LIMIT"));
    assert_true(clock() - before < CLOCKS_PER_SEC);
}

/* Aliases can nest what no line of the text does. */
static void depth_by_aliases_ends_at_a_limit(void **state)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    CLEANUP(buffer_clear) struct buffer out = {0};
    buffer_text(&text, "- &a0 [1]\n");
    for (unsigned i = 1; i <= VALUE_DEPTH_MAX; i++)
        buffer_format(&text, "- &a%u [*a%u]\n", i, i - 1);
    read_as(text.bytes, text.size_bytes, &out);
    assert_non_null(strstr(out.bytes, "LIMIT"));
}

/* Two equal values that are each very large, under one key: they are not compared. */
static void a_key_that_is_merged_over_costs_nothing_of_its_values(void **state)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = (size_t)64 << 20};
    struct lethe_error err = {0};
    const struct value *value = NULL;
    append_laughs(&text, 7, "[", "]");
    buffer_text(&text, "same: &same [*a5, *a5, *a5, *a5, *a5, *a5, *a5, *a5, *a5, *a5]\nlast:\n");
    for (unsigned i = 0; i < 20; i++)
        buffer_text(&text, "- {k: *same, <<: {k: *a6}}\n");
    const struct yaml_source source = {text.bytes, text.size_bytes, NULL};
    clock_t before = clock();
    assert_ok(value_parse_yaml(&arena, &source, &value, &err), &err);
    assert_true(clock() - before < CLOCKS_PER_SEC / 4);
}

static void too_much_to_merge_and_too_many_anchors_are_limits(void **state)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    CLEANUP(buffer_clear) struct buffer out = {0};
    buffer_text(&text, "- &a {");
    for (unsigned i = 0; i < 1024; i++)
        buffer_format(&text, "k%u: 1, ", i);
    buffer_text(&text, "}\n");
    for (unsigned i = 0; i < 257; i++)
        buffer_text(&text, "- <<: *a\n");
    read_as(text.bytes, text.size_bytes, &out);
    assert_string_equal(out.bytes, "LIMIT: line 258, column 7: too much is merged");
    buffer_truncate(&text, 0);
    buffer_truncate(&out, 0);
    for (unsigned i = 0; i <= YAML_ANCHORS_MAX; i++)
        buffer_format(&text, "- &a%u 1\n", i);
    read_as(text.bytes, text.size_bytes, &out);
    assert_string_equal(out.bytes, "LIMIT: line 4097, column 3: there are too many anchors");
}

static void a_text_over_the_limit_is_not_looked_at(void **state)
{
    CLEANUP(arena_clear) struct arena arena = {0};
    struct lethe_error err = {0};
    const struct value *value = NULL;
    const struct yaml_source source = {"", YAML_SIZE_MAX_BYTES + 1, NULL};
    assert_result(LETHE_LIMIT, value_parse_yaml(&arena, &source, &value, &err));
    assert_string_equal(err.text, "more than 64 MiB of YAML");
}

/* ---- what is read ---- */

static const struct example scalars[] = {
    {"", "null"},
    {"# nothing", "null"},
    {"[~, null, Null, NULL, , nUll]", "MALFORMED: line 1, column 23: did not find expected "
                                      "node content"},
    {"[~, null, Null, NULL, nUll]", "[null, null, null, null, \"nUll\"]"},
    {"a:", "{\"a\": null}"},
    {"[true, True, TRUE, yes, Yes, YES, on, On, ON, y, Y, tRue]",
     "[true, true, true, true, true, true, true, true, true, true, true, \"tRue\"]"},
    {"[false, False, FALSE, no, No, NO, off, Off, OFF, n, N, fAlse]",
     "[false, false, false, false, false, false, false, false, false, false, false, \"fAlse\"]"},
    {"['true', \"null\", '1', \"~\", '']", "[\"true\", \"null\", \"1\", \"~\", \"\"]"},
    {"- |\n  1\n- >-\n  true\n", "[\"1\\n\", \"true\"]"},
    {"[0, 1, -1, +1, 1_000, 12__0_, -0, -_3]", "[0, 1, -1, 1, 1000, 120, 0, -3]"},
    {"[0x1F, 0X1f, -0x10, +0x_1_0, 0b101, -0B11, 0o17, 017, -017, 00, 0_7, 0x0]",
     "[31, 31, -16, 16, 5, -3, 15, 15, -15, 0, 7, 0]"},
    {"[0x, 0xg, 0b2, 0b, 0o8, +, -, _1, 1__x, 0x1.8]",
     "[\"0x\", \"0xg\", \"0b2\", \"0b\", \"0o8\", \"+\", \"-\", \"_1\", \"1__x\", \"0x1.8\"]"},
    {"[08, 09.5, 1777777777777777777777, 0777777777777777777777, 02777777777777777777777]",
     "[8, 9.5, 1777777777777777777777, 9223372036854775807, 2777777777777777777777]"},
    {"[9223372036854775807, -9223372036854775808, 18446744073709551615, 18446744073709551616]",
     "[9223372036854775807, -9223372036854775808, 18446744073709551615, 18446744073709551616]"},
    {"[0x7fffffffffffffff, 0xffffffffffffffff, -0x8000000000000000]",
     "[9223372036854775807, 18446744073709551615, -9223372036854775808]"},
    {"[0x10000000000000000, -0x8000000000000001, +0xffffffffffffffff]",
     "[\"0x10000000000000000\", \"-0x8000000000000001\", \"+0xffffffffffffffff\"]"},
    {"[1.5, -1.5, +1.5, .5, -.5, +.5, 5., 5.e3, 5._, 00.5, 1e3, 1E+3, 1e-2, 1_0.2_5, .5e1]",
     "[1.5, -1.5, 1.5, 0.5, -0.5, 0.5, 5, 5000, 5, 0.5, 1000, 1000, 0.01, 10.25, 5]"},
    {"[., .., ..., .e1, .5_0, 1e, 1e+, 1.2.3, 1.5x, e5, 1 2, 0.-1]",
     "[\".\", \"..\", \"...\", \".e1\", \".5_0\", \"1e\", \"1e+\", \"1.2.3\", \"1.5x\", \"e5\", "
     "\"1 2\", \"0.-1\"]"},
    {"[1e22, 1e309, -1e400, 12e4567, 1e99999]",
     "[10000000000000000000000, \"1e309\", \"-1e400\", \"12e4567\", \"1e99999\"]"},
    {"[2001-01-01, 2001-12-14t21:59:43.10-05:00, 12:30:45]",
     "[\"2001-01-01\", \"2001-12-14t21:59:43.10-05:00\", \"12:30:45\"]"},
    {"[.inF, +.nan, -.NaN, .infinity]", "[\".inF\", \"+.nan\", \"-.NaN\", \".infinity\"]"},
    {"\"a\\x41\\u00e9\\U0001F600\\0\\/\"", "\"aAé😀\\u0000/\""},
    {"\xef\xbb\xbf"
     "a",
     "\"a\""},
};

static void scalars_are_what_go_yaml_makes_of_them(void **state)
{
    CHECK_EXAMPLES(scalars);
}

static const struct example tagged[] = {
    {"[!!str 1, !!str true, !!str ~]", "[\"1\", \"true\", \"~\"]"},
    {"[!!int \"3\", !!int 0x10, !!float 1, !!float \"1.5\"]", "[3, 16, 1, 1.5]"},
    {"[!!bool \"yes\", !!null \"\", !!null ~]", "[true, null, null]"},
    {"[! \"12\", !ref 1, !<x> 2]", "[\"12\", \"1\", \"2\"]"},
    {"!!set {a, b}", "{\"a\": null, \"b\": null}"},
    {"!!omap [a: 1, b: 2]", "[{\"a\": 1}, {\"b\": 2}]"},
};

static void tags_are_followed_as_go_yaml_does(void **state)
{
    CHECK_EXAMPLES(tagged);
}

static const struct example collections[] = {
    {"[]", "[]"},
    {"{}", "{}"},
    {"{\"json\": \"ok\", \"a\": [1, {\"b\":null}]}",
     "{\"a\": [1, {\"b\": null}], \"json\": \"ok\"}"},
    {"b: 1\na:\n- x\n- z: y z\n", "{\"a\": [\"x\", {\"z\": \"y z\"}], \"b\": 1}"},
    {"1: a\n1.5: b\nyes: c\n-7: d\n0x10: e\n",
     "{\"-7\": \"d\", \"1\": \"a\", \"1.5\": \"b\", \"16\": \"e\", \"true\": \"c\"}"},
    {"? a\n? b\n", "{\"a\": null, \"b\": null}"},
    {"x: &k key\n*k : 1", "{\"key\": 1, \"x\": \"key\"}"},
    {"--- 1\n--- [\n", "1"},
    {"a\n...\n", "\"a\""},
    {"%YAML 1.2\n--- a\n", "\"a\""},
};

static void collections_are_read_and_of_documents_the_first(void **state)
{
    CHECK_EXAMPLES(collections);
}

static const struct example aliases[] = {
    {"[&a 1, *a, &a 2, *a]", "[1, 1, 2, 2]"},
    {"[&a [&a 1, *a], *a]", "[[1, 1], 1]"},
    {"{a: &x {b: &y [1]}, c: *x, d: *y}", "{\"a\": {\"b\": [1]}, \"c\": {\"b\": [1]}, \"d\": [1]}"},
    {"- &a {x: 1, z: 2}\n- <<: *a\n  z: 3\n", "[{\"x\": 1, \"z\": 2}, {\"x\": 1, \"z\": 3}]"},
    {"- &a {x: 1, z: 2}\n- z: 3\n  <<: *a\n", "[{\"x\": 1, \"z\": 2}, {\"x\": 1, \"z\": 2}]"},
    {"- &a {x: 1}\n- &b {x: 2, z: 3}\n- <<: [*a, *b]\n  w: 4\n",
     "[{\"x\": 1}, {\"x\": 2, \"z\": 3}, {\"w\": 4, \"x\": 1, \"z\": 3}]"},
    {"- &a {x: 1}\n- &b {<<: *a, z: 2}\n- {<<: *b, <<: {w: 0}}\n",
     "[{\"x\": 1}, {\"x\": 1, \"z\": 2}, {\"w\": 0, \"x\": 1, \"z\": 2}]"},
    {"<<: {a: 1}", "{\"a\": 1}"},
    {"<<: []", "{}"},
    {"\"<<\": 1\n", "{\"<<\": 1}"},
    {"[<<]", "[\"<<\"]"},
};

static void aliases_stand_for_values_and_mappings_are_merged(void **state)
{
    CHECK_EXAMPLES(aliases);
}

/* ---- the functions of policies ---- */

static const struct builtin_example refused[] = {
    {"yaml.unmarshal", "[1]",
     "eval_type_error: yaml.unmarshal: operand 1 must be string but got number"},
    {"yaml.unmarshal", "[\"{\"]",
     "eval_builtin_error: yaml.unmarshal: line 2, column 1: did not find expected node content"},
    {"yaml.unmarshal", "[\"a: .nan\"]",
     "eval_builtin_error: yaml.unmarshal: line 1, column 4: JSON has no number that is not finite"},
    {"yaml.is_valid", "[\"{\"]", "false"},
    {"yaml.is_valid", "[\"a: 1\\na: 2\"]", "false"},
    {"yaml.is_valid", "[\"[.inf]\"]", "false"},
    {"yaml.is_valid", "[1]", "false"},
    {"yaml.is_valid", "[{}]", "false"},
    {"yaml.is_valid", "[\"\"]", "true"},
    {"yaml.is_valid", "[\"a: [1, 2]\"]", "true"},
    {"yaml.unmarshal", "[\"a: [1, 2]\"]", "{\"a\": [1, 2]}"},
};

static void policies_ask_whether_a_text_is_yaml(void **state)
{
    BUILTIN_CHECK(&caller, refused);
}

static const struct builtin_example marshalled[] = {
    {"yaml.marshal", "[null]", "\"null\\n\""},
    {"yaml.marshal", "[[]]", "\"[]\\n\""},
    {"yaml.marshal", "[{}]", "\"{}\\n\""},
    {"yaml.marshal", "[\"a b\"]", "\"a b\\n\""},
    {"yaml.marshal", "[{\"b\": [1, {\"c\": true, \"d\": [[]]}], \"a\": {\"x\": {}}}]",
     "\"a:\\n  x: {}\\nb:\\n- 1\\n- c: true\\n  d:\\n  - []\\n\""},
    {"yaml.marshal", "[[[1, 2], [\"x\"]]]", "\"- - 1\\n  - 2\\n- - x\\n\""},
    {"yaml.marshal", "[{\"foo\": {\"$set\": [3, 1, 2]}}]", "\"foo:\\n- 1\\n- 2\\n- 3\\n\""},
    {"yaml.marshal", "[{\"$object\": [[1, \"n\"], [[\"a\"], \"l\"]]}]",
     "\"\\\"1\\\": \\\"n\\\"\\n'[\\\"a\\\"]': l\\n\""},
    {"yaml.marshal", "[[1, -2.5, 1e100, 0.000001]]",
     "\"- 1\\n- -2.5\\n- "
     "1000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
     "0000000000\\n- 0.000001\\n\""},
};

static void values_are_printed_in_blocks(void **state)
{
    BUILTIN_CHECK(&caller, marshalled);
}

static const struct builtin_example quoted[] = {
    {"yaml.marshal", "[[\"\", \"~\", \"null\", \"yes\", \"n\", \"Off\", \"true\"]]",
     "\"- \\\"\\\"\\n- \\\"~\\\"\\n- \\\"null\\\"\\n- \\\"yes\\\"\\n- \\\"n\\\"\\n- "
     "\\\"Off\\\"\\n- "
     "\\\"true\\\"\\n\""},
    {"yaml.marshal", "[[\"1\", \"1.5\", \"0x1f\", \"1e3\", \".inf\", \"017\", \"1_0\", \".5\"]]",
     "\"- \\\"1\\\"\\n- \\\"1.5\\\"\\n- \\\"0x1f\\\"\\n- \\\"1e3\\\"\\n- \\\".inf\\\"\\n- "
     "\\\"017\\\"\\n- \\\"1_0\\\"\\n- \\\".5\\\"\\n\""},
    {"yaml.marshal", "[[\"2001-01-01\", \"2001-1-2T03:04:05Z\", \"12:30:45\", \"<<\"]]",
     "\"- \\\"2001-01-01\\\"\\n- \\\"2001-1-2T03:04:05Z\\\"\\n- \\\"12:30:45\\\"\\n- "
     "\\\"<<\\\"\\n\""},
    {"yaml.marshal", "[[\"a: b\", \"# c\", \"- d\", \" e\", \"f \", \"{\", \"*a\", \"it's\"]]",
     "\"- 'a: b'\\n- '# c'\\n- '- d'\\n- ' e'\\n- 'f '\\n- '{'\\n- '*a'\\n- it's\\n\""},
    {"yaml.marshal", "[[\"2001-01\", \"1.2.3\", \"a1\", \"é\", \"x\\ty\", \"\\u0001\"]]",
     "\"- 2001-01\\n- 1.2.3\\n- a1\\n- é\\n- \\\"x\\\\ty\\\"\\n- \\\"\\\\x01\\\"\\n\""},
    {"yaml.marshal", "[{\"a\": \"x\\ny\\n\", \"b\": \"x\\ny\", \"c\": \" x\\n\\n\"}]",
     "\"a: |\\n  x\\n  y\\nb: |-\\n  x\\n  y\\nc: |2+\\n   x\\n\\n\""},
    {"yaml.marshal", "[{\"a\\nb\": 1, \"true\": 2, \"1\": 3}]",
     "\"\\\"1\\\": 3\\n? |-\\n  a\\n  b\\n: 1\\n\\\"true\\\": 2\\n\""},
};

static void texts_that_would_be_something_else_are_quoted(void **state)
{
    BUILTIN_CHECK(&caller, quoted);
}

static void policies_end_at_their_limits(void **state)
{
    CLEANUP(buffer_clear) struct buffer laughs = {0};
    CLEANUP(buffer_clear) struct buffer operands = {0};
    append_laughs(&laughs, 40, "[", "]");
    const struct value text = {
        .kind = VALUE_STRING, .count = (uint32_t)laughs.size_bytes, .string = laughs.bytes};
    buffer_text(&operands, "[");
    value_print_json(&text, &operands);
    buffer_text(&operands, "]");
    const struct builtin_example bombs[] = {
        {"yaml.unmarshal", operands.bytes, "limit"},
        {"yaml.is_valid", operands.bytes, "limit"},
    };
    BUILTIN_CHECK(&caller, bombs);
    static const struct builtin_caller tired = {.steps = 3};
    static const struct builtin_example longer[] = {
        {"yaml.unmarshal", "[\"[1, 2, 3, 4, 5, 6, 7, 8, 9]\"]", "limit"},
        {"yaml.is_valid", "[\"[1, 2, 3, 4, 5, 6, 7, 8, 9]\"]", "limit"},
        {"yaml.marshal", "[[1, 2, 3, 4, 5, 6, 7, 8, 9]]", "limit"},
    };
    BUILTIN_CHECK(&tired, longer);
}

/* Two million times the same ten texts, of which the arena has room for neither JSON nor YAML. */
static void what_is_printed_must_fit(void **state)
{
    CLEANUP(arena_clear) struct arena arena = {0};
    struct value_list list = {0};
    CLEANUP(buffer_clear) struct buffer out = {0};
    for (unsigned i = 0; i < 100; i++)
        value_list_append(&arena, &list, value_text(&arena, "this is printed"));
    const struct value *value = value_array(&arena, &list);
    assert_result(LETHE_LIMIT, value_print_yaml(value, 1000, NULL, &out));
    buffer_clear(&out);
    assert_result(LETHE_OK, value_print_yaml(value, 100 * 18, NULL, &out));
    assert_int_equal(out.size_bytes, 100 * 18);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_yaml_is_refused_with_its_place),
        cmocka_unit_test(what_json_cannot_say_is_refused),
        cmocka_unit_test(aliases_and_merges_of_what_they_cannot_be_of_are_refused),
        cmocka_unit_test(depth_ends_at_a_limit),
        cmocka_unit_test(a_billion_laughs_end_at_a_limit_at_once),
        cmocka_unit_test(depth_by_aliases_ends_at_a_limit),
        cmocka_unit_test(a_key_that_is_merged_over_costs_nothing_of_its_values),
        cmocka_unit_test(too_much_to_merge_and_too_many_anchors_are_limits),
        cmocka_unit_test(a_text_over_the_limit_is_not_looked_at),
        cmocka_unit_test(scalars_are_what_go_yaml_makes_of_them),
        cmocka_unit_test(tags_are_followed_as_go_yaml_does),
        cmocka_unit_test(collections_are_read_and_of_documents_the_first),
        cmocka_unit_test(aliases_stand_for_values_and_mappings_are_merged),
        cmocka_unit_test(policies_ask_whether_a_text_is_yaml),
        cmocka_unit_test(values_are_printed_in_blocks),
        cmocka_unit_test(texts_that_would_be_something_else_are_quoted),
        cmocka_unit_test(policies_end_at_their_limits),
        cmocka_unit_test(what_is_printed_must_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
