#include "audit/batch.h"

#include <stdlib.h>
#include <string.h>

#include "audit/log_core.h"
#include "base/error.h"

/* A record, and behind it its texts. */
struct pushed {
    struct pushed *next;
    struct emitted record;
    size_t tag;
    _Alignas(8) char bytes[];
};

/* Records lie one behind the other. A batch that is used again has a block already. */
#define BLOCK_BYTES ((size_t)64 << 10)
struct block {
    struct block *next;
    size_t used_bytes;
    _Alignas(8) char bytes[BLOCK_BYTES];
};
_Static_assert(sizeof(struct pushed) + PACKED_BYTES_MAX <= BLOCK_BYTES, "each record fits");

/* ---- its life -------------------------------------------------------------------------------- */

static void begin(struct audit_batch *batch)
{
    batch->first = NULL;
    batch->end = &batch->first;
    batch->count = 0;
    batch->is_started = false;
    atomic_store(&batch->left, 1);
}

lethe_result audit_batch_create(struct audit_log *log, audit_batch_done *done, void *context,
                                struct audit_batch **out, struct lethe_error *err)
{
    struct audit_batch *batch = calloc(1, sizeof *batch);
    *out = batch;
    if (batch == NULL)
        return error_set(err, LETHE_NO_MEMORY, "a batch of records");
    batch->log = log;
    batch->done = done;
    batch->context = context;
    begin(batch);
    return LETHE_OK;
}

static void free_blocks(struct block *block)
{
    for (struct block *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
}

void audit_batch_clear(struct audit_batch *batch)
{
    REQUIRE(audit_batch_is_done(batch));
    if (batch->block != NULL) {
        free_blocks(MOVE(batch->block->next));
        batch->block->used_bytes = 0;
    }
    begin(batch);
}

void audit_batch_free(struct audit_batch *batch)
{
    if (batch == NULL)
        return;
    audit_batch_wait(batch);
    free_blocks(batch->block);
    free(batch);
}

/* ---- pushing --------------------------------------------------------------------------------- */

static void *take(struct audit_batch *batch, size_t size_bytes)
{
    struct block *block = batch->block;
    if (block == NULL || BLOCK_BYTES - block->used_bytes < size_bytes) {
        block = malloc(sizeof *block);
        if (block == NULL)
            return NULL;
        block->next = batch->block;
        block->used_bytes = 0;
        batch->block = block;
    }
    void *at = block->bytes + block->used_bytes;
    block->used_bytes += size_bytes;
    return at;
}

static struct pushed *make(struct audit_batch *batch, const struct audit_who *who,
                           const struct audit_event *event)
{
    struct packed packed;
    packed_make(&packed, who, event, clock_wall_ns(batch->log->clock));
    struct pushed *pushed = take(batch, sizeof *pushed + packed.size_bytes);
    if (pushed == NULL)
        return NULL;
    memcpy(pushed->bytes, packed.bytes, packed.size_bytes);
    packed_read(pushed->bytes, &pushed->record);
    pushed->record.event.epoch = event->epoch;
    pushed->next = NULL;
    return pushed;
}

lethe_result audit_push(struct audit_batch *batch, const struct audit_who *who,
                        const struct audit_event *event, size_t tag)
{
    struct audit_log *log = batch->log;
    REQUIRE(!batch->is_started);
    TRY(log_check_ours(log, NULL));
    struct pushed *pushed = make(batch, who, event);
    if (pushed == NULL)
        return LETHE_NO_MEMORY;
    pushed->tag = tag;
    *batch->end = pushed;
    batch->end = &pushed->next;
    batch->count++;
    struct entry *entry = &pushed->record.entry;
    entry->batch = batch;
    entry->follows = true; /* nobody waits for it alone */
    atomic_fetch_add(&batch->left, 1);
    pthread_mutex_lock(&log->mutex);
    entry->result = log_charge(log, entry, 1, NULL);
    bool is_queued = entry->result == LETHE_OK;
    if (is_queued)
        log_push(log, entry);
    pthread_mutex_unlock(&log->mutex);
    if (!is_queued)
        atomic_fetch_sub(&batch->left, 1);
    return LETHE_OK;
}

/* ---- becoming durable ------------------------------------------------------------------------ */

/* Who is last says so; the batch may be gone at once. */
void batch_told(struct audit_batch *batch)
{
    audit_batch_done *done = batch->done;
    void *context = batch->context;
    if (atomic_fetch_sub(&batch->left, 1) == 1 && done != NULL)
        done(context);
}

void audit_batch_start(struct audit_batch *batch)
{
    struct audit_log *log = batch->log;
    REQUIRE(!batch->is_started);
    pthread_mutex_lock(&log->mutex);
    batch->is_started = true;
    log_call_thread(log);
    pthread_mutex_unlock(&log->mutex);
    batch_told(batch);
}

bool audit_batch_is_done(const struct audit_batch *batch)
{
    unsigned left = atomic_load(&batch->left);
    return left == 0 || (left == 1 && batch->count == 0 && !batch->is_started);
}

/* Whoever waits may write as well. In a forked child there is nothing to wait for. */
void audit_batch_wait(struct audit_batch *batch)
{
    struct audit_log *log = batch->log;
    unsigned held = batch->is_started ? 0 : 1; /* by the batch itself */
    if (audit_batch_is_done(batch) || log_check_ours(log, NULL) != LETHE_OK)
        return;
    pthread_mutex_lock(&log->mutex);
    while (atomic_load(&batch->left) > held) {
        if (log->leading)
            pthread_cond_wait(&log->group_done, &log->mutex);
        else
            log_lead(log, NULL);
    }
    pthread_mutex_unlock(&log->mutex);
    batch->is_started = true;
    atomic_store(&batch->left, 0);
}

size_t audit_batch_count(const struct audit_batch *batch)
{
    return batch->count;
}

void audit_batch_failed(const struct audit_batch *batch, audit_batch_visit *visit, void *context)
{
    REQUIRE(audit_batch_is_done(batch));
    for (const struct pushed *at = batch->first; at != NULL; at = at->next) {
        if (at->record.entry.result != LETHE_OK)
            visit(context, at->tag, at->record.entry.result);
    }
}
