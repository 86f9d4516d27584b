#include "check.h"

#include <stdlib.h>

#include "policy/parse.h"

#define ARENA_LIMIT_BYTES ((size_t)64 << 20)

/* What is wrong with a text: the first problem in one line, or "nothing". */
struct row {
    const char *text, *expected;
};
enum what { MODULE_V1, MODULE_V0, QUERY, VALUE };

static lethe_result parse(struct arena *arena, const struct source *source, enum what what,
                          struct problems *problems)
{
    const struct parse_options options = {.v0 = what == MODULE_V0};
    struct module *module;
    struct body body;
    const struct value *value;
    unsigned wildcards;
    if (what == QUERY)
        return parse_query(arena, source, &options, &body, &wildcards, problems);
    if (what == VALUE)
        return parse_value(arena, source, &value, problems);
    return parse_module(arena, source, &options, &module, problems);
}

static void first_problem(const char *text, size_t size_bytes, enum what what, struct buffer *out)
{
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = ARENA_LIMIT_BYTES};
    struct problems problems = {.arena = &arena};
    struct lethe_error err = {0};
    const struct source source = {"t", text, size_bytes};
    lethe_result result = parse(&arena, &source, what, &problems);
    assert_int_equal(result == LETHE_OK, problems.first == NULL);
    if (result == LETHE_OK)
        buffer_text(out, "nothing");
    else
        assert_result(LETHE_INVALID, problems_result(&problems, &err));
    buffer_text(out, err.text);
}

static void check(const struct row *rows, size_t count, enum what what)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP(buffer_clear) struct buffer found = {0}, expected = {0};
        first_problem(rows[i].text, strlen(rows[i].text), what, &found);
        const char *text = strchr(rows[i].expected, ' ');
        if (text != NULL)
            buffer_format(&expected, "t:%.*s: rego_parse_error:%s", (int)(text - rows[i].expected),
                          rows[i].expected, text);
        else
            buffer_text(&expected, rows[i].expected);
        if (strcmp(found.bytes, expected.bytes) != 0)
            fail_msg("%s\ngives\n%s\ninstead of\n%s", rows[i].text, found.bytes, expected.bytes);
    }
}

#define OLDER " (hint: this looks like the older syntax: use --v0)"

#define ASSIGNS " (hint: := stands in an expression of its own; a comparison is written ==)"

static void the_newer_syntax_wants_its_words(void **state)
{
    static const struct row rows[] = {
        {"package p\nq { a }", "2:3 `if` keyword is required before rule body" OLDER},
        {"package p\nq := 1 { a }", "2:8 `if` keyword is required before rule body" OLDER},
        {"package p\nf(x) { a }", "2:6 `if` keyword is required before function body" OLDER},
        {"package p\nq contains 1 { a }", "2:14 `if` keyword is required before rule body" OLDER},
        {"package p\nq if { a } else { b }",
         "2:17 `if` keyword is required before rule body" OLDER},
        {"package p\nq[x] { a }", "2:1 `contains` keyword is required for partial set rules" OLDER},
        {"package p\nq[\"a\"]", "2:1 `contains` keyword is required for partial set rules" OLDER},
        {"package p\nq.r", "2:1 `contains` keyword is required for partial set rules" OLDER},
        {"package p\nq.r.s", "2:1 rule must have value assignment and/or body declaration" OLDER},
        {"package p\nq == 1", "2:3 unexpected == token: expected := and the rule's value"},
        {"package p\nq", "2:1 var cannot be used for rule name"},
        {"package p\nq: 1", "2:2 unexpected : token: expected := or a body"},
        {"package p\nq $ 1", "2:3 illegal $ character (hint: a template begins with $\" or $`)"},
        {"package p\na-b := 1", "2:2 unexpected - token: expected := or a body"},
        {"package p\nf()", "2:1 var cannot be used for rule name"},
        {"package p\ncount(x)", "2:1 rule name conflicts with built-in function"},
        {"package p\narray.concat(x, y)", "2:1 rule name conflicts with built-in function"},
        {"package p\nf(x)[y] := 1", "2:5 unexpected [ token: expected rule head name"},
        {"package p\nif := 1", "2:1 unexpected if keyword: expected rule head name"},
        {"package p\nq if", "2:5 unexpected eof token"},
        {"package p\nq := if a", "2:6 unexpected if keyword"},
        {"package p\nq contains", "2:11 unexpected eof token"},
    };
    check(rows, ARRAY_LEN(rows), MODULE_V1);
}

