/* policy/sprintf_integer.c -- %d %b %o %x %c %q %U of integers. */
#include <stdio.h>
#include <string.h>

#include "policy/runes.h"
#include "policy/sprintf.h"

/* The digits of a number in the base of a verb, without sign. */
static unsigned base_of(uint32_t verb)
{
    switch (verb) {
    case 'b':
        return 2;
    case 'o':
    case 'O':
        return 8;
    case 'x':
    case 'X':
        return 16;
    default:
        return 10;
    }
}

static bool print_digits(const struct number *number, uint32_t verb, struct buffer *digits)
{
    number_print_base(number, base_of(verb), digits);
    for (size_t i = 0; verb == 'X' && i < digits->size_bytes; i++)
        if (digits->bytes[i] >= 'a')
            digits->bytes[i] = (char)(digits->bytes[i] - 'a' + 'A');
    return digits->failure == LETHE_OK && digits->bytes[0] == '-';
}

static const char *prefix_of(const struct format_verb *format, bool zero_in_front, bool big)
{
    if (format->verb == 'O')
        return format->sharp && !big && !zero_in_front ? "0o0" : "0o";
    if (!format->sharp || (format->verb == 'o' && zero_in_front && !big))
        return "";
    switch (format->verb) {
    case 'b':
        return "0b";
    case 'o':
        return "0";
    case 'x':
        return "0x";
    case 'X':
        return "0X";
    default:
        return "";
    }
}

static const char *sign_of(const struct format_verb *format, bool negative, bool big)
{
    bool plus = format->plus || (big && format->plus_of_big);
    return negative ? "-" : plus ? "+" : format->space ? " " : "";
}

/* sign, prefix, zeros, digits */
struct layout {
    const char *sign, *prefix, *digits;
    size_t digit_count, zeros;
};

static lethe_result print_layout(struct sprintf *sprintf, const struct layout *layout)
{
    size_t length =
        strlen(layout->sign) + strlen(layout->prefix) + layout->zeros + layout->digit_count;
    size_t width = sprintf->format.has_width ? (size_t)sprintf->format.width : 0;
    size_t missing = width > length ? width - length : 0;
    bool left = sprintf->format.minus;
    TRY(sprintf_spaces(sprintf, left ? 0 : missing, ' '));
    TRY(builtin_append(sprintf->call, &sprintf->out, layout->sign, strlen(layout->sign)));
    TRY(builtin_append(sprintf->call, &sprintf->out, layout->prefix, strlen(layout->prefix)));
    TRY(sprintf_spaces(sprintf, layout->zeros, '0'));
    TRY(builtin_append(sprintf->call, &sprintf->out, layout->digits, layout->digit_count));
    return sprintf_spaces(sprintf, left ? missing : 0, ' ');
}

/* How many digits there are to be: the precision, or with %0 what fills the width. The prefix of a
 * small integer comes on top of the width, that of a big one does not: so it is in Go. */
static size_t least_digits(const struct format_verb *format, const struct layout *layout, bool big)
{
    if (format->has_precision)
        return (size_t)format->precision;
    if (!format->zero || format->minus || !format->has_width)
        return 0;
    size_t others = strlen(layout->sign) + (big ? strlen(layout->prefix) : 0);
    return (size_t)format->width > others ? (size_t)format->width - others : 0;
}

static lethe_result print_integer(struct sprintf *sprintf, const struct number *number, bool big)
{
    const struct format_verb *format = &sprintf->format;
    CLEANUP(buffer_clear) struct buffer digits = {0};
    bool negative = print_digits(number, format->verb, &digits);
    TRY(digits.failure);
    bool zero = digits.size_bytes == 1 && digits.bytes[0] == '0';
    if (zero && format->has_precision && format->precision == 0)
        return big ? LETHE_OK
                   : sprintf_spaces(sprintf, format->has_width ? (size_t)format->width : 0, ' ');
    struct layout layout = {
        .sign = sign_of(format, negative, big),
        .prefix = prefix_of(format, zero, big),
        .digits = digits.bytes + negative,
        .digit_count = digits.size_bytes - negative,
    };
    size_t least = least_digits(format, &layout, big);
    layout.zeros = least > layout.digit_count ? least - layout.digit_count : 0;
    layout.prefix = prefix_of(format, zero || layout.zeros > 0, big);
    return print_layout(sprintf, &layout);
}

lethe_result sprintf_big(struct sprintf *sprintf, const struct number *number)
{
    return print_integer(sprintf, number, true);
}

/* ---- as characters ---- */

static lethe_result print_rune(struct sprintf *sprintf, uint64_t rune)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    char encoded[RUNE_BYTES_MAX];
    if (sprintf->format.verb == 'c')
        return sprintf_padded(sprintf, encoded, rune_encode(rune, encoded));
    bool is_rune = rune <= 0x10FFFF && (rune < 0xD800 || rune > 0xDFFF);
    buffer_byte(&text, '\'');
    sprintf_quote_rune(is_rune ? (uint32_t)rune : RUNE_REPLACEMENT, sprintf->format.plus, '\'',
                       &text);
    buffer_byte(&text, '\'');
    TRY(text.failure);
    return sprintf_padded(sprintf, text.bytes, text.size_bytes);
}

/* "U+0078", with # also "U+0078 'x'" */
static lethe_result print_code_point(struct sprintf *sprintf, uint64_t rune)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    char digits[24], encoded[RUNE_BYTES_MAX + 1] = {0};
    size_t count = (size_t)snprintf(digits, sizeof digits, "%llX", (unsigned long long)rune);
    size_t least = sprintf->format.has_precision ? (size_t)sprintf->format.precision : 0;
    least = MAX(least, 4);
    buffer_text(&text, "U+");
    for (; count < least; least--) {
        TRY(builtin_spend(sprintf->call, 1));
        buffer_byte(&text, '0');
    }
    buffer_text(&text, digits);
    if (sprintf->format.sharp && rune <= 0x10FFFF && sprintf_is_visible((uint32_t)rune)) {
        rune_encode(rune, encoded);
        buffer_format(&text, " '%s'", encoded);
    }
    TRY(text.failure);
    sprintf->format.zero = false;
    return sprintf_padded(sprintf, text.bytes, text.size_bytes);
}

lethe_result sprintf_integer(struct sprintf *sprintf, const struct number *number)
{
    switch (sprintf->format.verb) {
    case 'c':
    case 'q':
        return print_rune(sprintf, (uint64_t)number->small);
    case 'U':
        return print_code_point(sprintf, (uint64_t)number->small);
    default:
        return print_integer(sprintf, number, false);
    }
}
