/* bench/pool_protocol.h -- how a block is put into a server and taken out again, as texts.
 *
 * Every answer is known beforehand but for the block in it, so that a client needs no parser: it
 * compares. Redis, memcached and the plain server are a row each. */
#ifndef BENCH_POOL_PROTOCOL_H
#define BENCH_POOL_PROTOCOL_H

#include "base/base.h"

enum pool_operation { POOL_SET, POOL_GET, POOL_OPERATIONS };
extern const char *const pool_operation_names[POOL_OPERATIONS];

#define POOL_TEXT_MAX 64u
struct pool_text {
    char bytes[POOL_TEXT_MAX];
    size_t size_bytes;
};

/* A block goes between head and tail of the request (set) or of the answer (get). */
struct pool_exchange {
    struct pool_text request_head, request_tail, answer_head, answer_tail;
};

/* X(what, name) */
#define POOL_PROTOCOLS(X)                                                                          \
    X(REDIS, redis)                                                                                \
    X(MEMCACHED, memcached)                                                                        \
    X(PLAIN, plain)
enum pool_protocol {
#define POOL_PROTOCOL_ENUM(what, name) POOL_##what,
    POOL_PROTOCOLS(POOL_PROTOCOL_ENUM)
#undef POOL_PROTOCOL_ENUM
};

void pool_exchange_make(enum pool_protocol protocol, enum pool_operation operation, uint32_t key,
                        size_t block_bytes, struct pool_exchange *out);

/* ---- the plain server's: fixed headers, in this machine's byte order ------------------------- */

struct pool_plain_request {
    uint32_t operation;
    uint32_t key;
    uint64_t block_bytes;
};
struct pool_plain_answer {
    uint64_t block_bytes; /* that follow */
};

#endif
