/* net/http_response_head.h -- what the head of an answer must be before llhttp sees it. */
#ifndef NET_HTTP_RESPONSE_HEAD_H
#define NET_HTTP_RESPONSE_HEAD_H

#include "base/base.h"

/* A head up to and including the empty line. LETHE_MALFORMED says which rule it breaks. */
LETHE_MUST_CHECK lethe_result http_response_head_check(const uint8_t *head, size_t size_bytes,
                                                       struct lethe_error *err);

#endif
