#include "check.h"

#include "builtin_call.h"

static const struct builtin_caller caller = {.v0 = true};

/* Offsets and words are Go's (encoding/base64, encoding/hex). */
static const struct builtin_example refused[] = {

    {"base64.decode", "[1]",
     "eval_type_error: base64.decode: operand 1 must be string but got number"},
    {"base64.decode", "[\"a\"]",
     "eval_builtin_error: base64.decode: illegal base64 data at input byte 0"},
    {"base64.decode", "[\"aGVsbG8\"]",
     "eval_builtin_error: base64.decode: illegal base64 data at input byte 4"},
    {"base64.decode", "[\"aGVsbG8==\"]",
     "eval_builtin_error: base64.decode: illegal base64 data at input byte 8"},
    {"base64.decode", "[\"aGVs!G8=\"]",
     "eval_builtin_error: base64.decode: illegal base64 data at input byte 4"},
    {"base64.decode", "[\"aG=sbG8=\"]",
     "eval_builtin_error: base64.decode: illegal base64 data at input byte 2"},
    {"base64.decode", "[\"a===\"]",
     "eval_builtin_error: base64.decode: illegal base64 data at input byte 1"},
    {"base64.decode", "[\"aG=\"]",
     "eval_builtin_error: base64.decode: illegal base64 data at input byte 3"},
    {"base64.decode", "[\"c3ViamVjdHM_X2Q=\"]",
     "eval_builtin_error: base64.decode: illegal base64 data at input byte 11"},
    {"base64url.decode", "[\"c3ViamVjdHM/X2Q=\"]",
     "eval_builtin_error: base64url.decode: illegal base64 data at input byte 11"},
    {"base64url.decode", "[\"aGVsb\"]",
     "eval_builtin_error: base64url.decode: illegal base64url string: aGVsb"},
    {"base64url.encode", "[null]",
     "eval_type_error: base64url.encode: operand 1 must be string but got null"},
    {"base64.is_valid", "[\"{'not':'base64'}\"]", "false"},
    {"base64.is_valid", "[\"aGVsbG8\"]", "false"},
    {"base64.is_valid", "[7]", "false"},
    {"hex.decode", "[\"fghijkl\"]",
     "eval_builtin_error: hex.decode: encoding/hex: invalid byte: U+0067 'g'"},
    {"hex.decode", "[\"0\\n\"]",
     "eval_builtin_error: hex.decode: encoding/hex: invalid byte: U+000A"},
    {"hex.decode", "[\"aé\"]",
     "eval_builtin_error: hex.decode: encoding/hex: invalid byte: U+00C3 'Ã'"},
    {"hex.decode", "[\"abc\"]",
     "eval_builtin_error: hex.decode: encoding/hex: odd length hex string"},
    {"hex.decode", "[[]]", "eval_type_error: hex.decode: operand 1 must be string but got array"},
};

static void what_is_no_encoding_is_refused_in_the_words_of_go(void **state)
{
    BUILTIN_CHECK(&caller, refused);
}

/* What decoders forgive: line breaks, spare bits, padding that base64url leaves out. */
static const struct builtin_example accepted[] = {

    {"base64.decode", "[\"aGVs\\nbG8=\\r\\n\"]", "\"hello\""},
    {"base64.decode", "[\"aGVsbG8=\\n\"]", "\"hello\""},
    {"base64.decode", "[\"aG\\n=\\n=\"]", "\"h\""},
    {"base64.decode", "[\"YR==\"]", "\"a\""},
    {"base64url.decode", "[\"aGVsbG8\"]", "\"hello\""},
    {"base64url.decode", "[\"aA\"]", "\"h\""},
    {"hex.decode", "[\"4A4b\"]", "\"JK\""},
    {"base64.is_valid", "[\"aGVsbG8=\"]", "true"},
    {"base64.is_valid", "[\"\"]", "true"},
};

static void decoders_forgive_what_those_of_go_forgive(void **state)
{
    BUILTIN_CHECK(&caller, accepted);
}

