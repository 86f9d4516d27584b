#include "pool_peers.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "pool_check.h"
#include "port.h"

#define START_TRIES 250u
#define START_PAUSE_US 20000u

/* ---- how they are started -------------------------------------------------------------------- */

struct start {
    const struct pool_authority *authority;
    const struct pool_identity *identity;
    char port[8];
};

static const char redis_configuration[] = "bind 127.0.0.1\n"
                                          "port 0\n"
                                          "tls-port %s\n"
                                          "tls-cert-file %s\n"
                                          "tls-key-file %s\n"
                                          "tls-ca-cert-file %s\n"
                                          "tls-auth-clients yes\n"
                                          "tls-protocols TLSv1.3\n"
                                          "tls-ciphersuites TLS_AES_256_GCM_SHA384\n"
                                          "save \"\"\n"
                                          "appendonly no\n"
                                          "logfile /dev/null\n"
                                          "dir %s\n";

static bool start_redis(const struct start *start, struct program *out)
{
    char path[POOL_PATH_SIZE];
    snprintf(path, sizeof path, "%s/redis.conf", start->authority->directory);
    FILE *file = fopen(path, "we");
    if (file == NULL)
        bench_fail("the configuration of Redis cannot be written", NULL);
    fprintf(file, redis_configuration, start->port, start->identity->path,
            start->identity->key_path, start->authority->path, start->authority->directory);
    if (fclose(file) != 0)
        bench_fail("the configuration of Redis cannot be written", NULL);
    const char *const words[] = {"redis-server", path, NULL};
    return program_start(words, out);
}

static bool start_memcached(const struct start *start, struct program *out)
{
    char options[5 * POOL_PATH_SIZE];
    snprintf(options, sizeof options,
             "ssl_chain_cert=%s,ssl_key=%s,ssl_ca_cert=%s,ssl_verify_mode=2,ssl_min_version=3",
             start->identity->path, start->identity->key_path, start->authority->path);
    const char *const words[] = {"memcached", "-l",   "127.0.0.1", "-p",    start->port, "-U", "0",
                                 "-u",        "root", "-m",        "2048",  "-I",        "8m", "-t",
                                 "2",         "-Z",   "-o",        options, NULL};
    return program_start(words, out);
}

static const struct {
    const char *name;
    enum pool_protocol protocol;
    bool (*start)(const struct start *start, struct program *out);
} peers[POOL_PEER_COUNT] = {
    [POOL_PEER_REDIS] = {"redis", POOL_REDIS, start_redis},
    [POOL_PEER_MEMCACHED] = {"memcached", POOL_MEMCACHED, start_memcached},
};

const char *pool_peer_name(enum pool_peer peer)
{
    return peers[peer].name;
}

/* ---- starting and ending --------------------------------------------------------------------- */

static void wait_until_listening(const struct pool_peer_server *server)
{
    for (unsigned i = 0; i < START_TRIES; i++) {
        if (port_is_listening(server->port))
            return;
        usleep(START_PAUSE_US);
    }
    bench_fail("a peer does not start", NULL);
}

bool pool_peer_open(enum pool_peer peer, const struct pool_authority *authority,
                    const struct pool_identity *identity, struct pool_peer_server *out)
{
    struct start start = {.authority = authority, .identity = identity};
    *out = (struct pool_peer_server){
        .name = peers[peer].name, .protocol = peers[peer].protocol, .port = port_free()};
    snprintf(start.port, sizeof start.port, "%u", out->port);
    if (!peers[peer].start(&start, &out->program))
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
