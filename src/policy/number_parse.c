#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/number_form.h"

#define SMALL_DIGITS 18 /* fit in 64 bits with a sign whatever they are */
#define SHORT_DIGITS 19 /* fit in 64 bits without one */

/* A number's text, taken apart (RFC 8259 section 6). */
struct parts {
    bool negative;
    const char *whole, *fraction; /* digits */
    size_t whole_digits, fraction_digits;
    int exponent; /* limited to +-(NUMBER_EXPONENT_MAX + 1) */
    size_t size_bytes;
};

static size_t count_digits(const char *text, size_t size_bytes)
{
    size_t count = 0;
    while (count < size_bytes && text[count] >= '0' && text[count] <= '9')
        count++;
    return count;
}

static int read_exponent(const char *digits, size_t count)
{
    int exponent = 0;
    for (size_t i = 0; i < count && exponent <= NUMBER_EXPONENT_MAX; i++)
        exponent = exponent * 10 + (digits[i] - '0');
    return MIN(exponent, NUMBER_EXPONENT_MAX + 1);
}

/* From a 'e' on: gives its length; 0 when no exponent is there. */
static size_t take_exponent(const char *text, size_t size_bytes, int *exponent)
{
    if (size_bytes == 0 || (text[0] | 0x20) != 'e')
        return 0;
    size_t at = 1;
    bool negative = at < size_bytes && text[at] == '-';
    if (at < size_bytes && (text[at] == '-' || text[at] == '+'))
        at++;
    size_t digits = count_digits(text + at, size_bytes - at);
    if (digits == 0)
        return 0;
    *exponent = read_exponent(text + at, digits);
    if (negative)
        *exponent = -*exponent;
    return at + digits;
}

static bool take_apart(const char *text, size_t size_bytes, struct parts *parts)
{
    size_t at = 0;
    *parts = (struct parts){.negative = size_bytes > 0 && text[0] == '-', .fraction = text};
    at += parts->negative;
    parts->whole = text + at;
    parts->whole_digits = count_digits(text + at, size_bytes - at);
    if (parts->whole_digits == 0)
        return false;
    if (parts->whole[0] == '0')
        parts->whole_digits = 1;
    at += parts->whole_digits;
    if (at + 1 < size_bytes && text[at] == '.')
        parts->fraction_digits = count_digits(text + at + 1, size_bytes - at - 1);
    if (parts->fraction_digits > 0) {
        parts->fraction = text + at + 1;
        at += 1 + parts->fraction_digits;
    }
    parts->size_bytes = at + take_exponent(text + at, size_bytes - at, &parts->exponent);
    return true;
}

size_t number_length(const char *text, size_t size_bytes)
{
    struct parts parts;
    return take_apart(text, size_bytes, &parts) ? parts.size_bytes : 0;
}

static struct number read_small(const struct parts *parts)
{
    int64_t small = 0;
    for (size_t i = 0; i < parts->whole_digits; i++)
        small = small * 10 + (parts->whole[i] - '0');
    return number_small(parts->negative ? -small : small);
}

/* The same number as an integer times a power of ten, without zeros at either end. */
struct decimal {
    size_t count;
    int64_t exponent;
    char text[1 + NUMBER_DIGITS_MAX + 16]; /* a sign, `count` digits, room for an exponent */
};

static bool append_digits(struct decimal *decimal, const char *digits, size_t count)
{
    size_t skipped = 0;
    if (decimal->count == 0)
        while (skipped < count && digits[skipped] == '0')
            skipped++;
    if (count - skipped > NUMBER_DIGITS_MAX - decimal->count)
        return false;
    if (count > skipped)
        memcpy(decimal->text + 1 + decimal->count, digits + skipped, count - skipped);
    decimal->count += count - skipped;
    return true;
}

static size_t count_zeros_behind(const char *digits, size_t count)
{
    size_t zeros = 0;
    while (zeros < count && digits[count - 1 - zeros] == '0')
        zeros++;
    return zeros;
}

static bool to_decimal(const struct parts *parts, struct decimal *decimal)
{
    size_t zeros = count_zeros_behind(parts->fraction, parts->fraction_digits);
    size_t fraction_digits = parts->fraction_digits - zeros;
    decimal->count = 0;
    decimal->text[0] = parts->negative ? '-' : '+';
    if (!append_digits(decimal, parts->whole, parts->whole_digits) ||
        !append_digits(decimal, parts->fraction, fraction_digits))
        return false;
    zeros = count_zeros_behind(decimal->text + 1, decimal->count);
    decimal->count -= zeros;
    decimal->exponent = (int64_t)parts->exponent - (int64_t)fraction_digits + (int64_t)zeros;
    return true;
}

static bool read_integer(struct arena *arena, struct decimal *decimal, struct number *out)
{
    if (decimal->exponent > NUMBER_DIGITS_MAX - (int64_t)decimal->count)
        return false;
    char *end = decimal->text + 1 + decimal->count;
    memset(end, '0', (size_t)decimal->exponent);
    end[decimal->exponent] = '\0';
    mpz_t integer;
    mpz_init_set_str(integer, decimal->text + 1, 10);
    if (decimal->text[0] == '-')
        mpz_neg(integer, integer);
    bool made = number_from_integer(arena, integer, out);
    mpz_clear(integer);
    return made;
}

static bool read_short_real(const struct decimal *decimal, struct number *out)
{
    if (decimal->count > SHORT_DIGITS || decimal->exponent < -SHORT_DIGITS)
        return false;
    uint64_t digits = 0;
    for (size_t i = 1; i <= decimal->count; i++)
        digits = digits * 10 + (uint64_t)(decimal->text[i] - '0');
    return number_from_decimal(decimal->text[0] == '-', digits, (unsigned)-decimal->exponent, out);
}

static bool read_real(struct arena *arena, struct decimal *decimal, struct number *out)
{
    if (read_short_real(decimal, out))
        return true;
    if ((int64_t)decimal->count + decimal->exponent <= -NUMBER_EXPONENT_MAX)
        return false;
    snprintf(decimal->text + 1 + decimal->count, 16, "e%d", (int)decimal->exponent);
    struct real_room room;
    mpfr_ptr real = number_real_room(&room);
    mpfr_strtofr(real, decimal->text, NULL, 10, MPFR_RNDN);
    return number_from_real(arena, real, out);
}

bool number_parse(struct arena *arena, const char *text, size_t size_bytes, struct number *out)
{
    struct parts parts;
    if (!take_apart(text, size_bytes, &parts) || parts.size_bytes != size_bytes)
        return false;
    if (parts.whole_digits <= SMALL_DIGITS && parts.fraction_digits == 0 && parts.exponent == 0) {
        *out = read_small(&parts);
        return true;
    }
    struct decimal decimal;
    if (abs(parts.exponent) > NUMBER_EXPONENT_MAX || !to_decimal(&parts, &decimal))
        return false;
    if (decimal.count == 0) {
        *out = number_small(0);
        return true;
    }
    return decimal.exponent >= 0 ? read_integer(arena, &decimal, out)
                                 : read_real(arena, &decimal, out);
}
