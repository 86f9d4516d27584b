#include "pool_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define PATIENCE_MS 20000

/* ---- opening --------------------------------------------------------------------------------- */

static int connect_to(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        bench_fail("the server cannot be reached", NULL);
    return fd;
}

static void wait_for(int fd, enum tls_want want)
{
    struct pollfd poll_fd = {.fd = fd, .events = want == TLS_WANT_READ ? POLLIN : POLLOUT};
    if (want == TLS_CLOSED || poll(&poll_fd, 1, PATIENCE_MS) != 1)
        bench_fail("the server gives no connection", NULL);
}

void pool_link_open(struct pool_link *link, uint16_t port, struct tls_context *tls)
{
    struct lethe_error err = {0};
    enum tls_want want = TLS_WANT_WRITE;
    *link = (struct pool_link){.fd = connect_to(port)};
    if (tls == NULL)
        return;
    if (tls_connect(tls, link->fd, "127.0.0.1", &link->tls, &err) != LETHE_OK)
        bench_fail("no TLS connection", &err);
    for (;;) {
        if (tls_handshake(link->tls, &want, &err) != LETHE_OK)
            bench_fail("no TLS connection", &err);
        if (want == TLS_DONE)
            return;
        wait_for(link->fd, want);
    }
}

void pool_link_close(struct pool_link *link)
{
    if (link->tls != NULL)
        tls_free(link->tls); /* and the socket */
    else
        fd_close(link->fd);
    *link = (struct pool_link){.fd = -1};
}

/* ---- using ----------------------------------------------------------------------------------- */

static size_t passed(ssize_t count, enum tls_want blocked, enum tls_want *want)
{
    *want = count >= 0 ? TLS_DONE : blocked;
    if (count < 0 && errno != EAGAIN && errno != EINTR)
        bench_fail("a connection is gone", NULL);
    return count >= 0 ? (size_t)count : 0;
}

size_t pool_link_write(struct pool_link *link, const void *bytes, size_t size_bytes,
                       enum tls_want *want)
{
    struct lethe_error err = {0};
    size_t written_bytes = 0;
    if (link->tls == NULL)
        return passed(send(link->fd, bytes, size_bytes, MSG_NOSIGNAL), TLS_WANT_WRITE, want);
    if (tls_write(link->tls, bytes, size_bytes, &written_bytes, want, &err) != LETHE_OK)
        bench_fail("a request cannot be sent", &err);
    return written_bytes;
}

size_t pool_link_read(struct pool_link *link, void *bytes, size_t capacity_bytes,
                      enum tls_want *want)
{
    struct lethe_error err = {0};
    size_t read_bytes = 0;
    if (link->tls == NULL)
        read_bytes = passed(recv(link->fd, bytes, capacity_bytes, 0), TLS_WANT_READ, want);
    else if (tls_read(link->tls, bytes, capacity_bytes, &read_bytes, want, &err) != LETHE_OK)
        bench_fail("an answer cannot be read", &err);
    if (*want == TLS_CLOSED || (*want == TLS_DONE && read_bytes == 0))
        bench_fail("the server closed a connection", NULL);
    return read_bytes;
}

void pool_link_flush(struct pool_link *link, enum tls_want *want)
{
    struct lethe_error err = {0};
    *want = TLS_DONE;
    if (link->tls != NULL && tls_flush(link->tls, want, &err) != LETHE_OK)
        bench_fail("a request cannot be sent", &err);
}

bool pool_link_knows(const struct pool_link *link)
{
    return link->tls != NULL;
}
