/* lethe/residency.h -- weights that are sealed where they are computed with, and checked before.
 *
 *   worker      one server of models: its devices, its seal key, its state
 *   shard       weights on a device, with a seal: digest and keyed signature
 *   group       shards across devices that stand or fall together
 *   execution   the time in which an engine may compute with shards: begins with their verification
 *   state       memory that training changes: optimizer state
 *   expert cache   shards that come and go within a budget
 *
 * A complete use, errors aside:
 *
 *     const struct lethe_worker_options options = {
 *         .name = "w0", .policy = LETHE_HOST_ALLOWED, .log = log};
 *     lethe_worker_create(&options, &worker, &err);
 *     lethe_shard_seal_model(worker, model, 0, &(struct lethe_placement){0}, &shard, &err);
 *     lethe_worker_ready(worker, &err);
 *     lethe_execution_begin(worker, &shard, 1, LETHE_VERIFY_DEFAULT, &execution, &err);
 *     const void *weights = lethe_execution_address(execution, shard);
 *     ... compute ...
 *     lethe_execution_end(execution);
 *     lethe_shard_evict(shard, &err);
 *     lethe_worker_free(worker, &err);
 *
 * When a verification fails, the worker is Stopped for good, a critical record is durable before
 * the call returns, the device is quarantined, and every further use is refused with
 * LETHE_INTEGRITY: fatal. If the log cannot be written, all of that holds but the record, and the
 * error's hint says so. After lethe_worker_stop(), further use is refused with LETHE_DENIED. What
 * may be tried again (LETHE_NO_MEMORY, LETHE_BUSY) says lethe_result_is_retriable().
 *
 * Thread rule: any call from any thread; who evicts, frees or ends a thing is the last to use it.
 * Fork rule: a worker is its process's; in a child its weights are zeros, which no verification
 * takes for what was sealed. Records go to the worker's log, if it has one; without a log there are
 * none, and nothing else changes. */
#ifndef LETHE_RESIDENCY_H
#define LETHE_RESIDENCY_H

#include <lethe/device.h>
#include <lethe/mem.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* this is what the library shows */

struct lethe_log;   /* lethe/home.h */
struct lethe_model; /* lethe/model.h */

/* ---- worker ---------------------------------------------------------------------------------- */

enum lethe_worker_state {
    LETHE_WORKER_STARTING, /* shards can be sealed, but not executed                     */
    LETHE_WORKER_READY,    /* both                                                       */
    LETHE_WORKER_STOPPED,  /* neither, ever again; what is there can be evicted          */
};
const char *lethe_worker_state_name(enum lethe_worker_state state);

/* Where weights may be when they are executed. */
enum lethe_residency_policy {
    LETHE_DEVICE_ONLY,  /* on accelerators: host memory is refused (VP-005), on record */
    LETHE_HOST_ALLOWED, /* in guarded host memory, too                                 */
};

/* What a seal says, and how it is verified. */
enum lethe_seal_profile {
    LETHE_SEAL, /* fs-verity digest, key domain "lethe-seal-key-v1"                       */
    LETHE_SEAL_CONTRACT, /* plain SHA-256, key domain "llorch-seal-key-v1": for seals that other
                            implementations of the contract check; verification is always full */
};

struct lethe_worker_device {
    enum lethe_device_kind kind;
    size_t index;
    uint64_t limit_bytes; /* what this process may use of it, the smallest of all workers' limits,
                             for as long as it runs; 0: all that it has */
};

#define LETHE_SHARD_LIMIT_BYTES ((uint64_t)100 * 1000 * 1000 * 1000) /* 100 GB */

struct lethe_worker_options {
    const char *name; /* 1 to 64 of [A-Za-z0-9_-] */
    /* The seal key is HKDF-SHA256 of the token (at least 16 bytes), with the hardware id as salt.
     * NULL: a random one, so that seals end with the worker. The token is only read. */
    const struct lethe_secret *token;
    const void *hardware_id; /* NULL: none */
    size_t hardware_id_bytes;
    enum lethe_residency_policy policy;
    enum lethe_seal_profile profile;
    /* NULL: one, the host under LETHE_HOST_ALLOWED, the first CUDA device under LETHE_DEVICE_ONLY.
     */
    const struct lethe_worker_device *devices;
    size_t device_count;
    uint64_t shard_limit_bytes; /* 0: LETHE_SHARD_LIMIT_BYTES (IV-001) */
    unsigned threads;           /* for digests and verification; 0: as many as there are CPUs */
    unsigned optional;     /* enum lethe_protection that host memory may go without, if need be */
    struct lethe_log *log; /* outlives the worker; NULL: nobody records */
    /* Wall clock in nanoseconds since 1970 UTC, for sealed_at; NULL: the system's. */
    uint64_t (*wall_ns)(void *context);
    void *clock_context;
};