static void the_older_syntax_knows_later_words_by_import_only(void **state)
{
    static const struct row rows[] = {
        {"package p\nq if a", "2:3 unexpected identifier if: expected := or a body (hint: `import "
                              "rego.v1` or `import future.keywords.if`)"},
        {"package p\nq contains 1", "2:3 unexpected identifier contains: expected := or a body "
                                    "(hint: `import rego.v1` or `import "
                                    "future.keywords.contains`)"},
        {"package p\nq { x in y }",
         "2:7 unexpected identifier in: expected \\n or ; or } (hint: `import rego.v1` or "
         "`import future.keywords.in`)"},
        {"package p\nimport rego.v1\nq { a }",
         "3:3 `if` keyword is required before rule body (hint: `import rego.v1` requires it)"},
        {"package p\nq { a }\nimport rego.v1",
         "2:3 `if` keyword is required before rule body (hint: `import rego.v1` requires it)"},
        {"package p\nq { }", "2:5 found empty body"},
        {"package p\nq { a } else = 1 { b } { c }",
         "2:24 unexpected { token: expected else keyword"},
        {"package p\nq[x] { a } else = 1", "2:12 else keyword cannot be used on multi-value rules"},
        {"package p\nq[x] = 1 { a } else = 1",
         "2:16 else keyword cannot be used on rules with variables in head"},
        {"package p\nq { a } else",
         "2:13 unexpected eof token: expected else value term or rule body"},
    };
    check(rows, ARRAY_LEN(rows), MODULE_V0);
}

static void statements_stand_in_their_order(void **state)
{
    static const struct row rows[] = {
        {"", "1:1 empty module"},
        {"# nothing\n\n", "3:1 empty module"},
        {"q := 1", "1:1 package expected"},
        {"import data.x", "1:1 package expected"},
        {"package", "1:8 unexpected eof token: expected path"},
        {"package 1", "1:9 unexpected number token: expected path"},
        {"package a[x]", "1:11 unexpected part of a path: expecting string"},
        {"package a\npackage b", "2:1 unexpected package"},
        {"package a\n1", "2:1 unexpected number token: expected rule head name"},
        {"package a\n}", "2:1 unexpected } token: expected rule head name"},
        {"package a\nimport foo", "2:1 unexpected import path, must begin with one of: {data, "
                                  "future, input, rego}, got: foo"},
        {"package a\nimport data.x as in", "2:18 unexpected in keyword: expected var"},
        {"package a\nimport data.if",
         "2:13 unexpected import path, must not end with a keyword, got: if (hint: import a "
         "different path or use an alias)"},
        {"package a\nimport rego.v2", "2:1 invalid import, must be `rego.v1`"},
        {"package a\nimport rego.v1 as x", "2:1 `rego` imports cannot be aliased"},
        {"package a\nimport future.x", "2:1 invalid import, must be `future.keywords`"},
        {"package a\nimport future.keywords.foo",
         "2:24 unexpected keyword, must be one of [contains every if in not]"},
    };
    check(rows, ARRAY_LEN(rows), MODULE_V1);
}

static void default_rules_are_constant(void **state)
{
    static const struct row rows[] = {
        {"package a\ndefault p", "2:9 illegal default rule (must have a value)"},
        {"package a\ndefault p contains 1", "2:9 illegal default rule (must have a value)"},
        {"package a\ndefault p := x", "2:14 illegal default rule (value cannot contain var)"},
        {"package a\ndefault p := [{\"a\": data.x}]",
         "2:21 illegal default rule (value cannot contain ref)"},
        {"package a\ndefault p := 1 + 1", "2:14 illegal default rule (value cannot contain call)"},
        {"package a\ndefault f(1) := 1", "2:11 illegal default rule (arguments must be variables)"},
        {"package a\ndefault f(x, x) := 1",
         "2:14 illegal default rule (arguments cannot be repeated x)"},
        {"package a\ndefault p := 1 if x", "2:16 unexpected if keyword: expected rule head name"},
        {"package a\nf(x) contains 1",
         "2:6 unexpected contains keyword: the contains keyword can only be used with multi-value "
         "rule definitions (e.g., p contains <VALUE> { ... })"},
    };
    check(rows, ARRAY_LEN(rows), MODULE_V1);
}

