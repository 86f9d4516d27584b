#include "engine/ready_url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

#define PATIENCE_US 200000

/* ---- the address -------------------------------------------------------------------------------
 */

static const struct {
    const char *prefix;
    bool is_v6;
} hosts[] = {{"http://127.0.0.1:", false}, {"http://localhost:", false}, {"http://[::1]:", true}};

static lethe_result refuse(struct lethe_error *err)
{
    error_set(err, LETHE_INVALID, "--ready-url is not an address of this host");
    error_hint(err, "for example --ready-url http://127.0.0.1:8080/health");
    return LETHE_INVALID;
}

/* Digits, then the path; only what needs no quoting in a request line. */
static bool parse_rest(const char *rest, struct ready_url *out)
{
    char *end;
    unsigned long port = rest[0] >= '0' && rest[0] <= '9' ? strtoul(rest, &end, 10) : 0;
    if (port == 0 || port > 65535 || end[0] != '/' || strlen(end) >= READY_URL_PATH_MAX)
        return false;
    for (const char *p = end; *p != '\0'; p++) {
        if (*p <= ' ' || *p >= 0x7f)
            return false;
    }
    out->port = (uint16_t)port;
    snprintf(out->path, sizeof out->path, "%s", end);
    return true;
}

lethe_result ready_url_parse(const char *text, struct ready_url *out, struct lethe_error *err)
{
    *out = (struct ready_url){0};
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        size_t length = strlen(hosts[i].prefix);
        out->is_v6 = hosts[i].is_v6;
        if (strncmp(text, hosts[i].prefix, length) == 0)
            return parse_rest(text + length, out) ? LETHE_OK : refuse(err);
    }
    return refuse(err);
}

/* ---- asking ------------------------------------------------------------------------------------
 */

static int connect_to(const struct ready_url *url)
{
    const struct sockaddr_in v4 = {.sin_family = AF_INET,
                                   .sin_port = htons(url->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(url->port), .sin6_addr = in6addr_loopback};
    const struct timeval patience = {.tv_usec = PATIENCE_US};
    CLEANUP(fd_close)
    int fd = socket(url->is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr *address =
        url->is_v6 ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0 ||
        connect(fd, address, url->is_v6 ? sizeof v6 : sizeof v4) != 0)
        return -1;
    int connected = fd;
    fd = -1;
    return connected;
}

bool ready_url_is_good_answer(const char *bytes, size_t size_bytes)
{
    static const char first[] = "HTTP/1.";
    static const char second[] = " 200";
    size_t before = strlen(first);
    return size_bytes > before + 1 + strlen(second) && memcmp(bytes, first, before) == 0 &&
           memcmp(bytes + before + 1, second, strlen(second)) == 0 &&
           (bytes[before + 1 + strlen(second)] == ' ' ||
            bytes[before + 1 + strlen(second)] == '\r');
}

bool ready_url_answers(const struct ready_url *url)
{
    char request[READY_URL_PATH_MAX + 128];
    char answer[64];
    CLEANUP(fd_close) int fd = connect_to(url);
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: localhost:%u\r\nConnection: close\r\n\r\n",
                          url->path, url->port);
    if (fd < 0 || send(fd, request, (size_t)length, MSG_NOSIGNAL) != length)
        return false;
    ssize_t got = recv(fd, answer, sizeof answer, 0);
    return got > 0 && ready_url_is_good_answer(answer, (size_t)got);
}
