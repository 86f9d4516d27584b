/* pool/client_core.h -- the inside of a consumer (lethe/pool.h).
 *
 *   worker   a thread with a loop. A lease belongs to one worker, with everything that it needs:
 *            remotes, copies, versions, parts. So nothing of that has a lock.
 *   remote   one connection to one provider: dialled, lost and dialled again while copies are there
 *   copy     of a lease on one provider: attached to a channel of a remote, or not, or lost
 *   op       what somebody submitted: pieces of a lease, read or written
 *   part     of an op: as much of it as lies in one block. Parts of one block are done one after
 *            another (client_order.c)
 *   frame    parts that are sent together: a READ to one copy, or a WRITE to all (client_frames.c)
 *   pending  a request that was sent and not answered
 *
 * Other threads hand tasks to a worker and wait for their end; a helper thread asks the control
 * plane, which blocks (client_helper.c).
 *
 *   op -> parts -> [order of each block] -> reads, writes -> frames -> links -> replies -> op
 *
 * A write is sealed once, straight into its frame, which goes to every copy. A read is received and
 * opened in the caller's memory when it takes a whole block, in guarded memory otherwise; nobody
 * hears of it before its tag was right, and what was not right is wiped.
 *
 * Thread rule: everything is its worker's, but for what is said to be otherwise. Locks: the pool's
 * control_lock (around the caller), lock (list of leases), a queue's lock; none within another. */
#ifndef POOL_CLIENT_CORE_H
#define POOL_CLIENT_CORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include <lethe/pool.h>

#include "base/buffer.h"
#include "crypto/block_seal.h"
#include "net/loop.h"
#include "pool/caller.h"
#include "pool/link.h"
#include "pool/versions.h"

#define CLIENT_LABEL "lethe-pool-block/1" /* what blocks are sealed as */
#define CLIENT_THREADS_MAX 16u
#define CLIENT_CONNECTIONS_MAX 16u
#define CLIENT_CHANNELS_MAX 64u         /* of a connection: the protocol's */
#define CLIENT_PIECES_MAX 256u          /* of a submission */
#define CLIENT_UNDER_WAY_MAX 4096u      /* submissions of a queue */
#define CLIENT_WINDOW_BYTES (8u << 20)  /* of a lease, that are under way */
#define CLIENT_WINDOW_PARTS 1024u       /* the same */
#define CLIENT_SCRATCH_BYTES (4u << 20) /* locked memory of a lease for parts of blocks */
#define CLIENT_SCRATCHES_KEPT 8u
#define CLIENT_FRAME_BYTES (512u << 10) /* of blocks in a frame: half of a usual L2 cache */
#define CLIENT_REPAIRS_MAX 16u          /* of a lease under way */
#define CLIENT_TICK_MS 50u
#define CLIENT_BACKOFF_MIN_MS 10u
#define CLIENT_BACKOFF_MAX_MS 2000u
#define CLIENT_TIMEOUT_MS 30000u

struct client_worker;

/* A blocking call of another thread: `left` answers are waited for. */
struct client_call {
    struct loop_task task;
    struct lethe_pool_lease *lease;
    unsigned left;
    uint64_t left_ms; /* renewals: the least */
    uint64_t began_ms;
    struct lethe_error error; /* the first */
    atomic_uint done;
};

/* ---- ops and parts --------------------------------------------------------------------------- */

struct client_op {
    struct loop_task task;
    STAILQ_ENTRY(client_op) next; /* of the lease's, then of the queue's done */
    struct lethe_pool_lease *lease;
    enum lethe_pool_operation operation;
    const struct lethe_pool_piece *pieces;
    size_t count;
    size_t piece; /* the next part begins here */
    size_t piece_bytes;
    size_t parts; /* that are not done */
    uint64_t since_ms;
    struct lethe_error error;       /* the first */
    struct lethe_pool_queue *queue; /* NULL: somebody waits for `done` */
    void *cookie;
    atomic_uint done;
    struct lethe_pool_piece *copied; /* of more pieces than fit below */
    struct lethe_pool_piece own[4];
};
STAILQ_HEAD(client_ops, client_op);

