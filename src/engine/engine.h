/* engine/engine.h -- run an unmodified engine on encrypted models, in memory that forgets.
 *
 * Three processes. The supervisor (the caller) obtains keys, decrypts, writes the log. The guardian
 * is forked before any secret is in the process: it makes the memory files, keeps a writable
 * mapping of them, is the engine's parent, and wipes; if the supervisor dies, it kills the engine
 * and wipes all the same, and if the guardian dies, the engine is killed and the supervisor wipes.
 * The engine sees the weights read-only under their original names.
 *
 * docs/architecture.md, "exec", draws it. Thread rule: one thread; the process must have a single
 * thread when engine_prepare is called, and from then to engine_free no other children: when the
 * guardian dies, whatever it left becomes the supervisor's, and every child is killed. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "audit/log.h"
#include "engine/ready_url.h"
#include "model/model.h"

/* How the engine gets at the weights. */
enum handover {
    HANDOVER_AUTO,  /* the first that works */
    HANDOVER_TMPFS, /* files in a private tmpfs (huge pages; no swap where the kernel can) that only
                     * the engine's own mount namespace shows, read-only */
    HANDOVER_MEMFD, /* sealed memfds behind a private 0700 directory of symbolic links */
};
const char *handover_name(enum handover handover);

/* Why the weights cannot reach swap; the first that holds. */
enum swap_safety {
    SWAP_UNSAFE,     /* none holds: refused, unless swap is allowed */
    SWAP_NO_SWAP_FS, /* tmpfs mounted with noswap */
    SWAP_LOCKED,     /* mlock */
    SWAP_CGROUP,     /* a cgroup with memory.swap.max = 0: this one, or one that is made for it */
    SWAP_NONE, /* the host has no active swap, or only one encrypted with a key that dies with it;
                * looked at again while the engine runs */
};
const char *swap_safety_name(enum swap_safety safety);

/* One model and the word that stands for it: "{model}" or "{NAME}". */
struct engine_model {
    const char *placeholder; /* without braces */
    struct model *model;     /* opened; its signature is checked before engine_run */
};

struct engine_options {
    const struct engine_model *models;
    size_t model_count;
    char *const *arguments; /* ENGINE ARGS..., NULL-terminated */
    enum handover handover;
    bool allow_swap;   /* go on (on record) when nothing keeps the weights from swap */
    bool check_digest; /* recompute the plaintext digest after loading */
    /* Forget the weights when the engine has said that it is ready and lets go of them; by tmpfs
     * only. It says so through NOTIFY_SOCKET (sd_notify), or by `ready_url`. */
    bool drop_after_ready;
    const struct ready_url *ready_url; /* NULL: nobody is asked */
    bool keep_home;                    /* do not replace HOME, TMPDIR and cache directories */
    const char *run_directory; /* for traces: $LETHE_HOME/run, made 0700 when it is not there */
    const char *const *hidden; /* paths that the engine must not see (the home, the root file),
                                * NULL-terminated; covered by HANDOVER_TMPFS only. NULL: none */
    struct model_work work;
};

struct engine;

/* Checks the arguments (every placeholder used: LETHE_INVALID), forks the guardian, and has it make
 * the memory files. Models and arguments are kept until engine_free. From here to
 * engine_free signals that are passed on to the engine are blocked. LETHE_UNPROTECTED names what
 * cannot be had and the remedy, LETHE_NO_MEMORY what does not fit. */
LETHE_MUST_CHECK lethe_result engine_prepare(const struct engine_options *options,
                                             struct engine **out, struct lethe_error *err);

/* What the weights of a prepared engine are kept from swap by. */
enum swap_safety engine_swap_safety(const struct engine *engine);
/* How it will get at them. */
enum handover engine_handover(const struct engine *engine);

struct engine_exit {
    int exit_code;   /* the engine's own; 128 + N for a signal; 127 not found, 126 not runnable */
    int start_errno; /* why it could not be executed; 0 when it was */
    bool revoked;    /* it was ended because the watch said so */
    bool swapped_on; /* it was ended because swap came into use, and SWAP_NONE held no more */
    uint64_t wiped_bytes;
    bool wiped; /* all of them read back as zero */
};
/* Whether the engine may go on: asked while it runs. */
struct engine_watch {
    /* LETHE_REVOKED when not: then `key` (of `key_bytes`) says which key. Anything else means that
     * it may, or that it cannot be told now: an engine is not ended because a disk is slow. */
    lethe_result (*check)(void *context, char *key, size_t key_bytes);
    void *context;
    bool finish; /* let it run to its end, on record; otherwise it is ended (SIGTERM, then SIGKILL)
                  */
};
#define ENGINE_WATCH_INTERVAL_MS 500
#define ENGINE_GRACE_MS                                                                            \
    5000 /* between SIGTERM and SIGKILL, and between that and the guardian's end */

/* What the run needs of the rooms that the caller holds. */
struct engine_services {
    const struct key_source *keys;
    struct audit_log *log;
    struct audit_who who;
    const struct engine_watch *watch; /* NULL: nobody asks */
};
/* Loads, starts the engine, waits for it (passing signals on), wipes, and records model_loaded,
 * engine_started, engine_ready, region_wiped, engine_exited, and engine_revoked when the watch says
 * so. LETHE_OK when the engine ran, whatever its exit code. Before it has started: the result of
 * what failed (LETHE_CANCELLED for a signal), with everything wiped. LETHE_UNWIPED when the wipe
 * could not be shown. Call it once. */
LETHE_MUST_CHECK lethe_result engine_run(struct engine *engine,
                                         const struct engine_services *services,
                                         struct engine_exit *out, struct lethe_error *err);
/* Ends the guardian if it still runs (wiping), removes the trace; signals that were for the engine
 * and came too late are forgotten. NULL is fine. */
void engine_free(struct engine *engine);
DEFINE_CLEANUP(engine_free, struct engine *);

/* Traces of runs whose supervisor died: for each that nobody holds any more records an
 * engine_exited ("wiped" when the guardian said so, "unwiped" when nobody could), wipes and removes
 * what the engine left in its private directory, and removes the trace. */
LETHE_MUST_CHECK lethe_result engine_settle_traces(const char *run_directory, struct audit_log *log,
                                                   const struct audit_who *who, size_t *settled,
                                                   struct lethe_error *err);

/* One way to do something, and whether this host gives it. */
struct engine_rung {
    const char *label;
    const char *remedy; /* what would make it hold */
    bool holds;
    char why_not[512]; /* as long as the text of an error */
};
#define ENGINE_SWAP_RUNGS 4
#define ENGINE_HANDOVER_RUNGS 2

/* For doctor: what this host can give, best first; found by trying, in processes that end at once.
 * The rungs against swap are those for memory of any size. */
struct engine_host {
    struct engine_rung handovers[ENGINE_HANDOVER_RUNGS]; /* tmpfs, memfd */
    struct engine_rung swap[ENGINE_SWAP_RUNGS]; /* noswap, locks, cgroup, none: as swap_safety */
    bool tmpfs_huge;
    bool user_namespace; /* what is mounted is mounted through a user namespace */
};
void engine_probe(struct engine_host *out);

#endif
