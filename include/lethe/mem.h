/* lethe/mem.h -- memory that forgets.
 *
 * Four things, from small to large:
 *   wipe and check       lethe_wipe(), lethe_is_zero()
 *   a secret             16 B to 4 KiB from a guarded slab: keys, tokens, seeds
 *   a region             whole pages that nobody else may keep: weights, caches, user content
 *   a session            regions and secrets that end together
 * Whatever is freed here is overwritten with zeros, read back, and only then given up; an observer
 * (lethe_mem_observe) hears of every region. When the process exits, what still lives is wiped.
 * What wiping cannot reach: registers, caches of the CPU (but see lethe_wipe_flush_caches), copies
 * that a library made, page frames that the kernel moved our pages out of, and everything when the
 * process is killed.
 *
 * Thread rule: one region, secret or session is used by one thread at a time; creating and freeing
 * different ones is safe from any thread. A canary that changed or a double free aborts. A program
 * stops its threads before it exits: what they use becomes zeros then.
 *
 * Fork rule: a forked child finds its parent's secrets and regions zeroed, or (class `key`) not
 * there at all. It may free them, which does nothing but tidy up, and make its own.
 *
 * Sandbox rule: creating regions, and now and then secrets, takes mmap, mprotect, mlock, madvise,
 * munmap, and memfd_secret and ftruncate for class `key`, and reading /proc/self/smaps,
 * /proc/self/status, /proc/self/maps, /proc/swaps and /proc/sys/vm/max_map_count. */
#ifndef LETHE_MEM_H
#define LETHE_MEM_H

#include <stddef.h>
#include <stdint.h>

#include <lethe/error.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* this is what the library shows */

/* ---- wipe and check ------------------------------------------------------------------------- */

/* Overwrites size_bytes bytes with zeros. Never optimised away; large ranges are written with
 * stores that bypass the cache, and every call ends in a store fence. */
void lethe_wipe(void *memory, size_t size_bytes);
/* For the whole process, off at first: every wipe, those of this library too, also flushes the
 * lines out of the CPU's caches, so that the zeros are in RAM when it returns (against reading the
 * memory modules). Slow. LETHE_UNPROTECTED where the CPU is not x86-64. */
LETHE_MUST_CHECK lethe_result lethe_wipe_flush_caches(bool on, struct lethe_error *err);
/* True when every byte is zero. Reads everything: time does not depend on the content. */
bool lethe_is_zero(const void *memory, size_t size_bytes);

/* ---- what is kept, and for whom -------------------------------------------------------------- */

enum lethe_class {
    LETHE_CLASS_KEY,       /* decryption and signing keys, and what they are derived from      */
    LETHE_CLASS_WEIGHTS,   /* plaintext weights: experts, router tables, dense layers          */
    LETHE_CLASS_OPTIMIZER, /* optimizer state                                                  */
    LETHE_CLASS_CONTENT,   /* what users sent or got: embeddings, hidden states, KV cache      */
};
const char *lethe_class_name(enum lethe_class class_);

/* For the record of the wipe. Each at most 63 bytes and NUL; empty where it does not apply. */
struct lethe_label {
    char tenant[64];
    char session[64];
    char id[64];
};

/* ---- regions --------------------------------------------------------------------------------- */

enum lethe_protection {
    LETHE_LOCKED = 1u << 0,     /* never written to swap                                        */
    LETHE_UNDUMPABLE = 1u << 1, /* left out of core files                                       */
    LETHE_FORK_BLIND = 1u << 2, /* a forked child sees zeros, or nothing                        */
    LETHE_SECRET = 1u << 3,     /* memfd_secret: not even in the kernel's own map of memory     */
};

/* What keeps a LOCKED region out of swap. The last holds only while nobody turns swap on: see
 * lethe_mem_recheck(). */
enum lethe_locked_by {
    LETHE_LOCKED_BY_NOTHING,
    LETHE_LOCKED_BY_MLOCK,
    LETHE_LOCKED_BY_SECRET_MEMORY, /* memfd_secret is never swapped                             */
    LETHE_LOCKED_BY_NO_SWAP,       /* the lock was refused; but no swap is active, or only such
                                      whose key is drawn at every boot                          */
};
const char *lethe_locked_by_name(enum lethe_locked_by locked_by);

