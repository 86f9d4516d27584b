/* engine/storage.h -- the memory files that hold the weights, and their one writable mapping.
 *
 * Made, sealed, wiped and destroyed by the guardian. Below a fresh private directory:
 *   models/<placeholder>/<original name>   what the engine reads
 *   home/ tmp/                             where it may write (scratch)
 * Two rungs (struct storage_rung): tmpfs mounts in a namespace of the guardian's own, or memfds
 * behind symbolic links. */
#ifndef ENGINE_STORAGE_H
#define ENGINE_STORAGE_H

#include "engine/engine.h"

#define STORAGE_PATH_MAX 256

struct memory_file {
    const struct engine_model *model;
    const struct shard *shard;
    uint8_t *mapping; /* shard->size bytes, shared and writable; NULL for an empty file */
    int fd;           /* writable; after sealing read-only (memfd) or -1 (tmpfs) */
};

struct storage {
    const struct engine_options *options;
    const struct storage_rung *rung;
    enum swap_safety safety;
    bool no_swap_mount;
    char directory[STORAGE_PATH_MAX]; /* fresh, 0700 */
    char scratch[STORAGE_PATH_MAX];   /* holds home/ and tmp/ */
    struct memory_file *files;
    size_t count;
    uint64_t total_bytes;
};

struct storage_rung {
    enum handover handover;
    /* Makes directory and scratch. */
    lethe_result (*prepare)(struct storage *storage, struct lethe_error *err);
    /* Makes file->fd, of the right size, under its name. */
    lethe_result (*create_file)(struct storage *storage, struct memory_file *file,
                                struct lethe_error *err);
    /* From now on nobody can write but through mappings that exist. */
    lethe_result (*seal)(struct storage *storage, struct lethe_error *err);
    /* Removes directory and scratch; the content has been wiped. */
    void (*remove)(struct storage *storage);
};
extern const struct storage_rung storage_tmpfs;
extern const struct storage_rung storage_memfd;

/* Climbs down the ladder of options->handover until a rung holds, then makes and maps the files.
 * LETHE_UNPROTECTED, with the remedy, when none does or swap could see them. */
LETHE_MUST_CHECK lethe_result storage_create(const struct engine_options *options,
                                             struct storage *out, struct lethe_error *err);
/* Call when everything is loaded: locks what must be locked, and seals. */
LETHE_MUST_CHECK lethe_result storage_seal(struct storage *storage, struct lethe_error *err);
/* Wipes files and scratch, reads everything back; the bytes and whether all of them are zero. */
bool storage_wipe(struct storage *storage, uint64_t *wiped_bytes);
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

/* A fresh 0700 directory "lethe-XXXXXX" below `above`. */
LETHE_MUST_CHECK lethe_result storage_make_directory(const char *above, char out[STORAGE_PATH_MAX],
                                                     struct lethe_error *err);

#endif
