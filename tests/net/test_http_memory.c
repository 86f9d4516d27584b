/* What connections cost, and what they leave behind. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "peer.h"
#include "serving.h"

#define IDLE_CONNECTIONS 5000u
#define QUICK_CONNECTIONS 1000u
#define IDLE_BYTES_MAX ((size_t)150 << 20) /* of the whole process, with IDLE_CONNECTIONS */

static struct identity_files authority, own, client;
static struct serving serving;
static struct http_exchange held;
static atomic_uint held_count;

/* ---- a server -------------------------------------------------------------------------------- */

/* Answers "/hold" when it is told to, others at once, with the body. */
static void on_request(void *context, struct http_exchange exchange, const struct http_peer *peer,
                       const struct http_request *request)
{
    const struct http_answer echo = {.status = 200,
                                     .content_type = "text/plain",
                                     .body = request->body,
                                     .body_bytes = request->body_bytes};
    held = exchange;
    atomic_fetch_add(&held_count, 1);
    if (request->path.length != 5)
        http_server_answer(serving.server, exchange, &echo);
}

/* Clients are children, forked while this process has one thread: they wait in the backlog. */
static void listen_first(void)
{
    serving = (struct serving){0};
    serving.listener = listen_on_loopback(&serving.port);
    atomic_store(&held_count, 0);
}

static void start(void)
{
    const struct tls_options options = {.certificates_pem = own.certificate_pem,
                                        .key_pem = own.key_pem,
                                        .roots_pem = authority.certificate_pem,
                                        .client_proof = TLS_CLIENT_MUST};
    serving.events.request = on_request;
    serving.limits.connections_per_source = 100000;
    serving.limits.handshakes_per_second = 1000000;
    struct lethe_error err;
    assert_ok(tls_server_create(&options, &serving.tls, &err), &err);
    serving_start(&serving);
}

/* ---- markers --------------------------------------------------------------------------------- */

/* Never whole in memory by itself: only its halves are, and only what makes it puts them together.
 */
static void make_marker(const char *kind, char out[64])
{
    static const char digits[] = "qzjxkvbp";
    snprintf(out, 64, "%s-", kind);
    for (unsigned i = 0; i < 24; i++)
        out[strlen(kind) + 1 + i] = digits[(i * i + 3 * i + strlen(kind)) % 8];
    out[strlen(kind) + 25] = '\0';
}

/* What is looked at comes here; what is found here is what was looked at. */
static char window[1 << 20];
#define OVERLAP 64

static bool is_ours(uintptr_t at, const char *marker)
{
    return at == (uintptr_t)marker ||
           (at >= (uintptr_t)window && at < (uintptr_t)window + sizeof window);
}

static unsigned count_in_window(size_t size_bytes, uintptr_t from, const char *marker)
{
    unsigned count = 0;
    const char *end = window + size_bytes;
    for (const char *at = window;
         (at = memmem(at, (size_t)(end - at), marker, strlen(marker))) != NULL; at++)
        count += !is_ours(from + (uintptr_t)(at - window), marker);
    return count;
}

/* How often the marker is in what this process may write. */
static unsigned count_in_memory(const char *kind)
{
    char marker[64], line[512], mode[8];
    unsigned long from, to;
    unsigned count = 0;
    make_marker(kind, marker);
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_true(memory >= 0 && maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) != 3 || mode[1] != 'w')
            continue;
        for (; from < to; from += sizeof window - OVERLAP) {
            ssize_t got = pread(memory, window, MIN(sizeof window, to - from), (off_t)from);
            count += got > 0 ? count_in_window((size_t)got, from, marker) : 0;
        }
    }
    lethe_wipe(window, sizeof window);
    lethe_wipe(marker, sizeof marker);
    fclose(maps);
    close(memory);
    return count;
}

/* The client is another process, whose memory is not ours: a child that is told what to say by
 * pipe. It says one request with both markers, and hears the answer. */
static void say_markers(uint16_t port, int go, const char *path, unsigned times)
{
    static struct peer peer;
    char text[512], header[64], body[64], byte;
    make_marker("header", header);
    make_marker("body", body);
    SSL_CTX *context = peer_context(authority.certificate_pem, &client);
    REQUIRE(peer_connect(&peer, context, port));
    snprintf(text, sizeof text,
             "POST %s HTTP/1.1\r\nHost: a\r\nX-Vault-Token: %s\r\nContent-Length: %zu\r\n\r\n%s",
             path, header, strlen(body), body);
    for (unsigned i = 0; i < times; i++) {
        peer.heard_bytes = 0;
        REQUIRE(peer_say_text(&peer, text));
        REQUIRE(peer_hear_text(&peer, body));
    }
    while (read(go, &byte, 1) > 0)
        ;
    _exit(0);
}

static pid_t start_client(int go[2], const char *path, unsigned times)
{
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(go[1]);
        say_markers(serving.port, go[0], path, times);
    }
    close(go[0]);
    return child;
}

