/* lethe_pool_allocate(): asked of the control plane, attached at its providers. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/client_calls.h"

#define TTL_DEFAULT_MS 60000u

static bool is_power_of_two(uint32_t number)
{
    return number != 0 && (number & (number - 1)) == 0;
}

/* What is asked for, with every default filled in. */
static lethe_result complete(const struct lethe_pool_lease_options *options,
                             struct wire_allocate *out, struct lethe_error *err)
{
    uint32_t block_bytes = options->block_bytes != 0 ? options->block_bytes : POOL_BLOCK_DEFAULT;
    uint64_t ttl_ms = options->ttl_ms != 0 ? options->ttl_ms : TTL_DEFAULT_MS;
    unsigned copies = MAX(options->copies, 1);
    if (!is_power_of_two(block_bytes) || block_bytes < POOL_BLOCK_MIN ||
        block_bytes > POOL_BLOCK_MAX)
        return error_set(err, LETHE_INVALID,
                         "block_bytes: %" PRIu32 " is no power of two from 4096 to 1048576",
                         block_bytes);
    if (ttl_ms < POOL_TTL_MIN_MS || ttl_ms > POOL_TTL_MAX_MS)
        return error_set(err, LETHE_INVALID, "ttl_ms: %" PRIu64 " is not from 1 s to 30 days",
                         ttl_ms);
    if (copies > WIRE_COPIES_MAX)
        return error_set(err, LETHE_INVALID, "copies: %u, and at most %u", copies, WIRE_COPIES_MAX);
    uint64_t blocks = options->bytes / block_bytes + (options->bytes % block_bytes != 0);
    if (blocks == 0 || blocks > POOL_BLOCKS_MAX)
        return error_set(err, LETHE_INVALID, "bytes: %" PRIu64 " of memory", options->bytes);
    *out = (struct wire_allocate){.bytes = blocks * block_bytes,
                                  .block_bytes = block_bytes,
                                  .ttl_ms = ttl_ms,
                                  .copies = (uint8_t)copies};
    return LETHE_OK;
}

static lethe_result ask(struct lethe_pool *pool, const struct wire_allocate *wanted,
                        struct wire_allocated *out, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    CLEANUP(buffer_clear) struct buffer answer = {0};
    wire_allocate_write(wanted, &index);
    TRY(buffer_result(&index, err));
    TRY(client_ask_control(pool, WIRE_ALLOCATE, &index, &answer, err));
    TRY(error_context(err,
                      wire_allocated_read(cursor_over(answer.bytes, answer.size_bytes), out, err),
                      "what the control plane allocated"));
    if (out->count == wanted->copies)
        return LETHE_OK;
    client_drop(pool, out);
    return error_set(err, LETHE_MALFORMED, "the control plane gave %zu copies instead of %u",
                     out->count, wanted->copies);
}

lethe_result lethe_pool_allocate(struct lethe_pool *pool,
                                 const struct lethe_pool_lease_options *options,
                                 struct lethe_pool_lease **out, struct lethe_error *err)
{
    *out = NULL;
    struct wire_allocate wanted;
    TRY(client_usable(pool, err));
    TRY(complete(options, &wanted, err));
    struct wire_allocated *placed = calloc(1, sizeof *placed);
    if (placed == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a lease");
    const struct client_lease_shape shape = {.bytes = wanted.bytes,
                                             .block_bytes = wanted.block_bytes,
                                             .ttl_ms = wanted.ttl_ms,
                                             .renews = !options->no_renewal};
    lethe_result result = ask(pool, &wanted, placed, err);
    if (result == LETHE_OK)
        result = client_lease_open(pool, &shape, placed, out, err);
    free(placed);
    return result;
}

uint64_t lethe_pool_lease_bytes(const struct lethe_pool_lease *lease)
{
    return lease->bytes;
}

/* ---- afterwards ------------------------------------------------------------------------------ */

static void renew_on_worker(void *context)
{
    struct client_call *call = context;
    struct lethe_pool_lease *lease = call->lease;
    call->left = 1 + lease->copy_count;
    for (unsigned i = 0; i < lease->copy_count; i++)
        client_copy_renew(&lease->copies[i], call);
    client_call_answered(call);
}

lethe_result lethe_pool_renew(struct lethe_pool_lease *lease, uint64_t *left_ms,
                              struct lethe_error *err)
{
    struct client_call call = {.left_ms = UINT64_MAX};
    TRY(client_usable(lease->pool, err));
    client_call_run(&call, lease, renew_on_worker);
    if (call.error.code == LETHE_OK && left_ms != NULL)
        *left_ms = call.left_ms;
    if (call.error.code != LETHE_OK && err != NULL)
        *err = call.error;
    return call.error.code;
}

static void show_copy(const struct client_copy *copy, struct lethe_pool_copy_state *out)
{
    memcpy(out->provider, copy->provider, sizeof out->provider);
    lease_id_hex(&copy->id, out->lease);
    out->connected = atomic_load(&copy->is_connected);
    out->lost = atomic_load(&copy->is_lost);
    out->stale_blocks = atomic_load(&copy->stale_blocks);
    out->repaired_blocks = atomic_load(&copy->repaired_blocks);
    out->left_ms = atomic_load(&copy->left_ms);
}
_Static_assert(sizeof((struct lethe_pool_copy_state *)0)->provider == SPIFFE_ID_MAX + 1,
               "an identity fits");

size_t lethe_pool_copies(const struct lethe_pool_lease *lease, struct lethe_pool_copy_state *out,
                         size_t capacity)
{
    for (size_t i = 0; i < MIN(capacity, (size_t)lease->copy_count); i++)
        show_copy(&lease->copies[i], &out[i]);
    return lease->copy_count;
}

lethe_result lethe_pool_release(struct lethe_pool_lease *lease, struct lethe_error *err)
{
    if (lease == NULL)
        return LETHE_OK;
    TRY(client_usable(lease->pool, err));
    return client_lease_end(lease, true, err);
}

void lethe_pool_lease_close(struct lethe_pool_lease *lease)
{
    if (lease != NULL && client_usable(lease->pool, NULL) == LETHE_OK)
        (void)!client_lease_end(lease, false, NULL);
}
