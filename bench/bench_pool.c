/* The memory pool beside Redis and memcached, all with mutual TLS 1.3 and TLS_AES_256_GCM_SHA384,
 * driven by one client (pool_load.h) over 8 connections that each have one operation in flight;
 * LETHE_BENCH_DEPTH=n: n of them. LETHE_BENCH_SERVER=name and LETHE_BENCH_BLOCK="4 KiB" leave out
 * the others (but plain), for profiles; LETHE_BENCH_BLOCK=none leaves what ours keeps and wipes.
 * LETHE_BENCH_STOCK_TLS=1 gives the client of Redis and memcached OpenSSL's TLS as it is, as their
 * own clients have it, in place of that of net/tls.h for bulk. A
 * server that does the same over plain TCP, with no protection at all, says what loopback leaves
 * room for; one over the pool's TLS, with a client that seals its blocks, what TLS does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "pool_bare.h"
#include "pool_ledger.h"
#include "pool_lethe.h"
#include "pool_load.h"
#include "pool_peers.h"
#include "pool_plain.h"
#include "pool_wiping.h"

#define CONNECTIONS 8u
#define ROUNDS 5u
#define ROUND_S 0.3
#define WARM_S 0.1
#define SET_BYTES ((size_t)8 << 20) /* working set of a connection, for blocks of any size */

static const struct block {
    const char *name;
    size_t size_bytes;
    uint32_t lease_block; /* what ours seals in one piece */
} blocks[] = {{"4 KiB", 4096, 4096}, {"64 KiB", 65536, 65536}, {"1 MiB", 1048576, 65536}};

/* What is measured, in the order of a round. */
#define SERVERS_MAX 5u
enum client { CLIENT_TLS, CLIENT_PLAIN, CLIENT_BARE, CLIENT_LETHE };
struct server {
    const char *name;
    enum pool_protocol protocol;
    uint16_t port;
    enum client client;
    struct tls_context *tls; /* of the client, but for CLIENT_LETHE, which has its own */
    pid_t pid;               /* 0: it is in this process */
};

struct samples {
    double bytes_per_s[ROUNDS], p50_s[ROUNDS], p99_s[ROUNDS];
    double server_s_per_gb[ROUNDS], client_s_per_gb[ROUNDS];
};

struct measured { /* medians */
    double bytes_per_s, p50_s, p99_s, server_s_per_gb, client_s_per_gb;
};

static struct bench {
    bool is_open;
    struct pool_authority authority;
    struct pool_identity server_identity, client_identity, control_identity, provider_identity;
    struct tls_context *tls; /* of the client of Redis and memcached */
    struct tls_context *bare_client, *bare_server;
    struct pool_peer_server peers[POOL_PEER_COUNT];
    struct pool_plain plain;
    struct pool_lethe lethe;
    struct server servers[SERVERS_MAX];
    size_t server_count;
    uint64_t wiping_bytes; /* that ours lends for it */
    unsigned depth;
} bench;

/* ---- processor time -------------------------------------------------------------------------- */

