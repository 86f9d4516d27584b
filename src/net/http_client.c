#include "net/http_client.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "net/http_link.h"
#include "net/http_response.h"

#define TIMEOUT_MS 30000u
#define READ_BYTES ((size_t)16 << 10) /* a TLS record */

struct http_client {
    struct url url;
    struct tls_context *tls;
    struct tls_connection *link; /* kept between calls; NULL: none */
    uint64_t connections;        /* that were made */
    struct guarded request;      /* wiped after each call, as is what was read */
    struct guarded received;
};

lethe_result http_client_create(const struct url *url, struct tls_context *tls,
                                struct http_client **out, struct lethe_error *err)
{
    *out = NULL;
    struct http_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a connection");
    client->url = *url;
    client->tls = tls_context_share(tls);
    *out = client;
    return LETHE_OK;
}

static void drop_link(struct http_client *client)
{
    tls_free(client->link);
    client->link = NULL;
}

void http_client_set_tls(struct http_client *client, struct tls_context *tls)
{
    drop_link(client);
    tls_context_free(client->tls);
    client->tls = tls_context_share(tls);
}

void http_client_free(struct http_client *client)
{
    if (client == NULL)
        return;
    drop_link(client);
    tls_context_free(client->tls);
    guarded_clear(&client->request);
    guarded_clear(&client->received);
    free(client);
}

uint64_t http_client_connections(const struct http_client *client)
{
    return client->connections;
}

bool http_client_is_connected(struct http_client *client)
{
    if (client->link != NULL && http_link_look(client->link, NULL) != LETHE_OK)
        drop_link(client);
    return client->link != NULL;
}

/* ---- the request ----------------------------------------------------------------------------- */

static bool is_visible(const uint8_t *bytes, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if (bytes[i] <= ' ' || bytes[i] >= 0x7f)
            return false;
    }
    return size_bytes > 0;
}

/* Nothing in them may end a line of the head. */
static lethe_result check_call(const struct http_call *call, struct lethe_error *err)
{
    const struct lethe_secret *token = call->token;
    size_t target_bytes = strlen(call->target);
    if (call->target[0] != '/' || target_bytes > HTTP_TARGET_MAX ||
        !is_visible((const uint8_t *)call->target, target_bytes))
        return error_set(err, LETHE_INVALID,
                         "a path has at most %u bytes, begins with a slash, and is encoded",
                         HTTP_TARGET_MAX);
    if (token != NULL && !is_visible(lethe_secret_bytes_const(token), lethe_secret_size(token)))
        return error_set(err, LETHE_INVALID, "the token is not one word of printable characters");
    return LETHE_OK;
}

static void put_head(struct guarded *out, const struct url *url, const struct http_call *call)
{
    struct in6_addr ipv6;
    bool brackets = inet_pton(AF_INET6, url->host, &ipv6) == 1;
    guarded_format(out, "%s %s%s HTTP/1.1\r\nHost: %s%s%s:%u\r\n", http_method_name(call->method),
                   url->path, call->target, brackets ? "[" : "", url->host, brackets ? "]" : "",
                   url->port);
    guarded_text(out, "User-Agent: lethe/" LETHE_VERSION "\r\nX-Vault-Request: true\r\n");
    if (call->token != NULL) {
        guarded_text(out, "X-Vault-Token: ");
        guarded_append(out, lethe_secret_bytes_const(call->token), lethe_secret_size(call->token));
        guarded_text(out, "\r\n");
    }
    if (call->body_bytes > 0)
        guarded_text(out, "Content-Type: application/json\r\n");
    if (call->body_bytes > 0 || call->method == HTTP_POST || call->method == HTTP_PUT)
        guarded_format(out, "Content-Length: %zu\r\n", call->body_bytes);
    guarded_text(out, "\r\n");
}

