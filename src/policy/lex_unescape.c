#include <string.h>

#include "policy/lex.h"

#define REPLACEMENT 0xfffdu

/* Text that is read from `at`, and what it means so far. */
struct unescape {
    const char *text;
    size_t size_bytes, at;
    char *out;
    size_t written;
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 'a' - 'A';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \uXXXX at `at`; false: it is none. */
static bool read_unit(const struct unescape *u, size_t at, uint32_t *unit)
{
    if (u->size_bytes - at < 6 || u->text[at] != '\\' || u->text[at + 1] != 'u')
        return false;
    *unit = 0;
    for (size_t i = at + 2; i < at + 6; i++) {
        int digit = hex_digit(u->text[i]);
        if (digit < 0)
            return false;
        *unit = *unit << 4 | (uint32_t)digit;
    }
    return true;
}

static void put_byte(struct unescape *u, uint32_t byte)
{
    u->out[u->written++] = (char)byte;
}

static void put_character(struct unescape *u, uint32_t c)
{
    if (c < 0x80) {
        put_byte(u, c);
    } else if (c < 0x800) {
        put_byte(u, 0xc0 | c >> 6);
        put_byte(u, 0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        put_byte(u, 0xe0 | c >> 12);
        put_byte(u, 0x80 | (c >> 6 & 0x3f));
        put_byte(u, 0x80 | (c & 0x3f));
    } else {
        put_byte(u, 0xf0 | c >> 18);
        put_byte(u, 0x80 | (c >> 12 & 0x3f));
        put_byte(u, 0x80 | (c >> 6 & 0x3f));
        put_byte(u, 0x80 | (c & 0x3f));
    }
}

/* One \uXXXX, or two that are a pair of surrogates. */
static bool unescape_unit(struct unescape *u)
{
    uint32_t high, low;
    if (!read_unit(u, u->at, &high))
        return false;
    u->at += 6;
    if (high < 0xd800 || high > 0xdfff) {
        put_character(u, high);
        return true;
    }
    bool is_pair = high < 0xdc00 && read_unit(u, u->at, &low) && low >= 0xdc00 && low <= 0xdfff;
    if (is_pair)
        u->at += 6;
    put_character(u, is_pair ? 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00) : REPLACEMENT);
    return true;
}

static bool unescape_one(struct unescape *u, enum lex_quoting quoting)
{
    static const char letters[] = "\"\\/bfnrt{";
    static const char meanings[] = "\"\\/\b\f\n\r\t{";
    char letter = u->at + 1 < u->size_bytes ? u->text[u->at + 1] : '\0';
    if (letter == 'u')
        return unescape_unit(u);
    const char *found = letter != '\0' ? strchr(letters, letter) : NULL;
    if (found == NULL || (letter == '{' && quoting == LEX_QUOTED))
        return false;
    put_byte(u, (unsigned char)meanings[found - letters]);
    u->at += 2;
    return true;
}

static bool is_escape(const struct unescape *u, enum lex_quoting quoting)
{
    if (u->text[u->at] != '\\')
        return false;
    return quoting != LEX_RAW_TEMPLATE || (u->at + 1 < u->size_bytes && u->text[u->at + 1] == '{');
}

size_t lex_unescape(const char *text, size_t size_bytes, enum lex_quoting quoting, char *out,
                    size_t *fault)
{
    struct unescape u = {.text = text, .size_bytes = size_bytes, .out = out};
    while (u.at < size_bytes) {
        if (!is_escape(&u, quoting)) {
            out[u.written++] = text[u.at++];
        } else if (!unescape_one(&u, quoting)) {
            *fault = u.at;
            return SIZE_MAX;
        }
    }
    return u.written;
}