struct lethe_worker;

/* LETHE_INVALID names the option. LETHE_DENIED: LETHE_DEVICE_ONLY with a host device.
 * LETHE_UNAVAILABLE: a device is not there, or quarantined. */
LETHE_MUST_CHECK lethe_result lethe_worker_create(const struct lethe_worker_options *options,
                                                  struct lethe_worker **out,
                                                  struct lethe_error *err);
/* Starting to Ready, from which nothing leads back. LETHE_INTEGRITY, LETHE_DENIED: it was stopped.
 */
LETHE_MUST_CHECK lethe_result lethe_worker_ready(struct lethe_worker *worker,
                                                 struct lethe_error *err);
/* To Stopped, by its owner. From any thread, and any number of times. */
void lethe_worker_stop(struct lethe_worker *worker);
enum lethe_worker_state lethe_worker_state(const struct lethe_worker *worker);
/* Stops, evicts what is left, frees. The worker is gone whatever the result: the first failure of
 * an eviction. NULL is fine. Executions have ended; caches, groups and states were freed. */
LETHE_MUST_CHECK lethe_result lethe_worker_free(struct lethe_worker *worker,
                                                struct lethe_error *err);

/* Under 100 ns: no system call, no lock. `device` counts the worker's own, from 0. */
struct lethe_capacity {
    uint64_t total_bytes; /* of the device, or its limit */
    uint64_t used_bytes;  /* by this process             */
    uint64_t available_bytes;
};
LETHE_MUST_CHECK lethe_result lethe_worker_capacity(const struct lethe_worker *worker,
                                                    size_t device, struct lethe_capacity *out);

struct lethe_worker_metrics {
    struct lethe_capacity capacity; /* of all devices together */
    uint64_t shards;
    uint64_t sealed;
    uint64_t seal_failures;
    uint64_t verified[4]; /* by enum lethe_verify_mode */
    uint64_t verification_failures[4];
    uint64_t evicted;
    uint64_t evict_failures; /* not shown to be zero, or the device failed */
    uint64_t executions;
};
void lethe_worker_metrics(struct lethe_worker *worker, struct lethe_worker_metrics *out);

/* ---- shards ---------------------------------------------------------------------------------- */

struct lethe_shard;

/* Zero is a sensible default but for `id` where bytes are sealed. */
struct lethe_placement {
    const char *id;          /* 1 to 256 of [A-Za-z0-9_-]; NULL: that of the model's shard */
    size_t device;           /* of the worker's */
    enum lethe_class class_; /* LETHE_CLASS_KEY (0): LETHE_CLASS_WEIGHTS */
    const char *tenant;      /* for the record; NULL: the model's, or "" */
    /* What the digest must be, 64 hex digits (IV-004); NULL: whatever is found. */
    const char *expected_digest;
};

/* Copies to the device, reads the digest back from there, authenticates, seals. When wipe_source,
 * the caller's bytes are wiped whatever the result. LETHE_NO_MEMORY: needed and available;
 * LETHE_LIMIT: over shard_limit_bytes; LETHE_EXISTS: a shard of that id is there;
 * LETHE_INTEGRITY: not the expected digest (on record; the worker goes on), or the worker was
 * stopped by a failed verification; LETHE_DENIED: by its owner; LETHE_INVALID; LETHE_UNAVAILABLE,
 * LETHE_UNPROTECTED. On failure nothing is left on the device. */
LETHE_MUST_CHECK lethe_result lethe_shard_seal(struct lethe_worker *worker,
                                               const struct lethe_placement *placement, void *bytes,
                                               size_t size_bytes, bool wipe_source,
                                               struct lethe_shard **out, struct lethe_error *err);
/* The same from an encrypted model: decrypted straight into place (on CUDA: there), and the digest
 * must be the manifest's. Also what the model's keys give: LETHE_DENIED, LETHE_REVOKED, ... One
 * load at a time: the others wait. What else is done with the model's home meanwhile: lethe/home.h.
 */
