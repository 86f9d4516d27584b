/* K-4: the door as it is, in a process of its own and confined, between a real client and a keeper
 * of this test's. */
#include "service/door.h"

#include "check_files.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/crypto.h"
#include "crypto/x509.h"
#include "net/http_client.h"
#include "service/call.h"
#include "service/control.h"
#include "service/serve_listen.h"
#include "service/wire.h"

/* ---- an authority ------------------------------------------------------------------------------
 */

static struct sign_pair *root_key;
static struct buffer root_der, root_pem;

static uint64_t now_s(void)
{
    return clock_wall_ns(&clock_system) / 1000000000;
}

static struct x509_template template_for(const char *name)
{
    struct x509_template made = {.subject.common_name = name,
                                 .not_before_s = now_s() - 60,
                                 .not_after_s = now_s() + 3600,
                                 .max_path_length = -1};
    assert_int_equal(random_fill(&random_system, made.serial, sizeof made.serial), LETHE_OK);
    made.serial[0] &= 0x7f;
    return made;
}

static struct sign_pair *new_pair(void)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    struct sign_pair *pair = NULL;
    assert_ok(sign_generate(SIGNATURE_ECDSA_P256, &key, &err), &err);
    assert_ok(sign_pair_create(SIGNATURE_ECDSA_P256, key, &pair, &err), &err);
    return pair;
}

static void make_root(void)
{
    struct lethe_error err = {0};
    struct x509_template root = template_for("test root");
    root.is_ca = true;
    root_key = new_pair();
    assert_ok(x509_issue(&root, sign_pair_public(root_key), root_key, NULL, 0, &root_der, &err),
              &err);
    x509_pem_append(X509_PEM_CERTIFICATE, root_der.bytes, root_der.size_bytes, &root_pem);
}

/* A certificate for the key that is asked for, as the real authority makes it. */
static void issue(const struct sign_public *key, const struct x509_subject *subject,
                  struct buffer *pem)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer der = {0};
    struct x509_template leaf = template_for("door");
    leaf.subject = *subject;
    leaf.extended_usage = X509_SERVER_AUTH;
    assert_ok(x509_issue(&leaf, key, root_key, root_der.bytes, root_der.size_bytes, &der, &err),
              &err);
    x509_pem_append(X509_PEM_CERTIFICATE, der.bytes, der.size_bytes, pem);
}

/* ---- a keeper, in a thread ---------------------------------------------------------------------
 */

static struct {
    struct wire wire;
    pthread_t thread;
    bool runs;
    int stop[2];
    bool holds_ready; /* certificate and READY are not sent */
    unsigned requests, connections, closed, counts;
    char last[512]; /* what the last request was */
    size_t last_body;
    struct wire_frame held; /* of a request for /v1/hold: where it came from */
    bool has_held;
} keeper;

static struct wire_part part(const void *at, size_t size_bytes)
{
    return (struct wire_part){at, size_bytes};
}

static void put_settings(const struct wire_frame *hello)
{
    struct lethe_error err = {0};
    struct x509_summary summary = {0};
    CLEANUP(buffer_clear) struct buffer pem = {0};
    if (hello->parts[0].size_bytes > 0) {
        assert_ok(x509_read_request(hello->parts[0].at, hello->parts[0].size_bytes, &summary, &err),
                  &err);
        issue(summary.key, &summary.subject, &pem);
    }
    x509_summary_clear(&summary);
    const struct wire_frame settings = {
        .kind = WIRE_SETTINGS,
        .parts = {part(pem.bytes, pem.size_bytes), part(root_pem.bytes, root_pem.size_bytes)}};
    wire_put(&keeper.wire, &settings);
    const struct wire_frame is_ready = {.kind = WIRE_READY};
    wire_put(&keeper.wire, &is_ready);
}

static void put_answer(const struct wire_frame *request, uint16_t status, uint8_t flags,
                       const char *body)
{
    static const char type[] = "application/json";
    const struct wire_frame answer = {
        .kind = WIRE_ANSWER,
        .flags = flags,
        .code = status,
        .connection = request->connection,
        .number = request->number,
        .parts = {part(type, body[0] == '\0' ? 0 : strlen(type)), part(body, strlen(body))}};
    wire_put(&keeper.wire, &answer);
}

static bool path_is(const struct wire_frame *frame, const char *path)
{
    return frame->parts[1].size_bytes == strlen(path) &&
           memcmp(frame->parts[1].at, path, strlen(path)) == 0;
}

