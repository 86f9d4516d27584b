#include "base/json_escape.h"

#include <string.h>

#include "base/text.h"

#define UNIT_DIGITS 4u

static size_t refuse(const char **fault, const char *text)
{
    *fault = text;
    return 0;
}

size_t json_escape_unit(const char *at, size_t size_bytes, uint32_t *unit, const char **fault)
{
    *unit = 0;
    if (size_bytes < UNIT_DIGITS)
        return refuse(fault, "an escape is cut short");
    for (size_t i = 0; i < UNIT_DIGITS; i++) {
        int digit = hex_digit_value(at[i]);
        if (digit < 0)
            return refuse(fault, "an escape has no hex digits");
        *unit = *unit << 4 | (uint32_t)digit;
    }
    return UNIT_DIGITS;
}

/* From behind "\u" on. */
static size_t read_unicode(const char *at, size_t size_bytes, uint32_t *character,
                           const char **fault)
{
    static const char half[] = "there is half a surrogate pair";
    uint32_t low;
    size_t read = json_escape_unit(at, size_bytes, character, fault);
    if (read > 0 && json_unit_is_low(*character))
        return refuse(fault, half);
    if (read == 0 || !json_unit_is_high(*character))
        return read;
    bool goes_on = size_bytes - read >= 2 && at[read] == '\\' && at[read + 1] == 'u';
    read += 2;
    if (!goes_on || json_escape_unit(at + read, size_bytes - read, &low, fault) == 0 ||
        !json_unit_is_low(low))
        return refuse(fault, half);
    *character = json_unit_pair(*character, low);
    return read + UNIT_DIGITS;
}

size_t json_escape_read(const char *at, size_t size_bytes, uint32_t *character, const char **fault)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (size_bytes == 0)
        return refuse(fault, "an escape is cut short");
    if (*at == 'u') {
        size_t read = read_unicode(at + 1, size_bytes - 1, character, fault);
        return read == 0 ? 0 : 1 + read;
    }
    const char *letter = memchr(letters, *at, sizeof letters - 1);
    if (letter == NULL)
        return refuse(fault, "there is no such escape");
    *character = (uint8_t)meanings[letter - letters];
    return 1;
}
