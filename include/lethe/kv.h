/* lethe/kv.h -- what users sent and got: KV caches and sessions that leave nothing behind.
 *
 *   cache      a fixed arena of blocks on one device, for sessions of one shape of model
 *   session    one user's: keys and values of every layer, seeds, hidden states; all of it is wiped
 *              when it ends, is cancelled, or misses its heartbeats
 *   spill      a store for cold blocks, which gets them encrypted: memory, a file, or a pool
 *
 * A use, errors aside:
 *
 *     lethe_kv_cache_create(worker, &(struct lethe_kv_options){.name = "kv", .layers = 32,
 *         .row_bytes = 2 * 8 * 128, .block_tokens = 16, .budget_bytes = 1 << 30}, &cache, &err);
 *     lethe_kv_open(cache, &(struct lethe_kv_session_options){.tenant = "acme", .session = "s1",
 *         .heartbeat_timeout_ms = 60000}, now_ms, &session, &err);
 *     for each token, for each layer:
 *         lethe_kv_append(session, layer, key_row, value_row, 1, &err);
 *         lethe_kv_read_begin(session, layer, &view, &err);
 *         ... attend ...
 *         lethe_kv_read_end(&view);
 *     lethe_kv_end(session, LETHE_SESSION_ENDED, &err);
 *
 * Blocks belong to one session of one tenant at a time and are wiped, and proven to be, before
 * anyone else has them. Sessions of the same name in two tenants are two sessions.
 *
 * Thread rule: caches from any thread. One session is appended to, truncated or reset by one thread
 * at a time, while others may read what is there already, and any thread may cancel it; it is freed
 * by lethe_kv_end alone, after which nobody uses it. Appending to a block that is there takes no
 * lock. Times are milliseconds of any monotonic clock, the same one at every call of a cache. */
#ifndef LETHE_KV_H
#define LETHE_KV_H

#include <lethe/mem.h>
#include <lethe/residency.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* this is what the library shows */

/* ---- spill ----------------------------------------------------------------------------------- */

/* Which block. Names no tenant and no session: `space` is random per session. */
struct lethe_spill_id {
    uint8_t space[16];
    uint64_t block;
};
/* Keeps blocks of ciphertext for as long as it is asked to, and may be as hostile as it likes: what
 * it gives back is checked for being the last that was put there. Calls come from any thread, and
 * no two at once for one id. A `put` replaces what was there, and fails with LETHE_NO_SPACE,
 * LETHE_NO_MEMORY, LETHE_UNAVAILABLE, LETHE_BUSY or LETHE_IO. A `get` writes exactly size_bytes, or
 * gives LETHE_NOT_FOUND (lost), LETHE_INTEGRITY (when the store itself sees that it was changed),
 * LETHE_UNAVAILABLE, LETHE_BUSY or LETHE_IO. Any other failure counts as LETHE_IO. */
struct lethe_spill {
    lethe_result (*put)(void *context, const struct lethe_spill_id *id, const void *bytes,
                        size_t size_bytes, struct lethe_error *err);
    lethe_result (*get)(void *context, const struct lethe_spill_id *id, void *out,
                        size_t size_bytes, struct lethe_error *err);
    /* What is dropped need not be there. */
    void (*drop)(void *context, const struct lethe_spill_id *id);
    void *context;
};

/* In this process's memory, at most budget_bytes of it (0: no limit): LETHE_NO_SPACE. No session
 * uses a store any more when it is freed. */
struct lethe_spill_memory;
LETHE_MUST_CHECK lethe_result lethe_spill_memory_create(uint64_t budget_bytes,
                                                        struct lethe_spill_memory **out,
                                                        struct lethe_error *err);
struct lethe_spill lethe_spill_memory_table(struct lethe_spill_memory *memory);
void lethe_spill_memory_free(struct lethe_spill_memory *memory);

/* In one file without a name in `directory`, gone with the process, however that ends; slots of
 * slot_bytes (lethe_kv_spill_bytes of the cache), at most budget_bytes of them (0: no limit).
 * LETHE_NO_SPACE as the budget, the disk or RLIMIT_FSIZE says (no SIGXFSZ is raised, unless another
 * thread lowers that limit meanwhile); LETHE_INVALID when the budget holds no slot. */
struct lethe_spill_file;
LETHE_MUST_CHECK lethe_result lethe_spill_file_create(const char *directory, size_t slot_bytes,
                                                      uint64_t budget_bytes,
                                                      struct lethe_spill_file **out,
                                                      struct lethe_error *err);
struct lethe_spill lethe_spill_file_table(struct lethe_spill_file *file);
void lethe_spill_file_free(struct lethe_spill_file *file);

