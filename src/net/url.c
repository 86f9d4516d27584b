#include "net/url.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define SCHEME "https://"
#define UNIX_SCHEME "unix:"
#define PORT_DEFAULT 8200
#define DNS_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."
#define PATH_REFUSED " \"#<>?\\^`{|}"
#define UNIX_PATH_MAX 107u /* what fits in sockaddr_un */

/* `what` is "" where whoever asked says it (url.h). */
static lethe_result refuse(struct lethe_error *err, const char *what, const char *why)
{
    return error_set(err, LETHE_INVALID, "%s%s%s", what, what[0] != '\0' ? ": " : "", why);
}

static bool is_ipv4(const char *host)
{
    struct in_addr address;
    return inet_pton(AF_INET, host, &address) == 1;
}

static bool is_ipv6(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET6, host, &address) == 1;
}

/* Letters, digits, '-' and '.': parts of 1 to 63 characters that do not begin or end with '-'. What
 * is digits and dots only is an address or nothing. */
static bool is_dns_name(const char *host)
{
    if (host[0] == '\0' || strspn(host, DNS_CHARACTERS) != strlen(host) || strlen(host) > 253)
        return false;
    if (strspn(host, "0123456789.") == strlen(host))
        return is_ipv4(host);
    for (const char *part = host;; part++) {
        size_t length = strcspn(part, ".");
        if (length == 0 || length > 63 || part[0] == '-' || part[length - 1] == '-')
            return false;
        part += length;
        if (*part == '\0')
            return true;
    }
}

/* ---- HOST[:PORT] ----------------------------------------------------------------------------- */

static lethe_result parse_port(const char *what, const char *text, size_t length, uint16_t *out,
                               struct lethe_error *err)
{
    unsigned port = 0;
    if (length == 0 || length > 5)
        return refuse(err, what, "the port is not a number of 0 to 65535");
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return refuse(err, what, "the port is not a number of 0 to 65535");
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    if (port > UINT16_MAX)
        return refuse(err, what, "the port is not a number of 0 to 65535");
    *out = (uint16_t)port;
    return LETHE_OK;
}

/* Where the host ends: behind the bracket of an IPv6 address, or at the colon of the port. */
static size_t host_length(const char *text, size_t length)
{
    const char *end = memchr(text, text[0] == '[' ? ']' : ':', length);
    if (end == NULL)
        return length;
    return (size_t)(end - text) + (text[0] == '[' ? 1 : 0);
}

static lethe_result copy_host(const char *what, const char *text, size_t length, struct url *out,
                              struct lethe_error *err)
{
    bool bracketed = length > 0 && text[0] == '[';
    if (bracketed && (length < 2 || text[length - 1] != ']'))
        return refuse(err, what, "a bracket around the IPv6 address is missing");
    if (bracketed) {
        text += 1;
        length -= 2;
    }
    if (length == 0)
        return refuse(err, what, "there is no host");
    if (length >= sizeof out->host)
        return refuse(err, what, "the host is longer than 255 characters");
    memcpy(out->host, text, length);
    out->host[length] = '\0';
    if (bracketed ? !is_ipv6(out->host) : !is_dns_name(out->host))
        return refuse(err, what, "the host is neither a DNS name nor an IP address");
    return LETHE_OK;
}

static lethe_result parse_authority(const char *what, const char *text, size_t length,
                                    struct url *out, struct lethe_error *err)
{
    if (memchr(text, '@', length) != NULL)
        return refuse(err, what, "it may not hold a user or a password");
    if (length == 0)
        return refuse(err, what, "there is no host");
    size_t host = host_length(text, length);
    TRY(copy_host(what, text, host, out, err));
    if (host == length)
        return LETHE_OK;
    if (text[host] != ':')
        return refuse(err, what, "there is something between the host and the port");
    return parse_port(what, text + host + 1, length - host - 1, &out->port, err);
}

/* ---- addresses ------------------------------------------------------------------------------- */

