/* service/serve.h -- `lethe kms serve`: supervisor, keeper and door.
 *
 *     supervisor  holds the listening sockets and no secret; starts the other two, and starts one
 *                 again that ended (soon at first, then ever later); passes signals on
 *     keeper      service/core.h: keys, store, log; no socket but those that it is given
 *     door        service/door.h: TLS and HTTP; no key but its own TLS key
 *
 * Door and keeper have a new pair of sockets whenever one of them is new. While there is no keeper,
 * or it is sealed, the door answers 503. Both are this program once more, by exec: they end with
 * the supervisor, find none of its memory, and each lays out its own anew, so that whoever finds
 * out where the door has what knows nothing about the keeper. */
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
    const char *user;  /* to become, when started as root, before anything else; NULL: stay */
    const char *admin_path; /* the admin socket, 0600; NULL: none */
    const char *home;       /* directory that the keeper may write */
    const char *root_path;  /* directory of the root key's file; NULL: none */
    bool root_is_device;    /* the root is a token or a TPM: its libraries and sockets are needed */
    const char *const *root_readable, *const *root_writable; /* its files; end with NULL, or NULL */
    /* The door's certificate and key files; NULL: issued by the service's own authority for `names`
     * and the addresses that it listens on, and renewed. */
    const char *certificate_path, *key_path;
    const char *client_roots_path; /* more roots to believe clients by; NULL: the service's own */
    /* Files that service.attest is filled from, before anything is confined; NULL: none. */
    const char *ek_roots_path, *snp_crls_path;
    const char *const *names; /* ends with NULL */
    enum tls_client_proof client_proof;
    struct http_limits limits;
    uint64_t answer_ms; /* for the keeper's answer to a request; 0: 30 s */
    /* Told once, when the door listens and the keeper answers (or is sealed): the addresses, with
     * the ports that there are, end with NULL. May be NULL. */
    void (*ready)(void *context, const char *const *addresses, bool sealed);
    void *context;
};
/* Until SIGTERM or SIGINT: then new connections are refused, open requests answered (10 s at most),
 * and all is closed. SIGHUP: certificates are read again. Nothing secret may be in the process. A
 * child that ends before the service was ready ends it: LETHE_UNPROTECTED, LETHE_UNAVAILABLE, ...
 * as the child did; it has said why. */
LETHE_MUST_CHECK lethe_result serve(const struct serve_options *options, struct lethe_error *err);

/* For what is read before: files are looked at as that user is, until serve_look_as_oneself(). */
LETHE_MUST_CHECK lethe_result serve_look_as_user(const char *name, struct lethe_error *err);
void serve_look_as_oneself(void);

/* ---- the parts ------------------------------------------------------------------------------- */

/* What a child has of the supervisor. */
struct serve_ends {
    int control;          /* service/control.h */
    int admin;            /* the keeper's listening admin socket; -1: none */
    const int *listeners; /* the door's */
    size_t listener_count;
    const char *const *addresses; /* of the listeners, as `ready` gets them */
};
typedef lethe_result serve_part(const struct serve_options *options, const struct serve_ends *ends,
                                struct lethe_error *err);
struct serve_parts {
    serve_part *keeper;
    serve_part *door;
};
extern const struct serve_parts serve_parts; /* the real ones; tests have their own */

/* Whether this process was started as a child, with the arguments "lethe-keeper" (or "lethe-door"),
 * "kms" and "serve": then main() comes to serve_as_part(), with nothing secret in memory yet. */
bool serve_is_part(void);
/* Ends the process with the part's exit code. */
_Noreturn void serve_as_part(const struct serve_parts *parts);

#endif