/* ---- cache ----------------------------------------------------------------------------------- */

struct lethe_kv_options {
    const char *name; /* 1 to 64 of [A-Za-z0-9_-]: for the record */
    size_t device;    /* of the worker's */
    uint32_t layers;  /* 1 to 4096 */
    /* Of one token's keys in one layer (heads x head size x bytes of an element); its values take
     * as many. 1 to 2^20. */
    uint32_t row_bytes;
    uint32_t block_tokens;           /* 0: 16; 1 to 4096 */
    uint64_t budget_bytes;           /* of blocks on the device: at least one block */
    const struct lethe_spill *spill; /* copied; NULL: what does not fit is not kept */
};
/* A block holds [layer][keys, values][token][row]. */
struct lethe_kv_cache;

/* The worker is there until the cache is freed; its policy and log are the cache's. LETHE_INVALID
 * names the option; LETHE_NO_MEMORY says needed and available; LETHE_INTEGRITY, LETHE_DENIED: the
 * worker was stopped, and by whom; LETHE_UNAVAILABLE, LETHE_UNPROTECTED. */
LETHE_MUST_CHECK lethe_result lethe_kv_cache_create(struct lethe_worker *worker,
                                                    const struct lethe_kv_options *options,
                                                    struct lethe_kv_cache **out,
                                                    struct lethe_error *err);
/* Bytes of a spilled block: what a spill store is asked to keep in one piece. 0 when the options
 * are not acceptable. */
size_t lethe_kv_spill_bytes(const struct lethe_kv_options *options);
/* Ends every session that the cache still has and frees its handle, wipes, frees: LETHE_UNWIPED,
 * LETHE_UNAVAILABLE as device failures are. NULL is fine. */
LETHE_MUST_CHECK lethe_result lethe_kv_cache_free(struct lethe_kv_cache *cache,
                                                  struct lethe_error *err);

struct lethe_kv_counters {
    uint64_t blocks;         /* of the arena                                               */
    uint64_t used_blocks;    /* of them; also those being wiped, or that would not be zero */
    uint64_t spilled_blocks; /* in the store now                                           */
    uint64_t sessions;       /* that have not ended                                        */
    uint64_t appended_tokens;
    uint64_t evicted_blocks; /* spilled, or fallen out of a window */
    uint64_t spills;
    uint64_t fetches;
    uint64_t wiped_bytes; /* of blocks, shown to be zero */
};
void lethe_kv_cache_counters(struct lethe_kv_cache *cache, struct lethe_kv_counters *out);

/* Ends (timed out) every session whose heartbeat is overdue; gives their number. Their handles stay
 * valid, answer LETHE_CANCELLED, and are freed by lethe_kv_end. */
size_t lethe_kv_expire(struct lethe_kv_cache *cache, uint64_t now_ms);

/* ---- sessions -------------------------------------------------------------------------------- */

struct lethe_kv_session_options {
    const char *tenant;  /* each 1 to 63 of [A-Za-z0-9_-] */
    const char *session; /* LETHE_EXISTS while the tenant has one of that name in this cache */
    uint64_t heartbeat_timeout_ms; /* 0: never */
    /* Of each layer at least so many tokens are kept; older ones go, in whole blocks, when the next
     * block begins. 0: all are kept. */
    uint64_t window_tokens;
    /* On the device, at least one block; what is over it is spilled, oldest first, or refused where
     * there is no store. 0: as much as the cache has. */
    uint64_t budget_bytes;
};
struct lethe_kv;

/* LETHE_INVALID names the option; LETHE_EXISTS; LETHE_INTEGRITY, LETHE_DENIED: the worker was
 * stopped. */
LETHE_MUST_CHECK lethe_result lethe_kv_open(struct lethe_kv_cache *cache,
                                            const struct lethe_kv_session_options *options,
                                            uint64_t now_ms, struct lethe_kv **out,
                                            struct lethe_error *err);
/* LETHE_CANCELLED when it has ended meanwhile: the same from every call below. Times that are older
 * than the last change nothing. */
LETHE_MUST_CHECK lethe_result lethe_kv_heartbeat(struct lethe_kv *session, uint64_t now_ms);

/* Keys and values of the layer's next `tokens` tokens, row after row. Constant time per row but for
 * a new block, which may evict: of all sessions' blocks that nobody uses just now the one whose
 * last use is the longest ago, counted in calls of append, read_begin and gather (then by age of
 * the session, then by age of the block); it is spilled. Without a spill store nothing of others is
 * ever taken: LETHE_NO_MEMORY (retriable). Also what the store gives, LETHE_LOST and
 * LETHE_INTEGRITY as for reading, LETHE_LIMIT: over 2^32 - 1 blocks. On failure nothing was
 * appended. */
