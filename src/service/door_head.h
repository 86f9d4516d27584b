/* service/door_head.h -- what a request says before its body: the path, and who claims to ask.
 *
 * Pure: from an HTTP request to what a frame to the keeper has. */
#ifndef SERVICE_DOOR_HEAD_H
#define SERVICE_DOOR_HEAD_H

#include "net/http.h"

#define DOOR_PREFIX "/v1/"
#define DOOR_METRICS "/metrics"

struct door_head {
    struct http_text path;  /* decoded: "/v1/..." or "/metrics"; borrows of the scratch */
    struct http_text token; /* borrows of the request; `at` is NULL when there is none */
    uint8_t flags;          /* enum wire_request_flags */
    uint16_t method;        /* enum call_method: PUT is POST, HEAD is GET */
    bool is_head;
};
/* The path is decoded into `scratch`, which is emptied first. LETHE_NOT_FOUND: not below /v1/ (and
 * not /metrics); LETHE_CONFLICT: a method that there is not, 405; LETHE_MALFORMED, LETHE_INVALID:
 * 400 with that text; LETHE_NO_MEMORY. */
LETHE_MUST_CHECK lethe_result door_head_read(const struct http_request *request,
                                             struct guarded *scratch, struct door_head *out,
                                             struct lethe_error *err);

/* "/a//b/" as "/a/b", in place: of a path that begins with a slash. LETHE_MALFORMED: "." or ".." is
 * a segment. */
LETHE_MUST_CHECK lethe_result door_path_tidy(char *path, size_t *length, struct lethe_error *err);

#endif
