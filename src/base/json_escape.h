/* base/json_escape.h -- what stands behind a backslash in a text of JSON (RFC 8259, section 7).
 *
 * The one reader of escapes, for everything here that reads JSON without a tree. Pure functions;
 * they read at most `size_bytes` bytes of `at`, and allocate nothing. */
#ifndef BASE_JSON_ESCAPE_H
#define BASE_JSON_ESCAPE_H

#include "base/base.h"

/* Reads one escape from behind its backslash, a pair of surrogates as one character. Gives how
 * many bytes it has (1, 5 or 11); 0: it is none, and *fault says why. U+0000 is a character: who
 * wants none refuses it. */
size_t json_escape_read(const char *at, size_t size_bytes, uint32_t *character, const char **fault);

/* Four hex digits, one unit of UTF-16. Gives 4, or 0 as above. */
size_t json_escape_unit(const char *at, size_t size_bytes, uint32_t *unit, const char **fault);
/* Units of UTF-16 (RFC 2781): a high one is followed by a low one, and they are one character. */
static inline bool json_unit_is_high(uint32_t unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}
static inline bool json_unit_is_low(uint32_t unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}
static inline uint32_t json_unit_pair(uint32_t high, uint32_t low)
{
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

#endif