/* A string is UTF-8: each byte that is not becomes U+FFFD. */
static const struct builtin_example binary[] = {

    {"base64.decode", "[\"/w==\"]", "\"\xef\xbf\xbd\""},
    {"base64.decode", "[\"4oI=\"]", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    {"hex.decode", "[\"61ff62\"]",
     "\"a\xef\xbf\xbd"
     "b\""},
    {"hex.decode", "[\"eda080\"]", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
};

static void bytes_that_are_no_text_are_replaced_one_by_one(void **state)
{
    BUILTIN_CHECK(&caller, binary);
}

/* As Python's base64 and bytes.hex() have it. */
static const struct builtin_example both_ways[] = {
    {"base64.encode", "[\"\"]", "\"\""},
    {"base64.decode", "[\"\"]", "\"\""},
    {"base64url.encode", "[\"\"]", "\"\""},
    {"base64url.decode", "[\"\"]", "\"\""},
    {"base64url.encode_no_pad", "[\"\"]", "\"\""},
    {"base64url.decode", "[\"\"]", "\"\""},
    {"hex.encode", "[\"\"]", "\"\""},
    {"hex.decode", "[\"\"]", "\"\""},
    {"base64.encode", "[\"a\"]", "\"YQ==\""},
    {"base64.decode", "[\"YQ==\"]", "\"a\""},
    {"base64url.encode", "[\"a\"]", "\"YQ==\""},
    {"base64url.decode", "[\"YQ==\"]", "\"a\""},
    {"base64url.encode_no_pad", "[\"a\"]", "\"YQ\""},
    {"base64url.decode", "[\"YQ\"]", "\"a\""},
    {"hex.encode", "[\"a\"]", "\"61\""},
    {"hex.decode", "[\"61\"]", "\"a\""},
    {"base64.encode", "[\"ab\"]", "\"YWI=\""},
    {"base64.decode", "[\"YWI=\"]", "\"ab\""},
    {"base64url.encode", "[\"ab\"]", "\"YWI=\""},
    {"base64url.decode", "[\"YWI=\"]", "\"ab\""},
    {"base64url.encode_no_pad", "[\"ab\"]", "\"YWI\""},
    {"base64url.decode", "[\"YWI\"]", "\"ab\""},
    {"hex.encode", "[\"ab\"]", "\"6162\""},
    {"hex.decode", "[\"6162\"]", "\"ab\""},
    {"base64.encode", "[\"abc\"]", "\"YWJj\""},
    {"base64.decode", "[\"YWJj\"]", "\"abc\""},
    {"base64url.encode", "[\"abc\"]", "\"YWJj\""},
    {"base64url.decode", "[\"YWJj\"]", "\"abc\""},
    {"base64url.encode_no_pad", "[\"abc\"]", "\"YWJj\""},
    {"base64url.decode", "[\"YWJj\"]", "\"abc\""},
    {"hex.encode", "[\"abc\"]", "\"616263\""},
    {"hex.decode", "[\"616263\"]", "\"abc\""},
    {"base64.encode", "[\"hello\"]", "\"aGVsbG8=\""},
    {"base64.decode", "[\"aGVsbG8=\"]", "\"hello\""},
    {"base64url.encode", "[\"hello\"]", "\"aGVsbG8=\""},
    {"base64url.decode", "[\"aGVsbG8=\"]", "\"hello\""},
    {"base64url.encode_no_pad", "[\"hello\"]", "\"aGVsbG8\""},
    {"base64url.decode", "[\"aGVsbG8\"]", "\"hello\""},
    {"hex.encode", "[\"hello\"]", "\"68656c6c6f\""},
    {"hex.decode", "[\"68656c6c6f\"]", "\"hello\""},
    {"base64.encode", "[\"subjects?_d\"]", "\"c3ViamVjdHM/X2Q=\""},
    {"base64.decode", "[\"c3ViamVjdHM/X2Q=\"]", "\"subjects?_d\""},
    {"base64url.encode", "[\"subjects?_d\"]", "\"c3ViamVjdHM_X2Q=\""},
    {"base64url.decode", "[\"c3ViamVjdHM_X2Q=\"]", "\"subjects?_d\""},
    {"base64url.encode_no_pad", "[\"subjects?_d\"]", "\"c3ViamVjdHM_X2Q\""},
    {"base64url.decode", "[\"c3ViamVjdHM_X2Q\"]", "\"subjects?_d\""},
    {"hex.encode", "[\"subjects?_d\"]", "\"7375626a656374733f5f64\""},
    {"hex.decode", "[\"7375626a656374733f5f64\"]", "\"subjects?_d\""},
    {"base64.encode", "[\"~~~>>>\"]", "\"fn5+Pj4+\""},
    {"base64.decode", "[\"fn5+Pj4+\"]", "\"~~~>>>\""},
    {"base64url.encode", "[\"~~~>>>\"]", "\"fn5-Pj4-\""},
    {"base64url.decode", "[\"fn5-Pj4-\"]", "\"~~~>>>\""},
    {"base64url.encode_no_pad", "[\"~~~>>>\"]", "\"fn5-Pj4-\""},
    {"base64url.decode", "[\"fn5-Pj4-\"]", "\"~~~>>>\""},
    {"hex.encode", "[\"~~~>>>\"]", "\"7e7e7e3e3e3e\""},
    {"hex.decode", "[\"7e7e7e3e3e3e\"]", "\"~~~>>>\""},
    {"base64.encode", "[\"é€\"]", "\"w6nigqw=\""},
    {"base64.decode", "[\"w6nigqw=\"]", "\"é€\""},
    {"base64url.encode", "[\"é€\"]", "\"w6nigqw=\""},
    {"base64url.decode", "[\"w6nigqw=\"]", "\"é€\""},
    {"base64url.encode_no_pad", "[\"é€\"]", "\"w6nigqw\""},
    {"base64url.decode", "[\"w6nigqw\"]", "\"é€\""},
    {"hex.encode", "[\"é€\"]", "\"c3a9e282ac\""},
    {"hex.decode", "[\"c3a9e282ac\"]", "\"é€\""},
    {"base64.encode", "[\"日本語\"]", "\"5pel5pys6Kqe\""},
    {"base64.decode", "[\"5pel5pys6Kqe\"]", "\"日本語\""},
    {"base64url.encode", "[\"日本語\"]", "\"5pel5pys6Kqe\""},
    {"base64url.decode", "[\"5pel5pys6Kqe\"]", "\"日本語\""},
    {"base64url.encode_no_pad", "[\"日本語\"]", "\"5pel5pys6Kqe\""},
    {"base64url.decode", "[\"5pel5pys6Kqe\"]", "\"日本語\""},
    {"hex.encode", "[\"日本語\"]", "\"e697a5e69cace8aa9e\""},
    {"hex.decode", "[\"e697a5e69cace8aa9e\"]", "\"日本語\""},
};

static void encoding_agrees_with_an_independent_implementation(void **state)
{
    BUILTIN_CHECK(&caller, both_ways);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_encoding_is_refused_in_the_words_of_go),
        cmocka_unit_test(decoders_forgive_what_those_of_go_forgive),
        cmocka_unit_test(bytes_that_are_no_text_are_replaced_one_by_one),
        cmocka_unit_test(encoding_agrees_with_an_independent_implementation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
