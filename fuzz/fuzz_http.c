/* Requests as they come in. The first byte says into how large pieces the others are cut: what is
 * read may not depend on it. What is accepted can be read in one way only. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "net/http.h"

#include "fuzz.h"

#define BODY_MAX 64
#define REQUESTS_MAX 16

static bool is_named(const struct http_text *name, const char *expected)
{
    return name->length == strlen(expected) && strncasecmp(name->at, expected, name->length) == 0;
}

static void check_header(const struct http_text *name, const struct http_text *value)
{
    FUZZ_PROPERTY(name->length > 0);
    for (size_t i = 0; i < name->length; i++)
        FUZZ_PROPERTY(isgraph((unsigned char)name->at[i]) && name->at[i] != ':');
    for (size_t i = 0; i < value->length; i++)
        FUZZ_PROPERTY(value->at[i] != '\r' && value->at[i] != '\n' && value->at[i] != '\0');
    FUZZ_PROPERTY(!is_named(name, "Transfer-Encoding"));
}

/* The length that was believed is the one that is written there. */
static void check_length(const struct http_request *request)
{
    const struct http_text *length = NULL;
    size_t written = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        if (is_named(&request->headers[i].name, "Content-Length"))
            length = &request->headers[i].value;
    }
    for (size_t i = 0; length != NULL && i < length->length; i++) {
        FUZZ_PROPERTY(isdigit((unsigned char)length->at[i]));
        written = written * 10 + (size_t)(length->at[i] - '0');
    }
    FUZZ_PROPERTY(request->body_bytes == written && written <= BODY_MAX);
}

static void check_request(const struct http_request *request)
{
    size_t hosts = 0, lengths = 0;
    FUZZ_PROPERTY(request->method < HTTP_METHOD_COUNT);
    FUZZ_PROPERTY(request->path.length > 0 && request->path.at[0] == '/');
    FUZZ_PROPERTY(request->path.length + request->query.length <= HTTP_TARGET_MAX);
    FUZZ_PROPERTY(request->header_count <= HTTP_HEADERS_MAX);
    for (size_t i = 0; i < request->header_count; i++) {
        check_header(&request->headers[i].name, &request->headers[i].value);
        hosts += is_named(&request->headers[i].name, "Host");
        lengths += is_named(&request->headers[i].name, "Content-Length");
    }
    FUZZ_PROPERTY(hosts == 1 && lengths <= 1);
    check_length(request);
}

static void note_request(const struct http_request *request, struct buffer *out)
{
    buffer_format(out, "%s ", http_method_name(request->method));
    buffer_prefixed(out, request->path.at, request->path.length);
    buffer_prefixed(out, request->query.at, request->query.length);
    for (size_t i = 0; i < request->header_count; i++) {
        buffer_prefixed(out, request->headers[i].name.at, request->headers[i].name.length);
        buffer_prefixed(out, request->headers[i].value.at, request->headers[i].value.length);
    }
    buffer_prefixed(out, request->body, request->body_bytes);
    buffer_byte(out, request->keep_alive);
}

/* Requests that are whole by now, one after another. False after a refusal. */
static bool take_requests(struct http_parser *parser, struct buffer *out)
{
    struct http_request request;
    enum http_fault fault = HTTP_FAULT_NONE;
    enum http_progress progress;
    while (!http_parser_is_idle(parser)) {
        progress = http_parser_parse(parser, &request, &fault);
        if (progress == HTTP_NEEDS_MORE || progress == HTTP_NEEDS_BODY)
            return true;
        if (progress == HTTP_REFUSED) {
            FUZZ_PROPERTY(fault != HTTP_FAULT_NONE && fault != HTTP_FAULT_NO_MEMORY);
            buffer_format(out, "refused %u", (unsigned)fault);
            return false;
        }
        check_request(&request);
        note_request(&request, out);
        http_parser_next(parser);
    }
    return true;
}

/* What is made of the bytes when they come in such pieces. */
static void read_in_pieces(struct guarded_pool *pool, const uint8_t *data, size_t size,
                           size_t piece, struct buffer *out)
{
    CLEANUP(http_parser_free) struct http_parser *parser = NULL;
    FUZZ_PROPERTY(http_parser_create(BODY_MAX, pool, &parser, NULL) == LETHE_OK);
    while (size > 0) {
        size_t room_bytes;
        uint8_t *room = http_parser_room(parser, &room_bytes);
        FUZZ_PROPERTY(room != NULL && room_bytes > 0);
        size_t taken = MIN(MIN(room_bytes, piece), size);
        memcpy(room, data, taken);
        http_parser_received(parser, taken);
        data += taken;
        size -= taken;
        if (!take_requests(parser, out))
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct guarded_pool *pool; /* its buffers are wiped; making them anew would be slow */
    CLEANUP(buffer_clear) struct buffer in_pieces = {0};
    CLEANUP(buffer_clear) struct buffer whole = {0};
    if (size == 0)
        return 0;
    FUZZ_PROPERTY(pool != NULL || guarded_pool_create((size_t)1 << 20, &pool, NULL) == LETHE_OK);
    read_in_pieces(pool, data + 1, size - 1, 1 + data[0] % 64u, &in_pieces);
    read_in_pieces(pool, data + 1, size - 1, size, &whole);
    FUZZ_PROPERTY(in_pieces.size_bytes == whole.size_bytes);
    FUZZ_PROPERTY(whole.size_bytes == 0 ||
                  memcmp(in_pieces.bytes, whole.bytes, whole.size_bytes) == 0);
    return 0;
}
