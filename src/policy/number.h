/* policy/number.h -- numbers of Rego, exactly specified.
 *
 * An integer is exact, up to NUMBER_DIGITS_MAX decimal digits. What is no integer is a binary
 * floating-point number of 64 significant bits, rounded to nearest, ties to even (the precision in
 * which OPA computes), with an exponent of at most NUMBER_EXPONENT_MAX. One value has one form: a
 * number that is whole is an integer however it was written (1.0, 10e-1) or computed, a small
 * integer is never a big one, and there is no minus zero, infinity or NaN. Numbers compare exactly.
 *
 * Adding, subtracting and multiplying integers is exact; a quotient is an integer when it is whole.
 * Thread rule: pure functions. */
#ifndef POLICY_NUMBER_H
#define POLICY_NUMBER_H

#include <stdint.h>

#include "base/buffer.h"
#include "policy/arena.h"

#define NUMBER_DIGITS_MAX 4096   /* of an integer; a certificate's serial number has 49 */
#define NUMBER_EXPONENT_MAX 4096 /* of a decimal exponent in a text */

enum number_form { NUMBER_SMALL, NUMBER_BIG, NUMBER_REAL };

struct number_big; /* sign and magnitude, in an arena */
struct number {
    enum number_form form;
    int32_t exponent; /* of NUMBER_REAL: value = +-significand * 2^exponent */
    bool negative;    /* of NUMBER_REAL */
    union {
        int64_t small;
        const struct number_big *big;
        uint64_t significand; /* its highest bit is set */
    };
};

static inline struct number number_small(int64_t small)
{
    return (struct number){.form = NUMBER_SMALL, .small = small};
}

/* Of JSON's grammar (RFC 8259 section 6), nothing before or behind it. false: it is not, it is over
 * a limit, or the arena has failed (arena->failure says). */
bool number_parse(struct arena *arena, const char *text, size_t size_bytes, struct number *out);
/* The shortest decimal text that reads back as the same number; JSON. */
void number_print(const struct number *number, struct buffer *out);

int number_compare(const struct number *a, const struct number *b);
bool number_is_integer(const struct number *number);
/* false: it is none, or does not fit. */
bool number_to_int64(const struct number *number, int64_t *out);
double number_to_double(const struct number *number); /* nearest; infinite when it is too large */

/* false: the result is over a limit, the divisor is zero, operands that must be integers are none,
 * or the arena has failed. */
typedef bool (*number_operation)(struct arena *arena, const struct number *a,
                                 const struct number *b, struct number *out);
bool number_add(struct arena *, const struct number *a, const struct number *b, struct number *out);
bool number_subtract(struct arena *, const struct number *a, const struct number *b,
                     struct number *out);
bool number_multiply(struct arena *, const struct number *a, const struct number *b,
                     struct number *out);
bool number_divide(struct arena *, const struct number *a, const struct number *b,
                   struct number *out);
/* Of integers, truncated: the sign is that of a. */
bool number_remainder(struct arena *, const struct number *a, const struct number *b,
                      struct number *out);

/* Rounding to integers: half away from zero, up, down. */
bool number_round(struct arena *, const struct number *a, struct number *out);
bool number_ceil(struct arena *, const struct number *a, struct number *out);
bool number_floor(struct arena *, const struct number *a, struct number *out);
bool number_abs(struct arena *, const struct number *a, struct number *out);

/* Of integers in two's complement of any width. Shifts: b is 0 or more, and limited by the digits.
 */
bool number_bits_and(struct arena *, const struct number *a, const struct number *b,
                     struct number *out);
bool number_bits_or(struct arena *, const struct number *a, const struct number *b,
                    struct number *out);
bool number_bits_xor(struct arena *, const struct number *a, const struct number *b,
                     struct number *out);
bool number_bits_negate(struct arena *, const struct number *a, struct number *out);
bool number_shift_left(struct arena *, const struct number *a, const struct number *b,
                       struct number *out);
bool number_shift_right(struct arena *, const struct number *a, const struct number *b,
                        struct number *out);

/* In base 2, 8, 10 or 16, lower case, truncated to an integer first (format_int). */
void number_print_base(const struct number *number, unsigned base, struct buffer *out);

#endif
