#include "engine/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "engine/mapping.h"
#include "engine/scratch.h"
#include "engine/swap.h"
#include "mem/swap.h"

/* ---- paths -------------------------------------------------------------------------------------
 */

lethe_result storage_make_directory(const char *above, char out[STORAGE_PATH_MAX],
                                    struct lethe_error *err)
{
    int length = snprintf(out, STORAGE_PATH_MAX, "%s/lethe-XXXXXX", above);
    if (length < 0 || length >= STORAGE_PATH_MAX || mkdtemp(out) == NULL) {
        error_from_errno(err, "a private directory below %s", above);
        out[0] = '\0';
        return LETHE_IO;
    }
    return LETHE_OK;
}

lethe_result storage_model_path(const struct storage *storage, const struct engine_model *model,
                                char **out, struct lethe_error *err)
{
    const struct manifest *manifest = model_manifest(model->model);
    bool single = manifest->count == 1;
    if (asprintf(out, "%s/models/%s%s%s", storage->directory, model->placeholder, single ? "/" : "",
                 single ? manifest->shards[0].name : "") < 0)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    return LETHE_OK;
}

lethe_result storage_file_path(const struct storage *storage, const struct memory_file *file,
                               char **out, struct lethe_error *err)
{
    CLEANUP(memory_free) char *path = NULL;
    if (asprintf(&path, "%s/models/%s/%s", storage->directory, file->model->placeholder,
                 file->shard->name) < 0)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    char *last = strrchr(path, '/');
    *last = '\0';
    TRY(file_make_directories(path, 0700, err));
    *last = '/';
    *out = MOVE(path);
    return LETHE_OK;
}

/* ---- making ------------------------------------------------------------------------------------
 */

static lethe_result list_files(struct storage *storage, struct lethe_error *err)
{
    const struct engine_options *options = storage->options;
    for (size_t i = 0; i < options->model_count; i++)
        storage->count += model_manifest(options->models[i].model)->count;
    storage->files = calloc(storage->count, sizeof *storage->files);
    if (storage->files == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu files", storage->count);
    struct memory_file *file = storage->files;
    for (size_t i = 0; i < options->model_count; i++) {
        const struct manifest *manifest = model_manifest(options->models[i].model);
        for (size_t j = 0; j < manifest->count; j++) {
            *file++ = (struct memory_file){
                .model = &options->models[i], .shard = &manifest->shards[j], .fd = -1};
            storage->total_bytes += manifest->shards[j].size;
        }
    }
    return LETHE_OK;
}

static lethe_result map_file(struct memory_file *file, struct lethe_error *err)
{
    if (file->shard->size == 0)
        return LETHE_OK;
    void *mapping = mmap(NULL, file->shard->size, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
    if (mapping == MAP_FAILED)
        return error_from_errno(err, "mapping %s", file->shard->name);
    file->mapping = mapping;
    return LETHE_OK;
}

static lethe_result make_files(struct storage *storage, struct lethe_error *err)
{
    TRY(storage->rung->prepare(storage, err));
    TRY(scratch_create(storage->scratch, err));
    for (size_t i = 0; i < storage->count; i++) {
        TRY(storage->rung->create_file(storage, &storage->files[i], err));
        TRY(map_file(&storage->files[i], err));
    }
    return LETHE_OK;
}

/* ---- swap --------------------------------------------------------------------------------------
 */

/* `flags` as mlock2's. On fault: what is not there yet is locked when it comes, which tells now
 * whether the limit allows it, and costs nothing. */
static bool lock_files(struct storage *storage, unsigned flags)
{
    for (size_t i = 0; i < storage->count; i++) {
        const struct memory_file *file = &storage->files[i];
        if (file->mapping != NULL && mlock2(file->mapping, file->shard->size, flags) != 0)
            return false;
    }
    return true;
}

static enum swap_safety find_safety(struct storage *storage)
{
    if (storage->no_swap_mount)
        return SWAP_NO_SWAP_FS;
    if (lock_files(storage, MLOCK_ONFAULT))
        return SWAP_LOCKED;
    if (swap_cgroup_forbids())
        return SWAP_CGROUP;
    return swap_may_keep_pages() ? SWAP_UNSAFE : SWAP_NONE;
}

static lethe_result check_safety(struct storage *storage, struct lethe_error *err)
{
    storage->safety = find_safety(storage);
    if (storage->safety != SWAP_UNSAFE || storage->options->allow_swap)
        return LETHE_OK;
    error_set(err, LETHE_UNPROTECTED,
              "swap is active, and %s cannot be kept from it: no tmpfs with noswap, and the "
              "memory-lock limit is too small",
              storage->rung->handover == HANDOVER_TMPFS ? "a tmpfs" : "a memfd");
    error_hint(err, "raise the limit above the model's size (ulimit -l, LimitMEMLOCK=), run in a "
                    "cgroup with memory.swap.max=0, turn swap off, or accept it: --allow-swap");
    return LETHE_UNPROTECTED;
}

lethe_result storage_create(const struct engine_options *options, struct storage *out,
                            struct lethe_error *err)
{
    static const struct storage_rung *const ladder[] = {&storage_tmpfs, &storage_memfd};
    lethe_result result = LETHE_UNPROTECTED;
    for (size_t i = 0; i < ARRAY_LEN(ladder); i++) {
        if (options->handover != HANDOVER_AUTO && options->handover != ladder[i]->handover)
            continue;
        *out = (struct storage){.options = options, .rung = ladder[i]};
        result = list_files(out, err);
        if (result == LETHE_OK)
            result = make_files(out, err);
        if (result == LETHE_OK)
            result = check_safety(out, err);
        if (result == LETHE_OK)
            return LETHE_OK;
        storage_destroy(out);
        if (result != LETHE_UNPROTECTED)
            return result;
    }
    return result;
}

lethe_result storage_seal(struct storage *storage, struct lethe_error *err)
{
    if (storage->safety == SWAP_LOCKED && !lock_files(storage, 0))
        return error_set(err, LETHE_UNPROTECTED, "the loaded weights could not be locked");
    return storage->rung->seal(storage, err);
}

/* ---- wiping ------------------------------------------------------------------------------------
 */

bool storage_wipe(struct storage *storage, uint64_t *wiped_bytes)
{
    bool wiped = true;
    *wiped_bytes = 0;
    for (size_t i = 0; i < storage->count; i++) {
        struct memory_file *file = &storage->files[i];
        if (file->mapping == NULL)
            continue;
        wiped = mapping_wipe(file->mapping, file->shard->size) && wiped;
        *wiped_bytes += file->shard->size;
    }
    if (storage->scratch[0] != '\0') {
        uint64_t scratch_bytes = 0;
        wiped = scratch_wipe(storage->scratch, &scratch_bytes) && wiped;
        *wiped_bytes += scratch_bytes;
    }
    return wiped;
}

void storage_destroy(struct storage *storage)
{
    for (size_t i = 0; storage->files != NULL && i < storage->count; i++) {
        struct memory_file *file = &storage->files[i];
        if (file->mapping != NULL)
            munmap(file->mapping, file->shard->size);
        fd_close(file->fd);
    }
    free(storage->files);
    storage->files = NULL;
    storage->count = 0;
    if (storage->rung != NULL && storage->directory[0] != '\0')
        storage->rung->remove(storage);
    storage->directory[0] = '\0';
    storage->scratch[0] = '\0';
}
