#include "check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "chance.h"
#include "gmp_refused.h"
#include "policy/number.h"

#define ARENA CLEANUP(arena_clear) struct arena arena = {.limit_bytes = (size_t)64 << 20}
#define BUFFER(name) CLEANUP(buffer_clear) struct buffer name = {0}

static struct number number(struct arena *arena, const char *text)
{
    struct number parsed;
    if (!number_parse(arena, text, strlen(text), &parsed))
        fail_msg("%s was refused", text);
    return parsed;
}

static void assert_printed(const struct number *number, const char *expected)
{
    BUFFER(out);
    number_print(number, &out);
    assert_string_equal(out.bytes, expected);
}

/* ---- text ---- */

static void what_is_no_number_of_json_is_refused(void **state)
{
    ARENA;
    static const char *const texts[] = {
        "",    "-",   "+1",    "01",    "-01", "1.", ".5",       "1.e5",
        "1e",  "1e+", "0x1",   "1_00",  " 1",  "1 ", "Infinity", "-Inf",
        "NaN", "1,5", "1.2.3", "1e1.5", "--1", "1-", "1ee2",     "\xd9\xa1",
    };
    struct number out;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (number_parse(&arena, texts[i], strlen(texts[i]), &out))
            fail_msg("%s was taken", texts[i]);
    assert_false(number_parse(&arena, "1\0", 2, &out));
    assert_result(LETHE_OK, arena.failure);
}

static void a_number_has_one_form_however_it_was_written(void **state)
{
    static const char *const same[][4] = {
        {"0", "-0", "0.0", "-0e5"},
        {"100", "1e2", "100.00", "10000E-2"},
        {"0.1", "1e-1", "0.10", "10e-2"},
        {"9223372036854775808", "9223372036854775808.0", "9223372036854775.808e3",
         "92233720368547758080e-1"},
        {"-1.5", "-15e-1", "-1.50", "-0.15E+1"},
    };
    ARENA;
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        for (size_t j = 0; j < ARRAY_LEN(same[i]); j++) {
            struct number first = number(&arena, same[i][0]), other = number(&arena, same[i][j]);
            assert_int_equal(first.form, other.form);
            assert_int_equal(number_compare(&first, &other), 0);
            assert_printed(&other, same[i][0]);
        }
}

static void numbers_print_as_people_write_them(void **state)
{
    static const char *const texts[] = {
        "3.14",
        "0.1",
        "1e-7",
        "0.000001",
        "1234567.5",
        "1.5e-4000",
        "-0.25",
        "-2.5e-9",
        "1000000000000000000000",
        "4503599627370496.5",
        "0.3333333333333333333",
    };
    ARENA;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct number parsed = number(&arena, texts[i]);
        assert_printed(&parsed, texts[i]);
    }
}

/* What is cut off of a long text decides only when it is next to the middle of two reals. */
static void long_texts_are_rounded_once(void **state)
{
    static const struct {
        const char *middle; /* of two neighbours, of which the lower one is even */
        const char *down, *up;
    } cases[] = {
        {"0.75000000000000000002710505431213761085018632002174854278564453125", "0.75",
         "0.75000000000000000005"},
        {"1.000000000000000000054210108624275221700372640043497085571289062500", "1",
         "1.0000000000000000001"},
    };
    ARENA;
    static char text[NUMBER_DIGITS_MAX];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct number read = number(&arena, cases[i].middle);
        assert_printed(&read, cases[i].down);
        snprintf(text, sizeof text, "%s%03000d1", cases[i].middle, 0);
        read = number(&arena, text);
        assert_printed(&read, cases[i].up);
    }
}

static void bases_print_what_is_before_the_point(void **state)
{
    static const struct {
        const char *number;
        unsigned base;
        const char *text;
    } cases[] = {
        {"255", 16, "ff"},
        {"-255.9", 16, "-ff"},
        {"8", 8, "10"},
        {"5", 2, "101"},
        {"0.9", 2, "0"},
        {"-0.9", 10, "0"},
        {"18446744073709551616", 16, "10000000000000000"},
    };
    ARENA;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        BUFFER(out);
        struct number parsed = number(&arena, cases[i].number);
        number_print_base(&parsed, cases[i].base, &out);
        assert_string_equal(out.bytes, cases[i].text);
    }
}

/* ---- limits ---- */

static void write_digits(char *text, size_t count)
{
    memset(text, '9', count);
    text[count] = '\0';
}