enum client_kind { PART_READ, PART_WRITE, PART_REPAIR };
enum client_step { STEP_READ, STEP_WRITE };
struct client_part {
    STAILQ_ENTRY(client_part) next; /* behind another, ready, or free */
    struct client_part *chain;      /* of the table of blocks that are busy */
    STAILQ_HEAD(, client_part) behind;
    struct lethe_pool_lease *lease;
    struct client_op *op; /* NULL for repairs */
    enum client_kind kind;
    enum client_step step;
    uint64_t block;
    uint32_t offset, size; /* in the block */
    uint8_t *user;
    struct client_scratch *scratch; /* what the block has, in plain */
    struct client_chunk *sealed;    /* repairs: what another copy has of it */
    uint8_t tag[AEAD_TAG_BYTES];
    uint64_t version;  /* that is read or written */
    uint64_t since_ms; /* op's */
    uint8_t tried;     /* bits of copies that gave something else */
    uint8_t wrong;     /* of those that should have had it */
    uint8_t target;    /* repairs: the copy */
};
STAILQ_HEAD(client_parts, client_part);

/* Ciphertext; of 2^class times 4 KiB. */
struct client_chunk {
    struct client_chunk *next;
    unsigned class_;
    uint8_t *bytes;
};
#define CLIENT_CHUNK_CLASSES 11u /* 4 KiB to 4 MiB */

/* Plaintext: one block in guarded memory. */
struct client_scratch {
    struct client_scratch *next;
    struct lethe_region *region;
    uint8_t *bytes;
    size_t size_bytes;
};

struct client_frame {
    struct client_frame *next; /* when it is free */
    struct lethe_pool_lease *lease;
    struct client_worker *worker;
    struct client_chunk *data; /* of writes */
    unsigned holders;          /* replies, and links that still send from `data` */
    unsigned replies;          /* that are waited for */
    uint8_t acknowledged;      /* bits of copies */
    bool is_write;
    unsigned count;
    struct client_part *parts[WIRE_BLOCKS_MAX];
    uint8_t tags[WIRE_BLOCKS_MAX][AEAD_TAG_BYTES];
};

/* ---- remotes and copies ---------------------------------------------------------------------- */

struct client_copy;
struct client_pending {
    STAILQ_ENTRY(client_pending) next;
    uint64_t request;
    uint64_t since_ms;
    enum wire_type type;
    struct client_copy *copy; /* NULL: nobody cares any more, or HELLO */
    struct client_frame *frame;
    struct client_call *call;
};
STAILQ_HEAD(client_pendings, client_pending);

struct client_remote {
    LIST_ENTRY(client_remote) next;
    struct client_worker *worker;
    char provider[SPIFFE_ID_MAX + 1];
    char address[WIRE_ADDRESS_MAX + 1];
    unsigned connection; /* which of the pool's connections to the provider */
    struct link *link;   /* NULL: to be dialled */
    bool is_open;
    unsigned dead_channels; /* of leases that were closed here and not there */
    uint64_t dial_at_ms;
    uint64_t backoff_ms;
    uint64_t answered_ms;            /* last answer, or when the first request was sent after it */
    struct client_pendings pendings; /* in the order of their answers */
    struct client_pendings later;    /* answered in any order */
    LIST_HEAD(, client_copy) copies;
    unsigned copy_count;
    struct lethe_error why; /* it was lost last */
};