static void end_client(pid_t child, int go[2])
{
    int status;
    close(go[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void wait_until_asked(unsigned count)
{
    for (unsigned i = 0; i < 16000 && atomic_load(&held_count) < count; i++)
        usleep(500);
    assert_int_equal(atomic_load(&held_count), count);
}

static void answer_held(struct serving *at)
{
    char body[64];
    make_marker("body", body);
    const struct http_answer echo = {
        .status = 200, .content_type = "text/plain", .body = body, .body_bytes = strlen(body)};
    http_server_answer(at->server, held, &echo);
    lethe_wipe(body, sizeof body);
}

/* M-1: a body and a header are there while the request is open, and nowhere in the process once it
 * is answered, although the connection is kept. */
static void nothing_stays_of_a_request(void **state)
{
    int go[2];
    if (HAS_SANITIZER) {
        print_message("a sanitizer keeps what was freed\n");
        skip();
    }
    listen_first();
    pid_t child = start_client(go, "/hold", 1);
    start();
    wait_until_asked(1);
    assert_true(count_in_memory("header") > 0);
    assert_true(count_in_memory("body") > 0);
    serving_do(&serving, answer_held);
    assert_int_equal(count_in_memory("header"), 0);
    assert_int_equal(count_in_memory("body"), 0);
    end_client(child, go);
    serving_stop(&serving);
}

static void nothing_stays_of_many(void **state)
{
    int go[2];
    if (HAS_SANITIZER) {
        print_message("a sanitizer keeps what was freed\n");
        skip();
    }
    listen_first();
    pid_t child = start_client(go, "/", 200);
    start();
    wait_until_asked(200);
    usleep(50000); /* the last answer is on its way */
    assert_int_equal(count_in_memory("header"), 0);
    assert_int_equal(count_in_memory("body"), 0);
    end_client(child, go);
    serving_stop(&serving);
}

/* ---- idle connections ------------------------------------------------------------------------ */

static size_t resident_bytes(void)
{
    unsigned long total = 0, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    assert_true(statm != NULL && fscanf(statm, "%lu %lu", &total, &resident) == 2);
    fclose(statm);
    return (size_t)resident * 4096;
}

/* Clients in a child, each proven and heard once. */
static void hold_connections(uint16_t port, int told, int go, unsigned count)
{
    struct peer peer;
    char byte = 1;
    SSL_CTX *context = peer_context(authority.certificate_pem, &client);
    for (unsigned i = 0; i < count; i++) {
        REQUIRE(peer_connect(&peer, context, port));
        REQUIRE(peer_say_text(&peer, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        REQUIRE(peer_hear_text(&peer, "\r\n\r\n"));
        SSL_set_quiet_shutdown(peer.tls, 1);
        SSL_free(peer.tls); /* the descriptor stays open */
    }
    REQUIRE(write(told, &byte, 1) == 1);
    while (read(go, &byte, 1) > 0)
        ;
    _exit(0);
}

/* K-12: 5,000 idle connections fit into 150 MiB. */
static void idle_connections_are_cheap(void **state)
{
    struct rlimit files;
    int go[2], told[2], status;
    char byte;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    unsigned wanted = getenv("LETHE_TEST_LONG") != NULL ? IDLE_CONNECTIONS : QUICK_CONNECTIONS;
    unsigned count = (unsigned)MIN((rlim_t)wanted, files.rlim_cur - 100);
    if (HAS_SANITIZER)
        count = 200;
    listen_first();
    assert_true(pipe2(go, O_CLOEXEC) == 0 && pipe2(told, O_CLOEXEC) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(go[1]);
        hold_connections(serving.port, told[1], go[0], count);
    }
    close(go[0]);
    size_t before_bytes = resident_bytes();
    start();
    assert_int_equal(read(told[0], &byte, 1), 1);
    size_t after_bytes = resident_bytes();
    size_t each_bytes = (after_bytes - before_bytes) / count;
    print_message("%u idle connections: %zu KiB each, %zu MiB in all\n", count, each_bytes / 1024,
                  after_bytes >> 20);
    if (!HAS_SANITIZER)
        assert_true(before_bytes + IDLE_CONNECTIONS * each_bytes < IDLE_BYTES_MAX);
    struct http_server_counts counts;
    close(go[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    loop_stop(serving.loop);
    pthread_join(serving.thread, NULL);
    http_server_count(serving.server, &counts);
    assert_int_equal(counts.requests, count);
    assert_int_equal(pthread_create(&serving.thread, NULL, serving_run, &serving), 0);
    serving_stop(&serving);
    close(told[0]);
    close(told[1]);
}

static int make_identities(void **state)
{
    struct lethe_error err;
    assert_ok(crypto_start(&err), &err);
    certificate_make(NULL, "authority", NULL, 10, &authority);
    certificate_make(&authority, "server", "DNS:localhost,IP:127.0.0.1", 10, &own);
    certificate_make(&authority, "client", "URI:spiffe://example.org/client", 10, &client);
    return 0;
}

static int free_identities(void **state)
{
    certificate_free(&authority);
    certificate_free(&own);
    certificate_free(&client);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_stays_of_a_request),
        cmocka_unit_test(nothing_stays_of_many),
        cmocka_unit_test(idle_connections_are_cheap),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, make_identities, free_identities);
}
