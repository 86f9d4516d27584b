/* Connections to providers: dialled, lost, dialled again; what was sent and is to be answered. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/client_calls.h"

/* ---- sending --------------------------------------------------------------------------------- */

static void data_sent(void *frame)
{
    client_frame_let_go(frame);
}

static uint32_t channel_of(const struct client_request *request)
{
    bool is_copys = request->channel == 0 && request->copy != NULL && request->type != WIRE_ATTACH;
    return is_copys ? request->copy->channel : request->channel;
}

static struct client_pending *remember(struct client_remote *remote,
                                       const struct client_request *request)
{
    struct client_pending *pending = calloc(1, sizeof *pending);
    if (pending == NULL)
        return NULL;
    struct client_pendings *list =
        wire_answered_later(request->type) ? &remote->later : &remote->pendings;
    pending->type = request->type;
    pending->request = link_next_request(remote->link);
    pending->since_ms = client_now_ms(remote->worker);
    pending->channel = channel_of(request);
    pending->copy = request->copy;
    pending->frame = request->frame;
    pending->call = request->call;
    if (STAILQ_EMPTY(&remote->pendings))
        remote->answered_ms = pending->since_ms;
    if (request->frame != NULL) {
        request->frame->holders++;
        request->frame->replies++;
    }
    STAILQ_INSERT_TAIL(list, pending, next);
    return pending;
}

bool client_send(struct client_remote *remote, const struct client_request *request,
                 const struct buffer *index)
{
    static const struct buffer none;
    if (!remote->is_open)
        return false;
    const struct client_pending *pending = remember(remote, request);
    if (pending == NULL) {
        remote->is_open = false;
        link_end(remote->link, LETHE_NO_MEMORY, "no memory for what is to be answered");
        return false;
    }
    const struct wire_head head = {.type = (uint8_t)request->type,
                                   .code = request->blocks,
                                   .channel = pending->channel,
                                   .request = pending->request};
    struct link_data data = {.pieces = request->data, .count = 1};
    if (request->data != NULL) {
        data.released = data_sent;
        data.context = request->frame;
        request->frame->holders++;
    }
    struct lethe_error why = {0};
    if (link_send(remote->link, &head, index != NULL ? index : &none,
                  request->data != NULL ? &data : NULL, &why) != LETHE_OK) {
        remote->is_open = false; /* and it has ended: what is pending is unanswered then */
        if (request->data != NULL)
            client_frame_let_go(request->frame);
    }
    return true;
}

/* ---- receiving ------------------------------------------------------------------------------- */

static struct client_pending *find_pending(struct client_remote *remote,
                                           const struct wire_head *head)
{
    struct client_pending *pending = STAILQ_FIRST(&remote->pendings);
    if (wire_answered_later(head->type & (uint8_t)~WIRE_REPLY))
        STAILQ_FOREACH(pending, &remote->later, next)
    if (pending->request == head->request)
        break;
    bool fits = pending != NULL && pending->request == head->request &&
                head->type == (uint8_t)((unsigned)pending->type | WIRE_REPLY);
    return fits ? pending : NULL;
}

/* As many blocks as were asked for, each with its tag. */
static bool has_all(const struct client_frame *asked, const struct wire_head *head)
{
    return head->code == 0 &&
           head->data_bytes == (uint64_t)asked->count * asked->lease->block_bytes &&
           head->index_bytes == asked->count * WIRE_TAG_BYTES;
}

static lethe_result out_of_order(struct lethe_error *err)
{
    return error_set(err, LETHE_MALFORMED, "the provider answered what it was not asked");
}

static lethe_result place(void *context, struct link *link, const struct link_frame *frame,
                          struct iovec *pieces, size_t *count, struct lethe_error *err)
{
    const struct client_pending *pending = find_pending(context, &frame->head);
    if (pending == NULL || pending->type != WIRE_READ || !has_all(pending->frame, &frame->head))
        return out_of_order(err);
    *count = client_read_pieces(pending->frame, pieces);
    return LETHE_OK;
}

