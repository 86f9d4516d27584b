/* Server-sent streams (WHATWG HTML, section 9.2): answers that stay open, and get what is told. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "service/core_core.h"

static void put(const struct event_stream *stream, enum wire_kind kind, const struct guarded *piece)
{
    struct wire_frame frame = {
        .kind = kind, .connection = stream->connection, .number = stream->number};
    if (piece != NULL)
        frame.parts[0] = (struct wire_part){piece->bytes, piece->size_bytes};
    wire_put(&stream->peer->wire, &frame);
}

bool events_have_room(const struct core *core)
{
    return core->stream_count < CORE_STREAMS_MAX;
}

void events_open(struct core *core, struct core_peer *peer, const struct wire_frame *frame)
{
    const struct event_stream stream = {.peer = peer,
                                        .connection = frame->connection,
                                        .number = frame->number,
                                        .ends_s = core_now_s(core) + CORE_STREAM_S};
    if (events_have_room(core))
        core->streams[core->stream_count++] = stream;
    else
        put(&stream, WIRE_FINISH, NULL);
}

static void remove_stream(struct core *core, size_t index)
{
    core->streams[index] = core->streams[--core->stream_count];
}

void events_forget(struct core *core, const struct core_peer *peer, uint64_t connection, bool all)
{
    for (size_t i = core->stream_count; i > 0; i--) {
        const struct event_stream *stream = &core->streams[i - 1];
        if (stream->peer == peer && (all || stream->connection == connection))
            remove_stream(core, i - 1);
    }
}

static void tell_all(struct core *core, const char *event, const char *json)
{
    CLEANUP(guarded_clear) struct guarded piece = {0};
    if (core->stream_count == 0)
        return;
    if (event == NULL)
        guarded_text(&piece,
                     ":\n\n"); /* a comment, so that both ends see that the other is there */
    else
        guarded_format(&piece, "event: %s\ndata: %s\n\n", event, json);
    for (size_t i = 0; i < core->stream_count && piece.failure == LETHE_OK; i++)
        put(&core->streams[i], WIRE_PIECE, &piece);
}

void service_publish(struct service *service, const char *event, const char *json)
{
    if (service->core != NULL) /* a part by itself has nobody to tell */
        tell_all(service->core, event, json);
}

void service_publish_text(struct service *service, const char *event, const char *name,
                          const char *value)
{
    char json[1280];
    int length = snprintf(json, sizeof json, "{\"%s\":\"%s\"}", name, value);
    if (length > 0 && length < (int)sizeof json)
        service_publish(service, event, json);
}

void events_tick(struct core *core, uint64_t now_s)
{
    for (size_t i = core->stream_count; i > 0; i--) {
        if (now_s < core->streams[i - 1].ends_s)
            continue;
        put(&core->streams[i - 1], WIRE_FINISH, NULL);
        remove_stream(core, i - 1);
    }
    if (now_s < core->heartbeat_s + CORE_HEARTBEAT_S)
        return;
    core->heartbeat_s = now_s;
    tell_all(core, NULL, NULL);
}
