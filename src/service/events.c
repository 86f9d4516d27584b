/* Server-sent streams (WHATWG HTML, section 9.2): answers that stay open, and get what is told. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "service/authorise.h"
#include "service/core_core.h"

static void put(const struct event_stream *stream, enum wire_kind kind, const struct guarded *piece)
{
    struct wire_frame frame = {
        .kind = kind, .connection = stream->connection, .number = stream->number};
    if (piece != NULL)
        frame.parts[0] = (struct wire_part){piece->bytes, piece->size_bytes};
    wire_put(&stream->peer->wire, &frame);
}

bool events_expect(struct call *call)
{
    struct core *core = call->core;
    if (core->stream_count == CORE_STREAMS_MAX)
        return false;
    struct event_stream *stream = &core->streams[core->stream_count++];
    *stream = (struct event_stream){.peer = call->connection->peer,
                                    .connection = call->frame->connection,
                                    .number = call->frame->number,
                                    .ends_s = call->now_s + CORE_STREAM_S,
                                    .caller = call->caller};
    snprintf(stream->source, sizeof stream->source, "%s", call->connection->source);
    return true;
}

void events_open(struct core *core, struct core_peer *peer, const struct wire_frame *frame)
{
    for (size_t i = 0; i < core->stream_count; i++) {
        struct event_stream *stream = &core->streams[i];
        if (stream->peer == peer && stream->connection == frame->connection &&
            stream->number == frame->number)
            stream->is_open = true;
    }
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

/* As if the subscriber asked for the events of that tenant now. A sealed service has no policy, and
 * only events of its own. */
static bool may_hear(const struct core *core, const struct event_stream *stream, const char *tenant)
{
    struct lethe_decision decision;
    const struct authorise_question question = {
        .caller = &stream->caller,
        .action = "events",
        .path = "lethe/events",
        .capability = CAN_READ,
        .admin = stream->caller.kind == CALLER_ADMIN,
        .source = stream->source,
        .tenant = tenant,
    };
    struct policies *policies = core->service->policies;
    if (policies == NULL)
        return tenant[0] == '\0';
    return authorise(policies, &question, &decision, NULL) == LETHE_OK;
}

/* `tenant` NULL: everybody. */
static void tell(struct core *core, const char *tenant, const struct guarded *piece)
{
    for (size_t i = 0; i < core->stream_count && piece->failure == LETHE_OK; i++) {
        const struct event_stream *stream = &core->streams[i];
        if (stream->is_open && (tenant == NULL || may_hear(core, stream, tenant)))
            put(stream, WIRE_PIECE, piece);
    }
}

void service_publish(struct service *service, const char *event, const char *tenant,
                     const char *members)
{
    CLEANUP(guarded_clear) struct guarded piece = {0};
    if (service->core == NULL || service->core->stream_count == 0)
        return; /* a part by itself has nobody to tell */
    guarded_format(&piece, "event: %s\ndata: {\"tenant\":\"%s\"%s%s}\n\n", event, tenant,
                   members[0] != '\0' ? "," : "", members);
    tell(service->core, tenant, &piece);
}

void service_publish_text(struct service *service, const char *event, const char *tenant,
                          const char *name, const char *value)
{
    char members[1280];
    int length = snprintf(members, sizeof members, "\"%s\":\"%s\"", name, value);
    if (length > 0 && length < (int)sizeof members)
        service_publish(service, event, tenant, members);
}

/* A comment, so that both ends see that the other is there. */
static void beat(struct core *core)
{
    CLEANUP(guarded_clear) struct guarded piece = {0};
    guarded_text(&piece, ":\n\n");
    tell(core, NULL, &piece);
}

void events_tick(struct core *core, uint64_t now_s)
{
    for (size_t i = core->stream_count; i > 0; i--) {
        const struct event_stream *stream = &core->streams[i - 1];
        bool is_expected = !stream->is_open && core->waiting_turns > 0;
        bool is_due = core_wait_is_over(now_s, stream->ends_s, CORE_STREAM_S);
        if (is_expected || (stream->is_open && !is_due))
            continue;
        if (stream->is_open) /* otherwise its answer could not be given */
            put(stream, WIRE_FINISH, NULL);
        remove_stream(core, i - 1);
    }
    if (!core_wait_is_over(now_s, core->heartbeat_s + CORE_HEARTBEAT_S, CORE_HEARTBEAT_S))
        return;
    core->heartbeat_s = now_s;
    beat(core);
}
