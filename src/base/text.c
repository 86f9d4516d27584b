#include "base/text.h"

#include <stdio.h>
#include <time.h>

static const char hex_digits[] = "0123456789abcdef";

void hex_encode(const void *bytes, size_t size_bytes, char *out)
{
    const uint8_t *in = bytes;
    for (size_t i = 0; i < size_bytes; i++) {
        *out++ = hex_digits[in[i] >> 4];
        *out++ = hex_digits[in[i] & 15];
    }
    *out = '\0';
}

/* Of a lower-case digit. */
static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return -1;
}

lethe_result hex_decode(const char *text, size_t length, void *out, size_t size_bytes)
{
    if (length % 2 != 0 || length / 2 != size_bytes)
        return LETHE_MALFORMED;
    uint8_t *bytes = out;
    for (size_t i = 0; i < size_bytes; i++) {
        int high = hex_value(text[2 * i]);
        int low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return LETHE_MALFORMED;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return LETHE_OK;
}

int hex_digit_value(char digit)
{
    bool is_upper = digit >= 'A' && digit <= 'F';
    return hex_value(is_upper ? (char)(digit - 'A' + 'a') : digit);
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_write(const void *bytes, size_t size_bytes, char *out)
{
    const uint8_t *in = bytes;
    size_t i = 0;
    for (; i + 3 <= size_bytes; i += 3, out += 4) {
        uint32_t bits = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
        out[0] = base64_digits[bits >> 18];
        out[1] = base64_digits[bits >> 12 & 63];
        out[2] = base64_digits[bits >> 6 & 63];
        out[3] = base64_digits[bits & 63];
    }
    if (i == size_bytes)
        return;
    bool two = i + 2 == size_bytes;
    uint32_t bits = (uint32_t)in[i] << 16 | (two ? (uint32_t)in[i + 1] << 8 : 0);
    out[0] = base64_digits[bits >> 18];
    out[1] = base64_digits[bits >> 12 & 63];
    out[2] = two ? base64_digits[bits >> 6 & 63] : '=';
    out[3] = '=';
}

void base64_append(struct buffer *buffer, const void *bytes, size_t size_bytes)
{
    char *out = buffer_extend(buffer, BASE64_LENGTH(size_bytes));
    if (out != NULL)
        base64_write(bytes, size_bytes, out);
}

/* The value of each digit and one more; 0: it is none. */
static const uint8_t base64_values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

/* The 24 bits of four digits; more when one of them is none, as 0 - 1 has all bits set. */
static uint32_t base64_bits(const char *text)
{
    uint32_t a = base64_values[(uint8_t)text[0]] - 1u;
    uint32_t b = base64_values[(uint8_t)text[1]] - 1u;
    uint32_t c = base64_values[(uint8_t)text[2]] - 1u;
    uint32_t d = base64_values[(uint8_t)text[3]] - 1u;
    return a << 18 | b << 12 | c << 6 | d | ((a | b | c | d) & 0x80000000u);
}

/* The last group, which has 2 or 3 digits; bits that no byte uses must be zero, so that every value
 * has one spelling (RFC 4648 section 3.5). */
static lethe_result base64_last(const char *text, size_t padding, uint8_t *out)
{
    const char filled[4] = {text[0], text[1], padding == 2 ? 'A' : text[2], 'A'};
    uint32_t bits = base64_bits(filled);
    uint32_t spare = padding == 2 ? 0xffff : 0xff;
    if (bits >> 24 != 0 || (bits & spare) != 0)
        return LETHE_MALFORMED;
    out[0] = (uint8_t)(bits >> 16);
    if (padding == 1)
        out[1] = (uint8_t)(bits >> 8);
    return LETHE_OK;
}

lethe_result base64_decode(const char *text, size_t length, void *out, size_t capacity_bytes,
                           size_t *size_bytes)
{
    if (length % 4 != 0)
        return LETHE_MALFORMED;
    size_t padding = 0;
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
        padding++;
    if (length / 4 * 3 - padding > capacity_bytes)
        return LETHE_MALFORMED;

    uint8_t *bytes = out;
    uint32_t seen = 0;
    size_t whole = padding > 0 ? length - 4 : length;
    for (size_t at = 0; at < whole; at += 4, bytes += 3) {
        uint32_t bits = base64_bits(text + at);
        seen |= bits;
        bytes[0] = (uint8_t)(bits >> 16);
        bytes[1] = (uint8_t)(bits >> 8);
        bytes[2] = (uint8_t)bits;
    }
    if (seen >> 24 != 0)
        return LETHE_MALFORMED;
    *size_bytes = length / 4 * 3 - padding;
    return padding > 0 ? base64_last(text + whole, padding, bytes) : LETHE_OK;
}

/* Writes "2026-11-20T12:00:00" and gives its length. 2^64 ns end in the year 2554, so the year has
 * four digits. */
static size_t time_text(uint64_t unix_ns, char out[TIME_TEXT_SIZE])
{
    time_t seconds = (time_t)(unix_ns / 1000000000u);
    struct tm utc;
    REQUIRE(gmtime_r(&seconds, &utc) != NULL);
    return strftime(out, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
}

void time_text_s(uint64_t unix_ns, char out[TIME_TEXT_SIZE])
{
    size_t length = time_text(unix_ns, out);
    snprintf(out + length, TIME_TEXT_SIZE - length, "Z");
}

void time_text_ns(uint64_t unix_ns, char out[TIME_TEXT_SIZE])
{
    size_t length = time_text(unix_ns, out);
    snprintf(out + length, TIME_TEXT_SIZE - length, ".%09uZ", (unsigned)(unix_ns % 1000000000u));
}

static unsigned digits(const char *text, size_t count)
{
    unsigned number = 0;
    for (size_t i = 0; i < count; i++)
        number = 10 * number + ((unsigned)(unsigned char)text[i] - '0') % 10;
    return number;
}

/* Days since 1970-01-01, counted from a March so that the leap day is a year's last. */
static int64_t days_until(int64_t year, int64_t month, int64_t day)
{
    int64_t years = month > 2 ? year : year - 1;
    int64_t months = month > 2 ? month - 3 : month + 9;
    return 365 * years + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day -
           719469;
}

uint64_t time_parse_ns(const char *text)
{
    uint64_t nanoseconds;
    int64_t seconds = days_until(digits(text, 4), digits(text + 5, 2), digits(text + 8, 2)) * 86400;
    seconds += digits(text + 11, 2) * 3600 + digits(text + 14, 2) * 60 + digits(text + 17, 2);
    if (seconds < 0)
        return 0;
    if (__builtin_mul_overflow((uint64_t)seconds, 1000000000u, &nanoseconds) ||
        __builtin_add_overflow(nanoseconds, digits(text + 20, 9), &nanoseconds))
        return UINT64_MAX;
    return nanoseconds;
}

void bytes_text(uint64_t size_bytes, char out[BYTES_TEXT_SIZE])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (size_bytes < 1000) {
        snprintf(out, BYTES_TEXT_SIZE, "%u B", (unsigned)size_bytes);
        return;
    }
    /* 999.5 would be printed as 1000, four digits: it belongs to the next unit. */
    double value = (double)size_bytes / 1024;
    size_t unit = 0;
    for (; value >= 999.5; value /= 1024)
        unit++;
    int decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 0.9995 ? 2 : 3;
    snprintf(out, BYTES_TEXT_SIZE, "%.*f %s", decimals, value, units[unit]);
}