LETHE_MUST_CHECK lethe_result lethe_shard_seal_model(struct lethe_worker *worker,
                                                     struct lethe_model *model, size_t shard_index,
                                                     const struct lethe_placement *placement,
                                                     struct lethe_shard **out,
                                                     struct lethe_error *err);

/* A seal as text: "<id>|<digest>|<sealed_at>|<device>", and HMAC-SHA256 of it under the worker's
 * seal key. Public: it gives nothing away but what it says. */
struct lethe_seal {
    char id[257];
    char digest[65]; /* 64 hex digits */
    uint64_t sealed_at_s;
    char device[24];
    uint8_t signature[32];
};
void lethe_shard_get_seal(const struct lethe_shard *shard, struct lethe_seal *out);
const char *lethe_shard_id(const struct lethe_shard *shard);
uint64_t lethe_shard_size(const struct lethe_shard *shard);
/* Whether a seal is this worker's, byte for byte (CI-003: in constant time). LETHE_INTEGRITY;
 * LETHE_INVALID when its fields are no such text. Does not stop the worker. */
LETHE_MUST_CHECK lethe_result lethe_seal_check(const struct lethe_worker *worker,
                                               const struct lethe_seal *seal,
                                               struct lethe_error *err);

enum lethe_verify_mode {
    LETHE_VERIFY_DEFAULT,  /* fast on the host, full on CUDA and in LETHE_SEAL_CONTRACT */
    LETHE_VERIFY_FULL,     /* the digest, recomputed from the device                    */
    LETHE_VERIFY_FAST,     /* keyed tags over every byte, at memory bandwidth           */
    LETHE_VERIFY_SIGNATURE /* the seal alone: says nothing about the weights, and is never
                              enough to execute (CI-007)                                */
};
const char *lethe_verify_mode_name(enum lethe_verify_mode mode);

/* Checks the seal's signature, then the bytes. LETHE_INTEGRITY: see above, the worker is stopped.
 * Any number of threads at once; appending to caches goes on meanwhile. */
LETHE_MUST_CHECK lethe_result lethe_shard_verify(struct lethe_shard *shard,
                                                 enum lethe_verify_mode mode,
                                                 struct lethe_error *err);

/* Wipes and proves it, gives the memory back, with a record. LETHE_BUSY: an execution, a group or a
 * cache uses it, and it stays. A verification that goes on is waited for. Otherwise the shard is
 * gone whatever the result: LETHE_UNWIPED, LETHE_UNAVAILABLE as device failures are; never aborts.
 * NULL is fine. */
LETHE_MUST_CHECK lethe_result lethe_shard_evict(struct lethe_shard *shard, struct lethe_error *err);

/* Checkpoint overwrite (Z-5): the old content is wiped and proven gone before the new one is sealed
 * under the same id and where the old one was; meanwhile others get LETHE_BUSY. LETHE_BUSY,
 * LETHE_INVALID and LETHE_LIMIT, and a stopped worker's refusal: the old content stays. On other
 * failures the shard is gone, and *shard NULL. */
LETHE_MUST_CHECK lethe_result lethe_shard_replace(struct lethe_shard **shard, void *bytes,
                                                  size_t size_bytes, bool wipe_source,
                                                  struct lethe_error *err);

/* Digests all shards anew, in the background of whoever calls: one `full` verification of the shard
 * that was verified so longest ago. LETHE_NOT_FOUND when there is none. */
LETHE_MUST_CHECK lethe_result lethe_worker_scrub(struct lethe_worker *worker,
                                                 struct lethe_error *err);

/* ---- execution ------------------------------------------------------------------------------- */

struct lethe_execution;

/* Verifies every shard (not by signature alone: LETHE_INVALID), and keeps them from eviction until
 * the execution ends. The worker is Ready (LETHE_BUSY before). Begin one for every request. */
LETHE_MUST_CHECK lethe_result lethe_execution_begin(struct lethe_worker *worker,
                                                    struct lethe_shard *const *shards, size_t count,
                                                    enum lethe_verify_mode mode,
                                                    struct lethe_execution **out,
                                                    struct lethe_error *err);
/* Verifies again, for instance before every token. LETHE_INTEGRITY: stop computing. */
LETHE_MUST_CHECK lethe_result lethe_execution_verify(struct lethe_execution *execution,
                                                     struct lethe_error *err);
