#include "net/http_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/error.h"
#include "net/http_server_core.h"

#define SWEEP_MS 250u
#define ACCEPTS_AT_ONCE 64
#define DESCRIPTORS_KEPT 16u
#define LINGER_MS 2000u
#define BUFFERED_BYTES_MAX ((size_t)512 << 20) /* of requests and answers, all together */

/* ---- limits ---------------------------------------------------------------------------------- */

static struct http_limits with_defaults(const struct http_limits *given)
{
    struct http_limits limits = given != NULL ? *given : (struct http_limits){0};
#define DEFAULT(field, value) limits.field = limits.field != 0 ? limits.field : (value)
    DEFAULT(connections, 10000);
    DEFAULT(connections_per_source, 256);
    DEFAULT(handshakes_per_second, 50);
    DEFAULT(penalty_ms, 1000);
    DEFAULT(handshake_ms, 10000);
    DEFAULT(head_ms, 10000);
    DEFAULT(body_ms, 60000);
    DEFAULT(idle_ms, 120000);
    DEFAULT(write_ms, 60000);
    DEFAULT(body_bytes, HTTP_BODY_MAX);
#undef DEFAULT
    limits.connections = MIN(limits.connections, HTTP_CONNECTIONS_MAX);
    limits.body_bytes = MIN(limits.body_bytes, HTTP_BODY_MAX);
    return limits;
}

static void set_stage_times(struct http_server *server)
{
    const struct http_limits *limits = &server->limits;
    server->stage_ms[STAGE_HANDSHAKE] = limits->handshake_ms;
    server->stage_ms[STAGE_IDLE] = limits->idle_ms;
    server->stage_ms[STAGE_HEAD] = limits->head_ms;
    server->stage_ms[STAGE_BODY] = limits->body_ms;
    server->stage_ms[STAGE_WRITING] = limits->write_ms;
    server->stage_ms[STAGE_LINGERING] = LINGER_MS;
}

void server_refused(struct http_server *server, const struct connection *connection,
                    const char *what)
{
    server->counts.refused++;
    if (server->events.refused != NULL)
        server->events.refused(server->events.context, connection->source, what);
}

static void turn_away(struct http_server *server, const char *source, const char *why)
{
    server->counts.refused++;
    if (server->events.refused != NULL)
        server->events.refused(server->events.context, source, why);
}

/* ---- listeners ------------------------------------------------------------------------------- */

/* Guarded memory, and whoever shares this process, need a descriptor now and then. New ones are the
 * lowest there are: so many stay free. */
static bool has_room_behind(const struct http_server *server, int fd)
{
    uint64_t kept = MIN(server->descriptors / 4, (uint64_t)DESCRIPTORS_KEPT);
    return (uint64_t)fd < server->descriptors - kept;
}

/* The limit may be another one after a while. */
static void look_at_descriptors(struct http_server *server)
{
    struct rlimit limit;
    bool is_known = getrlimit(RLIMIT_NOFILE, &limit) == 0;
    server->descriptors = is_known ? (uint64_t)limit.rlim_cur : UINT64_MAX;
}

