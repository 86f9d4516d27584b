#include <float.h>
#include <math.h>

#include "policy/number_form.h"

bool number_is_integer(const struct number *number)
{
    return number->form != NUMBER_REAL;
}

bool number_to_int64(const struct number *number, int64_t *out)
{
    if (number->form != NUMBER_SMALL)
        return false;
    *out = number->small;
    return true;
}

double number_to_double(const struct number *number)
{
    if (number->form == NUMBER_SMALL)
        return (double)number->small;
    mp_limb_t limb;
    struct exact exact = number_view(number, &limb);
    struct number_top top = number_top(&exact);
    /* What is below is seen in the last bit, which rounding to a double drops. */
    long double magnitude =
        ldexpl((long double)(top.significand | top.half | top.more), top.exponent);
    return (double)(exact.negative ? -magnitude : magnitude);
}
_Static_assert(LDBL_MANT_DIG >= REAL_BITS && LDBL_MAX_EXP > NUMBER_BITS_MAX &&
                   LDBL_MIN_EXP <= REAL_EXPONENT_MIN,
               "a long double holds every real, so that it is rounded once");

/* ---- comparing ---- */

static bool is_negative(const struct number *number)
{
    switch (number->form) {
    case NUMBER_SMALL:
        return number->small < 0;
    case NUMBER_BIG:
        return number->big->signed_limbs < 0;
    case NUMBER_REAL:
        break;
    }
    return number->negative;
}

static int compare_big(const struct number *a, const struct number *b)
{
    mp_limb_t none;
    struct exact view_a = number_view(a, &none), view_b = number_view(b, &none);
    if (view_a.negative != view_b.negative)
        return view_a.negative ? -1 : 1;
    return view_a.negative ? number_compare_limbs(&view_b, &view_a)
                           : number_compare_limbs(&view_a, &view_b);
}

/* Of reals of one sign. */
static int compare_magnitudes(const struct number *a, const struct number *b)
{
    if (a->exponent != b->exponent)
        return a->exponent < b->exponent ? -1 : 1;
    return (a->significand > b->significand) - (a->significand < b->significand);
}

/* A real is never whole, so that they are never equal. */
static int compare_real_with_small(const struct number *real, int64_t small)
{
    if (real->negative != (small < 0))
        return real->negative ? -1 : 1;
    uint64_t magnitude = small < 0 ? -(uint64_t)small : (uint64_t)small;
    bool further = number_whole_part(real) >= magnitude;
    return further == real->negative ? -1 : 1;
}

static int compare_reals(const struct number *a, const struct number *b)
{
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    return a->negative ? compare_magnitudes(b, a) : compare_magnitudes(a, b);
}

int number_compare(const struct number *a, const struct number *b)
{
    if (a->form == NUMBER_SMALL && b->form == NUMBER_SMALL)
        return (a->small > b->small) - (a->small < b->small);
    if (a->form == NUMBER_BIG && b->form == NUMBER_BIG)
        return compare_big(a, b);
    /* Everything else is closer to zero than a big integer is. */
    if (a->form == NUMBER_BIG)
        return is_negative(a) ? -1 : 1;
    if (b->form == NUMBER_BIG)
        return is_negative(b) ? 1 : -1;
    if (a->form == b->form)
        return compare_reals(a, b);
    return a->form == NUMBER_REAL ? compare_real_with_small(a, b->small)
                                  : -compare_real_with_small(b, a->small);
}

/* ---- rounding ---- */

/* The part before the point, one further from zero if so wished. */
static bool from_whole_part(struct arena *arena, const struct number *real, bool further,
                            struct number *out)
{
    return number_from_magnitude(arena, real->negative, number_whole_part(real) + further, out);
}

static bool is_half_or_more(const struct number *real)
{
    if (real->exponent < -REAL_BITS)
        return false;
    return real->significand >> (-real->exponent - 1) & 1;
}

bool number_round(struct arena *arena, const struct number *a, struct number *out)
{
    if (a->form == NUMBER_REAL)
        return from_whole_part(arena, a, is_half_or_more(a), out);
    *out = *a;
    return true;
}

bool number_ceil(struct arena *arena, const struct number *a, struct number *out)
{
    if (a->form == NUMBER_REAL)
        return from_whole_part(arena, a, !a->negative, out);
    *out = *a;
    return true;
}

bool number_floor(struct arena *arena, const struct number *a, struct number *out)
{
    if (a->form == NUMBER_REAL)
        return from_whole_part(arena, a, a->negative, out);
    *out = *a;
    return true;
}

bool number_abs(struct arena *arena, const struct number *a, struct number *out)
{
    struct number zero = number_small(0);
    if (is_negative(a))
        return number_subtract(arena, &zero, a, out);
    *out = *a;
    return true;
}