enum client_copy_state { COPY_DETACHED, COPY_ATTACHING, COPY_ATTACHED, COPY_LOST };
struct client_copy {
    LIST_ENTRY(client_copy) next; /* of the remote's */
    struct lethe_pool_lease *lease;
    struct client_remote *remote;
    unsigned index;
    char provider[SPIFFE_ID_MAX + 1];
    struct lease_id id;
    uint8_t token[POOL_TOKEN_MAX];
    size_t token_bytes;
    enum client_copy_state state;
    uint32_t channel;
    struct lethe_error why; /* it is lost */
    uint64_t expires_ms;    /* as the provider said; of this loop's clock; 0: unknown */
    uint64_t renew_at_ms;   /* UINT64_MAX: an answer is waited for */
    uint64_t refresh_at_ms; /* a fresh token is asked for; UINT64_MAX: was asked for */
    struct client_job *job; /* asks for it */
    uint64_t *stale;        /* a bit a block; NULL for a single copy */
    uint64_t repair_from;   /* where to look for the next stale block */
    bool was_attached;
    /* For lethe_pool_copies(), from any thread. */
    atomic_bool is_connected, is_lost;
    atomic_uint_fast64_t stale_blocks, repaired_blocks, left_ms;
};

struct lethe_pool_lease {
    LIST_ENTRY(lethe_pool_lease) next; /* of the worker's */
    LIST_ENTRY(lethe_pool_lease) in_pool;
    struct lethe_pool *pool;
    struct client_worker *worker;
    unsigned connection;
    uint64_t bytes, blocks;
    uint32_t block_bytes;
    uint64_t ttl_ms, life_ms;
    bool renews;
    bool is_read_only;           /* taken up from a handle */
    bool is_closing;             /* nothing more is begun */
    struct lethe_secret *secret; /* the key's bytes, for a handle */
    struct block_key *key;
    struct versions *versions;
    unsigned copy_count;
    struct client_copy copies[WIRE_COPIES_MAX];
    unsigned next_copy;                /* reads take turns */
    struct client_ops ops;             /* of which parts are still to be made */
    struct client_parts reads, writes; /* ready */
    unsigned parts;                    /* under way */
    size_t parts_bytes;
    size_t scratch_bytes;
    unsigned repairs;
    unsigned in_flight;       /* frames that are not answered */
    bool wants_flush;         /* something became ready */
    struct loop_task advance; /* at the end of this turn */
    uint64_t progress_ms;     /* the last answer of a provider */
    struct client_call *opening, *ending;
    bool releases; /* `ending` */
    bool is_ended; /* providers were told */
};

/* ---- workers --------------------------------------------------------------------------------- */

#define CLIENT_BUCKETS 4096u
struct client_worker {
    struct lethe_pool *pool;
    unsigned number;
    pthread_t thread;
    bool is_started;
    struct loop *loop;
    struct loop_timer *tick;
    LIST_HEAD(, client_remote) remotes;
    LIST_HEAD(, lethe_pool_lease) leases;
    struct client_part *buckets[CLIENT_BUCKETS]; /* blocks that are busy, by the part in front */
    struct client_parts free_parts;
    struct client_frame *free_frames;
    struct client_chunk *free_chunks[CLIENT_CHUNK_CLASSES];
    struct client_scratch *free_scratches; /* wiped */
    unsigned free_scratch_count;
    struct buffer index; /* of the frame that is being sent */
};

struct client_job {
    struct loop_task task; /* back to the worker */
    STAILQ_ENTRY(client_job) next;
    enum wire_type type; /* TOKEN or DROP */
    struct client_worker *worker;
    struct client_copy *copy; /* the worker's; NULL: gone */
    struct client_call *call;
    struct lease_id id;
    uint8_t token[POOL_TOKEN_MAX];
    size_t token_bytes;
    struct lethe_error error;
};

struct lethe_pool {
    struct tls_context *tls;
    unsigned threads, connections;
    uint64_t timeout_ms;
    uint64_t epoch; /* of the process that opened it */
    pthread_mutex_t control_lock;
    struct caller *caller;
    pthread_mutex_t lock;
    LIST_HEAD(, lethe_pool_lease) leases;
    atomic_uint turn; /* which connection, and so which worker, is the next lease's */
    struct client_worker *workers[CLIENT_THREADS_MAX];
    pthread_t helper;
    bool has_helper;
    atomic_bool helper_stops;
    pthread_cond_t helper_wake;
    STAILQ_HEAD(, client_job) jobs; /* lock */
};

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