struct lethe_region_options {
    enum lethe_class class_;
    unsigned optional; /* protections (bits) to go without, if the host cannot give them */
    bool huge_pages;   /* ask for huge pages: faster to fill, for large regions          */
    struct lethe_label label;
};

struct lethe_region;

/* Creates a region of at least size_bytes (1 to 2^40), rounded up to whole pages, zeroed, between
 * two inaccessible guard pages. Every class gets LOCKED, UNDUMPABLE and FORK_BLIND; class `key`
 * also gets SECRET where the kernel has it (never an error) and starts closed (see
 * lethe_region_open). Each protection is checked after it is set.
 *
 * On success the caller owns *out and frees it with lethe_region_free(). *out is NULL otherwise.
 * LETHE_UNPROTECTED: a protection that is not optional cannot be had; the text names it, the hint
 *                    says the remedy (for example: raise the memory-lock limit to 16 MiB).
 * LETHE_LIMIT: the process is near its limit of memory mappings (vm.max_map_count).
 * LETHE_NO_MEMORY, LETHE_INVALID: as they say. */
LETHE_MUST_CHECK
lethe_result lethe_region_create(size_t size_bytes, const struct lethe_region_options *options,
                                 struct lethe_region **out, struct lethe_error *err);

/* Wipes, checks, reports to the observer, unmaps. NULL is fine. Memory that is not zero after the
 * wipe is never given back: it stays mapped, out of reach, and the observer is told; if nobody
 * observes, the process aborts. */
void lethe_region_free(struct lethe_region *region);

/* The memory, and its size in bytes (a multiple of the page size). A closed region faults. */
void *lethe_region_bytes(struct lethe_region *region);
size_t lethe_region_size(const struct lethe_region *region);
/* What the region really has: bits of enum lethe_protection. */
unsigned lethe_region_protections(const struct lethe_region *region);
enum lethe_locked_by lethe_region_locked_by(const struct lethe_region *region);

/* Makes a region accessible, and inaccessible again (PROT_NONE). Opens nest, also across threads;
 * other classes than `key` start open. */
void lethe_region_open(struct lethe_region *region);
void lethe_region_close(struct lethe_region *region);

/* Wipes and checks in place, reports to the observer; the region stays usable. */
LETHE_MUST_CHECK lethe_result lethe_region_wipe(struct lethe_region *region,
                                                struct lethe_error *err);

/* Checkpoint overwrite (Z-5): wipes and frees *current (which may be NULL) and puts `next` there;
 * nobody can see `next` through *current, which is NULL meanwhile, before the old content is gone.
 * `next` is moved, also on failure (LETHE_UNWIPED), when it is freed and *current stays NULL. */
LETHE_MUST_CHECK lethe_result lethe_region_replace(struct lethe_region **current,
                                                   struct lethe_region *next,
                                                   struct lethe_error *err);

/* How many bytes and regions this process may still lock and map, asked before anything large
 * starts. `unlimited` when the process may lock what it likes. */
struct lethe_mem_budget {
    bool unlimited;
    uint64_t lock_limit_bytes;
    uint64_t lock_used_bytes;
    uint64_t map_limit;
    uint64_t map_used;
};
LETHE_MUST_CHECK lethe_result lethe_mem_budget(struct lethe_mem_budget *out,
                                               struct lethe_error *err);

/* Call now and then in processes that live long: LETHE_UNPROTECTED when swap has come into use
 * since regions or secrets were made that rely on there being none. */
LETHE_MUST_CHECK lethe_result lethe_mem_recheck(struct lethe_error *err);

/* ---- secrets --------------------------------------------------------------------------------- */

#define LETHE_SECRET_MAX_BYTES 4096

struct lethe_secret;

/* A zeroed secret of 1 to LETHE_SECRET_MAX_BYTES bytes, from an arena that is locked, undumpable,
 * fork-blind and between guard pages, with a canary behind it. Constant time, and no system call
 * unless a new arena is needed. The caller owns *out and frees it with lethe_secret_free().
 * LETHE_UNPROTECTED as for regions, LETHE_NO_MEMORY, LETHE_INVALID. */
