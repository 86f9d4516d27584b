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
    struct real_view view;
    return mpfr_get_d(number_view_real(number, &view), MPFR_RNDN);
}

bool number_from_double(struct arena *arena, double value, struct number *out)
{
    if (!isfinite(value))
        return false;
    struct real_room room;
    mpfr_ptr real = number_real_room(&room);
    mpfr_set_d(real, value, MPFR_RNDN);
    return number_from_real(arena, real, out);
}

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
    struct integer_view view_a, view_b;
    return mpz_cmp(number_view_integer(a, &view_a), number_view_integer(b, &view_b));
}

/* Of reals of one sign. */
static int compare_magnitudes(const struct number *a, const struct number *b)
{
    if (a->exponent != b->exponent)
        return a->exponent < b->exponent ? -1 : 1;
    return (a->significand > b->significand) - (a->significand < b->significand);
}

/* What is left of a real without its fraction, below 2^63. */
static uint64_t whole_part(const struct number *real)
{
    return real->exponent > -REAL_BITS ? real->significand >> -real->exponent : 0;
}

/* A real is never whole, so that they are never equal. */
static int compare_real_with_small(const struct number *real, int64_t small)
{
    if (real->negative != (small < 0))
        return real->negative ? -1 : 1;
    uint64_t magnitude = small < 0 ? -(uint64_t)small : (uint64_t)small;
    bool further = whole_part(real) >= magnitude;
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
    return number_from_magnitude(arena, real->negative, whole_part(real) + further, out);
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
