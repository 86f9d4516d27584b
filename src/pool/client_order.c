/* From what was submitted to parts of blocks, and the order in which those of one block are done.
 *
 * A block that is busy is in the worker's table, by the part that is being done; the others stand
 * behind it. A window keeps what is under way of one lease small, however much was submitted. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/client_calls.h"

/* ---- busy blocks ----------------------------------------------------------------------------- */

static struct client_part **bucket_of(struct client_worker *worker,
                                      const struct lethe_pool_lease *lease, uint64_t block)
{
    uint64_t mixed = (block ^ ((uintptr_t)lease >> 6)) * 0x9e3779b97f4a7c15ull;
    return &worker->buckets[mixed >> 52];
}
_Static_assert(CLIENT_BUCKETS == 1u << 12, "the highest 12 bits choose a bucket");

static struct client_part **find(struct client_worker *worker, const struct lethe_pool_lease *lease,
                                 uint64_t block)
{
    struct client_part **at = bucket_of(worker, lease, block);
    while (*at != NULL && ((*at)->lease != lease || (*at)->block != block))
        at = &(*at)->chain;
    return at;
}

struct client_part *client_busy(const struct client_worker *worker,
                                const struct lethe_pool_lease *lease, uint64_t block)
{
    return *find((struct client_worker *)worker, lease, block);
}

static void make_busy(struct client_part *part)
{
    struct client_part **bucket = bucket_of(part->lease->worker, part->lease, part->block);
    part->chain = *bucket;
    *bucket = part;
    client_ready(part);
}

void client_ready(struct client_part *part)
{
    struct lethe_pool_lease *lease = part->lease;
    lease->wants_flush = true;
    if (part->step == STEP_READ)
        STAILQ_INSERT_TAIL(&lease->reads, part, next);
    else
        STAILQ_INSERT_TAIL(&lease->writes, part, next);
}

void client_enter(struct client_part *part)
{
    struct lethe_pool_lease *lease = part->lease;
    bool is_whole_write = part->kind == PART_WRITE && part->size == lease->block_bytes;
    part->step = is_whole_write ? STEP_WRITE : STEP_READ;
    lease->parts++;
    lease->parts_bytes += lease->block_bytes;
    if (part->size != lease->block_bytes)
        lease->scratch_bytes += lease->block_bytes;
    struct client_part *front = client_busy(lease->worker, lease, part->block);
    if (front != NULL)
        STAILQ_INSERT_TAIL(&front->behind, part, next);
    else
        make_busy(part);
}

/* The next in the line takes its place, and the line with it. */
static void leave_block(struct client_part *part)
{
    struct client_part **at = find(part->lease->worker, part->lease, part->block);
    REQUIRE(*at == part);
    *at = part->chain;
    struct client_part *heir = STAILQ_FIRST(&part->behind);
    if (heir == NULL)
        return;
    STAILQ_REMOVE_HEAD(&part->behind, next);
    STAILQ_CONCAT(&heir->behind, &part->behind);
    make_busy(heir);
}

/* ---- ops ------------------------------------------------------------------------------------- */

static bool is_exhausted(const struct client_op *op)
{
    return op->piece == op->count;
}

void client_op_end(struct client_op *op)
{
    if (op->error.code != LETHE_OK && op->operation == LETHE_POOL_READ)
        for (size_t i = 0; i < op->count; i++)
            if (op->pieces[i].size_bytes > 0)
                lethe_wipe(op->pieces[i].bytes, op->pieces[i].size_bytes);
    client_queue_done(op);
}

/* Nothing more of it is begun. */
static void give_up(struct client_op *op)
{
    if (!is_exhausted(op)) {
        REQUIRE(STAILQ_FIRST(&op->lease->ops) == op);
        STAILQ_REMOVE_HEAD(&op->lease->ops, next);
        op->piece = op->count;
    }
}

static void op_part_ended(struct client_op *op, const struct lethe_error *why)
{
    if (why != NULL) {
        if (op->error.code == LETHE_OK)
            op->error = *why;
        give_up(op);
    }
    if (--op->parts == 0 && is_exhausted(op))
        client_op_end(op);
}

void client_part_end(struct client_part *part, const struct lethe_error *why)
{
    struct lethe_pool_lease *lease = part->lease;
    struct client_worker *worker = lease->worker;
    leave_block(part);
    lease->parts--;
    lease->parts_bytes -= lease->block_bytes;
    if (part->size != lease->block_bytes)
        lease->scratch_bytes -= lease->block_bytes;
    client_scratch_give(worker, part->scratch);
    client_chunk_give(worker, part->sealed);
    if (part->op != NULL)
        op_part_ended(part->op, why);
    else
        lease->repairs--;
    client_part_give(worker, part);
}

