#include "policy/evaluate_inside.h"

#include <string.h>

#define CHUNK_SLOTS_MIN 64
#define CHUNK_SLOTS_MAX 8192 /* of what doubles */

static struct frame_chunk *chunk_after(struct evaluation *evaluation, size_t count)
{
    struct frame_chunk *chunk = evaluation->frames.chunk;
    if (chunk != NULL && chunk->newer != NULL && chunk->newer->capacity >= count)
        return chunk->newer;
    size_t capacity = chunk == NULL ? CHUNK_SLOTS_MIN : MIN(2 * chunk->capacity, CHUNK_SLOTS_MAX);
    capacity = MAX(capacity, count);
    struct frame_chunk *made =
        arena_alloc(evaluation->arena, sizeof *made + capacity * sizeof(const struct value *));
    if (made == NULL)
        return NULL;
    made->capacity = capacity;
    made->newer = chunk == NULL ? NULL : chunk->newer;
    if (chunk != NULL)
        chunk->newer = made;
    return made;
}

const struct value **frame_take(struct evaluation *evaluation, size_t count)
{
    struct frame_stack *frames = &evaluation->frames;
    if (frames->chunk == NULL || count > frames->chunk->capacity - frames->used) {
        struct frame_chunk *chunk = chunk_after(evaluation, count);
        if (chunk == NULL)
            return NULL;
        *frames = (struct frame_stack){.chunk = chunk};
    }
    const struct value **slots = frames->chunk->slots + frames->used;
    frames->used += count;
    memset(slots, 0, count * sizeof *slots);
    return slots;
}
