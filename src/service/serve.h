/* service/serve.h -- `lethe kms serve`: supervisor, keeper and door.
 *
 *     supervisor  holds the listening sockets and no secret; starts the other two, and starts one
 *                 again that ended (soon at first, then ever later); passes signals on
 *     keeper      service/core.h: keys, store, log; no socket but those that the supervisor gives
 * it door        service/door.h: TLS and HTTP; no key but its own TLS key Door and keeper have a
 * new pair of sockets whenever one of them is new. While there is no keeper, or it is sealed, the
 * door answers 503. */
#ifndef SERVICE_SERVE_H
#define SERVICE_SERVE_H

#include "net/http_server.h"
#include "service/service.h"

#define SERVE_LISTEN_MAX 8u

struct serve_options {
    struct service_options service;
    const char *listen[SERVE_LISTEN_MAX]; /* "127.0.0.1:8200"; port 0: any */
    size_t listen_count;
    bool allow_public; /* K-12: without it, anything but loopback and Unix sockets is refused */
    const char *admin_path; /* the admin socket, 0600 */
    const char *home;       /* directory that the keeper may write */
    const char *root_path;  /* file or directory of the root key; NULL: none */
    /* The door's certificate and key files; NULL: issued by the service's own authority for `names`
     * and the addresses that it listens on, and renewed. */
    const char *certificate_path, *key_path;
    const char
        *client_roots_path;   /* more roots to believe clients by; NULL: only the service's own */
    const char *const *names; /* ends with NULL */
    enum tls_client_proof client_proof;
    struct http_limits limits;
    /* Told once, when the door listens and the keeper answers (or is sealed). May be NULL. */
    void (*ready)(void *context, const char *const *addresses, bool sealed);
    void *context;
};
/* Until SIGTERM or SIGINT: then new connections are refused, open requests answered (10 s at most),
 * and all is closed. SIGHUP: certificates are read again. Nothing secret may be in the process. */
LETHE_MUST_CHECK lethe_result serve(const struct serve_options *options, struct lethe_error *err);

#endif
