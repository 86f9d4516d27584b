/* Most reals were written by people, with few digits: these need no MPFR. */
#include "policy/number_form.h"

__extension__ typedef unsigned __int128 uint128;

#define POWER_MAX 19
#define PRINTED_DIGITS 18
static const uint64_t powers_of_ten[POWER_MAX + 1] = {
    1u,
    10u,
    100u,
    1000u,
    10000u,
    100000u,
    1000000u,
    10000000u,
    100000000u,
    1000000000u,
    10000000000u,
    100000000000u,
    1000000000000u,
    10000000000000u,
    100000000000000u,
    1000000000000000u,
    10000000000000000u,
    100000000000000000u,
    1000000000000000000u,
    10000000000000000000u,
};

/* The quotient is less than 10^19 / 10^power, and further from a whole number than half of the
 * last of its 64 bits: so it is a real. */
bool number_from_decimal(bool negative, uint64_t digits, unsigned power, struct number *out)
{
    if (power == 0 || power > POWER_MAX || digits % 10 == 0 || digits >= powers_of_ten[POWER_MAX])
        return false;
    int shift = __builtin_clzll(digits), divisor_shift = __builtin_clzll(powers_of_ten[power]);
    uint64_t dividend = digits << shift, divisor = powers_of_ten[power] << divisor_shift;
    int bits = dividend >= divisor ? REAL_BITS - 1 : REAL_BITS;
    uint128 scaled = (uint128)dividend << bits;
    uint64_t quotient = (uint64_t)(scaled / divisor), rest = (uint64_t)(scaled % divisor);
    *out = (struct number){.form = NUMBER_REAL,
                           .exponent = divisor_shift - shift - bits,
                           .negative = negative,
                           .significand = quotient};
    bool up = rest > divisor - rest || (rest == divisor - rest && (quotient & 1) != 0);
    if (up && ++out->significand == 0) {
        out->significand = (uint64_t)1 << (REAL_BITS - 1);
        out->exponent++;
    }
    return true;
}

static uint128 scaled_by(const struct number *real, int power)
{
    uint128 half = (uint128)1 << (-real->exponent - 1);
    return ((uint128)real->significand * powers_of_ten[power] + half) >> -real->exponent;
}

/* The decimal of PRINTED_DIGITS, or a few less, that is nearest. */
static uint64_t round_to_decimal(const struct number *real, int *power)
{
    int first_digit = (real->exponent + REAL_BITS - 1) * 30103 / 100000; /* log10(2) */
    *power = MIN(PRINTED_DIGITS - 1 - first_digit, POWER_MAX);
    if (*power <= 0)
        return 0;
    uint128 digits = scaled_by(real, *power);
    if (digits >= powers_of_ten[PRINTED_DIGITS])
        digits = scaled_by(real, --*power);
    return (uint64_t)digits;
}

/* Decimals of so many digits are further from each other than reals are: the one that reads back is
 * the nearest, and without its zeros the shortest. */
bool number_to_decimal(const struct number *real, uint64_t *digits, unsigned *power)
{
    if (real->exponent <= -2 * REAL_BITS)
        return false;
    int places;
    uint64_t nearest = round_to_decimal(real, &places);
    for (; places > 0 && nearest > 0 && nearest % 10 == 0; places--)
        nearest /= 10;
    struct number read;
    if (places <= 0 || !number_from_decimal(real->negative, nearest, (unsigned)places, &read) ||
        number_compare(real, &read) != 0)
        return false;
    *digits = nearest;
    *power = (unsigned)places;
    return true;
}