static void expressions_that_are_none(void **state)
{
    static const struct row rows[] = {
        {"", "1:1 found empty body"},
        {"a b", "1:3 unexpected identifier b: expected \\n or ; or eof"},
        {"a;", "1:3 unexpected eof token"},
        {"a, b", "1:2 unexpected , token"},
        {"x := 1 := 2", "1:8 unexpected := token: expected \\n or ; or eof" ASSIGNS},
        {"f(x := 1)", "1:5 unexpected := token: expected , or )" ASSIGNS},
        {"x = y = z",
         "1:7 unexpected = token: expected \\n or ; or eof (hint: a comparison is written ==)"},
        {"x :== 1", "1:5 unexpected = token (hint: a comparison is written ==)"},
        {"a && b", "1:4 unexpected & token (hint: expressions that must all hold stand in lines of "
                   "their own)"},
        {"a || b", "1:4 unexpected | token (hint: alternatives are rules of one name)"},
        {"a // b", "1:4 unexpected / token (hint: a comment begins with #)"},
        {"f(x), y)", "1:5 unexpected , token"},
        {"!a", "1:1 illegal ! character (hint: negation is written `not`)"},
        {"'a'", "1:1 illegal ' character (hint: strings stand in double quotes or backquotes)"},
        {"$a", "1:1 illegal $ character (hint: a template begins with $\" or $`)"},
        {"a ? b", "1:3 illegal token"},
        {"not not a", "1:5 unexpected not keyword"},
        {"not some x", "1:5 unexpected some keyword: illegal negation of 'some'"},
        {"not every x in y { x }", "1:5 unexpected every keyword: illegal negation of 'every'"},
        {"some f(x)", "1:6 expected `x in xs` or `x, y in xs` expression"},
        {"some x, 1", "1:9 expected var"},
        {"some", "1:5 unexpected eof token"},
        {"every x { x }", "1:7 expected `x[, y] in xs { ... }` expression"},
        {"every x in y", "1:13 unexpected eof token: missing body"},
        {"every x in y { }", "1:16 found empty body"},
        {"every 1 in y { x }", "1:7 expected value to be a variable"},
        {"every 1, x in y { x }", "1:7 expected key to be a variable"},
        {"a with 1 as 2",
         "1:8 unexpected number token: expected input, data or the name of a function"},
        {"a with f(x) as 2", "1:8 expected with target path"},
        {"a with input", "1:13 unexpected eof token: expected as keyword"},
        {"a with input as", "1:16 unexpected eof token"},
        {"-x", "1:2 unexpected identifier x: expected number"},
    };
    check(rows, ARRAY_LEN(rows), QUERY);
}

static void terms_that_are_none(void **state)
{
    static const struct row rows[] = {
        {"[1, 2", "1:6 unexpected eof token: expected , or ]"},
        {"[1 2]", "1:4 unexpected number token: expected , or ]"},
        {"[1,, 2]", "1:4 unexpected , token"},
        {"[,]", "1:3 unexpected ] token"},
        {"{1: 2, 3}", "1:9 unexpected } token: expected :"},
        {"{1: 2 3: 4}", "1:7 unexpected number token: expected , or }"},
        {"{1, 2: 3}", "1:6 unexpected : token: expected , or }"},
        {"{1:}", "1:4 unexpected } token"},
        {"(1", "1:3 unexpected eof token: non-terminated expression"},
        {"[a | ]", "1:6 found empty body"},
        {"[a | b; c, d]", "1:10 unexpected , token"},
        {"a.", "1:3 unexpected eof token: expected identifier"},
        {"a. b", "1:4 unexpected identifier b: expected a name directly behind the ."},
        {"a[]", "1:3 unexpected ] token"},
        {"a[1", "1:4 unexpected eof token: expected ]"},
        {"f(1", "1:4 unexpected eof token: expected , or )"},
        {"\"a\".b", "1:1 illegal ref (head cannot be string)"},
        {"$\"a\"[0]", "1:1 illegal ref (head cannot be template-string)"},
        {"(a.b).c", "1:2 illegal ref (head cannot be ref)"},
        {"true(x)", "1:1 illegal call (only a name can be called)"},
        {"[1](x)", "1:1 illegal call (only a name can be called)"},
        {"f(x)(y)", "1:5 unexpected ( token: expected \\n or ; or eof"},
    };
    check(rows, ARRAY_LEN(rows), QUERY);
}

