/* pool/client_calls.h -- what each file of a consumer does for the others; pool/client_core.h has
 * what they do it with, and the thread rule. */
#ifndef POOL_CLIENT_CALLS_H
#define POOL_CLIENT_CALLS_H

#include "pool/client_core.h"

/* client_worker.c */
LETHE_MUST_CHECK lethe_result client_worker_create(struct lethe_pool *pool, unsigned number,
                                                   struct client_worker **out,
                                                   struct lethe_error *err);
void client_worker_free(struct client_worker *worker); /* has no leases; NULL is fine */
/* Any thread. What a turn posts is run at the turn's end. */
static inline void client_post(struct client_worker *worker, struct loop_task *task)
{
    REQUIRE(loop_post(worker->loop, task));
}
static inline uint64_t client_now_ms(const struct client_worker *worker)
{
    return loop_now_ms(worker->loop);
}
/* Another thread: run(call) on the lease's worker, and waits until all of it is answered. */
void client_call_run(struct client_call *call, struct lethe_pool_lease *lease,
                     void (*run)(void *call));
void client_call_fail(struct client_call *call, const struct lethe_error *why); /* the first */
void client_call_answered(struct client_call *call); /* one fewer is waited for */

/* client_memory.c */
struct client_part *client_part_take(struct client_worker *worker); /* NULL: no memory */
void client_part_give(struct client_worker *worker, struct client_part *part);
struct client_frame *client_frame_take(struct client_worker *worker);
void client_frame_let_go(struct client_frame *frame); /* one holder less */
struct client_chunk *client_chunk_take(struct client_worker *worker, size_t size_bytes);
void client_chunk_give(struct client_worker *worker, struct client_chunk *chunk);
/* Zeroed. */
LETHE_MUST_CHECK lethe_result client_scratch_take(struct client_worker *worker, size_t size_bytes,
                                                  struct client_scratch **out,
                                                  struct lethe_error *err);
void client_scratch_give(struct client_worker *worker, struct client_scratch *scratch); /* wipes */
void client_memory_clear(struct client_worker *worker);

/* client_order.c */
/* Makes parts of what was submitted while there is room, and frames of what is ready. */
void client_advance(struct lethe_pool_lease *lease);
void client_advance_soon(struct lethe_pool_lease *lease); /* at the end of the turn, once */
/* NULL: the block is free. */
struct client_part *client_busy(const struct client_worker *worker,
                                const struct lethe_pool_lease *lease, uint64_t block);
void client_enter(struct client_part *part); /* when its block is free, it is ready */
void client_ready(struct client_part *part); /* (again) */
/* `why` NULL: it is done. Frees it. */
void client_part_end(struct client_part *part, const struct lethe_error *why);
void client_op_end(struct client_op *op);
/* Of those that are ready: ends what waits too long, or everything. */
void client_parts_expire(struct lethe_pool_lease *lease);
void client_parts_cancel(struct lethe_pool_lease *lease);

/* client_frames.c */
/* Sends what is ready and can be sent. */
void client_flush(struct lethe_pool_lease *lease);
bool client_is_attached(const struct client_copy *copy);
/* Held by who makes it. NULL: no memory. */
struct client_frame *client_frame_begin(struct lethe_pool_lease *lease, bool is_write);
bool client_frame_is_full(const struct client_frame *frame);
/* False: the copy's connection is gone. */
bool client_frame_send(struct client_frame *frame, struct client_copy *copy);
/* Where a part's block is in plain. */
uint8_t *client_plain(const struct client_part *part);

/* client_reads.c */
void client_reads_flush(struct lethe_pool_lease *lease);
/* Where the blocks of an answer go. */
size_t client_read_pieces(const struct client_frame *frame, struct iovec *pieces);
/* A copy has answered a frame, or never will; `why` NULL: as it should. */
void client_read_answered(struct client_frame *frame, struct client_copy *copy, const uint8_t *tags,
                          const struct lethe_error *why);
/* Why a part that waits too long could not be done. */
void client_overdue(const struct client_part *part, struct lethe_error *why);

/* client_writes.c */
void client_writes_flush(struct lethe_pool_lease *lease);
void client_write_answered(struct client_frame *frame, struct client_copy *copy,
                           const struct lethe_error *why);

/* client_copies.c */
bool client_is_stale(const struct client_copy *copy, uint64_t block);
void client_stale_set(struct client_copy *copy, uint64_t block, bool is_stale);
bool client_all_lost(const struct lethe_pool_lease *lease, struct lethe_error *why);
void client_copy_lose(struct client_copy *copy, const struct lethe_error *why);
void client_copy_detached(struct client_copy *copy);
void client_copy_attach(struct client_copy *copy); /* sends ATTACH where that can be done */
void client_copy_attached(struct client_copy *copy, const struct link_frame *frame);
void client_copy_refused(struct client_copy *copy, const struct lethe_error *why);
void client_copy_renew(struct client_copy *copy, struct client_call *call);
void client_copy_renewed(struct client_copy *copy, uint64_t left_ms);
void client_copy_token(struct client_copy *copy, struct client_job *job); /* is there, or not */
void client_copy_tick(struct client_copy *copy);

