/* What is submitted, waited for, and taken when it is done. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/thread.h"
#include "pool/client_calls.h"

struct lethe_pool_queue {
    struct lethe_pool *pool;
    pthread_mutex_t lock;
    pthread_cond_t some, none; /* something is done; nothing is under way */
    struct client_ops done, free;
    unsigned under_way;
    unsigned sleepers; /* in lethe_pool_complete() */
    int fd;
    atomic_bool is_watched; /* somebody has asked for the descriptor */
    lethe_pool_done *call;  /* NULL: what is done waits to be taken */
    void *context;
};

/* ---- checked --------------------------------------------------------------------------------- */

lethe_result client_pieces_check(const struct lethe_pool_lease *lease,
                                 enum lethe_pool_operation operation,
                                 const struct lethe_pool_piece *pieces, size_t count,
                                 struct lethe_error *err)
{
    TRY(client_usable(lease->pool, err));
    if (operation == LETHE_POOL_WRITE && lease->is_read_only)
        return error_set(err, LETHE_INVALID, "this lease is only read");
    for (size_t i = 0; i < count; i++) {
        const struct lethe_pool_piece *piece = &pieces[i];
        if (piece->offset > lease->bytes || piece->size_bytes > lease->bytes - piece->offset)
            return error_set(err, LETHE_INVALID,
                             "%zu bytes at %" PRIu64 " are not inside a lease of %" PRIu64,
                             piece->size_bytes, piece->offset, lease->bytes);
        if (piece->bytes == NULL && piece->size_bytes > 0)
            return error_set(err, LETHE_INVALID, "a piece without memory");
    }
    return LETHE_OK;
}

/* ---- submitted ------------------------------------------------------------------------------- */

/* On the worker. */
static void arrive(void *context)
{
    struct client_op *op = context;
    struct lethe_pool_lease *lease = op->lease;
    op->since_ms = client_now_ms(lease->worker);
    while (op->piece < op->count && op->pieces[op->piece].size_bytes == 0)
        op->piece++;
    if (lease->is_closing)
        error_set(&op->error, LETHE_CANCELLED, "the lease was closed");
    if (op->piece == op->count || lease->is_closing) {
        client_op_end(op);
        return;
    }
    STAILQ_INSERT_TAIL(&lease->ops, op, next);
    client_advance_soon(lease);
}

void client_op_submit(struct client_op *op)
{
    op->task = (struct loop_task){.work = arrive, .context = op};
    client_post(op->lease->worker, &op->task);
}

static lethe_result run(struct lethe_pool_lease *lease, enum lethe_pool_operation operation,
                        const struct lethe_pool_piece *pieces, size_t count,
                        struct lethe_error *err)
{
    TRY(client_pieces_check(lease, operation, pieces, count, err));
    struct client_op op = {
        .lease = lease, .operation = operation, .pieces = pieces, .count = count};
    client_op_submit(&op);
    while (atomic_load_explicit(&op.done, memory_order_acquire) == 0)
        word_wait(&op.done, 0);
    if (op.error.code != LETHE_OK && err != NULL)
        *err = op.error;
    return op.error.code;
}

lethe_result lethe_pool_write(struct lethe_pool_lease *lease, uint64_t offset, const void *bytes,
                              size_t size_bytes, struct lethe_error *err)
{
    const struct lethe_pool_piece piece = {
        .offset = offset, .bytes = (void *)(uintptr_t)bytes, .size_bytes = size_bytes};
    return run(lease, LETHE_POOL_WRITE, &piece, 1, err);
}

lethe_result lethe_pool_read(struct lethe_pool_lease *lease, uint64_t offset, void *out,
                             size_t size_bytes, struct lethe_error *err)
{
    const struct lethe_pool_piece piece = {
        .offset = offset, .bytes = out, .size_bytes = size_bytes};
    return run(lease, LETHE_POOL_READ, &piece, 1, err);
}

lethe_result lethe_pool_write_pieces(struct lethe_pool_lease *lease,
                                     const struct lethe_pool_piece *pieces, size_t count,
                                     struct lethe_error *err)
{
    return run(lease, LETHE_POOL_WRITE, pieces, count, err);
}

lethe_result lethe_pool_read_pieces(struct lethe_pool_lease *lease,
                                    const struct lethe_pool_piece *pieces, size_t count,
                                    struct lethe_error *err)
{
    return run(lease, LETHE_POOL_READ, pieces, count, err);
}

/* ---- queues ---------------------------------------------------------------------------------- */

