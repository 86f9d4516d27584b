/* tests/pool/link_pair.h -- two links on one loop, of which each notes what happens to it. */
#ifndef TESTS_POOL_LINK_PAIR_H
#define TESTS_POOL_LINK_PAIR_H

#include <stdlib.h>

#include "base/error.h"
#include "peers.h"
#include "pool/link.h"

struct link_end {
    struct link *link;
    unsigned opened, ended;
    unsigned frames, refused, released;
    struct spiffe_id peer;
    struct lethe_error why;
    struct wire_head last; /* frame */
    uint8_t index[256];    /* its beginning */
    /* Where data go: this, in pieces of so many bytes (0: one). NULL: they are refused. */
    uint8_t *room;
    size_t piece_bytes;
    unsigned placed;
    bool in_a_call;
    /* What a test does with frames besides. */
    lethe_result (*on_frame)(struct link_end *end, const struct link_frame *frame,
                             struct lethe_error *err);
    lethe_result (*on_opened)(struct link_end *end, struct lethe_error *err);
    struct link_end *other;
};

static lethe_result end_opened(void *context, struct link *link, const struct spiffe_id *peer,
                               struct lethe_error *err)
{
    struct link_end *end = context;
    end->link = link;
    end->opened++;
    end->peer = *peer;
    return end->on_opened != NULL ? end->on_opened(end, err) : LETHE_OK;
}

static lethe_result end_place(void *context, struct link *link, const struct link_frame *frame,
                              struct iovec *pieces, size_t *count, struct lethe_error *err)
{
    struct link_end *end = context;
    end->placed++;
    if (end->room == NULL)
        return error_set(err, LETHE_LOST, "there is no room");
    size_t left = frame->head.data_bytes;
    size_t each = end->piece_bytes > 0 ? end->piece_bytes : left;
    for (*count = 0; left > 0; (*count)++) {
        size_t size = MIN(each, left);
        /* In the opposite order, so that no two pieces could be taken for one. */
        pieces[*count] = (struct iovec){end->room + left - size, size};
        left -= size;
    }
    return LETHE_OK;
}

static lethe_result end_frame(void *context, struct link *link, const struct link_frame *frame,
                              lethe_result refused, struct lethe_error *err)
{
    struct link_end *end = context;
    end->frames++;
    end->refused += refused != LETHE_OK;
    end->last = frame->head;
    memset(end->index, 0, sizeof end->index);
    if (frame->head.index_bytes > 0)
        memcpy(end->index, frame->index.at, MIN(sizeof end->index, frame->head.index_bytes));
    end->in_a_call = true;
    lethe_result result = end->on_frame != NULL ? end->on_frame(end, frame, err) : LETHE_OK;
    end->in_a_call = false;
    return result;
}

static void end_ended(void *context, struct link *link, const struct lethe_error *why)
{
    struct link_end *end = context;
    assert_false(end->in_a_call);
    end->ended++;
    end->why = *why;
    end->link = NULL;
    link_free(link);
}

static struct link_events events_of(struct link_end *end)
{
    return (struct link_events){end_opened, end_place, end_frame, end_ended, end};
}

static void count_release(void *context)
{
    struct link_end *end = context;
    end->released++;
}

/* ---- a pair ---------------------------------------------------------------------------------- */

struct link_pair {
    struct loop *loop;
    struct tls_context *serves, *dials;
    struct link_options server_options, client_options;
    struct link_end server, client;
    int listener;
    char address[32];
};

static void pair_prepare(struct link_pair *pair, enum peer server, enum peer client)
{
    *pair = (struct link_pair){0};
    assert_result(LETHE_OK, loop_create(&pair->loop, NULL));
    pair->serves = peer_context(server, true);
    pair->dials = peer_context(client, false);
    pair->listener = peers_listen(pair->address);
    pair->server.other = &pair->client;
    pair->client.other = &pair->server;
    pair->server_options = (struct link_options){.loop = pair->loop,
                                                 .tls = pair->serves,
                                                 .self = WIRE_PROVIDER,
                                                 .peer = WIRE_CONSUMER,
                                                 .events = events_of(&pair->server)};
    pair->client_options = (struct link_options){.loop = pair->loop,
                                                 .tls = pair->dials,
                                                 .self = WIRE_CONSUMER,
                                                 .peer = WIRE_PROVIDER,
                                                 .events = events_of(&pair->client)};
}