LETHE_MUST_CHECK lethe_result lethe_secret_create(size_t size_bytes, struct lethe_secret **out,
                                                  struct lethe_error *err);
/* Checks the canary, wipes, checks the wipe. NULL is fine. Any thread may free. */
void lethe_secret_free(struct lethe_secret *secret);
uint8_t *lethe_secret_bytes(struct lethe_secret *secret);
const uint8_t *lethe_secret_bytes_const(const struct lethe_secret *secret);
size_t lethe_secret_size(const struct lethe_secret *secret);
/* Constant-time comparison; different sizes are different. */
bool lethe_secret_equal(const struct lethe_secret *a, const struct lethe_secret *b);

/* ---- sessions -------------------------------------------------------------------------------- */

enum lethe_session_end {
    LETHE_SESSION_ENDED,
    LETHE_SESSION_CANCELLED,
    LETHE_SESSION_TIMED_OUT,
    LETHE_SESSION_PROCESS_EXIT
};
const char *lethe_session_end_name(enum lethe_session_end cause);

struct lethe_session;

/* heartbeat_timeout_ms: the session ends by itself at the first lethe_sessions_expire() that comes
 * later than this after the last heartbeat (creation counts as one); 0 is never. Times are
 * milliseconds of any monotonic clock, the same one at every call. `label.session` names it (not
 * empty). */
LETHE_MUST_CHECK lethe_result lethe_session_create(const struct lethe_label *label,
                                                   uint64_t heartbeat_timeout_ms, uint64_t now_ms,
                                                   struct lethe_session **out,
                                                   struct lethe_error *err);
/* As lethe_region_create and lethe_secret_create; the session owns the result and labels it: it is
 * freed by lethe_session_end() and by nobody else. LETHE_CANCELLED when the session has ended. */
LETHE_MUST_CHECK lethe_result lethe_session_region(struct lethe_session *session, size_t size_bytes,
                                                   enum lethe_class class_,
                                                   struct lethe_region **out,
                                                   struct lethe_error *err);
LETHE_MUST_CHECK lethe_result lethe_session_secret(struct lethe_session *session, size_t size_bytes,
                                                   struct lethe_secret **out,
                                                   struct lethe_error *err);
/* LETHE_CANCELLED when the session has ended meanwhile. */
LETHE_MUST_CHECK lethe_result lethe_session_heartbeat(struct lethe_session *session,
                                                      uint64_t now_ms);
/* Wipes and frees all that the session owns and reports the totals, unless it has ended (and was
 * reported) before; what was written since is wiped all the same. The handle itself is freed too;
 * NULL is fine. */
void lethe_session_end(struct lethe_session *session, enum lethe_session_end cause);
/* Wipes every session whose heartbeat is overdue at `now_ms` and reports it; from any thread. Its
 * memory stays mapped and its handle valid until lethe_session_end(), and answers LETHE_CANCELLED.
 * Gives the number of sessions that ended. */
size_t lethe_sessions_expire(uint64_t now_ms);

/* ---- who hears of it ------------------------------------------------------------------------- */

struct lethe_wipe_report {
    enum lethe_class class_;
    const struct lethe_label *label;
    uint64_t size_bytes;
    uint64_t duration_ns;
    bool verified; /* read back as zero */
};
struct lethe_session_report {
    const struct lethe_label *label;
    enum lethe_session_end cause;
    uint64_t regions;
    uint64_t secrets;
    uint64_t size_bytes;
    bool verified;
};
/* Called on the thread that frees, before the memory is unmapped; must not create or free regions,
 * and must not block for long. */
struct lethe_mem_observer {
    void (*region_wiped)(void *context, const struct lethe_wipe_report *report);
    void (*session_ended)(void *context, const struct lethe_session_report *report);
    void *context;
};
/* NULL: nobody. The table is copied. Set it before regions are in use. */
void lethe_mem_observe(const struct lethe_mem_observer *observer);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
