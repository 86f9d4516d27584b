#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "net/http_server_core.h"

#define PLACE_BITS 20
#define RECORD_BYTES 16384u /* of TLS: a read that fills one may have another behind it */
/* Then others have their turn; that the socket can be written to brings this one back. */
#define STEPS_AT_ONCE 64u
_Static_assert(HTTP_CONNECTIONS_MAX <= (uint64_t)1 << PLACE_BITS, "an id has room for the place");

/* ---- making, finding, ending ----------------------------------------------------------------- */

static void connection_ready(void *context, unsigned events)
{
    struct connection *connection = context;
    connection->is_readable |= (events & LOOP_READ) != 0;
    connection_run(connection);
}

static uint32_t place_of(uint64_t id)
{
    return (uint32_t)(id & (((uint64_t)1 << PLACE_BITS) - 1));
}

struct connection *connection_find(const struct http_server *server, uint64_t id)
{
    uint32_t place = place_of(id);
    struct connection *found = place < server->limits.connections ? server->table[place] : NULL;
    return found != NULL && found->id == id && !found->is_doomed ? found : NULL;
}

static void leave_stage(struct connection *connection)
{
    TAILQ_REMOVE(&connection->server->stages[connection->stage], connection, in_stage);
}

void connection_enter(struct connection *connection, enum stage stage)
{
    struct http_server *server = connection->server;
    if (connection->is_doomed || connection->stage == stage)
        return;
    leave_stage(connection);
    connection->stage = stage;
    if (server->stage_ms[stage] != 0)
        connection->expires_ms = loop_now_ms(server->loop) + server->stage_ms[stage];
    TAILQ_INSERT_TAIL(&server->stages[stage], connection, in_stage);
}

static struct connection *add_connection(struct http_server *server, struct limits_source *origin,
                                         const char *source)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return NULL;
    uint32_t place = server->free_places[--server->free_count];
    *connection = (struct connection){.server = server, .origin = origin};
    connection->id = ++server->serial << PLACE_BITS | place;
    memcpy(connection->source, source, SOURCE_TEXT_SIZE);
    connection->stage = STAGE_HANDSHAKE;
    connection->expires_ms = loop_now_ms(server->loop) + server->stage_ms[STAGE_HANDSHAKE];
    TAILQ_INSERT_TAIL(&server->stages[STAGE_HANDSHAKE], connection, in_stage);
    server->table[place] = connection;
    server->counts.open++;
    return connection;
}

/* Takes the socket only when all is well. */
static lethe_result equip(struct connection *connection, int fd)
{
    struct http_server *server = connection->server;
    TRY(http_parser_create(server->limits.body_bytes, server->pool, &connection->parser, NULL));
    TRY(loop_watch(server->loop, fd, LOOP_READ, connection_ready, connection, &connection->watch,
                   NULL));
    return tls_accept(server->tls, fd, &connection->tls, NULL);
}

void connection_open(struct http_server *server, int fd, struct limits_source *origin,
                     const char *source)
{
    struct connection *connection = add_connection(server, origin, source);
    if (connection == NULL) {
        limits_leave(server->sources, origin);
        fd_close(fd);
        return;
    }
    if (equip(connection, fd) != LETHE_OK) {
        server_refused(server, connection, "there is no memory for a connection");
        connection_close(connection);
        fd_close(fd);
    }
}

static void release_request(struct connection *connection)
{
    struct http_server *server = connection->server;
    if (connection->request == NULL)
        return;
    if (server->spare_count < ARRAY_LEN(server->spare_requests))
        server->spare_requests[server->spare_count++] = connection->request;
    else
        free(connection->request);
    connection->request = NULL;
}

static bool take_request(struct connection *connection)
{
    struct http_server *server = connection->server;
    if (connection->request != NULL)
        return true;
    connection->request = server->spare_count > 0 ? server->spare_requests[--server->spare_count]
                                                  : malloc(sizeof *connection->request);
    return connection->request != NULL;
}

static void forget_messages(struct connection *connection)
{
    release_request(connection);
    http_parser_free(MOVE(connection->parser));
    guarded_pool_give(connection->server->pool, &connection->out);
    connection->sent_bytes = 0;
}

static void destroy(struct connection *connection)
{
    struct http_server *server = connection->server;
    uint32_t place = place_of(connection->id);
    forget_messages(connection);
    loop_watch_free(connection->watch); /* before its descriptor is closed */
    tls_free(connection->tls);
    buffer_clear(&connection->chain);
    limits_leave(server->sources, connection->origin);
    server->table[place] = NULL;
    server->free_places[server->free_count++] = place;
    server->counts.open--;
    if (connection->was_asked && server->events.closed != NULL)
        server->events.closed(server->events.context, connection->id);
    free(connection);
    server_check_drained(server);
}