static void texts_and_numbers_that_are_none(void **state)
{
    static const struct row rows[] = {
        {"\"abc", "1:1 non-terminated string"},
        {"\"abc\ndef\"", "1:1 non-terminated string"},
        {"\"a\\\"", "1:1 non-terminated string"},
        {"`abc\n", "1:1 non-terminated string"},
        {"\"a\\x\"", "1:3 illegal escape sequence"},
        {"\"\\u12g4\"", "1:2 illegal escape sequence"},
        {"\"\\{\"", "1:2 illegal escape sequence"},
        {"$\"abc", "1:3 non-terminated string"},
        {"$\"a\nb\"", "1:3 non-terminated string"},
        {"$`a{b", "1:6 unexpected eof token: expected } to end template string expression"},
        {"$\"{}\"", "1:4 unexpected } token"},
        {"$\"{a b}\"", "1:6 unexpected identifier b: expected } to end template string expression"},
        {"$\"{not a}\"", "1:4 unexpected negation ('not') in template-string expression"},
        {"$\"{a = 1}\"", "1:4 unexpected unification ('=') in template-string expression"},
        {"$\"{a := 1}\"", "1:4 unexpected assignment (':=') in template-string expression"},
        {"$\"{some x in y}\"", "1:4 unexpected 'some' in template-string expression"},
        {"$\"{every x in y { x }}\"", "1:4 unexpected 'every' in template-string expression"},
        {"$\"\\y\"", "1:3 illegal escape sequence"},
        {"01", "1:1 expected number without leading zero"},
        {"-007", "1:2 expected number without leading zero"},
        {"1.", "1:1 expected fraction"},
        {"1e", "1:1 expected exponent"},
        {"1e+", "1:1 expected exponent"},
        {"0x10", "1:1 illegal number format"},
        {"12ab", "1:1 illegal number format"},
        {"1e5000", "1:1 number too big (at most 4096 digits, and an exponent of at most 4096)"},
        {"a\x01", "1:2 illegal token"},
    };
    check(rows, ARRAY_LEN(rows), QUERY);
}

static void values_are_one_constant(void **state)
{
    static const struct row rows[] = {
        {"x", "1:1 expected a constant"},     {"[1, x]", "1:1 expected a constant"},
        {"1 + 1", "1:1 expected a constant"}, {"1 2", "1:3 unexpected number token: expected eof"},
        {"", "1:1 unexpected eof token"},     {"{1, [2, {\"a\": null}]}", "nothing"},
        {"  -1.5 # one\n", "nothing"},
    };
    check(rows, ARRAY_LEN(rows), VALUE);
}

/* Bytes that are no text are refused before anything reads them. */
static void bytes_that_are_no_text(void **state)
{
    static const struct {
        const char *text;
        size_t size_bytes;
        const char *expected;
    } rows[] = {
        {"a\0b", 3, "t:1:2: rego_parse_error: illegal null character"},
        {"\n\"\xff\"", 4, "t:2:2: rego_parse_error: illegal utf-8 character"},
        {"# \xc3", 3, "t:1:3: rego_parse_error: illegal utf-8 character"},
        {"\"\xed\xa0\x80\"", 5, "t:1:2: rego_parse_error: illegal utf-8 character"},
        {"a\xef\xbb\xbf", 4, "t:1:2: rego_parse_error: illegal byte-order mark"},
        {"\xef\xbb\xbf"
         "a",
         4, "nothing"},
        {"\"\xc3\xa9\"", 4, "nothing"},
        {"a\xc3\xa9", 3, "t:1:2: rego_parse_error: illegal token"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buffer_clear) struct buffer found = {0};
        first_problem(rows[i].text, rows[i].size_bytes, QUERY, &found);
        assert_string_equal(found.bytes, rows[i].expected);
    }
}

static void a_text_over_the_limit_is_refused_unread(void **state)
{
    CLEANUP(buffer_clear) struct buffer found = {0};
    first_problem("x", SOURCE_SIZE_MAX + 1, QUERY, &found);
    assert_string_equal(found.bytes, "t:1:1: rego_parse_error: the text is larger than 64 MiB");
}

static void repeat(struct buffer *out, const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffer_text(out, text);
}

/* `open` n times, the middle, `close` n times. */
static const struct {
    const char *open, *middle, *close;
} nests[] = {
    {"[", "1", "]"},        {"{", "1", "}"},
    {"{1: ", "1", "}"},     {"(", "1", ")"},
    {"f(", "1", ")"},       {"a[", "1", "]"},
    {"[1 | ", "x", "]"},    {"{1 | ", "x", ", x}"},
    {"{1: 1 | ", "x", "}"}, {"[a | ", "x", ", x]"},
    {"", "1", " + 1"},      {"", "1", " | 1"},
    {"", "1", " == 1"},     {"", "1", " in 1"},
    {"(", "1", " * 2)"},    {"every x in y {", "x", "}"},
    {"$\"{", "x", "}\""},
};

