/* A spill store in a file without a name: slots of ciphertext, gone with the process. */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "residency/spill_index.h"

#define NO_SLOT UINT64_MAX

struct lethe_spill_file {
    int fd;
    size_t slot_bytes;
    uint64_t slots_max;
    pthread_mutex_t lock; /* what is below; a slot's bytes are its id's user's */
    void *map;
    uint64_t slots; /* of the file */
    uint64_t *free; /* a stack, with room for every slot, so that giving one back cannot fail */
    uint64_t free_count;
    uint64_t free_capacity;
};

/* Beyond this limit, which may be lowered at any time, writing would end the process: SIGXFSZ. */
static lethe_result check_limit(uint64_t offset, size_t size_bytes, struct lethe_error *err)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0)
        return error_from_errno(err, "spill file: asking for the limit of its size");
    uint64_t available_bytes = limit.rlim_cur > offset ? limit.rlim_cur - offset : 0;
    if (size_bytes <= available_bytes)
        return LETHE_OK;
    error_set(err, LETHE_NO_SPACE,
              "spill file: %zu bytes are needed, %" PRIu64 " of %" PRIu64 " are available",
              size_bytes, available_bytes, (uint64_t)limit.rlim_cur);
    error_hint(err, "no file of this process may be larger: RLIMIT_FSIZE, ulimit -f");
    return LETHE_NO_SPACE;
}

/* ---- create ---------------------------------------------------------------------------------- */

/* Where the file system has no O_TMPFILE: a name, for a moment. */
static int open_and_unlink(const char *directory)
{
    CLEANUP(memory_free) char *path = path_join(directory, ".lethe-spill-XXXXXX");
    int fd = path != NULL ? mkostemp(path, O_CLOEXEC) : -1;
    if (fd >= 0)
        unlink(path);
    return fd;
}

static int open_nameless(const char *directory)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
    return fd >= 0 ? fd : open_and_unlink(directory);
}

lethe_result lethe_spill_file_create(const char *directory, size_t slot_bytes,
                                     uint64_t budget_bytes, struct lethe_spill_file **out,
                                     struct lethe_error *err)
{
    *out = NULL;
    if (slot_bytes == 0 || (budget_bytes != 0 && budget_bytes < slot_bytes))
        return error_set(err, LETHE_INVALID,
                         "a spill file of %" PRIu64 " bytes with slots of %zu bytes", budget_bytes,
                         slot_bytes);
    TRY(check_limit(0, slot_bytes, err));
    CLEANUP(memory_free) struct lethe_spill_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a spill store");
    file->fd = open_nameless(directory);
    if (file->fd < 0)
        return error_from_errno(err, "making a spill file in %s", directory);
    file->slot_bytes = slot_bytes;
    file->slots_max =
        MIN(budget_bytes != 0 ? budget_bytes : UINT64_MAX, (uint64_t)INT64_MAX) / slot_bytes;
    pthread_mutex_init(&file->lock, NULL);
    *out = MOVE(file);
    return LETHE_OK;
}

/* ---- slots: under the lock ------------------------------------------------------------------- */

static lethe_result reserve(struct lethe_spill_file *file, struct lethe_error *err)
{
    if (file->slots < file->free_capacity)
        return LETHE_OK;
    uint64_t capacity = file->free_capacity == 0 ? 64 : file->free_capacity * 2;
    uint64_t *grown = reallocarray(file->free, (size_t)capacity, sizeof *grown);
    if (grown == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a list of slots");
    file->free = grown;
    file->free_capacity = capacity;
    return LETHE_OK;
}

static lethe_result take_slot(struct lethe_spill_file *file, uint64_t *slot,
                              struct lethe_error *err)
{
    if (file->free_count > 0) {
        *slot = file->free[--file->free_count];
        return LETHE_OK;
    }
    if (file->slots >= file->slots_max)
        return error_set(err, LETHE_NO_SPACE,
                         "spill file: %zu bytes are needed, 0 of %" PRIu64 " are available",
                         file->slot_bytes, file->slots_max * file->slot_bytes);
    TRY(reserve(file, err));
    *slot = file->slots++;
    return LETHE_OK;
}

static lethe_result slot_of(struct lethe_spill_file *file, const struct lethe_spill_id *id,
                            uint64_t *slot, struct lethe_error *err)
{
    bool is_new;
    struct spill_entry *entry = spill_index_add(&file->map, id, &is_new);
    if (entry == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a spilled block");
    lethe_result result = is_new ? take_slot(file, &entry->slot, err) : LETHE_OK;
    if (result != LETHE_OK)
        spill_index_remove(&file->map, entry);
    else
        *slot = entry->slot;
    return result;
}

/* ---- the table ------------------------------------------------------------------------------- */

static void drop(void *context, const struct lethe_spill_id *id)
{
    struct lethe_spill_file *file = context;
    pthread_mutex_lock(&file->lock);
    struct spill_entry *entry = spill_index_find(&file->map, id);
    if (entry != NULL) {
        file->free[file->free_count++] = entry->slot;
        spill_index_remove(&file->map, entry);
    }
    pthread_mutex_unlock(&file->lock);
}

static lethe_result put(void *context, const struct lethe_spill_id *id, const void *bytes,
                        size_t size_bytes, struct lethe_error *err)
{
    struct lethe_spill_file *file = context;
    uint64_t slot = 0;
    if (size_bytes > file->slot_bytes)
        return error_set(err, LETHE_INVALID, "spill file: %zu bytes for a slot of %zu", size_bytes,
                         file->slot_bytes);
    pthread_mutex_lock(&file->lock);
    lethe_result result = slot_of(file, id, &slot, err);
    pthread_mutex_unlock(&file->lock);
    TRY(result);
    uint64_t offset = slot * file->slot_bytes;
    result = check_limit(offset, size_bytes, err);
    if (result == LETHE_OK)
        result = file_write_at(file->fd, "spill file", offset, bytes, size_bytes, err);
    if (result != LETHE_OK)
        drop(file, id); /* half of it is no block */
    return result;
}

static lethe_result get(void *context, const struct lethe_spill_id *id, void *out,
                        size_t size_bytes, struct lethe_error *err)
{
    struct lethe_spill_file *file = context;
    pthread_mutex_lock(&file->lock);
    const struct spill_entry *entry = spill_index_find(&file->map, id);
    uint64_t slot = entry != NULL ? entry->slot : NO_SLOT;
    pthread_mutex_unlock(&file->lock);
    if (slot == NO_SLOT)
        return error_set(err, LETHE_NOT_FOUND, "spill file: there is no such block");
    lethe_result result =
        file_read_at(file->fd, "spill file", slot * file->slot_bytes, out, size_bytes, err);
    if (result != LETHE_INTEGRITY)
        return result;
    return error_set(err, LETHE_NOT_FOUND, "spill file: it was cut, and the block is gone");
}

struct lethe_spill lethe_spill_file_table(struct lethe_spill_file *file)
{
    return (struct lethe_spill){.put = put, .get = get, .drop = drop, .context = file};
}

void lethe_spill_file_free(struct lethe_spill_file *file)
{
    if (file == NULL)
        return;
    for (struct spill_entry *entry; (entry = spill_index_any(&file->map)) != NULL;)
        spill_index_remove(&file->map, entry);
    free(file->free);
    fd_close(file->fd);
    pthread_mutex_destroy(&file->lock);
    free(file);
}