/* ---- into parts ------------------------------------------------------------------------------ */

static bool has_room(const struct lethe_pool_lease *lease, bool is_whole)
{
    if (lease->parts == 0)
        return true;
    return lease->parts < CLIENT_WINDOW_PARTS &&
           lease->parts_bytes + lease->block_bytes <= CLIENT_WINDOW_BYTES &&
           (is_whole || lease->scratch_bytes == 0 ||
            lease->scratch_bytes + lease->block_bytes <= CLIENT_SCRATCH_BYTES);
}

static void advance_op(struct client_op *op, size_t size_bytes)
{
    op->piece_bytes += size_bytes;
    if (op->piece_bytes < op->pieces[op->piece].size_bytes)
        return;
    op->piece_bytes = 0;
    do
        op->piece++;
    while (!is_exhausted(op) && op->pieces[op->piece].size_bytes == 0);
    if (is_exhausted(op))
        STAILQ_REMOVE_HEAD(&op->lease->ops, next);
}

/* The next part of an op that has one; false: there is no room for it now. */
static bool begin_part(struct client_op *op)
{
    struct lethe_pool_lease *lease = op->lease;
    const struct lethe_pool_piece *piece = &op->pieces[op->piece];
    uint64_t at = piece->offset + op->piece_bytes;
    uint32_t offset = (uint32_t)(at & (lease->block_bytes - 1));
    size_t size_bytes = MIN(piece->size_bytes - op->piece_bytes, lease->block_bytes - offset);
    if (!has_room(lease, size_bytes == lease->block_bytes))
        return false;
    struct client_part *part = client_part_take(lease->worker);
    if (part == NULL)
        return false; /* when there is no memory at all, what waits runs out of time */
    part->lease = lease;
    part->op = op;
    part->kind = op->operation == LETHE_POOL_READ ? PART_READ : PART_WRITE;
    part->block = at / lease->block_bytes;
    part->offset = offset;
    part->size = (uint32_t)size_bytes;
    part->user = (uint8_t *)piece->bytes + op->piece_bytes;
    part->since_ms = op->since_ms;
    op->parts++;
    advance_op(op, size_bytes);
    client_enter(part);
    return true;
}

void client_advance(struct lethe_pool_lease *lease)
{
    bool began;
    do {
        began = false;
        struct client_op *op;
        while (!lease->is_closing && (op = STAILQ_FIRST(&lease->ops)) != NULL && begin_part(op))
            began = true;
        client_flush(lease);
    } while (began);
}

void client_advance_soon(struct lethe_pool_lease *lease)
{
    if (!lease->advance.waits)
        client_post(lease->worker, &lease->advance);
}

/* ---- too late -------------------------------------------------------------------------------- */

/* Takes those that `ends` out of a list and ends them. */
static void sweep(struct lethe_pool_lease *lease, struct client_parts *list, bool all)
{
    struct client_parts swept = STAILQ_HEAD_INITIALIZER(swept);
    STAILQ_CONCAT(&swept, list);
    uint64_t now_ms = client_now_ms(lease->worker), timeout_ms = lease->pool->timeout_ms;
    struct client_part *part;
    while ((part = STAILQ_FIRST(&swept)) != NULL) {
        STAILQ_REMOVE_HEAD(&swept, next);
        uint64_t since_ms = MAX(part->since_ms, lease->progress_ms);
        struct lethe_error why = {0};
        if (all)
            error_set(&why, LETHE_CANCELLED, "the lease was closed");
        else if (now_ms > since_ms + timeout_ms)
            client_overdue(part, &why);
        if (why.code != LETHE_OK)
            client_part_end(part, &why);
        else
            STAILQ_INSERT_TAIL(list, part, next);
    }
}

void client_parts_expire(struct lethe_pool_lease *lease)
{
    sweep(lease, &lease->reads, false);
    sweep(lease, &lease->writes, false);
}

void client_parts_cancel(struct lethe_pool_lease *lease)
{
    while (!STAILQ_EMPTY(&lease->reads) || !STAILQ_EMPTY(&lease->writes)) {
        sweep(lease, &lease->reads, true); /* those behind them become ready meanwhile */
        sweep(lease, &lease->writes, true);
    }
    struct client_op *op;
    while ((op = STAILQ_FIRST(&lease->ops)) != NULL) {
        error_set(&op->error, LETHE_CANCELLED, "the lease was closed");
        give_up(op);
        if (op->parts == 0)
            client_op_end(op);
    }
}
