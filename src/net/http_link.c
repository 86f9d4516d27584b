#include "net/http_link.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

#define NS_PER_MS 1000000u
/* Whoever is there and does not even begin is not worth waiting for as for an answer. */
#define HANDSHAKE_MS 10000u

struct http_deadline http_deadline_in(uint64_t ms)
{
    uint64_t now_ns = clock_monotonic_ns(&clock_system);
    return (struct http_deadline){now_ns + ms * NS_PER_MS, ms};
}

/* Until one of the events is there. */
static lethe_result wait_for(int fd, short events, const struct http_deadline *deadline,
                             struct lethe_error *err)
{
    for (;;) {
        uint64_t now_ns = clock_monotonic_ns(&clock_system);
        if (now_ns >= deadline->at_ns)
            return error_set(err, LETHE_UNAVAILABLE, "no answer within %" PRIu64 " ms",
                             deadline->after_ms);
        uint64_t left_ms = (deadline->at_ns - now_ns) / NS_PER_MS + 1;
        struct pollfd wanted = {.fd = fd, .events = events};
        int ready = poll(&wanted, 1, (int)MIN(left_ms, 60000u));
        if (ready > 0)
            return LETHE_OK;
        if (ready < 0 && errno != EINTR)
            return error_from_errno(err, "waiting for a connection");
    }
}

static lethe_result wait_as_wanted(const struct tls_connection *link, enum tls_want want,
                                   const struct http_deadline *deadline, struct lethe_error *err)
{
    return wait_for(tls_fd(link), want == TLS_WANT_WRITE ? POLLOUT : POLLIN, deadline, err);
}

/* ---- connecting ------------------------------------------------------------------------------ */

static lethe_result connect_to(const struct addrinfo *address, const struct http_deadline *deadline,
                               int *out, struct lethe_error *err)
{
    CLEANUP(fd_close)
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_from_errno(err, "making a socket");
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        if (errno != EINPROGRESS)
            return error_set(err, LETHE_UNAVAILABLE, "%s", strerrordesc_np(errno));
        TRY(wait_for(fd, POLLOUT, deadline, err));
        int failure = 0;
        socklen_t size = sizeof failure;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
            return error_from_errno(err, "asking a socket");
        if (failure != 0)
            return error_set(err, LETHE_UNAVAILABLE, "%s", strerrordesc_np(failure));
    }
    const int on = 1; /* a request is one write, and nothing is gained by waiting for more */
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        return error_from_errno(err, "setting up a socket");
    *out = FD_MOVE(fd);
    return LETHE_OK;
}

static void addresses_free(struct addrinfo *addresses)
{
    if (addresses != NULL)
        freeaddrinfo(addresses);
}
DEFINE_CLEANUP(addresses_free, struct addrinfo *);

/* The first address that answers. */
static lethe_result connect_socket(const struct url *url, const struct http_deadline *deadline,
                                   int *out, struct lethe_error *err)
{
    char port[8];
    snprintf(port, sizeof port, "%u", url->port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    CLEANUP(addresses_free) struct addrinfo *addresses = NULL;
    int failure = getaddrinfo(url->host, port, &hints, &addresses);
    if (failure != 0)
        return error_set(err, LETHE_UNAVAILABLE, "looking up the name: %s", gai_strerror(failure));
    lethe_result result = LETHE_UNAVAILABLE;
    for (const struct addrinfo *a = addresses; a != NULL; a = a->ai_next) {
        result = connect_to(a, deadline, out, err);
        if (result == LETHE_OK)
            break;
    }
    return result;
}

/* A broken connection is one that may be tried again; what is not believed stays refused. */
static lethe_result as_unavailable(lethe_result result, struct lethe_error *err)
{
    if (result != LETHE_IO)
        return result;
    if (err != NULL)
        err->code = LETHE_UNAVAILABLE;
    return LETHE_UNAVAILABLE;
}

static lethe_result shake_hands(struct tls_connection *link, const struct http_deadline *deadline,
                                struct lethe_error *err)
{
    struct http_deadline soon = http_deadline_in(HANDSHAKE_MS);
    if (deadline->at_ns < soon.at_ns)
        soon = *deadline;
    for (;;) {
        enum tls_want want = TLS_DONE;
        TRY(tls_handshake(link, &want, err));
        if (want == TLS_DONE)
            return LETHE_OK;
        if (want == TLS_CLOSED)
            return error_set(err, LETHE_UNAVAILABLE, "the connection ended in its handshake");
        TRY(error_context(err, wait_as_wanted(link, want, &soon, err), "the TLS handshake"));
    }
}

lethe_result http_link_open(const struct url *url, struct tls_context *tls,
                            const struct http_deadline *deadline, struct tls_connection **out,
                            struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(fd_close) int fd = -1;
    CLEANUP(tls_free) struct tls_connection *link = NULL;
    TRY(connect_socket(url, deadline, &fd, err));
    TRY(tls_connect(tls, FD_MOVE(fd), url->host, &link, err));
    TRY(as_unavailable(shake_hands(link, deadline, err), err));
    *out = MOVE(link);
    return LETHE_OK;
}

/* ---- using ----------------------------------------------------------------------------------- */

lethe_result http_link_write(struct tls_connection *link, const void *bytes, size_t size_bytes,
                             const struct http_deadline *deadline, struct lethe_error *err)
{
    const uint8_t *at = bytes;
    while (size_bytes > 0) {
        size_t written_bytes = 0;
        enum tls_want want = TLS_DONE;
        TRY(as_unavailable(tls_write(link, at, size_bytes, &written_bytes, &want, err), err));
        if (want == TLS_CLOSED)
            return error_set(err, LETHE_UNAVAILABLE, "the other side has ended the connection");
        at += written_bytes;
        size_bytes -= written_bytes;
        if (want != TLS_DONE)
            TRY(wait_as_wanted(link, want, deadline, err));
    }
    return LETHE_OK;
}

lethe_result http_link_read(struct tls_connection *link, void *bytes, size_t capacity_bytes,
                            size_t *read_bytes, bool *closed, const struct http_deadline *deadline,
                            struct lethe_error *err)
{
    *read_bytes = 0;
    for (;;) {
        enum tls_want want = TLS_DONE;
        TRY(as_unavailable(tls_read(link, bytes, capacity_bytes, read_bytes, &want, err), err));
        *closed = want == TLS_CLOSED;
        if (*closed || *read_bytes > 0)
            return LETHE_OK;
        TRY(wait_as_wanted(link, want, deadline, err));
    }
}

lethe_result http_link_look(struct tls_connection *link, struct lethe_error *err)
{
    struct pollfd waiting = {.fd = tls_fd(link), .events = POLLIN};
    if (!tls_pending(link) && poll(&waiting, 1, 0) == 0)
        return LETHE_OK;
    /* Something is there: it may be no more than a session ticket, which is read on the way. */
    uint8_t byte;
    size_t read_bytes = 0;
    enum tls_want want = TLS_DONE;
    TRY(as_unavailable(tls_read(link, &byte, sizeof byte, &read_bytes, &want, err), err));
    if (want == TLS_WANT_READ && read_bytes == 0)
        return LETHE_OK;
    return error_set(err, LETHE_UNAVAILABLE, "the other side has ended the connection");
}
