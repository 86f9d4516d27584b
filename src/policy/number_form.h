/* policy/number_form.h -- numbers as GMP and MPFR see them, and back in their one form.
 *
 * GMP gives up the process when it gets no memory. So nothing is computed whose size is not known
 * to be small: every operand has at most NUMBER_BITS_MAX bits, a result at most twice as many. What
 * they allocate is given back before a call ends; numbers that stay are in the arena. */
#ifndef POLICY_NUMBER_FORM_H
#define POLICY_NUMBER_FORM_H

#include <gmp.h>
#include <mpfr.h>

#include "policy/number.h"

#define NUMBER_BITS_MAX 13607 /* of 10^NUMBER_DIGITS_MAX - 1 */
#define REAL_BITS 64          /* that are significant */
/* MPFR's exponent, of a significand below 1, of the smallest real, 2^-13606: the first power of two
 * that needs no larger exponent than NUMBER_EXPONENT_MAX as text. No real is large: from 2^63 on
 * they are all whole. */
#define REAL_EXPONENT_MIN (-13605)
#define BIG_LIMBS_MAX ((NUMBER_BITS_MAX + 63) / 64)

_Static_assert(GMP_NUMB_BITS == 64, "a number's significand is one limb");

struct number_big {
    mp_size_t signed_limbs; /* how many, negative as the number is */
    mp_limb_t limbs[];
};

/* An integer as GMP reads it; lives as long as the number and the view. */
struct integer_view {
    mpz_t integer;
    mp_limb_t limb;
};
mpz_srcptr number_view_integer(const struct number *number, struct integer_view *view);

/* Any number, exactly, as MPFR reads it. */
struct real_view {
    mpfr_t real;
    mp_limb_t limbs[BIG_LIMBS_MAX];
};
mpfr_srcptr number_view_real(const struct number *number, struct real_view *view);

/* A place on the stack for a result of REAL_BITS. */
struct real_room {
    mpfr_t real;
    mp_limb_t limb;
};
mpfr_ptr number_real_room(struct real_room *room);

/* false: over a limit, or the arena has failed. */
bool number_from_integer(struct arena *arena, mpz_srcptr integer, struct number *out);
bool number_from_magnitude(struct arena *arena, bool negative, uint64_t magnitude,
                           struct number *out);
/* Of REAL_BITS. */
bool number_from_real(struct arena *arena, mpfr_srcptr real, struct number *out);

/* The real +-digits / 10^power. false: not one of up to 19 digits without a zero behind them, and a
 * power of 1 to 19; no matter of being right, only of being easy. */
bool number_from_decimal(bool negative, uint64_t digits, unsigned power, struct number *out);
/* The shortest decimal that reads back. false: it has more than 18 digits or is too small. */
bool number_to_decimal(const struct number *real, uint64_t *digits, unsigned *power);

/* How many bytes of `text` are a number of JSON's grammar from the first on; 0: none. */
size_t number_length(const char *text, size_t size_bytes);

#endif
