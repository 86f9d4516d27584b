#include "kms_load.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define HEAD_MAX 4096u
#define READ_BYTES ((size_t)64 << 10)
#define EVENTS 256
#define SAMPLES_MAX 4000000u
#define PATIENCE_MS 20000

struct connection {
    int fd;
    SSL *ssl;
    size_t sent;
    char head[HEAD_MAX]; /* of the answer, until it is whole */
    size_t head_bytes;
    size_t body_left; /* SIZE_MAX: the head is not whole yet */
    double asked_s;
};

struct load {
    SSL_CTX *context;
    int epoll;
    unsigned count;
    struct connection *connections;
    uint8_t *bytes; /* READ_BYTES */
    /* of a run */
    const struct buffer *request;
    struct buffer *body; /* NULL: nobody wants it */
    double *samples_s;
    size_t sample_count;
    unsigned busy, status;
    bool is_over;
};

static _Noreturn void fail(const char *why)
{
    static struct lethe_error err;
    ERR_error_string_n(ERR_get_error(), err.text, sizeof err.text);
    bench_fail(why, &err);
}

/* ---- opening --------------------------------------------------------------------------------- */

static SSL_CTX *make_context(const struct load_server *server)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_load_verify_locations(context, server->ca_path, NULL) != 1)
        fail("no TLS client");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE);
    if (server->certificate_path != NULL &&
        (SSL_CTX_use_certificate_chain_file(context, server->certificate_path) != 1 ||
         SSL_CTX_use_PrivateKey_file(context, server->key_path, SSL_FILETYPE_PEM) != 1))
        fail("the client's certificate cannot be read");
    return context;
}

static int connect_to(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        bench_fail("the server cannot be reached", NULL);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void open_connection(struct load *load, struct connection *connection, uint16_t port)
{
    connection->fd = connect_to(port);
    connection->ssl = SSL_new(load->context);
    if (connection->ssl == NULL || SSL_set_fd(connection->ssl, connection->fd) != 1 ||
        SSL_set1_host(connection->ssl, "127.0.0.1") != 1 || SSL_connect(connection->ssl) != 1)
        fail("no TLS connection");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (fcntl(connection->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0)
        bench_fail("a connection cannot be watched", NULL);
}

/* One descriptor for each connection, on this side too. */
static void raise_limit(unsigned connections)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < connections + 100) {
        limit.rlim_cur = MIN(limit.rlim_max, (rlim_t)connections + 100);
        (void)!setrlimit(RLIMIT_NOFILE, &limit);
    }
}

struct load *load_open(const struct load_server *server, unsigned connections)
{
    REQUIRE(connections <= LOAD_CONNECTIONS_MAX);
    raise_limit(connections);
    struct load *load = calloc(1, sizeof *load);
    if (load == NULL ||
        (load->connections = calloc(connections, sizeof *load->connections)) == NULL ||
        (load->bytes = malloc(READ_BYTES)) == NULL ||
        (load->samples_s = malloc(SAMPLES_MAX * sizeof *load->samples_s)) == NULL)
        bench_fail("no memory", NULL);
    load->context = make_context(server);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->count = connections;
    for (unsigned i = 0; i < connections; i++)
        open_connection(load, &load->connections[i], server->port);
    return load;
}

