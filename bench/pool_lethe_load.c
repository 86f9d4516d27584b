#include <stdlib.h>

#include "pool_lethe.h"

#define PATIENCE_MS 30000u
#define AT_ONCE 64u
#define TTL_MS 600000u

/* One operation in flight. */
struct slot {
    struct client *client;
    uint8_t *bytes;
    uint32_t block;
    double asked_s;
};

struct client {
    struct pool_lethe_load *load;
    struct lethe_pool_lease *lease;
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
    unsigned busy; /* operations in flight */
    struct pool_tally tally;
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

static void ask(struct slot *slot)
{
    struct client *client = slot->client;
    struct pool_lethe_load *load = client->load;
    const size_t block_bytes = load->options.block_bytes;
    struct lethe_error err = {0};
    slot->block = client->next_block;
    client->next_block = (slot->block + 1) % load->options.blocks;
    slot->asked_s = bench_now_s();
    if (load->operation == POOL_SET)
        pool_block_stamp(slot->bytes, block_bytes, key_of(client, slot->block),
                         ++client->versions[slot->block]);
    const struct lethe_pool_piece piece = {.offset = (uint64_t)slot->block * block_bytes,
                                           .bytes = slot->bytes,
                                           .size_bytes = block_bytes};
    const struct lethe_pool_submission submission = {
        .operation = load->operation == POOL_SET ? LETHE_POOL_WRITE : LETHE_POOL_READ,
        .lease = client->lease,
        .pieces = &piece,
        .count = 1,
        .cookie = slot};
    must(lethe_pool_submit(load->lethe->queue, &submission, &err), &err);
    load->busy++;
}

static bool may_ask(struct client *client)
{
    const struct pool_tally *tally = &client->load->tally;
    if (tally->ends_s == 0)
        return client->left > 0 && client->left-- > 0;
    return tally->elapsed_s == 0;
}

static void finish(const struct lethe_pool_completion *completion)
{
    struct slot *slot = completion->cookie;
    struct client *client = slot->client;
    struct pool_lethe_load *load = client->load;
    must(completion->result, &completion->error);
    if (load->operation == POOL_GET)
        pool_block_check(slot->bytes, load->options.block_bytes, key_of(client, slot->block),
                         client->versions[slot->block]);
    pool_tally_count(&load->tally, slot->asked_s, load->options.block_bytes);
    load->busy--;
    if (may_ask(client))
        ask(slot);
}

/* `seconds` 0: every block once. */
static void run_all(struct pool_lethe_load *load, enum pool_operation operation, double seconds)
{
    static struct lethe_pool_completion completions[AT_ONCE];
    struct lethe_error err = {0};
    load->operation = operation;
    pool_tally_begin(&load->tally, seconds > 0 ? bench_now_s() + seconds : 0);
    for (unsigned i = 0; i < load->options.leases; i++) {
        load->clients[i].left = load->options.blocks;
        load->clients[i].next_block = 0;
        for (unsigned asked = 0; asked < load->options.depth; asked++)
            if (may_ask(&load->clients[i]))
                ask(&load->clients[i].slots[asked]);
    }
    while (load->busy > 0) {
        size_t count = 0;
        must(lethe_pool_complete(load->lethe->queue, completions, AT_ONCE, PATIENCE_MS, &count,
                                 &err),
             &err);
        if (count == 0)
            bench_fail("the pool does not answer", NULL);
        for (size_t i = 0; i < count; i++)
            finish(&completions[i]);
    }
}

void pool_lethe_load_run(struct pool_lethe_load *load, enum pool_operation operation,
                         double seconds, struct pool_result *out)
{
    run_all(load, operation, seconds);
    pool_tally_sum(&load->tally, 1, load->options.block_bytes, out);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void open_client(struct pool_lethe_load *load, unsigned number)
{
    const struct pool_lethe_load_options *options = &load->options;
    struct client *client = &load->clients[number];
    struct lethe_error err = {0};
    client->load = load;
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
}

struct pool_lethe_load *pool_lethe_load_open(struct pool_lethe *lethe,
                                             const struct pool_lethe_load_options *options)
{
    REQUIRE(options->block_bytes >= 2 * POOL_STAMP_BYTES);
    struct pool_lethe_load *load = pool_allocate(1, sizeof *load);
    load->lethe = lethe;
    load->options = *options;
    load->tally.samples_s = pool_allocate(POOL_SAMPLES_MAX, sizeof(double));
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
        must(lethe_pool_release(client->lease, &err), &err);
        for (unsigned slot = 0; slot < load->options.depth; slot++)
            free(client->slots[slot].bytes);
        free(client->slots);
        free(client->versions);
    }
    free(load->clients);
    free(load->tally.samples_s);
    free(load);
}
