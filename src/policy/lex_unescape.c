#include <string.h>

#include "base/json_escape.h"
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
    const char *fault;
    return u->size_bytes - at >= 2 && u->text[at] == '\\' && u->text[at + 1] == 'u' &&
           json_escape_unit(u->text + at + 2, u->size_bytes - at - 2, unit, &fault) > 0;
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
    if (json_unit_is_high(high) && read_unit(u, u->at, &low) && json_unit_is_low(low)) {
        high = json_unit_pair(high, low);
        u->at += 6;
    }
    bool is_half = json_unit_is_high(high) || json_unit_is_low(high);
    put_character(u, is_half ? RUNE_REPLACEMENT : high);
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