/* client_repair.c */
void client_repair(struct lethe_pool_lease *lease);

/* client_wiping.c */
void client_remote_look(struct client_remote *remote); /* at every tick */

/* client_remote.c */
/* Any thread. */
LETHE_MUST_CHECK lethe_result client_remote_create(struct client_worker *worker,
                                                   const struct wire_placed *placed,
                                                   unsigned connection, struct client_remote **out,
                                                   struct lethe_error *err);
/* `wanted` is used, or freed where there is such a connection. */
void client_remote_join(struct client_copy *copy, struct client_remote *wanted);
void client_remote_leave(struct client_copy *copy); /* forgets what is pending for it, too */
void client_remote_tick(struct client_remote *remote);
void client_remote_free(struct client_remote *remote);
/* What it says of itself goes out; the answer comes by type. Frames hold the data until they were
 * sent. False: the link is gone or going. */
struct client_request {
    enum wire_type type;
    struct client_copy *copy;
    struct client_frame *frame;
    struct client_call *call;
    uint32_t channel; /* 0: the copy's */
    uint16_t blocks;
    const struct iovec *data;
};
bool client_send(struct client_remote *remote, const struct client_request *request,
                 const struct buffer *index);

/* client_answers.c */
/* Anything but LETHE_OK ends the connection. */
LETHE_MUST_CHECK lethe_result client_take_answer(struct client_remote *remote,
                                                 struct client_pending *pending,
                                                 const struct link_frame *frame,
                                                 struct lethe_error *err);
void client_unanswered(struct client_remote *remote, struct client_pending *pending,
                       const struct lethe_error *why);

/* client_helper.c */
lethe_result client_helper_start(struct lethe_pool *pool, struct lethe_error *err);
void client_helper_stop(struct lethe_pool *pool);
/* What was granted and is not used is given back, where that can be done. Blocks. */
void client_drop(struct lethe_pool *pool, const struct wire_allocated *placed);
/* One of a handle's, however long it is wiped. Blocks. */
LETHE_MUST_CHECK lethe_result client_drop_wiped(struct lethe_pool *pool, const struct lease_id *id,
                                                struct lethe_error *err);
/* WIRE_TOKEN: client_copy_token() follows; WIRE_DROP: `call` is answered. */
void client_job_start(struct client_copy *copy, enum wire_type type, struct client_call *call);
/* Any thread; blocks. */
LETHE_MUST_CHECK lethe_result client_ask_control(struct lethe_pool *pool, enum wire_type type,
                                                 const struct buffer *index, struct buffer *answer,
                                                 struct lethe_error *err);

/* client_lease.c */
struct client_lease_shape {
    uint64_t bytes;
    uint32_t block_bytes;
    uint64_t ttl_ms;
    bool renews;
    bool is_read_only;
    const struct version_list *versions; /* of blocks that are there already; NULL: none */
    const struct lethe_secret *key;      /* NULL: a new one */
    uint8_t space[BLOCK_SPACE_BYTES];    /* of that key */
};
/* Any thread; waits until every copy is attached. */
LETHE_MUST_CHECK lethe_result client_lease_open(struct lethe_pool *pool,
                                                const struct client_lease_shape *shape,
                                                const struct wire_allocated *placed,
                                                struct lethe_pool_lease **out,
                                                struct lethe_error *err);
void client_lease_free(struct lethe_pool_lease *lease); /* its worker knows it no more */
/* A copy is attached or lost: whoever opens the lease may go on. */
void client_lease_open_check(struct lethe_pool_lease *lease);
/* A frame of it is answered. */
void client_lease_moved(struct lethe_pool_lease *lease);
void client_lease_forget(struct lethe_pool_lease *lease);
void client_lease_tick(struct lethe_pool_lease *lease);
/* Any thread: nothing more is begun; with `releases` providers are told to wipe. Frees it. */
LETHE_MUST_CHECK lethe_result client_lease_end(struct lethe_pool_lease *lease, bool releases,
                                               struct lethe_error *err);
/* LETHE_INVALID in a forked child: it has neither keys nor threads. */
LETHE_MUST_CHECK lethe_result client_usable(const struct lethe_pool *pool, struct lethe_error *err);

/* client_queue.c */
void client_queue_done(struct client_op *op);
/* Any thread: op's work for its lease's worker. */
void client_op_submit(struct client_op *op);
LETHE_MUST_CHECK lethe_result client_pieces_check(const struct lethe_pool_lease *lease,
                                                  enum lethe_pool_operation operation,
                                                  const struct lethe_pool_piece *pieces,
                                                  size_t count, struct lethe_error *err);

#endif
