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
#define CLIENT_RELEASE_MAX_MS 3600000u /* however much life a provider shows that still wipes */

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
    uint32_t channel;
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
    uint8_t token[POOL_TOKEN_MAX], fresh[POOL_TOKEN_MAX];
    size_t token_bytes, fresh_bytes; /* `fresh` is tried first, where there is one */
    enum client_copy_state state;
    uint32_t channel;
    struct lethe_error why; /* it is lost */
    uint64_t expires_ms;    /* as the provider said; of this loop's clock; 0: unknown */
    uint64_t renew_at_ms;   /* UINT64_MAX: an answer is waited for */
    uint64_t refresh_at_ms; /* a fresh token is asked for; UINT64_MAX: was asked for */
    struct client_job *job; /* asks for it */
    uint64_t *stale;        /* a bit a block; NULL for a single copy */
    uint64_t repair_from;   /* where to look for the next stale block */
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
    bool releases;   /* `ending` */
    bool was_opened; /* somebody has it: providers have taken its tokens */
    bool is_ended;   /* providers were told */
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
    uint64_t since_ms; /* CLOCK_MONOTONIC */
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

#endif
