/* engine/storage.h -- the memory files that hold the weights, and a writable mapping of them.
 *
 * Made, sealed, wiped and destroyed by the guardian. Below a fresh private directory:
 *   models/<placeholder>/<original name>   what the engine reads
 *   home/ tmp/                             where it may write (scratch)
 * Two rungs (struct storage_rung): tmpfs mounts in a namespace of the guardian's own, or memfds
 * behind symbolic links. A process tries one rung only: one that failed may leave it in a state
 * that the next could not use. */
#ifndef ENGINE_STORAGE_H
#define ENGINE_STORAGE_H

#include <sys/resource.h>

#include "engine/engine.h"
#include "engine/mapping.h"
#include "engine/swap.h"

#define STORAGE_PATH_MAX 256

struct memory_file {
    const struct engine_model *model;
    const struct model_file *content; /* what will be in it */
    uint8_t *mapping; /* content->size_bytes, shared and writable; NULL for an empty file */
    int fd;           /* writable; after sealing read-only (memfd) or out of reach (tmpfs) */
};

struct storage {
    const struct engine_options *options;
    const struct storage_rung *rung; /* NULL: nothing was made */
    int trace;                       /* borrowed; -1: none */
    enum swap_safety safety;
    struct swap_group group; /* that this process is in, by SWAP_CGROUP */
    bool no_swap_mount;
    int no_swap_errno;                /* why the mount has no noswap */
    char directory[STORAGE_PATH_MAX]; /* fresh, 0700; "": none */
    int scratch;                      /* the directory, in memory; -1: none */
    struct memory_file *files;        /* in the order of the models and their manifests */
    size_t count;
    uint64_t total_bytes;
    struct rlimit open_files; /* the limit before room was made for `files` */
};
#define STORAGE_NONE                                                                               \
    (struct storage)                                                                               \
    {                                                                                              \
        .scratch = -1, .trace = -1                                                                 \
    }

struct storage_rung {
    enum handover handover;
    bool passes_descriptors; /* the engine inherits one for each file */
    /* Makes the directory, and covers what the engine must not see. */
    lethe_result (*prepare)(struct storage *storage, struct lethe_error *err);
    /* Makes file->fd, of the right size, under its name. */
    lethe_result (*create_file)(struct storage *storage, struct memory_file *file,
                                struct lethe_error *err);
    /* From now on nobody can write but through mappings that exist. */
    lethe_result (*seal)(struct storage *storage, struct lethe_error *err);
    /* From now on no name leads to the files; and back. NULL: cannot be done. */
    lethe_result (*cover)(struct storage *storage, struct lethe_error *err);
    void (*uncover)(struct storage *storage);
    /* Removes the directory; the content has been wiped. */
    void (*remove)(struct storage *storage);
};
extern const struct storage_rung storage_tmpfs;
extern const struct storage_rung storage_memfd;
/* Whether memory files can be made, and sealed in the way that storage_memfd seals them. */
LETHE_MUST_CHECK lethe_result storage_memfd_check(struct lethe_error *err);

/* Makes and maps the files on that rung (not HANDOVER_AUTO). LETHE_UNPROTECTED, with the remedy,
 * when it does not hold or swap could see the weights; LETHE_NO_MEMORY when they do not fit. */
LETHE_MUST_CHECK lethe_result storage_create(const struct engine_options *options,
                                             enum handover handover, int trace, struct storage *out,
                                             struct lethe_error *err);
/* Call when everything is loaded. */
LETHE_MUST_CHECK lethe_result storage_seal(struct storage *storage, struct lethe_error *err);
/* For the engine's process, between fork and exec: what it inherits of limits and descriptors. */
LETHE_MUST_CHECK lethe_result storage_pass_on(const struct storage *storage,
                                              struct lethe_error *err);
/* Wipes what was loaded of a model, and what the engine wrote; adds to `sum`. */
void storage_wipe_model(const struct storage *storage, const struct engine_model *model,
                        struct wipe *sum);
void storage_wipe_scratch(const struct storage *storage, struct wipe *sum);
/* Gives the memory of files that are wiped back; what is still mapped elsewhere is gone there. */
void storage_release(struct storage *storage);
/* Wiped or not: unmaps, removes. */
void storage_destroy(struct storage *storage);

/* The path that stands for a model: its only file, or its directory. */
LETHE_MUST_CHECK lethe_result storage_model_path(const struct storage *storage,
                                                 const struct engine_model *model, char **out,
                                                 struct lethe_error *err);
/* The path of a file, with the directories above it made. */
LETHE_MUST_CHECK lethe_result storage_file_path(const struct storage *storage,
                                                const struct memory_file *file, char **out,
                                                struct lethe_error *err);

/* A fresh 0700 directory "lethe-XXXXXX" below `above`. Its name is in the trace before it is there,
 * so that no death leaves one that nobody looks for. */
LETHE_MUST_CHECK lethe_result storage_make_directory(struct storage *storage, const char *above,
                                                     struct lethe_error *err);

#endif