static void admit(struct http_server *server, int fd, const struct sockaddr_storage *address)
{
    static const int on = 1;
    struct source_key key;
    char source[SOURCE_TEXT_SIZE];
    const char *why = "there are too many connections";
    struct limits_source *origin = NULL;
    source_of_address(address, &key, source);
    if (server->free_count > 0)
        origin = limits_enter(server->sources, &key, loop_now_ms(server->loop), &why);
    if (origin == NULL) {
        fd_close(fd);
        turn_away(server, source, why);
        return;
    }
    if (address->ss_family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    server->counts.accepted++;
    connection_open(server, fd, origin, source);
}

/* With no descriptor left, the listener would be ready for ever: it rests until the next sweep. */
static void rest(struct http_server *server)
{
    server->is_full = true;
    for (size_t i = 0; i < server->listener_count; i++)
        loop_watch_set(server->listeners[i].watch, 0);
    turn_away(server, "", "there is no descriptor or memory left for connections");
}

static void listener_ready(void *context, unsigned events)
{
    const struct listener *listener = context;
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        struct sockaddr_storage address = {.ss_family = AF_UNIX};
        socklen_t size = sizeof address;
        int fd =
            accept4(listener->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 && has_room_behind(listener->server, fd)) {
            admit(listener->server, fd, &address);
            continue;
        }
        if (fd >= 0) {
            fd_close(fd);
            rest(listener->server);
            return;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            rest(listener->server);
        if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

static void listen_again(struct http_server *server)
{
    server->is_full = false;
    for (size_t i = 0; i < server->listener_count; i++)
        loop_watch_set(server->listeners[i].watch, LOOP_READ);
}

/* ---- deadlines ------------------------------------------------------------------------------- */

static void expire_stage(struct http_server *server, enum stage stage, uint64_t now_ms)
{
    struct connection *connection;
    if (server->stage_ms[stage] == 0)
        return;
    while ((connection = TAILQ_FIRST(&server->stages[stage])) != NULL &&
           connection->expires_ms <= now_ms)
        connection_expired(connection);
}

static void sweep(void *context)
{
    struct http_server *server = context;
    uint64_t now_ms = loop_now_ms(server->loop);
    loop_timer_set(server->sweep, SWEEP_MS);
    look_at_descriptors(server);
    for (enum stage stage = 0; stage < STAGE_COUNT; stage++)
        expire_stage(server, stage, now_ms);
    if (server->is_full && !server->is_draining)
        listen_again(server);
}

/* ---- from beginning to end ------------------------------------------------------------------- */

static lethe_result no_memory(struct lethe_error *err)
{
    return error_set(err, LETHE_NO_MEMORY, "no memory for an HTTP server");
}

static lethe_result make_table(struct http_server *server, struct lethe_error *err)
{
    size_t count = server->limits.connections;
    server->table = calloc(count, sizeof(struct connection *));
    server->free_places = calloc(count, sizeof(uint32_t));
    if (server->table == NULL || server->free_places == NULL)
        return no_memory(err);
    while (server->free_count < count) {
        server->free_places[server->free_count] = (uint32_t)(count - 1 - server->free_count);
        server->free_count++;
    }
    for (enum stage stage = 0; stage < STAGE_COUNT; stage++)
        TAILQ_INIT(&server->stages[stage]);
    return LETHE_OK;
}

static lethe_result make_parts(struct http_server *server, struct lethe_error *err)
{
    const struct http_limits *limits = &server->limits;
    const struct limits_options sources = {
        .sources_max = limits->connections + 4096,
        .connections_per_source = limits->connections_per_source,
        .handshakes_per_second = limits->handshakes_per_second,
        .requests_per_second = limits->requests_per_second,
        .penalty_ms = limits->penalty_ms,
    };
    TRY(make_table(server, err));
    TRY(limits_create(&sources, &server->sources, err));
    TRY(guarded_pool_create(BUFFERED_BYTES_MAX, &server->pool, err));
    TRY(loop_timer_create(server->loop, sweep, server, &server->sweep, err));
    look_at_descriptors(server);
    loop_timer_set(server->sweep, SWEEP_MS);
    return LETHE_OK;
}

static lethe_result listen_on(struct http_server *server, const int *listeners, size_t count,
                              struct lethe_error *err)
{
    server->listeners = calloc(count, sizeof *server->listeners);
    if (server->listeners == NULL && count > 0)
        return no_memory(err);
    for (; server->listener_count < count; server->listener_count++) {
        struct listener *listener = &server->listeners[server->listener_count];
        *listener = (struct listener){.server = server, .fd = listeners[server->listener_count]};
        TRY(loop_watch(server->loop, listener->fd, LOOP_READ, listener_ready, listener,
                       &listener->watch, err));
    }
    return LETHE_OK;
}

DEFINE_CLEANUP(http_server_free, struct http_server *);

lethe_result http_server_create(struct loop *loop, struct tls_context *tls, const int *listeners,
                                size_t listener_count, const struct http_limits *limits,
                                const struct http_server_events *events, struct http_server **out,
                                struct lethe_error *err)
{
    CLEANUP(http_server_free) struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return no_memory(err);
    server->loop = loop;
    server->tls = tls_context_share(tls);
    server->limits = with_defaults(limits);
    server->events = *events;
    set_stage_times(server);
    TRY(make_parts(server, err));
    TRY(listen_on(server, listeners, listener_count, err));
    *out = MOVE(server);
    return LETHE_OK;
}

static void stop_listening(struct http_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++)
        loop_watch_free(server->listeners[i].watch);
    server->listener_count = 0;
}

static void close_stage(struct http_server *server, enum stage stage)
{
    struct connection *connection;
    struct connection *next;
    for (connection = TAILQ_FIRST(&server->stages[stage]); connection != NULL; connection = next) {
        next = TAILQ_NEXT(connection, in_stage);
        connection_close(connection);
    }
}

void http_server_free(struct http_server *server)
{
    if (server == NULL)
        return;
    stop_listening(server);
    server->drained = NULL;
    for (enum stage stage = 0; stage < STAGE_COUNT && server->table != NULL; stage++)
        close_stage(server, stage);
    while (server->spare_count > 0)
        free(server->spare_requests[--server->spare_count]);
    loop_timer_free(server->sweep);
    loop_timer_free(server->drain);
    limits_free(server->sources);
    guarded_pool_free(server->pool);
    tls_context_free(server->tls);
    free(server->listeners);
    free(server->free_places);
    free(server->table);
    free(server);
}

void http_server_set_tls(struct http_server *server, struct tls_context *tls)
{
    struct tls_context *old = server->tls;
    server->tls = tls_context_share(tls);
    tls_context_free(old);
}

void http_server_close(struct http_server *server, uint64_t connection)
{
    struct connection *found = connection_find(server, connection);
    if (found != NULL)
        connection_close(found);
}

void http_server_penalise(struct http_server *server, uint64_t connection, const char *source)
{
    struct source_key key;
    struct connection *found = connection_find(server, connection);
    uint64_t wait_ms = 0;
    if (source_of_text(source, &key))
        wait_ms = limits_penalise(server->sources, &key, loop_now_ms(server->loop));
    if (found != NULL && found->stage == STAGE_ANSWERING)
        found->penalty_ms = wait_ms;
}

/* ---- draining -------------------------------------------------------------------------------- */

static void finish_drain(void *context)
{
    struct http_server *server = context;
    loop_expired *drained = MOVE(server->drained);
    if (drained != NULL)
        drained(server->drained_context);
}

/* Told from the loop, not from within whatever ended the last connection. */
void server_check_drained(struct http_server *server)
{
    if (server->drained != NULL && server->counts.open == 0)
        loop_timer_set(server->drain, 0);
}

void http_server_drain(struct http_server *server, uint64_t limit_ms, loop_expired *drained,
                       void *context)
{
    REQUIRE(!server->is_draining);
    server->is_draining = true;
    server->drained = drained;
    server->drained_context = context;
    stop_listening(server);
    /* Without memory for a timer there is no time to wait. */
    if (loop_timer_create(server->loop, finish_drain, server, &server->drain, NULL) != LETHE_OK) {
        finish_drain(server);
        return;
    }
    loop_timer_set(server->drain, limit_ms);
    close_stage(server, STAGE_HANDSHAKE);
    close_stage(server, STAGE_IDLE);
    close_stage(server, STAGE_STREAMING); /* they would not end */
    server_check_drained(server);
}

void http_server_count(const struct http_server *server, struct http_server_counts *out)
{
    *out = server->counts;
}
