/* Numbers as ECMAScript writes them (ECMA-262 section 6.1.6.1.20, Number::toString), which is what
 * RFC 8785 section 3.2.2.3 asks for. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define DIGITS_MAX 17 /* always enough for a double */

/* 0.d1d2d3... * 10^point, with `count` digits. */
struct decimal {
    char digits[DIGITS_MAX + 1];
    int count;
    int point;
};

/* Through "<digits>e<exponent>", which is the same in every locale. */
static bool reads_back(const struct decimal *decimal, double number)
{
    char text[DIGITS_MAX + 16];
    snprintf(text, sizeof text, "%se%d", decimal->digits, decimal->point - decimal->count);
    return strtod(text, NULL) == number;
}

/* The nearest decimal with `count` digits. */
static struct decimal nearest(double number, int count)
{
    char text[DIGITS_MAX + 16];
    snprintf(text, sizeof text, "%.*e", count - 1, number);
    struct decimal decimal = {.count = count};
    const char *at = text;
    for (int i = 0; i < count; at++) /* past the decimal point, whatever the locale has for it */
        if (*at >= '0' && *at <= '9')
            decimal.digits[i++] = *at;
    decimal.point = (int)strtol(strchr(at, 'e') + 1, NULL, 10) + 1;
    return decimal;
}

/* The fewest digits that read back. Above a power of two the doubles lie twice as far apart as
 * below it, so there the next decimal up may read back when the nearest, below, does not
 * (2^-44 is 5.684341886080802e-14). A last digit 9 needs no such try: the sum would have fewer
 * digits, and was tried before. */
static struct decimal shortest(double number)
{
    struct decimal decimal;
    for (int count = 1;; count++) {
        decimal = nearest(number, count);
        if (count == DIGITS_MAX || reads_back(&decimal, number))
            return decimal;
        char *last = &decimal.digits[count - 1];
        if (*last == '9')
            continue;
        ++*last;
        if (reads_back(&decimal, number))
            return decimal;
    }
}

static void append_zeros(struct buffer *out, int count)
{
    for (int i = 0; i < count; i++)
        buffer_byte(out, '0');
}

static void append_exponential(struct buffer *out, const struct decimal *decimal)
{
    buffer_byte(out, (uint8_t)decimal->digits[0]);
    if (decimal->count > 1)
        buffer_format(out, ".%s", decimal->digits + 1);
    buffer_format(out, "e%+d", decimal->point - 1);
}

void json_append_double(struct buffer *out, double number)
{
    REQUIRE(isfinite(number));
    if (number == 0) { /* and -0 */
        buffer_byte(out, '0');
        return;
    }
    if (number < 0)
        buffer_byte(out, '-');

    struct decimal decimal = shortest(fabs(number));
    int point = decimal.point;
    if (point > 21 || point <= -6) {
        append_exponential(out, &decimal);
    } else if (point <= 0) {
        buffer_text(out, "0.");
        append_zeros(out, -point);
        buffer_text(out, decimal.digits);
    } else if (point >= decimal.count) {
        buffer_text(out, decimal.digits);
        append_zeros(out, point - decimal.count);
    } else {
        buffer_format(out, "%.*s.%s", point, decimal.digits, decimal.digits + point);
    }
}
