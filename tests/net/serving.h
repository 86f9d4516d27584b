/* tests/net/serving.h -- a server on a loop in a thread of its own, for clients that block. */
#ifndef TESTS_NET_SERVING_H
#define TESTS_NET_SERVING_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "certificates.h"
#include "crypto/crypto.h"
#include "net/http_server.h"

struct serving {
    struct loop *loop;
    struct http_server *server;
    struct http_server_events events;
    struct http_limits limits;
    struct tls_context *tls;
    int listener;
    uint16_t port;
    pthread_t thread;
    /* Work for the loop's thread, and whether it is done. */
    void (*_Atomic work)(struct serving *serving);
    struct loop_timer *poll;
    void *context;
};

static inline int listen_on_loopback(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0);
    REQUIRE(listen(fd, 4096) == 0 && getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static inline void serving_poll(void *context)
{
    struct serving *serving = context;
    void (*work)(struct serving *) = atomic_load(&serving->work);
    loop_timer_set(serving->poll, 2);
    if (work == NULL)
        return;
    work(serving);
    atomic_store(&serving->work, NULL);
}

/* Does it on the loop's thread, and waits for it. */
static inline void serving_do(struct serving *serving, void (*work)(struct serving *serving))
{
    atomic_store(&serving->work, work);
    while (atomic_load(&serving->work) != NULL)
        usleep(500);
}

static inline void *serving_run(void *context)
{
    struct serving *serving = context;
    REQUIRE(loop_run(serving->loop, NULL) == LETHE_OK);
    return NULL;
}

/* `events`, `limits` and `tls` are filled in. */
static inline void serving_start(struct serving *serving)
{
    struct lethe_error err = {0};
    if (serving->listener <= 0)
        serving->listener = listen_on_loopback(&serving->port);
    if (loop_create(&serving->loop, &err) != LETHE_OK ||
        http_server_create(serving->loop, serving->tls, &serving->listener, 1, &serving->limits,
                           &serving->events, &serving->server, &err) != LETHE_OK ||
        loop_timer_create(serving->loop, serving_poll, serving, &serving->poll, &err) != LETHE_OK) {
        fprintf(stderr, "%s\n", err.text);
        REQUIRE(!"the server starts");
    }
    loop_timer_set(serving->poll, 2);
    REQUIRE(pthread_create(&serving->thread, NULL, serving_run, serving) == 0);
}

static inline void serving_stop(struct serving *serving)
{
    loop_stop(serving->loop);
    pthread_join(serving->thread, NULL);
    loop_timer_free(serving->poll);
    http_server_free(serving->server);
    loop_free(serving->loop);
    close(serving->listener);
    tls_context_free(serving->tls);
}

#endif
