#include "base/utf8.h"

#include "base/validate.h"

/* RFC 3629 section 4: what the lead byte says of the sequence, and the least character that needs
 * one so long. */
static const struct {
    uint8_t mask, lead, length;
    uint32_t least;
} forms[] = {
    {0x80, 0x00, 1, 0},
    {0xe0, 0xc0, 2, 0x80},
    {0xf0, 0xe0, 3, 0x800},
    {0xf8, 0xf0, 4, 0x10000},
};

static bool is_scalar(uint32_t character)
{
    return character <= 0x10ffff && (character < 0xd800 || character > 0xdfff);
}

size_t utf8_decode(const char *text, size_t size_bytes, uint32_t *character)
{
    if (size_bytes == 0)
        return 0;
    const uint8_t *bytes = (const uint8_t *)text;
    size_t form = 0;
    while (form < ARRAY_LEN(forms) && (bytes[0] & forms[form].mask) != forms[form].lead)
        form++;
    if (form == ARRAY_LEN(forms) || forms[form].length > size_bytes)
        return 0;

    uint32_t value = bytes[0] & (uint8_t)~forms[form].mask;
    for (size_t i = 1; i < forms[form].length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (bytes[i] & 0x3f);
    }
    if (value < forms[form].least || !is_scalar(value))
        return 0;
    *character = value;
    return forms[form].length;
}

bool text_is_utf8(const char *text, size_t size_bytes)
{
    uint32_t character;
    for (size_t at = 0; at < size_bytes;) {
        size_t length = utf8_decode(text + at, size_bytes - at, &character);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

size_t utf8_encode(uint32_t character, char out[4])
{
    size_t form = 0;
    while (form + 1 < ARRAY_LEN(forms) && character >= forms[form + 1].least)
        form++;
    size_t length = forms[form].length;
    for (size_t i = length - 1; i > 0; i--, character >>= 6)
        out[i] = (char)(0x80 | (character & 0x3f));
    out[0] = (char)(forms[form].lead | character);
    return length;
}
