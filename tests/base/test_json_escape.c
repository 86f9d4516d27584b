/* Escapes of JSON (RFC 8259, section 7): what each stands for, and what is none. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_escape.h"

static const struct {
    const char *text;
    uint32_t character;
    size_t read;
} escapes[] = {
    {"\"", '"', 1},
    {"\\", '\\', 1},
    {"/", '/', 1},
    {"b", '\b', 1},
    {"f", '\f', 1},
    {"n", '\n', 1},
    {"r", '\r', 1},
    {"t", '\t', 1},
    {"u0041", 'A', 5},
    {"u00e9", 0xe9, 5},
    {"u00E9x", 0xe9, 5},
    {"u0000", 0, 5},
    {"ud7ff", 0xd7ff, 5},
    {"ue000", 0xe000, 5},
    {"uffff", 0xffff, 5},
    {"ud800\\udc00", 0x10000, 11},
    {"ud83d\\ude00", 0x1f600, 11},
    {"uDBFF\\uDFFF", 0x10ffff, 11},
};

static const char *const wrong[] = {
    "",
    "a",
    "x41",
    "U0041",
    "0",
    "u",
    "u004",
    "u00g1",
    "u 041",
    "u-041",
    "udc00",
    "udfff",
    "ud800",
    "ud800x",
    "ud800\\",
    "ud800\\u",
    "ud800\\udc0",
    "ud800\\n",
    "ud800u",
    "ud800\\u0041",
    "ud800\\ud800",
    "ud800\\ue000",
    "ud800\\xdc00",
};

static void an_escape_stands_for_a_character(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(escapes); i++) {
        uint32_t character = 1;
        const char *fault = NULL;
        size_t size_bytes = strlen(escapes[i].text);
        assert_int_equal(json_escape_read(escapes[i].text, size_bytes, &character, &fault),
                         escapes[i].read);
        assert_int_equal(character, escapes[i].character);
        assert_null(fault);
    }
}

static void what_is_none_is_refused_and_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        uint32_t character;
        const char *fault = NULL;
        assert_int_equal(json_escape_read(wrong[i], strlen(wrong[i]), &character, &fault), 0);
        assert_non_null(fault);
    }
}

/* Each one cut at each place, in memory that ends there: ASan sees a byte too many. */
static void none_is_read_beyond_its_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(escapes); i++) {
        for (size_t cut = 0; cut < escapes[i].read; cut++) {
            uint32_t character;
            const char *fault = NULL;
            char *text = malloc(cut > 0 ? cut : 1);
            assert_non_null(text);
            memcpy(text, escapes[i].text, cut);
            assert_int_equal(json_escape_read(text, cut, &character, &fault), 0);
            assert_non_null(fault);
            free(text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_escape_stands_for_a_character),
        cmocka_unit_test(what_is_none_is_refused_and_named),
        cmocka_unit_test(none_is_read_beyond_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
