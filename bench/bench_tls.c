/* TLS for bulk beside TLS as it is for everything else: blocks asked for and given over loopback,
 * two event loops a side, mutual certificates, eight connections with one request each. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "crypto/crypto.h"
#include "net/certificates.h"
#include "net/loop.h"
#include "net/tls.h"

#define ROUNDS 5u
#define ROUND_S 0.4
#define CONNECTIONS 8u
#define LOOPS 2u /* a side */
#define HEAD_BYTES 32u
#define BLOCK_MAX ((size_t)1 << 20)

static const struct {
    const char *name;
    size_t block_bytes;
    double least[2]; /* get, set */
} sizes[] = {
    {"4 KiB", 4096, {1.1, 1.1}},
    {"64 KiB", 65536, {1.3, 1.3}},
    {"1 MiB", BLOCK_MAX, {1.3, 1.3}},
};

/* ---- one end of a connection ----------------------------------------------------------------- */

struct end {
    struct tls_connection *tls;
    struct loop_watch *watch;
    struct bench *bench;
    bool is_client, bulk;
    uint8_t head_in[HEAD_BYTES], head_out[HEAD_BYTES];
    uint8_t *block;             /* read into, and written from */
    size_t block_in, block_out; /* bytes of it in each message */
    size_t got, sent;           /* of a message; `sent` SIZE_MAX: nothing to send */
};

struct bench {
    bool bulk;
    struct tls_context *client, *server;
    struct end clients[CONNECTIONS], servers[CONNECTIONS];
    struct loop *loops[2 * LOOPS]; /* clients', servers' */
    unsigned busy[LOOPS];          /* clients of a loop that wait for an answer */
    atomic_bool is_over;
    atomic_size_t answers;
};

static void must(lethe_result result, const struct lethe_error *err)
{
    if (result != LETHE_OK)
        bench_fail("TLS", err);
}

static void write_plainly(struct end *end, enum tls_want *want, struct lethe_error *err)
{
    size_t written;
    bool in_head = end->sent < HEAD_BYTES;
    const uint8_t *at = in_head ? end->head_out + end->sent : end->block + end->sent - HEAD_BYTES;
    size_t left = (in_head ? HEAD_BYTES : HEAD_BYTES + end->block_out) - end->sent;
    must(tls_write(end->tls, at, left, &written, want, err), err);
    end->sent += written;
}

static void write_parts(struct end *end, enum tls_want *want, struct lethe_error *err)
{
    size_t written, head = MIN(end->sent, HEAD_BYTES), block = end->sent - head;
    const struct iovec parts[] = {{end->head_out + head, HEAD_BYTES - head},
                                  {end->block + block, end->block_out - block}};
    must(tls_write_parts(end->tls, parts, 2, &written, want, err), err);
    end->sent += written;
}

/* True when all was said. */
static bool say(struct end *end)
{
    struct lethe_error err = {0};
    enum tls_want want = TLS_DONE;
    size_t all = HEAD_BYTES + end->block_out;
    while (want == TLS_DONE && end->sent < all)
        (end->bulk ? write_parts : write_plainly)(end, &want, &err);
    if (want == TLS_DONE)
        must(tls_flush(end->tls, &want, &err), &err);
    if (want != TLS_DONE)
        return false;
    end->sent = SIZE_MAX;
    return true;
}

/* True when a message is whole. */
static bool hear(struct end *end)
{
    struct lethe_error err = {0};
    enum tls_want want = TLS_DONE;
    size_t all = HEAD_BYTES + end->block_in;
    while (want == TLS_DONE && end->got < all) {
        size_t got;
        bool in_head = end->got < HEAD_BYTES;
        uint8_t *at = in_head ? end->head_in + end->got : end->block + end->got - HEAD_BYTES;
        size_t left = (in_head ? HEAD_BYTES : all) - end->got;
        must(tls_read(end->tls, at, left, &got, &want, &err), &err);
        end->got += got;
    }
    if (want == TLS_CLOSED)
        bench_fail("the peer is gone", NULL);
    return end->got == all;
}

static void next_message(struct end *end)
{
    end->got = 0;
    end->sent = 0;
}

