#include "net/tcp_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"

#define BACKLOG 1024

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t fill(const struct url *url, union address *out)
{
    *out = (union address){0};
    if (inet_pton(AF_INET, url->host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(url->port);
        return sizeof out->v4;
    }
    if (inet_pton(AF_INET6, url->host, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(url->port);
        return sizeof out->v6;
    }
    return 0;
}

lethe_result tcp_listen(const struct url *url, int *out, struct lethe_error *err)
{
    static const int on = 1;
    union address address;
    socklen_t length = fill(url, &address);
    if (length == 0)
        return error_set(err, LETHE_INVALID, "expected an IP address, not a name");
    CLEANUP(fd_close)
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (address.any.sa_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0))
        return error_from_errno(err, "making a socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* inherited */
    if (bind(fd, &address.any, length) != 0 || listen(fd, BACKLOG) != 0)
        return error_set(err, errno == EADDRINUSE ? LETHE_UNAVAILABLE : LETHE_FAILED, "%s",
                         strerrordesc_np(errno));
    *out = FD_MOVE(fd);
    return LETHE_OK;
}

lethe_result tcp_listens_at(int fd, const struct url *url, char out[TCP_ADDRESS_SIZE],
                            struct lethe_error *err)
{
    union address address = {0};
    socklen_t length = sizeof address;
    if (getsockname(fd, &address.any, &length) != 0)
        return error_from_errno(err, "asking a socket for its address");
    bool is_v6 = address.any.sa_family == AF_INET6;
    snprintf(out, TCP_ADDRESS_SIZE, is_v6 ? "[%s]:%u" : "%s:%u", url->host,
             ntohs(is_v6 ? address.v6.sin6_port : address.v4.sin_port));
    return LETHE_OK;
}
