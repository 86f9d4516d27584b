#include <string.h>

#include "policy/number_form.h"

static bool are_small(const struct number *a, const struct number *b)
{
    return a->form == NUMBER_SMALL && b->form == NUMBER_SMALL;
}

static bool are_integers(const struct number *a, const struct number *b)
{
    return a->form != NUMBER_REAL && b->form != NUMBER_REAL;
}

static bool is_zero(const struct number *number)
{
    return number->form == NUMBER_SMALL && number->small == 0;
}

static bool give_small(int64_t small, struct number *out)
{
    *out = number_small(small);
    return true;
}

/* ---- arithmetic ---- */

/* Of one exponent. */
static bool add_aligned(struct arena *arena, const struct exact *a, const struct exact *b,
                        struct number *out)
{
    bool less = number_compare_limbs(a, b) < 0;
    const struct exact *large = less ? b : a, *small = less ? a : b;
    mp_limb_t limbs[EXACT_LIMBS_MAX + 1];
    struct exact sum = *large;
    sum.limbs = limbs;
    if (large->negative == small->negative)
        limbs[sum.count++] = mpn_add(limbs, large->limbs, large->count, small->limbs, small->count);
    else
        mpn_sub(limbs, large->limbs, large->count, small->limbs, small->count);
    return number_from_exact(arena, sum, out);
}

/* As most are: of a limb each, and the first higher by less than a limb. */
static bool add_short(struct arena *arena, const struct exact *a, const struct exact *b,
                      struct number *out)
{
    uint128 shifted = (uint128)a->limbs[0] << (a->exponent - b->exponent), other = b->limbs[0];
    bool less = shifted < other;
    uint128 difference = less ? other - shifted : shifted - other;
    uint128 sum = a->negative == b->negative ? shifted + other : difference;
    mp_limb_t limbs[] = {(mp_limb_t)sum, (mp_limb_t)(sum >> LIMB_BITS)};
    struct exact exact = {.negative = less ? b->negative : a->negative,
                          .exponent = b->exponent,
                          .count = 2,
                          .limbs = limbs};
    return number_from_exact(arena, exact, out);
}

static bool add(struct arena *arena, const struct exact *a, const struct exact *b,
                struct number *out)
{
    if (a->exponent < b->exponent)
        return add(arena, b, a, out);
    if (MAX(a->count, b->count) <= 1 && a->exponent - b->exponent < LIMB_BITS)
        return add_short(arena, a, b, out);
    if (a->exponent == b->exponent)
        return add_aligned(arena, a, b, out);
    mp_limb_t shifted[EXACT_LIMBS_MAX];
    struct exact aligned = {.negative = a->negative, .exponent = b->exponent, .limbs = shifted};
    aligned.count = number_shift_limbs(shifted, a, (unsigned)(a->exponent - b->exponent));
    return add_aligned(arena, &aligned, b, out);
}

bool number_add(struct arena *arena, const struct number *a, const struct number *b,
                struct number *out)
{
    int64_t sum;
    if (are_small(a, b) && !__builtin_add_overflow(a->small, b->small, &sum))
        return give_small(sum, out);
    mp_limb_t limb_a, limb_b;
    struct exact exact_a = number_view(a, &limb_a), exact_b = number_view(b, &limb_b);
    return add(arena, &exact_a, &exact_b, out);
}

bool number_subtract(struct arena *arena, const struct number *a, const struct number *b,
                     struct number *out)
{
    int64_t difference;
    if (are_small(a, b) && !__builtin_sub_overflow(a->small, b->small, &difference))
        return give_small(difference, out);
    mp_limb_t limb_a, limb_b;
    struct exact exact_a = number_view(a, &limb_a), exact_b = number_view(b, &limb_b);
    exact_b.negative = !exact_b.negative;
    return add(arena, &exact_a, &exact_b, out);
}

static bool multiply(struct arena *arena, const struct number *a, const struct number *b,
                     struct number *out)
{
    mp_limb_t limb_a, limb_b, limbs[EXACT_LIMBS_MAX];
    struct exact exact_a = number_view(a, &limb_a), exact_b = number_view(b, &limb_b);
    struct exact product = {.negative = exact_a.negative != exact_b.negative,
                            .exponent = exact_a.exponent + exact_b.exponent,
                            .count = exact_a.count + exact_b.count,
                            .limbs = limbs};
    if (exact_a.count >= exact_b.count)
        mpn_mul(limbs, exact_a.limbs, exact_a.count, exact_b.limbs, exact_b.count);
    else
        mpn_mul(limbs, exact_b.limbs, exact_b.count, exact_a.limbs, exact_a.count);
    return number_from_exact(arena, product, out);
}

bool number_multiply(struct arena *arena, const struct number *a, const struct number *b,
                     struct number *out)
{
    int64_t product;
    if (are_small(a, b) && !__builtin_mul_overflow(a->small, b->small, &product))
        return give_small(product, out);
    if (is_zero(a) || is_zero(b))
        return give_small(0, out);
    return multiply(arena, a, b, out);
}

bool number_divide(struct arena *arena, const struct number *a, const struct number *b,
                   struct number *out)
{
    if (is_zero(b))
        return false;
    if (is_zero(a))
        return give_small(0, out);
    /* Not by -1: the negative of the least small integer is none. */
    if (are_small(a, b) && b->small != -1 && a->small % b->small == 0)
        return give_small(a->small / b->small, out);
    mp_limb_t limb_a, limb_b;
    struct exact exact_a = number_view(a, &limb_a), exact_b = number_view(b, &limb_b);
    return number_from_quotient(arena, &exact_a, &exact_b, out);
}