static void integers_have_at_most_so_many_digits(void **state)
{
    ARENA;
    static char text[NUMBER_DIGITS_MAX + 8];
    struct number largest, out, one = number_small(1), minus_one = number_small(-1);
    write_digits(text, NUMBER_DIGITS_MAX);
    largest = number(&arena, text);
    assert_printed(&largest, text);
    assert_false(number_add(&arena, &largest, &one, &out));
    assert_false(number_multiply(&arena, &largest, &largest, &out));
    assert_false(number_shift_left(&arena, &largest, &one, &out));
    assert_true(number_subtract(&arena, &largest, &one, &out));
    assert_true(number_divide(&arena, &largest, &minus_one, &out));
    assert_false(number_subtract(&arena, &out, &one, &out));
    write_digits(text, NUMBER_DIGITS_MAX + 1);
    assert_false(number_parse(&arena, text, strlen(text), &out));
    assert_result(LETHE_OK, arena.failure);
}

static void short_texts_of_huge_numbers_are_refused(void **state)
{
    static const char *const texts[] = {
        "1e4096",         "1e-4097", "1e-4096",  "1e999999999999999999999",
        "1e-99999999999", "-9e5000", "0.1e4098", "1000e-5000",
    };
    ARENA;
    struct number out;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (number_parse(&arena, texts[i], strlen(texts[i]), &out))
            fail_msg("%s was taken", texts[i]);
    assert_true(number_parse(&arena, "1e4095", 6, &out));
    assert_true(number_parse(&arena, "2e-4096", 7, &out));
    assert_printed(&out, "2e-4096");
}

static void no_result_is_over_a_limit(void **state)
{
    ARENA;
    struct number one = number_small(1), many = number_small(INT64_MAX), out;
    struct number more = number(&arena, "1e100"), tiny = number(&arena, "2e-4096");
    assert_false(number_shift_left(&arena, &one, &many, &out));
    assert_false(number_shift_left(&arena, &one, &more, &out));
    assert_true(number_shift_right(&arena, &more, &more, &out));
    assert_printed(&out, "0");
    assert_false(number_multiply(&arena, &tiny, &tiny, &out));
    assert_false(number_divide(&arena, &one, &(struct number){.form = NUMBER_SMALL}, &out));
    struct number large = number(&arena, "9e4095");
    assert_false(number_divide(&arena, &large, &tiny, &out));
}

/* ---- doubles ---- */

static void doubles_are_read_to_the_nearest_one(void **state)
{
    static const double doubles[] = {0,       1.5,      -1.5,   0.1,        1e300,
                                     DBL_MAX, -DBL_MIN, 5e-324, 1e15 + 0.5, 9007199254740993.0,
                                     0x1p63,  -0x1p63};
    ARENA;
    for (size_t i = 0; i < ARRAY_LEN(doubles); i++) {
        char text[32];
        snprintf(text, sizeof text, "%.17g", doubles[i]);
        struct number from = number(&arena, text);
        assert_true(number_to_double(&from) == doubles[i]);
    }
    struct number large = number(&arena, "-1e4000"), tiny = number(&arena, "1e-4000");
    assert_true(isinf(number_to_double(&large)) && number_to_double(&large) < 0);
    assert_true(number_to_double(&tiny) == 0);
    struct number odd = number(&arena, "36893488147419103233"); /* 2^65 + 1 */
    assert_true(number_to_double(&odd) == 0x1p65);
}

static void only_small_integers_fit_64_bits(void **state)
{
    ARENA;
    int64_t out = 7;
    struct number least = number(&arena, "-9223372036854775808");
    struct number more = number(&arena, "9223372036854775808"), half = number(&arena, "0.5");
    assert_true(number_to_int64(&least, &out) && out == INT64_MIN);
    assert_false(number_to_int64(&more, &out));
    assert_false(number_to_int64(&half, &out));
    assert_true(number_is_integer(&more));
    assert_false(number_is_integer(&half));
}

/* ---- arithmetic, as exact arithmetic elsewhere has it ---- */

static bool compare(struct arena *arena, const struct number *a, const struct number *b,
                    struct number *out)
{
    *out = number_small(number_compare(a, b));
    assert_int_equal(number_compare(b, a), -out->small);
    return true;
}

#define OF_ONE(name)                                                                               \
    static bool first_##name(struct arena *arena, const struct number *a, const struct number *b,  \
                             struct number *out)                                                   \
    {                                                                                              \
        return number_##name(arena, a, out);                                                       \
    }
OF_ONE(round)
OF_ONE(ceil)
OF_ONE(floor)
OF_ONE(abs)
OF_ONE(bits_negate)

static const struct {
    const char *name;
    number_operation operation;
} operations[] = {
    {"add", number_add},
    {"subtract", number_subtract},
    {"multiply", number_multiply},
    {"divide", number_divide},
    {"remainder", number_remainder},
    {"and", number_bits_and},
    {"or", number_bits_or},
    {"xor", number_bits_xor},
    {"left", number_shift_left},
    {"right", number_shift_right},
    {"compare", compare},
    {"round", first_round},
    {"ceil", first_ceil},
    {"floor", first_floor},
    {"abs", first_abs},
    {"negate", first_bits_negate},
};