LETHE_MUST_CHECK lethe_result lethe_kv_append(struct lethe_kv *session, uint32_t layer,
                                              const void *keys, const void *values, uint64_t tokens,
                                              struct lethe_error *err);
/* Tokens [first, end) are there in that layer; first is over 0 once a window has moved. */
LETHE_MUST_CHECK lethe_result lethe_kv_range(struct lethe_kv *session, uint32_t layer,
                                             uint64_t *first, uint64_t *end);

/* What lies in one block: rows of row_bytes, contiguous. */
struct lethe_kv_span {
    uint64_t first; /* token */
    uint64_t tokens;
    const void *keys; /* host: bytes; CUDA: what a kernel takes as a pointer */
    const void *values;
};
/* All that is there now, in order, without a copy. Spilled blocks are fetched, and all of them stay
 * where they are until lethe_kv_read_end, also when the session is cancelled meanwhile: it is wiped
 * then. LETHE_INTEGRITY: a spilled block came back changed, swapped or old: the session is
 * cancelled, and a critical record is durable. LETHE_LOST: it did not come back; what else is there
 * can still be gathered. LETHE_NO_MEMORY: they do not fit all at once, or the store has no room for
 * what would have to make way; lethe_kv_gather then still works. LETHE_NOT_FOUND: the window moved,
 * or tokens were taken back meanwhile; begin again. On failure *out is empty. */
struct lethe_kv_view {
    const struct lethe_kv_span *spans;
    size_t count;
    struct lethe_kv *session; /* the rest is the library's */
    void *inside;
};
LETHE_MUST_CHECK lethe_result lethe_kv_read_begin(struct lethe_kv *session, uint32_t layer,
                                                  struct lethe_kv_view *out,
                                                  struct lethe_error *err);
void lethe_kv_read_end(struct lethe_kv_view *view);
/* Copies tokens [first, first + tokens) of a layer to the caller's memory (tokens * row_bytes each;
 * either may be NULL), block by block: a spilled block for which there is no room is copied from
 * the store's, and stays there. LETHE_NOT_FOUND: not all are there, or no longer. On failure
 * what was copied is the caller's to wipe. */
LETHE_MUST_CHECK lethe_result lethe_kv_gather(struct lethe_kv *session, uint32_t layer,
                                              uint64_t first, uint64_t tokens, void *keys,
                                              void *values, struct lethe_error *err);

/* Forgets tokens from `tokens` on, in every layer (a rejected draft; 0: all of it). Their rows are
 * wiped. LETHE_BUSY: one of their blocks is being read, or some block is fetched to be read, and
 * all stays. LETHE_NOT_FOUND: a window has moved beyond. A spilled block that is cut is fetched:
 * results as reading. LETHE_UNWIPED. */
LETHE_MUST_CHECK lethe_result lethe_kv_truncate(struct lethe_kv *session, uint64_t tokens,
                                                struct lethe_error *err);
/* Wipes keys, values, hidden states and seeds; the session goes on, empty, with the same buffers.
 * LETHE_BUSY: somebody reads, and all stays. LETHE_UNWIPED. */
LETHE_MUST_CHECK lethe_result lethe_kv_reset(struct lethe_kv *session, struct lethe_error *err);

/* Zeroed memory of the session, in the guarded host memory of class `content`: hidden states,
 * logits, a prompt. Wiped with the session, or by reset, and valid until it ends. */
LETHE_MUST_CHECK lethe_result lethe_kv_buffer(struct lethe_kv *session, size_t size_bytes,
                                              void **out, struct lethe_error *err);
/* The same for the state of its random generator: at most LETHE_SECRET_MAX_BYTES. */
LETHE_MUST_CHECK lethe_result lethe_kv_seed(struct lethe_kv *session, size_t size_bytes,
                                            uint8_t **out, struct lethe_error *err);

/* From any thread: wipes what nobody is reading or appending to now, the rest at the end of that
 * call, and lets every further one answer LETHE_CANCELLED. On record (session_ended) when all of it
 * is wiped. Its name may be taken again. */
void lethe_kv_cancel(struct lethe_kv *session);
/* Wipes all of it, proves it, records it (session_ended, unless it was cancelled or timed out
 * before), frees the handle whatever the result: LETHE_UNWIPED. Waits for a store that has a block
 * of it in its hands. That somebody reads is a broken precondition. NULL is fine. */
LETHE_MUST_CHECK lethe_result lethe_kv_end(struct lethe_kv *session, enum lethe_session_end cause,
                                           struct lethe_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
