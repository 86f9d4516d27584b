#include "engine/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/scratch.h"
#include "engine/swap_ladder.h"
#include "engine/trace.h"

#define OTHER_DESCRIPTORS 64 /* what guardian and engine have open besides the files */

/* ---- paths -------------------------------------------------------------------------------------
 */

static lethe_result draw_name(const char *above, char out[STORAGE_PATH_MAX],
                              struct lethe_error *err)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t drawn[6];
    char name[sizeof drawn + 1] = "";
    if (random_fill(&random_system, drawn, sizeof drawn) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "there is no randomness for a name");
    for (size_t i = 0; i < sizeof drawn; i++)
        name[i] = letters[drawn[i] % (sizeof letters - 1)];
    if (snprintf(out, STORAGE_PATH_MAX, "%s/lethe-%s", above, name) >= STORAGE_PATH_MAX)
        return error_set(err, LETHE_INVALID, "the path %s is too long", above);
    return LETHE_OK;
}

#define NAMES_TRIED 100

lethe_result storage_make_directory(struct storage *storage, const char *above,
                                    struct lethe_error *err)
{
    char path[STORAGE_PATH_MAX];
    int made = -1;
    errno = EEXIST;
    for (int i = 0; i < NAMES_TRIED && made != 0 && errno == EEXIST; i++) {
        TRY(draw_name(above, path, err));
        trace_note_text(storage->trace, "directory", path);
        made = mkdir(path, 0700);
    }
    if (made != 0)
        return error_from_errno(err, "a private directory below %s", above);
    memcpy(storage->directory, path, sizeof path);
    return LETHE_OK;
}

lethe_result storage_model_path(const struct storage *storage, const struct engine_model *model,
                                char **out, struct lethe_error *err)
{
    const struct model_files *files = &model_manifest(model->model)->files;
    bool single = files->count == 1;
    if (asprintf(out, "%s/models/%s%s%s", storage->directory, model->placeholder, single ? "/" : "",
                 single ? files->items[0].name : "") < 0)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    return LETHE_OK;
}

