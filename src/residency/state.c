#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "residency/shard_core.h"

#define STATE_ALIVE 0x57a7e001u

/* `lock`: those who read and write hold it shared, a replacement alone. */
struct lethe_state {
    struct lethe_worker *worker;
    pthread_rwlock_t lock;
    unsigned alive; /* STATE_ALIVE until it is freed */
    size_t device_index;
    enum lethe_class class_;
    char id[IDENTIFIER_MAX + 1];
    char tenant[NAME_PART_MAX + 1];
    struct device_memory *memory; /* lock; NULL: a replacement failed */
};

static lethe_result take_memory(struct lethe_state *state, uint64_t size_bytes,
                                struct lethe_error *err)
{
    const struct worker_request request = {.device = state->device_index,
                                           .id = state->id,
                                           .tenant = state->tenant,
                                           .class_ = state->class_,
                                           .size_bytes = size_bytes};
    return worker_alloc(state->worker, &request, &state->memory, err);
}

static lethe_result give_memory(struct lethe_state *state, struct lethe_error *err)
{
    return worker_release(state->worker, state->id, state->tenant, MOVE(state->memory), err);
}

/* ---- create and free ------------------------------------------------------------------------- */

static void state_discard(struct lethe_state *state)
{
    if (state == NULL)
        return;
    pthread_rwlock_destroy(&state->lock);
    mark_freed(&state->alive);
    free(state);
}
DEFINE_CLEANUP(state_discard, struct lethe_state *);

static struct lethe_state *state_new(struct lethe_worker *worker,
                                     const struct lethe_placement *placement)
{
    struct lethe_state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return NULL;
    pthread_rwlock_init(&state->lock, NULL);
    state->worker = worker;
    state->alive = STATE_ALIVE;
    state->device_index = placement->device;
    state->class_ =
        placement->class_ == LETHE_CLASS_KEY ? LETHE_CLASS_OPTIMIZER : placement->class_;
    strncat(state->id, placement->id, sizeof state->id - 1);
    if (placement->tenant != NULL)
        strncat(state->tenant, placement->tenant, sizeof state->tenant - 1);
    return state;
}

lethe_result lethe_state_create(struct lethe_worker *worker,
                                const struct lethe_placement *placement, size_t size_bytes,
                                struct lethe_state **out, struct lethe_error *err)
{
    *out = NULL;
    TRY(worker_check(worker, err));
    TRY(placement_check(placement, err));
    TRY(shard_size_check(worker, placement->id, size_bytes, err));
    CLEANUP(state_discard) struct lethe_state *state = state_new(worker, placement);
    if (state == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a state");
    TRY(take_memory(state, size_bytes, err));
    worker_hold(worker);
    *out = MOVE(state);
    return LETHE_OK;
}

lethe_result lethe_state_free(struct lethe_state *state, struct lethe_error *err)
{
    if (state == NULL)
        return LETHE_OK;
    REQUIRE(state->alive == STATE_ALIVE);
    lethe_result result = give_memory(state, err);
    worker_unhold(state->worker);
    state_discard(state);
    return result;
}

/* ---- read and write -------------------------------------------------------------------------- */

/* Under the lock. */
static lethe_result check_there(const struct lethe_state *state, struct lethe_error *err)
{
    TRY(worker_check(state->worker, err));
    if (state->memory != NULL)
        return LETHE_OK;
    return error_set(err, LETHE_LOST, "it was wiped for a replacement, which then failed");
}

static lethe_result write_there(struct lethe_state *state, size_t offset_bytes, const void *bytes,
                                size_t size_bytes, struct lethe_error *err)
{
    TRY(check_there(state, err));
    return device_write(state->memory, offset_bytes, bytes, size_bytes, err);
}

static lethe_result read_there(const struct lethe_state *state, size_t offset_bytes, void *out,
                               size_t size_bytes, struct lethe_error *err)
{
    TRY(check_there(state, err));
    return device_read(state->memory, offset_bytes, out, size_bytes, err);
}

lethe_result lethe_state_write(struct lethe_state *state, size_t offset_bytes, const void *bytes,
                               size_t size_bytes, struct lethe_error *err)
{
    REQUIRE(state->alive == STATE_ALIVE);
    pthread_rwlock_rdlock(&state->lock);
    lethe_result result = write_there(state, offset_bytes, bytes, size_bytes, err);
    pthread_rwlock_unlock(&state->lock);
    return error_context(err, result, "state '%s'", state->id);
}

lethe_result lethe_state_read(struct lethe_state *state, size_t offset_bytes, void *out,
                              size_t size_bytes, struct lethe_error *err)
{
    REQUIRE(state->alive == STATE_ALIVE);
    pthread_rwlock_rdlock(&state->lock);
    lethe_result result = read_there(state, offset_bytes, out, size_bytes, err);
    pthread_rwlock_unlock(&state->lock);
    return error_context(err, result, "state '%s'", state->id);
}

/* ---- replace --------------------------------------------------------------------------------- */

/* Z-5. What was not shown to be zero stays away from everyone, so there is no going on. */
static lethe_result replace_memory(struct lethe_state *state, const void *bytes, size_t size_bytes,
                                   struct lethe_error *err)
{
    uint64_t old_bytes = state->memory != NULL ? device_memory_size(state->memory) : 0;
    lethe_result wiped = give_memory(state, err);
    const struct audit_event event = audit_checkpoint_replaced(
        lethe_class_name(state->class_), state->id, old_bytes, wiped == LETHE_OK);
    worker_emit(state->worker, state->tenant, "", &event);
    TRY(wiped);
    TRY(take_memory(state, size_bytes, err));
    lethe_result result = device_write(state->memory, 0, bytes, size_bytes, err);
    if (result != LETHE_OK)
        (void)!give_memory(state, NULL);
    return result;
}

static lethe_result replace(struct lethe_state *state, const void *bytes, size_t size_bytes,
                            struct lethe_error *err)
{
    TRY(worker_check(state->worker, err));
    if (bytes == NULL)
        return error_set(err, LETHE_INVALID, "bytes: there are none");
    TRY(shard_size_check(state->worker, state->id, size_bytes, err));
    pthread_rwlock_wrlock(&state->lock);
    lethe_result result = replace_memory(state, bytes, size_bytes, err);
    pthread_rwlock_unlock(&state->lock);
    return result;
}

lethe_result lethe_state_replace(struct lethe_state *state, void *bytes, size_t size_bytes,
                                 bool wipe_source, struct lethe_error *err)
{
    REQUIRE(state->alive == STATE_ALIVE);
    lethe_result result = replace(state, bytes, size_bytes, err);
    if (wipe_source && bytes != NULL)
        lethe_wipe(bytes, size_bytes);
    return error_context(err, result, "state '%s'", state->id);
}
