/* Requests in, frames to the keeper out; and what the door answers itself. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "service/call.h"
#include "service/door_head.h"
#include "service/door_state.h"

/* The texts are constants of ours, without anything to escape. */
void door_answer_text(struct door *door, struct http_exchange exchange, unsigned status,
                      const char *error)
{
    char body[256];
    int length = error[0] == '\0' ? snprintf(body, sizeof body, "{\"errors\":[]}\n")
                                  : snprintf(body, sizeof body, "{\"errors\":[\"%s\"]}\n", error);
    const struct http_answer answer = {.status = status,
                                       .content_type = "application/json",
                                       .body = body,
                                       .body_bytes = (size_t)length};
    http_server_answer(door->server, exchange, &answer);
}

/* ---- without a keeper -------------------------------------------------------------------------
 */

static bool path_is(const struct door_head *head, const char *path)
{
    return head->path.length == strlen(path) && memcmp(head->path.at, path, head->path.length) == 0;
}

static void answer_health(struct door *door, struct http_exchange exchange, bool is_head)
{
    static const char body[] =
        "{\"initialized\":true,\"sealed\":true,\"standby\":false,"
        "\"performance_standby\":false,\"replication_performance_mode\":\"disabled\","
        "\"replication_dr_mode\":\"disabled\",\"version\":\"" LETHE_VERSION "\"}\n";
    const struct http_answer answer = {.status = 503,
                                       .content_type = is_head ? NULL : "application/json",
                                       .body = body,
                                       .body_bytes = is_head ? 0 : sizeof body - 1};
    http_server_answer(door->server, exchange, &answer);
}

static void answer_without_keeper(struct door *door, struct http_exchange exchange,
                                  const struct door_head *head, const char *why)
{
    door->counts.unavailable++;
    if (path_is(head, DOOR_PREFIX "sys/health"))
        answer_health(door, exchange, head->is_head);
    else
        door_answer_text(door, exchange, 503, why);
}

/* ---- with one ---------------------------------------------------------------------------------
 */

static struct wire_part part_of(const void *at, size_t size_bytes)
{
    return (struct wire_part){.at = at, .size_bytes = at == NULL ? 0 : size_bytes};
}

static void introduce(struct door *door, struct door_connection *connection,
                      const struct http_peer *peer)
{
    if (connection->introduced == door->generation)
        return;
    const struct wire_frame frame = {.kind = WIRE_CONNECTION,
                                     .connection = connection->id,
                                     .parts = {part_of(peer->source, strlen(peer->source)),
                                               part_of(peer->chain, peer->chain_bytes)}};
    door_keeper_tell(door, &frame);
    connection->introduced = door->generation;
}

static bool has_body(uint16_t method)
{
    return method != CALL_GET && method != CALL_LIST;
}

static void forward(struct door *door, struct http_exchange exchange, const struct door_head *head,
                    const struct http_request *request)
{
    const struct wire_frame frame = {
        .kind = WIRE_REQUEST,
        .flags = head->flags,
        .code = head->method,
        .connection = exchange.connection,
        .number = exchange.number,
        .parts = {part_of(head->token.at, head->token.length),
                  part_of(head->path.at, head->path.length),
                  part_of(request->query.at, request->query.length),
                  part_of(request->body, has_body(head->method) ? request->body_bytes : 0)}};
    door_keeper_tell(door, &frame);
}

/* Nobody who asks is known yet: what is kept for the keeper has a bound. */
static bool has_room(const struct door *door, const struct http_request *request)
{
    return door->in_flight < DOOR_IN_FLIGHT_MAX &&
           door->wire.out.size_bytes + request->body_bytes <= DOOR_WAITING_BYTES_MAX;
}

static void take_request(struct door *door, struct http_exchange exchange,
                         const struct http_peer *peer, const struct http_request *request,
                         const struct door_head *head)
{
    struct door_connection *connection = NULL;
    if (has_room(door, request))
        connection = door_connection_get(door, exchange.connection);
    if (connection == NULL) {
        door->counts.overloaded++;
        door_answer_text(door, exchange, 503, "too many requests are open");
        return;
    }
    connection->number = exchange.number;
    connection->is_open = true;
    connection->is_head = head->is_head;
    connection->is_stream = false;
    door->in_flight++;
    door->waiting++;
    door->counts.forwarded++;
    introduce(door, connection, peer);
    forward(door, exchange, head, request);
}

static void refuse_head(struct door *door, struct http_exchange exchange, lethe_result result,
                        const struct lethe_error *why)
{
    door->counts.malformed++;
    if (result == LETHE_NOT_FOUND)
        door_answer_text(door, exchange, 404, "");
    else if (result == LETHE_CONFLICT)
        door_answer_text(door, exchange, 405, "unsupported operation");
    else if (result == LETHE_NO_MEMORY || result == LETHE_UNPROTECTED)
        door_answer_text(door, exchange, 503, "there is no memory for the request");
    else
        door_answer_text(door, exchange, 400, why->text);
}

static void on_request(void *context, struct http_exchange exchange, const struct http_peer *peer,
                       const struct http_request *request)
{
    struct door *door = context;
    struct door_head head;
    struct lethe_error why = {0};
    lethe_result result = door_head_read(request, &door->scratch, &head, &why);
    if (result != LETHE_OK)
        refuse_head(door, exchange, result, &why);
    else if (door->keeper == NULL)
        answer_without_keeper(door, exchange, &head, "Vault is sealed");
    else if (door_keeper_is_away(door))
        answer_without_keeper(door, exchange, &head, "the keeper does not answer");
    else
        take_request(door, exchange, peer, request, &head);
    guarded_wipe(&door->scratch);
}

static void on_closed(void *context, uint64_t id)
{
    struct door *door = context;
    struct door_connection *connection = door_connection_find(door, id);
    if (connection == NULL)
        return;
    bool is_known = door->keeper != NULL && connection->introduced == door->generation;
    door_connection_drop(door, id);
    if (is_known) {
        const struct wire_frame frame = {.kind = WIRE_CLOSED, .connection = id};
        door_keeper_tell(door, &frame);
    }
}

const struct http_server_events door_events_template = {.request = on_request, .closed = on_closed};

/* ---- when the keeper goes ---------------------------------------------------------------------
 */

static void fail(struct door *door, struct door_connection *connection, const char *why)
{
    const struct http_exchange exchange = {connection->id, connection->number};
    bool was_stream = connection->is_stream;
    if (!connection->is_open)
        return;
    connection->is_open = false;
    door->in_flight--;
    door->waiting -= !was_stream;
    door->counts.unavailable++;
    if (was_stream)
        http_server_close(door->server, exchange.connection);
    else
        door_answer_text(door, exchange, 503, why);
}

static void fail_ended(struct door *door, struct door_connection *connection)
{
    fail(door, connection, "the keeper has ended: the outcome is not known");
}

void door_fail_open(struct door *door)
{
    door_connections_each(door, fail_ended);
}

static void fail_silent(struct door *door, struct door_connection *connection)
{
    if (!connection->is_stream)
        fail(door, connection, "the keeper does not answer: the outcome is not known");
}

void door_fail_waiting(struct door *door)
{
    door_connections_each(door, fail_silent);
}
