/* base/utf8.h -- one character at a time. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/base.h"

/* Decodes the first character of `text` and gives its length, 1 to 4 bytes; 0 when it is not
 * well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF) or
 * size_bytes is 0. */
size_t utf8_decode(const char *text, size_t size_bytes, uint32_t *character);

/* Writes a character, at most U+10FFFF, and gives its length, 1 to 4 bytes. */
size_t utf8_encode(uint32_t character, char out[4]);

#endif
