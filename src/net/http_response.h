/* net/http_response.h -- one HTTP/1.1 answer as it comes in, strictly (RFC 9112), over llhttp.
 *
 * On top of llhttp's strict mode: a head of at most HTTP_ANSWER_HEAD_MAX with whole CR LF lines and
 * no control characters, no folded headers, at most one Content-Length of digits only, no
 * Transfer-Encoding but one "chunked" and that without a length beside it, no interim (1xx) and no
 * upgraded answer, no trailers, nothing behind the answer. One parser reads one answer.
 * Thread rule: one thread at a time. */
#ifndef NET_HTTP_RESPONSE_H
#define NET_HTTP_RESPONSE_H

#include "mem/guarded.h"

#define HTTP_ANSWER_HEAD_MAX 32768u
#define HTTP_ANSWER_HEADERS_MAX 64u

/* Gets the body, piece by piece; anything but LETHE_OK ends the parsing with that. */
typedef lethe_result http_response_piece(void *context, const uint8_t *bytes, size_t size_bytes,
                                         struct lethe_error *err);
struct http_response_options {
    bool to_head;            /* the request was HEAD: there is no body, whatever the head says */
    bool may_end_with_close; /* a body without a length is as long as the connection lasts */
    http_response_piece *piece;
    void *context;
};

struct http_response;
LETHE_MUST_CHECK lethe_result http_response_create(const struct http_response_options *options,
                                                   struct http_response **out,
                                                   struct lethe_error *err);
void http_response_free(struct http_response *response); /* wipes; NULL is fine */
DEFINE_CLEANUP(http_response_free, struct http_response *);

/* *complete: all of the answer is there. LETHE_MALFORMED: it is no such answer. */
LETHE_MUST_CHECK lethe_result http_response_feed(struct http_response *response,
                                                 const uint8_t *bytes, size_t size_bytes,
                                                 bool *complete, struct lethe_error *err);
/* The connection has ended, in its orderly way. LETHE_UNAVAILABLE: in the midst of the answer. */
LETHE_MUST_CHECK lethe_result http_response_end(struct http_response *response,
                                                struct lethe_error *err);
unsigned http_response_status(const struct http_response *response); /* 0: the head is not there */
/* Of a whole answer: whether the connection may be used again. */
bool http_response_keeps(const struct http_response *response);

#endif
