/* tests/net/tls_pair.h -- two of ours on a pair of sockets. Include check.h first. */
#ifndef TESTS_NET_TLS_PAIR_H
#define TESTS_NET_TLS_PAIR_H

#include <sys/socket.h>
#include <unistd.h>

#include "certificates.h"
#include "net/tls.h"

struct side {
    struct tls_connection *connection;
    lethe_result result;
    enum tls_want want;
    struct lethe_error err;
};

static inline struct tls_context *pair_context(const struct tls_options *options, bool is_server)
{
    struct tls_context *context = NULL;
    struct lethe_error err;
    assert_ok(is_server ? tls_server_create(options, &context, &err)
                        : tls_client_create(options, &context, &err),
              &err);
    return context;
}

/* Opens both, which keep their contexts. */
static inline void open_pair(struct tls_context *ours, struct tls_context *theirs, const char *host,
                             struct side *a, struct side *b)
{
    int pair[2];
    *a = *b = (struct side){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_result(LETHE_OK, tls_accept(ours, pair[0], &a->connection, NULL));
    assert_result(LETHE_OK, tls_connect(theirs, pair[1], host, &b->connection, NULL));
    tls_context_free(ours);
    tls_context_free(theirs);
    a->want = b->want = TLS_WANT_READ;
}

static inline void close_pair(struct side *a, struct side *b)
{
    tls_free(a->connection);
    tls_free(b->connection);
}

static inline bool is_under_way(const struct side *side)
{
    return side->result == LETHE_OK &&
           (side->want == TLS_WANT_READ || side->want == TLS_WANT_WRITE);
}

static inline void shake_hands(struct side *a, struct side *b)
{
    for (unsigned i = 0; i < 20; i++) {
        if (is_under_way(b))
            b->result = tls_handshake(b->connection, &b->want, &b->err);
        if (is_under_way(a))
            a->result = tls_handshake(a->connection, &a->want, &a->err);
    }
}

static inline bool is_done(const struct side *side)
{
    return side->result == LETHE_OK && side->want == TLS_DONE;
}

#endif