bool number_remainder(struct arena *arena, const struct number *a, const struct number *b,
                      struct number *out)
{
    if (is_zero(b) || !are_integers(a, b))
        return false;
    if (are_small(a, b))
        return give_small(b->small == -1 ? 0 : a->small % b->small, out);
    mp_limb_t limb_a, limb_b, quotient[BIG_LIMBS_MAX], rest[BIG_LIMBS_MAX];
    struct exact dividend = number_view(a, &limb_a), divisor = number_view(b, &limb_b);
    if (dividend.count < divisor.count)
        return number_from_exact(arena, dividend, out);
    mpn_tdiv_qr(quotient, rest, 0, dividend.limbs, dividend.count, divisor.limbs, divisor.count);
    return number_from_exact(
        arena, (struct exact){.negative = dividend.negative, .count = divisor.count, .limbs = rest},
        out);
}

/* ---- bits ---- */

typedef void (*limbs_function)(mp_limb_t *, const mp_limb_t *, const mp_limb_t *, mp_size_t);

static void to_complement(const struct exact *integer, mp_limb_t *limbs, mp_size_t count)
{
    memset(limbs, 0, (size_t)count * sizeof *limbs);
    memcpy(limbs, integer->limbs, (size_t)integer->count * sizeof *limbs);
    if (integer->negative)
        mpn_neg(limbs, limbs, count);
}

/* In two's complement, a limb wider than the wider one, so that there is a sign. */
static bool with_bits(struct arena *arena, limbs_function function, const struct number *a,
                      const struct number *b, struct number *out)
{
    if (!are_integers(a, b))
        return false;
    mp_limb_t limb_a, limb_b, bits_a[BIG_LIMBS_MAX + 1], bits_b[BIG_LIMBS_MAX + 1];
    struct exact exact_a = number_view(a, &limb_a), exact_b = number_view(b, &limb_b);
    mp_size_t count = MAX(exact_a.count, exact_b.count) + 1;
    to_complement(&exact_a, bits_a, count);
    to_complement(&exact_b, bits_b, count);
    function(bits_a, bits_a, bits_b, count);
    struct exact result = {.negative = bits_a[count - 1] != 0, .count = count, .limbs = bits_a};
    if (result.negative)
        mpn_neg(bits_a, bits_a, count);
    return number_from_exact(arena, result, out);
}

bool number_bits_and(struct arena *arena, const struct number *a, const struct number *b,
                     struct number *out)
{
    if (are_small(a, b))
        return give_small(a->small & b->small, out);
    return with_bits(arena, mpn_and_n, a, b, out);
}

bool number_bits_or(struct arena *arena, const struct number *a, const struct number *b,
                    struct number *out)
{
    if (are_small(a, b))
        return give_small(a->small | b->small, out);
    return with_bits(arena, mpn_ior_n, a, b, out);
}

bool number_bits_xor(struct arena *arena, const struct number *a, const struct number *b,
                     struct number *out)
{
    if (are_small(a, b))
        return give_small(a->small ^ b->small, out);
    return with_bits(arena, mpn_xor_n, a, b, out);
}

/* In two's complement, -1 - a. */
bool number_bits_negate(struct arena *arena, const struct number *a, struct number *out)
{
    struct number all_ones = number_small(-1);
    return number_is_integer(a) && number_subtract(arena, &all_ones, a, out);
}

/* A shift beyond what fits in 64 bits shifts by more bits than any number has. */
static bool take_shift(const struct number *a, const struct number *b, mp_bitcnt_t *bits)
{
    if (!are_integers(a, b) || number_compare(b, &(struct number){.form = NUMBER_SMALL}) < 0)
        return false;
    *bits = b->form == NUMBER_SMALL ? (mp_bitcnt_t)b->small : UINT64_MAX;
    return true;
}

bool number_shift_left(struct arena *arena, const struct number *a, const struct number *b,
                       struct number *out)
{
    mp_bitcnt_t bits;
    if (!take_shift(a, b, &bits))
        return false;
    if (is_zero(a))
        return give_small(0, out);
    if (bits > NUMBER_BITS_MAX)
        return false;
    mp_limb_t limb, limbs[EXACT_LIMBS_MAX];
    struct exact exact = number_view(a, &limb), shifted = exact;
    shifted.limbs = limbs;
    shifted.count = number_shift_limbs(limbs, &exact, (unsigned)bits);
    return number_from_exact(arena, shifted, out);
}

/* Down, as two's complement is shifted. */
bool number_shift_right(struct arena *arena, const struct number *a, const struct number *b,
                        struct number *out)
{
    mp_bitcnt_t bits;
    if (!take_shift(a, b, &bits))
        return false;
    mp_limb_t limb, limbs[BIG_LIMBS_MAX + 1];
    struct exact exact = number_view(a, &limb);
    if (bits / LIMB_BITS >= (mp_bitcnt_t)exact.count)
        return give_small(exact.negative ? -1 : 0, out);
    mp_size_t below = (mp_size_t)(bits / LIMB_BITS), count = exact.count - below;
    bool more = exact.negative && mpn_scan1(exact.limbs, 0) < bits;
    memcpy(limbs, exact.limbs + below, (size_t)count * sizeof *limbs);
    if (bits % LIMB_BITS > 0)
        mpn_rshift(limbs, limbs, count, bits % LIMB_BITS);
    limbs[count] = mpn_add_1(limbs, limbs, count, more);
    return number_from_exact(
        arena, (struct exact){.negative = exact.negative, .count = count + 1, .limbs = limbs}, out);
}
