/* Who is there: peers, the connections that they speak for, and who has used them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/validate.h"
#include "service/core_core.h"

#define BUCKETS 4096u

/* ---- peers ----------------------------------------------------------------------------------- */

static struct peer_state *find_peer(struct core *core, const struct core_peer *peer)
{
    for (size_t i = 0; i < CORE_PEERS_MAX; i++) {
        if (core->peers[i].peer == peer)
            return &core->peers[i];
    }
    return NULL;
}

struct peer_state *core_peer_of(struct core *core, struct core_peer *peer)
{
    struct peer_state *state = find_peer(core, peer);
    if (state != NULL)
        return state;
    state = find_peer(core, NULL);
    if (state == NULL)
        return NULL;
    *state = (struct peer_state){.peer = peer};
    if (peer->origin == CORE_NETWORK)
        settings_ready(core, peer);
    return state;
}

/* ---- connections ----------------------------------------------------------------------------- */

static struct connection **bucket_of(const struct core *core, const struct core_peer *peer,
                                     uint64_t id)
{
    uint64_t hash = (id ^ (uintptr_t)peer >> 4) * 0x9e3779b97f4a7c15u;
    return &core->connections[hash >> 52];
}
_Static_assert(BUCKETS == 1u << 12, "as many as the bits that are used");

static struct connection **place_of(const struct core *core, const struct core_peer *peer,
                                    uint64_t id)
{
    struct connection **at = bucket_of(core, peer, id);
    while (*at != NULL && ((*at)->id != id || (*at)->peer != peer))
        at = &(*at)->next;
    return at;
}

static struct connection *add(struct core *core, struct core_peer *peer, uint64_t id,
                              size_t chain_bytes)
{
    if (core->connections == NULL)
        core->connections = calloc(BUCKETS, sizeof(struct connection *));
    if (core->connections == NULL || core->connection_count == CORE_CONNECTIONS_MAX)
        return NULL;
    struct connection *made = calloc(1, sizeof *made);
    if (made == NULL)
        return NULL;
    made->chain = chain_bytes > 0 ? malloc(chain_bytes) : NULL;
    if (chain_bytes > 0 && made->chain == NULL) {
        free(made);
        return NULL;
    }
    made->peer = peer;
    made->id = id;
    made->chain_bytes = chain_bytes;
    struct connection **bucket = bucket_of(core, peer, id);
    made->next = *bucket;
    *bucket = made;
    core->connection_count++;
    return made;
}

/* An operator's program need not say that it is there, and what it says of itself does not count:
 * the socket has said who it is. */
struct connection *core_connection_find(struct core *core, struct core_peer *peer, uint64_t id)
{
    struct connection *found = core->connections == NULL ? NULL : *place_of(core, peer, id);
    if (found != NULL || peer->origin != CORE_ADMIN)
        return found;
    found = add(core, peer, id, 0);
    if (found != NULL)
        strcpy(found->source, "unix");
    return found;
}

lethe_result core_connection_open(struct core *core, struct core_peer *peer,
                                  const struct wire_frame *frame)
{
    const struct wire_part *source = &frame->parts[0];
    const struct wire_part *chain = &frame->parts[1];
    if (peer->origin == CORE_ADMIN)
        return core_connection_find(core, peer, frame->connection) == NULL ? LETHE_NO_MEMORY
                                                                           : LETHE_OK;
    if (core->connections != NULL && *place_of(core, peer, frame->connection) != NULL)
        return LETHE_MALFORMED;
    struct connection *made = add(core, peer, frame->connection, chain->size_bytes);
    if (made == NULL)
        return LETHE_NO_MEMORY;
    text_sanitise((const char *)source->at, source->size_bytes, made->source, sizeof made->source);
    if (chain->size_bytes > 0)
        memcpy(made->chain, chain->at, chain->size_bytes);
    return LETHE_OK;
}

static void drop(struct core *core, struct connection **at)
{
    struct connection *gone = *at;
    *at = gone->next;
    free(gone->chain);
    free(gone);
    core->connection_count--;
}

void core_connection_close(struct core *core, struct core_peer *peer, uint64_t id)
{
    events_forget(core, peer, id, false);
    if (core->connections == NULL)
        return;
    struct connection **at = place_of(core, peer, id);
    if (*at != NULL)
        drop(core, at);
}

static void drop_all(struct core *core, const struct core_peer *peer)
{
    for (size_t i = 0; core->connections != NULL && i < BUCKETS; i++) {
        for (struct connection **at = &core->connections[i]; *at != NULL;) {
            if (peer == NULL || (*at)->peer == peer)
                drop(core, at);
            else
                at = &(*at)->next;
        }
    }
}

void connections_forget(struct core *core, struct core_peer *peer)
{
    struct peer_state *state = find_peer(core, peer);
    events_forget(core, peer, 0, true);
    drop_all(core, peer);
    if (state == NULL)
        return;
    buffer_clear(&state->request);
    buffer_clear(&state->counts);
    *state = (struct peer_state){0};
}

void connections_free(struct core *core)
{
    drop_all(core, NULL);
    free(core->connections);
    for (size_t i = 0; i < CORE_PEERS_MAX; i++) {
        buffer_clear(&core->peers[i].request);
        buffer_clear(&core->peers[i].counts);
    }
}

/* ---- who has used them ----------------------------------------------------------------------- */

/* FNV-1a. Two names of one hash only end a connection too many. */
static uint64_t hash_name(const char *prefix, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *prefix != '\0'; prefix++)
        hash = (hash ^ (uint8_t)*prefix) * 0x100000001b3u;
    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    return hash;
}

static bool has_used(const struct connection *connection, uint64_t hash)
{
    for (size_t i = 0; i < CORE_CALLERS_KEPT; i++) {
        if (connection->callers[i] == hash)
            return true;
    }
    return false;
}

static void note(struct connection *connection, uint64_t hash)
{
    if (has_used(connection, hash))
        return;
    connection->callers[connection->next_caller] = hash;
    connection->next_caller = (connection->next_caller + 1) % CORE_CALLERS_KEPT;
}

/* By its name, and by its token's. */
void connection_note_caller(struct connection *connection, const struct caller *caller)
{
    note(connection, hash_name("", caller->name));
    if (caller->accessor[0] != '\0')
        note(connection, hash_name("token:", caller->accessor));
}

static void end(struct connection *connection)
{
    struct wire_frame frame = {.kind = WIRE_CLOSE, .connection = connection->id};
    wire_put(&connection->peer->wire, &frame);
}

/* Which answers wait in this turn are put first by whoever finishes it: the door ends a connection
 * behind what it was told before. */
void service_cut_off(struct service *service, const char *caller_name)
{
    struct core *core = service->core;
    uint64_t hash = hash_name("", caller_name);
    for (size_t i = 0; core->connections != NULL && i < BUCKETS; i++) {
        for (struct connection *at = core->connections[i]; at != NULL; at = at->next) {
            if (!has_used(at, hash))
                continue;
            if (core->in_turn)
                at->cut_off = core->any_cut_off = true;
            else
                end(at);
        }
    }
}

void connections_end_cut_off(struct core *core)
{
    if (!core->any_cut_off)
        return;
    core->any_cut_off = false;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct connection *at = core->connections[i]; at != NULL; at = at->next) {
            if (at->cut_off)
                end(at);
            at->cut_off = false;
        }
    }
}
