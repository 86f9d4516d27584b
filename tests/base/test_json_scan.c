/* JSON that stays where it is: what is accepted, what is not, and what is found in it. */
#include "check.h"

#include "base/json_scan.h"

static lethe_result scan(const char *text, struct json_piece *out)
{
    return json_scan(text, strlen(text), out, NULL);
}

static void test_accepted(void **state)
{
    static const char *const texts[] = {
        "null",
        " true ",
        "false",
        "0",
        "-0",
        "12.5e-3",
        "1E+9",
        "\"\"",
        "\"\\u00e4\\n\\\"\\/\"",
        "\"\\ud83d\\ude00\"",
        "\"\xc3\xa4\"",
        "[]",
        "{}",
        "[1, [2], {\"a\": [3]}]",
        "\r\n\t{\"a\":1 , \"b\" : {}}\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct json_piece piece;
        if (scan(texts[i], &piece) != LETHE_OK)
            fail_msg("%s", texts[i]);
    }
}

static void test_refused(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "nul",
        "nulll",
        "True",
        "01",
        "+1",
        "1.",
        ".5",
        "1e",
        "-",
        "0x1",
        "NaN",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\\"",
        "\"a\nb\"",
        "\"\\u0000\"",
        "\"\\ud83d\"",
        "\"\\ud83dx\"",
        "\"\\ude00\"",
        "\"\\ud83d\\u0041\"",
        "\"\xc3\"",
        "\"\xed\xa0\x80\"",
        "[",
        "[1",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "[}",
        "{]",
        "1 2",
        "[] []",
        "// a\n1",
        "'a'",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct json_piece piece;
        if (scan(texts[i], &piece) != LETHE_MALFORMED)
            fail_msg("%s", texts[i]);
    }
    struct json_piece piece;
    assert_result(LETHE_MALFORMED, json_scan("\"a\0b\"", 5, &piece, NULL));
    assert_result(LETHE_MALFORMED, json_scan("1\0", 2, &piece, NULL));
}

/* What is wrong is told, and nothing of the text: it may be a secret. */
static void test_error_repeats_nothing(void **state)
{
    struct json_piece piece;
    struct lethe_error err = {0};
    static const char text[] = "{\"plaintext\": \"secret\\x\"}";
    assert_result(LETHE_MALFORMED, json_scan(text, strlen(text), &piece, &err));
    assert_null(strstr(err.text, "secret"));
    assert_non_null(strstr(err.text, "byte 22"));
}

static void test_depth(void **state)
{
    char text[2 * (JSON_SCAN_DEPTH_MAX + 1)];
    struct json_piece piece;
    memset(text, '[', JSON_SCAN_DEPTH_MAX + 1);
    memset(text + JSON_SCAN_DEPTH_MAX + 1, ']', JSON_SCAN_DEPTH_MAX + 1);
    assert_result(LETHE_MALFORMED, json_scan(text, sizeof text, &piece, NULL));
    assert_result(LETHE_OK, json_scan(text + 1, sizeof text - 2, &piece, NULL));
}

static void test_find(void **state)
{
    struct json_piece piece, found;
    uint64_t number = 0;
    static const char text[] = "{\"data\": {\"n\": 7, \"t\": \"a\\u0062\\/\", \"\": {\"x\": null}, "
                               "\"\\u006e2\": 18446744073709551615}, \"e\": [1, \"two\"]}";
    assert_result(LETHE_OK, scan(text, &piece));
    assert_result(LETHE_OK, json_piece_find(&piece, "data/n", &found));
    assert_result(LETHE_OK, json_piece_unsigned(&found, &number));
    assert_int_equal(number, 7);
    assert_result(LETHE_OK, json_piece_find(&piece, "data/n2", &found)); /* however it is written */
    assert_result(LETHE_OK, json_piece_unsigned(&found, &number));
    assert_true(number == UINT64_MAX);
    assert_result(LETHE_OK, json_piece_find(&piece, "data/t", &found));
    assert_true(json_piece_is(&found, "ab/"));
    assert_false(json_piece_is(&found, "ab") || json_piece_is(&found, "ab/c"));
    assert_result(LETHE_OK, json_piece_find(&piece, "data//x", &found));
    assert_int_equal(found.kind, JSON_PIECE_NULL);
    assert_result(LETHE_NOT_FOUND, json_piece_find(&piece, "dat", &found));
    assert_result(LETHE_NOT_FOUND, json_piece_find(&piece, "data/nn", &found));
    assert_result(LETHE_MALFORMED, json_piece_find(&piece, "e/x", &found));
    assert_result(LETHE_MALFORMED, json_piece_find(&piece, "data/n/x", &found));
}

/* A name that is there twice has no value that two readers would agree on. */
static void test_twice(void **state)
{
    struct json_piece piece, found;
    assert_result(LETHE_OK, scan("{\"a\":1,\"b\":2,\"\\u0061\":3}", &piece));
    assert_result(LETHE_MALFORMED, json_piece_find(&piece, "a", &found));
    assert_result(LETHE_OK, json_piece_find(&piece, "b", &found));
}

static void test_text(void **state)
{
    struct json_piece piece;
    char out[16];
    size_t length = 0;
    assert_result(LETHE_OK, scan("\"\\ud83d\\ude00\\t\xc3\xa4\"", &piece));
    assert_result(LETHE_OK, json_piece_text(&piece, out, sizeof out, &length));
    assert_int_equal(length, 7);
    assert_memory_equal(out, "\xf0\x9f\x98\x80\t\xc3\xa4", 7);
    assert_result(LETHE_LIMIT, json_piece_text(&piece, out, 6, &length));
    assert_result(LETHE_OK, scan("12", &piece));
    assert_result(LETHE_MALFORMED, json_piece_text(&piece, out, sizeof out, &length));
}

static void test_numbers(void **state)
{
    static const char *const texts[] = {"-1",    "1.0", "1e2", "18446744073709551616",
                                        "\"1\"", "true"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct json_piece piece;
        uint64_t number = 42;
        assert_result(LETHE_OK, scan(texts[i], &piece));
        assert_result(LETHE_MALFORMED, json_piece_unsigned(&piece, &number));
        assert_int_equal(number, 42);
    }
}

static void test_walk(void **state)
{
    struct json_piece piece, name, value;
    uint64_t sum = 0, number = 0;
    assert_result(LETHE_OK, scan("[ 1 ,2, [3], 4 ]", &piece));
    struct json_walk walk = json_walk_over(&piece);
    while (json_walk_next(&walk, &name, &value) == LETHE_OK) {
        if (json_piece_unsigned(&value, &number) == LETHE_OK)
            sum += number;
    }
    assert_int_equal(sum, 7);
    assert_result(LETHE_OK, scan("{ }", &piece));
    walk = json_walk_over(&piece);
    assert_result(LETHE_NOT_FOUND, json_walk_next(&walk, &name, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_error_repeats_nothing),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
