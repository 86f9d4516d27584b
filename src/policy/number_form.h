/* policy/number_form.h -- numbers as limbs, exactly, and back in their one form.
 *
 * All that is computed is in rooms of a fixed size on the stack, by those of GMP's functions on
 * limbs (mpn_*) that allocate nothing at these sizes: what allocates in GMP ends the process when
 * there is no memory. So no number of GMP's own (mpz_*) is made here, and texts are not read or
 * written in base 10 by mpn_set_str and mpn_get_str, which allocate when they are long. */
#ifndef POLICY_NUMBER_FORM_H
#define POLICY_NUMBER_FORM_H

#include <gmp.h>

#include "policy/number.h"

#define LIMB_BITS 64
#define NUMBER_BITS_MAX 13607 /* of 10^NUMBER_DIGITS_MAX - 1 */
#define REAL_BITS 64          /* that are significant */
/* Of the last bit of the smallest real, 2^-13606: the first power of two that needs no larger
 * exponent than NUMBER_EXPONENT_MAX as text. No real is large: from 2^63 on they are all whole. */
#define REAL_EXPONENT_MIN (-13669)
#define BIG_LIMBS_MAX ((NUMBER_BITS_MAX + LIMB_BITS - 1) / LIMB_BITS)
/* Of a product, of a sum of the largest integer and the smallest real, of 5^8191. */
#define EXACT_LIMBS_MAX (2 * BIG_LIMBS_MAX + 2)

_Static_assert(GMP_NUMB_BITS == LIMB_BITS, "a number's significand is one limb");

__extension__ typedef unsigned __int128 uint128;

struct number_big {
    mp_size_t signed_limbs; /* how many, negative as the number is */
    mp_limb_t limbs[];
};

/* +-magnitude * 2^exponent. An integer has the exponent 0 and stays exact; what has another one is
 * rounded. */
struct exact {
    bool negative;
    int32_t exponent;
    mp_size_t count; /* of limbs; none for 0 */
    const mp_limb_t *limbs;
};

/* `limb` is room for what is in no limbs yet. Lives as long as the number and the room. */
struct exact number_view(const struct number *number, mp_limb_t *limb);

/* Of magnitudes, whatever their exponents. */
int number_compare_limbs(const struct exact *a, const struct exact *b);
/* limbs * 2^bits, with room for a limb more than that may be; gives how many limbs it is. */
mp_size_t number_shift_limbs(mp_limb_t *shifted, const struct exact *exact, unsigned bits);
/* How many there are without those above that are 0. */
static inline mp_size_t number_trim(const mp_limb_t *limbs, mp_size_t count)
{
    while (count > 0 && limbs[count - 1] == 0)
        count--;
    return count;
}

/* The highest REAL_BITS of what is not 0. */
struct number_top {
    uint64_t significand; /* its highest bit is set */
    int32_t exponent;
    bool half, more; /* the highest bit of what is below, any other bit of it */
};
struct number_top number_top(const struct exact *exact);

/* Integers as they are, others rounded. false: over a limit, or the arena has failed. */
bool number_from_exact(struct arena *arena, struct exact exact, struct number *out);
bool number_from_magnitude(struct arena *arena, bool negative, uint64_t magnitude,
                           struct number *out);
/* a / b, neither of them 0: whole if the quotient of integers is, rounded otherwise. */
bool number_from_quotient(struct arena *arena, const struct exact *a, const struct exact *b,
                          struct number *out);

/* What is left of a real without its fraction, below 2^63. */
static inline uint64_t number_whole_part(const struct number *real)
{
    return real->exponent > -REAL_BITS ? real->significand >> -real->exponent : 0;
}

#define POWER_OF_TEN_MAX 19
extern const uint64_t number_powers_of_ten[POWER_OF_TEN_MAX + 1];
/* 5^power, of a power of at most 8191, in EXACT_LIMBS_MAX; gives how many limbs it has. */
mp_size_t number_power_of_five(unsigned power, mp_limb_t *limbs);

/* The real +-digits / 10^power. false: not one of up to 19 digits without a zero behind them, and a
 * power of 1 to 19; no matter of being right, only of being easy. */
bool number_from_decimal(bool negative, uint64_t digits, unsigned power, struct number *out);
/* digits / 10^power, rounded; the digits are not 0. */
bool number_from_digits(struct arena *arena, const struct exact *digits, unsigned power,
                        struct number *out);
/* digits / 10^power, the shortest that reads back as a real's magnitude: at most 21 digits. */
struct number_decimal {
    uint128 digits;
    unsigned power;
};
struct number_decimal number_to_decimal(const struct number *real);

/* How many bytes of `text` are a number of JSON's grammar from the first on; 0: none. */
size_t number_length(const char *text, size_t size_bytes);

#endif
