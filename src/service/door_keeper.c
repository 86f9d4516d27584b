/* Frames from the keeper: answers, certificates, what to close. */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "service/control.h"
#include "service/door_state.h"
#include "service/serve_log.h"

#define TYPE_MAX 127u
#define SOURCE_MAX 63u

/* A part as text; false when it is too long or not printable ASCII. */
static bool text_of(const struct wire_part *part, char *out, size_t max_length)
{
    if (part->size_bytes > max_length)
        return false;
    for (size_t i = 0; i < part->size_bytes; i++) {
        if (part->at[i] < ' ' || part->at[i] > '~')
            return false;
        out[i] = (char)part->at[i];
    }
    out[part->size_bytes] = '\0';
    return true;
}

/* The open request that a frame is for; NULL when it is gone, as happens. */
static struct door_connection *open_request(struct door *door, const struct wire_frame *frame)
{
    struct door_connection *connection = door_connection_find(door, frame->connection);
    bool is_it = connection != NULL && connection->is_open && connection->number == frame->number;
    return is_it ? connection : NULL;
}

static void settle(struct door *door, struct door_connection *connection)
{
    door->waiting -= !connection->is_stream;
    connection->is_open = false;
    connection->is_stream = false;
    door->in_flight--;
    door->counts.answered++;
}

/* ---- frames -----------------------------------------------------------------------------------
 */

static lethe_result take_answer(struct door *door, const struct wire_frame *frame)
{
    char type[TYPE_MAX + 1];
    struct door_connection *connection = open_request(door, frame);
    if (frame->code < 200 || frame->code > 599 || !text_of(&frame->parts[0], type, TYPE_MAX))
        return LETHE_MALFORMED;
    if (connection == NULL || connection->is_stream)
        return LETHE_OK;
    bool is_stream = (frame->flags & WIRE_STREAM) != 0;
    bool stream = is_stream && !connection->is_head;
    /* The keeper goes on with a stream that nobody reads, until the connection is over. */
    bool ends = (frame->flags & WIRE_END_CONNECTION) != 0 || (is_stream && connection->is_head);
    bool has_body = type[0] != '\0' && !connection->is_head;
    const struct http_exchange exchange = {frame->connection, frame->number};
    const struct http_answer answer = {.status = frame->code,
                                       .content_type = has_body ? type : NULL,
                                       .body = frame->parts[1].at,
                                       .body_bytes = has_body ? frame->parts[1].size_bytes : 0,
                                       .close = ends,
                                       .stream = stream};
    if (stream) {
        connection->is_stream = true;
        door->waiting--;
    } else {
        settle(door, connection);
    }
    http_server_answer(door->server, exchange, &answer); /* `connection` may be gone behind it */
    if (stream && frame->parts[1].size_bytes > 0)
        (void)!http_server_stream(door->server, exchange, frame->parts[1].at,
                                  frame->parts[1].size_bytes);
    return LETHE_OK;
}

static lethe_result take_piece(struct door *door, const struct wire_frame *frame)
{
    const struct door_connection *connection = open_request(door, frame);
    const struct http_exchange exchange = {frame->connection, frame->number};
    if (connection != NULL && connection->is_stream)
        (void)!http_server_stream(door->server, exchange, frame->parts[0].at,
                                  frame->parts[0].size_bytes);
    return LETHE_OK;
}

static lethe_result take_finish(struct door *door, const struct wire_frame *frame)
{
    struct door_connection *connection = open_request(door, frame);
    const struct http_exchange exchange = {frame->connection, frame->number};
    if (connection == NULL || !connection->is_stream)
        return LETHE_OK;
    settle(door, connection);
    http_server_finish(door->server, exchange);
    return LETHE_OK;
}

static lethe_result take_close(struct door *door, const struct wire_frame *frame)
{
    if (door->server != NULL)
        http_server_close(door->server, frame->connection);
    return LETHE_OK;
}

static lethe_result take_penalise(struct door *door, const struct wire_frame *frame)
{
    char source[SOURCE_MAX + 1];
    if (!text_of(&frame->parts[0], source, SOURCE_MAX))
        return LETHE_MALFORMED;
    if (door->server != NULL)
        http_server_penalise(door->server, frame->connection, source);
    return LETHE_OK;
}

static void keep(struct buffer *out, const struct wire_part *part)
{
    buffer_clear(out);
    buffer_append(out, part->at, part->size_bytes);
}

static lethe_result take_settings(struct door *door, const struct wire_frame *frame)
{
    struct lethe_error err = {0};
    keep(&door->chain_pem, &frame->parts[0]);
    keep(&door->roots_pem, &frame->parts[1]);
    keep(&door->crls_pem, &frame->parts[2]);
    if (door_tls_renew(door, &err) != LETHE_OK)
        serve_log(SERVE_ERROR, "%s", err.text);
    door_tell_ready(door);
    return LETHE_OK;
}

static lethe_result take_ready(struct door *door, const struct wire_frame *frame)
{
    door->keeper_spoke = true;
    door->sealed = frame->code != 0;
    door_tell_ready(door);
    return LETHE_OK;
}

typedef lethe_result take_frame(struct door *door, const struct wire_frame *frame);
static take_frame *const takers[WIRE_KIND_COUNT] = {
    [WIRE_ANSWER] = take_answer, [WIRE_PIECE] = take_piece,       [WIRE_FINISH] = take_finish,
    [WIRE_CLOSE] = take_close,   [WIRE_PENALISE] = take_penalise, [WIRE_SETTINGS] = take_settings,
    [WIRE_READY] = take_ready,
};

/* ---- reading ----------------------------------------------------------------------------------
 */