static void over(struct client_remote *remote, const struct wire_head *head)
{
    struct client_copy *copy;
    enum lease_cause cause = LEASE_CAUSE_NONE;
    LIST_FOREACH(copy, &remote->copies, next)
    if (copy->channel == head->channel)
        break;
    if (copy == NULL || head->channel == 0) {
        remote->dead_channels -= remote->dead_channels > 0;
        return;
    }
    if (head->value > UINT8_MAX || lease_cause_read((uint8_t)head->value, &cause) != LETHE_OK)
        cause = LEASE_CAUSE_PROVIDER_LOST;
    if (cause == LEASE_CAUSE_NONE) { /* taken over: by ourselves, over another connection */
        client_copy_detached(copy);
        return;
    }
    struct lethe_error why = {0};
    lethe_result result = lease_cause_result(cause);
    error_set(&why, result == LETHE_REVOKED ? LETHE_REVOKED : LETHE_LOST, "it was %s",
              cause == LEASE_CAUSE_PROVIDER_LOST ? "lost" : lease_cause_word(cause));
    client_copy_lose(copy, &why);
}

/* Who is let in and then refused everything would dial again at once, for ever. */
static bool shows_use(const struct client_pending *pending, const struct wire_head *head)
{
    return pending->type != WIRE_HELLO && pending->type != WIRE_ATTACH && head->code == 0;
}

static lethe_result arrived(void *context, struct link *link, const struct link_frame *frame,
                            lethe_result refused, struct lethe_error *err)
{
    struct client_remote *remote = context;
    if (frame->head.type == WIRE_OVER) {
        over(remote, &frame->head);
        return LETHE_OK;
    }
    struct client_pending *pending = find_pending(remote, &frame->head);
    if (pending == NULL || refused != LETHE_OK)
        return out_of_order(err);
    if (pending->type == WIRE_READ && frame->head.code == 0 &&
        !has_all(pending->frame, &frame->head))
        return error_set(err, LETHE_MALFORMED, "the provider gave another number of blocks");
    bool later = wire_answered_later((uint8_t)pending->type);
    STAILQ_REMOVE(later ? &remote->later : &remote->pendings, pending, client_pending, next);
    remote->answered_ms = client_now_ms(remote->worker);
    lethe_result result = client_take_answer(remote, pending, frame, err);
    if (result == LETHE_OK && shows_use(pending, &frame->head))
        remote->backoff_ms = 0;
    free(pending);
    return result;
}

/* ---- life of a connection -------------------------------------------------------------------- */

static lethe_result opened(void *context, struct link *link, const struct spiffe_id *peer,
                           struct lethe_error *err)
{
    struct client_remote *remote = context;
    CLEANUP(buffer_clear) struct buffer hello = {0};
    wire_hello_write(&(struct wire_hello){.role = WIRE_CONSUMER}, &hello);
    TRY(buffer_result(&hello, err));
    remote->is_open = true;
    remote->dead_channels = 0;
    if (!client_send(remote, &(struct client_request){.type = WIRE_HELLO}, &hello))
        return error_set(err, LETHE_NO_MEMORY, "no memory for a connection");
    struct client_copy *copy;
    LIST_FOREACH(copy, &remote->copies, next)
    client_copy_attach(copy);
    return LETHE_OK;
}

static void fail_all(struct client_remote *remote, struct client_pendings *list,
                     const struct lethe_error *why)
{
    struct client_pending *pending;
    while ((pending = STAILQ_FIRST(list)) != NULL) {
        STAILQ_REMOVE_HEAD(list, next);
        client_unanswered(remote, pending, why);
        free(pending);
    }
}

/* Soon, where it worked before; and later each time that nothing came of it. */
static void wait_to_dial(struct client_remote *remote)
{
    remote->backoff_ms =
        MIN(MAX(2 * remote->backoff_ms, CLIENT_BACKOFF_MIN_MS), CLIENT_BACKOFF_MAX_MS);
    remote->dial_at_ms = client_now_ms(remote->worker) + remote->backoff_ms;
    loop_timer_set(remote->worker->tick, MIN(remote->backoff_ms, CLIENT_TICK_MS));
}

static void ended(void *context, struct link *link, const struct lethe_error *why)
{
    struct client_remote *remote = context;
    remote->is_open = false;
    remote->why = *why;
    remote->link = NULL;
    link_free(link); /* lets go of what was not sent */
    struct client_copy *copy;
    LIST_FOREACH(copy, &remote->copies, next)
    client_copy_detached(copy);
    fail_all(remote, &remote->pendings, why);
    fail_all(remote, &remote->later, why);
    wait_to_dial(remote);
}