static void on_answer(struct end *end)
{
    struct bench *bench = end->bench;
    size_t which = (size_t)(end - bench->clients) % LOOPS;
    atomic_fetch_add_explicit(&bench->answers, 1, memory_order_relaxed);
    if (!atomic_load_explicit(&bench->is_over, memory_order_relaxed)) {
        next_message(end);
        return;
    }
    if (--bench->busy[which] == 0)
        loop_stop(bench->loops[which]);
}

static void on_ready(void *context, unsigned events)
{
    struct end *end = context;
    bool all_said = end->sent == SIZE_MAX || say(end);
    while (all_said && hear(end)) {
        if (end->is_client)
            on_answer(end);
        else
            next_message(end);
        if (end->sent == SIZE_MAX) {
            loop_watch_set(end->watch, 0);
            return; /* over */
        }
        all_said = say(end);
    }
    loop_watch_set(end->watch, LOOP_READ | (all_said ? 0 : LOOP_WRITE));
}

/* ---- connecting ------------------------------------------------------------------------------ */

static void connect_pair(int out[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    out[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 1) == 0);
    REQUIRE(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    REQUIRE(connect(out[0], (struct sockaddr *)&address, size) == 0);
    out[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    close(listener);
    for (unsigned i = 0; i < 2; i++) {
        REQUIRE(setsockopt(out[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
        REQUIRE(fcntl(out[i], F_SETFL, O_NONBLOCK) == 0);
    }
}

static void shake_hands(struct tls_connection *a, struct tls_connection *b)
{
    struct lethe_error err = {0};
    enum tls_want wants[2] = {TLS_WANT_READ, TLS_WANT_READ};
    while (wants[0] != TLS_DONE || wants[1] != TLS_DONE) {
        must(tls_handshake(a, &wants[0], &err), &err);
        must(tls_handshake(b, &wants[1], &err), &err);
    }
}

static void open_end(struct bench *bench, size_t i, bool is_client, struct tls_connection *tls)
{
    struct lethe_error err = {0};
    struct end *end = is_client ? &bench->clients[i] : &bench->servers[i];
    struct loop *loop = bench->loops[(is_client ? 0 : LOOPS) + i % LOOPS];
    *end = (struct end){
        .bench = bench, .is_client = is_client, .bulk = bench->bulk, .tls = tls, .sent = SIZE_MAX};
    end->block = malloc(BLOCK_MAX);
    REQUIRE(end->block != NULL);
    memset(end->block, (int)i, BLOCK_MAX);
    must(loop_watch(loop, tls_fd(tls), LOOP_READ, on_ready, end, &end->watch, &err), &err);
}

static void bench_open(struct bench *bench, const struct identity_files *who,
                       const struct identity_files *authority, bool bulk)
{
    struct lethe_error err = {0};
    const struct tls_options options = {.certificates_pem = who->certificate_pem,
                                        .key_pem = who->key_pem,
                                        .roots_pem = authority->certificate_pem,
                                        .client_proof = TLS_CLIENT_MUST,
                                        .bulk = bulk};
    bench->bulk = bulk;
    must(tls_server_create(&options, &bench->server, &err), &err);
    must(tls_client_create(&options, &bench->client, &err), &err);
    for (unsigned i = 0; i < ARRAY_LEN(bench->loops); i++)
        must(loop_create(&bench->loops[i], &err), &err);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        int fds[2];
        struct tls_connection *client, *server;
        connect_pair(fds);
        must(tls_connect(bench->client, fds[0], "localhost", &client, &err), &err);
        must(tls_accept(bench->server, fds[1], &server, &err), &err);
        shake_hands(client, server);
        open_end(bench, i, true, client);
        open_end(bench, i, false, server);
    }
}

static void close_end(struct end *end)
{
    loop_watch_free(end->watch);
    tls_free(end->tls);
    free(end->block);
}

static void bench_close(struct bench *bench)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        close_end(&bench->clients[i]);
        close_end(&bench->servers[i]);
    }
    for (unsigned i = 0; i < ARRAY_LEN(bench->loops); i++)
        loop_free(bench->loops[i]);
    tls_context_free(bench->client);
    tls_context_free(bench->server);
}

/* ---- measuring ------------------------------------------------------------------------------- */

struct speed {
    double bytes_per_s;
    double core_s_per_gb; /* of both sides */
};

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static void *turn(void *loop)
{
    struct lethe_error err = {0};
    must(loop_run(loop, &err), &err);
    return NULL;
}

static void prepare(struct bench *bench, size_t block_bytes, bool is_set)
{
    bench->is_over = false;
    bench->answers = 0;
    for (size_t i = 0; i < CONNECTIONS; i++) {
        struct end *client = &bench->clients[i], *server = &bench->servers[i];
        client->block_out = server->block_in = is_set ? block_bytes : 0;
        client->block_in = server->block_out = is_set ? 0 : block_bytes;
        client->got = client->sent = server->got = 0;
        server->sent = SIZE_MAX;
        loop_watch_set(client->watch, LOOP_READ | LOOP_WRITE);
        bench->busy[i % LOOPS] = CONNECTIONS / LOOPS;
    }
}

static struct speed measure(struct bench *bench, size_t block_bytes, bool is_set)
{
    pthread_t threads[2 * LOOPS];
    prepare(bench, block_bytes, is_set);
    double from_s = bench_now_s(), from_cpu_s = cpu_s();
    for (unsigned i = 0; i < ARRAY_LEN(threads); i++)
        REQUIRE(pthread_create(&threads[i], NULL, turn, bench->loops[i]) == 0);
    usleep((useconds_t)(ROUND_S * 1e6));
    atomic_store(&bench->is_over, true);
    for (unsigned i = 0; i < LOOPS; i++)
        pthread_join(threads[i], NULL);
    double took_s = bench_now_s() - from_s, took_cpu_s = cpu_s() - from_cpu_s;
    for (unsigned i = LOOPS; i < 2 * LOOPS; i++) {
        loop_stop(bench->loops[i]);
        pthread_join(threads[i], NULL);
    }
    double bytes = (double)atomic_load(&bench->answers) * (double)block_bytes;
    return (struct speed){bytes / took_s, took_cpu_s / bytes * 1e9};
}

static void report(const char *size, bool is_set, const struct speed *medians, double least)
{
    char name[48];
    snprintf(name, sizeof name, "tls/%s %s", is_set ? "set" : "get", size);
    bench_report(&(struct bench_result){.name = name,
                                        .value = medians[1].bytes_per_s * 1e-9,
                                        .unit = "GB/s",
                                        .against = "speed without bulk",
                                        .ratio = medians[1].bytes_per_s / medians[0].bytes_per_s,
                                        .aim = BENCH_AT_LEAST,
                                        .target = least});
    snprintf(name, sizeof name, "tls/%s %s, cores", is_set ? "set" : "get", size);
    bench_report(
        &(struct bench_result){.name = name,
                               .value = medians[1].core_s_per_gb,
                               .unit = "s/GB",
                               .against = "time without bulk",
                               .ratio = medians[1].core_s_per_gb / medians[0].core_s_per_gb});
}

static void measure_size(struct bench *plain, struct bench *bulk, size_t which, bool is_set)
{
    double speeds[2][ROUNDS], costs[2][ROUNDS];
    struct bench *benches[] = {plain, bulk};
    for (unsigned round = 0; round <= ROUNDS; round++) /* the first does not count */
        for (unsigned way = 0; way < 2; way++) {
            struct speed speed = measure(benches[way], sizes[which].block_bytes, is_set);
            speeds[way][MAX(round, 1u) - 1] = speed.bytes_per_s;
            costs[way][MAX(round, 1u) - 1] = speed.core_s_per_gb;
        }
    struct speed medians[2];
    for (unsigned way = 0; way < 2; way++)
        medians[way] =
            (struct speed){bench_median(speeds[way], ROUNDS), bench_median(costs[way], ROUNDS)};
    report(sizes[which].name, is_set, medians, sizes[which].least[is_set]);
}

void bench_tls(void)
{
    static struct bench plain, bulk;
    static struct identity_files authority, who;
    struct lethe_error err = {0};
    must(crypto_start(&err), &err);
    certificate_make(NULL, "authority", NULL, 10, &authority);
    certificate_make(&authority, "peer", "DNS:localhost", 10, &who);
    bench_open(&plain, &who, &authority, false);
    bench_open(&bulk, &who, &authority, true);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        measure_size(&plain, &bulk, i, false);
        measure_size(&plain, &bulk, i, true);
    }
    bench_close(&plain);
    bench_close(&bulk);
    certificate_free(&who);
    certificate_free(&authority);
}