static double seconds_of(clockid_t clock)
{
    struct timespec time;
    if (clock_gettime(clock, &time) != 0)
        bench_fail("the processor time of a process cannot be read", NULL);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double server_cpu_s(const struct server *server)
{
    clockid_t clock;
    if (server->pid == 0)
        return 0;
    if (clock_getcpuclockid(server->pid, &clock) != 0)
        bench_fail("a server has ended", NULL);
    return seconds_of(clock);
}

/* ---- clients --------------------------------------------------------------------------------- */

/* One of the two. */
struct load {
    struct pool_load *wire;
    struct pool_lethe_load *lethe;
};

static void run_load(const struct load *load, enum pool_operation operation, double seconds,
                     struct pool_result *out)
{
    if (load->lethe != NULL)
        pool_lethe_load_run(load->lethe, operation, seconds, out);
    else
        pool_load_run(load->wire, operation, seconds, out);
}

static struct pool_lethe_load *open_lethe_load(const struct block *block)
{
    return pool_lethe_load_open(&bench.lethe,
                                &(struct pool_lethe_load_options){
                                    .block_bytes = block->size_bytes,
                                    .lease_block = block->lease_block,
                                    .blocks = (uint32_t)(SET_BYTES / block->size_bytes),
                                    .leases = CONNECTIONS,
                                    .depth = bench.depth,
                                });
}

static struct pool_load *open_wire_load(const struct server *server, const struct block *block)
{
    bool is_peer = server->client == CLIENT_TLS;
    return pool_load_open(&(struct pool_load_options){
        .protocol = server->protocol,
        .port = server->port,
        .tls = server->tls,
        .block_bytes = block->size_bytes,
        .sealed_bytes = server->client == CLIENT_BARE ? block->lease_block : 0,
        .blocks = (uint32_t)(SET_BYTES / block->size_bytes),
        .connections = CONNECTIONS,
        .depth = is_peer ? bench.depth : 1,
    });
}

static struct load open_load(const struct server *server, const struct block *block)
{
    struct pool_result ignored;
    struct load load = {0};
    if (server->client == CLIENT_LETHE)
        load.lethe = open_lethe_load(block);
    else
        load.wire = open_wire_load(server, block);
    for (unsigned operation = 0; operation < POOL_OPERATIONS; operation++)
        run_load(&load, operation, WARM_S, &ignored);
    return load;
}

static void close_load(struct load *load)
{
    if (load->lethe != NULL)
        pool_lethe_load_close(load->lethe);
    else
        pool_load_close(load->wire);
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static void sample(const struct load *load, const struct server *server,
                   enum pool_operation operation, unsigned round, struct samples *out)
{
    struct pool_result result;
    const double client_s = seconds_of(CLOCK_PROCESS_CPUTIME_ID), server_s = server_cpu_s(server);
    run_load(load, operation, ROUND_S, &result);
    const double moved_gb = (double)result.moved_bytes * 1e-9;
    out->bytes_per_s[round] = result.bytes_per_s;
    out->p50_s[round] = result.p50_s;
    out->p99_s[round] = result.p99_s;
    out->server_s_per_gb[round] = (server_cpu_s(server) - server_s) / moved_gb;
    out->client_s_per_gb[round] = (seconds_of(CLOCK_PROCESS_CPUTIME_ID) - client_s) / moved_gb;
}

static struct measured median_of(struct samples *samples)
{
    return (struct measured){
        .bytes_per_s = bench_median(samples->bytes_per_s, ROUNDS),
        .p50_s = bench_median(samples->p50_s, ROUNDS),
        .p99_s = bench_median(samples->p99_s, ROUNDS),
        .server_s_per_gb = bench_median(samples->server_s_per_gb, ROUNDS),
        .client_s_per_gb = bench_median(samples->client_s_per_gb, ROUNDS),
    };
}

static void measure(const struct block *block, struct measured out[SERVERS_MAX][POOL_OPERATIONS])
{
    static struct samples samples[SERVERS_MAX][POOL_OPERATIONS];
    struct load loads[SERVERS_MAX];
    for (size_t i = 0; i < bench.server_count; i++)
        loads[i] = open_load(&bench.servers[i], block);
    for (unsigned round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < bench.server_count; i++)
            for (unsigned operation = 0; operation < POOL_OPERATIONS; operation++)
                sample(&loads[i], &bench.servers[i], operation, round, &samples[i][operation]);
    for (size_t i = 0; i < bench.server_count; i++) {
        close_load(&loads[i]);
        for (unsigned operation = 0; operation < POOL_OPERATIONS; operation++)
            out[i][operation] = median_of(&samples[i][operation]);
    }
}

/* ---- results --------------------------------------------------------------------------------- */

static void report_server(const struct server *server, const char *what,
                          const struct measured *measured, const struct measured *plain)
{
    char name[48];
    snprintf(name, sizeof name, "pool/%s %s", server->name, what);
    bench_report(
        &(struct bench_result){.name = name,
                               .value = measured->bytes_per_s * 1e-9,
                               .unit = "GB/s",
                               .against = server->client == CLIENT_PLAIN ? NULL : "plain loopback",
                               .ratio = measured->bytes_per_s / plain->bytes_per_s});
    snprintf(name, sizeof name, "pool/%s %s p99", server->name, what);
    bench_report(&(struct bench_result){.name = name,
                                        .value = measured->p99_s * 1e6,
                                        .unit = "us",
                                        .against = "its median",
                                        .ratio = measured->p99_s / measured->p50_s});
    snprintf(name, sizeof name, "pool/%s %s CPU", server->name, what);
    const double sum_s_per_gb = measured->server_s_per_gb + measured->client_s_per_gb;
    bench_report(&(struct bench_result){.name = name,
                                        .value = sum_s_per_gb,
                                        .unit = "s/GB",
                                        .against = server->pid != 0 ? "of it in the server" : NULL,
                                        .ratio = measured->server_s_per_gb / sum_s_per_gb});
}

/* The plain server is the last one. */
static void report(const char *block, struct measured measured[SERVERS_MAX][POOL_OPERATIONS])
{
    for (unsigned operation = 0; operation < POOL_OPERATIONS; operation++) {
        char what[24];
        snprintf(what, sizeof what, "%s %s", pool_operation_names[operation], block);
        for (size_t i = 0; i < bench.server_count; i++)
            report_server(&bench.servers[i], what, &measured[i][operation],
                          &measured[bench.server_count - 1][operation]);
    }
}

/* ---------------------------------------------------------------------------------------------- */

static void close_all(void)
{
    if (!bench.is_open)
        return;
    bench.is_open = false;
    for (unsigned peer = 0; peer < POOL_PEER_COUNT; peer++)
        pool_peer_close(&bench.peers[peer]);
    pool_plain_close(&bench.plain);
    pool_lethe_close(&bench.lethe);
    tls_context_free(bench.tls);
    tls_context_free(bench.bare_client); /* the server goes on until the program ends */
    pool_identity_close(&bench.server_identity);
    pool_identity_close(&bench.client_identity);
    pool_identity_close(&bench.control_identity);
    pool_identity_close(&bench.provider_identity);
    pool_authority_close(&bench.authority);
}

/* Whether the environment asks for it, or for nothing. */
static bool is_wanted(const char *variable, const char *name)
{
    const char *wanted = getenv(variable);
    return wanted == NULL || strcmp(wanted, name) == 0;
}

static struct tls_options tls_of(const struct pool_identity *identity, bool bulk)
{
    return (struct tls_options){.certificates_pem = identity->pem.bytes,
                                .key_pem = identity->key_pem,
                                .roots_pem = bench.authority.pem.bytes,
                                .client_proof = TLS_CLIENT_MUST,
                                .bulk = bulk};
}

static void open_client(void)
{
    struct lethe_error err = {0};
    const char *depth = getenv("LETHE_BENCH_DEPTH");
    bench.depth = depth != NULL ? (unsigned)strtoul(depth, NULL, 10) : 1;
    if (bench.depth == 0 || bench.depth > POOL_DEPTH_MAX)
        bench_fail("LETHE_BENCH_DEPTH is not a number of operations", NULL);
    pool_authority_open(&bench.authority);
    bench.is_open = true;
    pool_identity_open(&bench.server_identity, &bench.authority, "server");
    pool_identity_open(&bench.client_identity, &bench.authority, "client");
    pool_identity_open(&bench.control_identity, &bench.authority, "control");
    pool_identity_open(&bench.provider_identity, &bench.authority, "provider");
    const struct tls_options options =
        tls_of(&bench.client_identity, getenv("LETHE_BENCH_STOCK_TLS") == NULL);
    if (tls_client_create(&options, &bench.tls, &err) != LETHE_OK)
        bench_fail("no TLS client", &err);
}

static void open_peer(enum pool_peer peer)
{
    struct pool_peer_server *server = &bench.peers[peer];
    if (!is_wanted("LETHE_BENCH_SERVER", pool_peer_name(peer)))
        return;
    if (!pool_peer_open(peer, &bench.authority, &bench.server_identity, server)) {
        char name[48];
        snprintf(name, sizeof name, "pool/%s", server->name);
        bench_skip(name, "it is not here: tools/deps bench");
        return;
    }
    bench.servers[bench.server_count++] = (struct server){.name = server->name,
                                                          .protocol = server->protocol,
                                                          .port = server->port,
                                                          .tls = bench.tls,
                                                          .pid = server->program.pid};
}

static void open_plain(void)
{
    pool_plain_open(&bench.plain, CONNECTIONS * SET_BYTES);
    bench.servers[bench.server_count++] = (struct server){.name = "plain",
                                                          .protocol = POOL_PLAIN,
                                                          .port = bench.plain.port,
                                                          .client = CLIENT_PLAIN,
                                                          .pid = bench.plain.pid};
}

static void open_bare(void)
{
    struct lethe_error err = {0};
    const struct tls_options client = tls_of(&bench.client_identity, true),
                             server = tls_of(&bench.server_identity, true);
    if (tls_client_create(&client, &bench.bare_client, &err) != LETHE_OK ||
        tls_server_create(&server, &bench.bare_server, &err) != LETHE_OK)
        bench_fail("no TLS", &err);
    bench.servers[bench.server_count++] =
        (struct server){.name = "bare",
                        .protocol = POOL_PLAIN,
                        .port = pool_bare_open(bench.bare_server, CONNECTIONS * SET_BYTES),
                        .client = CLIENT_BARE,
                        .tls = bench.bare_client};
}

static void open_lethe(void)
{
    bench.wiping_bytes = pool_wiping_bytes();
    pool_lethe_open(&bench.lethe,
                    &(struct pool_lethe_identities){.authority = &bench.authority,
                                                    .control = &bench.control_identity,
                                                    .provider = &bench.provider_identity,
                                                    .client = &bench.client_identity},
                    CONNECTIONS, 2 * CONNECTIONS * SET_BYTES + bench.wiping_bytes);
    bench.servers[bench.server_count++] =
        (struct server){.name = "lethe", .client = CLIENT_LETHE, .pid = bench.lethe.provider.pid};
}

static void measure_provider(const struct block *block)
{
    struct load load = {.lethe = open_lethe_load(block)};
    pool_wiping(&bench.lethe, load.lethe, bench.wiping_bytes);
    close_load(&load);
    pool_ledger_connections(bench.lethe.provider.pid, bench.lethe.provider_port, bench.tls);
}

void bench_pool(void)
{
    struct measured measured[SERVERS_MAX][POOL_OPERATIONS];
    atexit(close_all);
    open_client();
    if (is_wanted("LETHE_BENCH_SERVER", "lethe"))
        open_lethe();
    for (unsigned peer = 0; peer < POOL_PEER_COUNT; peer++)
        open_peer(peer);
    open_bare();
    open_plain();
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
        if (!is_wanted("LETHE_BENCH_BLOCK", blocks[i].name))
            continue;
        measure(&blocks[i], measured);
        report(blocks[i].name, measured);
    }
    if (bench.lethe.provider.pid > 0) {
        measure_provider(&blocks[1]);
        pool_ledger_leases();
    }
    close_all();
}
