#include "check.h"

#include "builtin_call.h"

static const struct builtin_caller caller = {.v0 = true};

/* Errors of operands. */
static const struct builtin_example refused[] = {
    {"json.unmarshal", "[1]",
     "eval_type_error: json.unmarshal: operand 1 must be string but got number"},
    {"json.is_valid", "[\"plainstring\"]", "false"},
    {"json.is_valid", "[\"{\"]", "false"},
    {"json.is_valid", "[\"\"]", "false"},
    {"json.is_valid", "[1]", "false"},
    {"json.is_valid", "[\"[1,]\"]", "false"},
    {"json.is_valid", "[\"01\"]", "false"},
    {"json.is_valid", "[\"\\\"\\\\ud800\\\"\"]", "false"},
    {"json.marshal_with_options", "[[], 1]",
     "eval_type_error: json.marshal_with_options: operand 2 must be object but got number"},
    {"json.marshal_with_options", "[[], {\"indent\": \"  \", \"x\": true}]",
     "eval_type_error: json.marshal_with_options: operand 2 object contained unknown key \"x\""},
    {"json.marshal_with_options", "[[], {\"pretty\": 1}]",
     "eval_type_error: json.marshal_with_options: operand 2 key \"pretty\" failed cast to bool"},
    {"json.marshal_with_options", "[[], {\"prefix\": 1}]",
     "eval_type_error: json.marshal_with_options: operand 2 key \"prefix\" failed cast to string: "
     "operand 0 must be string but got number"},
    {"json.marshal_with_options", "[[], {\"$object\": [[1, 1]]}]",
     "eval_type_error: json.marshal_with_options: operand 2 failed to stringify key 1 at index 0: "
     "operand 0 must be string but got number"},
    {"json.remove", "[22, [\"a\"]]",
     "eval_type_error: json.remove: operand 1 must be object but got number"},
    {"json.remove", "[{}, \"foo\"]",
     "eval_type_error: json.remove: operand 2 must be one of {set, array} but got string"},
    {"json.filter", "[[], []]",
     "eval_type_error: json.filter: operand 1 must be object but got array"},
    {"json.filter", "[{}, [\"a\", 1]]",
     "eval_type_error: json.filter: operand 2 must be one of {set, array} containing string paths "
     "or array of path segments but got number"},
    {"json.remove", "[{\"a\": 1}, {\"$set\": [\"a\", {\"x\": 1}]}]",
     "eval_type_error: json.remove: operand 2 must be one of {set, array} containing string paths "
     "or array of path segments but got object"},
    {"json.patch", "[{}, {}]",
     "eval_type_error: json.patch: operand 2 must be array but got object"},
};

static void what_is_wrong_with_operands_is_said(void **state)
{
    BUILTIN_CHECK(&caller, refused);
}

/* Go's form: compact, and safe within HTML. */
static const struct builtin_example texts[] = {
    {"json.marshal", "[[{\"foo\": {\"$set\": [3, 1, 2]}}]]", "\"[{\\\"foo\\\":[1,2,3]}]\""},
    {"json.marshal", "[{\"$object\": [[1, \"n\"], [[\"a\"], \"l\"]]}]",
     "\"{\\\"1\\\":\\\"n\\\",\\\"[\\\\\\\"a\\\\\\\"]\\\":\\\"l\\\"}\""},
    {"json.marshal", "[\"<a&b> \"]", "\"\\\"\\\\u003ca\\\\u0026b\\\\u003e\\\\u2028\\\"\""},
    {"json.marshal", "[null]", "\"null\""},
    {"json.unmarshal", "[\"[{\\\"foo\\\":[1,2.5,1e3]}, null]\"]",
     "[{\"foo\": [1, 2.5, 1000]}, null]"},
    {"json.unmarshal", "[\" \\\"a\\\\u00e9\\\" \"]", "\"aé\""},
    {"json.is_valid", "[\"{\\\"json\\\": \\\"ok\\\"}\"]", "true"},
    {"json.is_valid", "[\"0\"]", "true"},
};

static void values_become_json_and_come_back(void **state)
{
    BUILTIN_CHECK(&caller, texts);
}