void load_close(struct load *load)
{
    for (unsigned i = 0; i < load->count; i++) {
        SSL_free(load->connections[i].ssl);
        close(load->connections[i].fd);
    }
    close(load->epoll);
    SSL_CTX_free(load->context);
    free(load->connections);
    free(load->bytes);
    free(load->samples_s);
    free(load);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void wait_for_room(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    if (poll(&poll_fd, 1, PATIENCE_MS) != 1)
        bench_fail("the server does not read", NULL);
}

/* Loopback takes a whole request at once, nearly always; what it does not take waits for room. */
static void send_rest(struct load *load, struct connection *connection)
{
    while (connection->sent < load->request->size_bytes) {
        int wrote = SSL_write(connection->ssl, load->request->bytes + connection->sent,
                              (int)(load->request->size_bytes - connection->sent));
        if (wrote > 0)
            connection->sent += (size_t)wrote;
        else if (SSL_get_error(connection->ssl, wrote) == SSL_ERROR_WANT_WRITE)
            wait_for_room(connection->fd);
        else
            fail("a request cannot be sent");
    }
}

static void ask(struct load *load, struct connection *connection)
{
    connection->sent = 0;
    connection->head_bytes = 0;
    connection->body_left = SIZE_MAX;
    connection->asked_s = bench_now_s();
    load->busy++;
    send_rest(load, connection);
}

static void finish(struct load *load, struct connection *connection)
{
    if (load->sample_count < SAMPLES_MAX)
        load->samples_s[load->sample_count++] = bench_now_s() - connection->asked_s;
    if (load->status != 200 && load->body == NULL)
        bench_fail("the server refuses what is measured", NULL);
    load->busy--;
    if (!load->is_over)
        ask(load, connection);
}

static void read_head(struct load *load, struct connection *connection)
{
    connection->head[connection->head_bytes] = '\0';
    const char *end = strstr(connection->head, "\r\n\r\n");
    if (end == NULL)
        return;
    const char *length = strcasestr(connection->head, "\r\nContent-Length:");
    load->status = (unsigned)strtoul(connection->head + strlen("HTTP/1.1 "), NULL, 10);
    connection->body_left = 0;
    if (length != NULL && length < end)
        connection->body_left = strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
    else if (load->status != 204)
        bench_fail("an answer has no length", NULL);
}

static void take_body(struct load *load, struct connection *connection, const uint8_t *bytes,
                      size_t size_bytes)
{
    if (size_bytes > connection->body_left)
        bench_fail("more was answered than was asked for", NULL);
    if (load->body != NULL)
        buffer_append(load->body, bytes, size_bytes);
    connection->body_left -= size_bytes;
}

static void take(struct load *load, struct connection *connection, const uint8_t *bytes,
                 size_t size_bytes)
{
    if (connection->body_left == SIZE_MAX) {
        size_t before = connection->head_bytes;
        size_t room = MIN(size_bytes, HEAD_MAX - 1 - before);
        memcpy(connection->head + before, bytes, room);
        connection->head_bytes += room;
        read_head(load, connection);
        if (connection->body_left == SIZE_MAX) {
            if (connection->head_bytes == HEAD_MAX - 1)
                bench_fail("the head of an answer has no end", NULL);
            return;
        }
        const char *end = strstr(connection->head, "\r\n\r\n") + 4;
        size_t used = (size_t)(end - connection->head) - before;
        bytes += used;
        size_bytes -= used;
    }
    take_body(load, connection, bytes, size_bytes);
}

static void receive(struct load *load, struct connection *connection)
{
    do {
        int got = SSL_read(connection->ssl, load->bytes, (int)READ_BYTES);
        if (got <= 0) {
            if (SSL_get_error(connection->ssl, got) == SSL_ERROR_WANT_READ)
                return;
            fail("the server closed a connection");
        }
        take(load, connection, load->bytes, (size_t)got);
    } while (connection->body_left != 0);
    finish(load, connection);
}

static void turn(struct load *load)
{
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(load->epoll, events, EVENTS, PATIENCE_MS);
    if (ready == 0)
        bench_fail("the server does not answer", NULL);
    for (int i = 0; i < ready; i++)
        receive(load, events[i].data.ptr);
}

static void drain(struct load *load)
{
    load->is_over = true;
    while (load->busy > 0)
        turn(load);
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

void load_run(struct load *load, const struct buffer *request, double seconds,
              struct load_result *out)
{
    load->request = request;
    load->body = NULL;
    load->sample_count = 0;
    load->is_over = false;
    double start_s = bench_now_s(), now_s;
    for (unsigned i = 0; i < load->count; i++)
        ask(load, &load->connections[i]);
    do {
        turn(load);
        now_s = bench_now_s();
    } while (now_s - start_s < seconds);
    size_t count = load->sample_count;
    drain(load);
    if (count == 0)
        bench_fail("nothing was answered in time", NULL);
    qsort(load->samples_s, count, sizeof *load->samples_s, compare);
    *out = (struct load_result){.per_s = (double)count / (now_s - start_s),
                                .p50_s = load->samples_s[count / 2],
                                .p99_s = load->samples_s[count * 99 / 100]};
}

bool load_ask(struct load *load, const struct buffer *request, struct buffer *body)
{
    load->request = request;
    load->body = body;
    load->sample_count = 0;
    load->is_over = false;
    ask(load, &load->connections[0]);
    drain(load);
    return load->status / 100 == 2;
}

void load_request(struct buffer *out, const char *method, const char *path, const char *token,
                  const char *body)
{
    buffer_format(out, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n", method, path);
    if (token != NULL)
        buffer_format(out, "X-Vault-Token: %s\r\n", token);
    if (body != NULL)
        buffer_format(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                      strlen(body));
    buffer_text(out, "\r\n");
    if (body != NULL)
        buffer_text(out, body);
}
