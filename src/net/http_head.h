/* net/http_head.h -- the head of one request, from its first byte to the empty line (RFC 9112, 2
 * to 5). Pure functions. */
#ifndef NET_HTTP_HEAD_H
#define NET_HTTP_HEAD_H

#include "net/http.h"

/* Looks for the end of the head, line by line, and at how lines are made: each ends in CR LF, none
 * is folded. *scan begins as {0} and remembers what was looked at. */
struct http_head_scan {
    size_t looked_bytes;
    size_t line_at;
    size_t head_bytes; /* 0: the end is not there yet */
};
enum http_fault http_head_scan(struct http_head_scan *scan, const uint8_t *bytes,
                               size_t size_bytes);

/* Reads a whole head. All but `body` and `body_bytes` of *out is set; *content_bytes is how long
 * the body is to be. */
enum http_fault http_head_parse(const uint8_t *bytes, size_t head_bytes, struct http_request *out,
                                uint64_t *content_bytes);

#endif