/* As Go's json.MarshalIndent, with the prefix in front of the first line too. */
static const struct builtin_example laid_out[] = {
    {"json.marshal_with_options", "[[1, 2], {}]", "\"[1,2]\""},
    {"json.marshal_with_options", "[[1, 2], {\"pretty\": true}]", "\"[\\n\\t1,\\n\\t2\\n]\""},
    {"json.marshal_with_options",
     "[[1], {\"pretty\": false, \"prefix\": \"NO!\", \"indent\": \"BAD!\"}]", "\"[1]\""},
    {"json.marshal_with_options", "[[1, \"a,[]{}:\\\"\\\\\"], {\"prefix\": \"> \"}]",
     "\"> [\\n> \\t1,\\n> \\t\\\"a,[]{}:\\\\\\\"\\\\\\\\\\\"\\n> ]\""},
    {"json.marshal_with_options", "[[], {\"indent\": \"    \", \"prefix\": \"---\"}]", "\"---[]\""},
    {"json.marshal_with_options", "[{\"a\": {}, \"b\": [[]]}, {\"indent\": \" \"}]",
     "\"{\\n \\\"a\\\": {},\\n \\\"b\\\": [\\n  []\\n ]\\n}\""},
    {"json.marshal_with_options", "[1, {\"pretty\": true}]", "\"1\""},
    {"json.marshal_with_options", "[\"x\", {\"indent\": \"\"}]", "\"\\\"x\\\"\""},
    {"json.marshal_with_options", "[[1, 2], {\"indent\": \"\"}]", "\"[\\n1,\\n2\\n]\""},
};

static void json_is_laid_out_as_asked(void **state)
{
    BUILTIN_CHECK(&caller, laid_out);
}

/* Paths are texts or arrays; a shorter one wins. */
static const struct builtin_example filtered[] = {
    {"json.filter", "[{\"a\": {\"b\": {\"c\": 7, \"d\": 8}}, \"e\": 9}, [\"a/b/c\", \"e\"]]",
     "{\"a\": {\"b\": {\"c\": 7}}, \"e\": 9}"},
    {"json.filter",
     "[{\"a\": {\"b\": {\"c\": 7, \"d\": 8}}, \"e\": 9}, {\"$set\": [\"/a/b/d\", [\"a\", \"b\", "
     "\"c\"]]}]",
     "{\"a\": {\"b\": {\"c\": 7, \"d\": 8}}}"},
    {"json.filter", "[{\"a\": {\"b\": {\"c\": 7, \"d\": 8}}, \"e\": 9}, [\"a/b/c\", \"a\"]]",
     "{\"a\": {\"b\": {\"c\": 7, \"d\": 8}}}"},
    {"json.filter", "[{\"a\": {\"b\": {\"c\": 7, \"d\": 8}}, \"e\": 9}, []]", "{}"},
    {"json.filter", "[{\"a\": {\"b\": {\"c\": 7, \"d\": 8}}, \"e\": 9}, [\"\"]]", "{}"},
    {"json.filter", "[{\"a\": {\"b\": {\"c\": 7, \"d\": 8}}, \"e\": 9}, [\"x/y\"]]", "{}"},
    {"json.filter", "[{\"a\": {\"b\": {\"c\": 7, \"d\": 8}}, \"e\": 9}, [\"e/x\"]]", "{\"e\": 9}"},
    {"json.filter", "[{\"a\": {\"b\": {\"c\": 7, \"d\": 8}}, \"e\": 9}, [\"a/x\"]]", "{\"a\": {}}"},
    {"json.filter", "[{\"a\": [{\"1\": [\"b\", \"c\", \"d\"]}, {\"x\": \"y\"}]}, [\"a/0/1/2\"]]",
     "{\"a\": [{\"1\": [\"d\"]}]}"},
    {"json.filter", "[{\"a\": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]}, [\"a/11\", \"a/2\"]]",
     "{\"a\": [2, 11]}"},
    {"json.filter", "[{\"a\": [1, 2]}, [[\"a\", 0]]]", "{\"a\": []}"},
    {"json.filter", "[{\"a\": [1, 2]}, [\"a/00\", \"a/-\"]]", "{\"a\": []}"},
    {"json.filter", "[{\"a/b\": 1, \"a~b\": 2, \"~1\": 3}, [\"a~1b\", \"a~0b\", \"~01\"]]",
     "{\"a/b\": 1, \"a~b\": 2, \"~1\": 3}"},
    {"json.filter", "[{\"s\": {\"$set\": [\"x\", [\"y\"]]}}, [\"s/x\", [\"s\", [\"y\"], \"0\"]]]",
     "{\"s\": {\"x\", [\"y\"]}}"},
    {"json.filter", "[{\"$object\": [[1, \"n\"], [\"1\", \"t\"]]}, [[1]]]", "{1: \"n\"}"},
};

