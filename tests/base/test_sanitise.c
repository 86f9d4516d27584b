#include "check.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "base/validate.h"

/* nothing from outside can forge a line of a log or drive a terminal. */
static void what_acts_becomes_a_question_mark(void **state)
{
    static const char *const rows[][2] = {
        {"plain text", "plain text"},
        {"line\r\nforged", "line??forged"},
        {"\x1b[31mred\x1b[0m", "?[31mred?[0m"},
        {"\x1b]0;title\x07", "?]0;title?"},
        {"\xc2\x9b"
         "31m",
         "?31m"}, /* CSI as one C1 character */
        {"\xe2\x80\xae"
         "exe.txt",
         "?exe.txt"}, /* right-to-left override  */
        {"\xe2\x81\xa6"
         "a\xe2\x81\xa9",
         "?a?"}, /* isolates                */
        {"a\xe2\x80\x8b"
         "b\xef\xbb\xbf",
         "a?b?"},                  /* zero width              */
        {"\xf3\xa0\x81\x81", "?"}, /* a tag letter            */
        {"a\xe2\x80\xa8"
         "b",
         "a?b"},                      /* line separator          */
        {"\xc0\xaf", "??"},           /* overlong                */
        {"\xed\xa0\x80", "???"},      /* surrogate               */
        {"\xf4\x90\x80\x80", "????"}, /* above U+10FFFF          */
        {"\xff\x80 \xe2\x82", "?? ??"},
        {"gr\xc3\xbcn \xf0\x9f\x98\x80 \xe6\xbc\xa2", "gr\xc3\xbcn \xf0\x9f\x98\x80 \xe6\xbc\xa2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[64];
        size_t length = text_sanitise(rows[i][0], strlen(rows[i][0]), out, sizeof out);
        assert_string_equal(out, rows[i][1]);
        assert_int_equal(length, strlen(rows[i][1]));
    }
    char out[8];
    assert_int_equal(text_sanitise("a\0b", 3, out, sizeof out), 3);
    assert_string_equal(out, "a?b");
}

/* Every code point: what is let through is no control, and a clean text stays as it is. */
static void no_control_gets_through(void **state)
{
    for (uint32_t c = 0; c <= 0xffff; c++) {
        char text[4] = {(char)(0xe0 | c >> 12), (char)(0x80 | (c >> 6 & 63)),
                        (char)(0x80 | (c & 63))};
        size_t size = 3;
        if (c < 0x80) {
            text[0] = (char)c;
            size = 1;
        } else if (c < 0x800) {
            text[0] = (char)(0xc0 | c >> 6);
            text[1] = (char)(0x80 | (c & 63));
            size = 2;
        }
        char out[8];
        size_t length = text_sanitise(text, size, out, sizeof out);
        bool kept = length == size && memcmp(out, text, size) == 0;
        bool control = c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0xd800 && c < 0xe000);
        bool bidi = c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
                    (c >= 0x2066 && c <= 0x2069);
        if (control || bidi)
            assert_false(kept);
        else if (c >= 0x20 && c < 0x7f)
            assert_true(kept);
    }
}

static void a_cut_fits_and_shows(void **state)
{
    static const struct {
        const char *text;
        size_t capacity;
        const char *out;
    } rows[] = {
        {"abcdef", 7, "abcdef"},
        {"abcdefg", 7, "abc..."},
        {"abcdefg", 4, "..."},
        {"abcdefg", 3, ".."},
        {"abcdefg", 1, ""},
        {"a\xf0\x9f\x98\x80"
         "bcd",
         7, "a..."},
        {"\xf0\x9f\x98\x80\xf0\x9f\x98\x80", 8, "\xf0\x9f\x98\x80..."},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *out = malloc(rows[i].capacity); /* exact, so that ASan sees an overrun */
        assert_int_equal(text_sanitise(rows[i].text, strlen(rows[i].text), out, rows[i].capacity),
                         strlen(rows[i].out));
        assert_string_equal(out, rows[i].out);
        free(out);
    }
    assert_int_equal(text_sanitise("abc", 3, NULL, 0), 0);
}

/* Eight million bytes that are all bad: were this not linear, the test would not end. */
static void the_work_is_linear(void **state)
{
    size_t size = (size_t)8 << 20;
    char *text = malloc(size);
    char *out = malloc(size + 1);
    assert_non_null(text);
    assert_non_null(out);
    memset(text, 0xf0, size);
    assert_int_equal(text_sanitise(text, size, out, size + 1), size);
    free(text);
    free(out);
}

static void utf8_is_rfc_3629(void **state)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2\x20",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xe1\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf8\x88\x80\x80\x80",
                                      "\xfe",
                                      "\xff",
                                      "ok\xc3"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(text_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(text_is_utf8(bad[i], strlen(bad[i])));
    uint32_t character = 0;
    assert_int_equal(utf8_decode("\xf0\x9f\x98\x80", 4, &character), 4);
    assert_int_equal(character, 0x1f600);
    for (uint32_t each = 0; each <= 0x10ffff; each += each == 0xd7ff ? 0x801 : 1) {
        char bytes[4];
        size_t length = utf8_encode(each, bytes);
        assert_int_equal(utf8_decode(bytes, length, &character), length);
        assert_int_equal(character, each);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_acts_becomes_a_question_mark),
        cmocka_unit_test(no_control_gets_through),
        cmocka_unit_test(a_cut_fits_and_shows),
        cmocka_unit_test(the_work_is_linear),
        cmocka_unit_test(utf8_is_rfc_3629),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