static void dial(struct client_remote *remote)
{
    const struct link_options options = {
        .loop = remote->worker->loop,
        .tls = remote->worker->pool->tls,
        .self = WIRE_CONSUMER,
        .peer = WIRE_PROVIDER,
        .events =
            {.opened = opened, .place = place, .frame = arrived, .ended = ended, .context = remote},
    };
    if (link_dial(&options, remote->address, remote->provider, &remote->link, &remote->why) !=
        LETHE_OK) {
        remote->link = NULL;
        wait_to_dial(remote);
    }
}

/* ---- who uses it ----------------------------------------------------------------------------- */

static bool is_for(const struct client_remote *remote, const struct client_remote *wanted)
{
    return remote->connection == wanted->connection &&
           remote->copy_count + remote->dead_channels < CLIENT_CHANNELS_MAX &&
           strcmp(remote->provider, wanted->provider) == 0 &&
           strcmp(remote->address, wanted->address) == 0;
}

static struct client_remote *find_remote(struct client_worker *worker,
                                         const struct client_remote *wanted)
{
    struct client_remote *remote;
    LIST_FOREACH(remote, &worker->remotes, next)
    if (is_for(remote, wanted))
        return remote;
    return NULL;
}

void client_remote_join(struct client_copy *copy, struct client_remote *wanted)
{
    struct client_worker *worker = copy->lease->worker;
    struct client_remote *remote = find_remote(worker, wanted);
    if (remote == NULL) {
        remote = wanted;
        LIST_INSERT_HEAD(&worker->remotes, remote, next);
    } else {
        client_remote_free(wanted);
    }
    copy->remote = remote;
    LIST_INSERT_HEAD(&remote->copies, copy, next);
    remote->copy_count++;
    if (remote->is_open)
        client_copy_attach(copy);
    else if (remote->link == NULL)
        dial(remote);
}

static void forget(struct client_pendings *list, const struct client_copy *copy)
{
    struct client_pending *pending;
    STAILQ_FOREACH(pending, list, next)
    if (pending->copy == copy) {
        REQUIRE(pending->frame == NULL);
        pending->copy = NULL;
        pending->call = NULL;
    }
}

void client_remote_leave(struct client_copy *copy)
{
    struct client_remote *remote = copy->remote;
    forget(&remote->pendings, copy);
    forget(&remote->later, copy);
    if (copy->channel != 0 && copy->state == COPY_ATTACHED)
        remote->dead_channels++;
    LIST_REMOVE(copy, next);
    remote->copy_count--;
}

lethe_result client_remote_create(struct client_worker *worker, const struct wire_placed *placed,
                                  unsigned connection, struct client_remote **out,
                                  struct lethe_error *err)
{
    struct client_remote *remote = *out = calloc(1, sizeof *remote);
    if (remote == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a connection");
    memcpy(remote->provider, placed->provider, sizeof remote->provider);
    memcpy(remote->address, placed->address, sizeof remote->address);
    remote->worker = worker;
    remote->connection = connection;
    STAILQ_INIT(&remote->pendings);
    STAILQ_INIT(&remote->later);
    LIST_INIT(&remote->copies);
    return LETHE_OK;
}

static void free_pendings(struct client_pendings *list)
{
    struct client_pending *pending;
    while ((pending = STAILQ_FIRST(list)) != NULL) {
        STAILQ_REMOVE_HEAD(list, next);
        free(pending);
    }
}

void client_remote_free(struct client_remote *remote)
{
    if (remote == NULL)
        return;
    link_free(remote->link);
    free_pendings(&remote->pendings);
    free_pendings(&remote->later);
    free(remote);
}

/* ---- the clock ------------------------------------------------------------------------------- */

static bool is_wanted(const struct client_remote *remote)
{
    const struct client_copy *copy;
    LIST_FOREACH(copy, &remote->copies, next)
    if (copy->state != COPY_LOST)
        return true;
    return false;
}

void client_remote_tick(struct client_remote *remote)
{
    uint64_t now_ms = client_now_ms(remote->worker);
    if (remote->copy_count == 0) {
        LIST_REMOVE(remote, next);
        client_remote_free(remote);
        return;
    }
    client_remote_look(remote);
    if (remote->link == NULL && now_ms >= remote->dial_at_ms && is_wanted(remote))
        dial(remote);
    if (remote->is_open && !STAILQ_EMPTY(&remote->pendings) &&
        now_ms > remote->answered_ms + remote->worker->pool->timeout_ms / 2) {
        remote->is_open = false;
        link_end(remote->link, LETHE_UNAVAILABLE, "the provider does not answer");
    }
}
