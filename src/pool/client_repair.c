/* Blocks that a copy has missed, or gave wrong, are written again from another copy: its sealed
 * bytes as they are, once they were shown to be the newest. */
#include "base/error.h"
#include "pool/client_calls.h"

static bool begin(struct client_copy *copy, uint64_t block)
{
    struct lethe_pool_lease *lease = copy->lease;
    struct client_part *part = client_part_take(lease->worker);
    if (part == NULL)
        return false;
    part->lease = lease;
    part->kind = PART_REPAIR;
    part->block = block;
    part->size = lease->block_bytes;
    part->target = (uint8_t)copy->index;
    part->since_ms = client_now_ms(lease->worker);
    lease->repairs++;
    client_enter(part);
    return true;
}

/* The first stale block from `from` on, wrapping around once; `blocks` for none. */
static uint64_t next_stale(const struct client_copy *copy, uint64_t from)
{
    uint64_t words = (copy->lease->blocks + 63) / 64;
    for (uint64_t i = 0; i <= words; i++) {
        uint64_t word = (from / 64 + i) % words, bits = copy->stale[word];
        if (i == 0)
            bits &= UINT64_MAX << from % 64;
        if (bits != 0)
            return 64 * word + (uint64_t)__builtin_ctzll(bits);
    }
    return copy->lease->blocks;
}

static void repair_copy(struct client_copy *copy)
{
    struct lethe_pool_lease *lease = copy->lease;
    for (uint64_t tries = 2 * CLIENT_REPAIRS_MAX; tries > 0; tries--) {
        if (atomic_load(&copy->stale_blocks) == 0 || lease->repairs >= CLIENT_REPAIRS_MAX)
            return;
        uint64_t block = next_stale(copy, copy->repair_from % lease->blocks);
        if (block == lease->blocks)
            return;
        copy->repair_from = block + 1;
        if (client_busy(lease->worker, lease, block) == NULL && !begin(copy, block))
            return;
    }
}

static bool has_other(const struct client_copy *copy)
{
    const struct lethe_pool_lease *lease = copy->lease;
    for (unsigned i = 0; i < lease->copy_count; i++)
        if (i != copy->index && lease->copies[i].state == COPY_ATTACHED)
            return true;
    return false;
}

void client_repair(struct lethe_pool_lease *lease)
{
    for (unsigned i = 0; lease->copy_count > 1 && i < lease->copy_count; i++)
        if (lease->copies[i].state == COPY_ATTACHED && has_other(&lease->copies[i]))
            repair_copy(&lease->copies[i]);
}
