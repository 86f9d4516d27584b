/* service/serve_listen.h -- the sockets that a service is reached by: bound by the supervisor. */
#ifndef SERVICE_SERVE_LISTEN_H
#define SERVICE_SERVE_LISTEN_H

#include <sys/types.h>

#include "service/serve.h"

#define SERVE_ADDRESS_SIZE 320u

struct serve_listeners {
    int fds[SERVE_LISTEN_MAX];
    char texts[SERVE_LISTEN_MAX][SERVE_ADDRESS_SIZE]; /* "https://127.0.0.1:8200" */
    const char *addresses[SERVE_LISTEN_MAX + 1];      /* these, and NULL */
    char unlink_paths[SERVE_LISTEN_MAX][108];         /* of Unix sockets; "": none */
    size_t count;
};
/* All of options->listen, or none. LETHE_DENIED: one is public, and allow_public is not said.
 * LETHE_UNAVAILABLE: it is in use. */
LETHE_MUST_CHECK lethe_result serve_listen(const struct serve_options *options,
                                           struct serve_listeners *out, struct lethe_error *err);
void serve_listeners_close(struct serve_listeners *listeners);

/* A listening Unix stream socket at `path`, 0600; its directory is made (0700). One that nobody
 * listens on any more makes room; LETHE_UNAVAILABLE: somebody does. */
LETHE_MUST_CHECK lethe_result serve_listen_unix(const char *path, mode_t mode, int *out,
                                                struct lethe_error *err);

#endif
