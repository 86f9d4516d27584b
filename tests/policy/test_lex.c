#include "check.h"

#include "policy/lex.h"

#include "base/buffer.h"

static const char *separator(const struct token *token)
{
    if (token->newline_before)
        return "/";
    return token->space_before ? "+" : ",";
}

/* The tokens of a text, in one line: kinds and what they cover. In front of each is a comma, or a +
 * for white space, or a / for a newline among it; a ~ is behind a word that opens a reference. */
static void print_tokens(const char *text, unsigned words, struct buffer *out)
{
    const struct source source = {"t", text, strlen(text)};
    struct lexer lexer = lex_begin(&source, words);
    for (;;) {
        struct token token = lex_next(&lexer);
        if (token.kind == TOKEN_END)
            return;
        buffer_text(out, separator(&token));
        if (token.kind == TOKEN_ILLEGAL)
            buffer_format(out, "<%s>", lexer.fault);
        else if (token_kind_is_word(token.kind))
            buffer_format(out, "<%s>", token_kind_text(token.kind));
        else if (token.kind > TOKEN_CONTAINS)
            buffer_format(out, "<%s %.*s>", token_kind_text(token.kind), (int)token.length,
                          text + token.offset);
        else
            buffer_text(out, token_kind_text(token.kind));
        if (token.opens_ref && (token_kind_is_word(token.kind) || token.kind == TOKEN_IDENTIFIER))
            buffer_text(out, "~");
    }
}

static void check(const char *text, unsigned words, const char *expected)
{
    CLEANUP(buffer_clear) struct buffer found = {0};
    print_tokens(text, words, &found);
    assert_string_equal(found.bytes == NULL ? "" : found.bytes, expected);
}

static void what_is_no_token_says_why(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"\"a", ",<non-terminated string>"},
        {"\"a\\\"", ",<non-terminated string>"},
        {"\"\\", ",<non-terminated string>"},
        {"`a\n", ",<non-terminated string>"},
        {"01", ",<expected number without leading zero>"},
        {"00.5", ",<expected number without leading zero>"},
        {"1.", ",<expected fraction>"},
        {"1.e5", ",<expected fraction>,<identifier e5>"},
        {"1e", ",<expected exponent>"},
        {"1E-", ",<expected exponent>"},
        {"1a2", ",<illegal number format>"},
        {"1_000", ",<illegal number format>"},
        {"@", ",<illegal token>"},
        {"!", ",<illegal ! character (hint: negation is written `not`)>"},
        {"\\", ",<illegal token>"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check(rows[i].text, WORDS_ALL, rows[i].expected);
}

static void the_longest_symbol_is_taken(void **state)
{
    check(":=:===!=<=<>=>", 0, ",:=,:=,==,!=,<=,<,>=,>");
    check(":;===", 0, ",:,;,==,=");
    check("+-*/%&|.;[]{}()", 0, ",+,-,*,/,%,&,|,.,;,[,],{,},(,)");
    check("$\"$`", 0, ",$\",$`");
    check("a:=b", 0, ",<identifier a>,:=,<identifier b>");
}

static void numbers_end_where_they_end(void **state)
{
    check("0 10 1.5 1e5 1.5E+10 0.0e-1", 0,
          ",<number 0>+<number 10>+<number 1.5>+<number 1e5>+<number 1.5E+10>+<number 0.0e-1>");
    check("-1-2", 0, ",-,<number 1>,-,<number 2>");
    check(".5", 0, ",<number .5>");
    check("1]", 0, ",<number 1>,]");
}

static void later_words_are_known_only_when_they_were_imported(void **state)
{
    check("in if every contains", 0,
          ",<identifier in>+<identifier if>+<identifier every>+<identifier contains>");
    check("in if every contains", WORDS_ALL, ",<in>+<if>+<every>+<contains>");
    check("in if", WORD_BIT(IF), ",<identifier in>+<if>");
    check("not with as default else import package some null true false", 0,
          ",<not>+<with>+<as>+<default>+<else>+<import>+<package>+<some>+<null>+<true>+<false>");
    check("nots Not no", WORDS_ALL, ",<identifier nots>+<identifier Not>+<identifier no>");
}

static void white_space_and_comments_are_remembered(void **state)
{
    check("a  b\tc\rd", 0, ",<identifier a>+<identifier b>+<identifier c>+<identifier d>");
    check("a\n  b", 0, ",<identifier a>/<identifier b>");
    check("a # \"x\nb", 0, ",<identifier a>/<identifier b>");
    check("# only", 0, "");
    check("a#", 0, ",<identifier a>");
    check("\xef\xbb\xbf"
          "a",
          0, ",<identifier a>");
}

static void a_word_before_a_point_or_bracket_opens_a_reference(void **state)
{
    check("not.a", 0, ",<not>~,.,<identifier a>");
    check("not[", 0, ",<not>~,[");
    check("not .a", 0, ",<not>+.,<identifier a>");
    check("a.b", 0, ",<identifier a>~,.,<identifier b>");
}

