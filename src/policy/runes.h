/* policy/runes.h -- characters (code points) of a text that is well-formed UTF-8. */
#ifndef POLICY_RUNES_H
#define POLICY_RUNES_H

#include "base/base.h"

static inline bool rune_starts_with(char byte)
{
    return ((unsigned char)byte & 0xC0) != 0x80;
}

static inline size_t runes_in(const char *text, size_t size_bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < size_bytes; i++)
        count += rune_starts_with(text[i]);
    return count;
}

/* Bytes of the first character; size_bytes is not 0. */
static inline size_t rune_bytes(const char *text, size_t size_bytes)
{
    size_t bytes = 1;
    while (bytes < size_bytes && !rune_starts_with(text[bytes]))
        bytes++;
    return bytes;
}

/* Bytes of the first `count` characters; all of them when there are fewer. */
static inline size_t runes_bytes(const char *text, size_t size_bytes, size_t count)
{
    size_t at = 0;
    for (; count > 0 && at < size_bytes; count--)
        at += rune_bytes(text + at, size_bytes - at);
    return at;
}

#define RUNE_BYTES_MAX 4
#define RUNE_REPLACEMENT 0xFFFDu

/* Encodes a character (U+FFFD for what is none) and gives its bytes. */
static inline size_t rune_encode(uint64_t character, char out[RUNE_BYTES_MAX])
{
    if (character > 0x10FFFF || (character >= 0xD800 && character <= 0xDFFF))
        character = RUNE_REPLACEMENT;
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t bytes = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t i = bytes - 1; i > 0; i--, character >>= 6)
        out[i] = (char)(0x80 | (character & 0x3F));
    out[0] = (char)(leads[bytes] | character);
    return bytes;
}

#endif