static void a_filter_keeps_what_its_paths_name(void **state)
{
    BUILTIN_CHECK(&caller, filtered);
}

/* The same paths. */
static const struct builtin_example removed[] = {
    {"json.remove", "[{\"a\": {\"b\": {\"c\": 7, \"d\": 8}}, \"e\": 9}, [\"a/b/c\", \"e\"]]",
     "{\"a\": {\"b\": {\"d\": 8}}}"},
    {"json.remove",
     "[{\"a\": {\"b\": {\"c\": 7, \"d\": 8}}, \"e\": 9}, {\"$set\": [\"a/b/d\", [\"a\", \"b\", "
     "\"c\"]]}]",
     "{\"a\": {\"b\": {}}, \"e\": 9}"},
    {"json.remove", "[{\"a\": {\"b\": {\"c\": 7, \"d\": 8}}, \"e\": 9}, [\"a\", \"a/b\"]]",
     "{\"e\": 9}"},
    {"json.remove", "[{\"a\": {\"b\": {\"c\": 7, \"d\": 8}}, \"e\": 9}, []]",
     "{\"a\": {\"b\": {\"c\": 7, \"d\": 8}}, \"e\": 9}"},
    {"json.remove",
     "[{\"a\": {\"b\": {\"c\": 7, \"d\": 8}}, \"e\": 9}, [\"\", \"x\", \"e/x\", \"a/x\"]]",
     "{\"a\": {\"b\": {\"c\": 7, \"d\": 8}}, \"e\": 9}"},
    {"json.remove", "[{}, [\"a/b\"]]", "{}"},
    {"json.remove",
     "[{\"a\": [{\"b\": 7, \"c\": 8}, {\"d\": 9}]}, {\"$set\": [\"a/0/b\", \"a/1\"]}]",
     "{\"a\": [{\"c\": 8}]}"},
    {"json.remove", "[{\"a\": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]}, [\"a/11\", \"a/2\"]]",
     "{\"a\": [0, 1, 3, 4, 5, 6, 7, 8, 9, 10]}"},
    {"json.remove", "[{\"s\": {\"$set\": [\"x\", \"y\"]}}, [\"s/x\"]]", "{\"s\": {\"y\"}}"},
};

static void a_removal_keeps_all_that_no_path_names(void **state)
{
    BUILTIN_CHECK(&caller, removed);
}

