#include "policy/number_form.h"

#include <string.h>

/* ---- as limbs ---- */

static uint64_t magnitude_of(int64_t small)
{
    return small < 0 ? -(uint64_t)small : (uint64_t)small;
}

static struct exact view_big(const struct number_big *big)
{
    bool negative = big->signed_limbs < 0;
    return (struct exact){.negative = negative,
                          .count = negative ? -big->signed_limbs : big->signed_limbs,
                          .limbs = big->limbs};
}

struct exact number_view(const struct number *number, mp_limb_t *limb)
{
    if (number->form == NUMBER_BIG)
        return view_big(number->big);
    if (number->form == NUMBER_REAL) {
        *limb = number->significand;
        return (struct exact){
            .negative = number->negative, .exponent = number->exponent, .count = 1, .limbs = limb};
    }
    *limb = magnitude_of(number->small);
    return (struct exact){.negative = number->small < 0, .count = *limb != 0, .limbs = limb};
}

int number_compare_limbs(const struct exact *a, const struct exact *b)
{
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    return mpn_cmp(a->limbs, b->limbs, a->count);
}

mp_size_t number_shift_limbs(mp_limb_t *shifted, const struct exact *exact, unsigned bits)
{
    mp_size_t below = bits / LIMB_BITS, count = exact->count;
    if (count == 0)
        return 0;
    memset(shifted, 0, (size_t)below * sizeof *shifted);
    if (bits % LIMB_BITS == 0) {
        memcpy(shifted + below, exact->limbs, (size_t)count * sizeof *shifted);
        return below + count;
    }
    mp_limb_t carry = mpn_lshift(shifted + below, exact->limbs, count, bits % LIMB_BITS);
    shifted[below + count] = carry;
    return below + count + (carry != 0);
}

static bool bit_at(const mp_limb_t *limbs, mp_bitcnt_t bit)
{
    return limbs[bit / LIMB_BITS] >> (bit % LIMB_BITS) & 1;
}

struct number_top number_top(const struct exact *exact)
{
    mp_limb_t highest = exact->limbs[exact->count - 1];
    int zeros = __builtin_clzll(highest);
    int below = (int)(exact->count - 1) * LIMB_BITS - zeros;
    struct number_top top = {.significand = highest << zeros, .exponent = exact->exponent + below};
    if (exact->count == 1)
        return top;
    if (zeros > 0)
        top.significand |= exact->limbs[exact->count - 2] >> (LIMB_BITS - zeros);
    top.half = bit_at(exact->limbs, (mp_bitcnt_t)below - 1);
    top.more = mpn_scan1(exact->limbs, 0) < (mp_bitcnt_t)below - 1;
    return top;
}

/* ---- and back ---- */

/* At most NUMBER_DIGITS_MAX decimal digits: below 10^n, so that without n bits it is below 5^n. */
static bool is_within_digits(const struct exact *integer)
{
    mp_size_t below = NUMBER_DIGITS_MAX / LIMB_BITS;
    size_t bits = mpn_sizeinbase(integer->limbs, integer->count, 2);
    if (bits != NUMBER_BITS_MAX)
        return bits < NUMBER_BITS_MAX;
    mp_limb_t bound[EXACT_LIMBS_MAX];
    mp_size_t count = number_power_of_five(NUMBER_DIGITS_MAX, bound);
    return mpn_cmp(integer->limbs + below, bound, count) < 0;
}
_Static_assert(NUMBER_DIGITS_MAX % LIMB_BITS == 0, "10^NUMBER_DIGITS_MAX is 5^n in whole limbs");

static bool from_integer(struct arena *arena, const struct exact *integer, struct number *out)
{
    if (!is_within_digits(integer))
        return false;
    size_t size_bytes = (size_t)integer->count * sizeof *integer->limbs;
    struct number_big *big = arena_alloc(arena, sizeof *big + size_bytes);
    if (big == NULL)
        return false;
    big->signed_limbs = integer->negative ? -integer->count : integer->count;
    memcpy(big->limbs, integer->limbs, size_bytes);
    *out = (struct number){.form = NUMBER_BIG, .big = big};
    return true;
}

