#include "net/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "net/http_head.h"

#define ROOM_BYTES ((size_t)4096)         /* at least, while a head is read */
#define AT_ONCE_BYTES ((size_t)256 << 10) /* a body that is larger must first be seen to come */

struct http_parser {
    struct guarded_pool *pool;
    size_t body_max_bytes;
    struct guarded bytes;
    struct http_head_scan scan;
    bool head_is_read;
    bool is_complete;
    size_t message_bytes; /* head and body; known once the head is read */
    enum http_fault fault;
};

const char *http_method_name(enum http_method method)
{
    static const char *const names[] = {
#define NAME(name) #name,
        HTTP_METHODS(NAME)
#undef NAME
    };
    return names[method];
}

#define FAULT_ROW(name, status, sentence) {status, sentence},
static const struct {
    unsigned status;
    const char *sentence;
} faults[] = {HTTP_FAULTS(FAULT_ROW)};
#undef FAULT_ROW

unsigned http_fault_status(enum http_fault fault)
{
    return faults[fault].status;
}

const char *http_fault_sentence(enum http_fault fault)
{
    return faults[fault].sentence;
}

lethe_result http_parser_create(size_t body_max_bytes, struct guarded_pool *pool,
                                struct http_parser **out, struct lethe_error *err)
{
    REQUIRE(body_max_bytes <= HTTP_BODY_MAX);
    struct http_parser *parser = calloc(1, sizeof *parser);
    if (parser == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a connection");
    parser->pool = pool;
    parser->body_max_bytes = body_max_bytes;
    *out = parser;
    return LETHE_OK;
}

void http_parser_free(struct http_parser *parser)
{
    if (parser == NULL)
        return;
    guarded_pool_give(parser->pool, &parser->bytes);
    free(parser);
}

/* A length that was only announced takes no memory. */
static size_t wanted_capacity(const struct http_parser *parser)
{
    size_t has_bytes = parser->bytes.size_bytes;
    if (!parser->head_is_read)
        return has_bytes + ROOM_BYTES;
    if (has_bytes < parser->bytes.capacity_bytes)
        return parser->bytes.capacity_bytes;
    size_t wanted = MAX(AT_ONCE_BYTES, 2 * parser->bytes.capacity_bytes);
    return MIN(wanted, parser->message_bytes);
}

uint8_t *http_parser_room(struct http_parser *parser, size_t *capacity_bytes)
{
    REQUIRE(!parser->is_complete && parser->fault == HTTP_FAULT_NONE);
    if (!guarded_pool_reserve(parser->pool, &parser->bytes, wanted_capacity(parser))) {
        parser->fault = HTTP_FAULT_NO_MEMORY;
        return NULL;
    }
    *capacity_bytes = parser->bytes.capacity_bytes - parser->bytes.size_bytes;
    return parser->bytes.bytes + parser->bytes.size_bytes;
}

void http_parser_received(struct http_parser *parser, size_t size_bytes)
{
    if (size_bytes > 0)
        REQUIRE(guarded_extend(&parser->bytes, size_bytes) != NULL);
    else if (parser->bytes.size_bytes == 0)
        guarded_pool_give(parser->pool, &parser->bytes);
}

/* A body that was all there with its head needs no second reading of the head: nothing moved. */
static enum http_fault read_head(struct http_parser *parser, struct http_request *out)
{
    uint64_t content_bytes;
    enum http_fault fault =
        http_head_parse(parser->bytes.bytes, parser->scan.head_bytes, out, &content_bytes);
    if (fault != HTTP_FAULT_NONE)
        return fault;
    if (content_bytes > parser->body_max_bytes)
        return HTTP_FAULT_BODY_SIZE;
    parser->head_is_read = true;
    parser->message_bytes = parser->scan.head_bytes + (size_t)content_bytes;
    out->body = parser->bytes.bytes + parser->scan.head_bytes;
    out->body_bytes = (size_t)content_bytes;
    return HTTP_FAULT_NONE;
}

static enum http_progress refuse(struct http_parser *parser, enum http_fault *fault)
{
    *fault = parser->fault;
    return HTTP_REFUSED;
}

enum http_progress http_parser_parse(struct http_parser *parser, struct http_request *out,
                                     enum http_fault *fault)
{
    REQUIRE(!parser->is_complete);
    const struct guarded *bytes = &parser->bytes;
    if (parser->fault == HTTP_FAULT_NONE && parser->scan.head_bytes == 0)
        parser->fault = http_head_scan(&parser->scan, bytes->bytes, bytes->size_bytes);
    if (parser->fault != HTTP_FAULT_NONE)
        return refuse(parser, fault);
    if (parser->scan.head_bytes == 0)
        return HTTP_NEEDS_MORE;
    if (parser->head_is_read && bytes->size_bytes < parser->message_bytes)
        return HTTP_NEEDS_BODY;
    parser->fault = read_head(parser, out);
    if (parser->fault != HTTP_FAULT_NONE)
        return refuse(parser, fault);
    if (bytes->size_bytes < parser->message_bytes)
        return HTTP_NEEDS_BODY;
    parser->is_complete = true;
    return HTTP_COMPLETE;
}

void http_parser_next(struct http_parser *parser)
{
    REQUIRE(parser->is_complete);
    guarded_consume(&parser->bytes, parser->message_bytes);
    if (parser->bytes.size_bytes == 0)
        guarded_pool_give(parser->pool, &parser->bytes);
    parser->scan = (struct http_head_scan){0};
    parser->head_is_read = parser->is_complete = false;
    parser->message_bytes = 0;
}

bool http_parser_is_idle(const struct http_parser *parser)
{
    return parser->bytes.size_bytes == 0;
}
