#include "policy/builtin_text.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "policy/builtin_work.h"

lethe_result text_spend(struct builtin_call *call, uint64_t size_bytes)
{
    return builtin_spend(call, 1 + size_bytes / TEXT_BYTES_PER_STEP);
}

/* The length of the well-formed text at the beginning. */
static size_t well_formed(const char *bytes, size_t size_bytes)
{
    size_t at = 0;
    uint32_t character;
    size_t length;
    while (at < size_bytes && (length = utf8_decode(bytes + at, size_bytes - at, &character)) != 0)
        at += length;
    return at;
}

static void append_repaired(struct buffer *out, const char *bytes, size_t size_bytes)
{
    size_t at = 0;
    while (at < size_bytes) {
        size_t good = well_formed(bytes + at, size_bytes - at);
        buffer_append(out, bytes + at, good);
        at += good;
        if (at++ < size_bytes)
            buffer_text(out, "\xef\xbf\xbd");
    }
}

/* NULL: the arena has failed. */
static const struct value *text_value(struct arena *arena, const char *bytes, size_t size_bytes)
{
    if (well_formed(bytes, size_bytes) == size_bytes)
        return value_string(arena, bytes, size_bytes);
    CLEANUP(buffer_clear) struct buffer repaired = {0};
    append_repaired(&repaired, bytes, size_bytes);
    return value_buffer(arena, &repaired);
}

lethe_result text_result(struct builtin_call *call, const struct buffer *text,
                         const struct value **out)
{
    TRY(buffer_result(text, NULL));
    return builtin_value(call, text_value(call->arena, text->bytes, text->size_bytes), out);
}

lethe_result text_fits(struct builtin_call *call, const struct buffer *text)
{
    TRY(buffer_result(text, NULL));
    return builtin_room(call, text->size_bytes);
}

lethe_result text_over_limit(struct builtin_call *call)
{
    TRY(builtin_spend(call, UINT64_MAX));
    return LETHE_LIMIT;
}

struct text_quoted text_quote(const struct value *value)
{
    struct text_quoted quoted = {0};
    CLEANUP(buffer_clear) struct buffer term = {0};
    value_print_term(value, &term);
    if (term.bytes != NULL)
        snprintf(quoted.text, sizeof quoted.text, "%s", term.bytes);
    return quoted;
}
