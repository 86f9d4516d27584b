#include <inttypes.h>

#include "base/error.h"
#include "pool/link_core.h"

/* ---- frames ----------------------------------------------------------------------------------
 */

uint64_t link_next_request(struct link *link)
{
    return ++link->in.asked;
}

/* What we send keeps the rules that we hold the peer to. Before HELLO only refusals leave. */
static void check_ours(const struct link *link, const struct wire_head *head,
                       const struct buffer *index, const struct link_data *data)
{
    uint8_t bytes[WIRE_HEAD_BYTES];
    struct wire_head whole = *head, read;
    if (link->in.peer == WIRE_UNKNOWN)
        return;
    whole.index_bytes = index != NULL ? (uint32_t)index->size_bytes : 0;
    whole.data_bytes = 0;
    for (size_t i = 0; data != NULL && i < data->count; i++)
        whole.data_bytes += (uint32_t)data->pieces[i].iov_len;
    wire_head_write(&whole, bytes);
    REQUIRE(wire_head_read(bytes, link->in.self, link->in.peer, &read, NULL) == LETHE_OK);
    REQUIRE(wire_is_reply(head) || head->request <= link->in.asked);
}

static lethe_result queue(struct link *link, const struct wire_head *head,
                          const struct buffer *index, const struct link_data *data,
                          struct lethe_error *err)
{
    if (link->out.queued_bytes > link->options.queue_bytes_max)
        return error_set(err, LETHE_LIMIT, "%zu bytes wait for a peer that does not take them",
                         link->out.queued_bytes);
    return outbox_add(&link->out, head, index, data, err);
}

lethe_result link_send(struct link *link, const struct wire_head *head, const struct buffer *index,
                       const struct link_data *data, struct lethe_error *err)
{
    struct lethe_error own = {0};
    if (link->stage >= LINK_ENDING)
        return error_set(err, link->why.code, "%s", link->why.text);
    check_ours(link, head, index, data);
    lethe_result result = queue(link, head, index, data, &own);
    if (result != LETHE_OK) {
        link_fail(link, result, &own);
        return error_set(err, result, "%s", own.text);
    }
    if (wire_is_reply(head) && wire_answered_later(head->type)) {
        REQUIRE(link->in.unanswered_later > 0);
        link->in.unanswered_later--;
    }
    link->counters.frames_out++;
    if (!link->is_running) /* or else it is flushed by who runs it */
        loop_post(link->options.loop, &link->turn);
    return LETHE_OK;
}

lethe_result link_reply(struct link *link, const struct wire_head *request, uint64_t value,
                        const struct buffer *index, struct lethe_error *err)
{
    const struct wire_head head = {.type = request->type | WIRE_REPLY,
                                   .channel = request->channel,
                                   .request = request->request,
                                   .value = value};
    return link_send(link, &head, index, NULL, err);
}

lethe_result link_refuse(struct link *link, const struct wire_head *request,
                         const struct lethe_error *why, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    const struct wire_head head = {.type = request->type | WIRE_REPLY,
                                   .code = wire_code_of(why->code),
                                   .channel = request->channel,
                                   .request = request->request};
    REQUIRE(why->code != LETHE_OK);
    wire_refusal_write(why, &index);
    return link_send(link, &head, &index, NULL, err);
}

/* ---- who is there ----------------------------------------------------------------------------
 */

lethe_result link_hello(struct link *link, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    const struct wire_hello hello = {.role = link->options.self};
    const struct wire_head head = {.type = WIRE_HELLO, .request = link_next_request(link)};
    wire_hello_write(&hello, &index);
    return link_send(link, &head, &index, NULL, err);
}

lethe_result link_welcome(struct link *link, const struct link_frame *hello, unsigned roles,
                          const uint8_t *boot_id, struct lethe_error *err)
{
    static const uint8_t none[BOOT_ID_BYTES];
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct wire_hello said;
    REQUIRE(hello->head.type == WIRE_HELLO);
    TRY(wire_hello_read(hello->index, &said, err));
    if ((roles & 1u << said.role) == 0)
        return error_set(err, LETHE_DENIED, "the peer's role has nothing to do here");
    link_is(link, said.role);
    wire_boot_write(boot_id != NULL ? boot_id : none, &index);
    return link_reply(link, &hello->head, 0, &index, err);
}

void link_is(struct link *link, enum wire_role peer)
{
    link->in.peer = peer;
    link_begin_idle(link);
}

enum wire_role link_role(const struct link *link)
{
    return link->in.peer;
}

const struct spiffe_id *link_peer(const struct link *link)
{
    return &link->peer;
}

/* ---- the rest --------------------------------------------------------------------------------
 */

void link_pause(struct link *link, bool paused)
{
    if (link->is_paused == paused || link->stage >= LINK_ENDING)
        return;
    link->is_paused = paused;
    link_begin_idle(link);
    loop_post(link->options.loop, &link->turn);
}

void link_counters(const struct link *link, struct link_counters *out)
{
    *out = link->counters;
    out->queued_bytes = link->out.queued_bytes;
}
