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

#include <sys/uio.h>

#include "base/buffer.h"
#include "mem/slab.h"
#include "net/identity.h"

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
    bool bulk; /* its connections carry much: see "bulk" below; both sides choose for themselves */
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
 * name or an IP address); with NULL any name will do, and the caller asks who the peer is, by
 * tls_peer_spiffe(), before it says anything. */
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
/* Whether bytes were received that no poll would show. They may be a part of a record only. */
bool tls_pending(const struct tls_connection *connection);

/* ---- bulk ------------------------------------------------------------------------------------
 *
 * Connections of a context with `bulk` seal and open at the speed of intel-ipsec-mb where OpenSSL
 * is slower (crypto/record.h), collect what is written into full records (but what is a record's
 * worth by itself begins one, and is sealed from where it is) and many records into one system
 * call, and take new keys after every 2^24 records that they send (RFC 8446, 5.5).
 *
 * What is written is not sent before tls_flush(), or before enough has come together; what was not
 * flushed before tls_finish() or tls_free() may never be sent. tls_read() fills all it is given, as
 * far as whole records were received, straight into the caller's memory; it never wants to write
 * once the handshake is done. Read until TLS_WANT_READ before you wait: then the connection holds
 * next to no memory (64 of a process keep OpenSSL's buffers, wiped). That answer may be a guess,
 * after a read that emptied the socket: whether nothing is there only waiting for the descriptor
 * tells. */

/* Takes all bytes of the parts, one after another (TLS_DONE), or the first *written_bytes of them
 * (TLS_WANT_WRITE: go on with the rest once the socket takes something). What was taken may be
 * changed or freed. */
LETHE_MUST_CHECK lethe_result tls_write_parts(struct tls_connection *connection,
                                              const struct iovec *parts, size_t count,
                                              size_t *written_bytes, enum tls_want *want,
                                              struct lethe_error *err);
/* Sends what was written: TLS_DONE when the system has all of it, or TLS_WANT_WRITE. Nothing to do
 * for connections that are not for bulk. */
LETHE_MUST_CHECK lethe_result tls_flush(struct tls_connection *connection, enum tls_want *want,
                                        struct lethe_error *err);

/* ---- the peer -------------------------------------------------------------------------------- */

/* The peer's certificates as DER, leaf first, each with its length in front (le32); appends nothing
 * when the peer showed none. They were checked against the context's roots. */
LETHE_MUST_CHECK lethe_result tls_peer_chain(const struct tls_connection *connection,
                                             struct buffer *out, struct lethe_error *err);
/* Who the peer is: the one URI of its certificate, which is nobody's authority (SPIFFE X.509-SVID).
 * LETHE_DENIED: it showed no certificate, or one that says nobody, or more than one. */
LETHE_MUST_CHECK lethe_result tls_peer_spiffe(const struct tls_connection *connection,
                                              struct spiffe_id *out, struct lethe_error *err);

#endif
