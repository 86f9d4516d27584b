/* Most reals were written by people, with few digits: these need 128 bits and no more. */
#include "policy/number_form.h"

#define PRINTED_DIGITS 18  /* what was written has less; they are further apart than reals are */
#define REAL_DIGITS_MAX 21 /* that many tell any two numbers of 64 bits apart */
const uint64_t number_powers_of_ten[POWER_OF_TEN_MAX + 1] = {
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
    if (power == 0 || power > POWER_OF_TEN_MAX || digits % 10 == 0 ||
        digits >= number_powers_of_ten[POWER_OF_TEN_MAX])
        return false;
    int shift = __builtin_clzll(digits),
        divisor_shift = __builtin_clzll(number_powers_of_ten[power]);
    uint64_t dividend = digits << shift, divisor = number_powers_of_ten[power] << divisor_shift;
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
    return ((uint128)real->significand * number_powers_of_ten[power] + half) >> -real->exponent;
}

/* The decimal of PRINTED_DIGITS, or a few less, that is nearest. */
static uint64_t round_to_decimal(const struct number *real, int *power)
{
    int first_digit = (real->exponent + REAL_BITS - 1) * 30103 / 100000; /* log10(2) */
    *power = MIN(PRINTED_DIGITS - 1 - first_digit, POWER_OF_TEN_MAX);
    if (*power <= 0)
        return 0;
    uint128 digits = scaled_by(real, *power);
    if (digits >= number_powers_of_ten[PRINTED_DIGITS])
        digits = scaled_by(real, --*power);
    return (uint64_t)digits;
}

/* Decimals of so many digits are further from each other than reals are: the one that reads back is
 * the nearest, and without its zeros the shortest. false: it has more digits or is too small. */
static bool to_short_decimal(const struct number *real, struct number_decimal *decimal)
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
    *decimal = (struct number_decimal){.digits = nearest, .power = (unsigned)places};
    return true;
}

/* ---- any real ---- */

#define FIVES_IN_LIMB 27

mp_size_t number_power_of_five(unsigned power, mp_limb_t *limbs)
{
    mp_limb_t square[EXACT_LIMBS_MAX];
    mp_size_t count = 1;
    int squarings = 0;
    while (power >> squarings > FIVES_IN_LIMB)
        squarings++;
    limbs[0] = 1;
    for (unsigned i = power >> squarings; i > 0; i--)
        limbs[0] *= 5;
    while (squarings-- > 0) {
        mpn_sqr(square, limbs, count);
        count = number_trim(square, 2 * count);
        limbs[count] = mpn_mul_1(limbs, square, count, power >> squarings & 1 ? 5 : 1);
        count += limbs[count] != 0;
    }
    return count;
}

/* Of the first digit that is not 0, or one less. */
static int first_exponent(const struct number *real)
{
    int bits = real->exponent + REAL_BITS - 1;
    return (bits * 30103 - (bits < 0 ? 99999 : 0)) / 100000; /* log10(2) */
}

/* A real times 10^power, to the nearest whole number, ties to even. It is below 2^128, and the
 * power at most what makes it whole. */
static uint128 scaled_far(const struct number *real, unsigned power)
{
    mp_limb_t fives[EXACT_LIMBS_MAX], scaled[EXACT_LIMBS_MAX + 1];
    mp_size_t count = number_power_of_five(power, fives);
    scaled[count] = mpn_mul_1(scaled, fives, count, real->significand);
    unsigned below = (unsigned)-real->exponent - power;
    mp_limb_t *whole = scaled + below / LIMB_BITS;
    bool half = below > 0 && scaled[(below - 1) / LIMB_BITS] >> ((below - 1) % LIMB_BITS) & 1;
    bool more = mpn_scan1(scaled, 0) + 1 < below;
    count = number_trim(whole, scaled + count + 1 - whole);
    if (below % LIMB_BITS > 0)
        mpn_rshift(whole, whole, count, below % LIMB_BITS);
    uint128 digits = whole[0];
    if (count > 1)
        digits |= (uint128)whole[1] << LIMB_BITS;
    return digits + (half && (more || (digits & 1) != 0));
}

static uint128 power_of_ten(int power)
{
    return (uint128)number_powers_of_ten[power / 2] * number_powers_of_ten[power - power / 2];
}

bool number_from_digits(struct arena *arena, const struct exact *digits, unsigned power,
                        struct number *out)
{
    mp_limb_t fives[EXACT_LIMBS_MAX];
    struct exact divisor = {.exponent = (int32_t)power, .limbs = fives};
    divisor.count = number_power_of_five(power, fives);
    return number_from_quotient(arena, digits, &divisor, out);
}

static bool reads_back(const struct number *real, const struct number_decimal *decimal)
{
    struct arena none = {.failure = LETHE_LIMIT}; /* a real needs no room */
    mp_limb_t limbs[] = {(mp_limb_t)decimal->digits, (mp_limb_t)(decimal->digits >> LIMB_BITS)};
    struct exact digits = {
        .negative = real->negative, .count = number_trim(limbs, 2), .limbs = limbs};
    struct number read;
    return number_from_digits(&none, &digits, decimal->power, &read) &&
           number_compare(real, &read) == 0;
}

/* The nearest number of `count` digits; false: it reads back as another one. */
static bool round_to_digits(const struct number *real, int count, struct number_decimal *decimal)
{
    int power = count - 1 - first_exponent(real);
    if (power > 0 && scaled_far(real, (unsigned)power) >= power_of_ten(count))
        power--;
    if (power <= 0)
        return false;
    *decimal = (struct number_decimal){.digits = scaled_far(real, (unsigned)power),
                                       .power = (unsigned)power};
    return reads_back(real, decimal);
}

struct number_decimal number_to_decimal(const struct number *real)
{
    struct number_decimal decimal = {0};
    if (to_short_decimal(real, &decimal))
        return decimal;
    int count = PRINTED_DIGITS;
    while (!round_to_digits(real, count, &decimal) && count < REAL_DIGITS_MAX)
        count++;
    for (; decimal.digits % 10 == 0; decimal.power--)
        decimal.digits /= 10;
    return decimal;
}