static void pair_turn(struct link_pair *pair)
{
    assert_result(LETHE_OK, loop_turn(pair->loop, 5, NULL));
}

#define pair_until(pair, condition)                                                                \
    do {                                                                                           \
        for (unsigned turns = 0; !(condition); turns++) {                                          \
            if (turns > 4000)                                                                      \
                fail_msg("never: %s (%s; %s)", #condition, (pair)->server.why.text,                \
                         (pair)->client.why.text);                                                 \
            pair_turn(pair);                                                                       \
        }                                                                                          \
    } while (0)

/* Dials and accepts; whether it opens is another question. */
static void pair_connect(struct link_pair *pair, const char *expected)
{
    struct lethe_error err = {0};
    int fd = -1;
    assert_ok(link_dial(&pair->client_options, pair->address, expected, &pair->client.link, &err),
              &err);
    for (unsigned i = 0; i < 1000 && fd < 0; i++) {
        pair_turn(pair);
        fd = accept4(pair->listener, NULL, NULL, SOCK_CLOEXEC);
    }
    assert_true(fd >= 0);
    assert_ok(link_accept(&pair->server_options, fd, &pair->server.link, &err), &err);
}

static void pair_open(struct link_pair *pair)
{
    pair_prepare(pair, PEER_PROVIDER, PEER_CONSUMER);
    pair_connect(pair, TERMS_PROVIDER);
    pair_until(pair, pair->server.opened && pair->client.opened);
}

static void pair_close(struct link_pair *pair)
{
    link_free(pair->server.link);
    link_free(pair->client.link);
    loop_free(pair->loop);
    tls_context_free(pair->serves);
    tls_context_free(pair->dials);
    close(pair->listener);
}

/* A request with data that stay; its number. */
static uint64_t send_write(struct link_end *end, const uint8_t *data, uint16_t blocks,
                           uint32_t block_bytes)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct lethe_error err = {0};
    static const uint8_t tag[WIRE_TAG_BYTES] = {9};
    struct iovec pieces[WIRE_BLOCKS_MAX];
    for (uint16_t i = 0; i < blocks; i++) {
        wire_write_entry_write(i, tag, &index);
        pieces[i] =
            (struct iovec){(uint8_t *)(uintptr_t)data + (size_t)i * block_bytes, block_bytes};
    }
    const struct wire_head head = {
        .type = WIRE_WRITE, .code = blocks, .channel = 1, .request = link_next_request(end->link)};
    const struct link_data named = {pieces, blocks, count_release, end};
    assert_ok(link_send(end->link, &head, &index, &named, &err), &err);
    return head.request;
}

static uint64_t send_read(struct link_end *end, uint16_t blocks)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct lethe_error err = {0};
    for (uint16_t i = 0; i < blocks; i++)
        wire_read_entry_write(i, &index);
    const struct wire_head head = {
        .type = WIRE_READ, .code = blocks, .channel = 1, .request = link_next_request(end->link)};
    assert_ok(link_send(end->link, &head, &index, NULL, &err), &err);
    return head.request;
}

/* Answers a READ with blocks that stay. */
static lethe_result reply_read(struct link_end *end, const struct wire_head *request,
                               const uint8_t *data, uint32_t block_bytes, struct lethe_error *err)
{
    static const char tags[WIRE_BLOCKS_MAX * WIRE_TAG_BYTES];
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct iovec piece = {(uint8_t *)(uintptr_t)data, (size_t)request->code * block_bytes};
    const struct link_data named = {&piece, 1, count_release, end};
    const struct wire_head head = {
        .type = WIRE_READ | WIRE_REPLY, .channel = request->channel, .request = request->request};
    buffer_append(&index, tags, (size_t)request->code * WIRE_TAG_BYTES);
    return link_send(end->link, &head, &index, &named, err);
}

static uint64_t send_simple(struct link_end *end, enum wire_type type)
{
    struct lethe_error err = {0};
    const struct wire_head head = {
        .type = (uint8_t)type, .channel = 1, .request = link_next_request(end->link)};
    assert_ok(link_send(end->link, &head, NULL, NULL, &err), &err);
    return head.request;
}

#endif