void connection_close(struct connection *connection)
{
    if (connection->is_doomed)
        return;
    leave_stage(connection);
    connection->is_doomed = true;
    if (!connection->is_running)
        destroy(connection);
}

void connection_expired(struct connection *connection)
{
    static const char *const expired[] = {
#define STAGE_EXPIRED(name, expired) expired,
        STAGES(STAGE_EXPIRED)
#undef STAGE_EXPIRED
    };
    enum stage stage = connection->stage;
    if (expired[stage] != NULL)
        server_refused(connection->server, connection, expired[stage]);
    if (stage == STAGE_HEAD || stage == STAGE_BODY) {
        answer_refusal(connection, 408, "the request did not come in time", 0);
        connection_run(connection);
    } else {
        connection_close(connection);
    }
}

/* ---- stages: each does one step, and says whether the next may follow at once ---------------- */

static bool end(struct connection *connection)
{
    connection_close(connection);
    return false;
}

static bool wait_for(struct connection *connection, unsigned events)
{
    loop_watch_set(connection->watch, events);
    return false;
}

static bool refuse_handshake(struct connection *connection, lethe_result result)
{
    connection->server->counts.handshakes_failed++;
    server_refused(connection->server, connection,
                   result == LETHE_DENIED      ? "a client's certificate was not believed"
                   : result == LETHE_MALFORMED ? "a handshake was not one of TLS 1.3"
                                               : "a handshake was not finished");
    return end(connection);
}

static bool step_handshake(struct connection *connection)
{
    enum tls_want want = TLS_CLOSED;
    lethe_result result = tls_handshake(connection->tls, &want, NULL);
    if (result != LETHE_OK || want == TLS_CLOSED)
        return refuse_handshake(connection, result);
    if (want != TLS_DONE)
        return wait_for(connection, want == TLS_WANT_WRITE ? LOOP_WRITE : LOOP_READ);
    if (tls_peer_chain(connection->tls, &connection->chain, NULL) != LETHE_OK)
        return refuse_handshake(connection, LETHE_NO_MEMORY);
    connection_enter(connection, STAGE_IDLE);
    return true;
}

static bool dispatch(struct connection *connection)
{
    struct http_server *server = connection->server;
    const struct http_request *request = connection->request;
    const struct http_exchange exchange = {connection->id, ++connection->number};
    const struct http_peer peer = {connection->source, (const uint8_t *)connection->chain.bytes,
                                   connection->chain.size_bytes};
    uint64_t wait_ms;
    connection->is_head = request->method == HTTP_HEAD;
    connection->closes = !request->keep_alive;
    connection->was_encouraged = false;
    connection->penalty_ms = 0;
    if (!limits_allow(server->sources, connection->origin, loop_now_ms(server->loop), &wait_ms)) {
        server_refused(server, connection, "a source makes requests too fast");
        answer_refusal(connection, 429, "too many requests: come again later", wait_ms);
        return true;
    }
    server->counts.requests++;
    connection->was_asked = true;
    connection_enter(connection, STAGE_ANSWERING);
    server->events.request(server->events.context, exchange, &peer, request);
    return true;
}

static bool refuse(struct connection *connection, enum http_fault fault)
{
    server_refused(connection->server, connection, http_fault_sentence(fault));
    answer_refusal(connection, http_fault_status(fault), http_fault_sentence(fault), 0);
    return true;
}

/* Nothing more is there: whatever came stays, and where nothing came nothing is held. */
static bool wait_for_bytes(struct connection *connection, unsigned more)
{
    connection->is_readable = false;
    if (http_parser_is_idle(connection->parser))
        release_request(connection);
    if (connection->out.size_bytes > 0)
        more |= LOOP_WRITE;
    return wait_for(connection, LOOP_READ | more);
}

static bool receive(struct connection *connection)
{
    size_t capacity_bytes;
    size_t read_bytes = 0;
    enum tls_want want = TLS_CLOSED;
    if (!connection->is_readable)
        return wait_for_bytes(connection, 0);
    uint8_t *room = http_parser_room(connection->parser, &capacity_bytes);
    if (room == NULL)
        return refuse(connection, HTTP_FAULT_NO_MEMORY);
    lethe_result result = tls_read(connection->tls, room, capacity_bytes, &read_bytes, &want, NULL);
    if (result != LETHE_OK || want == TLS_CLOSED)
        return end(connection);
    http_parser_received(connection->parser, read_bytes);
    if (want != TLS_DONE)
        return wait_for_bytes(connection, want == TLS_WANT_WRITE ? LOOP_WRITE : 0);
    connection->server->counts.received_bytes += read_bytes;
    connection->is_readable = read_bytes >= RECORD_BYTES || tls_pending(connection->tls);
    return true;
}

