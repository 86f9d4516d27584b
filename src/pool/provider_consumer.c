/* A consumer's connection: how it begins and ends, and what it asks for without data. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/provider_core.h"

/* How often, and how many times, an ATTACH asks again for a lease that another connection is still
 * writing to: that one was told to end, and does within its loop's turn. */
#define PARKED_MS 2u
#define PARKED_TRIES 1000u

/* ---- its end --------------------------------------------------------------------------------- */

/* On the first worker's loop. */
static void forget(void *context)
{
    struct consumer *consumer = context;
    struct provider *provider = consumer->worker->provider;
    limits_leave(provider->limits, consumer->source);
    consumer->worker->load--;
    provider->consumer_count--;
    free(consumer);
    provider_stop_if_done(provider);
}

/* What the link held was let go of. Behind this, the tenancy knows nothing of it. */
static void end(struct consumer *consumer)
{
    struct worker *worker = consumer->worker;
    if (consumer->is_counted)
        places_leave(worker->provider->places, link_peer(consumer->link)->text);
    link_free(MOVE(consumer->link));
    fd_close(FD_MOVE(consumer->fd));
    if (consumer->writing != NULL)
        channel_let_go(MOVE(consumer->writing), true);
    channels_clear(consumer);
    releases_orphan(consumer);
    loop_timer_free(consumer->parked_timer);
    buffer_clear(&consumer->parked_token);
    loop_unpost(worker->loop, &consumer->told);
    TAILQ_REMOVE(&worker->consumers, consumer, entry);
    loop_post(provider_loop(worker->provider), &consumer->ends);
}

void consumers_end(struct worker *worker)
{
    struct consumer *consumer;
    (void)!loop_turn(worker->loop, 0, NULL); /* some may not have begun */
    while ((consumer = TAILQ_FIRST(&worker->consumers)) != NULL)
        end(consumer);
}

static void consumer_ended(void *context, struct link *link, const struct lethe_error *why)
{
    end(context);
}

/* ---- what the tenancy tells ------------------------------------------------------------------ */

void provider_over(void *context, void *owner, uint32_t channel, enum lease_cause cause)
{
    struct consumer *consumer = owner;
    atomic_store(&consumer->channels_over[channel % CHANNELS_MAX], (unsigned char)(cause + 1));
    loop_post(consumer->worker->loop, &consumer->told);
}

void provider_cut(void *context, void *owner)
{
    struct consumer *consumer = owner;
    atomic_store(&consumer->is_cut, true);
    loop_post(consumer->worker->loop, &consumer->told);
}

/* Data that still come in would be written where another lease may be soon: only the end of the
 * connection keeps them out. */
static void tell_over(struct consumer *consumer, struct channel *channel, enum lease_cause cause)
{
    struct lethe_error ignored;
    const struct wire_head head = {
        .type = WIRE_OVER, .channel = channel->number, .value = (uint64_t)cause};
    if (link_send(consumer->link, &head, NULL, NULL, &ignored) != LETHE_OK)
        return; /* it has ended */
    if (consumer->writing == channel)
        link_end(consumer->link, LETHE_LOST, "the lease that is being written to is over");
}

static void hear(void *context)
{
    struct consumer *consumer = context;
    for (size_t i = 0; i < CHANNELS_MAX; i++) {
        unsigned char told = atomic_exchange(&consumer->channels_over[i], 0);
        struct channel *channel = &consumer->channels[i];
        if (told == 0 || channel->attachment == NULL || channel->is_over)
            continue;
        enum lease_cause cause = told - 1u;
        tell_over(consumer, channel, cause);
        channel_is_over(channel, cause);
    }
    if (atomic_load(&consumer->is_cut))
        link_end(consumer->link, LETHE_LOST, "what was read of an ended lease is not taken");
}

/* ---- its beginning --------------------------------------------------------------------------- */

static lethe_result consumer_opened(void *context, struct link *link, const struct spiffe_id *peer,
                                    struct lethe_error *err)
{
    return LETHE_OK; /* whether it may, HELLO is told */
}

