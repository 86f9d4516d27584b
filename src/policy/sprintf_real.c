/* policy/sprintf_real.c -- %v %e %f %g %b %x of floating-point numbers.
 *
 * libc gives the digits (they are exact); where they go is as in Go. A decimal point from libc is
 * whatever the process's locale says: it is only ever skipped. */
#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/sprintf.h"

#define SHORTEST (-1)
#define DOUBLE_DIGITS_MAX 17 /* that are ever needed to tell two doubles apart */

/* A number as 0.d1d2d3... * 10^point, and its sign. */
struct decimal {
    struct buffer digits;
    int point;
    bool negative;
};

static void decimal_clear_at_scope_end(struct decimal *decimal)
{
    buffer_clear(&decimal->digits);
}

static void keep_digits(const char *text, struct buffer *digits)
{
    for (; *text != '\0' && *text != 'e'; text++)
        if (isdigit((unsigned char)*text))
            buffer_byte(digits, (uint8_t)*text);
}

/* `count` significant digits, rounded; count is at least 1. */
static void round_to_digits(double magnitude, int count, struct decimal *decimal)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    buffer_format(&text, "%.*e", count - 1, magnitude);
    buffer_clear(&decimal->digits);
    if (text.failure != LETHE_OK) {
        decimal->digits.failure = text.failure;
        return;
    }
    keep_digits(text.bytes, &decimal->digits);
    decimal->point = (int)strtol(strrchr(text.bytes, 'e') + 1, NULL, 10) + 1;
}

static bool reads_back(const struct decimal *decimal, double magnitude)
{
    char text[DOUBLE_DIGITS_MAX + 16];
    snprintf(text, sizeof text, "%.*se%d", (int)decimal->digits.size_bytes, decimal->digits.bytes,
             decimal->point - (int)decimal->digits.size_bytes);
    return strtod(text, NULL) == magnitude;
}

static void drop_zeros(struct decimal *decimal)
{
    struct buffer *digits = &decimal->digits;
    while (digits->size_bytes > 0 && digits->bytes[digits->size_bytes - 1] == '0')
        buffer_truncate(digits, digits->size_bytes - 1);
    if (digits->size_bytes == 0)
        decimal->point = 0;
}

/* The fewest digits that read back as the same number. */
static void shortest_digits(double magnitude, struct decimal *decimal)
{
    for (int count = 1; count <= DOUBLE_DIGITS_MAX; count++) {
        round_to_digits(magnitude, count, decimal);
        if (decimal->digits.failure != LETHE_OK || reads_back(decimal, magnitude))
            break;
    }
    drop_zeros(decimal);
}

/* All digits before, and `fraction` of those behind the point. */
static void round_to_fraction(double magnitude, int fraction, struct decimal *decimal)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    buffer_format(&text, "%.*f", fraction, magnitude);
    buffer_clear(&decimal->digits);
    decimal->digits.failure = text.failure;
    if (text.failure != LETHE_OK)
        return;
    keep_digits(text.bytes, &decimal->digits);
    decimal->point = (int)decimal->digits.size_bytes - fraction;
}

static char digit_at(const struct decimal *decimal, int i)
{
    return i >= 0 && (size_t)i < decimal->digits.size_bytes ? decimal->digits.bytes[i] : '0';
}

/* d.ddde+dd, with `fraction` digits behind the point */
static void write_exponent(const struct decimal *decimal, int fraction, char e, struct buffer *out)
{
    int exponent = decimal->digits.size_bytes > 0 ? decimal->point - 1 : 0;
    buffer_byte(out, (uint8_t)digit_at(decimal, 0));
    buffer_text(out, fraction > 0 ? "." : "");
    for (int i = 1; i <= fraction; i++)
        buffer_byte(out, (uint8_t)digit_at(decimal, i));
    buffer_format(out, "%c%c%02d", e, exponent < 0 ? '-' : '+', abs(exponent));
}

/* ddd.ddd */
static void write_plain(const struct decimal *decimal, int fraction, struct buffer *out)
{
    for (int i = 0; i < decimal->point; i++)
        buffer_byte(out, (uint8_t)digit_at(decimal, i));
    buffer_text(out, decimal->point > 0 ? "" : "0");
    buffer_text(out, fraction > 0 ? "." : "");
    for (int i = 0; i < fraction; i++)
        buffer_byte(out, (uint8_t)digit_at(decimal, decimal->point + i));
}

/* %e for exponents below -4 or not below the precision (6 when it is the shortest), else %f. */
static void write_general(struct decimal *decimal, int precision, char e, struct buffer *out)
{
    int count = (int)decimal->digits.size_bytes;
    int limit = precision;
    if (limit > count && count >= decimal->point)
        limit = count;
    if (precision == SHORTEST)
        limit = 6;
    int exponent = decimal->point - 1;
    if (count > 0 && (exponent < -4 || exponent >= limit))
        write_exponent(decimal, count - 1, e, out);
    else
        write_plain(decimal, MAX(count - decimal->point, 0), out);
}

static void write_decimal(double magnitude, uint32_t verb, int precision, struct buffer *out)
{
    CLEANUP(decimal_clear) struct decimal decimal = {0};
    bool exponent = verb == 'e' || verb == 'E', plain = verb == 'f' || verb == 'F';
    if (precision == SHORTEST)
        shortest_digits(magnitude, &decimal);
    else if (plain)
        round_to_fraction(magnitude, precision, &decimal);
    else
        round_to_digits(magnitude, exponent ? precision + 1 : MAX(precision, 1), &decimal);
    if (!exponent && !plain)
        drop_zeros(&decimal);
    if (exponent)
        write_exponent(&decimal, precision, (char)verb, out);
    else if (plain)
        write_plain(&decimal, precision, out);
    else
        write_general(&decimal, precision == 0 ? 1 : precision, verb == 'G' ? 'E' : 'e', out);
}