static void strings_are_taken_with_their_quotes(void **state)
{
    check("\"a\\\"b\\\\\"c", 0, ",<string \"a\\\"b\\\\\">,<identifier c>");
    check("`a\n\"\\`b", 0, ",<string `a\n\"\\`>,<identifier b>");
    check("\"\"``", 0, ",<string \"\">,<string ``>");
}

static void a_template_is_read_in_pieces(void **state)
{
    static const char text[] = "a\\{b\\\"{x}c\"d";
    const struct source source = {"t", text, strlen(text)};
    struct lexer lexer = lex_begin(&source, 0);
    struct token token = lex_template_text(&lexer, false);
    assert_int_equal(token.kind, TOKEN_TEMPLATE_PART);
    assert_int_equal(token.length, 6);
    assert_int_equal(lex_next(&lexer).kind, TOKEN_IDENTIFIER);
    assert_int_equal(lex_next(&lexer).kind, TOKEN_BRACE_CLOSE);
    token = lex_template_text(&lexer, false);
    assert_int_equal(token.kind, TOKEN_TEMPLATE_END);
    assert_int_equal(token.length, 1);
    assert_int_equal(lex_next(&lexer).kind, TOKEN_IDENTIFIER);
    assert_int_equal(lex_next(&lexer).kind, TOKEN_END);
}

static void check_template(const char *text, bool is_raw, enum token_kind kind)
{
    const struct source source = {"t", text, strlen(text)};
    struct lexer lexer = lex_begin(&source, 0);
    assert_int_equal(lex_template_text(&lexer, is_raw).kind, kind);
}

static void a_template_ends_on_its_line_unless_it_is_raw(void **state)
{
    check_template("a\nb\"", false, TOKEN_ILLEGAL);
    check_template("a", false, TOKEN_ILLEGAL);
    check_template("a\\", false, TOKEN_ILLEGAL);
    check_template("a", true, TOKEN_ILLEGAL);
    check_template("a\nb`", true, TOKEN_TEMPLATE_END);
    check_template("a\"{", true, TOKEN_TEMPLATE_PART);
    check_template("\\{`", true, TOKEN_TEMPLATE_END);
    check_template("\\\\{", false, TOKEN_TEMPLATE_PART);
}

static void escapes_mean_what_json_says(void **state)
{
    static const struct {
        const char *text;
        enum lex_quoting quoting;
        const char *expected; /* NULL: no escape */
    } rows[] = {
        {"\\x", LEX_QUOTED, NULL},
        {"a\\", LEX_QUOTED, NULL},
        {"\\u12", LEX_QUOTED, NULL},
        {"\\u12g4", LEX_QUOTED, NULL},
        {"\\{", LEX_QUOTED, NULL},
        {"\\U0041", LEX_QUOTED, NULL},
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", LEX_QUOTED, "\"\\/\b\f\n\r\t"},
        {"\\u0041\\u00e9\\u20AC", LEX_QUOTED, "A\xc3\xa9\xe2\x82\xac"},
        {"\\ud83d\\ude00", LEX_QUOTED, "\xf0\x9f\x98\x80"},
        {"\\ud83d", LEX_QUOTED, "\xef\xbf\xbd"},
        {"\\ude00\\ud83d", LEX_QUOTED, "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\\ud83d\\u0041", LEX_QUOTED,
         "\xef\xbf\xbd"
         "A"},
        {"\\{\\n", LEX_TEMPLATE, "{\n"},
        {"\\{\\n\\", LEX_RAW_TEMPLATE, "{\\n\\"},
        {"", LEX_QUOTED, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[64];
        size_t fault = SIZE_MAX, length = strlen(rows[i].text);
        size_t written = lex_unescape(rows[i].text, length, rows[i].quoting, out, &fault);
        if (rows[i].expected == NULL) {
            assert_true(written == SIZE_MAX && fault < length);
            continue;
        }
        assert_int_equal(written, strlen(rows[i].expected));
        assert_true(written <= length);
        assert_memory_equal(out, rows[i].expected, written);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_token_says_why),
        cmocka_unit_test(the_longest_symbol_is_taken),
        cmocka_unit_test(numbers_end_where_they_end),
        cmocka_unit_test(later_words_are_known_only_when_they_were_imported),
        cmocka_unit_test(white_space_and_comments_are_remembered),
        cmocka_unit_test(a_word_before_a_point_or_bracket_opens_a_reference),
        cmocka_unit_test(strings_are_taken_with_their_quotes),
        cmocka_unit_test(a_template_is_read_in_pieces),
        cmocka_unit_test(a_template_ends_on_its_line_unless_it_is_raw),
        cmocka_unit_test(escapes_mean_what_json_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