static void put_stream(const struct wire_frame *request)
{
    put_answer(request, 200, WIRE_STREAM, "one,");
    struct wire_frame piece = {.kind = WIRE_PIECE,
                               .connection = request->connection,
                               .number = request->number,
                               .parts = {part("two,", 4)}};
    wire_put(&keeper.wire, &piece);
    piece.parts[0] = part("three", 5);
    wire_put(&keeper.wire, &piece);
    piece.kind = WIRE_FINISH;
    wire_put(&keeper.wire, &piece);
}

static void take_request(const struct wire_frame *frame)
{
    keeper.requests++;
    snprintf(keeper.last, sizeof keeper.last, "%u|%u|%.*s|%.*s|%.*s", frame->code, frame->flags,
             (int)frame->parts[0].size_bytes, (const char *)frame->parts[0].at,
             (int)frame->parts[1].size_bytes, (const char *)frame->parts[1].at,
             (int)frame->parts[2].size_bytes, (const char *)frame->parts[2].at);
    keeper.last_body = frame->parts[3].size_bytes;
    if (path_is(frame, "/v1/hold")) {
        keeper.held = *frame;
        keeper.has_held = true;
    } else if (path_is(frame, "/v1/stream")) {
        put_stream(frame);
    } else if (path_is(frame, "/v1/nothing")) {
        put_answer(frame, 204, 0, "");
    } else if (path_is(frame, "/v1/close")) {
        put_answer(frame, 200, WIRE_END_CONNECTION, "{}");
    } else {
        put_answer(frame, 200, 0, "{\"data\":{}}");
    }
}

static void take_frame(const struct wire_frame *frame)
{
    switch (frame->kind) {
    case WIRE_HELLO:
        if (!keeper.holds_ready)
            put_settings(frame);
        break;
    case WIRE_CONNECTION:
        keeper.connections++;
        break;
    case WIRE_CLOSED:
        keeper.closed++;
        break;
    case WIRE_COUNTS:
        keeper.counts++;
        break;
    case WIRE_REQUEST:
        take_request(frame);
        break;
    default:
        fail_msg("a frame of kind %d", (int)frame->kind);
    }
}

static void *run_keeper(void *context)
{
    struct pollfd polled[] = {{keeper.wire.fd, POLLIN, 0}, {keeper.stop[0], POLLIN, 0}};
    for (;;) {
        struct wire_frame frame;
        bool left;
        poll(polled, 2, -1);
        if (polled[1].revents != 0 || wire_fill(&keeper.wire, NULL) != LETHE_OK)
            break;
        while (wire_next(&keeper.wire, &frame) == LETHE_OK)
            take_frame(&frame);
        if (wire_flush(&keeper.wire, &left, NULL) != LETHE_OK)
            break;
    }
    wire_clear(&keeper.wire);
    return NULL;
}

static void stop_keeper(void)
{
    if (!keeper.runs)
        return;
    assert_int_equal(write(keeper.stop[1], "x", 1), 1);
    pthread_join(keeper.thread, NULL);
    fd_close(keeper.stop[0]);
    fd_close(keeper.stop[1]);
    keeper.runs = false;
}

/* ---- the door's process ------------------------------------------------------------------------
 */

static struct {
    pid_t pid;
    int control;
    struct url url;
    struct serve_listeners listeners;
} door;

