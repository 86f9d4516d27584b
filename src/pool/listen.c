#include "pool/listen.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "net/tcp_listen.h"

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
    char name[TCP_ADDRESS_SIZE];
    CLEANUP(fd_close) int fd = -1;
    TRY(tcp_listen(&url, &fd, err));
    TRY(tcp_listens_at(fd, &url, name, err));
    snprintf(text, WIRE_ADDRESS_MAX + 1, "%.*s", (int)WIRE_ADDRESS_MAX, name);
    *out = FD_MOVE(fd);
    return LETHE_OK;
}

lethe_result listen_open(const char *address, bool allow_public, int *out,
                         char text[WIRE_ADDRESS_MAX + 1], struct lethe_error *err)
{
    return error_context(err, open_one(address, allow_public, out, text, err), "listening on %s",
                         address);
}
