#include <stdlib.h>
#include <string.h>

#include "policy/number_form.h"

#define SMALL_DIGITS 18 /* fit in 64 bits with a sign whatever they are */
#define SHORT_DIGITS 19 /* fit in 64 bits without one */
#define LONG_DIGITS 38  /* of a real: the rest of them seldom matters */

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

static mp_limb_t read_limb(const char *digits, size_t count)
{
    mp_limb_t limb = 0;
    for (size_t i = 0; i < count; i++)
        limb = limb * 10 + (mp_limb_t)(digits[i] - '0');
    return limb;
}

static struct number read_small(const struct parts *parts)
{
    int64_t small = (int64_t)read_limb(parts->whole, parts->whole_digits);
    return number_small(parts->negative ? -small : small);
}

/* The same number as an integer times a power of ten, without zeros at either end. */
struct decimal {
    bool negative;
    size_t count;
    int64_t exponent;
    char text[NUMBER_DIGITS_MAX]; /* `count` digits */
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
        memcpy(decimal->text + decimal->count, digits + skipped, count - skipped);
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
    decimal->negative = parts->negative;
    if (!append_digits(decimal, parts->whole, parts->whole_digits) ||
        !append_digits(decimal, parts->fraction, fraction_digits))
        return false;
    zeros = count_zeros_behind(decimal->text, decimal->count);
    decimal->count -= zeros;
    decimal->exponent = (int64_t)parts->exponent - (int64_t)fraction_digits + (int64_t)zeros;
    return true;
}

/* Limb by limb; the first digit is not 0. */
static mp_size_t read_digits(const char *digits, size_t count, mp_limb_t *limbs)
{
    size_t at = (count - 1) % SHORT_DIGITS + 1;
    mp_size_t size = 1;
    limbs[0] = read_limb(digits, at);
    for (; at < count; at += SHORT_DIGITS) {
        limbs[size] = mpn_mul_1(limbs, limbs, size, number_powers_of_ten[SHORT_DIGITS]);
        mpn_add_1(limbs, limbs, size + 1, read_limb(digits + at, SHORT_DIGITS));
        size += limbs[size] != 0;
    }
    return size;
}

static bool read_integer(struct arena *arena, struct decimal *decimal, struct number *out)
{
    if (decimal->exponent > NUMBER_DIGITS_MAX - (int64_t)decimal->count)
        return false;
    memset(decimal->text + decimal->count, '0', (size_t)decimal->exponent);
    mp_limb_t limbs[BIG_LIMBS_MAX + 1];
    struct exact integer = {.negative = decimal->negative, .limbs = limbs};
    integer.count = read_digits(decimal->text, decimal->count + (size_t)decimal->exponent, limbs);
    return number_from_exact(arena, integer, out);
}

static bool read_short_real(const struct decimal *decimal, struct number *out)
{
    if (decimal->count > SHORT_DIGITS || decimal->exponent < -SHORT_DIGITS)
        return false;
    return number_from_decimal(decimal->negative, read_limb(decimal->text, decimal->count),
                               (unsigned)-decimal->exponent, out);
}

/* Rounding keeps the order: when what is cut off makes no difference at its most, it makes none. */
static bool read_long_real(struct arena *arena, const struct decimal *decimal, struct number *out)
{
    int64_t exponent = decimal->exponent + (int64_t)decimal->count - LONG_DIGITS;
    if (decimal->count <= LONG_DIGITS || exponent >= 0)
        return false;
    mp_limb_t limbs[LONG_DIGITS / SHORT_DIGITS + 1];
    struct exact digits = {.negative = decimal->negative, .limbs = limbs};
    digits.count = read_digits(decimal->text, LONG_DIGITS, limbs);
    struct number further;
    if (!number_from_digits(arena, &digits, (unsigned)-exponent, out))
        return false;
    mpn_add_1(limbs, limbs, digits.count, 1);
    return number_from_digits(arena, &digits, (unsigned)-exponent, &further) &&
           number_compare(out, &further) == 0;
}

static bool read_real(struct arena *arena, const struct decimal *decimal, struct number *out)
{
    if (read_short_real(decimal, out))
        return true;
    if ((int64_t)decimal->count + decimal->exponent <= -NUMBER_EXPONENT_MAX)
        return false;
    if (read_long_real(arena, decimal, out))
        return true;
    mp_limb_t limbs[BIG_LIMBS_MAX + 1];
    struct exact digits = {.negative = decimal->negative, .limbs = limbs};
    digits.count = read_digits(decimal->text, decimal->count, limbs);
    return number_from_digits(arena, &digits, (unsigned)-decimal->exponent, out);
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
