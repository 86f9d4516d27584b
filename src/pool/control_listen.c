/* The socket, and new connections. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "net/source_limits.h"
#include "net/url.h"
#include "pool/control_core.h"

#define BACKLOG 1024
#define ACCEPTS_A_TURN 64u

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage all;
};

/* ---- listening ------------------------------------------------------------------------------- */

static socklen_t fill(const struct url *url, union address *out)
{
    *out = (union address){.all = {0}};
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

static lethe_result make_socket(const struct url *url, int *out, struct lethe_error *err)
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
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* inherited */
    if (bind(fd, &address.any, length) != 0 || listen(fd, BACKLOG) != 0)
        return error_set(err, errno == EADDRINUSE ? LETHE_UNAVAILABLE : LETHE_FAILED,
                         "listening: %s", strerrordesc_np(errno));
    *out = FD_MOVE(fd);
    return LETHE_OK;
}

/* With the port that the kernel has chosen, if it was to. */
static lethe_result name_address(struct control *control, const struct url *url,
                                 struct lethe_error *err)
{
    union address address;
    socklen_t length = sizeof address;
    if (getsockname(control->listen_fd, &address.any, &length) != 0)
        return error_from_errno(err, "asking a socket for its address");
    bool is_v6 = address.any.sa_family == AF_INET6;
    snprintf(control->address, sizeof control->address, is_v6 ? "[%.200s]:%u" : "%.200s:%u",
             url->host, ntohs(is_v6 ? address.v6.sin6_port : address.v4.sin_port));
    return LETHE_OK;
}

static lethe_result listen_on(struct control *control, struct lethe_error *err)
{
    struct url url;
    bool is_public;
    TRY(url_parse_listen(control->options.listen, &url, &is_public, err));
    if (is_public && !control->options.allow_public) {
        error_set(err, LETHE_DENIED, "it can be reached from other machines");
        error_hint(err, "if that is meant: --allow-public, or allow_public = yes in pool.conf");
        return LETHE_DENIED;
    }
    TRY(make_socket(&url, &control->listen_fd, err));
    return name_address(control, &url, err);
}

/* ---- accepting ------------------------------------------------------------------------------- */

static void accept_one(struct control *control, int fd, const union address *address)
{
    const char *why;
    struct source_key key;
    char text[SOURCE_TEXT_SIZE];
    source_of_address(&address->all, &key, text);
    struct limits_source *source =
        limits_enter(control->sources, &key, loop_now_ms(control->loop), &why);
    if (source == NULL || control->peer_count >= control->limits.connections_max ||
        peer_accept(control, fd, source, NULL) != LETHE_OK) {
        if (source != NULL)
            limits_leave(control->sources, source);
        control->counters.turned_away++;
        close(fd);
    }
}

static void is_ready(void *context, unsigned events)
{
    struct control *control = context;
    for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
        union address address = {.all = {0}};
        socklen_t length = sizeof address;
        int fd = accept4(control->listen_fd, &address.any, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        accept_one(control, fd, &address);
    }
}

lethe_result control_listen(struct control *control, struct lethe_error *err)
{
    TRY(error_context(err, listen_on(control, err), "%s", control->options.listen));
    return loop_watch(control->loop, control->listen_fd, LOOP_READ, is_ready, control,
                      &control->listening, err);
}
