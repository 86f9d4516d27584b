#include <string.h>

#include "base/text.h"
#include "crypto/x509.h"

void x509_serial_text(const uint8_t *serial, size_t size_bytes, char out[X509_SERIAL_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    REQUIRE(size_bytes <= X509_SERIAL_BYTES);
    char *at = out;
    for (size_t i = 0; i < size_bytes; i++) {
        if (i > 0)
            *at++ = ':';
        *at++ = digits[serial[i] >> 4];
        *at++ = digits[serial[i] & 15];
    }
    *at = '\0';
}

/* The next pair of digits; -1: there is none. */
static int take_pair(const char *text)
{
    int high = hex_digit_value(text[0]);
    int low = high < 0 ? -1 : hex_digit_value(text[1]);
    return low < 0 ? -1 : high * 16 + low;
}

/* Zeros in front, as some print them before a first bit that is set, are no part of the number. */
lethe_result x509_serial_parse(const char *text, uint8_t serial[X509_SERIAL_BYTES],
                               size_t *size_bytes)
{
    size_t count = 0;
    for (;;) {
        int value = take_pair(text);
        if (value < 0 || count == X509_SERIAL_BYTES)
            return LETHE_MALFORMED;
        if (value != 0 || count > 0)
            serial[count++] = (uint8_t)value;
        text += 2;
        if (*text == '\0')
            break;
        if (*text != ':' && *text != '-')
            return LETHE_MALFORMED;
        text++;
    }
    *size_bytes = count;
    return count > 0 ? LETHE_OK : LETHE_MALFORMED;
}