lethe_result storage_file_path(const struct storage *storage, const struct memory_file *file,
                               char **out, struct lethe_error *err)
{
    CLEANUP(memory_free) char *path = NULL;
    if (asprintf(&path, "%s/models/%s/%s", storage->directory, file->model->placeholder,
                 file->content->name) < 0)
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
        storage->count += model_manifest(options->models[i].model)->files.count;
    storage->files = calloc(storage->count, sizeof *storage->files);
    if (storage->files == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu files", storage->count);
    struct memory_file *file = storage->files;
    for (size_t i = 0; i < options->model_count; i++) {
        const struct model_files *files = &model_manifest(options->models[i].model)->files;
        for (size_t j = 0; j < files->count; j++) {
            *file++ = (struct memory_file){
                .model = &options->models[i], .content = &files->items[j], .fd = -1};
            storage->total_bytes += files->items[j].size_bytes;
        }
    }
    return LETHE_OK;
}

/* What the kernel thinks it can give without swapping; UINT64_MAX when it does not say. */
static uint64_t memory_available(void)
{
    static const char field[] = "MemAvailable:";
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (file_read_all(AT_FDCWD, "/proc/meminfo", 65536, &text, NULL) != LETHE_OK ||
        text.bytes == NULL)
        return UINT64_MAX;
    const char *line = strstr(text.bytes, field);
    return line != NULL ? strtoull(line + strlen(field), NULL, 10) * 1024 : UINT64_MAX;
}

/* Said here, rather than by the kernel killing whoever it thinks best. */
static lethe_result check_memory(const struct storage *storage, struct lethe_error *err)
{
    uint64_t available = memory_available();
    if (storage->total_bytes <= available || storage->options->allow_swap)
        return LETHE_OK;
    char needed[BYTES_TEXT_SIZE];
    char there[BYTES_TEXT_SIZE];
    bytes_text(storage->total_bytes, needed);
    bytes_text(available, there);
    return error_set(err, LETHE_NO_MEMORY, "the weights take %s, and %s of memory are available",
                     needed, there);
}

static lethe_result make_room_for_descriptors(struct storage *storage, struct lethe_error *err)
{
    getrlimit(RLIMIT_NOFILE, &storage->open_files);
    rlim_t needed = storage->count + OTHER_DESCRIPTORS;
    const struct rlimit raised = {MAX(needed, storage->open_files.rlim_cur),
                                  storage->open_files.rlim_max};
    if (needed <= raised.rlim_max && setrlimit(RLIMIT_NOFILE, &raised) == 0)
        return LETHE_OK;
    error_set(err, LETHE_LIMIT, "%zu files need %zu descriptors, and %zu are allowed",
              storage->count, (size_t)needed, (size_t)raised.rlim_max);
    error_hint(err, "raise the hard limit of open files (ulimit -Hn, LimitNOFILE=)");
    return LETHE_LIMIT;
}

static lethe_result map_file(struct memory_file *file, struct lethe_error *err)
{
    if (file->content->size_bytes == 0)
        return LETHE_OK;
    void *mapping =
        mmap(NULL, file->content->size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
    if (mapping == MAP_FAILED)
        return error_from_errno(err, "mapping %s", file->content->name);
    file->mapping = mapping;
    if (madvise(mapping, file->content->size_bytes, MADV_DONTDUMP) != 0)
        return error_from_errno(err, "keeping %s out of core files", file->content->name);
    return LETHE_OK;
}

static lethe_result make_files(struct storage *storage, struct lethe_error *err)
{
    TRY(list_files(storage, err));
    TRY(check_memory(storage, err));
    TRY(make_room_for_descriptors(storage, err));
    TRY(storage->rung->prepare(storage, err));
    TRY(scratch_open(storage->directory, &storage->scratch, err));
    for (size_t i = 0; i < storage->count; i++) {
        TRY(storage->rung->create_file(storage, &storage->files[i], err));
        TRY(map_file(&storage->files[i], err));
    }
    return LETHE_OK;
}

lethe_result storage_create(const struct engine_options *options, enum handover handover, int trace,
                            struct storage *out, struct lethe_error *err)
{
    *out = STORAGE_NONE;
    out->trace = trace;
    out->options = options;
    out->rung = handover == HANDOVER_TMPFS ? &storage_tmpfs : &storage_memfd;
    lethe_result result = make_files(out, err);
    if (result == LETHE_OK)
        result = swap_ladder_climb(out, err);
    if (result != LETHE_OK)
        storage_destroy(out);
    return result;
}

/* ---- handing over ------------------------------------------------------------------------------
 */

lethe_result storage_seal(struct storage *storage, struct lethe_error *err)
{
    return storage->rung->seal(storage, err);
}

/* An engine that inherits many descriptors needs the higher limit to open any more. */
lethe_result storage_pass_on(const struct storage *storage, struct lethe_error *err)
{
    if (!storage->rung->passes_descriptors)
        return setrlimit(RLIMIT_NOFILE, &storage->open_files) == 0
                   ? LETHE_OK
                   : error_from_errno(err, "the limit of open files");
    for (size_t i = 0; i < storage->count; i++) {
        if (fcntl(storage->files[i].fd, F_SETFD, 0) != 0)
            return error_from_errno(err, "passing on %s", storage->files[i].content->name);
    }
    return LETHE_OK;
}

/* ---- the end -----------------------------------------------------------------------------------
 */

/* Where the kernel does not say what is a hole, everything is written. */
static void wipe_file(const struct memory_file *file, struct wipe *sum)
{
    bool failed = false;
    off_t end;
    for (off_t begin = 0; file_next_data(file->fd, &begin, &end, &failed); begin = end)
        mapping_wipe(file->mapping + begin, (uint64_t)(end - begin), sum);
    if (failed)
        mapping_wipe(file->mapping, file->content->size_bytes, sum);
}

void storage_wipe_model(const struct storage *storage, const struct engine_model *model,
                        struct wipe *sum)
{
    for (size_t i = 0; i < storage->count; i++) {
        const struct memory_file *file = &storage->files[i];
        if (file->model == model && file->mapping != NULL)
            wipe_file(file, sum);
    }
}

void storage_wipe_scratch(const struct storage *storage, struct wipe *sum)
{
    if (storage->scratch >= 0)
        scratch_wipe(storage->scratch, sum);
}

static void release_mapping(struct memory_file *file)
{
    if (file->mapping != NULL)
        munmap(file->mapping, file->content->size_bytes);
    file->mapping = NULL;
}

void storage_release(struct storage *storage)
{
    for (size_t i = 0; i < storage->count; i++) {
        release_mapping(&storage->files[i]);
        (void)!ftruncate(storage->files[i].fd, 0);
    }
}

void storage_destroy(struct storage *storage)
{
    for (size_t i = 0; storage->files != NULL && i < storage->count; i++) {
        struct memory_file *file = &storage->files[i];
        release_mapping(file);
        fd_close(file->fd);
    }
    free(storage->files);
    fd_close(storage->scratch);
    swap_group_leave(&storage->group);
    if (storage->directory[0] != '\0')
        storage->rung->remove(storage);
    *storage = STORAGE_NONE;
}
