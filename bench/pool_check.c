#include "pool_check.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CIPHER "TLS_AES_256_GCM_SHA384"

DEFINE_CLEANUP(SSL_CTX_free, SSL_CTX *);
DEFINE_CLEANUP(SSL_free, SSL *);

static _Noreturn void fail(const char *server, const char *why)
{
    struct lethe_error err = {0};
    snprintf(err.text, sizeof err.text, "%s: %s", server, why);
    bench_fail("a peer is not as it should be", &err);
}

static SSL_CTX *make_client(const struct pool_authority *authority,
                            const struct pool_identity *identity)
{
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    if (client == NULL || SSL_CTX_load_verify_locations(client, authority->path, NULL) != 1 ||
        (identity != NULL &&
         (SSL_CTX_use_certificate_chain_file(client, identity->path) != 1 ||
          SSL_CTX_use_PrivateKey_file(client, identity->key_path, SSL_FILETYPE_PEM) != 1)))
        bench_fail("no TLS client", NULL);
    SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
    return client;
}

static int connect_to(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        bench_fail("the server cannot be reached", NULL);
    return fd;
}

/* In TLS 1.3 a server refuses behind the client's handshake: what counts is an answer. */
static bool answers(SSL *native, enum pool_protocol protocol)
{
    struct pool_exchange exchange;
    char byte;
    pool_exchange_make(protocol, POOL_GET, 0, 64, &exchange);
    return SSL_connect(native) == 1 &&
           SSL_write(native, exchange.request_head.bytes, (int)exchange.request_head.size_bytes) >
               0 &&
           SSL_read(native, &byte, 1) == 1;
}

static void check(const char *server, uint16_t port, enum pool_protocol protocol,
                  const struct pool_authority *authority, const struct pool_identity *identity)
{
    CLEANUP(SSL_CTX_free) SSL_CTX *client = make_client(authority, identity);
    CLEANUP(SSL_free) SSL *native = SSL_new(client);
    CLEANUP(fd_close) int fd = connect_to(port);
    if (native == NULL || SSL_set_fd(native, fd) != 1 || SSL_set1_host(native, "127.0.0.1") != 1)
        bench_fail("no TLS client", NULL);
    bool is_answered = answers(native, protocol);
    ERR_clear_error();
    if (is_answered != (identity != NULL))
        fail(server, is_answered ? "answers who shows no certificate" : "does not answer");
    if (is_answered &&
        (SSL_version(native) != TLS1_3_VERSION || strcmp(SSL_get_cipher_name(native), CIPHER) != 0))
        fail(server, "speaks another cipher than " CIPHER);
}

void pool_check_mutual(const char *server, uint16_t port, enum pool_protocol protocol,
                       const struct pool_authority *authority, const struct pool_identity *identity)
{
    check(server, port, protocol, authority, identity);
    check(server, port, protocol, authority, NULL);
}