static number_operation operation_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(operations); i++)
        if (strcmp(operations[i].name, name) == 0)
            return operations[i].operation;
    fail_msg("no operation %s", name);
    return NULL;
}

static void print_result(const struct number *result, struct buffer *out)
{
    BUFFER(whole);
    number_print(result, &whole);
    if (whole.size_bytes <= 100)
        buffer_append(out, whole.bytes, whole.size_bytes);
    else
        buffer_format(out, "%.40s...%s:%zu", whole.bytes, whole.bytes + whole.size_bytes - 40,
                      whole.size_bytes);
}

static void check_line(char *line)
{
    ARENA;
    BUFFER(out);
    char *rest = NULL, *name = strtok_r(line, " \n", &rest), *a = strtok_r(NULL, " \n", &rest),
         *b = strtok_r(NULL, " \n", &rest), *expected = strtok_r(NULL, " \n", &rest);
    assert_non_null(expected);
    struct number x = number(&arena, a), y = number(&arena, b), result;
    if (operation_named(name)(&arena, &x, &y, &result))
        print_result(&result, &out);
    else
        buffer_text(&out, "!");
    if (strcmp(out.bytes, expected) != 0)
        fail_msg("%s %s %s: %s instead of %s", name, a, b, out.bytes, expected);
    assert_result(LETHE_OK, arena.failure);
}

static void results_are_those_of_exact_arithmetic(void **state)
{
    FILE *file = fopen(TEST_VECTORS "/rego/numbers.txt", "re");
    assert_non_null(file);
    char line[4096];
    size_t lines = 0;
    for (; fgets(line, sizeof line, file) != NULL; lines++)
        check_line(line);
    fclose(file);
    assert_true(lines > 4000);
}

/* ---- properties ---- */

static struct number random_number(struct arena *arena)
{
    struct number made = number_small((int64_t)chance(SIZE_MAX) >> chance(64));
    if (chance(3) == 0)
        return made;
    struct number factor = number_small((int64_t)chance(SIZE_MAX) >> chance(64)), out;
    if (chance(2) == 0)
        return number_multiply(arena, &made, &factor, &out) ? out : made;
    return number_divide(arena, &made, &factor, &out) ? out : made;
}

static void what_is_printed_reads_back(void **state)
{
    chance_seed_by_time();
    for (size_t i = 0; i < 3000; i++) {
        ARENA;
        BUFFER(text);
        struct number made = random_number(&arena), read;
        number_print(&made, &text);
        assert_true(number_parse(&arena, text.bytes, text.size_bytes, &read));
        assert_int_equal(number_compare(&made, &read), 0);
        assert_int_equal(made.form, read.form);
    }
}

static int sign(int order)
{
    return (order > 0) - (order < 0);
}

static void numbers_are_in_one_order(void **state)
{
    chance_seed_by_time();
    ARENA;
    struct number all[60];
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        all[i] = random_number(&arena);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        for (size_t j = 0; j < ARRAY_LEN(all); j++) {
            int order = number_compare(&all[i], &all[j]);
            assert_int_equal(sign(order), -sign(number_compare(&all[j], &all[i])));
            for (size_t k = 0; k < ARRAY_LEN(all); k++)
                if (order < 0 && number_compare(&all[j], &all[k]) <= 0)
                    assert_true(number_compare(&all[i], &all[k]) < 0);
        }
}

static void a_full_arena_makes_no_number(void **state)
{
    struct arena arena = {.limit_bytes = 16};
    struct number out;
    assert_false(number_parse(&arena, "123456789012345678901234567890", 30, &out));
    assert_result(LETHE_LIMIT, arena.failure);
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_number_of_json_is_refused),
        cmocka_unit_test(a_number_has_one_form_however_it_was_written),
        cmocka_unit_test(numbers_print_as_people_write_them),
        cmocka_unit_test(long_texts_are_rounded_once),
        cmocka_unit_test(bases_print_what_is_before_the_point),
        cmocka_unit_test(integers_have_at_most_so_many_digits),
        cmocka_unit_test(short_texts_of_huge_numbers_are_refused),
        cmocka_unit_test(no_result_is_over_a_limit),
        cmocka_unit_test(doubles_are_read_to_the_nearest_one),
        cmocka_unit_test(only_small_integers_fit_64_bits),
        cmocka_unit_test(results_are_those_of_exact_arithmetic),
        cmocka_unit_test(what_is_printed_reads_back),
        cmocka_unit_test(numbers_are_in_one_order),
        cmocka_unit_test(a_full_arena_makes_no_number),
    };
    return cmocka_run_group_tests(tests, gmp_refuse, NULL);
}
