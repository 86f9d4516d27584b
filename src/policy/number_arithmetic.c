#include "policy/number_form.h"

typedef void (*integer_function)(mpz_ptr, mpz_srcptr, mpz_srcptr);
typedef int (*real_function)(mpfr_ptr, mpfr_srcptr, mpfr_srcptr, mpfr_rnd_t);

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

static bool with_integers(struct arena *arena, integer_function function, const struct number *a,
                          const struct number *b, struct number *out)
{
    struct integer_view view_a, view_b;
    mpz_t result;
    mpz_init(result);
    function(result, number_view_integer(a, &view_a), number_view_integer(b, &view_b));
    bool made = number_from_integer(arena, result, out);
    mpz_clear(result);
    return made;
}

static bool with_reals(struct arena *arena, real_function function, const struct number *a,
                       const struct number *b, struct number *out)
{
    struct real_view view_a, view_b;
    struct real_room room;
    mpfr_ptr result = number_real_room(&room);
    function(result, number_view_real(a, &view_a), number_view_real(b, &view_b), MPFR_RNDN);
    return number_from_real(arena, result, out);
}

/* ---- arithmetic ---- */

bool number_add(struct arena *arena, const struct number *a, const struct number *b,
                struct number *out)
{
    int64_t sum;
    if (are_small(a, b) && !__builtin_add_overflow(a->small, b->small, &sum))
        return give_small(sum, out);
    return are_integers(a, b) ? with_integers(arena, mpz_add, a, b, out)
                              : with_reals(arena, mpfr_add, a, b, out);
}

bool number_subtract(struct arena *arena, const struct number *a, const struct number *b,
                     struct number *out)
{
    int64_t difference;
    if (are_small(a, b) && !__builtin_sub_overflow(a->small, b->small, &difference))
        return give_small(difference, out);
    return are_integers(a, b) ? with_integers(arena, mpz_sub, a, b, out)
                              : with_reals(arena, mpfr_sub, a, b, out);
}

bool number_multiply(struct arena *arena, const struct number *a, const struct number *b,
                     struct number *out)
{
    int64_t product;
    if (are_small(a, b) && !__builtin_mul_overflow(a->small, b->small, &product))
        return give_small(product, out);
    return are_integers(a, b) ? with_integers(arena, mpz_mul, a, b, out)
                              : with_reals(arena, mpfr_mul, a, b, out);
}

static bool divides(const struct number *divisor, const struct number *a)
{
    struct integer_view view_a, view_divisor;
    return are_integers(a, divisor) && mpz_divisible_p(number_view_integer(a, &view_a),
                                                       number_view_integer(divisor, &view_divisor));
}

bool number_divide(struct arena *arena, const struct number *a, const struct number *b,
                   struct number *out)
{
    if (is_zero(b))
        return false;
    /* -1 is left to GMP: the negative of the least small integer is none. */
    if (are_small(a, b) && b->small != -1 && a->small % b->small == 0)
        return give_small(a->small / b->small, out);
    return divides(b, a) ? with_integers(arena, mpz_divexact, a, b, out)
                         : with_reals(arena, mpfr_div, a, b, out);
}

bool number_remainder(struct arena *arena, const struct number *a, const struct number *b,
                      struct number *out)
{
    if (is_zero(b) || !are_integers(a, b))
        return false;
    if (are_small(a, b))
        return give_small(b->small == -1 ? 0 : a->small % b->small, out);
    return with_integers(arena, mpz_tdiv_r, a, b, out);
}

/* ---- bits ---- */

bool number_bits_and(struct arena *arena, const struct number *a, const struct number *b,
                     struct number *out)
{
    if (are_small(a, b))
        return give_small(a->small & b->small, out);
    return are_integers(a, b) && with_integers(arena, mpz_and, a, b, out);
}

bool number_bits_or(struct arena *arena, const struct number *a, const struct number *b,
                    struct number *out)
{
    if (are_small(a, b))
        return give_small(a->small | b->small, out);
    return are_integers(a, b) && with_integers(arena, mpz_ior, a, b, out);
}

bool number_bits_xor(struct arena *arena, const struct number *a, const struct number *b,
                     struct number *out)
{
    if (are_small(a, b))
        return give_small(a->small ^ b->small, out);
    return are_integers(a, b) && with_integers(arena, mpz_xor, a, b, out);
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
    struct integer_view view;
    mpz_t result;
    mpz_init(result);
    mpz_mul_2exp(result, number_view_integer(a, &view), bits);
    bool made = number_from_integer(arena, result, out);
    mpz_clear(result);
    return made;
}

bool number_shift_right(struct arena *arena, const struct number *a, const struct number *b,
                        struct number *out)
{
    mp_bitcnt_t bits;
    if (!take_shift(a, b, &bits))
        return false;
    struct integer_view view;
    mpz_t result;
    mpz_init(result);
    mpz_fdiv_q_2exp(result, number_view_integer(a, &view), MIN(bits, NUMBER_BITS_MAX + 1));
    bool made = number_from_integer(arena, result, out);
    mpz_clear(result);
    return made;
}
