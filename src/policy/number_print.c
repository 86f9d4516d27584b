#include <stdio.h>
#include <string.h>

#include "policy/number_form.h"

#define REAL_DIGITS_MAX 21  /* that many tell any two numbers of 64 bits apart */
#define REAL_DIGITS_MANY 18 /* what is computed has more, what was written less */
/* Of the first digit: outside of these an exponent is written, as JSON printers do. */
#define PLAIN_EXPONENT_MIN (-6)

static void print_integer(mpz_srcptr integer, int base, struct buffer *out)
{
    size_t room_bytes = mpz_sizeinbase(integer, base) + 2;
    size_t before = out->size_bytes;
    char *room = buffer_extend(out, room_bytes);
    if (room == NULL)
        return;
    mpz_get_str(room, base, integer);
    buffer_truncate(out, before + strlen(room));
}

/* ---- reals ---- */

/* 0.digits * 10^exponent */
struct digits {
    char text[REAL_DIGITS_MAX + 3];
    mpfr_exp_t exponent;
};

/* The nearest number of `count` digits; false: it reads back as another one. */
static bool round_to_digits(mpfr_srcptr magnitude, size_t count, struct digits *digits)
{
    mpfr_get_str(digits->text, &digits->exponent, 10, count, magnitude, MPFR_RNDN);
    char text[sizeof digits->text + 32];
    snprintf(text, sizeof text, "0.%se%ld", digits->text, (long)digits->exponent);
    struct real_room room;
    mpfr_ptr read = number_real_room(&room);
    mpfr_strtofr(read, text, NULL, 10, MPFR_RNDN);
    return mpfr_equal_p(read, magnitude);
}

static void write_decimal(uint64_t decimal, unsigned power, struct digits *digits)
{
    int length = snprintf(digits->text, sizeof digits->text, "%llu", (unsigned long long)decimal);
    digits->exponent = length - (mpfr_exp_t)power;
}

static void find_shortest(const struct number *magnitude, struct digits *digits)
{
    uint64_t decimal;
    unsigned power;
    if (number_to_decimal(magnitude, &decimal, &power)) {
        write_decimal(decimal, power, digits);
        return;
    }
    struct real_view view;
    mpfr_srcptr real = number_view_real(magnitude, &view);
    size_t count = round_to_digits(real, REAL_DIGITS_MANY, digits) ? 1 : REAL_DIGITS_MANY + 1;
    while (!round_to_digits(real, count, digits) && count < REAL_DIGITS_MAX)
        count++;
}

static void print_zeros(size_t count, struct buffer *out)
{
    for (size_t i = 0; i < count; i++)
        buffer_byte(out, '0');
}

static void print_with_exponent(const struct digits *digits, struct buffer *out)
{
    buffer_byte(out, (uint8_t)digits->text[0]);
    if (digits->text[1] != '\0')
        buffer_format(out, ".%s", digits->text + 1);
    buffer_format(out, "e%ld", (long)digits->exponent - 1);
}

/* A real that is not whole has digits behind the point. */
static void print_plain(const struct digits *digits, struct buffer *out)
{
    if (digits->exponent <= 0) {
        buffer_text(out, "0.");
        print_zeros((size_t)-digits->exponent, out);
        buffer_text(out, digits->text);
        return;
    }
    size_t whole = (size_t)digits->exponent;
    buffer_append(out, digits->text, whole);
    buffer_format(out, ".%s", digits->text + whole);
}

static void print_real(const struct number *number, struct buffer *out)
{
    struct number magnitude = *number;
    magnitude.negative = false;
    struct digits digits;
    find_shortest(&magnitude, &digits);
    if (number->negative)
        buffer_byte(out, '-');
    if (digits.exponent - 1 < PLAIN_EXPONENT_MIN)
        print_with_exponent(&digits, out);
    else
        print_plain(&digits, out);
}

/* ---- both ---- */

/* Faster than a format, for what is printed most. */
static void print_small(int64_t small, struct buffer *out)
{
    char text[24];
    size_t at = sizeof text;
    uint64_t left = small < 0 ? -(uint64_t)small : (uint64_t)small;
    do {
        text[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (small < 0)
        text[--at] = '-';
    buffer_append(out, text + at, sizeof text - at);
}

void number_print(const struct number *number, struct buffer *out)
{
    struct integer_view view;
    if (number->form == NUMBER_SMALL)
        print_small(number->small, out);
    else if (number->form == NUMBER_BIG)
        print_integer(number_view_integer(number, &view), 10, out);
    else
        print_real(number, out);
}

void number_print_base(const struct number *number, unsigned base, struct buffer *out)
{
    REQUIRE(base == 2 || base == 8 || base == 10 || base == 16);
    struct integer_view view;
    if (number->form != NUMBER_REAL) {
        print_integer(number_view_integer(number, &view), (int)base, out);
        return;
    }
    mpz_t whole;
    mpz_init(whole);
    struct real_view real;
    mpfr_get_z(whole, number_view_real(number, &real), MPFR_RNDZ);
    print_integer(whole, (int)base, out);
    mpz_clear(whole);
}
