/* net/tls.h -- mutual TLS 1.3 (RFC 8446) over OpenSSL; nothing older is spoken.
 *
 * A context is what a side is and whom it believes; a connection is one handshake and what follows.
 * Contexts are immutable and counted: a server that renews its certificate makes another context
 * for new connections, and those that are open go on with theirs. Connections are non-blocking.
 * What OpenSSL keeps of a message is wiped: its buffers are released whenever they are empty, by an
 * allocator that wipes (crypto/crypto.h). Call crypto_start() first. Sessions are not resumed:
 * every connection proves both sides anew (P-3). Thread rule: a context may be shared; a connection
 * is used by one thread at a time. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/buffer.h"
#include "mem/slab.h"

enum tls_client_proof {
    TLS_CLIENT_NOT_ASKED,
    TLS_CLIENT_MAY,  /* a certificate is asked for; one that is not believed ends the handshake */
    TLS_CLIENT_MUST, /* without one, no connection */
};

struct tls_options {
    /* This side's chain (PEM, leaf first) and key; NULL for a client that has none. */
    const char *certificates_pem;
    const struct lethe_secret *key_pem; /* PKCS#8 or SEC1; in guarded memory */
    const char *roots_pem;              /* whom to believe; NULL: for a client, the system's */
    const char *crls_pem;               /* NULL: none */
    enum tls_client_proof client_proof; /* servers */
};

struct tls_context;
/* LETHE_MALFORMED: certificate, key or roots cannot be read; LETHE_INVALID: key and certificate do
 * not belong together. Errors never hold a byte of the key. */
LETHE_MUST_CHECK lethe_result tls_server_create(const struct tls_options *options,
                                                struct tls_context **out, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result tls_client_create(const struct tls_options *options,
                                                struct tls_context **out, struct lethe_error *err);
struct tls_context *tls_context_share(struct tls_context *context); /* one more owner */
void tls_context_free(struct tls_context *context); /* one owner less; NULL is fine */
DEFINE_CLEANUP(tls_context_free, struct tls_context *);

struct tls_connection;
/* Over a connected socket, which becomes the connection's and is closed with it; on failure it
 * stays the caller's. A client names the host, which the server's certificate must be for (a DNS
 * name or an IP address). */
LETHE_MUST_CHECK lethe_result tls_accept(struct tls_context *context, int fd,
                                         struct tls_connection **out, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result tls_connect(struct tls_context *context, int fd, const char *host,
                                          struct tls_connection **out, struct lethe_error *err);
void tls_free(struct tls_connection *connection); /* with close_notify where it can be sent */
DEFINE_CLEANUP(tls_free, struct tls_connection *);
/* This side has said all: close_notify, and the end of our half of the connection. Only tls_fd()
 * and tls_free() may follow. */
void tls_finish(struct tls_connection *connection);
int tls_fd(const struct tls_connection *connection);

/* What a call wants before it can go on. */
enum tls_want { TLS_DONE, TLS_WANT_READ, TLS_WANT_WRITE, TLS_CLOSED };
/* LETHE_OK with *want; anything else ends the connection, but for what the peer said before a write
 * failed, which may still be read: LETHE_DENIED (the peer's certificate is
 * not believed, or ours by the peer: the text says which), LETHE_IO, LETHE_MALFORMED (no TLS 1.3).
 */
LETHE_MUST_CHECK lethe_result tls_handshake(struct tls_connection *connection, enum tls_want *want,
                                            struct lethe_error *err);
/* Reads at most `capacity_bytes`; TLS_DONE when something was read, TLS_CLOSED at the peer's
 * orderly end. A client that the server refuses after the handshake sees LETHE_DENIED here. */
LETHE_MUST_CHECK lethe_result tls_read(struct tls_connection *connection, void *bytes,
                                       size_t capacity_bytes, size_t *read_bytes,
                                       enum tls_want *want, struct lethe_error *err);
/* May write a part; TLS_DONE when something was written. */
LETHE_MUST_CHECK lethe_result tls_write(struct tls_connection *connection, const void *bytes,
                                        size_t size_bytes, size_t *written_bytes,
                                        enum tls_want *want, struct lethe_error *err);
/* Whether bytes wait in OpenSSL that no poll would show. */
bool tls_pending(const struct tls_connection *connection);

/* The peer's certificates as DER, leaf first, each with its length in front (le32); appends nothing
 * when the peer showed none. They were checked against the context's roots. */
LETHE_MUST_CHECK lethe_result tls_peer_chain(const struct tls_connection *connection,
                                             struct buffer *out, struct lethe_error *err);

#endif
