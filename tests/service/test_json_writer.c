#include "check.h"

#include "service/json_writer.h"

static void check_is(const struct guarded *made, const char *expected)
{
    assert_int_equal(guarded_result(made, NULL), LETHE_OK);
    assert_int_equal(made->size_bytes, strlen(expected));
    assert_memory_equal(made->bytes, expected, made->size_bytes);
}

static void test_everything_once(void **state)
{
    CLEANUP(guarded_clear) struct guarded out = {0};
    struct json_writer writer = {.out = &out};
    json_begin_object(&writer, NULL);
    json_put_text(&writer, "text", "a\"b\\c\n\x01");
    json_put_integer(&writer, "least", INT64_MIN);
    json_put_boolean(&writer, "yes", true);
    json_put_null(&writer, "none");
    json_begin_array(&writer, "list");
    json_put_base64(&writer, NULL, "\0\1", 2);
    json_put_base64(&writer, NULL, "", 0);
    json_begin_object(&writer, NULL);
    json_end_object(&writer);
    json_end_array(&writer);
    json_begin_named(&writer, "\"", 1);
    json_put_text(&writer, NULL, "\t");
    json_end_object(&writer);
    check_is(&out,
             "{\"text\":\"a\\\"b\\\\c\\n\\u0001\",\"least\":-9223372036854775808,\"yes\":true,"
             "\"none\":null,\"list\":[\"AAE=\",\"\",{}],\"\\\"\":\"\\t\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_everything_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
