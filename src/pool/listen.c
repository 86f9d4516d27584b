#include "pool/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "net/url.h"

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

static lethe_result bind_to(const struct url *url, int *out, struct lethe_error *err)
{
    static const int on = 1;
    union address address;
    socklen_t length = fill(url, &address);
    if (length == 0)
        return error_set(err, LETHE_INVALID, "expected an IP address, not a name");
    CLEANUP(fd_close)
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return error_from_errno(err, "making a socket");
    if (bind(fd, &address.any, length) != 0 || listen(fd, BACKLOG) != 0)
        return error_set(err, errno == EADDRINUSE ? LETHE_UNAVAILABLE : LETHE_FAILED, "%s",
                         strerrordesc_np(errno));
    *out = FD_MOVE(fd);
    return LETHE_OK;
}

static lethe_result name_of(int fd, const struct url *url, char text[WIRE_ADDRESS_MAX + 1],
                            struct lethe_error *err)
{
    union address address = {0};
    socklen_t length = sizeof address;
    if (getsockname(fd, &address.any, &length) != 0)
        return error_from_errno(err, "asking a socket for its address");
    bool is_v6 = address.any.sa_family == AF_INET6;
    snprintf(text, WIRE_ADDRESS_MAX + 1, is_v6 ? "[%.200s]:%u" : "%.200s:%u", url->host,
             ntohs(is_v6 ? address.v6.sin6_port : address.v4.sin_port));
    return LETHE_OK;
}

/* The port is said: another service's would be taken for it otherwise. */
static lethe_result parse(const char *address, struct url *out, bool *is_public,
                          struct lethe_error *err)
{
    const char *colon = strrchr(address, ':');
    bool has_port =
        colon != NULL && colon[1] != '\0' && colon[1 + strspn(colon + 1, "0123456789")] == '\0';
    lethe_result result = has_port
                              ? url_parse_listen(address, out, is_public, err)
                              : error_set(err, LETHE_INVALID, "expected an IP address and a port");
    if (result == LETHE_OK && out->host[0] == '\0')
        result = error_set(err, LETHE_INVALID, "expected an IP address and a port");
    if (result != LETHE_OK)
        error_hint(err, "it looks like 127.0.0.1:7311 or [::1]:7311; port 0 is any that is free");
    return result;
}

static lethe_result open_one(const char *address, bool allow_public, int *out,
                             char text[WIRE_ADDRESS_MAX + 1], struct lethe_error *err)
{
    struct url url;
    bool is_public;
    TRY(parse(address, &url, &is_public, err));
    if (is_public && !allow_public) {
        error_set(err, LETHE_DENIED, "it can be reached from other machines");
        error_hint(err, "if that is meant: --allow-public, or allow_public = yes in pool.conf");
        return LETHE_DENIED;
    }
    CLEANUP(fd_close) int fd = -1;
    TRY(bind_to(&url, &fd, err));
    TRY(name_of(fd, &url, text, err));
    *out = FD_MOVE(fd);
    return LETHE_OK;
}

lethe_result listen_open(const char *address, bool allow_public, int *out,
                         char text[WIRE_ADDRESS_MAX + 1], struct lethe_error *err)
{
    return error_context(err, open_one(address, allow_public, out, text, err), "listening on %s",
                         address);
}