/* Where the weights are: bytes to be read, on the host; on CUDA what a kernel takes as a pointer.
 * An address is given out here and nowhere else, for the time of the execution; do not keep or
 * print it (MS-001). NULL when the shard is not one of this execution's, or the worker was stopped.
 */
const void *lethe_execution_address(const struct lethe_execution *execution,
                                    const struct lethe_shard *shard);
/* NULL is fine. */
void lethe_execution_end(struct lethe_execution *execution);

/* ---- groups ---------------------------------------------------------------------------------- */

struct lethe_group;

struct lethe_group_member {
    struct lethe_placement placement;
    void *bytes; /* NULL: from the model */
    size_t size_bytes;
    bool wipe_source;
    struct lethe_model *model;
    size_t shard_index;
};
/* All or none (W-4): when one cannot be sealed, those that were are evicted. `id` as a shard's;
 * results as for shards. Members are evicted with their group only. */
LETHE_MUST_CHECK lethe_result lethe_group_seal(struct lethe_worker *worker, const char *id,
                                               const struct lethe_group_member *members,
                                               size_t count, struct lethe_group **out,
                                               struct lethe_error *err);
/* The root: a seal whose id is the group's, whose digest is SHA-256 over the members' seals as
 * text, in order, each with a newline behind it, and whose device is "group:<members>". */
void lethe_group_get_seal(const struct lethe_group *group, struct lethe_seal *out);
/* Every member and the root. One that fails stops the worker, as for shards, and with it all
 * members. */
LETHE_MUST_CHECK lethe_result lethe_group_verify(struct lethe_group *group,
                                                 enum lethe_verify_mode mode,
                                                 struct lethe_error *err);
/* Borrowed, in the members' order: for executions. */
struct lethe_shard *const *lethe_group_shards(const struct lethe_group *group, size_t *count);
/* As evicting every member; the first failure. LETHE_BUSY: an execution uses one of them, and all
 * stay. NULL is fine. */
LETHE_MUST_CHECK lethe_result lethe_group_evict(struct lethe_group *group, struct lethe_error *err);

/* ---- statement ------------------------------------------------------------------------------- */

/* VP-006: what is resident where, as a C2SP signed note by the node's log key, whose text is
 *
 *     lethe-residency/1
 *     worker <name>
 *     node <node>
 *     state <state>
 *     policy device-only|host-allowed
 *     time <seconds since 1970>
 *     nonce <64 hex digits>
 *     shard <id>|<digest>|<sealed_at>|<device> full|fast|never <seconds>
 *     ...
 *
 * one line per shard, in the order of their ids as strcmp(3) has it, with how its bytes were last
 * verified since they were sealed, and when (never: 0). The nonce is the asker's, for freshness. A
 * stopped worker makes statements, too. The caller frees *note with free(3). LETHE_UNAVAILABLE
 * without a log; LETHE_LIMIT: over LETHE_STATEMENT_MAX_BYTES, some 30,000 shards. */
#define LETHE_STATEMENT_MAX_BYTES ((size_t)4 << 20)
LETHE_MUST_CHECK lethe_result lethe_worker_statement(struct lethe_worker *worker,
                                                     const uint8_t nonce[32], char **note,
                                                     struct lethe_error *err);
struct lethe_statement {
    char worker[65];
    char node[65];
    char state[16];
    bool device_only;
    uint64_t time_s;
    size_t shards;
};
/* Checks a statement with nothing but the node's public log key (a vkey: `lethe key export
 * NODE.log --public`) and the nonce that was given. LETHE_MALFORMED: note or vkey is none;
 * LETHE_INTEGRITY: forged, changed, of another node, or made for another nonce. */
LETHE_MUST_CHECK lethe_result lethe_statement_check(const char *note, size_t note_bytes,
                                                    const char *vkey, const uint8_t nonce[32],
                                                    struct lethe_statement *out,
                                                    struct lethe_error *err);

/* ---- state ----------------------------------------------------------------------------------- */

/* Memory on a device that changes all the time, so that no seal could hold: optimizer state. Wiped,
 * proven and on record when it is freed or replaced. A stopped worker's can be freed only. */
struct lethe_state;

/* Zeroed. In the placement, class 0 is LETHE_CLASS_OPTIMIZER here, and there is no digest to be
 * expected. Results as lethe_shard_seal. */