static lethe_result write_request(struct http_client *client, const struct http_call *call,
                                  struct lethe_error *err)
{
    TRY(check_call(call, err));
    guarded_wipe(&client->request);
    put_head(&client->request, &client->url, call);
    guarded_append(&client->request, call->body, call->body_bytes);
    return guarded_result(&client->request, err);
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* One try of a call: where it is, and whom its answer goes to. */
struct exchange {
    struct http_client *client;
    const struct http_call *call;
    struct http_response_options options;
    struct http_response *response;
    struct http_deadline deadline;
    uint64_t idle_ms;  /* of a stream: once its head is there; 0: the deadline holds */
    bool has_begun;    /* a byte of the answer came */
    bool on_kept_link; /* not made for this try */
};

static lethe_result read_more(struct exchange *exchange, bool *complete, struct lethe_error *err)
{
    struct http_client *client = exchange->client;
    struct guarded *received = &client->received;
    guarded_wipe(received);
    uint8_t *bytes = guarded_extend(received, READ_BYTES);
    TRY(guarded_result(received, err));
    size_t read_bytes = 0;
    bool closed = false;
    TRY(http_link_read(client->link, bytes, READ_BYTES, &read_bytes, &closed, &exchange->deadline,
                       err));
    if (closed) {
        *complete = true;
        return http_response_end(exchange->response, err);
    }
    exchange->has_begun = true;
    return http_response_feed(exchange->response, bytes, read_bytes, complete, err);
}

static lethe_result read_answer(struct exchange *exchange, struct lethe_error *err)
{
    bool complete = false;
    while (!complete) {
        TRY(read_more(exchange, &complete, err));
        if (exchange->idle_ms > 0 && http_response_status(exchange->response) != 0)
            exchange->deadline = http_deadline_in(exchange->idle_ms);
    }
    return LETHE_OK;
}

/* Over a connection that was kept, or another one. */
static lethe_result take_link(struct exchange *exchange, struct lethe_error *err)
{
    struct http_client *client = exchange->client;
    exchange->on_kept_link = http_client_is_connected(client);
    if (exchange->on_kept_link)
        return LETHE_OK;
    TRY(http_link_open(&client->url, client->tls, &exchange->deadline, &client->link, err));
    client->connections++;
    lethe_result result = http_link_look(client->link, err);
    if (result != LETHE_OK)
        drop_link(client);
    return result;
}

static lethe_result try_once(struct exchange *exchange, unsigned *status, struct lethe_error *err)
{
    struct http_client *client = exchange->client;
    CLEANUP(http_response_free) struct http_response *response = NULL;
    TRY(http_response_create(&exchange->options, &response, err));
    exchange->response = response;
    TRY(take_link(exchange, err));
    lethe_result result = http_link_write(client->link, client->request.bytes,
                                          client->request.size_bytes, &exchange->deadline, err);
    if (result == LETHE_OK)
        result = read_answer(exchange, err);
    guarded_wipe(&client->received);
    *status = http_response_status(response);
    if (result != LETHE_OK || !http_response_keeps(response))
        drop_link(client);
    return result;
}

static bool may_repeat(const struct exchange *exchange)
{
    const struct http_call *call = exchange->call;
    bool harmless =
        call->method == HTTP_GET || call->method == HTTP_HEAD || call->method == HTTP_LIST;
    return exchange->on_kept_link && !exchange->has_begun && (harmless || call->may_repeat);
}

static lethe_result perform(struct exchange *exchange, unsigned *status, struct lethe_error *err)
{
    struct http_client *client = exchange->client;
    uint64_t timeout_ms = exchange->call->timeout_ms;
    *status = 0;
    lethe_result result = write_request(client, exchange->call, err);
    if (result == LETHE_OK) {
        exchange->deadline = http_deadline_in(timeout_ms > 0 ? timeout_ms : TIMEOUT_MS);
        result = try_once(exchange, status, err);
        if (result == LETHE_UNAVAILABLE && may_repeat(exchange))
            result = try_once(exchange, status, err);
    }
    guarded_wipe(&client->request);
    return error_context(err, result, "%s:%u", client->url.host, client->url.port);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static lethe_result append_piece(void *context, const uint8_t *bytes, size_t size_bytes,
                                 struct lethe_error *err)
{
    struct guarded *body = context;
    if (size_bytes > HTTP_BODY_MAX - body->size_bytes)
        return error_set(err, LETHE_MALFORMED, "the answer is larger than %zu bytes",
                         HTTP_BODY_MAX);
    guarded_append(body, bytes, size_bytes);
    return guarded_result(body, err);
}

lethe_result http_client_call(struct http_client *client, const struct http_call *call,
                              unsigned *status, struct guarded *body, struct lethe_error *err)
{
    struct exchange exchange = {
        .client = client,
        .call = call,
        .options = {.to_head = call->method == HTTP_HEAD, .piece = append_piece, .context = body}};
    guarded_wipe(body);
    lethe_result result = perform(&exchange, status, err);
    if (result != LETHE_OK)
        guarded_wipe(body);
    return result;
}

lethe_result http_client_stream(struct http_client *client, const struct http_call *call,
                                uint64_t idle_ms, http_piece *piece, void *context,
                                unsigned *status, struct lethe_error *err)
{
    struct exchange exchange = {
        .client = client,
        .call = call,
        .options = {.may_end_with_close = true, .piece = piece, .context = context},
        .idle_ms = idle_ms};
    return perform(&exchange, status, err);
}
