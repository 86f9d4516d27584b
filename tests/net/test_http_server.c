#include "check.h"

#include <signal.h>
#include <stdlib.h>

#include "peer.h"
#include "serving.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define HELD_MAX 16

static struct identity_files authority, stranger, own, renewed, client, wrong, expired;

/* What the server was asked, as its thread saw it. */
static struct serving serving;
static struct http_exchange held[HELD_MAX];
static atomic_size_t held_count;
static atomic_uint asked, closed, refused;
static char last_refusal[128];
static char last_chain[8192];
static atomic_size_t last_chain_bytes;
static atomic_bool is_drained;

static void answer(struct http_exchange exchange, const char *body)
{
    const struct http_answer answer = {
        .status = 200, .content_type = "text/plain", .body = body, .body_bytes = strlen(body)};
    http_server_answer(serving.server, exchange, &answer);
}

static bool is_path(const struct http_request *request, const char *path)
{
    return request->path.length == strlen(path) &&
           memcmp(request->path.at, path, strlen(path)) == 0;
}

/* "/hold" is answered later; "/echo" gives the body back; others their path. */
static void on_request(void *context, struct http_exchange exchange, const struct http_peer *peer,
                       const struct http_request *request)
{
    char path[256];
    REQUIRE(context == &serving && strcmp(peer->source, "127.0.0.1") == 0);
    if (peer->chain_bytes > 0)
        memcpy(last_chain, peer->chain, MIN(peer->chain_bytes, sizeof last_chain));
    atomic_store(&last_chain_bytes, peer->chain_bytes);
    atomic_fetch_add(&asked, 1);
    if (is_path(request, "/hold") || is_path(request, "/stream")) {
        REQUIRE(atomic_load(&held_count) < HELD_MAX);
        held[atomic_load(&held_count)] = exchange;
        atomic_fetch_add(&held_count, 1);
        return;
    }
    if (is_path(request, "/echo")) {
        const struct http_answer echo = {.status = 200,
                                         .content_type = "text/plain",
                                         .body = request->body,
                                         .body_bytes = request->body_bytes,
                                         .headers = "X-Echo: yes\r\n"};
        http_server_answer(serving.server, exchange, &echo);
        return;
    }
    size_t length = MIN(request->path.length, sizeof path - 1);
    memcpy(path, request->path.at, length);
    path[length] = '\0';
    answer(exchange, path);
}

static void on_closed(void *context, uint64_t connection)
{
    atomic_fetch_add(&closed, 1);
}

static void on_refused(void *context, const char *source, const char *what)
{
    snprintf(last_refusal, sizeof last_refusal, "%s", what);
    atomic_fetch_add(&refused, 1);
}

static struct tls_context *server_context(const struct identity_files *identity,
                                          enum tls_client_proof proof)
{
    const struct tls_options options = {.certificates_pem = identity->certificate_pem,
                                        .key_pem = identity->key_pem,
                                        .roots_pem = authority.certificate_pem,
                                        .client_proof = proof};
    struct tls_context *context;
    struct lethe_error err;
    assert_ok(tls_server_create(&options, &context, &err), &err);
    return context;
}

static void start(struct http_limits limits, enum tls_client_proof proof)
{
    serving = (struct serving){
        .events = {on_request, on_closed, on_refused, &serving},
        .limits = limits,
        .tls = server_context(&own, proof),
    };
    serving.limits.handshakes_per_second =
        limits.handshakes_per_second != 0 ? limits.handshakes_per_second : 100000;
    atomic_store(&held_count, 0);
    atomic_store(&asked, 0);
    atomic_store(&closed, 0);
    atomic_store(&refused, 0);
    atomic_store(&is_drained, false);
    last_refusal[0] = '\0';
    serving_start(&serving);
}

static struct peer *connect_as(const struct identity_files *identity)
{
    struct peer *peer = calloc(1, sizeof *peer);
    SSL_CTX *context = peer_context(authority.certificate_pem, identity);
    assert_true(peer_connect(peer, context, serving.port));
    SSL_CTX_free(context);
    return peer;
}

static void hang_up(struct peer *peer)
{
    peer_close(peer);
    free(peer);
}

static void wait_until(atomic_uint *count, unsigned at_least)
{
    for (unsigned i = 0; i < 16000 && atomic_load(count) < at_least; i++)
        usleep(500);
    assert_true(atomic_load(count) >= at_least);
}

