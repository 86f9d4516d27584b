#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "net/url.h"
#include "pool/link_core.h"

/* ---- addresses -------------------------------------------------------------------------------
 */

static lethe_result parse(const char *address, struct url *out, struct lethe_error *err)
{
    char text[sizeof "https://" + WIRE_ADDRESS_MAX];
    size_t length = strlen(address);
    const char *colon = strrchr(address, ':');
    if (length > WIRE_ADDRESS_MAX || strpbrk(address, "/?#") != NULL)
        return error_set(err, LETHE_INVALID, "it is not HOST:PORT");
    if (colon == NULL || colon[1 + strspn(colon + 1, "0123456789")] != '\0')
        return error_set(err, LETHE_INVALID, "it has no port");
    snprintf(text, sizeof text, "https://%s", address);
    return url_parse(text, out, err);
}

lethe_result link_check_address(const char *address, struct lethe_error *err)
{
    struct url place;
    return parse(address, &place, err);
}

lethe_result link_look_up(const char *address, struct addrinfo **out, struct lethe_error *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct url place;
    char port[8];
    TRY(parse(address, &place, err));
    snprintf(port, sizeof port, "%u", place.port);
    int failure = getaddrinfo(place.host, port, &hints, out);
    if (failure != 0)
        return error_set(err, LETHE_UNAVAILABLE, "looking up the name: %s", gai_strerror(failure));
    return LETHE_OK;
}

void link_forget_addresses(struct link *link)
{
    if (link->addresses != NULL)
        freeaddrinfo(MOVE(link->addresses));
    link->address = NULL;
}

/* ---- trying them -----------------------------------------------------------------------------
 */

static lethe_result open_socket(struct link *link, struct lethe_error *err)
{
    link->fd = socket(link->address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (link->fd < 0)
        return error_from_errno(err, "making a socket");
    return link_watch_socket(link, link->fd, LOOP_WRITE, err);
}

/* The first call begins, and later ones say how it stands. */
static lethe_result connect_socket(struct link *link, bool *connected, struct lethe_error *err)
{
    *connected = false;
    if (link->fd < 0)
        TRY(open_socket(link, err));
    if (connect(link->fd, link->address->ai_addr, link->address->ai_addrlen) == 0 ||
        errno == EISCONN) {
        *connected = true;
        return LETHE_OK;
    }
    if (errno == EINPROGRESS || errno == EALREADY || errno == EINTR)
        return LETHE_OK;
    return error_set(err, LETHE_UNAVAILABLE, "%s", strerrordesc_np(errno));
}

static lethe_result begin_tls(struct link *link, struct lethe_error *err)
{
    TRY(tls_connect(link->options.tls, link->fd, NULL, &link->tls, err));
    link->fd = -1; /* it is TLS's */
    link->stage = LINK_HANDSHAKE;
    link_forget_addresses(link);
    return LETHE_OK;
}

static void try_next(struct link *link)
{
    loop_watch_free(MOVE(link->watch));
    fd_close(FD_MOVE(link->fd));
    link->address = link->address->ai_next;
}

void link_step_dial(struct link *link)
{
    struct lethe_error err = {0};
    lethe_result result = LETHE_UNAVAILABLE;
    while (link->address != NULL) {
        bool connected;
        result = connect_socket(link, &connected, &err);
        if (result == LETHE_OK && !connected)
            return; /* the loop tells */
        if (result == LETHE_OK)
            result = begin_tls(link, &err);
        if (result == LETHE_OK)
            return;
        try_next(link);
    }
    link_fail(link, result, &err);
}
