#include "check.h"

#include "base/cursor.h"

static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

static void reads_both_byte_orders(void **state)
{
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    struct cursor cursor = cursor_over(bytes, sizeof bytes);
    assert_result(LETHE_OK, cursor_le16(&cursor, &u16));
    assert_int_equal(u16, 0x0201);
    assert_result(LETHE_OK, cursor_be16(&cursor, &u16));
    assert_int_equal(u16, 0x0304);
    assert_result(LETHE_OK, cursor_le32(&cursor, &u32));
    assert_int_equal(u32, 0x08070605);
    assert_result(LETHE_OK, cursor_u8(&cursor, &u8));
    assert_int_equal(u8, 9);
    assert_int_equal(cursor_left(&cursor), 0);

    cursor = cursor_over(bytes, sizeof bytes);
    assert_result(LETHE_OK, cursor_be64(&cursor, &u64));
    assert_true(u64 == 0x0102030405060708u);
    cursor = cursor_over(bytes, sizeof bytes);
    assert_result(LETHE_OK, cursor_le64(&cursor, &u64));
    assert_true(u64 == 0x0807060504030201u);
    cursor = cursor_over(bytes, sizeof bytes);
    assert_result(LETHE_OK, cursor_be32(&cursor, &u32));
    assert_int_equal(u32, 0x01020304);
}

/* Whatever is missing, nothing moves and nothing is written. */
static void too_little_is_refused_without_moving(void **state)
{
    for (size_t left = 0; left < 8; left++) {
        struct cursor cursor = cursor_over(bytes, left);
        uint64_t out = 42;
        uint32_t u32;
        uint16_t u16;
        uint8_t u8;
        assert_result(LETHE_MALFORMED, cursor_le64(&cursor, &out));
        assert_result(LETHE_MALFORMED, cursor_be64(&cursor, &out));
        assert_true(out == 42);
        assert_result(left < 4 ? LETHE_MALFORMED : LETHE_OK, cursor_le32(&cursor, &u32));
        cursor = cursor_over(bytes, left);
        assert_result(left < 2 ? LETHE_MALFORMED : LETHE_OK, cursor_be16(&cursor, &u16));
        cursor = cursor_over(bytes, left);
        assert_result(left < 1 ? LETHE_MALFORMED : LETHE_OK, cursor_u8(&cursor, &u8));
    }
}

static void lengths_are_not_trusted(void **state)
{
    struct cursor cursor = cursor_over(bytes, sizeof bytes);
    const uint8_t *at = NULL;
    assert_result(LETHE_MALFORMED, cursor_skip(&cursor, UINT64_MAX));
    assert_result(LETHE_MALFORMED, cursor_bytes(&cursor, sizeof bytes + 1, &at));
    assert_null(at);
    assert_ptr_equal(cursor.at, bytes);
    assert_result(LETHE_OK, cursor_bytes(&cursor, sizeof bytes, &at));
    assert_ptr_equal(at, bytes);
    assert_result(LETHE_OK, cursor_skip(&cursor, 0));
    assert_result(LETHE_MALFORMED, cursor_skip(&cursor, 1));
}

static void texts_fit_and_have_no_nul(void **state)
{
    (void)state;
    char text[4] = "???";
    struct cursor cursor = cursor_over("abcd\0e", 6);
    assert_int_equal(LETHE_MALFORMED, cursor_text(&cursor, 4, text, sizeof text));
    assert_int_equal(LETHE_MALFORMED, cursor_text(&cursor, UINT64_MAX, text, sizeof text));
    assert_int_equal(6, cursor_left(&cursor));
    assert_int_equal(LETHE_OK, cursor_text(&cursor, 3, text, sizeof text));
    assert_string_equal("abc", text);
    assert_int_equal(LETHE_MALFORMED, cursor_text(&cursor, 2, text, sizeof text)); /* a NUL */
    assert_int_equal(3, cursor_left(&cursor));
    assert_int_equal(LETHE_OK, cursor_text(&cursor, 0, text, sizeof text));
    assert_string_equal("", text);
    assert_int_equal(LETHE_OK, cursor_skip(&cursor, 2));
    assert_int_equal(LETHE_MALFORMED, cursor_text(&cursor, 2, text, sizeof text)); /* the end */
    assert_int_equal(1, cursor_left(&cursor));
}

static void lines_end_in_a_newline(void **state)
{
    const char text[] = "one\n\ntorn";
    struct cursor cursor = cursor_over(text, strlen(text));
    const char *line;
    size_t length;
    assert_result(LETHE_OK, cursor_line(&cursor, &line, &length));
    assert_int_equal(length, 3);
    assert_memory_equal(line, "one", 3);
    assert_result(LETHE_OK, cursor_line(&cursor, &line, &length));
    assert_int_equal(length, 0);
    assert_result(LETHE_MALFORMED, cursor_line(&cursor, &line, &length));
    assert_int_equal(cursor_left(&cursor), 4);
    cursor = cursor_over(NULL, 0);
    assert_result(LETHE_MALFORMED, cursor_line(&cursor, &line, &length));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_both_byte_orders),
        cmocka_unit_test(too_little_is_refused_without_moving),
        cmocka_unit_test(lengths_are_not_trusted),
        cmocka_unit_test(texts_fit_and_have_no_nul),
        cmocka_unit_test(lines_end_in_a_newline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
