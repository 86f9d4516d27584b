#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "kms/engine_core.h"

#define PREFIX "vault:v"
#define PREFIX_LENGTH (sizeof PREFIX - 1)
#define DIGITS_MAX 20u /* of a number of 64 bits */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Without a leading zero, and 1 at least. *end is behind the digits. */
static bool parse_version(const char *text, size_t length, uint64_t *version, size_t *end)
{
    size_t at = 0;
    *version = 0;
    if (length == 0 || text[0] == '0')
        return false;
    for (; at < length && at < DIGITS_MAX && is_digit(text[at]); at++) {
        if (__builtin_mul_overflow(*version, 10, version) ||
            __builtin_add_overflow(*version, (uint64_t)(text[at] - '0'), version))
            return false;
    }
    *end = at;
    return at > 0;
}

lethe_result engine_text_parse(struct engine_bytes given, const char *what, struct engine_text *out,
                               struct lethe_error *err)
{
    const char *text = given.at;
    size_t length = given.size_bytes, digits = 0;
    *out = (struct engine_text){0};
    bool good = length > PREFIX_LENGTH && memcmp(text, PREFIX, PREFIX_LENGTH) == 0 &&
                parse_version(text + PREFIX_LENGTH, length - PREFIX_LENGTH, &out->version, &digits);
    size_t at = PREFIX_LENGTH + digits;
    if (!good || at >= length || text[at] != ':')
        return error_set(err, LETHE_MALFORMED,
                         "%s has the form vault:vN:BASE64, with N its key's version", what);
    out->payload = text + at + 1;
    out->payload_length = length - at - 1;
    return LETHE_OK;
}

lethe_result engine_room(struct buffer *buffer, size_t size_bytes, uint8_t **room,
                         struct lethe_error *err)
{
    buffer_truncate(buffer, 0);
    *room = (uint8_t *)buffer_extend(buffer, size_bytes);
    lethe_result result = buffer_result(buffer, err);
    if (result != LETHE_OK)
        buffer_clear(buffer);
    return result;
}

static lethe_result not_base64(const char *what, const char *which, struct lethe_error *err)
{
    return error_set(err, LETHE_MALFORMED, "%s ends in strict %s", what, which);
}

static lethe_result decode(const char *text, size_t length, struct buffer *out, bool *good,
                           struct lethe_error *err)
{
    size_t size_bytes = 0;
    uint8_t *room = NULL;
    TRY(engine_room(out, length / 4 * 3, &room, err));
    *good = base64_decode(text, length, room, length / 4 * 3, &size_bytes) == LETHE_OK;
    buffer_truncate(out, *good ? size_bytes : 0);
    return LETHE_OK;
}

lethe_result engine_text_decode(const struct engine_text *text, const char *what,
                                struct buffer *out, struct lethe_error *err)
{
    bool good;
    TRY(decode(text->payload, text->payload_length, out, &good, err));
    return good ? LETHE_OK : not_base64(what, "base64", err);
}

/* ---- URL-safe -------------------------------------------------------------------------------- */

#define URL_MAX BASE64_LENGTH(SIGNATURE_MAX_BYTES)

static void swap(char *text, size_t length, const char from[2], const char to[2])
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == from[0])
            text[i] = to[0];
        else if (text[i] == from[1])
            text[i] = to[1];
    }
}

void engine_url_append(struct guarded *out, const void *bytes, size_t size_bytes)
{
    char text[URL_MAX];
    size_t length = BASE64_LENGTH(size_bytes);
    REQUIRE(length <= sizeof text);
    base64_write(bytes, size_bytes, text);
    while (length > 0 && text[length - 1] == '=')
        length--;
    swap(text, length, "+/", "-_");
    guarded_append(out, text, length);
}

lethe_result engine_url_decode(const struct engine_text *text, const char *what, struct buffer *out,
                               struct lethe_error *err)
{
    char standard[URL_MAX];
    bool good = false;
    size_t length = text->payload_length;
    if (length > sizeof standard || memchr(text->payload, '+', length) != NULL ||
        memchr(text->payload, '/', length) != NULL || memchr(text->payload, '=', length) != NULL)
        return not_base64(what, "URL-safe base64 without padding", err);
    memcpy(standard, text->payload, length);
    swap(standard, length, "-_", "+/");
    for (; length % 4 != 0 && length < sizeof standard; length++)
        standard[length] = '=';
    TRY(decode(standard, length, out, &good, err));
    return good ? LETHE_OK : not_base64(what, "URL-safe base64 without padding", err);
}
