/* policy/sprintf_text.c -- %s %v %q %x of texts, and padding. */
#include <string.h>

#include "base/utf8.h"
#include "policy/runes.h"
#include "policy/sprintf.h"

lethe_result sprintf_spaces(struct sprintf *sprintf, size_t count, char pad)
{
    char run[64];
    memset(run, pad, sizeof run);
    for (size_t part; count > 0; count -= part) {
        part = MIN(count, sizeof run);
        TRY(builtin_append(sprintf->call, &sprintf->out, run, part));
    }
    return LETHE_OK;
}

lethe_result sprintf_padded(struct sprintf *sprintf, const char *text, size_t size_bytes)
{
    const struct format_verb *format = &sprintf->format;
    size_t runes = runes_in(text, size_bytes);
    size_t width = format->has_width ? (size_t)format->width : 0;
    size_t missing = width > runes ? width - runes : 0;
    if (!format->minus)
        TRY(sprintf_spaces(sprintf, missing, format->zero ? '0' : ' '));
    TRY(builtin_append(sprintf->call, &sprintf->out, text, size_bytes));
    return format->minus ? sprintf_spaces(sprintf, missing, ' ') : LETHE_OK;
}

/* ---- quoting ---- */

/* Ranges outside of ASCII that show nothing, or are no characters yet: controls, spaces, marks of
 * direction, surrogates' neighbours, private use, tags. Go knows each unassigned character too. */
static const struct {
    uint32_t first, last;
} invisible[] = {
    {0x7F, 0xA0},     {0xAD, 0xAD},       {0x600, 0x605},      {0x61C, 0x61C},   {0x6DD, 0x6DD},
    {0x70F, 0x70F},   {0x1680, 0x1680},   {0x180E, 0x180E},    {0x2000, 0x200F}, {0x2028, 0x202F},
    {0x205F, 0x206F}, {0x3000, 0x3000},   {0xD800, 0xF8FF},    {0xFEFF, 0xFEFF}, {0xFFF0, 0xFFFB},
    {0xFFFE, 0xFFFF}, {0xE0000, 0xE00FF}, {0xE01F0, 0x10FFFF},
};

bool sprintf_is_visible(uint32_t rune)
{
    if (rune < 0x7F)
        return rune >= ' ';
    for (size_t i = 0; i < ARRAY_LEN(invisible) && rune >= invisible[i].first; i++)
        if (rune <= invisible[i].last)
            return false;
    return true;
}

static const char *short_escape(uint32_t rune)
{
    static const char *const escapes[] = {
        ['\a'] = "\\a", ['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n",
        ['\r'] = "\\r", ['\t'] = "\\t", ['\v'] = "\\v", ['\\'] = "\\\\",
    };
    return rune < ARRAY_LEN(escapes) ? escapes[rune] : NULL;
}

void sprintf_quote_rune(uint32_t rune, bool only_ascii, char quote, struct buffer *out)
{
    char encoded[RUNE_BYTES_MAX];
    if (rune == (unsigned char)quote)
        buffer_format(out, "\\%c", quote);
    else if (short_escape(rune) != NULL)
        buffer_text(out, short_escape(rune));
    else if (sprintf_is_visible(rune) && (rune < 0x80 || !only_ascii))
        buffer_append(out, encoded, rune_encode(rune, encoded));
    else if (rune < ' ' || rune == 0x7F)
        buffer_format(out, "\\x%02x", rune);
    else
        buffer_format(out, rune < 0x10000 ? "\\u%04x" : "\\U%08x", rune);
}

/* Whether the text can stand between backquotes as it is. */
static bool is_raw(const char *text, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == '`' || text[i] == 0x7F)
            return false;
    return memmem(text, size_bytes, "\xEF\xBB\xBF", 3) == NULL;
}

static lethe_result print_quoted(struct sprintf *sprintf, const char *text, size_t size_bytes)
{
    CLEANUP(buffer_clear) struct buffer quoted = {0};
    bool raw = sprintf->format.sharp && is_raw(text, size_bytes);
    uint32_t rune;
    TRY(builtin_spend(sprintf->call, 1 + size_bytes));
    buffer_text(&quoted, raw ? "`" : "\"");
    if (raw)
        buffer_append(&quoted, text, size_bytes);
    for (size_t at = 0; !raw && at < size_bytes;) {
        at += utf8_decode(text + at, size_bytes - at, &rune);
        sprintf_quote_rune(rune, sprintf->format.plus, '"', &quoted);
    }
    buffer_text(&quoted, raw ? "`" : "\"");
    TRY(quoted.failure);
    return sprintf_padded(sprintf, quoted.bytes, quoted.size_bytes);
}

/* ---- hex ---- */

static lethe_result print_hex(struct sprintf *sprintf, const char *text, size_t size_bytes)
{
    const struct format_verb *format = &sprintf->format;
    bool upper = format->verb == 'X';
    const char *prefix = !format->sharp ? "" : upper ? "0X" : "0x";
    CLEANUP(buffer_clear) struct buffer hex = {0};
    if (format->has_precision)
        size_bytes = MIN(size_bytes, (size_t)format->precision);
    TRY(builtin_spend(sprintf->call, 1 + size_bytes));
    for (size_t i = 0; i < size_bytes; i++) {
        buffer_text(&hex, format->space && i > 0 ? " " : "");
        buffer_text(&hex, i == 0 || format->space ? prefix : "");
        buffer_format(&hex, upper ? "%02X" : "%02x", (unsigned char)text[i]);
    }
    TRY(hex.failure);
    return sprintf_padded(sprintf, size_bytes > 0 ? hex.bytes : "", hex.size_bytes);
}

lethe_result sprintf_text(struct sprintf *sprintf, const char *text, size_t size_bytes)
{
    const struct format_verb *format = &sprintf->format;
    if (format->verb == 'x' || format->verb == 'X')
        return print_hex(sprintf, text, size_bytes);
    if (format->has_precision)
        size_bytes = runes_bytes(text, size_bytes, (size_t)format->precision);
    if (format->verb == 'q' || format->go_syntax)
        return print_quoted(sprintf, text, size_bytes);
    return sprintf_padded(sprintf, text, size_bytes);
}

bool sprintf_takes(enum format_type type, uint32_t verb)
{
    static const char *const verbs[] = {
        [FORMAT_INTEGER] = "vdboOxXcqU",
        [FORMAT_BIG] = "vdsboOxX",
        [FORMAT_REAL] = "veEfFgGbxX",
        [FORMAT_TEXT] = "vsqxX",
    };
    return verb != 0 && verb < 0x80 && strchr(verbs[type], (int)verb) != NULL;
}
