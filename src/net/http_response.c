#include "net/http_response.h"

#include <stdlib.h>
#include <string.h>

#include <llhttp.h>

#include "base/error.h"
#include "net/http_response_head.h"

struct http_response {
    llhttp_t parser; /* its `data` is this response */
    struct http_response_options options;
    struct guarded head; /* until the head is whole; what came behind it, too */
    bool has_head;
    bool complete;
    bool keeps;
    lethe_result failure; /* of a callback, with its text */
    struct lethe_error why;
};

/* ---- what llhttp says ------------------------------------------------------------------------ */

static int fail(struct http_response *response, lethe_result result)
{
    response->failure = result;
    return HPE_USER;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct http_response *response = parser->data;
    response->has_head = true;
    if (response->options.to_head)
        return 1;
    bool is_empty = parser->status_code == 204 || parser->status_code == 304;
    if (is_empty && (parser->content_length > 0 || (parser->flags & F_CHUNKED) != 0))
        return fail(response, error_set(&response->why, LETHE_MALFORMED,
                                        "the answer has a body, which its status excludes"));
    if (llhttp_message_needs_eof(parser) && !response->options.may_end_with_close)
        return fail(response, error_set(&response->why, LETHE_MALFORMED,
                                        "the answer does not say how long it is"));
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
    struct http_response *response = parser->data;
    lethe_result result = response->options.piece(response->options.context, (const uint8_t *)at,
                                                  length, &response->why);
    return result == LETHE_OK ? 0 : fail(response, result);
}

/* Headers end where the body begins, so these are trailers. */
static int on_field(llhttp_t *parser, const char *at, size_t length)
{
    struct http_response *response = parser->data;
    if (!response->has_head)
        return 0;
    return fail(response,
                error_set(&response->why, LETHE_MALFORMED, "the answer has headers behind it"));
}

static int on_message_complete(llhttp_t *parser)
{
    struct http_response *response = parser->data;
    response->complete = true;
    response->keeps = llhttp_should_keep_alive(parser) == 1;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_headers_complete = on_headers_complete,
    .on_header_field = on_field,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- bytes in -------------------------------------------------------------------------------- */

lethe_result http_response_create(const struct http_response_options *options,
                                  struct http_response **out, struct lethe_error *err)
{
    *out = NULL;
    struct http_response *response = calloc(1, sizeof *response);
    if (response == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for an answer");
    llhttp_init(&response->parser, HTTP_RESPONSE, &settings);
    response->parser.data = response;
    response->options = *options;
    *out = response;
    return LETHE_OK;
}

void http_response_free(struct http_response *response)
{
    if (response == NULL)
        return;
    guarded_clear(&response->head);
    free(response);
}

static lethe_result execute(struct http_response *response, const uint8_t *bytes, size_t size_bytes,
                            struct lethe_error *err)
{
    const char *text = (const char *)bytes;
    llhttp_errno_t code = llhttp_execute(&response->parser, text, size_bytes);
    if (response->failure != LETHE_OK) {
        if (err != NULL)
            *err = response->why;
        return response->failure;
    }
    if (code == HPE_OK)
        return LETHE_OK;
    if (code != HPE_PAUSED || !response->complete)
        return error_set(err, LETHE_MALFORMED, "the answer is not HTTP/1.1: %s",
                         llhttp_errno_name(code));
    if (llhttp_get_error_pos(&response->parser) != text + size_bytes)
        return error_set(err, LETHE_MALFORMED, "there is something behind the answer");
    return LETHE_OK;
}

/* Where the head ends, the empty line included; 0: not yet. */
static size_t head_end(const struct guarded *head, size_t looked_at_bytes)
{
    size_t from = looked_at_bytes > 3 ? looked_at_bytes - 3 : 0;
    if (head->size_bytes == 0)
        return 0;
    const uint8_t *found =
        memmem(head->bytes + from, head->size_bytes - from, "\r\n\r\n", strlen("\r\n\r\n"));
    return found == NULL ? 0 : (size_t)(found - head->bytes) + 4;
}

static lethe_result feed_head(struct http_response *response, const uint8_t *bytes,
                              size_t size_bytes, struct lethe_error *err)
{
    struct guarded *head = &response->head;
    size_t before = head->size_bytes;
    guarded_append(head, bytes, size_bytes);
    TRY(guarded_result(head, err));
    size_t end = head_end(head, before);
    if (end > HTTP_ANSWER_HEAD_MAX || (end == 0 && head->size_bytes > HTTP_ANSWER_HEAD_MAX))
        return error_set(err, LETHE_MALFORMED, "the head of the answer is larger than %u bytes",
                         HTTP_ANSWER_HEAD_MAX);
    if (end == 0)
        return LETHE_OK;
    TRY(http_response_head_check(head->bytes, end, err));
    lethe_result result = execute(response, head->bytes, head->size_bytes, err);
    guarded_wipe(head);
    return result;
}

lethe_result http_response_feed(struct http_response *response, const uint8_t *bytes,
                                size_t size_bytes, bool *complete, struct lethe_error *err)
{
    *complete = false;
    if (size_bytes > 0 && response->complete)
        return error_set(err, LETHE_MALFORMED, "there is something behind the answer");
    if (!response->has_head)
        TRY(feed_head(response, bytes, size_bytes, err));
    else
        TRY(execute(response, bytes, size_bytes, err));
    *complete = response->complete;
    return LETHE_OK;
}

lethe_result http_response_end(struct http_response *response, struct lethe_error *err)
{
    bool in_order =
        response->complete || (response->has_head && response->options.may_end_with_close &&
                               llhttp_message_needs_eof(&response->parser) == 1);
    response->keeps = false;
    if (!in_order)
        return error_set(err, LETHE_UNAVAILABLE, "the connection ended before the answer did");
    response->complete = true;
    return LETHE_OK;
}

unsigned http_response_status(const struct http_response *response)
{
    return response->has_head ? (unsigned)response->parser.status_code : 0;
}

bool http_response_keeps(const struct http_response *response)
{
    return response->complete && response->keeps;
}