static lethe_result parse_path(const char *path, struct url *out, struct lethe_error *err)
{
    static const char what[] = "";
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] == '/')
        length--;
    if (length >= sizeof out->path)
        return refuse(err, what, "its path is longer than 1023 characters");
    if (strcspn(path, "?#") != strlen(path))
        return refuse(err, what, "it may not hold a query or a fragment");
    for (size_t i = 0; i < length; i++)
        if (path[i] <= ' ' || path[i] > '~' || strchr(PATH_REFUSED, path[i]) != NULL)
            return refuse(err, what, "its path has a character that must be percent-encoded");
    memcpy(out->path, path, length);
    out->path[length] = '\0';
    return LETHE_OK;
}

lethe_result url_parse(const char *text, struct url *out, struct lethe_error *err)
{
    static const char what[] = "";
    *out = (struct url){.port = PORT_DEFAULT};
    if (strncasecmp(text, SCHEME, strlen(SCHEME)) != 0) {
        error_set(err, LETHE_INVALID, "it does not begin with " SCHEME);
        error_hint(err, "it looks like https://keys.example.org:8200");
        return LETHE_INVALID;
    }
    const char *authority = text + strlen(SCHEME);
    size_t length = strcspn(authority, "/?#");
    TRY(parse_authority(what, authority, length, out, err));
    if (out->port == 0)
        return refuse(err, what, "port 0 cannot be connected to");
    return parse_path(authority + length, out, err);
}

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static lethe_result parse_unix(const char *path, struct url *out, struct lethe_error *err)
{
    static const char what[] = "the address to listen on";
    size_t length = strlen(path);
    if (path[0] != '/')
        return refuse(err, what, "the path of a Unix socket is absolute");
    if (length > UNIX_PATH_MAX)
        return refuse(err, what, "the path of a Unix socket has at most 107 characters");
    memcpy(out->path, path, length + 1);
    out->port = 0;
    return LETHE_OK;
}

lethe_result url_parse_listen(const char *text, struct url *out, bool *is_public,
                              struct lethe_error *err)
{
    static const char what[] = "the address to listen on";
    *out = (struct url){.port = PORT_DEFAULT};
    *is_public = false;
    if (strncmp(text, UNIX_SCHEME, strlen(UNIX_SCHEME)) == 0)
        return parse_unix(text + strlen(UNIX_SCHEME), out, err);
    TRY(parse_authority(what, text, strlen(text), out, err));
    if (!is_ipv4(out->host) && !is_ipv6(out->host)) {
        error_set(err, LETHE_INVALID, "%s: %s is not an IP address", what, out->host);
        error_hint(err, "it looks like 127.0.0.1:8200, [::1]:8200 or unix:/run/lethe/socket");
        return LETHE_INVALID;
    }
    *is_public = !is_loopback(out->host);
    return LETHE_OK;
}

/* ---- percent-encoding ------------------------------------------------------------------------ */

static lethe_result decode_escape(const char *text, size_t left, char *out)
{
    int high = left >= 3 ? hex_digit_value(text[1]) : -1;
    int low = left >= 3 ? hex_digit_value(text[2]) : -1;
    if (high < 0 || low < 0)
        return LETHE_MALFORMED;
    *out = (char)(high << 4 | low);
    return LETHE_OK;
}

lethe_result url_decode(const char *text, size_t length, bool plus, char *out, size_t *out_length)
{
    size_t written = 0;
    for (size_t i = 0; i < length; i++) {
        char byte = text[i];
        if (byte == '+' && plus)
            byte = ' ';
        if (text[i] == '%') {
            TRY(decode_escape(text + i, length - i, &byte));
            i += 2;
        }
        if ((unsigned char)byte < ' ' || byte == 0x7F)
            return LETHE_MALFORMED;
        out[written++] = byte;
    }
    out[written] = '\0';
    *out_length = written;
    return LETHE_OK;
}

static bool is_unreserved(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || (byte != '\0' && strchr("-._~", byte) != NULL);
}

void url_encode_part(struct buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (is_unreserved(*text))
            buffer_byte(out, (uint8_t)*text);
        else
            buffer_format(out, "%%%02X", (unsigned char)*text);
    }
}
