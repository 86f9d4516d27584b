#include "pool_bare.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/thread.h"
#include "net/loop.h"
#include "pool_block.h"
#include "pool_protocol.h"

#define THREADS 2u

static struct service {
    struct tls_context *tls;
    int listener;
    struct loop *loops[THREADS];
    uint8_t *memory;
    size_t memory_bytes;
} service;

/* One operation in flight is all that it knows. */
struct client {
    struct tls_connection *tls;
    struct loop *loop;
    struct loop_task begins; /* on the loop's thread */
    struct loop_watch *watch;
    struct pool_plain_request request;
    struct pool_plain_answer answer;
    bool has_request;
    struct iovec in;     /* what is to be read next: a request, or the block behind it */
    struct iovec out[2]; /* what is to be written next: an answer, and the block behind it */
};

static void let_go(struct client *client)
{
    loop_watch_free(client->watch);
    tls_free(client->tls);
    free(client);
}

/* ---- one request after another --------------------------------------------------------------- */

static size_t advance(struct iovec *part, size_t size_bytes)
{
    size_t step = MIN(size_bytes, part->iov_len);
    part->iov_base = (uint8_t *)part->iov_base + step;
    part->iov_len -= step;
    return size_bytes - step;
}

static lethe_result send_answer(struct client *client, struct lethe_error *err)
{
    enum tls_want want = TLS_DONE;
    size_t written_bytes;
    TRY(tls_write_parts(client->tls, client->out, ARRAY_LEN(client->out), &written_bytes, &want,
                        err));
    for (size_t i = 0; i < ARRAY_LEN(client->out); i++)
        written_bytes = advance(&client->out[i], written_bytes);
    if (want == TLS_DONE)
        TRY(tls_flush(client->tls, &want, err));
    loop_watch_set(client->watch, want == TLS_DONE ? (unsigned)LOOP_READ : LOOP_READ | LOOP_WRITE);
    return LETHE_OK;
}

static void expect_request(struct client *client)
{
    client->has_request = false;
    client->in = (struct iovec){&client->request, sizeof client->request};
}

static lethe_result answer(struct client *client, uint8_t *block, size_t block_bytes,
                           struct lethe_error *err)
{
    client->answer.block_bytes = block_bytes;
    client->out[0] = (struct iovec){&client->answer, sizeof client->answer};
    client->out[1] = (struct iovec){block, block_bytes};
    expect_request(client);
    return send_answer(client, err);
}

static lethe_result take(struct client *client, struct lethe_error *err)
{
    const struct pool_plain_request *request = &client->request;
    if (client->has_request) /* and its block */
        return answer(client, NULL, 0, err);
    const size_t begin = request->key * request->block_bytes;
    if (begin + request->block_bytes > service.memory_bytes)
        bench_fail("a block lies outside of the memory", NULL);
    if (request->operation == POOL_GET)
        return answer(client, service.memory + begin, request->block_bytes, err);
    client->has_request = true;
    client->in = (struct iovec){service.memory + begin, request->block_bytes};
    return LETHE_OK;
}

static lethe_result serve_client(struct client *client, unsigned events, struct lethe_error *err)
{
    if ((events & LOOP_WRITE) != 0)
        TRY(send_answer(client, err));
    for (;;) {
        enum tls_want want = TLS_DONE;
        size_t got;
        TRY(tls_read(client->tls, client->in.iov_base, client->in.iov_len, &got, &want, err));
        if (want == TLS_CLOSED)
            return error_set(err, LETHE_UNAVAILABLE, "the client has gone");
        if (want != TLS_DONE)
            return LETHE_OK;
        (void)advance(&client->in, got);
        if (client->in.iov_len == 0)
            TRY(take(client, err));
    }
}

static void ready(void *context, unsigned events)
{
    struct lethe_error err = {0};
    if (serve_client(context, events, &err) != LETHE_OK)
        let_go(context);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void begin(void *context)
{
    struct client *client = context;
    struct lethe_error err = {0};
    if (loop_watch(client->loop, tls_fd(client->tls), LOOP_READ, ready, client, &client->watch,
                   &err) != LETHE_OK)
        bench_fail("a connection cannot be watched", &err);
    ready(client, LOOP_READ); /* what came with the handshake */
}

/* Clients come before anything is measured: one after another may wait. */
static struct tls_connection *shake_hands(int fd)
{
    struct lethe_error err = {0};
    struct tls_connection *tls;
    enum tls_want want = TLS_WANT_READ;
    if (tls_accept(service.tls, fd, &tls, &err) != LETHE_OK)
        bench_fail("no TLS connection", &err);
    while (want != TLS_DONE) /* the socket waits */
        if (tls_handshake(tls, &want, &err) != LETHE_OK || want == TLS_CLOSED)
            bench_fail("a client is not believed", &err);
    return tls;
}

/* Each thread gets every other connection. */
static void *accept_all(void *context)
{
    const int on = 1;
    for (unsigned next = 0;; next++) {
        int fd = accept4(service.listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
            bench_fail("a client cannot connect", NULL);
        struct client *client = pool_allocate(1, sizeof *client);
        client->tls = shake_hands(fd);
        if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
            bench_fail("a client cannot connect", NULL);
        client->loop = service.loops[next % THREADS];
        client->begins = (struct loop_task){.work = begin, .context = client};
        expect_request(client);
        loop_post(client->loop, &client->begins);
    }
}

static void nothing(void *context)
{
}

/* The timer, which never rings, keeps a loop that has no clients yet from ending. */
static void *serve(void *context)
{
    struct loop_timer *timer;
    struct lethe_error err = {0};
    if (loop_timer_create(context, nothing, NULL, &timer, &err) == LETHE_OK)
        (void)!loop_run(context, &err);
    bench_fail("the bare server has ended", &err);
}

static uint16_t listen_somewhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    service.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (service.listener < 0 ||
        bind(service.listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(service.listener, SOMAXCONN) != 0 ||
        getsockname(service.listener, (struct sockaddr *)&address, &length) != 0)
        bench_fail("the bare server cannot listen", NULL);
    return ntohs(address.sin_port);
}

uint16_t pool_bare_open(struct tls_context *tls, size_t memory_bytes)
{
    struct lethe_error err = {0};
    pthread_t thread;
    uint16_t port = listen_somewhere();
    service.tls = tls;
    service.memory = pool_allocate(1, memory_bytes);
    service.memory_bytes = memory_bytes;
    for (unsigned i = 0; i < THREADS; i++)
        if (loop_create(&service.loops[i], &err) != LETHE_OK ||
            thread_start(&thread, serve, service.loops[i], &err) != LETHE_OK)
            bench_fail("the bare server cannot be started", &err);
    if (thread_start(&thread, accept_all, NULL, &err) != LETHE_OK)
        bench_fail("the bare server cannot be started", &err);
    return port;
}
