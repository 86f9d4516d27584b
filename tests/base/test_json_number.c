#include "check.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "base/json.h"
#include "check_child.h"
#include "check_files.h"

static double from_bits(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static void assert_number(uint64_t bits, const char *expected)
{
    CLEANUP(buffer_clear) struct buffer out = {0};
    json_append_double(&out, from_bits(bits));
    if (strcmp(out.bytes, expected) != 0)
        fail_msg("%016" PRIx64 " is %s instead of %s", bits, out.bytes, expected);
}

/* RFC 8785's own table: "<bits in hex>,<text>", one a line; NUMBERS names a longer one. */
static void rfc_8785_numbers(void **state)
{
    const char *path = getenv("NUMBERS");
    CLEANUP(buffer_clear)
    struct buffer file = get_file(path != NULL ? path : TEST_VECTORS "/jcs/es6testfile1k.txt");
    struct cursor cursor = cursor_over(file.bytes, file.size_bytes);
    const char *line;
    size_t length;
    unsigned count = 0;
    for (; cursor_line(&cursor, &line, &length) == LETHE_OK; count++) {
        char row[64];
        assert_true(length < sizeof row);
        memcpy(row, line, length);
        row[length] = '\0';
        char *comma;
        uint64_t bits = strtoull(row, &comma, 16);
        assert_int_equal(*comma, ',');
        assert_number(bits, comma + 1);
    }
    assert_in_range(count, 1000, 1000000);
    assert_int_equal(cursor_left(&cursor), 0);
}

/* RFC 8785 appendix B, and powers of two where the nearest decimal is not the shortest. */
static void numbers_at_the_edges(void **state)
{
    static const struct {
        uint64_t bits;
        const char *text;
    } rows[] = {
        {0x0000000000000000, "0"},
        {0x8000000000000000, "0"},
        {0x0000000000000001, "5e-324"},
        {0x8000000000000001, "-5e-324"},
        {0x7fefffffffffffff, "1.7976931348623157e+308"},
        {0xffefffffffffffff, "-1.7976931348623157e+308"},
        {0x4340000000000000, "9007199254740992"},
        {0xc340000000000000, "-9007199254740992"},
        {0x4430000000000000, "295147905179352830000"},
        {0x44b52d02c7e14af5, "9.999999999999997e+22"},
        {0x44b52d02c7e14af6, "1e+23"},
        {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
        {0x444b1ae4d6e2ef4e, "999999999999999700000"},
        {0x444b1ae4d6e2ef4f, "999999999999999900000"},
        {0x444b1ae4d6e2ef50, "1e+21"},
        {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
        {0x3eb0c6f7a0b5ed8d, "0.000001"},
        {0x41b3de4355555553, "333333333.3333332"},
        {0x41b3de4355555554, "333333333.33333325"},
        {0x41b3de4355555555, "333333333.3333333"},
        {0x41b3de4355555556, "333333333.3333334"},
        {0x41b3de4355555557, "333333333.33333343"},
        {0xbecbf647612f3696, "-0.0000033333333333333333"},
        {0x43143ff3c1cb0959, "1424953923781206.2"},
        {0x3d30000000000000, "5.684341886080802e-14"},
        {0x0010000000000000, "2.2250738585072014e-308"},
        {0x000fffffffffffff, "2.225073858507201e-308"},
        {0x3ff0000000000000, "1"},
        {0x3fb999999999999a, "0.1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_number(rows[i].bits, rows[i].text);
}

/* Every power of two, its neighbours, and a walk over all exponents. */
static void every_number_reads_back(void **state)
{
    for (uint64_t exponent = 0; exponent < 2047; exponent++)
        for (uint64_t step = 0; step < 5; step++) {
            double number = from_bits((exponent << 52) + step * 0x3333333333333 / 4 + (step & 1));
            CLEANUP(buffer_clear) struct buffer out = {0};
            json_append_double(&out, number);
            assert_true(strtod(out.bytes, NULL) == number);
        }
}

static void append_number(void *context)
{
    struct buffer out = {0};
    json_append_double(&out, *(double *)context);
}

static void what_is_not_finite_is_our_own_mistake(void **state)
{
    double numbers[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        assert_killed_by(SIGABRT, child_status(append_number, &numbers[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_8785_numbers),
        cmocka_unit_test(numbers_at_the_edges),
        cmocka_unit_test(every_number_reads_back),
        cmocka_unit_test(what_is_not_finite_is_our_own_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