/* ---- bits ---- */

/* "4503599627370496p-52": the significand as an integer, and the exponent of two. */
static void write_bits(double magnitude, struct buffer *out)
{
    int exponent;
    double significand = frexp(magnitude, &exponent);
    int shift = MIN(DBL_MANT_DIG, exponent - (DBL_MIN_EXP - DBL_MANT_DIG)); /* less below normal */
    buffer_format(out, "%.0fp%+d", ldexp(significand, shift), exponent - shift);
}

/* "0x1.8p+00": libc's, with a point, and at least two digits of exponent. */
static void write_hex(double magnitude, int precision, struct buffer *out)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    int shift = magnitude < DBL_MIN ? DBL_MANT_DIG : 0; /* below normal libc would begin with 0 */
    if (precision == SHORTEST)
        buffer_format(&text, "%a", ldexp(magnitude, shift));
    else
        buffer_format(&text, "%.*a", precision, ldexp(magnitude, shift));
    if (text.failure != LETHE_OK) {
        out->failure = text.failure;
        return;
    }
    char *power = strrchr(text.bytes, 'p');
    bool carried = text.bytes[2] == '2'; /* 0x1.8 rounded to 0x2: 0x1 and one more power of two */
    text.bytes[2] = carried ? '1' : text.bytes[2];
    bool in_point = false;
    for (const char *at = text.bytes; at < power; at++) {
        bool digit = isalnum((unsigned char)*at);
        if (digit || !in_point)
            buffer_byte(out, digit ? (uint8_t)*at : '.');
        in_point = !digit;
    }
    int exponent = (int)strtol(power + 1, NULL, 10) - shift + carried;
    buffer_format(out, "p%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
}

/* With #: a point in any case, and %g and %x keep the zeros that make up the precision (for which
 * Go counts the x of 0x as a digit). */
static void add_point(const struct format_verb *format, struct buffer *text)
{
    CLEANUP(buffer_clear) struct buffer tail = {0};
    bool counted = strchr("vgGx", (int)format->verb) != NULL;
    const char *exponent = format->verb == 'x' || format->verb == 'X' ? "pP" : "eE";
    int missing = !counted ? 0 : format->has_precision ? format->precision : 6;
    bool point = false, significant = false;
    size_t end = 0;
    for (; end < text->size_bytes && strchr(exponent, text->bytes[end]) == NULL; end++) {
        point = point || text->bytes[end] == '.';
        significant = significant || (text->bytes[end] != '0' && text->bytes[end] != '.');
        missing -= significant && text->bytes[end] != '.';
    }
    buffer_append(&tail, text->bytes + end, text->size_bytes - end);
    buffer_truncate(text, end);
    if (!point)
        missing -= end == 1 && text->bytes[0] == '0';
    buffer_text(text, point ? "" : ".");
    for (; missing > 0; missing--)
        buffer_byte(text, '0');
    buffer_append(text, tail.bytes, tail.size_bytes);
    if (tail.failure != LETHE_OK)
        text->failure = tail.failure;
}

/* ---- */

static void write_magnitude(const struct format_verb *format, double magnitude, struct buffer *out)
{
    bool general = strchr("vgGxX", (int)format->verb) != NULL;
    int precision = format->has_precision ? format->precision : general ? SHORTEST : 6;
    if (format->verb == 'b')
        write_bits(magnitude, out);
    else if (format->verb == 'x' || format->verb == 'X')
        write_hex(magnitude, precision, out);
    else
        write_decimal(magnitude, format->verb, precision, out);
    for (size_t i = 0; format->verb == 'X' && i < out->size_bytes; i++)
        out->bytes[i] = (char)toupper((unsigned char)out->bytes[i]);
    if (format->sharp && format->verb != 'b')
        add_point(format, out);
}

/* With %0 the zeros stand between the sign and the digits. */
static lethe_result print_signed(struct sprintf *sprintf, const char *sign,
                                 const struct buffer *magnitude)
{
    struct format_verb *format = &sprintf->format;
    CLEANUP(buffer_clear) struct buffer text = {0};
    size_t width = format->has_width ? (size_t)format->width : 0;
    size_t length = strlen(sign) + magnitude->size_bytes;
    buffer_text(&text, sign);
    if (format->zero && !format->minus && width > length) {
        TRY(builtin_append(sprintf->call, &sprintf->out, sign, strlen(sign)));
        TRY(sprintf_spaces(sprintf, width - length, '0'));
        return builtin_append(sprintf->call, &sprintf->out, magnitude->bytes,
                              magnitude->size_bytes);
    }
    buffer_append(&text, magnitude->bytes, magnitude->size_bytes);
    TRY(text.failure);
    return sprintf_padded(sprintf, text.bytes, text.size_bytes);
}

lethe_result sprintf_real(struct sprintf *sprintf, double number)
{
    const struct format_verb *format = &sprintf->format;
    CLEANUP(buffer_clear) struct buffer magnitude = {0};
    if (format->has_precision)
        TRY(builtin_spend(sprintf->call, (uint64_t)format->precision));
    write_magnitude(format, fabs(number), &magnitude);
    TRY(magnitude.failure);
    const char *sign = signbit(number) ? "-" : format->plus ? "+" : format->space ? " " : "";
    return print_signed(sprintf, sign, &magnitude);
}
