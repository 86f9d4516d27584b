/* lethe/pool.h -- memory that other machines lend: leases of blocks, encrypted before they leave.
 *
 *   pool    a connection to a control plane, and to the providers that it names
 *   lease   memory of a fixed size for a limited time, on one provider, or copies on several
 *
 *     lethe_pool_open(&(struct lethe_pool_options){.control = "10.0.0.1:7310",
 *         .control_id = "spiffe://example.org/pool-control", .ca_path = "ca.pem",
 *         .certificate_path = "node.pem", .key_path = "node.key"}, &pool, &err);
 *     lethe_pool_allocate(pool, &(struct lethe_pool_lease_options){.bytes = 1 << 30,
 *         .ttl_ms = 600000, .copies = 2}, &lease, &err);
 *     lethe_pool_write(lease, 0, bytes, size, &err);
 *     lethe_pool_read(lease, 0, out, size, &err);
 *     lethe_pool_release(lease, &err);
 *     lethe_pool_close(pool);
 *
 * What is written is sealed here (AES-256-GCM, a fresh key per lease in guarded memory, a version
 * per block that only this process knows): who lends the memory cannot read, change, swap or replay
 * it. What cannot be believed is never given out. When this process ends, however it ends, the keys
 * are gone, and with them what was stored.
 *
 * Leases are renewed by themselves while the pool is open, connections that break are made again,
 * and what was under way is done then. Of copies, one that answers is enough to read; a copy that
 * gives something wrong, or has missed a write, is written again.
 *
 * OpenSSL rule: call lethe_home_open() before, or nothing that uses OpenSSL (lethe/home.h).
 * Thread rule: everything from any thread, but: a lease is released or closed when nobody uses it
 * any more, and the pool when it has no leases. Reads and writes of one block are done in the order
 * in which they were submitted. */
#ifndef LETHE_POOL_H
#define LETHE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include <lethe/error.h>
#include <lethe/kv.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* this is what the library shows */

/* ---- pool ------------------------------------------------------------------------------------ */

/* Texts are copied. */
struct lethe_pool_options {
    const char *control;          /* "HOST:PORT" */
    const char *control_id;       /* the SPIFFE id that the control plane must prove */
    const char *ca_path;          /* whom to believe, PEM */
    const char *certificate_path; /* who this is: PEM, with one SPIFFE id */
    const char *key_path;         /* its key: PEM, a file of mode 0600 */
    unsigned threads;             /* that seal, open, and talk to providers; 0: 1; at most 16 */
    unsigned connections; /* to each provider; leases are spread over them; 0: 1; at most 16 */
    uint64_t timeout_ms;  /* for a question to the control plane, and for a block when no copy
                           * answers: then LETHE_UNAVAILABLE; 0: 30 s */
};
struct lethe_pool;
/* Nothing is dialled yet. LETHE_INVALID names the option; LETHE_UNPROTECTED (others can read the
 * key; or memory cannot be protected), LETHE_NOT_FOUND, LETHE_MALFORMED, LETHE_NO_MEMORY. */
LETHE_MUST_CHECK lethe_result lethe_pool_open(const struct lethe_pool_options *options,
                                              struct lethe_pool **out, struct lethe_error *err);
/* Leases that are still there are closed as by lethe_pool_lease_close(). NULL is fine. */
void lethe_pool_close(struct lethe_pool *pool);

/* ---- leases ---------------------------------------------------------------------------------- */

struct lethe_pool_lease_options {
    uint64_t bytes; /* rounded up to whole blocks */
    uint32_t
        block_bytes; /* what is sealed, sent and kept in one piece: a power of two from 4 KiB to 1
                      * MiB; 0: 64 KiB. Reading or writing a part of a block moves all of it */
    uint64_t ttl_ms; /* from now, and from each renewal; 1 s to 30 days; 0: 1 min */
    unsigned copies; /* each on a provider of its own; 0: 1; at most 8 */
    bool no_renewal; /* it ends when its time has run out */
};
struct lethe_pool_lease;
/* LETHE_DENIED: the policy says no; LETHE_LIMIT: the tenant's quota, or how many leases one may
 * have and for how long; LETHE_REVOKED: this identity; LETHE_NO_SPACE: not so many providers have
 * room; LETHE_UNAVAILABLE: control plane or a provider is not reached. */
LETHE_MUST_CHECK lethe_result lethe_pool_allocate(struct lethe_pool *pool,
                                                  const struct lethe_pool_lease_options *options,
                                                  struct lethe_pool_lease **out,
                                                  struct lethe_error *err);
uint64_t lethe_pool_lease_bytes(const struct lethe_pool_lease *lease);

/* Bytes [offset, offset + size) of the lease; what was never written reads as zeros. LETHE_INVALID:
 * not inside the lease. LETHE_INTEGRITY: a provider gave back something else than what was stored,
 * and no copy has the right one; `out` is wiped. LETHE_LOST: it is not there any more (expired,
 * stopped, the provider has gone), or was left half-written by a write that failed. LETHE_REVOKED.
 * LETHE_UNAVAILABLE: not reached in time; a write may then be done or not, and the block is
 * LETHE_LOST until it is written again or shown to be whole. */
LETHE_MUST_CHECK lethe_result lethe_pool_write(struct lethe_pool_lease *lease, uint64_t offset,
                                               const void *bytes, size_t size_bytes,
                                               struct lethe_error *err);