static lethe_result take_frames(struct door *door)
{
    struct wire_frame frame;
    lethe_result result;
    while ((result = wire_next(&door->wire, &frame)) == LETHE_OK) {
        if (takers[frame.kind] == NULL)
            return LETHE_MALFORMED;
        TRY(takers[frame.kind](door, &frame));
    }
    return result == LETHE_NOT_FOUND ? LETHE_OK : result;
}

/* Once more behind the last frame: that wipes it. */
static lethe_result read_all(struct door *door)
{
    size_t handled;
    door_keeper_heard(door);
    do {
        TRY(wire_fill(&door->wire, NULL));
        TRY(take_frames(door));
        handled = door->wire.in_done;
    } while (handled > 0);
    return LETHE_OK;
}

static void on_keeper(void *context, unsigned events)
{
    struct door *door = context;
    lethe_result result = LETHE_OK;
    if ((events & LOOP_READ) != 0)
        result = read_all(door);
    if (result != LETHE_OK) {
        serve_log(SERVE_WARNING, result == LETHE_MALFORMED
                                     ? "the keeper has said what no keeper says"
                                     : "the keeper is gone");
        door_keeper_leave(door);
    } else if ((events & LOOP_WRITE) != 0) {
        door_keeper_flush(door);
    }
}

/* ---- writing ----------------------------------------------------------------------------------
 */

void door_keeper_tell(struct door *door, const struct wire_frame *frame)
{
    if (door->keeper == NULL)
        return;
    if (door->wire.out.size_bytes == 0)
        loop_timer_set(door->flush, 0);
    wire_put(&door->wire, frame);
}

void door_keeper_flush(void *context)
{
    struct door *door = context;
    struct lethe_error err = {0};
    bool left;
    if (door->keeper == NULL)
        return;
    if (wire_flush(&door->wire, &left, &err) != LETHE_OK) {
        serve_log(SERVE_WARNING, "the keeper cannot be told: %s", err.text);
        door_keeper_leave(door);
        return;
    }
    loop_watch_set(door->keeper, LOOP_READ | (left ? LOOP_WRITE : 0u));
}

void door_tell_counts(void *context)
{
    struct door *door = context;
    struct http_server_counts http = {0};
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (door->server != NULL)
        http_server_count(door->server, &http);
    const struct {
        const char *name, *type;
        uint64_t value;
    } rows[] = {
        {"connections_total", "counter", http.accepted},
        {"connections_open", "gauge", http.open},
        {"handshakes_failed_total", "counter", http.handshakes_failed},
        {"http_requests_total", "counter", http.requests},
        {"http_refused_total", "counter", http.refused},
        {"received_bytes_total", "counter", http.received_bytes},
        {"sent_bytes_total", "counter", http.sent_bytes},
        {"requests_forwarded_total", "counter", door->counts.forwarded},
        {"requests_answered_total", "counter", door->counts.answered},
        {"requests_unavailable_total", "counter", door->counts.unavailable},
        {"requests_overloaded_total", "counter", door->counts.overloaded},
        {"requests_malformed_total", "counter", door->counts.malformed},
        {"requests_in_flight", "gauge", door->in_flight},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        buffer_format(&text, "# TYPE lethe_door_%s %s\nlethe_door_%s %" PRIu64 "\n", rows[i].name,
                      rows[i].type, rows[i].name, rows[i].value);
    const struct wire_frame frame = {.kind = WIRE_COUNTS,
                                     .parts = {{(const uint8_t *)text.bytes, text.size_bytes}}};
    if (buffer_result(&text, NULL) == LETHE_OK)
        door_keeper_tell(door, &frame);
    loop_timer_set(door->counts_timer, DOOR_COUNTS_MS);
}

/* ---- coming and going -------------------------------------------------------------------------
 */

/* Where both live on, nobody but the door knows that they no longer speak. */
void door_ask_for_keeper(struct door *door)
{
    struct lethe_error err = {0};
    if (control_send(door->ends->control, CONTROL_LOST, -1, &err) != LETHE_OK)
        serve_log(SERVE_WARNING, "%s", err.text);
}

void door_keeper_leave(struct door *door)
{
    bool had_spoken = door->keeper_spoke;
    if (door->keeper == NULL)
        return;
    loop_watch_free(MOVE(door->keeper));
    wire_clear(&door->wire);
    loop_timer_clear(door->flush);
    door->keeper_spoke = false;
    door->keeper_is_silent = false;
    door_fail_open(door);
    if (had_spoken)
        door_ask_for_keeper(door);
}

lethe_result door_keeper_meet(struct door *door, int fd, struct lethe_error *err)
{
    door->keeper_spoke = false; /* the supervisor knows */
    door_keeper_leave(door);
    wire_init(&door->wire, fd);
    lethe_result result =
        loop_watch(door->loop, fd, LOOP_READ, on_keeper, door, &door->keeper, err);
    if (result != LETHE_OK) {
        wire_clear(&door->wire);
        return result;
    }
    door->generation++;
    const struct wire_frame hello = {
        .kind = WIRE_HELLO,
        .parts = {{(const uint8_t *)door->request.bytes, door->request.size_bytes}}};
    door_keeper_tell(door, &hello);
    return LETHE_OK;
}

/* Once: behind it, the supervisor tells whoever waits. */
void door_tell_ready(struct door *door)
{
    bool serves = door->server != NULL;
    if (door->told_ready || !door->keeper_spoke || (!serves && !door->sealed))
        return;
    struct lethe_error err = {0};
    door->told_ready = true;
    if (control_send(door->ends->control, door->sealed ? CONTROL_SEALED : CONTROL_READY, -1,
                     &err) != LETHE_OK)
        serve_log(SERVE_WARNING, "%s", err.text);
}