static void init_waiting(struct lethe_pool_queue *queue)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->some, &monotonic);
    pthread_cond_init(&queue->none, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

lethe_result lethe_pool_queue_create(struct lethe_pool *pool, struct lethe_pool_queue **out,
                                     struct lethe_error *err)
{
    *out = NULL;
    TRY(client_usable(pool, err));
    struct lethe_pool_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a queue");
    queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->fd < 0) {
        free(queue);
        return error_from_errno(err, "a pool's queue");
    }
    queue->pool = pool;
    STAILQ_INIT(&queue->done);
    STAILQ_INIT(&queue->free);
    init_waiting(queue);
    *out = queue;
    return LETHE_OK;
}

static void free_ops(struct client_ops *ops)
{
    struct client_op *op;
    while ((op = STAILQ_FIRST(ops)) != NULL) {
        STAILQ_REMOVE_HEAD(ops, next);
        free(op->copied);
        free(op);
    }
}

void lethe_pool_queue_free(struct lethe_pool_queue *queue)
{
    if (queue == NULL)
        return;
    pthread_mutex_lock(&queue->lock);
    while (queue->under_way > 0 && client_usable(queue->pool, NULL) == LETHE_OK)
        pthread_cond_wait(&queue->none, &queue->lock);
    pthread_mutex_unlock(&queue->lock);
    free_ops(&queue->done);
    free_ops(&queue->free);
    pthread_cond_destroy(&queue->some);
    pthread_cond_destroy(&queue->none);
    pthread_mutex_destroy(&queue->lock);
    fd_close(queue->fd);
    free(queue);
}

