/* net/url.h -- addresses, and what is percent-encoded in them (RFC 3986). */
#ifndef NET_URL_H
#define NET_URL_H

#include "base/buffer.h"

struct url {         /* https://HOST[:PORT][/PATH] */
    char host[256];  /* a DNS name or an IP address, without brackets */
    uint16_t port;   /* 8200 when none is given */
    char path[1024]; /* "" or with a leading and without a trailing slash */
};
/* LETHE_INVALID says what is wrong: another scheme, a user or a password in it, ... Whose address
 * it is says the caller. */
LETHE_MUST_CHECK lethe_result url_parse(const char *text, struct url *out, struct lethe_error *err);

/* "ADDR:PORT", "[ADDR]:PORT": an address to listen on. *is_public: neither loopback nor a Unix
 * socket ("unix:/PATH": no host, port 0, and the socket's path). Port 0 is any. */
LETHE_MUST_CHECK lethe_result url_parse_listen(const char *text, struct url *out, bool *is_public,
                                               struct lethe_error *err);

/* Decodes %XX into `out`, which is as large as the text and gets a NUL. LETHE_MALFORMED: a broken
 * escape, a NUL, a control character. `plus` reads '+' as a space, as queries have it. */
LETHE_MUST_CHECK lethe_result url_decode(const char *text, size_t length, bool plus, char *out,
                                         size_t *out_length);
void url_encode_part(struct buffer *out, const char *text);

#endif
