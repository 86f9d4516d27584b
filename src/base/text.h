/* base/text.h -- hex, base64 and times as text. Public values only; secrets have no formatter. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/buffer.h"

/* Lower-case hex; `out` holds 2 * size_bytes + 1 characters, NUL included. */
void hex_encode(const void *bytes, size_t size_bytes, char *out);
/* Exactly 2 * size_bytes lower-case hex digits, nothing else; LETHE_MALFORMED otherwise. */
LETHE_MUST_CHECK lethe_result hex_decode(const char *text, size_t length, void *out,
                                         size_t size_bytes);

/* Of a hex digit of either case; -1: it is none. */
int hex_digit_value(char digit);

/* RFC 4648 section 4, padded; `out` holds BASE64_LENGTH(size_bytes) characters, no NUL behind. */
#define BASE64_LENGTH(size_bytes) (((size_bytes) + 2) / 3 * 4)
void base64_write(const void *bytes, size_t size_bytes, char *out);
void base64_append(struct buffer *buffer, const void *bytes, size_t size_bytes);
/* Strict: canonical padding, zero spare bits, no white space. Writes at most `capacity_bytes` and
 * gives the size; LETHE_MALFORMED otherwise. */
LETHE_MUST_CHECK lethe_result base64_decode(const char *text, size_t length, void *out,
                                            size_t capacity_bytes, size_t *size_bytes);

/* RFC 3339 in UTC: "2026-11-20T12:00:00Z", and with nanoseconds "2026-11-20T12:00:00.000000001Z".
 */
#define TIME_TEXT_SIZE 32
void time_text_s(uint64_t unix_ns, char out[TIME_TEXT_SIZE]);
void time_text_ns(uint64_t unix_ns, char out[TIME_TEXT_SIZE]);
/* Back from a text that has the form of time_text_ns(). What no clock here says gives the nearest
 * time that it does (1970, 2554); a 31st of February is the 3rd of March. */
uint64_t time_parse_ns(const char *text);

/* "1.21 MiB", "417 B": for people, three significant digits. */
#define BYTES_TEXT_SIZE 24
void bytes_text(uint64_t size_bytes, char out[BYTES_TEXT_SIZE]);

#endif
