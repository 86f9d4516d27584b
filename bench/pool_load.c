#include "pool_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "net/loop.h"
#include "pool_link.h"
#include "pool_sealer.h"

#define ROOM_BYTES 128u    /* for a head before a block, and for a tail behind it */
#define PATIENCE_MS 30000u /* longer than any run */

/* One operation in flight. The request, or the answer, lies in `bytes` as it is on the wire: the
 * block always at ROOM_BYTES, its head right before it. */
struct slot {
    uint8_t *bytes;
    uint8_t *sealed;              /* the block is put from here; NULL: from `bytes` */
    uint8_t small[POOL_TEXT_MAX]; /* the answer to a set */
    struct pool_exchange exchange;
    uint32_t block;
    const uint8_t *out;
    size_t out_bytes;
    uint8_t *in;
    size_t in_bytes, got_bytes;
    double asked_s;
};

struct connection {
    struct worker *worker;
    struct pool_link link;
    struct loop_watch *watch;
    uint32_t first_key;
    uint32_t next_block;
    uint32_t left;      /* still to be asked, if the run has a number and no end */
    uint32_t *versions; /* of its blocks */
    struct pool_sealer *sealer;
    struct slot slots[POOL_DEPTH_MAX];
    uint64_t asked, sent, answered; /* operations; slots are taken in turn */
};

struct worker {
    struct pool_load *load;
    struct loop *loop;
    struct loop_timer *patience;
    struct connection *connections[POOL_CONNECTIONS_MAX];
    unsigned count, busy; /* connections; operations in flight */
};

struct pool_load {
    struct pool_load_options options;
    enum pool_operation operation; /* of a run */
    struct connection *connections;
    struct worker workers[POOL_THREADS];
    struct pool_tally tallies[POOL_THREADS];
};

