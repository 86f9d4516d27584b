#include "pool_peers.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "pool_check.h"
#include "pool_link.h"

#define WORDS_MAX 40u
#define WORD_SIZE 512u
#define START_TRIES 250u
#define START_PAUSE_US 20000u

/* ---- how they are started ---------------------------------------------------------------------
 */

/* Where the words of a command line point. */
struct texts {
    char port[8];
    char options[WORD_SIZE];
    const char *words[WORDS_MAX];
};

static void redis(const struct pool_authority *authority, const struct pool_identity *identity,
                  struct texts *out)
{
    const char *const words[] = {"redis-server",
                                 "--port",
                                 "0",
                                 "--bind",
                                 "127.0.0.1",
                                 "--tls-port",
                                 out->port,
                                 "--tls-cert-file",
                                 identity->path,
                                 "--tls-key-file",
                                 identity->key_path,
                                 "--tls-ca-cert-file",
                                 authority->path,
                                 "--tls-auth-clients",
                                 "yes",
                                 "--tls-protocols",
                                 "TLSv1.3",
                                 "--tls-ciphersuites",
                                 "TLS_AES_256_GCM_SHA384",
                                 "--save",
                                 "",
                                 "--appendonly",
                                 "no",
                                 "--dir",
                                 authority->directory,
                                 "--logfile",
                                 "/dev/null",
                                 NULL};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        out->words[i] = words[i];
}

static void memcached(const struct pool_authority *authority, const struct pool_identity *identity,
                      struct texts *out)
{
    snprintf(out->options, sizeof out->options,
             "ssl_chain_cert=%s,ssl_key=%s,ssl_ca_cert=%s,ssl_verify_mode=2,ssl_min_version=3",
             identity->path, identity->key_path, authority->path);
    const char *const words[] = {
        "memcached", "-l", "127.0.0.1", "-p", out->port, "-U", "0",  "-u",         "root", "-m",
        "2048",      "-I", "8m",        "-t", "2",       "-Z", "-o", out->options, NULL};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        out->words[i] = words[i];
}

static const struct {
    const char *name;
    enum pool_protocol protocol;
    void (*write)(const struct pool_authority *authority, const struct pool_identity *identity,
                  struct texts *out);
} peers[POOL_PEER_COUNT] = {
    [POOL_PEER_REDIS] = {"redis", POOL_REDIS, redis},
    [POOL_PEER_MEMCACHED] = {"memcached", POOL_MEMCACHED, memcached},
};

/* ---- starting and ending ----------------------------------------------------------------------
 */

static void wait_until_listening(const struct pool_peer_server *server)
{
    for (unsigned i = 0; i < START_TRIES; i++) {
        if (pool_is_listening(server->port))
            return;
        usleep(START_PAUSE_US);
    }
    bench_fail("a peer does not start", NULL);
}

bool pool_peer_open(enum pool_peer peer, const struct pool_authority *authority,
                    const struct pool_identity *identity, struct pool_peer_server *out)
{
    struct texts texts = {0};
    *out = (struct pool_peer_server){
        .name = peers[peer].name, .protocol = peers[peer].protocol, .port = pool_free_port()};
    snprintf(texts.port, sizeof texts.port, "%u", out->port);
    peers[peer].write(authority, identity, &texts);
    if (!program_start(texts.words, &out->program))
        return false;
    wait_until_listening(out);
    pool_check_mutual(out->name, out->port, out->protocol, authority, identity);
    return true;
}

void pool_peer_close(struct pool_peer_server *server)
{
    if (server->program.pid <= 0)
        return;
    kill(server->program.pid, SIGTERM);
    (void)program_wait(&server->program);
    server->program.pid = 0;
}