LETHE_MUST_CHECK lethe_result lethe_pool_read(struct lethe_pool_lease *lease, uint64_t offset,
                                              void *out, size_t size_bytes,
                                              struct lethe_error *err);

/* Scatter and gather: pieces in one go, all or an error. */
struct lethe_pool_piece {
    uint64_t offset;
    void *bytes; /* written from, or read into */
    size_t size_bytes;
};
LETHE_MUST_CHECK lethe_result lethe_pool_write_pieces(struct lethe_pool_lease *lease,
                                                      const struct lethe_pool_piece *pieces,
                                                      size_t count, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result lethe_pool_read_pieces(struct lethe_pool_lease *lease,
                                                     const struct lethe_pool_piece *pieces,
                                                     size_t count, struct lethe_error *err);

/* Asynchronous: submitted here, done when a queue says so. Memory of the pieces stays until then.
 */
struct lethe_pool_queue;
LETHE_MUST_CHECK lethe_result lethe_pool_queue_create(struct lethe_pool *pool,
                                                      struct lethe_pool_queue **out,
                                                      struct lethe_error *err);
void lethe_pool_queue_free(struct lethe_pool_queue *queue); /* waits for what is under way */
enum lethe_pool_operation { LETHE_POOL_READ, LETHE_POOL_WRITE };
struct lethe_pool_submission {
    enum lethe_pool_operation operation;
    struct lethe_pool_lease *lease;
    const struct lethe_pool_piece *pieces; /* the array is copied */
    size_t count;                          /* 1 to 256 */
    void *cookie;
};
/* LETHE_INVALID, LETHE_NO_MEMORY, LETHE_BUSY: 4,096 are under way. */
LETHE_MUST_CHECK lethe_result lethe_pool_submit(struct lethe_pool_queue *queue,
                                                const struct lethe_pool_submission *submission,
                                                struct lethe_error *err);
struct lethe_pool_completion {
    void *cookie;
    lethe_result result;
    struct lethe_error error;
};
/* Waits until at least one is done, at most wait_ms; *count of at most `capacity` are taken. A
 * queue has a descriptor that is readable while there are some, for other people's event loops. */
LETHE_MUST_CHECK lethe_result lethe_pool_complete(struct lethe_pool_queue *queue,
                                                  struct lethe_pool_completion *out,
                                                  size_t capacity, uint64_t wait_ms, size_t *count,
                                                  struct lethe_error *err);
int lethe_pool_queue_fd(const struct lethe_pool_queue *queue);
/* In place of all that: whatever is done is handed to `done`, on one of the pool's threads, which
 * it must not keep waiting; it may submit more. Those of one lease come one after another. This is
 * the fastest way, as no thread waits for another. Said before anything is submitted, once. */
typedef void lethe_pool_done(void *context, const struct lethe_pool_completion *completion);
void lethe_pool_queue_call(struct lethe_pool_queue *queue, lethe_pool_done *done, void *context);

/* Renews now, on every copy; *left_ms (may be NULL) is how long the least of them has. LETHE_LOST,
 * LETHE_REVOKED, LETHE_UNAVAILABLE. */
LETHE_MUST_CHECK lethe_result lethe_pool_renew(struct lethe_pool_lease *lease, uint64_t *left_ms,
                                               struct lethe_error *err);

struct lethe_pool_copy_state {
    char provider[256]; /* SPIFFE id */
    char lease[33];     /* hex: as `lethe pool status` and records name it */
    bool connected;
    bool lost;             /* for good */
    uint64_t stale_blocks; /* that missed a write and wait to be written again */
    uint64_t repaired_blocks;
    uint64_t left_ms;
};
/* Gives the number of copies, and fills in at most `capacity`. */
size_t lethe_pool_copies(const struct lethe_pool_lease *lease, struct lethe_pool_copy_state *out,
                         size_t capacity);

/* Ends the lease: keys are wiped at once; LETHE_OK when every provider that is there has wiped its
 * memory, read it back, and said so: for that it waits as long as they show that they are there, an
 * hour at most. LETHE_UNWIPED: one could not; LETHE_UNAVAILABLE: one was not reached, and its copy
 * ends when its time has run out. The handle is freed whatever the result. NULL is fine. */
LETHE_MUST_CHECK lethe_result lethe_pool_release(struct lethe_pool_lease *lease,
                                                 struct lethe_error *err);
/* Forgets the lease here: keys are wiped, so what it holds is unreadable; providers keep it until
 * it has expired. NULL is fine. */
void lethe_pool_lease_close(struct lethe_pool_lease *lease);

/* ---- as a store for KV caches (lethe/kv.h) --------------------------------------------------- */

/* A spill store in one lease of slots of slot_bytes (lethe_kv_spill_bytes of the cache),
 * budget_bytes of them: with copies it outlives the loss of a provider. */
struct lethe_pool_spill_options {
    size_t slot_bytes;
    uint64_t budget_bytes;
    uint64_t ttl_ms;
    unsigned copies;
};
struct lethe_pool_spill;
LETHE_MUST_CHECK lethe_result
lethe_pool_spill_create(struct lethe_pool *pool, const struct lethe_pool_spill_options *options,
                        struct lethe_pool_spill **out, struct lethe_error *err);
struct lethe_spill lethe_pool_spill_table(struct lethe_pool_spill *spill);
/* Releases the lease: results as lethe_pool_release(). No session uses it any more. */
LETHE_MUST_CHECK lethe_result lethe_pool_spill_free(struct lethe_pool_spill *spill,
                                                    struct lethe_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