static struct pool_tally *tally_of(const struct worker *worker)
{
    return &worker->load->tallies[worker - worker->load->workers];
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Puts the texts around the place of the block, and gives where all of it begins. */
static uint8_t *wrap_block(uint8_t *bytes, const struct pool_text *head,
                           const struct pool_text *tail, size_t block_bytes)
{
    uint8_t *start = bytes + ROOM_BYTES - head->size_bytes;
    memcpy(start, head->bytes, head->size_bytes);
    memcpy(bytes + ROOM_BYTES + block_bytes, tail->bytes, tail->size_bytes);
    return start;
}

static void prepare_set(struct slot *slot, size_t block_bytes)
{
    const struct pool_exchange *exchange = &slot->exchange;
    slot->out = wrap_block(slot->sealed != NULL ? slot->sealed : slot->bytes,
                           &exchange->request_head, &exchange->request_tail, block_bytes);
    slot->out_bytes =
        exchange->request_head.size_bytes + block_bytes + exchange->request_tail.size_bytes;
    slot->in = slot->small;
    slot->in_bytes = exchange->answer_head.size_bytes;
}

static void prepare_get(struct slot *slot, size_t block_bytes)
{
    const struct pool_exchange *exchange = &slot->exchange;
    slot->out = (const uint8_t *)exchange->request_head.bytes;
    slot->out_bytes = exchange->request_head.size_bytes;
    slot->in = slot->bytes + ROOM_BYTES - exchange->answer_head.size_bytes;
    slot->in_bytes =
        exchange->answer_head.size_bytes + block_bytes + exchange->answer_tail.size_bytes;
}

static struct slot *slot_of(struct connection *connection, uint64_t number)
{
    return &connection->slots[number % connection->worker->load->options.depth];
}

static void make_block(struct connection *connection, struct slot *slot, size_t block_bytes)
{
    uint8_t *block = slot->bytes + ROOM_BYTES;
    const uint32_t version = ++connection->versions[slot->block];
    pool_block_stamp(block, block_bytes, connection->first_key + slot->block, version);
    if (connection->sealer != NULL)
        pool_sealer_seal(connection->sealer, slot->block, version, block,
                         slot->sealed + ROOM_BYTES);
}

static void ask(struct connection *connection)
{
    const struct pool_load *load = connection->worker->load;
    const size_t block_bytes = load->options.block_bytes;
    struct slot *slot = slot_of(connection, connection->asked++);
    slot->block = connection->next_block;
    connection->next_block = (slot->block + 1) % load->options.blocks;
    const uint32_t key = connection->first_key + slot->block;
    slot->got_bytes = 0;
    slot->asked_s = bench_now_s();
    pool_exchange_make(load->options.protocol, load->operation, key, block_bytes, &slot->exchange);
    if (load->operation == POOL_SET) {
        make_block(connection, slot, block_bytes);
        prepare_set(slot, block_bytes);
    } else {
        prepare_get(slot, block_bytes);
    }
    connection->worker->busy++;
}

static bool may_ask(struct connection *connection)
{
    const struct pool_tally *tally = tally_of(connection->worker);
    if (tally->ends_s == 0)
        return connection->left > 0 && connection->left-- > 0;
    return tally->elapsed_s == 0;
}

/* ---- sending and receiving ------------------------------------------------------------------- */

static void watch_for(struct connection *connection, enum tls_want want)
{
    loop_watch_set(connection->watch,
                   want == TLS_WANT_WRITE ? LOOP_READ | LOOP_WRITE : (unsigned)LOOP_READ);
}

static void send_requests(struct connection *connection)
{
    enum tls_want want = TLS_DONE;
    while (connection->sent < connection->asked) {
        struct slot *slot = slot_of(connection, connection->sent);
        size_t written = pool_link_write(&connection->link, slot->out, slot->out_bytes, &want);
        slot->out += written;
        slot->out_bytes -= written;
        if (want != TLS_DONE)
            break;
        connection->sent += slot->out_bytes == 0;
    }
    if (want == TLS_DONE)
        pool_link_flush(&connection->link, &want);
    watch_for(connection, want);
}

/* What is there of the head must fit: a refusal is shorter, and would be waited for. */
static void check_head(const struct slot *slot)
{
    const struct pool_text *head = &slot->exchange.answer_head;
    size_t have = MIN(head->size_bytes, slot->got_bytes);
    struct lethe_error err = {0};
    if (memcmp(slot->in, head->bytes, have) == 0)
        return;
    snprintf(err.text, sizeof err.text, "%.*s", (int)MIN(slot->got_bytes, sizeof err.text - 1),
             (const char *)slot->in);
    bench_fail("the server refuses what is measured", &err);
}

static void check_answer(const struct connection *connection, const struct slot *slot)
{
    const struct pool_load *load = connection->worker->load;
    const size_t block_bytes = load->options.block_bytes;
    const struct pool_text *tail = &slot->exchange.answer_tail;
    if (load->operation == POOL_SET)
        return;
    if (memcmp(slot->bytes + ROOM_BYTES + block_bytes, tail->bytes, tail->size_bytes) != 0)
        bench_fail("an answer ends otherwise than expected", NULL);
    uint8_t *block = slot->bytes + ROOM_BYTES;
    const uint32_t version = connection->versions[slot->block];
    if (connection->sealer != NULL)
        pool_sealer_unseal(connection->sealer, slot->block, version, block);
    pool_block_check(block, block_bytes, connection->first_key + slot->block, version);
}

static void finish(struct connection *connection, struct slot *slot)
{
    struct worker *worker = connection->worker;
    check_answer(connection, slot);
    pool_tally_count(tally_of(worker), slot->asked_s, worker->load->options.block_bytes);
    connection->answered++;
    worker->busy--;
    if (may_ask(connection)) {
        ask(connection);
        send_requests(connection);
    } else if (worker->busy == 0) {
        loop_stop(worker->loop);
    }
}

/* Behind the last byte that is expected nobody looks where that would cost a call to see nothing.
 */
static void receive(struct connection *connection)
{
    enum tls_want want = TLS_DONE;
    while (connection->answered < connection->asked) {
        struct slot *slot = slot_of(connection, connection->answered);
        slot->got_bytes += pool_link_read(&connection->link, slot->in + slot->got_bytes,
                                          slot->in_bytes - slot->got_bytes, &want);
        if (want != TLS_DONE)
            return;
        check_head(slot);
        if (slot->got_bytes < slot->in_bytes)
            continue;
        finish(connection, slot);
        if (!pool_link_knows(&connection->link))
            return;
    }
}

static void ready(void *context, unsigned events)
{
    struct connection *connection = context;
    if ((events & LOOP_WRITE) != 0)
        send_requests(connection);
    if ((events & LOOP_READ) != 0)
        receive(connection);
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void gave_up(void *context)
{
    bench_fail("the server does not answer", NULL);
}

static lethe_result work(void *context, unsigned number, struct lethe_error *err)
{
    struct worker *worker = &((struct pool_load *)context)->workers[number];
    loop_timer_set(worker->patience, PATIENCE_MS);
    for (unsigned i = 0; i < worker->count; i++) {
        struct connection *connection = worker->connections[i];
        for (unsigned asked = 0; asked < worker->load->options.depth; asked++)
            if (may_ask(connection))
                ask(connection);
        send_requests(connection);
    }
    TRY(loop_run(worker->loop, err));
    loop_timer_clear(worker->patience);
    return LETHE_OK;
}

/* `seconds` 0: every block once. */
static void run_all(struct pool_load *load, enum pool_operation operation, double seconds)
{
    struct lethe_error err = {0};
    const double now_s = bench_now_s();
    load->operation = operation;
    for (unsigned i = 0; i < POOL_THREADS; i++)
        pool_tally_begin(&load->tallies[i], seconds > 0 ? now_s + seconds : 0);
    for (unsigned i = 0; i < load->options.connections; i++) {
        load->connections[i].left = load->options.blocks;
        load->connections[i].next_block = 0;
    }
    if (threads_run(POOL_THREADS, work, load, &err) != LETHE_OK)
        bench_fail("the client cannot run", &err);
}

void pool_load_run(struct pool_load *load, enum pool_operation operation, double seconds,
                   struct pool_result *out)
{
    run_all(load, operation, seconds);
    pool_tally_sum(load->tallies, POOL_THREADS, load->options.block_bytes, out);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void open_connection(struct connection *connection, struct worker *worker, unsigned number)
{
    const struct pool_load_options *options = &worker->load->options;
    const size_t slot_bytes = ROOM_BYTES + options->block_bytes + ROOM_BYTES;
    struct lethe_error err = {0};
    connection->worker = worker;
    connection->first_key = number * options->blocks;
    connection->versions = pool_allocate(options->blocks, sizeof *connection->versions);
    for (unsigned i = 0; i < options->depth; i++) {
        connection->slots[i].bytes = pool_allocate(1, slot_bytes);
        pool_block_fill(connection->slots[i].bytes, slot_bytes);
        if (options->sealed_bytes > 0)
            connection->slots[i].sealed = pool_allocate(1, slot_bytes);
    }
    if (options->sealed_bytes > 0)
        connection->sealer =
            pool_sealer_open(options->blocks, options->block_bytes, options->sealed_bytes);
    pool_link_open(&connection->link, options->port, options->tls);
    if (loop_watch(worker->loop, connection->link.fd, LOOP_READ, ready, connection,
                   &connection->watch, &err) != LETHE_OK)
        bench_fail("a connection cannot be watched", &err);
    worker->connections[worker->count++] = connection;
}

static void open_worker(struct worker *worker, struct pool_load *load)
{
    struct lethe_error err = {0};
    worker->load = load;
    tally_of(worker)->samples_s = pool_allocate(POOL_SAMPLES_MAX, sizeof(double));
    if (loop_create(&worker->loop, &err) != LETHE_OK ||
        loop_timer_create(worker->loop, gave_up, NULL, &worker->patience, &err) != LETHE_OK)
        bench_fail("no event loop", &err);
}

struct pool_load *pool_load_open(const struct pool_load_options *options)
{
    REQUIRE(options->connections <= POOL_CONNECTIONS_MAX && options->depth <= POOL_DEPTH_MAX);
    REQUIRE(options->block_bytes >= POOL_STAMP_BYTES);
    struct pool_load *load = pool_allocate(1, sizeof *load);
    load->options = *options;
    load->connections = pool_allocate(options->connections, sizeof *load->connections);
    for (unsigned i = 0; i < POOL_THREADS; i++)
        open_worker(&load->workers[i], load);
    for (unsigned i = 0; i < options->connections; i++)
        open_connection(&load->connections[i], &load->workers[i % POOL_THREADS], i);
    run_all(load, POOL_SET, 0);
    return load;
}

static void close_connection(struct connection *connection)
{
    loop_watch_free(connection->watch);
    pool_link_close(&connection->link);
    for (unsigned i = 0; i < POOL_DEPTH_MAX; i++) {
        free(connection->slots[i].bytes);
        free(connection->slots[i].sealed);
    }
    pool_sealer_close(connection->sealer);
    free(connection->versions);
}

void pool_load_close(struct pool_load *load)
{
    for (unsigned i = 0; i < load->options.connections; i++)
        close_connection(&load->connections[i]);
    for (unsigned i = 0; i < POOL_THREADS; i++) {
        loop_timer_free(load->workers[i].patience);
        loop_free(load->workers[i].loop);
        free(load->tallies[i].samples_s);
    }
    free(load->connections);
    free(load);
}