static void too_deep_is_a_problem_and_no_crash(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(nests); i++) {
        for (size_t depth = 200; depth <= 200000; depth *= 10) {
            CLEANUP(buffer_clear) struct buffer text = {0}, found = {0};
            repeat(&text, nests[i].open, depth);
            buffer_text(&text, nests[i].middle);
            repeat(&text, nests[i].close, depth);
            first_problem(text.bytes, text.size_bytes, QUERY, &found);
            bool is_nothing = strcmp(found.bytes, "nothing") == 0;
            assert_true(is_nothing || strstr(found.bytes, "nested more than 256 deep") != NULL);
            assert_true(depth <= PARSE_DEPTH_MAX || !is_nothing);
        }
    }
}

/* What is deep enough to matter, but allowed: each level must not double the time. */
static void nesting_takes_linear_time(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(nests); i++) {
        CLEANUP(buffer_clear) struct buffer text = {0}, found = {0};
        repeat(&text, nests[i].open, 100);
        buffer_text(&text, nests[i].middle);
        repeat(&text, nests[i].close, 100);
        first_problem(text.bytes, text.size_bytes, QUERY, &found);
        assert_string_equal(found.bytes, "nothing");
    }
}

static void a_chain_of_else_has_an_end(void **state)
{
    for (size_t count = 200; count <= 300; count += 100) {
        CLEANUP(buffer_clear) struct buffer text = {0}, found = {0};
        buffer_text(&text, "package p\nq if a");
        repeat(&text, " else := 1 if b", count);
        first_problem(text.bytes, text.size_bytes, MODULE_V1, &found);
        if (count < PARSE_DEPTH_MAX)
            assert_string_equal(found.bytes, "nothing");
        else
            assert_non_null(strstr(found.bytes, "more than 256 else in one rule"));
    }
}

/* What only lacks a word is read on, so that all of it is said at once. */
static void problems_are_said_together_and_never_lost(void **state)
{
    static const char text[] = "package p\na { b }\nc[x] { x }\nd { e } else { f }\n";
    static const unsigned counts[] = {5, 10, 10};
    CLEANUP(arena_clear) struct arena arena = {0};
    struct problems problems = {.arena = &arena};
    const struct source source = {"t", text, strlen(text)};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        assert_result(LETHE_INVALID, parse(&arena, &source, MODULE_V1, &problems));
        assert_int_equal(problems.count, counts[i]);
    }
}

/* An arena that fails at any point gives its own result, and no problem of the text. */
static void a_full_arena_is_no_problem_of_the_text(void **state)
{
    static const char text[] =
        "package p\nimport data.x as y\ndefault f(_) := {1}\n"
        "f(x) := [x | some x in y; z with input as $\"a{x}\\n\"] if {\n"
        "every k, v in {\"a\": [1.5, -2]} { k; not v }\n} else := {x: 1 | x}";
    size_t needed = 0;
    for (size_t limit = 1; limit < 100000; limit += 7) {
        CLEANUP(arena_clear) struct arena arena = {.limit_bytes = limit};
        CLEANUP(arena_clear) struct arena notes = {0};
        struct problems problems = {.arena = &notes};
        const struct source source = {"t", text, strlen(text)};
        lethe_result result = parse(&arena, &source, MODULE_V1, &problems);
        assert_null(problems.first);
        if (result == LETHE_OK) {
            needed = limit;
            break;
        }
        assert_result(LETHE_LIMIT, result);
    }
    assert_true(needed > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newer_syntax_wants_its_words),
        cmocka_unit_test(the_older_syntax_knows_later_words_by_import_only),
        cmocka_unit_test(statements_stand_in_their_order),
        cmocka_unit_test(default_rules_are_constant),
        cmocka_unit_test(expressions_that_are_none),
        cmocka_unit_test(terms_that_are_none),
        cmocka_unit_test(texts_and_numbers_that_are_none),
        cmocka_unit_test(values_are_one_constant),
        cmocka_unit_test(bytes_that_are_no_text),
        cmocka_unit_test(a_text_over_the_limit_is_refused_unread),
        cmocka_unit_test(too_deep_is_a_problem_and_no_crash),
        cmocka_unit_test(nesting_takes_linear_time),
        cmocka_unit_test(a_chain_of_else_has_an_end),
        cmocka_unit_test(problems_are_said_together_and_never_lost),
        cmocka_unit_test(a_full_arena_is_no_problem_of_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