/* RFC 6902: an operation fails, and with it all. */
static const struct builtin_example undone[] = {
    {"json.patch", "[{}, [1]]", "undefined"},
    {"json.patch", "[{}, [{}]]", "undefined"},
    {"json.patch", "[{}, [{\"op\": \"add\", \"path\": \"/a\"}]]", "undefined"},
    {"json.patch", "[{}, [{\"op\": \"add\", \"value\": 1}]]", "undefined"},
    {"json.patch", "[{}, [{\"op\": \"spam\", \"path\": \"/a\", \"value\": 1}]]", "undefined"},
    {"json.patch", "[{}, [{\"op\": 1, \"path\": \"/a\", \"value\": 1}]]", "undefined"},
    {"json.patch", "[{}, [{\"op\": \"add\", \"path\": null, \"value\": 1}]]", "undefined"},
    {"json.patch", "[{\"a\": 1}, [{\"op\": \"move\", \"path\": \"/b\"}]]", "undefined"},
    {"json.patch", "[{\"a\": 1}, [{\"op\": \"copy\", \"from\": \"/x\", \"path\": \"/b\"}]]",
     "undefined"},
    {"json.patch", "[{\"a\": 1}, [{\"op\": \"remove\", \"path\": \"/b\"}]]", "undefined"},
    {"json.patch", "[{\"a\": 1}, [{\"op\": \"replace\", \"path\": \"/b\", \"value\": 1}]]",
     "undefined"},
    {"json.patch", "[{\"a\": 1}, [{\"op\": \"add\", \"path\": \"/b/c\", \"value\": 1}]]",
     "undefined"},
    {"json.patch", "[{\"a\": 1}, [{\"op\": \"add\", \"path\": \"/a/c\", \"value\": 1}]]",
     "undefined"},
    {"json.patch", "[[1, 2], [{\"op\": \"add\", \"path\": \"/3\", \"value\": 1}]]", "undefined"},
    {"json.patch", "[[1, 2], [{\"op\": \"add\", \"path\": \"/-1\", \"value\": 1}]]", "undefined"},
    {"json.patch", "[[1, 2], [{\"op\": \"add\", \"path\": \"/01\", \"value\": 1}]]", "undefined"},
    {"json.patch", "[[1, 2], [{\"op\": \"add\", \"path\": \"/1e0\", \"value\": 1}]]", "undefined"},
    {"json.patch", "[[1, 2], [{\"op\": \"add\", \"path\": \"/\", \"value\": 1}]]", "undefined"},
    {"json.patch", "[[1, 2], [{\"op\": \"remove\", \"path\": \"/2\"}]]", "undefined"},
    {"json.patch", "[[1, 2], [{\"op\": \"remove\", \"path\": \"/-\"}]]", "undefined"},
    {"json.patch", "[[1, 2], [{\"op\": \"test\", \"path\": \"/-\", \"value\": 2}]]", "undefined"},
    {"json.patch", "[[1, 2], [{\"op\": \"remove\", \"path\": [0.5]}]]", "undefined"},
    {"json.patch", "[[1, 2], [{\"op\": \"remove\", \"path\": \"/99999999999999999999\"}]]",
     "undefined"},
    {"json.patch", "[[1, 2], [{\"op\": \"remove\", \"path\": [4294967296]}]]", "undefined"},
    {"json.patch", "[[1], [{\"op\": \"remove\", \"path\": [-1]}]]", "undefined"},
    {"json.patch", "[{\"a\": 1}, [{\"op\": \"test\", \"path\": \"/a\", \"value\": \"1\"}]]",
     "undefined"},
    {"json.patch",
     "[{\"a\": 1}, [{\"op\": \"add\", \"path\": \"/b\", \"value\": 1}, {\"op\": \"test\", "
     "\"path\": \"/b\", \"value\": 2}]]",
     "undefined"},
    {"json.patch", "[{\"a\": 1}, [{\"op\": \"remove\", \"path\": \"\"}]]", "undefined"},
    {"json.patch",
     "[{\"a\": 1}, [{\"op\": \"remove\", \"path\": \"\"}, {\"op\": \"add\", \"path\": \"/a\", "
     "\"value\": 1}]]",
     "undefined"},
    {"json.patch",
     "[{\"a\": 1}, [{\"op\": \"remove\", \"path\": \"\"}, {\"op\": \"remove\", \"path\": \"\"}]]",
     "undefined"},
    {"json.patch",
     "[{\"$set\": [\"a\"]}, [{\"op\": \"add\", \"path\": [\"b\"], \"value\": \"c\"}]]",
     "undefined"},
    {"json.patch", "[{\"$set\": [\"a\"]}, [{\"op\": \"remove\", \"path\": [\"b\"]}]]", "undefined"},
    {"json.patch", "[1, [{\"op\": \"add\", \"path\": \"/a\", \"value\": 1}]]", "undefined"},
};

static void a_patch_that_cannot_be_done_is_undefined(void **state)
{
    BUILTIN_CHECK(&caller, undone);
}