/* On its worker's loop. */
static void begin(void *context)
{
    struct consumer *consumer = context;
    struct worker *worker = consumer->worker;
    struct provider *provider = worker->provider;
    struct tls_context *tls = provider_context(provider, true);
    struct lethe_error err;
    const struct link_options options = {
        .loop = worker->loop,
        .tls = tls,
        .self = WIRE_PROVIDER,
        .peer = WIRE_UNKNOWN,
        .idle_ms = provider->options.consumer_idle_ms,
        .events = {consumer_opened, consumer_place, consumer_frame, consumer_ended, consumer}};
    TAILQ_INSERT_TAIL(&worker->consumers, consumer, entry);
    if (link_accept(&options, consumer->fd, &consumer->link, &err) == LETHE_OK)
        consumer->fd = -1;
    else
        end(consumer);
    tls_context_free(tls);
}

static struct worker *least_loaded(struct provider *provider)
{
    struct worker *least = &provider->workers[0];
    for (unsigned i = 1; i < provider->worker_count; i++)
        if (provider->workers[i].load < least->load)
            least = &provider->workers[i];
    return least;
}

static struct consumer *make(struct worker *worker)
{
    struct consumer *consumer = calloc(1, sizeof *consumer);
    if (consumer == NULL)
        return NULL;
    consumer->worker = worker;
    consumer->fd = -1;
    consumer->begins = (struct loop_task){.work = begin, .context = consumer};
    consumer->ends = (struct loop_task){.work = forget, .context = consumer};
    consumer->told = (struct loop_task){.work = hear, .context = consumer};
    LIST_INIT(&consumer->releases);
    for (size_t i = 0; i < CHANNELS_MAX; i++)
        consumer->channels[i].consumer = consumer;
    return consumer;
}

void consumer_accept(struct provider *provider, int fd, const struct sockaddr_storage *address)
{
    CLEANUP(fd_close) int socket = fd;
    struct source_key key;
    char text[SOURCE_TEXT_SIZE];
    const char *why;
    source_of_address(address, &key, text);
    if (provider->consumer_count >= provider->options.connections_max)
        return;
    struct limits_source *source =
        limits_enter(provider->limits, &key, loop_now_ms(provider_loop(provider)), &why);
    if (source == NULL)
        return;
    struct worker *worker = least_loaded(provider);
    struct consumer *consumer = make(worker);
    if (consumer == NULL) {
        limits_leave(provider->limits, source);
        return;
    }
    consumer->source = source;
    consumer->fd = FD_MOVE(socket);
    worker->load++;
    provider->consumer_count++;
    loop_post(worker->loop, &consumer->begins);
}

/* ---- frames ---------------------------------------------------------------------------------- */

static lethe_result may_come(struct consumer *consumer, const char *who, struct lethe_error *why)
{
    struct provider *provider = consumer->worker->provider;
    if (tenancy_is_banned(provider->tenancy, who))
        return error_set(why, LETHE_REVOKED, "%s is revoked", who);
    if (!consumer->is_counted)
        TRY(places_enter(provider->places, who, why));
    consumer->is_counted = true;
    return LETHE_OK;
}

static lethe_result greet(struct consumer *consumer, const struct link_frame *frame,
                          struct lethe_error *err)
{
    struct provider *provider = consumer->worker->provider;
    const char *who = link_peer(consumer->link)->text;
    struct lethe_error why = {0};
    if (may_come(consumer, who, &why) == LETHE_OK)
        return link_welcome(consumer->link, frame, WIRE_BY_CONSUMER, provider->boot_id, err);
    TRY(link_refuse(consumer->link, &frame->head, &why, err));
    link_end(consumer->link, why.code, why.text);
    return LETHE_OK;
}

/* The next number whose place is free. */
static struct channel *next_channel(struct consumer *consumer)
{
    for (unsigned i = 0; i < CHANNELS_MAX; i++) {
        uint32_t number = ++consumer->attached_ever;
        struct channel *channel = &consumer->channels[number % CHANNELS_MAX];
        if (number == 0 || channel->attachment != NULL)
            continue;
        atomic_store(&consumer->channels_over[number % CHANNELS_MAX], 0);
        *channel = (struct channel){.consumer = consumer, .number = number};
        return channel;
    }
    return NULL;
}

static lethe_result attach(struct consumer *consumer, const void *token, size_t token_bytes,
                           struct tenancy_attached *out, struct channel **channel,
                           struct lethe_error *err)
{
    struct provider *provider = consumer->worker->provider;
    *channel = next_channel(consumer);
    if (*channel == NULL)
        return error_set(err, LETHE_LIMIT, "a connection has at most %u leases", CHANNELS_MAX);
    const struct tenancy_who who = {.consumer = link_peer(consumer->link)->text,
                                    .owner = consumer,
                                    .channel = (*channel)->number};
    lethe_result result = tenancy_attach(provider->tenancy, &who, token, token_bytes,
                                         provider_now_ms(provider), out, err);
    if (result == LETHE_OK)
        (*channel)->attachment = out->attachment;
    else
        (*channel)->number = 0;
    return result;
}

