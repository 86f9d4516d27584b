/* tests/net/peer.h -- a client for tests: OpenSSL as it is, blocking, that says any bytes. */
#ifndef TESTS_NET_PEER_H
#define TESTS_NET_PEER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "certificates.h"

struct peer {
    SSL *tls;
    int fd;
    char heard[65536];
    size_t heard_bytes;
};

/* `identity` may be NULL. */
static inline SSL_CTX *peer_context(const char *roots_pem, const struct identity_files *identity)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    BIO *text = BIO_new_mem_buf(roots_pem, -1);
    X509 *root = PEM_read_bio_X509(text, NULL, NULL, NULL);
    REQUIRE(root != NULL && X509_STORE_add_cert(SSL_CTX_get_cert_store(context), root) == 1);
    X509_free(root);
    BIO_free(text);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (identity != NULL)
        REQUIRE(SSL_CTX_use_certificate(context, identity->certificate) == 1 &&
                SSL_CTX_use_PrivateKey(context, identity->key) == 1);
    return context;
}

static inline int dial(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static const struct timeval patience = {.tv_sec = 8};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    static const int on = 1;
    REQUIRE(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    REQUIRE(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    return fd;
}

/* Whether the handshake succeeds (as this side sees it: a server that asked for a certificate may
 * still refuse). */
static inline bool peer_connect(struct peer *peer, SSL_CTX *context, uint16_t port)
{
    peer->heard_bytes = 0;
    peer->fd = dial(port);
    peer->tls = SSL_new(context);
    REQUIRE(peer->tls != NULL && SSL_set_fd(peer->tls, peer->fd) == 1);
    bool done = SSL_connect(peer->tls) == 1;
    ERR_clear_error();
    return done;
}

static inline void peer_close(struct peer *peer)
{
    SSL_free(peer->tls);
    close(peer->fd);
    peer->tls = NULL;
}

static inline bool peer_say(struct peer *peer, const void *bytes, size_t size_bytes)
{
    size_t written;
    bool done = SSL_write_ex(peer->tls, bytes, size_bytes, &written) == 1;
    ERR_clear_error();
    return done;
}

static inline bool peer_say_text(struct peer *peer, const char *text)
{
    return peer_say(peer, text, strlen(text));
}

/* False at the end of what the server says (its close_notify, a reset, or 8 s of silence). */
static inline bool peer_hear(struct peer *peer)
{
    size_t got = 0;
    size_t room = sizeof peer->heard - 1 - peer->heard_bytes;
    bool done = SSL_read_ex(peer->tls, peer->heard + peer->heard_bytes, room, &got) == 1;
    peer->heard_bytes += got;
    peer->heard[peer->heard_bytes] = '\0';
    ERR_clear_error();
    return done;
}

static inline void peer_hear_all(struct peer *peer)
{
    while (peer->heard_bytes < sizeof peer->heard - 1 && peer_hear(peer))
        ;
}

/* Until the text has been heard. */
static inline bool peer_hear_text(struct peer *peer, const char *text)
{
    peer->heard[peer->heard_bytes] = '\0';
    while (strstr(peer->heard, text) == NULL)
        if (!peer_hear(peer))
            return strstr(peer->heard, text) != NULL;
    return true;
}

#endif
