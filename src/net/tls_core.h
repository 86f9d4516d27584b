/* net/tls_core.h -- what the files of net/tls.h share. */
#ifndef NET_TLS_CORE_H
#define NET_TLS_CORE_H

#include <stdatomic.h>

#include <openssl/ssl.h>

#include "crypto/openssl.h"
#include "net/tls.h"

struct tls_context {
    atomic_uint owners;
    SSL_CTX *native;
};

/* A BIO over a socket, which it does not close: as OpenSSL's own, but a peer that is gone gives an
 * error and no SIGPIPE, whatever the process does with that signal. */
LETHE_MUST_CHECK lethe_result tls_socket_bio(int fd, BIO **out, struct lethe_error *err);

#endif
