/* tests/pool/peers.h -- who takes part in a pool, each with a certificate for one SPIFFE id. */
#ifndef TESTS_POOL_PEERS_H
#define TESTS_POOL_PEERS_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../net/certificates.h"
#include "crypto/crypto_check.h"
#include "net/tls.h"
#include "terms.h"

#define PEER_CONTROL_ID "spiffe://pool.test/control"
#define PEER_OPERATOR_ID "spiffe://pool.test/operator"
#define PEER_OTHER_ID "spiffe://pool.test/tenant/other/trainer"

enum peer {
    PEER_CONTROL,
    PEER_PROVIDER,
    PEER_CONSUMER,
    PEER_OTHER, /* a consumer of another tenant */
    PEER_OPERATOR,
    PEER_STRANGER, /* says that it is the control plane, and nobody vouches for it */
    PEER_NOBODY,   /* is vouched for, and has no id */
    PEER_COUNT
};
static struct identity_files peers[PEER_COUNT], peers_authority, peers_stranger;

static void peers_make(void)
{
    static const char *const names[PEER_COUNT] = {
        [PEER_CONTROL] = "URI:" PEER_CONTROL_ID,      [PEER_PROVIDER] = "URI:" TERMS_PROVIDER,
        [PEER_CONSUMER] = "URI:" TERMS_CONSUMER,      [PEER_OTHER] = "URI:" PEER_OTHER_ID,
        [PEER_OPERATOR] = "URI:" PEER_OPERATOR_ID,    [PEER_STRANGER] = "URI:" PEER_CONTROL_ID,
        [PEER_NOBODY] = "DNS:localhost,IP:127.0.0.1",
    };
    certificate_make(NULL, "authority", NULL, 30, &peers_authority);
    certificate_make(NULL, "stranger", NULL, 30, &peers_stranger);
    for (unsigned i = 0; i < PEER_COUNT; i++)
        certificate_make(i == PEER_STRANGER ? &peers_stranger : &peers_authority, "peer", names[i],
                         30, &peers[i]);
}

static void peers_free(void)
{
    for (unsigned i = 0; i < PEER_COUNT; i++)
        certificate_free(&peers[i]);
    certificate_free(&peers_authority);
    certificate_free(&peers_stranger);
}

/* Freed by the caller. */
static struct tls_context *peer_context(enum peer peer, bool serves)
{
    struct tls_context *context = NULL;
    struct lethe_error err = {0};
    const struct tls_options options = {.certificates_pem = peers[peer].certificate_pem,
                                        .key_pem = peers[peer].key_pem,
                                        .roots_pem = peers_authority.certificate_pem,
                                        .client_proof = TLS_CLIENT_MUST,
                                        .bulk = true};
    assert_ok(serves ? tls_server_create(&options, &context, &err)
                     : tls_client_create(&options, &context, &err),
              &err);
    return context;
}

/* A listening socket of this machine, and its address as text. */
static inline int peers_listen(char address[32])
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof any;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0 && listen(fd, 16) == 0);
    REQUIRE(getsockname(fd, (struct sockaddr *)&any, &size) == 0);
    snprintf(address, 32, "127.0.0.1:%u", ntohs(any.sin_port));
    return fd;
}

#endif
