#include "net/http_response_head.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "net/http_response.h"

#define STATUS_LINE_MIN (sizeof "HTTP/1.1 200" - 1)

struct line {
    const char *at;
    size_t length;
};

struct framing { /* what says where the body ends */
    unsigned lengths;
    unsigned encodings;
};

static lethe_result refuse(const char *why, struct lethe_error *err)
{
    return error_set(err, LETHE_MALFORMED, "the answer is not HTTP/1.1: %s", why);
}

/* The next line without its CR LF. */
static lethe_result next_line(const uint8_t **at, const uint8_t *end, struct line *out,
                              struct lethe_error *err)
{
    const uint8_t *newline = memchr(*at, '\n', (size_t)(end - *at));
    if (newline == NULL || newline == *at || newline[-1] != '\r')
        return refuse("a line does not end in CR LF", err);
    *out = (struct line){(const char *)*at, (size_t)(newline - 1 - *at)};
    *at = newline + 1;
    for (size_t i = 0; i < out->length; i++) {
        unsigned char c = (unsigned char)out->at[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return refuse("there is a control character in its head", err);
    }
    return LETHE_OK;
}

static bool is_digits(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
    }
    return length > 0;
}

static lethe_result check_status_line(const struct line *line, struct lethe_error *err)
{
    bool good = line->length >= STATUS_LINE_MIN && memcmp(line->at, "HTTP/1.1 ", 9) == 0 &&
                is_digits(line->at + 9, 3) &&
                (line->length == STATUS_LINE_MIN || line->at[STATUS_LINE_MIN] == ' ');
    if (!good)
        return refuse("its first line is no status line", err);
    if (line->at[9] < '2' || line->at[9] > '5')
        return refuse("its status is none of 200 to 599", err);
    return LETHE_OK;
}

static bool is_named(const struct line *line, size_t name_length, const char *name)
{
    return name_length == strlen(name) && strncasecmp(line->at, name, name_length) == 0;
}

static struct line value_of(const struct line *line, size_t name_length)
{
    const char *at = line->at + name_length + 1;
    const char *end = line->at + line->length;
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return (struct line){at, (size_t)(end - at)};
}

static lethe_result check_header(const struct line *line, struct framing *framing,
                                 struct lethe_error *err)
{
    const char *colon = memchr(line->at, ':', line->length);
    if (colon == NULL || colon == line->at || line->at[0] == ' ' || line->at[0] == '\t' ||
        colon[-1] == ' ' || colon[-1] == '\t')
        return refuse("a header has no name, or is folded", err);
    size_t name_length = (size_t)(colon - line->at);
    const struct line value = value_of(line, name_length);
    if (is_named(line, name_length, "Content-Length")) {
        framing->lengths++;
        if (!is_digits(value.at, value.length))
            return refuse("its Content-Length is no number", err);
    }
    if (is_named(line, name_length, "Transfer-Encoding")) {
        framing->encodings++;
        if (value.length != strlen("chunked") ||
            strncasecmp(value.at, "chunked", value.length) != 0)
            return refuse("its Transfer-Encoding is another than chunked", err);
    }
    return LETHE_OK;
}

lethe_result http_response_head_check(const uint8_t *head, size_t size_bytes,
                                      struct lethe_error *err)
{
    const uint8_t *at = head;
    const uint8_t *end = head + size_bytes;
    struct line line = {0};
    struct framing framing = {0};
    TRY(next_line(&at, end, &line, err));
    TRY(check_status_line(&line, err));
    for (size_t headers = 0;; headers++) {
        TRY(next_line(&at, end, &line, err));
        if (line.length == 0)
            break;
        if (headers == HTTP_ANSWER_HEADERS_MAX)
            return refuse("it has too many headers", err);
        TRY(check_header(&line, &framing, err));
    }
    if (framing.lengths + framing.encodings > 1)
        return refuse("two headers say where it ends", err);
    return LETHE_OK;
}