LETHE_MUST_CHECK lethe_result lethe_state_create(struct lethe_worker *worker,
                                                 const struct lethe_placement *placement,
                                                 size_t size_bytes, struct lethe_state **out,
                                                 struct lethe_error *err);
/* LETHE_INVALID: out of bounds. LETHE_LOST: a replacement failed. LETHE_UNAVAILABLE: the device
 * failed. Different ranges may be read and written at the same time. */
LETHE_MUST_CHECK lethe_result lethe_state_write(struct lethe_state *state, size_t offset_bytes,
                                                const void *bytes, size_t size_bytes,
                                                struct lethe_error *err);
LETHE_MUST_CHECK lethe_result lethe_state_read(struct lethe_state *state, size_t offset_bytes,
                                               void *out, size_t size_bytes,
                                               struct lethe_error *err);
/* A checkpoint comes in: the old content is wiped before the new one can be read, with a record
 * (checkpoint_replaced). `size_bytes` may differ. When the new one does not come in, the state is
 * empty until another does: LETHE_LOST. */
LETHE_MUST_CHECK lethe_result lethe_state_replace(struct lethe_state *state, void *bytes,
                                                  size_t size_bytes, bool wipe_source,
                                                  struct lethe_error *err);
/* Results as lethe_shard_evict. */
LETHE_MUST_CHECK lethe_result lethe_state_free(struct lethe_state *state, struct lethe_error *err);

/* ---- expert cache ---------------------------------------------------------------------------- */

/* Experts of one encrypted model on one device, within a budget. An expert that is asked for is
 * there, or is sealed now; for its room those go first that nobody holds, that are not pinned, and
 * whose score accesses / (1 + age) is least, age counted in accesses to the cache since their last;
 * among equals a seeded order decides, so that the same calls evict the same experts. */
struct lethe_expert_cache;

struct lethe_expert_cache_options {
    const char *name; /* as a worker's: for the record */
    size_t device;    /* of the worker's */
    uint64_t budget_bytes;
    uint64_t seed; /* for ties */
};
LETHE_MUST_CHECK lethe_result
lethe_expert_cache_create(struct lethe_worker *worker, struct lethe_model *model,
                          const struct lethe_expert_cache_options *options,
                          struct lethe_expert_cache **out, struct lethe_error *err);
/* The model's shard of that index, resident and held until it is released; *out is borrowed, for
 * executions. LETHE_NO_MEMORY (retriable): not even evicting makes room. LETHE_BUSY (retriable):
 * who would have to go was released, but is in an execution. LETHE_LIMIT: over the whole budget. */
LETHE_MUST_CHECK lethe_result lethe_expert_acquire(struct lethe_expert_cache *cache,
                                                   size_t shard_index, struct lethe_shard **out,
                                                   struct lethe_error *err);
void lethe_expert_release(struct lethe_expert_cache *cache, size_t shard_index);
/* Pinned experts are never evicted; pins nest. LETHE_NOT_FOUND: it is not resident. */
LETHE_MUST_CHECK lethe_result lethe_expert_pin(struct lethe_expert_cache *cache, size_t shard_index,
                                               struct lethe_error *err);
LETHE_MUST_CHECK lethe_result lethe_expert_unpin(struct lethe_expert_cache *cache,
                                                 size_t shard_index, struct lethe_error *err);
/* Makes it resident if it fits without evicting anything of a higher score; counts as no access.
 * The worker's policy holds here, too. *resident (which may be NULL) says whether it is now. */
LETHE_MUST_CHECK lethe_result lethe_expert_prefetch(struct lethe_expert_cache *cache,
                                                    size_t shard_index, bool *resident,
                                                    struct lethe_error *err);
struct lethe_expert_cache_counters {
    uint64_t accesses;
    uint64_t hits;
    uint64_t misses;
    uint64_t prefetches; /* that brought something in */
    uint64_t evictions;
    uint64_t evicted_bytes;
    uint64_t resident_bytes;
    uint64_t resident;
};
void lethe_expert_cache_counters(struct lethe_expert_cache *cache,
                                 struct lethe_expert_cache_counters *out);
/* Evicts all; LETHE_BUSY while one is held, or in an execution: the cache is still there then. NULL
 * is fine. */
LETHE_MUST_CHECK lethe_result lethe_expert_cache_free(struct lethe_expert_cache *cache,
                                                      struct lethe_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
