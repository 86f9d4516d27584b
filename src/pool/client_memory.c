/* What a worker uses again and again: parts, frames, and buffers for ciphertext. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/client_calls.h"

struct client_part *client_part_take(struct client_worker *worker)
{
    struct client_part *part = STAILQ_FIRST(&worker->free_parts);
    if (part != NULL)
        STAILQ_REMOVE_HEAD(&worker->free_parts, next);
    else
        part = malloc(sizeof *part);
    if (part == NULL)
        return NULL;
    *part = (struct client_part){0};
    STAILQ_INIT(&part->behind);
    return part;
}

void client_part_give(struct client_worker *worker, struct client_part *part)
{
    STAILQ_INSERT_HEAD(&worker->free_parts, part, next);
}

struct client_frame *client_frame_take(struct client_worker *worker)
{
    struct client_frame *frame = worker->free_frames;
    if (frame != NULL)
        worker->free_frames = frame->next;
    else
        frame = malloc(sizeof *frame);
    if (frame == NULL)
        return NULL;
    frame->worker = worker;
    frame->data = NULL;
    frame->holders = frame->replies = frame->count = 0;
    frame->acknowledged = 0;
    return frame;
}

void client_frame_let_go(struct client_frame *frame)
{
    REQUIRE(frame->holders > 0);
    if (--frame->holders > 0)
        return;
    struct client_worker *worker = frame->worker;
    client_chunk_give(worker, frame->data);
    frame->next = worker->free_frames;
    worker->free_frames = frame;
}

static unsigned class_of(size_t size_bytes)
{
    unsigned class_ = 0;
    while (((size_t)POOL_BLOCK_MIN << class_) < size_bytes)
        class_++;
    REQUIRE(class_ < CLIENT_CHUNK_CLASSES);
    return class_;
}

struct client_chunk *client_chunk_take(struct client_worker *worker, size_t size_bytes)
{
    unsigned class_ = class_of(size_bytes);
    struct client_chunk *chunk = worker->free_chunks[class_];
    if (chunk != NULL) {
        worker->free_chunks[class_] = chunk->next;
        return chunk;
    }
    chunk = malloc(sizeof *chunk);
    uint8_t *bytes = aligned_alloc(POOL_BLOCK_MIN, (size_t)POOL_BLOCK_MIN << class_);
    if (chunk == NULL || bytes == NULL) {
        free(chunk);
        free(bytes);
        return NULL;
    }
    *chunk = (struct client_chunk){.class_ = class_, .bytes = bytes};
    return chunk;
}

void client_chunk_give(struct client_worker *worker, struct client_chunk *chunk)
{
    if (chunk == NULL)
        return;
    chunk->next = worker->free_chunks[chunk->class_];
    worker->free_chunks[chunk->class_] = chunk;
}

/* ---- plaintext ------------------------------------------------------------------------------- */

static struct client_scratch *kept_scratch(struct client_worker *worker, size_t size_bytes)
{
    struct client_scratch **at = &worker->free_scratches;
    while (*at != NULL && (*at)->size_bytes != size_bytes)
        at = &(*at)->next;
    struct client_scratch *found = *at;
    if (found != NULL) {
        *at = found->next;
        worker->free_scratch_count--;
    }
    return found;
}

lethe_result client_scratch_take(struct client_worker *worker, size_t size_bytes,
                                 struct client_scratch **out, struct lethe_error *err)
{
    *out = kept_scratch(worker, size_bytes);
    if (*out != NULL)
        return LETHE_OK;
    struct client_scratch *scratch = calloc(1, sizeof *scratch);
    if (scratch == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a part of a block");
    const struct lethe_region_options options = {.class_ = LETHE_CLASS_CONTENT,
                                                 .label = {.id = "pool-block"}};
    lethe_result result = lethe_region_create(size_bytes, &options, &scratch->region, err);
    if (result != LETHE_OK) {
        free(scratch);
        return error_context(err, result, "a part of a block");
    }
    scratch->bytes = lethe_region_bytes(scratch->region);
    scratch->size_bytes = size_bytes;
    *out = scratch;
    return LETHE_OK;
}

static void scratch_free(struct client_scratch *scratch)
{
    lethe_region_free(scratch->region);
    free(scratch);
}

void client_scratch_give(struct client_worker *worker, struct client_scratch *scratch)
{
    if (scratch == NULL)
        return;
    if (worker->free_scratch_count >= CLIENT_SCRATCHES_KEPT) {
        scratch_free(scratch);
        return;
    }
    lethe_wipe(scratch->bytes, scratch->size_bytes);
    scratch->next = worker->free_scratches;
    worker->free_scratches = scratch;
    worker->free_scratch_count++;
}

void client_memory_clear(struct client_worker *worker)
{
    while (!STAILQ_EMPTY(&worker->free_parts)) {
        struct client_part *part = STAILQ_FIRST(&worker->free_parts);
        STAILQ_REMOVE_HEAD(&worker->free_parts, next);
        free(part);
    }
    while (worker->free_frames != NULL) {
        struct client_frame *frame = worker->free_frames;
        worker->free_frames = frame->next;
        free(frame);
    }
    while (worker->free_scratches != NULL) {
        struct client_scratch *scratch = worker->free_scratches;
        worker->free_scratches = scratch->next;
        scratch_free(scratch);
    }
    for (size_t i = 0; i < CLIENT_CHUNK_CLASSES; i++)
        while (worker->free_chunks[i] != NULL) {
            struct client_chunk *chunk = worker->free_chunks[i];
            worker->free_chunks[i] = chunk->next;
            free(chunk->bytes);
            free(chunk);
        }
}
