/* policy/sprintf.h -- one verb of sprintf: what it asks for, and printing an operand so.
 *
 * As Go's fmt prints: an integer, an integer of any size, a floating-point number or a text. Other
 * values are texts: what they look like in Rego. */
#ifndef POLICY_SPRINTF_H
#define POLICY_SPRINTF_H

#include "policy/builtin_work.h"

#define SPRINTF_WIDTH_MAX 1000000 /* and of precisions; Go takes no more either */

/* %[flags][width][.precision]verb */
struct format_verb {
    uint32_t verb;
    bool plus, minus, sharp, space, zero;
    bool go_syntax;   /* %#v */
    bool plus_of_big; /* %+v: of big integers only */
    bool has_width, has_precision;
    int width, precision;
};

struct sprintf {
    struct builtin_call *call;
    struct buffer out;
    struct format_verb format;
};

/* The text with spaces, or zeros in front, up to the width. */
LETHE_MUST_CHECK lethe_result sprintf_padded(struct sprintf *sprintf, const char *text,
                                             size_t size_bytes);
LETHE_MUST_CHECK lethe_result sprintf_spaces(struct sprintf *sprintf, size_t count, char pad);

LETHE_MUST_CHECK lethe_result sprintf_integer(struct sprintf *sprintf, const struct number *number);
LETHE_MUST_CHECK lethe_result sprintf_big(struct sprintf *sprintf, const struct number *number);
LETHE_MUST_CHECK lethe_result sprintf_real(struct sprintf *sprintf, double number);
LETHE_MUST_CHECK lethe_result sprintf_text(struct sprintf *sprintf, const char *text,
                                           size_t size_bytes);
/* A character in single quotes, escaped unless it can be seen. */
void sprintf_quote_rune(uint32_t rune, bool only_ascii, char quote, struct buffer *out);
bool sprintf_is_visible(uint32_t rune);

/* Whether a type of operand has the verb; which operand is of which type. */
enum format_type { FORMAT_INTEGER, FORMAT_BIG, FORMAT_REAL, FORMAT_TEXT };
bool sprintf_takes(enum format_type type, uint32_t verb);

#endif
