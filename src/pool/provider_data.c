/* READ and WRITE: straight from blocks, and straight into them. */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "pool/provider_core.h"

static struct tenancy *tenancy_of(const struct consumer *consumer)
{
    return consumer->worker->provider->tenancy;
}

/* ---- channels -------------------------------------------------------------------------------- */

static lethe_result refuse_channel(const struct channel *channel, uint32_t number,
                                   struct lethe_error *err)
{
    if (number == 0 || channel->number != number)
        return error_set(err, LETHE_NOT_FOUND, "there is no such channel");
    if (channel->is_taken)
        return error_set(err, LETHE_CONFLICT, "another connection has taken the lease over");
    return error_set(err, lease_cause_result(channel->cause), "the lease is over: %s",
                     lease_cause_word(channel->cause));
}

struct channel *channel_find(struct consumer *consumer, uint32_t number, struct lethe_error *err)
{
    struct channel *channel = &consumer->channels[number % CHANNELS_MAX];
    if (number != 0 && channel->number == number && !channel->is_over)
        return channel;
    (void)!refuse_channel(channel, number, err);
    return NULL;
}

static void give_back_if_idle(struct channel *channel)
{
    if (!channel->is_over || channel->attachment == NULL || channel->holds > 0 ||
        channel->consumer->writing == channel)
        return;
    tenancy_detach(tenancy_of(channel->consumer), MOVE(channel->attachment));
}

void channel_is_over(struct channel *channel, enum lease_cause cause)
{
    channel->is_over = true;
    channel->cause = cause;
    channel->is_taken = cause == LEASE_CAUSE_NONE;
    give_back_if_idle(channel);
}

void channel_let_go(struct channel *channel, bool wrote)
{
    tenancy_let_go(tenancy_of(channel->consumer), channel->attachment, wrote);
    if (!wrote)
        channel->holds--;
    give_back_if_idle(channel);
}

void channels_clear(struct consumer *consumer)
{
    for (size_t i = 0; i < CHANNELS_MAX; i++) {
        struct channel *channel = &consumer->channels[i];
        REQUIRE(channel->holds == 0);
        if (channel->attachment != NULL)
            tenancy_detach(tenancy_of(consumer), MOVE(channel->attachment));
    }
}

/* ---- WRITE ----------------------------------------------------------------------------------- */

static lethe_result place_blocks(struct consumer *consumer, const struct channel *channel,
                                 const struct link_frame *frame, struct iovec *pieces,
                                 struct lethe_error *err)
{
    uint32_t block_bytes = attachment_block_bytes(channel->attachment);
    uint8_t *data, *place;
    const uint8_t *tag;
    if (frame->head.data_bytes != (uint64_t)frame->head.code * block_bytes)
        return error_set(err, LETHE_INVALID, "%" PRIu32 " bytes for %u blocks of %" PRIu32 " bytes",
                         frame->head.data_bytes, frame->head.code, block_bytes);
    for (size_t i = 0; i < frame->head.code; i++) {
        uint64_t block = wire_write_entry(&frame->index, i, &tag);
        TRY(tenancy_block(tenancy_of(consumer), channel->attachment, block, &data, &place, err));
        pieces[i] = (struct iovec){data, block_bytes};
    }
    return LETHE_OK;
}

static lethe_result place_write(struct consumer *consumer, const struct link_frame *frame,
                                struct iovec *pieces, struct lethe_error *err)
{
    struct channel *channel = channel_find(consumer, frame->head.channel, err);
    if (channel == NULL)
        return err->code;
    TRY(tenancy_hold(tenancy_of(consumer), channel->attachment, true, err));
    consumer->writing = channel;
    lethe_result result = place_blocks(consumer, channel, frame, pieces, err);
    if (result != LETHE_OK)
        channel_let_go(MOVE(consumer->writing), true);
    return result;
}

