/* net/http.h -- HTTP/1.1 requests as they come in, strictly (RFC 9112), over llhttp.
 *
 * On top of llhttp's strict mode: known methods only (and LIST, as Vault's clients say it), exactly
 * one Host, at most one Content-Length of digits only, no Transfer-Encoding, no folded headers, no
 * NUL or bare CR or LF, a path that begins with a slash. Each is one row of HTTP_FAULTS. What is
 * refused ends the connection: behind a request that two readers may read in two ways, nothing can
 * be believed. */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "net/guarded_pool.h"

/* X(name, as on the wire) */
#define HTTP_METHODS(X) X(GET) X(HEAD) X(POST) X(PUT) X(DELETE) X(LIST) X(PATCH) X(OPTIONS)
enum http_method {
#define HTTP_METHOD_ENUM(name) HTTP_##name,
    HTTP_METHODS(HTTP_METHOD_ENUM)
#undef HTTP_METHOD_ENUM
        HTTP_METHOD_COUNT
};
const char *http_method_name(enum http_method method);

#define HTTP_TARGET_MAX 8192u /* path and query, as sent */
#define HTTP_HEAD_MAX 32768u  /* request line and headers */
#define HTTP_HEADERS_MAX 64u
#define HTTP_BODY_MAX ((size_t)32 << 20)

struct http_text { /* borrowed bytes of a request; not NUL-terminated */
    const char *at;
    size_t length;
};

/* A whole request. All of it borrows of the message's guarded buffer. */
struct http_request {
    enum http_method method;
    struct http_text path;  /* as sent, without the query */
    struct http_text query; /* behind the '?', as sent; empty when there is none */
    struct {
        struct http_text name;
        struct http_text value;
    } headers[HTTP_HEADERS_MAX];
    size_t header_count;
    const uint8_t *body;
    size_t body_bytes;
    bool keep_alive;
    bool expects_continue; /* of a head only: the sender waits for 100 Continue */
};

/* X(name, status, sentence): why a request is refused */
#define HTTP_FAULTS(X)                                                                             \
    X(NONE, 0, "")                                                                                 \
    X(MALFORMED, 400, "the request is not HTTP/1.1")                                               \
    X(METHOD, 501, "the method is not known")                                                      \
    X(VERSION, 505, "only HTTP/1.1 is spoken")                                                     \
    X(TARGET, 414, "the path is too long")                                                         \
    X(HOST, 400, "a request has exactly one Host")                                                 \
    X(LENGTH, 400, "a request has at most one Content-Length, of digits only")                     \
    X(ENCODING, 501, "Transfer-Encoding is not accepted: send a Content-Length")                   \
    X(HEAD_SIZE, 431, "the headers are too large")                                                 \
    X(BODY_SIZE, 413, "the body is too large")                                                     \
    X(EXPECTATION, 417, "no other expectation than 100-continue can be met")                       \
    X(NO_MEMORY, 503, "there is no memory for the request")
enum http_fault {
#define HTTP_FAULT_ENUM(name, status, sentence) HTTP_FAULT_##name,
    HTTP_FAULTS(HTTP_FAULT_ENUM)
#undef HTTP_FAULT_ENUM
};

unsigned http_fault_status(enum http_fault fault);
const char *http_fault_sentence(enum http_fault fault);

/* One connection's parser. Bytes are gathered in a buffer of the pool, which holds one request at
 * most and what was sent behind it (pipelining), and goes back when it is empty. A parsed request
 * stays valid until http_parser_next(). Nothing is made of a head before it is whole, so that how
 * the bytes were cut into pieces cannot matter. */
struct http_parser;
LETHE_MUST_CHECK lethe_result http_parser_create(size_t body_max_bytes, struct guarded_pool *pool,
                                                 struct http_parser **out, struct lethe_error *err);
void http_parser_free(struct http_parser *parser); /* wipes; NULL is fine */
DEFINE_CLEANUP(http_parser_free, struct http_parser *);
/* Where the next bytes go (at least 1), and how many came there (0: none, and room is given back).
 * NULL when there is no memory: http_parser_parse() then refuses. Not while a request is complete.
 */
uint8_t *http_parser_room(struct http_parser *parser, size_t *capacity_bytes);
void http_parser_received(struct http_parser *parser, size_t size_bytes);
enum http_progress {
    HTTP_NEEDS_MORE,
    HTTP_NEEDS_BODY, /* the head is there; `expects_continue` may be looked at */
    HTTP_COMPLETE,
    HTTP_REFUSED,
};
/* *out (and only it) is changed by HTTP_NEEDS_BODY and HTTP_COMPLETE. After HTTP_REFUSED nothing
 * else comes. */
enum http_progress http_parser_parse(struct http_parser *parser, struct http_request *out,
                                     enum http_fault *fault);
/* Wipes the request that was complete, and goes on with what follows it. */
void http_parser_next(struct http_parser *parser);
/* Whether nothing of a next request is there. */
bool http_parser_is_idle(const struct http_parser *parser);

#endif