static void start_keeper(void)
{
    int ends[2];
    struct lethe_error err = {0};
    memset(&keeper, 0, sizeof keeper);
    assert_int_equal(pipe2(keeper.stop, O_CLOEXEC), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    wire_init(&keeper.wire, ends[0]);
    assert_ok(control_send(door.control, CONTROL_PEER, ends[1], &err), &err);
    fd_close(ends[1]);
    keeper.runs = true;
    assert_int_equal(pthread_create(&keeper.thread, NULL, run_keeper, NULL), 0);
}

static _Noreturn void be_door(const struct serve_options *options, int control)
{
    struct lethe_error err = {0};
    const struct serve_ends ends = {.control = control,
                                    .admin = -1,
                                    .listeners = door.listeners.fds,
                                    .listener_count = door.listeners.count,
                                    .addresses = door.listeners.addresses};
    alarm(60);
    /* This test's process has keys: its children cannot begin as real ones do. */
    assert_result(LETHE_FAILED, crypto_start_in_child(&err));
    lethe_result result = door_run(options, &ends, &err);
    if (result != LETHE_OK)
        fprintf(stderr, "the door: %s\n", err.text);
    _exit(result == LETHE_OK ? 0 : 1);
}

static void start_door(struct serve_options *options)
{
    int ends[2];
    bool is_public;
    struct lethe_error err = {0};
    options->listen[0] = "127.0.0.1:0";
    options->listen_count = 1;
    options->limits.handshakes_per_second = 10000;
    assert_ok(serve_listen(options, &door.listeners, &err), &err);
    assert_ok(url_parse_listen(door.listeners.addresses[0] + 8, &door.url, &is_public, &err), &err);
    assert_ok(control_pair(ends, &err), &err);
    door.control = ends[0];
    fflush(NULL);
    door.pid = fork();
    assert_true(door.pid >= 0);
    if (door.pid == 0) {
        fd_close(ends[0]);
        be_door(options, ends[1]);
    }
    fd_close(ends[1]);
}

/* Gives how it ended. */
static int stop_door(void)
{
    int status;
    fd_close(door.control);
    stop_keeper();
    assert_int_equal(waitpid(door.pid, &status, 0), door.pid);
    serve_listeners_close(&door.listeners);
    return status;
}

static enum control_letter hear_door(void)
{
    enum control_letter letter;
    struct lethe_error err = {0};
    int fd;
    struct pollfd polled = {door.control, POLLIN, 0};
    assert_int_equal(poll(&polled, 1, 20000), 1);
    assert_ok(control_receive(door.control, &letter, &fd, &err), &err);
    return letter;
}

static void start_both(struct serve_options *options)
{
    start_door(options);
    start_keeper();
    assert_int_equal(hear_door(), CONTROL_READY);
}

/* ---- a client ----------------------------------------------------------------------------------
 */

static struct http_client *new_client(void)
{
    struct lethe_error err = {0};
    CLEANUP(tls_context_free) struct tls_context *tls = NULL;
    struct http_client *client = NULL;
    const struct tls_options options = {.roots_pem = root_pem.bytes};
    assert_ok(tls_client_create(&options, &tls, &err), &err);
    assert_ok(http_client_create(&door.url, tls, &client, &err), &err);
    return client;
}

static unsigned call(struct http_client *client, enum http_method method, const char *target,
                     const char *request_body)
{
    struct lethe_error err = {0};
    CLEANUP(guarded_clear) struct guarded body = {0};
    unsigned status = 0;
    const struct http_call made = {.method = method,
                                   .target = target,
                                   .body = request_body,
                                   .body_bytes = request_body == NULL ? 0 : strlen(request_body),
                                   .timeout_ms = 20000};
    assert_ok(http_client_call(client, &made, &status, &body, &err), &err);
    return status;
}

static bool answers(struct http_client *client, const char *target, unsigned expected,
                    const char *text)
{
    struct lethe_error err = {0};
    CLEANUP(guarded_clear) struct guarded body = {0};
    unsigned status = 0;
    const struct http_call made = {.method = HTTP_GET, .target = target, .timeout_ms = 20000};
    assert_ok(http_client_call(client, &made, &status, &body, &err), &err);
    return status == expected && body.bytes != NULL &&
           memmem(body.bytes, body.size_bytes, text, strlen(text)) != NULL;
}

/* ---- tests -------------------------------------------------------------------------------------
 */

static void requests_reach_the_keeper_and_answers_come_back(void **state)
{
    struct serve_options options = {.client_proof = TLS_CLIENT_MAY};
    start_both(&options);
    CLEANUP(http_client_free) struct http_client *client = new_client();
    assert_int_equal(call(client, HTTP_PUT, "/v1//transit/keys/a%20b?list=true&x=%2F", "{}"), 200);
    assert_string_equal(keeper.last, "2|0||/v1/transit/keys/a b|list=true&x=%2F");
    assert_int_equal(keeper.last_body, 2);
    assert_int_equal(call(client, HTTP_LIST, "/v1/x", NULL), 200);
    assert_string_equal(keeper.last, "8|0||/v1/x|");
    assert_int_equal(call(client, HTTP_DELETE, "/v1/x", NULL), 200);
    assert_int_equal(call(client, HTTP_HEAD, "/v1/x", NULL), 200);
    assert_string_equal(keeper.last, "1|0||/v1/x|");
    assert_int_equal(call(client, HTTP_GET, "/v1/nothing", NULL), 204);
    assert_true(answers(client, "/metrics", 200, "data"));
    assert_int_equal(keeper.connections, 1);
    assert_true(answers(client, "/v1/stream", 200, "one,two,three"));
    unsigned before = keeper.requests;
    assert_int_equal(call(client, HTTP_GET, "/v1/../x", NULL), 400);
    assert_int_equal(call(client, HTTP_GET, "/v1/a%2fx", NULL), 400);
    assert_int_equal(call(client, HTTP_GET, "/x", NULL), 404);
    assert_int_equal(call(client, HTTP_PATCH, "/v1/x", NULL), 405);
    assert_int_equal(keeper.requests, before);
    assert_int_equal(call(client, HTTP_GET, "/v1/close", NULL), 200);
    assert_int_equal(stop_door(), 0);
}

static void *call_hold(void *context)
{
    static unsigned status;
    status = call(context, HTTP_GET, "/v1/hold", NULL);
    return &status;
}

static void wait_for(const bool *what)
{
    for (int i = 0; i < 4000 && !__atomic_load_n(what, __ATOMIC_ACQUIRE); i++)
        usleep(5000);
    assert_true(*what);
}

static void without_a_keeper_it_answers_503_itself(void **state)
{
    struct serve_options options = {.client_proof = TLS_CLIENT_MAY};
    pthread_t thread;
    void *status;
    start_both(&options);
    CLEANUP(http_client_free) struct http_client *client = new_client();
    CLEANUP(http_client_free) struct http_client *other = new_client();
    assert_int_equal(call(client, HTTP_GET, "/v1/x", NULL), 200);
    assert_int_equal(pthread_create(&thread, NULL, call_hold, other), 0);
    wait_for(&keeper.has_held);
    stop_keeper();
    pthread_join(thread, &status); /* what was open is answered, and not as if it had worked */
    assert_int_equal(*(unsigned *)status, 503);
    assert_true(answers(client, "/v1/x", 503, "Vault is sealed"));
    assert_true(answers(client, "/v1/sys/health", 503, "\"sealed\":true"));
    assert_int_equal(call(client, HTTP_HEAD, "/v1/sys/health", NULL), 503);
    start_keeper();
    unsigned last = 503;
    for (int i = 0; i < 2000 && last == 503; i++)
        last = call(client, HTTP_GET, "/v1/x", NULL);
    assert_int_equal(last, 200);
    assert_int_equal(keeper.connections, 1); /* the new one was told who this is */
    assert_int_equal(stop_door(), 0);
}

static void it_drains(void **state)
{
    struct serve_options options = {.client_proof = TLS_CLIENT_MAY};
    struct lethe_error err = {0};
    pthread_t thread;
    void *status;
    int ended;
    start_both(&options);
    CLEANUP(http_client_free) struct http_client *client = new_client();
    assert_int_equal(pthread_create(&thread, NULL, call_hold, client), 0);
    wait_for(&keeper.has_held);
    assert_ok(control_send(door.control, CONTROL_DRAIN, -1, &err), &err);
    usleep(50000);
    assert_int_equal(waitpid(door.pid, &ended, WNOHANG), 0); /* it waits for the open one */
    put_answer(&keeper.held, 200, 0, "{}");
    bool left;
    assert_ok(wire_flush(&keeper.wire, &left, &err), &err);
    pthread_join(thread, &status);
    assert_int_equal(*(unsigned *)status, 200);
    assert_int_equal(stop_door(), 0);
}

/* A door that a keeper tells nonsense ends the talk, and not itself. */
static void nonsense_of_the_keeper_ends_the_talk(void **state)
{
    struct serve_options options = {.client_proof = TLS_CLIENT_MAY};
    start_both(&options);
    CLEANUP(http_client_free) struct http_client *client = new_client();
    assert_int_equal(call(client, HTTP_GET, "/v1/x", NULL), 200);
    const struct wire_frame request = {.kind = WIRE_REQUEST}; /* which only doors send */
    bool left;
    wire_put(&keeper.wire, &request);
    assert_int_equal(wire_flush(&keeper.wire, &left, NULL), LETHE_OK);
    unsigned last = 200;
    for (int i = 0; i < 2000 && last == 200; i++)
        last = call(client, HTTP_GET, "/v1/x", NULL);
    assert_int_equal(last, 503);
    assert_int_equal(hear_door(), CONTROL_LOST); /* and asks for another */
    stop_keeper();
    start_keeper();
    for (int i = 0; i < 2000 && last == 503; i++)
        last = call(client, HTTP_GET, "/v1/x", NULL);
    assert_int_equal(last, 200);
    assert_int_equal(stop_door(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_reach_the_keeper_and_answers_come_back),
        cmocka_unit_test(without_a_keeper_it_answers_503_itself),
        cmocka_unit_test(it_drains),
        cmocka_unit_test(nonsense_of_the_keeper_ends_the_talk),
    };
    struct lethe_error err = {0};
    signal(SIGPIPE, SIG_IGN);
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    make_root();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sign_pair_free(root_key);
    buffer_clear(&root_der);
    buffer_clear(&root_pem);
    return failed;
}