lethe_result consumer_place(void *context, struct link *link, const struct link_frame *frame,
                            struct iovec *pieces, size_t *count, struct lethe_error *err)
{
    struct consumer *consumer = context;
    consumer->refusal = (struct lethe_error){0};
    *count = frame->head.code;
    REQUIRE(frame->head.type == WIRE_WRITE && *count <= LINK_PIECES_MAX);
    return place_write(consumer, frame, pieces, &consumer->refusal);
}

/* All data are there: the tags follow. */
static void put_tags(struct consumer *consumer, const struct link_frame *frame)
{
    uint8_t *data, *place;
    const uint8_t *tag;
    for (size_t i = 0; i < frame->head.code; i++) {
        uint64_t block = wire_write_entry(&frame->index, i, &tag);
        bool is_there = tenancy_block(tenancy_of(consumer), consumer->writing->attachment, block,
                                      &data, &place, NULL) == LETHE_OK;
        REQUIRE(is_there);
        memcpy(place, tag, WIRE_TAG_BYTES);
    }
}

lethe_result consumer_wrote(struct consumer *consumer, const struct link_frame *frame,
                            lethe_result refused, struct lethe_error *err)
{
    if (refused != LETHE_OK)
        return link_refuse(consumer->link, &frame->head, &consumer->refusal, err);
    put_tags(consumer, frame);
    channel_let_go(MOVE(consumer->writing), true);
    return link_reply(consumer->link, &frame->head, 0, NULL, err);
}

/* ---- READ ------------------------------------------------------------------------------------ */

/* TLS has its own copy, or the link has ended. */
static void reply_is_sent(void *context)
{
    channel_let_go(context, false);
}

static lethe_result collect(struct consumer *consumer, const struct channel *channel,
                            const struct link_frame *frame, struct iovec *pieces,
                            struct buffer *tags, struct lethe_error *err)
{
    uint32_t block_bytes = attachment_block_bytes(channel->attachment);
    uint8_t *data, *tag;
    if (frame->head.code == 0 || (uint64_t)frame->head.code * block_bytes > WIRE_BLOCK_DATA_MAX)
        return error_set(err, LETHE_INVALID, "%u blocks of %" PRIu32 " bytes at once",
                         frame->head.code, block_bytes);
    for (size_t i = 0; i < frame->head.code; i++) {
        uint64_t block = wire_read_entry(&frame->index, i);
        TRY(tenancy_block(tenancy_of(consumer), channel->attachment, block, &data, &tag, err));
        pieces[i] = (struct iovec){data, block_bytes};
        buffer_append(tags, tag, WIRE_TAG_BYTES);
    }
    return buffer_result(tags, err);
}

/* Holds the channel until the reply was handed over, if LETHE_OK. */
static lethe_result begin_read(struct consumer *consumer, const struct link_frame *frame,
                               struct iovec *pieces, struct buffer *tags, struct channel **out,
                               struct lethe_error *why)
{
    *out = channel_find(consumer, frame->head.channel, why);
    if (*out == NULL)
        return why->code;
    TRY(tenancy_hold(tenancy_of(consumer), (*out)->attachment, false, why));
    (*out)->holds++;
    lethe_result result = collect(consumer, *out, frame, pieces, tags, why);
    if (result != LETHE_OK)
        channel_let_go(*out, false);
    return result;
}

lethe_result consumer_reads(struct consumer *consumer, const struct link_frame *frame,
                            struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer tags = {0};
    struct iovec pieces[WIRE_BLOCKS_MAX];
    struct channel *channel;
    struct lethe_error why = {0};
    if (begin_read(consumer, frame, pieces, &tags, &channel, &why) != LETHE_OK)
        return link_refuse(consumer->link, &frame->head, &why, err);
    const struct wire_head head = {.type = WIRE_READ | WIRE_REPLY,
                                   .channel = frame->head.channel,
                                   .request = frame->head.request};
    const struct link_data data = {pieces, frame->head.code, reply_is_sent, channel};
    lethe_result result = link_send(consumer->link, &head, &tags, &data, err);
    if (result != LETHE_OK)
        channel_let_go(channel, false);
    return result;
}
