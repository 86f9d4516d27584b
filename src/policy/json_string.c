/* Reading JSON's strings (RFC 8259 section 7). */
#include <string.h>

#include "base/json_escape.h"
#include "base/utf8.h"
#include "policy/json_read.h"
#include "policy/runes.h"
#include "policy/value_make.h"

static bool is_plain_byte(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

#define EACH_BYTE(byte) (0x0101010101010101u * (byte))
/* The high bit of each byte that is below 0x20, above 0x7f, a quote or a backslash; right up to the
 * first of them, which is what it is for. */
static uint64_t special_bytes(uint64_t eight)
{
    uint64_t quote = eight ^ EACH_BYTE('"');
    uint64_t backslash = eight ^ EACH_BYTE('\\');
    uint64_t found =
        (eight - EACH_BYTE(0x20)) | (quote - EACH_BYTE(1)) | (backslash - EACH_BYTE(1)) | eight;
    return found & EACH_BYTE(0x80);
}

static const char *skip_plain(const char *at, const char *end)
{
    uint64_t eight;
    while (end - at >= (ptrdiff_t)sizeof eight) {
        memcpy(&eight, at, sizeof eight);
        if (special_bytes(eight) != 0)
            break;
        at += sizeof eight;
    }
    while (at < end && is_plain_byte((unsigned char)*at))
        at++;
    return at;
}

/* Where the string's closing quote is; UTF-8 is checked, escapes are only stepped over. */
static lethe_result find_end_of_string(struct json_reader *reader, const char **quote,
                                       bool *has_escapes)
{
    *has_escapes = false;
    for (;;) {
        reader->at = skip_plain(reader->at, reader->end);
        if (reader->at == reader->end)
            return json_refuse(reader, "a \" at the string's end");
        uint32_t character;
        size_t length = utf8_decode(reader->at, (size_t)(reader->end - reader->at), &character);
        if (length == 0)
            return json_refuse_as(reader, LETHE_MALFORMED, "a string is not UTF-8");
        if (character < 0x20)
            return json_refuse_as(reader, LETHE_MALFORMED,
                                  "a control character in a string: it is written as an escape");
        *quote = reader->at;
        if (character == '"')
            return LETHE_OK;
        *has_escapes |= character == '\\';
        reader->at += MIN(length + (character == '\\'), (size_t)(reader->end - reader->at));
    }
}

/* What an escape stands for is never longer than the escape. */
static lethe_result unescape(struct json_reader *reader, const char *from, const char *end,
                             char *to, size_t *size_bytes)
{
    const char *begin = to, *fault;
    uint32_t character;
    while (from < end) {
        const char *plain_end = memchr(from, '\\', (size_t)(end - from));
        size_t plain = (size_t)((plain_end == NULL ? end : plain_end) - from);
        memcpy(to, from, plain);
        to += plain;
        from += plain;
        if (from == end)
            break;
        reader->at = from;
        size_t length = json_escape_read(from + 1, (size_t)(end - from - 1), &character, &fault);
        if (length == 0)
            return json_refuse_as(reader, LETHE_MALFORMED,
                                  "no escape of JSON's, or half of a pair of surrogates");
        from += 1 + length;
        to += rune_encode(character, to);
    }
    *size_bytes = (size_t)(to - begin);
    return LETHE_OK;
}

lethe_result json_read_string(struct json_reader *reader, const struct value **out)
{
    const char *begin = reader->at, *quote = NULL;
    bool has_escapes;
    TRY(find_end_of_string(reader, &quote, &has_escapes));
    struct value *made;
    size_t size_bytes = (size_t)(quote - begin);
    char *bytes = value_string_begin(reader->arena, size_bytes, &made);
    if (bytes == NULL)
        return json_no_value(reader);
    if (has_escapes) {
        TRY(unescape(reader, begin, quote, bytes, &size_bytes));
        bytes[size_bytes] = '\0';
        made->count = (uint32_t)size_bytes;
    } else if (size_bytes > 0) {
        memcpy(bytes, begin, size_bytes);
    }
    reader->at = quote + 1;
    *out = made;
    return LETHE_OK;
}
