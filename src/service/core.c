#include "service/core.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "crypto/x509.h"
#include "service/core_core.h"
#include "service/routes.h"
#include "service/serve_log.h"

lethe_result core_create(struct service *service, struct core **out, struct lethe_error *err)
{
    struct core *core = calloc(1, sizeof *core);
    if (core == NULL)
        return error_set(err, LETHE_NO_MEMORY, "the core of the service");
    core->service = service;
    core->durable_fd = -1;
    lethe_result result = turns_create(core, err);
    if (result == LETHE_OK)
        result = router_create(route_tables, &core->router, err);
    if (result != LETHE_OK) {
        core_free(core);
        return result;
    }
    *out = core;
    return LETHE_OK;
}

void core_free(struct core *core)
{
    if (core == NULL)
        return;
    core_sealing(core);
    connections_free(core);
    router_free(core->router);
    turns_free(core);
    guarded_clear(&core->call.fields);
    free(core);
}

lethe_result core_unsealed(struct core *core, struct lethe_error *err)
{
    struct service *service = core->service;
    core->acting_for[0] = '\0';
    core->settings_stale = true;
    TRY(turns_unsealed(core, err));
    return audit_failures_create(keeper_log(service->keeper), 0, service->options.keeper.clock,
                                 &core->failures, err);
}

void core_sealing(struct core *core)
{
    turns_sealing(core);
    audit_failures_free(MOVE(core->failures));
}

uint64_t core_now_s(const struct core *core)
{
    const struct clock_source *clock = core->service->options.keeper.clock;
    return clock_wall_ns(clock == NULL ? &clock_system : clock) / 1000000000u;
}

/* ---- identifiers ----------------------------------------------------------------------------- */

static const uint8_t *draw(struct core *core, size_t size_bytes)
{
    const struct random_source *random = core->service->options.keeper.random;
    if (core->random_left < size_bytes) {
        lethe_result result =
            random_fill(random == NULL ? &random_system : random, core->random, CORE_RANDOM_BYTES);
        if (result != LETHE_OK) /* it only names a request */
            memset(core->random, 0, CORE_RANDOM_BYTES);
        core->random_left = CORE_RANDOM_BYTES;
    }
    core->random_left -= size_bytes;
    return core->random + core->random_left;
}

/* RFC 9562, version 4. */
void core_uuid(struct core *core, char out[CORE_UUID_SIZE])
{
    static const uint8_t lengths[] = {4, 2, 2, 2, 6};
    uint8_t bytes[16];
    memcpy(bytes, draw(core, sizeof bytes), sizeof bytes);
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    const uint8_t *from = bytes;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        hex_encode(from, lengths[i], out);
        from += lengths[i];
        out += 2 * (size_t)lengths[i];
        *out++ = i + 1 < ARRAY_LEN(lengths) ? '-' : '\0';
    }
}

/* ---- frames ---------------------------------------------------------------------------------- */

typedef lethe_result handle_frame(struct core *core, struct core_peer *peer,
                                  const struct wire_frame *frame);

static lethe_result closed(struct core *core, struct core_peer *peer,
                           const struct wire_frame *frame)
{
    core_connection_close(core, peer, frame->connection);
    return LETHE_OK;
}

static lethe_result keep_part(struct buffer *buffer, const struct wire_part *part, size_t max_bytes)
{
    buffer_truncate(buffer, 0);
    if (part->size_bytes > max_bytes)
        return LETHE_MALFORMED;
    if (part->size_bytes > 0)
        buffer_append(buffer, part->at, part->size_bytes);
    return buffer->failure;
}

static lethe_result hello(struct core *core, struct core_peer *peer, const struct wire_frame *frame)
{
    struct peer_state *state = core_peer_of(core, peer);
    TRY(keep_part(&state->request, &frame->parts[0], X509_DER_MAX));
    state->has_said_hello = true;
    settings_tell(core, state);
    return LETHE_OK;
}

static lethe_result counts(struct core *core, struct core_peer *peer,
                           const struct wire_frame *frame)
{
    return keep_part(&core_peer_of(core, peer)->counts, &frame->parts[0], CORE_COUNTS_MAX);
}

/* What comes in. Everything else is what goes out. */
static handle_frame *const frame_handlers[WIRE_KIND_COUNT] = {
    [WIRE_CONNECTION] = core_connection_open,
    [WIRE_REQUEST] = core_call,
    [WIRE_CLOSED] = closed,
    [WIRE_HELLO] = hello,
    [WIRE_COUNTS] = counts,
};

static lethe_result handle_one(struct core *core, struct core_peer *peer,
                               const struct wire_frame *frame)
{
    handle_frame *handle = frame_handlers[frame->kind];
    bool is_operators = frame->kind == WIRE_REQUEST || frame->kind == WIRE_CONNECTION;
    if (handle == NULL || (peer->origin == CORE_ADMIN && !is_operators))
        return LETHE_MALFORMED;
    return handle(core, peer, frame);
}

lethe_result core_look(struct core *core, struct lethe_error *err)
{
    bool changed = false;
    struct service *service = core->service;
    if (service->keeper == NULL)
        return LETHE_OK;
    TRY(keeper_look(service->keeper, &changed, err));
    core->rows_stale |= changed;
    if (!core->rows_stale)
        return LETHE_OK;
    TRY(service_refresh(service, err));
    core->rows_stale = false;
    core->settings_stale = true;
    return LETHE_OK;
}

/* What fails comes behind the seal, and is nothing that the peer who asked for it has done. */
static void seal(struct core *core)
{
    struct lethe_error err = {0};
    if (service_seal(core->service, &err) != LETHE_OK)
        serve_log(SERVE_WARNING, "sealed, but the end of the log is not pinned: %s", err.text);
}

static lethe_result run_turn(struct core *core, struct core_peer *peer, bool *more,
                             struct lethe_error *err)
{
    struct wire_frame frame;
    lethe_result result = LETHE_OK;
    core->in_turn = true;
    *more = true;
    while (result == LETHE_OK && *more && !turn_is_full(core->turn)) {
        result = wire_next(&peer->wire, &frame);
        *more = result != LETHE_NOT_FOUND;
        if (result == LETHE_OK)
            result = handle_one(core, peer, &frame);
        else if (!*more)
            result = LETHE_OK;
    }
    core->in_turn = false;
    turn_finish(core, peer);
    if (core->any_cut_off || core->seal_wanted)
        turns_wait(core); /* what is ended ends behind its answers */
    connections_end_cut_off(core);
    if (core->seal_wanted)
        seal(core);
    return result == LETHE_OK ? LETHE_OK
                              : error_set(err, result, "a peer does not speak as it must");
}

lethe_result core_handle(struct service *service, struct core_peer *peer, struct lethe_error *err)
{
    struct core *core = service->core;
    bool more = true;
    if (core_peer_of(core, peer) == NULL)
        return error_set(err, LETHE_LIMIT, "more than %u peers", CORE_PEERS_MAX);
    core->unreadable = core_look(core, NULL) != LETHE_OK;
    while (more)
        TRY(run_turn(core, peer, &more, err));
    if (core->settings_stale)
        settings_tell_all(core, true);
    return LETHE_OK;
}

void core_forget(struct service *service, struct core_peer *peer)
{
    turns_forget(service->core, peer);
    connections_forget(service->core, peer);
}