static void encourage(struct connection *connection)
{
    bool is_wanted = connection->request->expects_continue && !connection->was_encouraged;
    connection->was_encouraged = true;
    if (is_wanted)
        answer_continue(connection);
}

static bool step_read(struct connection *connection)
{
    enum http_fault fault = HTTP_FAULT_NO_MEMORY;
    enum http_progress progress = HTTP_NEEDS_MORE;
    if (answer_flush(connection) == FLUSH_BROKEN)
        return end(connection);
    if (!take_request(connection))
        return refuse(connection, fault);
    if (!http_parser_is_idle(connection->parser))
        progress = http_parser_parse(connection->parser, connection->request, &fault);
    switch (progress) {
    case HTTP_COMPLETE:
        return dispatch(connection);
    case HTTP_REFUSED:
        return refuse(connection, fault);
    case HTTP_NEEDS_BODY:
        connection_enter(connection, STAGE_BODY);
        encourage(connection);
        break;
    case HTTP_NEEDS_MORE:
        if (!http_parser_is_idle(connection->parser))
            connection_enter(connection, STAGE_HEAD);
        break;
    }
    return receive(connection);
}

/* The next request waits unread; so would the news that the peer is gone, which writing brings. */
static bool step_answering(struct connection *connection)
{
    return wait_for(connection, connection->is_readable ? 0 : LOOP_READ);
}

/* What the peer still sends is thrown away unread for a while: closing at once would make its
 * system forget our answer. */
static bool begin_lingering(struct connection *connection)
{
    forget_messages(connection);
    tls_finish(connection->tls);
    connection_enter(connection, STAGE_LINGERING);
    return true;
}

static bool step_write(struct connection *connection)
{
    switch (answer_flush(connection)) {
    case FLUSH_DONE:
        break;
    case FLUSH_WAITS:
        return wait_for(connection, LOOP_WRITE);
    case FLUSH_BROKEN:
        return end(connection);
    }
    if (connection->closes)
        return begin_lingering(connection);
    http_parser_next(connection->parser);
    connection_enter(connection, STAGE_IDLE);
    return true;
}

/* Who is streamed to has nothing to say but that it ends. */
static bool listener_is_there(struct connection *connection)
{
    struct guarded scratch = {0};
    size_t read_bytes = 0;
    enum tls_want want = TLS_CLOSED;
    if (!guarded_pool_reserve(connection->server->pool, &scratch, 1))
        return false;
    lethe_result result =
        tls_read(connection->tls, scratch.bytes, scratch.capacity_bytes, &read_bytes, &want, NULL);
    (void)guarded_extend(&scratch, read_bytes); /* so that it is wiped */
    guarded_pool_give(connection->server->pool, &scratch);
    return result == LETHE_OK && want != TLS_CLOSED;
}

static bool step_stream(struct connection *connection)
{
    enum flush flush = answer_flush(connection);
    if (flush == FLUSH_BROKEN || (connection->is_readable && !listener_is_there(connection)))
        return end(connection);
    connection->is_readable = tls_pending(connection->tls);
    return wait_for(connection, flush == FLUSH_WAITS ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

static bool step_linger(struct connection *connection)
{
    static uint8_t records[RECORD_BYTES]; /* encrypted, and of no interest */
    ssize_t received = recv(tls_fd(connection->tls), records, sizeof records, MSG_DONTWAIT);
    if (received == 0 || (received < 0 && errno != EAGAIN && errno != EINTR))
        return end(connection);
    return wait_for(connection, LOOP_READ);
}

void connection_run(struct connection *connection)
{
    static bool (*const steps[])(struct connection * connection) = {
        [STAGE_HANDSHAKE] = step_handshake, [STAGE_IDLE] = step_read,
        [STAGE_HEAD] = step_read,           [STAGE_BODY] = step_read,
        [STAGE_ANSWERING] = step_answering, [STAGE_WRITING] = step_write,
        [STAGE_STREAMING] = step_stream,    [STAGE_LINGERING] = step_linger,
    };
    if (connection->is_running)
        return;
    connection->is_running = true;
    unsigned taken = 0;
    while (!connection->is_doomed && steps[connection->stage](connection))
        if (++taken == STEPS_AT_ONCE) {
            loop_watch_set(connection->watch, LOOP_READ | LOOP_WRITE);
            break;
        }
    connection->is_running = false;
    if (connection->is_doomed)
        destroy(connection);
}