/* Examples of RFC 6902, appendix A, and what OPA adds: arrays as paths, and sets. */
static const struct builtin_example done[] = {
    {"json.patch",
     "[{\"foo\": \"bar\"}, [{\"op\": \"add\", \"path\": \"/baz\", \"value\": \"qux\"}]]",
     "{\"baz\": \"qux\", \"foo\": \"bar\"}"},
    {"json.patch",
     "[{\"foo\": [\"bar\", \"baz\"]}, [{\"op\": \"add\", \"path\": \"/foo/1\", \"value\": "
     "\"qux\"}]]",
     "{\"foo\": [\"bar\", \"qux\", \"baz\"]}"},
    {"json.patch",
     "[{\"foo\": [\"bar\", \"baz\"]}, [{\"op\": \"add\", \"path\": \"/foo/-\", \"value\": "
     "[\"a\"]}]]",
     "{\"foo\": [\"bar\", \"baz\", [\"a\"]]}"},
    {"json.patch",
     "[{\"foo\": [\"bar\", \"qux\", \"baz\"]}, [{\"op\": \"remove\", \"path\": \"/foo/1\"}]]",
     "{\"foo\": [\"bar\", \"baz\"]}"},
    {"json.patch",
     "[{\"baz\": \"qux\", \"foo\": \"bar\"}, [{\"op\": \"replace\", \"path\": \"/baz\", \"value\": "
     "\"boo\"}]]",
     "{\"baz\": \"boo\", \"foo\": \"bar\"}"},
    {"json.patch",
     "[{\"foo\": {\"bar\": \"baz\", \"waldo\": \"fred\"}, \"qux\": {\"corge\": \"grault\"}}, "
     "[{\"op\": \"move\", \"from\": \"/foo/waldo\", \"path\": \"/qux/thud\"}]]",
     "{\"foo\": {\"bar\": \"baz\"}, \"qux\": {\"corge\": \"grault\", \"thud\": \"fred\"}}"},
    {"json.patch",
     "[{\"foo\": [\"all\", \"grass\", \"cows\", \"eat\"]}, [{\"op\": \"move\", \"from\": "
     "\"/foo/1\", \"path\": \"/foo/3\"}]]",
     "{\"foo\": [\"all\", \"cows\", \"eat\", \"grass\"]}"},
    {"json.patch",
     "[{\"/\": 9, \"~1\": 10}, [{\"op\": \"test\", \"path\": \"/~01\", \"value\": 10}]]",
     "{\"/\": 9, \"~1\": 10}"},
    {"json.patch",
     "[{\"a\": {\"b\": [{\"c\": 1}]}}, [{\"op\": \"replace\", \"path\": \"/a/b/0/c\", \"value\": "
     "2}]]",
     "{\"a\": {\"b\": [{\"c\": 2}]}}"},
    {"json.patch", "[[1, 2, 3], [{\"op\": \"replace\", \"path\": \"/1\", \"value\": 9}]]",
     "[1, 9, 3]"},
    {"json.patch", "[{\"a\": 1}, [{\"op\": \"replace\", \"path\": \"\", \"value\": [1]}]]", "[1]"},
    {"json.patch", "[1, [{\"op\": \"add\", \"path\": \"\", \"value\": {}}]]", "{}"},
    {"json.patch",
     "[{\"a\": 1}, [{\"op\": \"remove\", \"path\": \"\"}, {\"op\": \"add\", \"path\": \"\", "
     "\"value\": 2}]]",
     "2"},
    {"json.patch", "[{}, []]", "{}"},
    {"json.patch", "[{\"a\": null}, [{\"op\": \"copy\", \"from\": \"/a\", \"path\": \"/b\"}]]",
     "{\"a\": null, \"b\": null}"},
    {"json.patch", "[{\"a\": 1}, [{\"op\": \"add\", \"path\": \"b\", \"value\": 2}]]",
     "{\"a\": 1, \"b\": 2}"},
    {"json.patch", "[{}, [{\"op\": \"add\", \"path\": \"/\", \"value\": 1}]]", "{\"\": 1}"},
    {"json.patch", "[[[1], [2]], [{\"op\": \"add\", \"path\": [1, 0], \"value\": 0}]]",
     "[[1], [0, 2]]"},
    {"json.patch",
     "[{\"$object\": [[1, \"n\"]]}, [{\"op\": \"replace\", \"path\": [1], \"value\": \"m\"}]]",
     "{1: \"m\"}"},
    {"json.patch",
     "[{\"$set\": [\"a\"]}, [{\"op\": \"add\", \"path\": [\"b\"], \"value\": \"b\"}, {\"op\": "
     "\"remove\", \"path\": \"a\"}]]",
     "{\"b\"}"},
    {"json.patch",
     "[{\"$set\": [[1], \"a\"]}, [{\"op\": \"add\", \"path\": [[1], \"-\"], \"value\": 2}]]",
     "{\"a\", [1, 2]}"},
    {"json.patch",
     "[{\"$set\": [[1], [2]]}, [{\"op\": \"add\", \"path\": [[1], \"0\"], \"value\": 2}]]",
     "{[2], [2, 1]}"},
    {"json.patch",
     "[{\"$set\": [[1], [2, 1]]}, [{\"op\": \"add\", \"path\": [[1], \"0\"], \"value\": 2}]]",
     "{[2, 1]}"},
};

