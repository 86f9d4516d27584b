#include <string.h>

#include "base/text.h"
#include "policy/lex.h"
#include "policy/runes.h"

/* Text that is read from `at`, and what it means so far. */
struct unescape {
    const char *text;
    size_t size_bytes, at;
    char *out;
    size_t written;
};

/* \uXXXX at `at`; false: it is none. */
static bool read_unit(const struct unescape *u, size_t at, uint32_t *unit)
{
    if (u->size_bytes - at < 6 || u->text[at] != '\\' || u->text[at + 1] != 'u')
        return false;
    *unit = 0;
    for (size_t i = at + 2; i < at + 6; i++) {
        int digit = hex_digit_value(u->text[i]);
        if (digit < 0)
            return false;
        *unit = *unit << 4 | (uint32_t)digit;
    }
    return true;
}

static void put_character(struct unescape *u, uint32_t character)
{
    u->written += rune_encode(character, u->out + u->written);
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
    put_character(u,
                  is_pair ? 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00) : RUNE_REPLACEMENT);
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
    u->out[u->written++] = meanings[found - letters];
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