static void wait_until_held(size_t count)
{
    for (unsigned i = 0; i < 16000 && atomic_load(&held_count) < count; i++)
        usleep(500);
    assert_int_equal(atomic_load(&held_count), count);
}

static unsigned count_of(const char *text, const char *what)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        count++;
    return count;
}

/* ---- requests and answers -------------------------------------------------------------------- */

static void answers_are_whole(void **state)
{
    start((struct http_limits){0}, TLS_CLIENT_MAY);
    struct peer *peer = connect_as(NULL);
    assert_true(peer_say_text(peer, "POST /echo?x=y HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                                    "\r\nhello"));
    assert_true(peer_hear_text(peer, "\r\n\r\nhello"));
    assert_non_null(strstr(peer->heard, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(peer->heard, "Content-Length: 5\r\n"));
    assert_non_null(strstr(peer->heard, "Content-Type: text/plain\r\n"));
    assert_non_null(strstr(peer->heard, "Cache-Control: no-store\r\n"));
    assert_non_null(strstr(peer->heard, "\r\nX-Echo: yes\r\n"));
    assert_non_null(strstr(peer->heard, "\r\nDate: "));
    assert_null(strstr(peer->heard, "Connection: close"));
    hang_up(peer);
    wait_until(&closed, 1);
    serving_stop(&serving);
}

static void head_answers_have_no_body(void **state)
{
    start((struct http_limits){0}, TLS_CLIENT_MAY);
    struct peer *peer = connect_as(NULL);
    assert_true(peer_say_text(peer, "HEAD /first HTTP/1.1\r\nHost: a\r\n\r\n" GET("/second")));
    assert_true(peer_hear_text(peer, "/second"));
    assert_null(strstr(peer->heard, "/first"));
    assert_non_null(strstr(peer->heard, "Content-Length: 6\r\n"));
    hang_up(peer);
    serving_stop(&serving);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    start((struct http_limits){0}, TLS_CLIENT_MAY);
    struct peer *peer = connect_as(NULL);
    assert_true(peer_say_text(peer, GET("/one") GET("/two") GET("/three")));
    assert_true(peer_hear_text(peer, "/three"));
    const char *one = strstr(peer->heard, "/one");
    const char *two = strstr(peer->heard, "/two");
    assert_true(one != NULL && two != NULL && one < two && two < strstr(peer->heard, "/three"));
    hang_up(peer);
    serving_stop(&serving);
}

/* More than is done at once, and none is forgotten. */
static void many_pipelined_requests_are_answered(void **state)
{
    char many[16384];
    size_t size_bytes = 0;
    start((struct http_limits){0}, TLS_CLIENT_MAY);
    struct peer *peer = connect_as(NULL);
    for (unsigned i = 0; i < 300; i++)
        size_bytes += (size_t)snprintf(many + size_bytes, sizeof many - size_bytes,
                                       "GET /%03u HTTP/1.1\r\nHost: a\r\n\r\n", i);
    assert_true(peer_say(peer, many, size_bytes));
    assert_true(peer_hear_text(peer, "\r\n\r\n/299"));
    assert_int_equal(count_of(peer->heard, "\r\n\r\n/"), 300);
    assert_int_equal(atomic_load(&asked), 300);
    hang_up(peer);
    serving_stop(&serving);
}

static void release_first(struct serving *at)
{
    answer(held[0], "first, late");
}

/* The second request waits unread until the first is answered. */
static void one_request_at_a_time(void **state)
{
    start((struct http_limits){0}, TLS_CLIENT_MAY);
    struct peer *peer = connect_as(NULL);
    assert_true(peer_say_text(peer, GET("/hold")));
    wait_until_held(1);
    assert_true(peer_say_text(peer, GET("/second")));
    usleep(20000);
    assert_int_equal(atomic_load(&asked), 1);
    serving_do(&serving, release_first);
    assert_true(peer_hear_text(peer, "/second"));
    assert_true(strstr(peer->heard, "first, late") < strstr(peer->heard, "/second"));
    serving_do(&serving, release_first); /* answered already: void */
    assert_true(peer_say_text(peer, GET("/third")));
    assert_true(peer_hear_text(peer, "/third"));
    assert_int_equal(count_of(peer->heard, "first, late"), 1);
    hang_up(peer);
    serving_stop(&serving);
}

static void answers_to_who_is_gone_are_void(void **state)
{
    start((struct http_limits){0}, TLS_CLIENT_MAY);
    struct peer *gone = connect_as(NULL);
    assert_true(peer_say_text(gone, GET("/hold")));
    wait_until_held(1);
    hang_up(gone);
    struct peer *next = connect_as(NULL); /* perhaps in the place of the first */
    assert_true(peer_say_text(next, GET("/hold")));
    wait_until_held(2);
    serving_do(&serving, release_first);
    wait_until(&closed, 1);
    serving_do(&serving, release_first);
    assert_true(held[0].connection != held[1].connection);
    assert_true(peer_say_text(next, GET("/more")));
    usleep(10000);
    assert_int_equal(next->heard_bytes, 0);
    hang_up(next);
    serving_stop(&serving);
}

static void large_bodies_go_both_ways(void **state)
{
    size_t size_bytes = 5 << 20;
    char *body = malloc(size_bytes);
    char *back = malloc(size_bytes + 8192);
    size_t heard = 0, got;
    for (size_t i = 0; i < size_bytes; i++)
        body[i] = (char)('a' + i % 23);
    start((struct http_limits){0}, TLS_CLIENT_MAY);
    struct peer *peer = connect_as(NULL);
    char head[128];
    snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
             size_bytes);
    assert_true(peer_say_text(peer, head));
    assert_true(peer_say(peer, body, size_bytes));
    usleep(50000); /* the answer waits for a slow reader */
    while (heard < 1000 && SSL_read_ex(peer->tls, back + heard, 4096, &got) == 1)
        heard += got;
    const char *head_end = memmem(back, heard, "\r\n\r\n", 4);
    assert_non_null(head_end);
    while (heard < (size_t)(head_end - back) + 4 + size_bytes &&
           SSL_read_ex(peer->tls, back + heard, 4096, &got) == 1)
        heard += got;
    assert_int_equal(heard, (size_t)(head_end - back) + 4 + size_bytes);
    assert_memory_equal(back + heard - size_bytes, body, size_bytes);
    hang_up(peer);
    serving_stop(&serving);
    free(body);
    free(back);
}

static void encouragement_comes_before_the_body(void **state)
{
    start((struct http_limits){.body_bytes = 10}, TLS_CLIENT_MAY);
    struct peer *peer = connect_as(NULL);
    assert_true(peer_say_text(peer, "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                                    "Expect: 100-continue\r\n\r\n"));
    assert_true(peer_hear_text(peer, "HTTP/1.1 100 Continue\r\n\r\n"));
    assert_true(peer_say_text(peer, "abc"));
    assert_true(peer_hear_text(peer, "\r\n\r\nabc"));
    assert_int_equal(count_of(peer->heard, "100 Continue"), 1);
    hang_up(peer);
    peer = connect_as(NULL); /* of a body that is too large, none is asked for */
    assert_true(peer_say_text(peer, "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n"
                                    "Expect: 100-continue\r\n\r\n"));
    peer_hear_all(peer);
    assert_non_null(strstr(peer->heard, "HTTP/1.1 413 "));
    assert_null(strstr(peer->heard, "100 Continue"));
    hang_up(peer);
    serving_stop(&serving);
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* What is refused gets one answer and the end; what stood behind it is never looked at. */
static void smuggled_requests_are_not_heard(void **state)
{
    static const struct {
        const char *text;
        const char *status;
    } cases[] = {
        {"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 36\r\n\r\n", "400"},
        {"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length : 36\r\n\r\n", "400"},
        {"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "501"},
        {"BREW /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "501"},
        {"GET /x HTTP/1.1\nHost: a\n\n", "400"},
        {"GET /x HTTP/1.1\r\n\r\n", "400"},
        {"GET /x HTTP/1.0\r\nHost: a\r\n\r\n", "505"},
        {"GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    };
    start((struct http_limits){0}, TLS_CLIENT_MAY);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char both[1024], status[32];
        struct peer *peer = connect_as(NULL);
        snprintf(both, sizeof both, "%s%s", cases[i].text, GET("/smuggled"));
        snprintf(status, sizeof status, "HTTP/1.1 %s ", cases[i].status);
        assert_true(peer_say_text(peer, both));
        peer_hear_all(peer);
        assert_int_equal(count_of(peer->heard, "Content-Length: "), 1);
        assert_memory_equal(peer->heard, status, strlen(status));
        assert_non_null(strstr(peer->heard, "\r\nConnection: close\r\n"));
        assert_non_null(strstr(peer->heard, "\r\n\r\n{\"errors\":[\""));
        assert_null(strstr(peer->heard, "smuggled"));
        hang_up(peer);
    }
    assert_int_equal(atomic_load(&asked), 0);
    assert_int_equal(atomic_load(&refused), ARRAY_LEN(cases));
    serving_stop(&serving);
}

/* 1 GiB is announced and a part of it sent: the answer arrives all the same. */
static void huge_bodies_are_refused_unread(void **state)
{
    char piece[16384] = {0};
    start((struct http_limits){0}, TLS_CLIENT_MAY);
    struct peer *peer = connect_as(NULL);
    assert_true(peer_say_text(peer, "POST /echo HTTP/1.1\r\nHost: a\r\n"
                                    "Content-Length: 1073741824\r\n\r\n"));
    for (unsigned i = 0; i < 64 && peer_say(peer, piece, sizeof piece); i++)
        ;
    peer_hear_all(peer);
    assert_non_null(strstr(peer->heard, "HTTP/1.1 413 "));
    assert_int_equal(atomic_load(&asked), 0);
    hang_up(peer);
    serving_stop(&serving);
}

/* ---- deadlines ------------------------------------------------------------------------------- */

/* A byte now and then, each well within any limit for inactivity: it ends all the same, and not
 * because of what was said. (K-12) */
static void expect_slow_end(const char *before, const char *dripped, const char *what)
{
    struct peer *peer = connect_as(NULL);
    unsigned dripped_count = 0;
    assert_true(peer_say_text(peer, before));
    while (atomic_load(&refused) == 0 && dripped[dripped_count] != '\0') {
        (void)peer_say(peer, &dripped[dripped_count++], 1);
        usleep(40000);
    }
    peer_hear_all(peer);
    assert_true(dripped[dripped_count] != '\0');
    assert_non_null(strstr(peer->heard, "HTTP/1.1 408 "));
    assert_string_equal(last_refusal, what);
    assert_int_equal(atomic_load(&asked), 0);
    hang_up(peer);
}

#define SLOWLY                                                                                     \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void slow_heads_end(void **state)
{
    start((struct http_limits){.head_ms = 500}, TLS_CLIENT_MAY);
    expect_slow_end("GET / HTTP/1.1\r\nHost: a\r\nX: ", SLOWLY,
                    "the head of a request took too long");
    serving_stop(&serving);
}

static void slow_bodies_end(void **state)
{
    start((struct http_limits){.body_ms = 500}, TLS_CLIENT_MAY);
    expect_slow_end("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", SLOWLY,
                    "the body of a request took too long");
    serving_stop(&serving);
}

static void slow_handshakes_end(void **state)
{
    char byte;
    start((struct http_limits){.handshake_ms = 300}, TLS_CLIENT_MAY);
    int fd = dial(serving.port);
    assert_int_equal(send(fd, "\x16\x03\x01\x02", 4, 0), 4);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    assert_string_equal(last_refusal, "the handshake took too long");
    close(fd);
    serving_stop(&serving);
}

static void idle_connections_end_in_order(void **state)
{
    start((struct http_limits){.idle_ms = 300}, TLS_CLIENT_MAY);
    struct peer *peer = connect_as(NULL);
    peer_hear_all(peer);
    assert_int_equal(SSL_get_shutdown(peer->tls) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    assert_int_equal(peer->heard_bytes, 0);
    hang_up(peer);
    serving_stop(&serving);
}

/* Somebody who asks for much and reads nothing does not keep the answer in memory. */
static void unread_answers_end(void **state)
{
    size_t size_bytes = 24 << 20;
    char *body = calloc(1, size_bytes);
    start((struct http_limits){.write_ms = 300}, TLS_CLIENT_MAY);
    struct peer *peer = connect_as(NULL);
    char head[128];
    snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
             size_bytes);
    assert_true(peer_say_text(peer, head) && peer_say(peer, body, size_bytes));
    wait_until(&closed, 1);
    assert_string_equal(last_refusal, "an answer was not read in time");
    hang_up(peer);
    serving_stop(&serving);
    free(body);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static bool is_turned_away(void)
{
    struct peer peer;
    SSL_CTX *context = peer_context(authority.certificate_pem, NULL);
    bool done = peer_connect(&peer, context, serving.port);
    SSL_CTX_free(context);
    peer_close(&peer);
    return !done;
}

static void connections_are_limited(void **state)
{
    start((struct http_limits){.connections = 3}, TLS_CLIENT_MAY);
    struct peer *peers[3];
    for (size_t i = 0; i < 3; i++)
        peers[i] = connect_as(NULL);
    assert_true(is_turned_away());
    assert_string_equal(last_refusal, "there are too many connections");
    assert_true(peer_say_text(peers[1], GET("/still")));
    assert_true(peer_hear_text(peers[1], "/still"));
    for (size_t i = 0; i < 3; i++)
        hang_up(peers[i]);
    wait_until(&closed, 1);
    struct peer *again = connect_as(NULL);
    hang_up(again);
    serving_stop(&serving);
}

static void connections_of_a_source_are_limited(void **state)
{
    start((struct http_limits){.connections_per_source = 2}, TLS_CLIENT_MAY);
    struct peer *first = connect_as(NULL);
    struct peer *second = connect_as(NULL);
    assert_true(is_turned_away());
    assert_string_equal(last_refusal, "the source has too many connections");
    hang_up(first);
    hang_up(second);
    serving_stop(&serving);
}

static void handshakes_of_a_source_are_limited(void **state)
{
    unsigned turned_away = 0;
    start((struct http_limits){.handshakes_per_second = 3}, TLS_CLIENT_MAY);
    for (unsigned i = 0; i < 12; i++)
        turned_away += is_turned_away();
    assert_true(turned_away > 0);
    assert_string_equal(last_refusal, "the source makes connections too fast");
    serving_stop(&serving);
}

static void refuse_proof(struct serving *at)
{
    const struct http_answer answer = {.status = 403};
    size_t last = atomic_load(&held_count) - 1;
    http_server_penalise(at->server, held[last].connection, "127.0.0.1");
    http_server_answer(at->server, held[last], &answer);
}

/* One request that is answered as a failed proof. */
static void fail_proof(struct peer *peer, unsigned *count, const char *expected)
{
    assert_true(peer_say_text(peer, GET("/hold")));
    wait_until_held(++*count);
    serving_do(&serving, refuse_proof);
    assert_true(peer_hear_text(peer, expected));
    peer->heard_bytes = 0;
}

/* K-11: whoever fails a proof too often is told to wait, and loses its connection; whoever proves
 * itself is heard, from the same source. */
static void failed_proofs_wait(void **state)
{
    unsigned count = 0;
    start((struct http_limits){.penalty_ms = 60000}, TLS_CLIENT_MAY);
    struct peer *good = connect_as(NULL);
    struct peer *peer = connect_as(NULL);
    for (unsigned i = 0; i < 5; i++)
        fail_proof(peer, &count, "HTTP/1.1 403 ");
    assert_true(peer_say_text(peer, GET("/typo"))); /* five cost nothing */
    assert_true(peer_hear_text(peer, "/typo"));
    peer->heard_bytes = 0;
    assert_true(peer_say_text(peer, GET("/hold")));
    wait_until_held(++count);
    serving_do(&serving, refuse_proof);
    peer_hear_all(peer);
    assert_non_null(strstr(peer->heard, "HTTP/1.1 429 "));
    assert_non_null(strstr(peer->heard, "Retry-After: 60\r\n"));
    assert_true(peer_say_text(good, GET("/open")));
    assert_true(peer_hear_text(good, "/open"));
    struct peer *fresh = connect_as(NULL);
    assert_true(peer_say_text(fresh, GET("/fresh")));
    assert_true(peer_hear_text(fresh, "/fresh"));
    hang_up(fresh);
    hang_up(good);
    hang_up(peer);
    serving_stop(&serving);
}

/* ---- TLS ------------------------------------------------------------------------------------- */

/* Whether a request gets an answer. */
static bool is_heard_with(SSL_CTX *context)
{
    struct peer peer;
    bool heard = peer_connect(&peer, context, serving.port) &&
                 peer_say_text(&peer, GET("/proof")) && peer_hear_text(&peer, "/proof");
    peer_close(&peer);
    return heard;
}

static bool is_heard(const struct identity_files *identity)
{
    SSL_CTX *context = peer_context(authority.certificate_pem, identity);
    bool heard = is_heard_with(context);
    SSL_CTX_free(context);
    return heard;
}

/* P-3 */
static void clients_prove_themselves(void **state)
{
    static const struct {
        enum tls_client_proof proof;
        const struct identity_files *identity;
        bool heard;
        bool shows; /* the server gets a chain */
    } cases[] = {
        {TLS_CLIENT_NOT_ASKED, NULL, true, false},
        {TLS_CLIENT_NOT_ASKED, &client, true, false},
        {TLS_CLIENT_NOT_ASKED, &wrong, true, false},
        {TLS_CLIENT_MAY, NULL, true, false},
        {TLS_CLIENT_MAY, &client, true, true},
        {TLS_CLIENT_MAY, &wrong, false, false},
        {TLS_CLIENT_MAY, &expired, false, false},
        {TLS_CLIENT_MUST, NULL, false, false},
        {TLS_CLIENT_MUST, &client, true, true},
        {TLS_CLIENT_MUST, &wrong, false, false},
        {TLS_CLIENT_MUST, &expired, false, false},
        {TLS_CLIENT_MUST, &stranger, false, false}, /* self-signed */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t *der = NULL;
        start((struct http_limits){0}, cases[i].proof);
        if (is_heard(cases[i].identity) != cases[i].heard)
            fail_msg("case %zu", i);
        assert_int_equal(atomic_load(&asked), cases[i].heard ? 1 : 0);
        assert_int_equal(atomic_load(&last_chain_bytes) > 0, cases[i].shows);
        if (cases[i].shows) {
            int size = i2d_X509(client.certificate, &der);
            assert_true(size > 0 && atomic_load(&last_chain_bytes) >= (size_t)size + 4);
            assert_memory_equal(last_chain, &(uint32_t){(uint32_t)size}, 4); /* leaf first */
            assert_memory_equal(last_chain + 4, der, (size_t)size);
            OPENSSL_free(der);
        }
        atomic_store(&last_chain_bytes, 0);
        serving_stop(&serving);
    }
}

static void only_tls_1_3_is_spoken(void **state)
{
    start((struct http_limits){0}, TLS_CLIENT_MAY);
    SSL_CTX *context = peer_context(authority.certificate_pem, NULL);
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    assert_false(is_heard_with(context));
    SSL_CTX_set_max_proto_version(context, 0);
    assert_true(is_heard_with(context));
    SSL_CTX_free(context);
    wait_until(&refused, 1);
    assert_string_equal(last_refusal, "a handshake was not one of TLS 1.3");
    serving_stop(&serving);
}

/* No ticket comes, so that nobody is believed for what was proven on another connection. */
static void sessions_are_not_resumed(void **state)
{
    start((struct http_limits){0}, TLS_CLIENT_MUST);
    struct peer *peer = connect_as(&client);
    assert_true(peer_say_text(peer, GET("/a")));
    assert_true(peer_hear_text(peer, "\r\n\r\n/a"));
    SSL_SESSION *session = SSL_get1_session(peer->tls);
    assert_false(SSL_SESSION_is_resumable(session));
    SSL_SESSION_free(session);
    hang_up(peer);
    serving_stop(&serving);
}

static void nonsense_is_not_tls(void **state)
{
    static const char *const openings[] = {
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\x16\x03\x01\xff\xff\x01", "\x80\x2e\x01\x03\x01",
        "\x17\x03\x03\x01\x01\x01\x01\x01\x01\x01", "SSH-2.0-x\r\n"};
    start((struct http_limits){.handshake_ms = 300}, TLS_CLIENT_MAY);
    for (size_t i = 0; i < ARRAY_LEN(openings); i++) {
        char heard[256];
        int fd = dial(serving.port);
        size_t length = strlen(openings[i]);
        assert_int_equal(send(fd, openings[i], length, 0), length);
        while (recv(fd, heard, sizeof heard, 0) > 0)
            ;
        close(fd);
        wait_until(&refused, (unsigned)i + 1);
    }
    assert_int_equal(atomic_load(&asked), 0);
    assert_true(is_heard(NULL));
    serving_stop(&serving);
}

static void renew(struct serving *at)
{
    struct tls_context *context = server_context(&renewed, TLS_CLIENT_MAY);
    http_server_set_tls(at->server, context);
    tls_context_free(context);
}

static bool shows(const struct peer *peer, const struct identity_files *identity)
{
    X509 *shown = SSL_get1_peer_certificate(peer->tls);
    bool same = X509_cmp(shown, identity->certificate) == 0;
    X509_free(shown);
    return same;
}

static void certificates_are_renewed_without_a_break(void **state)
{
    start((struct http_limits){0}, TLS_CLIENT_MAY);
    struct peer *old = connect_as(NULL);
    assert_true(shows(old, &own));
    serving_do(&serving, renew);
    struct peer *fresh = connect_as(NULL);
    assert_true(shows(fresh, &renewed));
    assert_true(peer_say_text(old, GET("/old")) && peer_hear_text(old, "/old"));
    assert_true(peer_say_text(fresh, GET("/new")) && peer_hear_text(fresh, "/new"));
    hang_up(old);
    hang_up(fresh);
    serving_stop(&serving);
}

/* ---- streams and the end --------------------------------------------------------------------- */

static atomic_bool stream_is_there;

static void begin_stream(struct serving *at)
{
    const struct http_answer head = {
        .status = 200, .content_type = "text/event-stream", .stream = true};
    http_server_answer(at->server, held[0], &head);
}

static void stream_piece(struct serving *at)
{
    atomic_store(&stream_is_there,
                 http_server_stream(at->server, held[0], "data: 0123456789\n\n", 18));
}

static void stream_megabytes(struct serving *at)
{
    static char piece[65536];
    bool there = true;
    for (unsigned i = 0; i < 1024 && there; i++)
        there = http_server_stream(at->server, held[0], piece, sizeof piece);
    atomic_store(&stream_is_there, there);
}

static void finish_stream(struct serving *at)
{
    http_server_finish(at->server, held[0]);
}

static struct peer *connect_to_stream(void)
{
    struct peer *peer = connect_as(NULL);
    assert_true(peer_say_text(peer, GET("/stream")));
    wait_until_held(1);
    serving_do(&serving, begin_stream);
    assert_true(peer_hear_text(peer, "Transfer-Encoding: chunked\r\n"));
    serving_do(&serving, stream_piece);
    assert_true(atomic_load(&stream_is_there));
    assert_true(peer_hear_text(peer, "12\r\ndata: 0123456789\n\n\r\n"));
    return peer;
}

static void streams_come_in_pieces(void **state)
{
    start((struct http_limits){.idle_ms = 200, .write_ms = 200}, TLS_CLIENT_MAY);
    struct peer *peer = connect_to_stream();
    usleep(700000); /* longer than every deadline: a stream has none */
    serving_do(&serving, stream_piece);
    assert_true(atomic_load(&stream_is_there));
    serving_do(&serving, finish_stream);
    peer_hear_all(peer);
    assert_int_equal(count_of(peer->heard, "data: 0123456789\n\n"), 2);
    assert_non_null(strstr(peer->heard, "\r\n0\r\n\r\n"));
    serving_do(&serving, stream_piece);
    assert_false(atomic_load(&stream_is_there));
    hang_up(peer);
    serving_stop(&serving);
}

static void streams_end_with_their_reader(void **state)
{
    start((struct http_limits){0}, TLS_CLIENT_MAY);
    struct peer *peer = connect_to_stream();
    hang_up(peer);
    wait_until(&closed, 1); /* without anything being sent */
    serving_do(&serving, stream_piece);
    assert_false(atomic_load(&stream_is_there));
    serving_stop(&serving);
}

static void slow_readers_of_streams_are_left(void **state)
{
    start((struct http_limits){0}, TLS_CLIENT_MAY);
    struct peer *peer = connect_to_stream();
    serving_do(&serving, stream_megabytes);
    assert_false(atomic_load(&stream_is_there));
    assert_string_equal(last_refusal, "a stream is read too slowly");
    hang_up(peer);
    serving_stop(&serving);
}

static void was_drained(void *context)
{
    atomic_store(&is_drained, true);
}

static void drain(struct serving *at)
{
    http_server_drain(at->server, 3600000, was_drained, NULL);
}

static void drain_shortly(struct serving *at)
{
    http_server_drain(at->server, 100, was_drained, NULL);
}

static void draining_answers_what_is_open(void **state)
{
    start((struct http_limits){0}, TLS_CLIENT_MAY);
    struct peer *idle = connect_as(NULL);
    struct peer *busy = connect_as(NULL);
    assert_true(peer_say_text(busy, GET("/hold")));
    wait_until_held(1);
    serving_do(&serving, drain);
    peer_hear_all(idle);
    assert_int_equal(SSL_get_shutdown(idle->tls) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    assert_false(atomic_load(&is_drained));
    serving_do(&serving, release_first);
    peer_hear_all(busy);
    assert_non_null(strstr(busy->heard, "first, late"));
    assert_non_null(strstr(busy->heard, "Connection: close\r\n"));
    hang_up(idle);
    hang_up(busy);
    for (unsigned i = 0; i < 10000 && !atomic_load(&is_drained); i++)
        usleep(500);
    assert_true(atomic_load(&is_drained));
    serving_stop(&serving);
}

static void draining_has_a_limit(void **state)
{
    start((struct http_limits){0}, TLS_CLIENT_MAY);
    struct peer *busy = connect_as(NULL);
    assert_true(peer_say_text(busy, GET("/hold")));
    wait_until_held(1);
    serving_do(&serving, drain_shortly);
    for (unsigned i = 0; i < 10000 && !atomic_load(&is_drained); i++)
        usleep(500);
    assert_true(atomic_load(&is_drained));
    serving_stop(&serving);
    hang_up(busy);
}

static void end_connection(struct serving *at)
{
    http_server_close(at->server, held[0].connection);
}

static void connections_can_be_ended(void **state)
{
    struct http_server_counts counts;
    start((struct http_limits){0}, TLS_CLIENT_MAY);
    struct peer *peer = connect_as(NULL);
    assert_true(peer_say_text(peer, GET("/hold")));
    wait_until_held(1);
    serving_do(&serving, end_connection);
    peer_hear_all(peer);
    assert_int_equal(peer->heard_bytes, 0);
    wait_until(&closed, 1);
    hang_up(peer);
    loop_stop(serving.loop);
    pthread_join(serving.thread, NULL);
    http_server_count(serving.server, &counts);
    assert_int_equal(counts.accepted, 1);
    assert_int_equal(counts.requests, 1);
    assert_int_equal(counts.open, 0);
    assert_int_equal(counts.received_bytes, strlen(GET("/hold")));
    assert_int_equal(pthread_create(&serving.thread, NULL, serving_run, &serving), 0);
    serving_stop(&serving);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int make_identities(void **state)
{
    struct lethe_error err;
    assert_ok(crypto_start(&err), &err);
    certificate_make(NULL, "authority", NULL, 10, &authority);
    certificate_make(NULL, "stranger", NULL, 10, &stranger);
    certificate_make(&authority, "server", "DNS:localhost,IP:127.0.0.1", 10, &own);
    certificate_make(&authority, "server", "DNS:localhost,IP:127.0.0.1", 20, &renewed);
    certificate_make(&authority, "client", "URI:spiffe://example.org/client", 10, &client);
    certificate_make(&stranger, "client", "URI:spiffe://example.org/client", 10, &wrong);
    certificate_make(&authority, "client", "URI:spiffe://example.org/client", -1, &expired);
    return 0;
}

static int free_identities(void **state)
{
    struct identity_files *all[] = {&authority, &stranger, &own,    &renewed,
                                    &client,    &wrong,    &expired};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        certificate_free(all[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_whole),
        cmocka_unit_test(head_answers_have_no_body),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(many_pipelined_requests_are_answered),
        cmocka_unit_test(one_request_at_a_time),
        cmocka_unit_test(answers_to_who_is_gone_are_void),
        cmocka_unit_test(large_bodies_go_both_ways),
        cmocka_unit_test(encouragement_comes_before_the_body),
        cmocka_unit_test(smuggled_requests_are_not_heard),
        cmocka_unit_test(huge_bodies_are_refused_unread),
        cmocka_unit_test(slow_heads_end),
        cmocka_unit_test(slow_bodies_end),
        cmocka_unit_test(slow_handshakes_end),
        cmocka_unit_test(idle_connections_end_in_order),
        cmocka_unit_test(unread_answers_end),
        cmocka_unit_test(connections_are_limited),
        cmocka_unit_test(connections_of_a_source_are_limited),
        cmocka_unit_test(handshakes_of_a_source_are_limited),
        cmocka_unit_test(failed_proofs_wait),
        cmocka_unit_test(clients_prove_themselves),
        cmocka_unit_test(only_tls_1_3_is_spoken),
        cmocka_unit_test(sessions_are_not_resumed),
        cmocka_unit_test(nonsense_is_not_tls),
        cmocka_unit_test(certificates_are_renewed_without_a_break),
        cmocka_unit_test(streams_come_in_pieces),
        cmocka_unit_test(streams_end_with_their_reader),
        cmocka_unit_test(slow_readers_of_streams_are_left),
        cmocka_unit_test(draining_answers_what_is_open),
        cmocka_unit_test(draining_has_a_limit),
        cmocka_unit_test(connections_can_be_ended),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, make_identities, free_identities);
}