static void a_patch_is_applied(void **state)
{
    BUILTIN_CHECK(&caller, done);
}

/* A value that is built in a few lines may print as more than any memory holds. */
static void a_value_that_prints_too_long_ends_at_the_limit(void **state)
{
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = CALLER_MEMORY_DEFAULT};
    const struct value *value = &value_true;
    for (unsigned i = 0; i < 24; i++) {
        struct value_list twice = {0};
        assert_true(value_list_append(&arena, &twice, value));
        assert_true(value_list_append(&arena, &twice, value));
        value = value_array(&arena, &twice);
    }
    struct builtin_error error = {0};
    struct builtin_meter meter = {.steps_left = CALLER_STEPS_DEFAULT,
                                  .steps_to_look = METER_STEPS_PER_LOOK,
                                  .deadline_ns = UINT64_MAX,
                                  .clock = &clock_system};
    struct builtin_call call = {.builtin = builtin_find("json.marshal", 12, false),
                                .arena = &arena,
                                .meter = &meter,
                                .error = &error};
    const struct value *out;
    assert_result(LETHE_LIMIT, builtin_invoke(&call, &value, &out));
}

static void a_document_that_is_too_deep_is_an_error_and_not_valid(void **state)
{
    char deep[2 * (VALUE_DEPTH_MAX + 1) + 8] = "[\"";
    memset(deep + 2, '[', VALUE_DEPTH_MAX + 1);
    memset(deep + 2 + VALUE_DEPTH_MAX + 1, ']', VALUE_DEPTH_MAX + 1);
    strcat(deep, "\"]");
    CLEANUP(buffer_clear) struct buffer out = {0};
    builtin_call_text(&caller, "json.unmarshal", deep, &out);
    assert_non_null(strstr(out.bytes, "eval_builtin_error: json.unmarshal: "));
    const struct builtin_example invalid = {"json.is_valid", deep, "false"};
    builtin_check(&caller, &invalid, 1);
}

static void documents_larger_than_the_memory_end_at_the_limit(void **state)
{
    const struct builtin_caller poor = {.memory_bytes = 8192};
    CLEANUP(buffer_clear) struct buffer operands = {0};
    buffer_text(&operands, "[\"[1");
    for (unsigned i = 0; i < 1000; i++)
        buffer_text(&operands, ",1");
    buffer_text(&operands, "]\"]");
    const struct builtin_example examples[] = {
        {"json.unmarshal", operands.bytes, "limit"},
        {"json.is_valid", operands.bytes, "limit"},
    };
    BUILTIN_CHECK(&poor, examples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_with_operands_is_said),
        cmocka_unit_test(values_become_json_and_come_back),
        cmocka_unit_test(json_is_laid_out_as_asked),
        cmocka_unit_test(a_filter_keeps_what_its_paths_name),
        cmocka_unit_test(a_removal_keeps_all_that_no_path_names),
        cmocka_unit_test(a_patch_that_cannot_be_done_is_undefined),
        cmocka_unit_test(a_patch_is_applied),
        cmocka_unit_test(a_value_that_prints_too_long_ends_at_the_limit),
        cmocka_unit_test(a_document_that_is_too_deep_is_an_error_and_not_valid),
        cmocka_unit_test(documents_larger_than_the_memory_end_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