bool number_from_magnitude(struct arena *arena, bool negative, uint64_t magnitude,
                           struct number *out)
{
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return from_integer(
            arena, &(struct exact){.negative = negative, .count = 1, .limbs = &magnitude}, out);
    *out = number_small((int64_t)(negative ? -magnitude : magnitude));
    return true;
}

static bool from_whole_real(struct arena *arena, bool negative, const struct number_top *top,
                            struct number *out)
{
    if (top->exponent <= 0)
        return number_from_magnitude(arena, negative, top->significand >> -top->exponent, out);
    if (top->exponent > NUMBER_BITS_MAX - REAL_BITS)
        return false;
    mp_limb_t limbs[BIG_LIMBS_MAX + 1];
    struct exact significand = {.count = 1, .limbs = &top->significand};
    struct exact whole = {.negative = negative, .limbs = limbs};
    whole.count = number_shift_limbs(limbs, &significand, (unsigned)top->exponent);
    return from_integer(arena, &whole, out);
}

/* `more`: its magnitude is in truth a bit larger, by less than its last bit. */
static bool from_rounded(struct arena *arena, const struct exact *exact, bool more,
                         struct number *out)
{
    struct number_top top = number_top(exact);
    bool odd = top.significand & 1;
    if (top.half && (top.more || more || odd) && ++top.significand == 0) {
        top.significand = (uint64_t)1 << (REAL_BITS - 1);
        top.exponent++;
    }
    if (top.exponent + __builtin_ctzll(top.significand) >= 0)
        return from_whole_real(arena, exact->negative, &top, out);
    if (top.exponent < REAL_EXPONENT_MIN)
        return false;
    *out = (struct number){.form = NUMBER_REAL,
                           .exponent = top.exponent,
                           .negative = exact->negative,
                           .significand = top.significand};
    return true;
}

bool number_from_exact(struct arena *arena, struct exact exact, struct number *out)
{
    exact.count = number_trim(exact.limbs, exact.count);
    if (exact.count == 0) {
        *out = number_small(0);
        return true;
    }
    if (exact.exponent != 0)
        return from_rounded(arena, &exact, false, out);
    return exact.count == 1 ? number_from_magnitude(arena, exact.negative, exact.limbs[0], out)
                            : from_integer(arena, &exact, out);
}

/* So many limbs of zeros are put below a that the quotient has more than REAL_BITS. */
bool number_from_quotient(struct arena *arena, const struct exact *a, const struct exact *b,
                          struct number *out)
{
    mp_limb_t dividend[EXACT_LIMBS_MAX], quotient[EXACT_LIMBS_MAX], rest[EXACT_LIMBS_MAX];
    mp_size_t zeros = MAX(b->count + 2 - a->count, 0), count = zeros + a->count;
    memset(dividend, 0, (size_t)zeros * sizeof *dividend);
    memcpy(dividend + zeros, a->limbs, (size_t)a->count * sizeof *dividend);
    mpn_tdiv_qr(quotient, rest, 0, dividend, count, b->limbs, b->count);
    count = number_trim(quotient, count - b->count + 1);
    bool negative = a->negative != b->negative, more = number_trim(rest, b->count) > 0;
    bool integers = a->exponent == 0 && b->exponent == 0;
    if (integers && !more && mpn_scan1(quotient, 0) >= (mp_bitcnt_t)zeros * LIMB_BITS)
        return number_from_exact(
            arena,
            (struct exact){.negative = negative, .count = count - zeros, .limbs = quotient + zeros},
            out);
    struct exact exact = {.negative = negative,
                          .exponent = a->exponent - b->exponent - (int32_t)zeros * LIMB_BITS,
                          .count = count,
                          .limbs = quotient};
    return from_rounded(arena, &exact, more, out);
}
