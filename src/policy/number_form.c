#include "policy/number_form.h"

#include <string.h>

/* ---- as GMP and MPFR see them ---- */

static uint64_t magnitude_of(int64_t small)
{
    return small < 0 ? -(uint64_t)small : (uint64_t)small;
}

mpz_srcptr number_view_integer(const struct number *number, struct integer_view *view)
{
    if (number->form == NUMBER_BIG)
        return mpz_roinit_n(view->integer, number->big->limbs, number->big->signed_limbs);
    view->limb = magnitude_of(number->small);
    return mpz_roinit_n(view->integer, &view->limb, number->small < 0 ? -1 : 1);
}

static mpfr_srcptr view_significand(const struct number *number, struct real_view *view)
{
    view->limbs[0] = number->significand;
    mpfr_custom_init_set(view->real, number->negative ? -MPFR_REGULAR_KIND : MPFR_REGULAR_KIND,
                         (mpfr_exp_t)number->exponent + REAL_BITS, REAL_BITS, view->limbs);
    return view->real;
}

mpfr_srcptr number_view_real(const struct number *number, struct real_view *view)
{
    if (number->form == NUMBER_REAL)
        return view_significand(number, view);
    struct integer_view integer;
    mpz_srcptr exact = number_view_integer(number, &integer);
    mpfr_prec_t bits = MAX((mpfr_prec_t)mpz_sizeinbase(exact, 2), REAL_BITS);
    mpfr_custom_init_set(view->real, MPFR_ZERO_KIND, 0, bits, view->limbs);
    mpfr_set_z(view->real, exact, MPFR_RNDN);
    return view->real;
}

mpfr_ptr number_real_room(struct real_room *room)
{
    mpfr_custom_init_set(room->real, MPFR_ZERO_KIND, 0, REAL_BITS, &room->limb);
    return room->real;
}

/* ---- and back ---- */

/* At most NUMBER_DIGITS_MAX decimal digits. */
static bool is_within_digits(mpz_srcptr integer)
{
    size_t bits = mpz_sizeinbase(integer, 2);
    if (bits != NUMBER_BITS_MAX)
        return bits < NUMBER_BITS_MAX;
    mpz_t bound;
    mpz_init(bound);
    mpz_ui_pow_ui(bound, 10, NUMBER_DIGITS_MAX);
    bool within = mpz_cmpabs(integer, bound) < 0;
    mpz_clear(bound);
    return within;
}

bool number_from_integer(struct arena *arena, mpz_srcptr integer, struct number *out)
{
    if (mpz_fits_slong_p(integer)) {
        *out = number_small(mpz_get_si(integer));
        return true;
    }
    if (!is_within_digits(integer))
        return false;
    size_t limbs = mpz_size(integer);
    struct number_big *big = arena_alloc(arena, sizeof *big + limbs * sizeof *big->limbs);
    if (big == NULL)
        return false;
    big->signed_limbs = (mp_size_t)limbs * mpz_sgn(integer);
    memcpy(big->limbs, mpz_limbs_read(integer), limbs * sizeof *big->limbs);
    *out = (struct number){.form = NUMBER_BIG, .big = big};
    return true;
}

bool number_from_magnitude(struct arena *arena, bool negative, uint64_t magnitude,
                           struct number *out)
{
    mpz_t view;
    return number_from_integer(arena, mpz_roinit_n(view, &magnitude, negative ? -1 : 1), out);
}

static bool from_whole_real(struct arena *arena, mpfr_srcptr real, struct number *out)
{
    if (!mpfr_zero_p(real) && mpfr_get_exp(real) > NUMBER_BITS_MAX)
        return false;
    mpz_t whole;
    mpz_init(whole);
    mpfr_get_z(whole, real, MPFR_RNDN);
    bool made = number_from_integer(arena, whole, out);
    mpz_clear(whole);
    return made;
}

bool number_from_real(struct arena *arena, mpfr_srcptr real, struct number *out)
{
    if (!mpfr_number_p(real))
        return false;
    if (mpfr_integer_p(real))
        return from_whole_real(arena, real, out);
    mpfr_exp_t exponent = mpfr_get_exp(real);
    if (exponent < REAL_EXPONENT_MIN)
        return false;
    const mp_limb_t *significand = mpfr_custom_get_significand(real);
    *out = (struct number){.form = NUMBER_REAL,
                           .exponent = (int32_t)(exponent - REAL_BITS),
                           .negative = mpfr_signbit(real),
                           .significand = *significand};
    return true;
}
