#include "check.h"

#include "builtin_call.h"

static const struct builtin_caller caller = {.v0 = true};

/* Words are Go's (net/url). */
static const struct builtin_example refused[] = {

    {"urlquery.encode", "[1]",
     "eval_type_error: urlquery.encode: operand 1 must be string but got number"},
    {"urlquery.decode", "[\"a%zz\"]",
     "eval_builtin_error: urlquery.decode: invalid URL escape \"%zz\""},
    {"urlquery.decode", "[\"a%4\"]",
     "eval_builtin_error: urlquery.decode: invalid URL escape \"%4\""},
    {"urlquery.decode", "[\"%\"]", "eval_builtin_error: urlquery.decode: invalid URL escape \"%\""},
    {"urlquery.decode_object", "[\"a=1;b=2\"]",
     "eval_builtin_error: urlquery.decode_object: invalid semicolon separator in query"},
    {"urlquery.decode_object", "[\"a=1&%g0=2\"]",
     "eval_builtin_error: urlquery.decode_object: invalid URL escape \"%g0\""},
    {"urlquery.encode_object", "[[]]",
     "eval_type_error: urlquery.encode_object: operand 1 must be object but got array"},
    {"urlquery.encode_object", "[{\"a\": 1}]",
     "eval_type_error: urlquery.encode_object: operand 1 values must be string, array[string], or "
     "set[string]"},
    {"urlquery.encode_object", "[{\"a\": [\"b\", 1]}]",
     "eval_type_error: urlquery.encode_object: operand 1 values must be string, array[string], or "
     "set[string]"},
};

static void what_is_no_query_is_refused(void **state)
{
    BUILTIN_CHECK(&caller, refused);
}

/* As Python's urllib.parse.quote_plus. */
static const struct builtin_example both_ways[] = {
    {"urlquery.encode", "[\"\"]", "\"\""},
    {"urlquery.decode", "[\"\"]", "\"\""},
    {"urlquery.encode", "[\"a=b+1\"]", "\"a%3Db%2B1\""},
    {"urlquery.decode", "[\"a%3Db%2B1\"]", "\"a=b+1\""},
    {"urlquery.encode", "[\"a b&c/d?e\"]", "\"a+b%26c%2Fd%3Fe\""},
    {"urlquery.decode", "[\"a+b%26c%2Fd%3Fe\"]", "\"a b&c/d?e\""},
    {"urlquery.encode", "[\"é\"]", "\"%C3%A9\""},
    {"urlquery.decode", "[\"%C3%A9\"]", "\"é\""},
    {"urlquery.encode", "[\"~-_.!*'()\"]", "\"~-_.%21%2A%27%28%29\""},
    {"urlquery.decode", "[\"~-_.%21%2A%27%28%29\"]", "\"~-_.!*'()\""},
    {"urlquery.encode", "[\"%\"]", "\"%25\""},
    {"urlquery.decode", "[\"%25\"]", "\"%\""},
    {"urlquery.encode", "[\"\\t\\n\"]", "\"%09%0A\""},
    {"urlquery.decode", "[\"%09%0A\"]", "\"\\t\\n\""},
};

static void encoding_agrees_with_an_independent_implementation(void **state)
{
    BUILTIN_CHECK(&caller, both_ways);
}

/* Keys in order, a value for each of an array or a set. */
static const struct builtin_example objects[] = {

    {"urlquery.encode_object", "[{}]", "\"\""},
    {"urlquery.encode_object", "[{\"c\": \"d\", \"a\": \"b\"}]", "\"a=b&c=d\""},
    {"urlquery.encode_object", "[{\"a\": [\"b+1\", \"c+2\"], \"z\": []}]", "\"a=b%2B1&a=c%2B2\""},
    {"urlquery.encode_object", "[{\"a\": {\"$set\": [\"y\", \"x\"]}}]", "\"a=x&a=y\""},
    {"urlquery.encode_object", "[{\"$object\": [[2, \"n\"], [\"10\", \"t\"]]}]", "\"10=t&2=n\""},
    {"urlquery.decode_object", "[\"\"]", "{}"},
    {"urlquery.decode_object", "[\"&&\"]", "{}"},
    {"urlquery.decode_object", "[\"a=2&b=x%20y&a=1&c\"]",
     "{\"a\": [\"2\", \"1\"], \"b\": [\"x y\"], \"c\": [\"\"]}"},
    {"urlquery.decode_object", "[\"=v&a=b=c\"]", "{\"\": [\"v\"], \"a\": [\"b=c\"]}"},
    {"urlquery.decode", "[\"%ff\"]", "\"\xef\xbf\xbd\""},
};

static void objects_are_written_and_read(void **state)
{
    BUILTIN_CHECK(&caller, objects);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_query_is_refused),
        cmocka_unit_test(encoding_agrees_with_an_independent_implementation),
        cmocka_unit_test(objects_are_written_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