/* One of those that were used before, or a new one. */
static lethe_result op_take(struct lethe_pool_queue *queue, struct client_op **out,
                            struct lethe_error *err)
{
    pthread_mutex_lock(&queue->lock);
    bool full = queue->under_way >= CLIENT_UNDER_WAY_MAX;
    struct client_op *op = full ? NULL : STAILQ_FIRST(&queue->free);
    if (op != NULL)
        STAILQ_REMOVE_HEAD(&queue->free, next);
    else if (!full)
        op = malloc(sizeof *op);
    queue->under_way += op != NULL;
    pthread_mutex_unlock(&queue->lock);
    *out = op;
    if (full)
        return error_set(err, LETHE_BUSY, "%u submissions are under way", CLIENT_UNDER_WAY_MAX);
    if (op == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a submission");
    op->copied = NULL;
    return LETHE_OK;
}

static void op_give(struct lethe_pool_queue *queue, struct client_op *op)
{
    pthread_mutex_lock(&queue->lock);
    queue->under_way--;
    STAILQ_INSERT_HEAD(&queue->free, op, next);
    pthread_mutex_unlock(&queue->lock);
}

static lethe_result copy_pieces(struct client_op *op,
                                const struct lethe_pool_submission *submission,
                                struct lethe_error *err)
{
    struct lethe_pool_piece *copy = op->own;
    if (submission->count > ARRAY_LEN(op->own))
        copy = op->copied = malloc(submission->count * sizeof *copy);
    if (copy == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a submission");
    memcpy(copy, submission->pieces, submission->count * sizeof *copy);
    op->pieces = copy;
    return LETHE_OK;
}

lethe_result lethe_pool_submit(struct lethe_pool_queue *queue,
                               const struct lethe_pool_submission *submission,
                               struct lethe_error *err)
{
    if (submission->count == 0 || submission->count > CLIENT_PIECES_MAX)
        return error_set(err, LETHE_INVALID, "%zu pieces instead of 1 to %u", submission->count,
                         CLIENT_PIECES_MAX);
    TRY(client_pieces_check(submission->lease, submission->operation, submission->pieces,
                            submission->count, err));
    struct client_op *op;
    TRY(op_take(queue, &op, err));
    op->lease = submission->lease;
    op->operation = submission->operation;
    op->count = submission->count;
    op->piece = op->piece_bytes = op->parts = 0;
    op->error.code = LETHE_OK;
    op->queue = queue;
    op->cookie = submission->cookie;
    lethe_result result = copy_pieces(op, submission, err);
    if (result != LETHE_OK)
        op_give(queue, op);
    else
        client_op_submit(op);
    return result;
}

/* ---- done ------------------------------------------------------------------------------------ */

/* Under the lock. */
static void signal_fd(struct lethe_pool_queue *queue, bool readable)
{
    uint64_t count = 1;
    if (!atomic_load(&queue->is_watched))
        return;
    if (readable)
        (void)!write(queue->fd, &count, sizeof count);
    else
        (void)!read(queue->fd, &count, sizeof count);
}

static void hand_out(struct client_op *op, struct lethe_pool_completion *out)
{
    out->cookie = op->cookie;
    out->result = op->error.code;
    if (op->error.code != LETHE_OK)
        out->error = op->error;
    else
        out->error.code = LETHE_OK, out->error.text[0] = out->error.hint[0] = '\0';
    free(MOVE(op->copied));
}

/* With the lock. */
static void one_fewer(struct lethe_pool_queue *queue)
{
    if (--queue->under_way == 0)
        pthread_cond_broadcast(&queue->none);
}

/* The op can be used again for what is submitted within. */
static void op_told(struct lethe_pool_queue *queue, struct client_op *op)
{
    struct lethe_pool_completion completion;
    hand_out(op, &completion);
    pthread_mutex_lock(&queue->lock);
    STAILQ_INSERT_HEAD(&queue->free, op, next);
    pthread_mutex_unlock(&queue->lock);
    queue->call(queue->context, &completion);
    pthread_mutex_lock(&queue->lock);
    one_fewer(queue);
    pthread_mutex_unlock(&queue->lock);
}

static void op_queued(struct lethe_pool_queue *queue, struct client_op *op)
{
    pthread_mutex_lock(&queue->lock);
    bool is_first = STAILQ_EMPTY(&queue->done);
    STAILQ_INSERT_TAIL(&queue->done, op, next);
    if (is_first)
        signal_fd(queue, true);
    if (queue->sleepers > 0)
        pthread_cond_signal(&queue->some);
    one_fewer(queue);
    pthread_mutex_unlock(&queue->lock);
}

void client_queue_done(struct client_op *op)
{
    if (op->queue != NULL) {
        (op->queue->call != NULL ? op_told : op_queued)(op->queue, op);
        return;
    }
    atomic_uint *done = &op->done; /* the op is gone once it is set */
    atomic_store_explicit(done, 1, memory_order_release);
    word_wake(done);
}

static struct timespec after(uint64_t wait_ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    wait_ms = MIN(wait_ms, (uint64_t)1 << 40);
    at.tv_sec += (time_t)(wait_ms / 1000);
    at.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

static void wait_for_some(struct lethe_pool_queue *queue, uint64_t wait_ms)
{
    if (wait_ms == 0 || !STAILQ_EMPTY(&queue->done))
        return;
    const struct timespec until = after(wait_ms);
    queue->sleepers++;
    while (STAILQ_EMPTY(&queue->done) &&
           pthread_cond_timedwait(&queue->some, &queue->lock, &until) != ETIMEDOUT)
        ;
    queue->sleepers--;
}

lethe_result lethe_pool_complete(struct lethe_pool_queue *queue, struct lethe_pool_completion *out,
                                 size_t capacity, uint64_t wait_ms, size_t *count,
                                 struct lethe_error *err)
{
    *count = 0;
    TRY(client_usable(queue->pool, err));
    pthread_mutex_lock(&queue->lock);
    wait_for_some(queue, capacity > 0 ? wait_ms : 0);
    bool had_some = !STAILQ_EMPTY(&queue->done);
    struct client_op *op;
    while (*count < capacity && (op = STAILQ_FIRST(&queue->done)) != NULL) {
        STAILQ_REMOVE_HEAD(&queue->done, next);
        hand_out(op, &out[(*count)++]);
        STAILQ_INSERT_HEAD(&queue->free, op, next);
    }
    if (had_some && STAILQ_EMPTY(&queue->done))
        signal_fd(queue, false);
    pthread_mutex_unlock(&queue->lock);
    return LETHE_OK;
}

int lethe_pool_queue_fd(const struct lethe_pool_queue *queue)
{
    struct lethe_pool_queue *watched = (struct lethe_pool_queue *)(uintptr_t)queue;
    pthread_mutex_lock(&watched->lock);
    if (!atomic_exchange(&watched->is_watched, true) && !STAILQ_EMPTY(&watched->done))
        signal_fd(watched, true);
    pthread_mutex_unlock(&watched->lock);
    return queue->fd;
}

void lethe_pool_queue_call(struct lethe_pool_queue *queue, lethe_pool_done *done, void *context)
{
    pthread_mutex_lock(&queue->lock);
    REQUIRE(queue->call == NULL && queue->under_way == 0);
    queue->call = done;
    queue->context = context;
    pthread_mutex_unlock(&queue->lock);
}
