#include <stdatomic.h>
#include <stdlib.h>

#include "base/thread.h"
#include "pool_lethe.h"

#define TTL_MS 600000u

/* Completions come on the pool's two threads; those of a lease always on the same, and leases take
 * turns among them. So every other lease shares a tally, and nothing is locked. */
#define POOL_THREADS 2u

/* One operation in flight. */
struct slot {
    struct client *client;
    uint8_t *bytes;
    uint32_t block;
    double asked_s;
};

struct client {
    struct pool_lethe_load *load;
    struct pool_tally *tally;
    struct lethe_pool_lease *lease;
    struct lethe_pool_queue *queue;
    struct slot *slots; /* `depth` */
    uint32_t number;
    uint32_t next_block;
    uint32_t left;      /* still to be asked, if the run has a number and no end */
    uint32_t *versions; /* of its blocks */
};

struct pool_lethe_load {
    struct pool_lethe *lethe;
    struct pool_lethe_load_options options;
    enum pool_operation operation; /* of a run */
    struct client *clients;
    atomic_uint busy; /* operations in flight, and who begins them */
    struct pool_tally tallies[POOL_THREADS];
};

static void must(lethe_result result, const struct lethe_error *err)
{
    if (result != LETHE_OK)
        bench_fail("the pool does not do what is measured", err);
}

static uint32_t key_of(const struct client *client, uint32_t block)
{
    return client->number * client->load->options.blocks + block;
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void prepare(struct slot *slot)
{
    struct client *client = slot->client;
    struct pool_lethe_load *load = client->load;
    slot->block = client->next_block;
    client->next_block = (slot->block + 1) % load->options.blocks;
    if (load->operation == POOL_SET)
        pool_block_stamp(slot->bytes, load->options.block_bytes, key_of(client, slot->block),
                         ++client->versions[slot->block]);
    atomic_fetch_add(&load->busy, 1);
}

static void ask(struct slot *slot)
{
    const struct pool_lethe_load *load = slot->client->load;
    const size_t block_bytes = load->options.block_bytes;
    struct lethe_error err = {0};
    slot->asked_s = bench_now_s();
    const struct lethe_pool_piece piece = {.offset = (uint64_t)slot->block * block_bytes,
                                           .bytes = slot->bytes,
                                           .size_bytes = block_bytes};
    const struct lethe_pool_submission submission = {
        .operation = load->operation == POOL_SET ? LETHE_POOL_WRITE : LETHE_POOL_READ,
        .lease = slot->client->lease,
        .pieces = &piece,
        .count = 1,
        .cookie = slot};
    must(lethe_pool_submit(slot->client->queue, &submission, &err), &err);
}

static bool may_ask(struct client *client)
{
    if (client->tally->ends_s == 0)
        return client->left > 0 && client->left-- > 0;
    return client->tally->elapsed_s == 0;
}

static void one_fewer(struct pool_lethe_load *load)
{
    if (atomic_fetch_sub(&load->busy, 1) == 1)
        word_wake(&load->busy);
}

static void finish(void *context, const struct lethe_pool_completion *completion)
{
    struct client *client = context;
    struct pool_lethe_load *load = client->load;
    struct slot *slot = completion->cookie;
    must(completion->result, &completion->error);
    if (load->operation == POOL_GET)
        pool_block_check(slot->bytes, load->options.block_bytes, key_of(client, slot->block),
                         client->versions[slot->block]);
    pool_tally_count(client->tally, slot->asked_s, load->options.block_bytes);
    if (may_ask(client)) {
        prepare(slot);
        ask(slot);
    }
    one_fewer(load);
}

/* Of a lease that nothing is in flight of. */
static void begin(struct client *client)
{
    unsigned count = 0;
    client->left = client->load->options.blocks;
    client->next_block = 0;
    for (; count < client->load->options.depth && may_ask(client); count++)
        prepare(&client->slots[count]);
    for (unsigned i = 0; i < count; i++)
        ask(&client->slots[i]);
}

/* `seconds` 0: every block once. */
static void run_all(struct pool_lethe_load *load, enum pool_operation operation, double seconds)
{
    load->operation = operation;
    for (unsigned i = 0; i < POOL_THREADS; i++)
        pool_tally_begin(&load->tallies[i], seconds > 0 ? bench_now_s() + seconds : 0);
    atomic_store(&load->busy, 1);
    for (unsigned i = 0; i < load->options.leases; i++)
        begin(&load->clients[i]);
    one_fewer(load);
    for (unsigned busy; (busy = atomic_load(&load->busy)) > 0;)
        word_wait(&load->busy, busy);
}

void pool_lethe_load_run(struct pool_lethe_load *load, enum pool_operation operation,
                         double seconds, struct pool_result *out)
{
    run_all(load, operation, seconds);
    pool_tally_sum(load->tallies, POOL_THREADS, load->options.block_bytes, out);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void open_client(struct pool_lethe_load *load, unsigned number)
{
    const struct pool_lethe_load_options *options = &load->options;
    struct client *client = &load->clients[number];
    struct lethe_error err = {0};
    client->load = load;
    client->tally = &load->tallies[number % POOL_THREADS];
    client->number = number;
    client->versions = pool_allocate(options->blocks, sizeof *client->versions);
    client->slots = pool_allocate(options->depth, sizeof *client->slots);
    for (unsigned i = 0; i < options->depth; i++) {
        client->slots[i] =
            (struct slot){.client = client, .bytes = pool_allocate(1, options->block_bytes)};
        pool_block_fill(client->slots[i].bytes, options->block_bytes);
    }
    must(lethe_pool_allocate(
             load->lethe->pool,
             &(struct lethe_pool_lease_options){.bytes = options->blocks * options->block_bytes,
                                                .block_bytes = options->lease_block,
                                                .ttl_ms = TTL_MS},
             &client->lease, &err),
         &err);
    must(lethe_pool_queue_create(load->lethe->pool, &client->queue, &err), &err);
    lethe_pool_queue_call(client->queue, finish, client);
}

struct pool_lethe_load *pool_lethe_load_open(struct pool_lethe *lethe,
                                             const struct pool_lethe_load_options *options)
{
    REQUIRE(options->block_bytes >= 2 * POOL_STAMP_BYTES);
    struct pool_lethe_load *load = pool_allocate(1, sizeof *load);
    load->lethe = lethe;
    load->options = *options;
    for (unsigned i = 0; i < POOL_THREADS; i++)
        load->tallies[i].samples_s = pool_allocate(POOL_SAMPLES_MAX, sizeof(double));
    load->clients = pool_allocate(options->leases, sizeof *load->clients);
    for (unsigned i = 0; i < options->leases; i++)
        open_client(load, i);
    run_all(load, POOL_SET, 0);
    return load;
}

void pool_lethe_load_close(struct pool_lethe_load *load)
{
    struct lethe_error err = {0};
    for (unsigned i = 0; i < load->options.leases; i++) {
        struct client *client = &load->clients[i];
        lethe_pool_queue_free(client->queue);
        must(lethe_pool_release(client->lease, &err), &err);
        for (unsigned slot = 0; slot < load->options.depth; slot++)
            free(client->slots[slot].bytes);
        free(client->slots);
        free(client->versions);
    }
    free(load->clients);
    for (unsigned i = 0; i < POOL_THREADS; i++)
        free(load->tallies[i].samples_s);
    free(load);
}
