/* The Nth allocation fails, for every N: what could not be computed says so, and GMP never asks. */
#include "check.h"

#include <stdlib.h>

#include "failing_memory.h"
#include "gmp_refused.h"
#include "policy/number.h"

FAILS(calloc)
FAILS(malloc)
FAILS(realloc)

#define ARENA(name) CLEANUP(arena_clear) struct arena name = {0}

/* Of all forms; of each size at which GMP takes another way. */
static const struct {
    unsigned digits;
    const char *before, *behind;
} operands[] = {
    {1, "", ""},    {18, "-", ""},     {19, "9", ""},     {49, "", ""},      {300, "-", ""},
    {1500, "", ""}, {4096, "", ""},    {4096, "-", ""},   {2, "0.", ""},     {22, "-0.", ""},
    {30, "", ".5"}, {4090, "-0.", ""}, {2, "", "e-4000"}, {30, "-", "e-99"}, {4000, "", "e-8"},
};

static void write_operand(size_t i, struct buffer *text)
{
    buffer_text(text, operands[i].before);
    for (unsigned digit = 0; digit < operands[i].digits; digit++)
        buffer_byte(text, (uint8_t)('1' + (digit * 7 + i) % 9));
    buffer_text(text, operands[i].behind);
}

/* A call with the Nth allocation failing; gives what failed, or LETHE_OK. */
struct attempt {
    number_operation operation;
    struct buffer text;
    struct number a, b;
};
typedef lethe_result (*try_function)(const struct attempt *attempt, bool *made);

static lethe_result try_parse(const struct attempt *attempt, bool *made)
{
    ARENA(arena);
    struct number out;
    *made = number_parse(&arena, attempt->text.bytes, attempt->text.size_bytes, &out);
    return arena.failure;
}

static lethe_result try_operation(const struct attempt *attempt, bool *made)
{
    ARENA(arena);
    struct number out;
    *made = attempt->operation(&arena, &attempt->a, &attempt->b, &out);
    return arena.failure;
}

static lethe_result try_print(const struct attempt *attempt, bool *made)
{
    CLEANUP(buffer_clear) struct buffer out = {0};
    number_print(&attempt->a, &out);
    number_print_base(&attempt->a, 8, &out);
    number_print_base(&attempt->a, 10, &out);
    *made = out.failure == LETHE_OK;
    return out.failure;
}

/* Gives how many allocations have failed. */
static unsigned try_every_failure(try_function function, const struct attempt *attempt)
{
    bool expected, made;
    assert_result(LETHE_OK, function(attempt, &expected));
    for (unsigned n = 1;; n++) {
        calls_left = n;
        has_failed = false;
        lethe_result result = function(attempt, &made);
        calls_left = 0;
        assert_result(has_failed ? LETHE_NO_MEMORY : LETHE_OK, result);
        assert_int_equal(made, expected && !has_failed);
        if (!has_failed)
            return n - 1;
    }
}

static struct number operand(struct arena *arena, size_t i)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    struct number made;
    write_operand(i, &text);
    assert_true(number_parse(arena, text.bytes, text.size_bytes, &made));
    return made;
}

static void reading_says_that_memory_is_out(void **state)
{
    unsigned failures = 0;
    for (size_t i = 0; i < ARRAY_LEN(operands); i++) {
        struct attempt attempt = {0};
        write_operand(i, &attempt.text);
        failures += try_every_failure(try_parse, &attempt);
        buffer_clear(&attempt.text);
    }
    assert_int_equal(failures, 8); /* of what is a big integer, or is rounded to one */
}

static void printing_says_that_memory_is_out(void **state)
{
    ARENA(arena);
    for (size_t i = 0; i < ARRAY_LEN(operands); i++) {
        struct attempt attempt = {.a = operand(&arena, i)};
        assert_true(try_every_failure(try_print, &attempt) > 0);
    }
}

static void computing_says_that_memory_is_out(void **state)
{
    static const number_operation operations[] = {
        number_add,      number_subtract, number_multiply, number_divide,     number_remainder,
        number_bits_and, number_bits_or,  number_bits_xor, number_shift_left, number_shift_right,
    };
    ARENA(arena);
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        unsigned failures = 0;
        for (size_t j = 0; j < ARRAY_LEN(operands) * ARRAY_LEN(operands); j++) {
            struct attempt attempt = {.operation = operations[i],
                                      .a = operand(&arena, j / ARRAY_LEN(operands)),
                                      .b = operand(&arena, j % ARRAY_LEN(operands))};
            failures += try_every_failure(try_operation, &attempt);
        }
        assert_true(failures > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_says_that_memory_is_out),
        cmocka_unit_test(printing_says_that_memory_is_out),
        cmocka_unit_test(computing_says_that_memory_is_out),
    };
    return cmocka_run_group_tests(tests, gmp_refuse, NULL);
}