static lethe_result tell_attached(struct consumer *consumer, const struct wire_head *request,
                                  const struct channel *channel,
                                  const struct tenancy_attached *attached, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    const struct wire_head head = {.type = WIRE_ATTACH | WIRE_REPLY,
                                   .channel = channel->number,
                                   .request = request->request,
                                   .value = attached->left_ms};
    wire_attached_write(&attached->told, &index);
    return link_send(consumer->link, &head, &index, NULL, err);
}

/* LETHE_BUSY: nothing was said. */
static lethe_result try_attach(struct consumer *consumer, const struct wire_head *request,
                               const void *token, size_t token_bytes, struct lethe_error *err)
{
    struct tenancy_attached attached;
    struct channel *channel;
    struct lethe_error why = {0};
    lethe_result result = attach(consumer, token, token_bytes, &attached, &channel, &why);
    if (result == LETHE_BUSY && consumer->parked_tries < PARKED_TRIES)
        return LETHE_BUSY;
    return result == LETHE_OK ? tell_attached(consumer, request, channel, &attached, err)
                              : link_refuse(consumer->link, request, &why, err);
}

static void try_again(void *context)
{
    struct consumer *consumer = context;
    struct lethe_error err = {0};
    consumer->parked_tries++;
    lethe_result result = try_attach(consumer, &consumer->parked, consumer->parked_token.bytes,
                                     consumer->parked_token.size_bytes, &err);
    if (result == LETHE_BUSY) {
        loop_timer_set(consumer->parked_timer, PARKED_MS);
        return;
    }
    buffer_clear(&consumer->parked_token);
    link_pause(consumer->link, false);
}

/* Nothing else of this connection is heard meanwhile. */
static lethe_result park(struct consumer *consumer, const struct link_frame *frame,
                         struct lethe_error *err)
{
    consumer->parked = frame->head;
    buffer_clear(&consumer->parked_token);
    buffer_append(&consumer->parked_token, frame->index.at, frame->head.index_bytes);
    TRY(buffer_result(&consumer->parked_token, err));
    if (consumer->parked_timer == NULL)
        TRY(loop_timer_create(consumer->worker->loop, try_again, consumer, &consumer->parked_timer,
                              err));
    loop_timer_set(consumer->parked_timer, PARKED_MS);
    link_pause(consumer->link, true);
    return LETHE_OK;
}

static lethe_result on_attach(struct consumer *consumer, const struct link_frame *frame,
                              struct lethe_error *err)
{
    consumer->parked_tries = 0;
    lethe_result result =
        try_attach(consumer, &frame->head, frame->index.at, frame->head.index_bytes, err);
    return result == LETHE_BUSY ? park(consumer, frame, err) : result;
}

static lethe_result on_renew(struct consumer *consumer, const struct link_frame *frame,
                             struct lethe_error *err)
{
    struct provider *provider = consumer->worker->provider;
    struct lethe_error why = {0};
    uint64_t left_ms = 0;
    struct channel *channel = channel_find(consumer, frame->head.channel, &why);
    lethe_result result = why.code;
    if (channel != NULL)
        result = tenancy_renew(provider->tenancy, channel->attachment, provider_now_ms(provider),
                               &left_ms, &why);
    return result == LETHE_OK ? link_reply(consumer->link, &frame->head, left_ms, NULL, err)
                              : link_refuse(consumer->link, &frame->head, &why, err);
}

/* ---- by type --------------------------------------------------------------------------------- */

lethe_result consumer_frame(void *context, struct link *link, const struct link_frame *frame,
                            lethe_result refused, struct lethe_error *err)
{
    struct consumer *consumer = context;
    switch (frame->head.type) {
    case WIRE_HELLO:
        return greet(consumer, frame, err);
    case WIRE_ATTACH:
        return on_attach(consumer, frame, err);
    case WIRE_READ:
        return consumer_reads(consumer, frame, err);
    case WIRE_WRITE:
        return consumer_wrote(consumer, frame, refused, err);
    case WIRE_RENEW:
        return on_renew(consumer, frame, err);
    case WIRE_RELEASE:
        return consumer_releases(consumer, frame, err);
    default:
        return error_set(err, LETHE_MALFORMED, "a frame that nobody asked for");
    }
}
