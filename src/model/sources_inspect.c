/* What is in a source: its beginning is read, more of it until the description is whole. */
#include <string.h>
#include <sys/mman.h>

#include <lethe/mem.h>

#include "base/error.h"
#include "base/file.h"
#include "model/sources.h"

#define HEAD_FIRST_BYTES ((size_t)64 << 10)
#define HEAD_GROWTH 4u
/* More than the 100 MB that safetensors allows; vocabularies in GGUF take some tens of MB. */
#define HEAD_MAX_BYTES ((size_t)256 << 20)

/* Weights follow the description, so this is kept out of core files, and wiped. */
struct head {
    void *bytes;
    size_t size_bytes;
};

static void head_clear(struct head *head)
{
    if (head->size_bytes == 0)
        return;
    lethe_wipe(head->bytes, head->size_bytes);
    munmap(head->bytes, head->size_bytes);
    *head = (struct head){0};
}
static inline void head_clear_at_scope_end(struct head *head)
{
    head_clear(head);
}

static lethe_result head_read(struct head *head, const struct source *source, int fd,
                              size_t size_bytes, struct lethe_error *err)
{
    head_clear(head);
    if (size_bytes == 0)
        return LETHE_OK;
    void *bytes =
        mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        return error_from_errno(err, "memory for the beginning of %s", source->path);
    *head = (struct head){.bytes = bytes, .size_bytes = size_bytes};
    if (madvise(bytes, size_bytes, MADV_DONTDUMP) != 0)
        return error_from_errno(err, "keeping %s out of core files", source->path);
    return file_read_at(fd, source->path, 0, bytes, size_bytes, err);
}

static lethe_result read_tensors(enum model_file_type type, struct file_head *head,
                                 struct tensor_list *out, struct lethe_error *err)
{
    switch (type) {
    case MODEL_FILE_SAFETENSORS:
        return safetensors_read(head, out, err);
    case MODEL_FILE_GGUF:
        return gguf_read(head, out, err);
    default:
        return LETHE_OK;
    }
}

/* Trainers name their state "optimizer.pt", "optimizer.safetensors", "optimizer_0.bin". */
static enum shard_kind kind_of(const char *name, enum model_file_type type)
{
    static const char optimizer[] = "optimizer";
    if (strncmp(basename(name), optimizer, sizeof optimizer - 1) == 0)
        return SHARD_OPTIMIZER;
    return type == MODEL_FILE_OTHER ? SHARD_OTHER : SHARD_WEIGHTS;
}

static lethe_result read_file(struct source *source, int fd, enum model_file_type *type,
                              struct lethe_error *err)
{
    CLEANUP(head_clear) struct head head = {0};
    uint64_t file_bytes = (uint64_t)source->status.st_size;
    for (size_t wanted = HEAD_FIRST_BYTES; wanted <= HEAD_MAX_BYTES; wanted *= HEAD_GROWTH) {
        TRY(head_read(&head, source, fd, (size_t)MIN(wanted, file_bytes), err));
        struct file_head seen = {head.bytes, head.size_bytes, file_bytes, false};
        *type = model_file_type_of(source->name, head.bytes, head.size_bytes);
        lethe_result result = read_tensors(*type, &seen, &source->tensors, err);
        if (!seen.too_short)
            return result;
    }
    return error_set(err, LETHE_MALFORMED, "a description of more than %zu MiB",
                     HEAD_MAX_BYTES >> 20);
}

static lethe_result inspect(struct source *source, bool raw, struct lethe_error *err)
{
    CLEANUP(fd_close) int fd = -1;
    enum model_file_type type = MODEL_FILE_OTHER;
    TRY(source_open(source, &fd, err));
    lethe_result result = read_file(source, fd, &type, err);
    TRY(source_check_unchanged(source, fd, err)); /* or all that was found says nothing */
    source->kind = kind_of(source->name, type);
    if (result == LETHE_MALFORMED && raw) {
        tensor_list_clear(&source->tensors);
        return LETHE_OK;
    }
    if (result == LETHE_MALFORMED) {
        error_context(err, result, "%s says it is a %s file, but it is not a sound one",
                      source->path, model_file_type_name(type));
        error_hint(err, "take it from its source again, or encrypt it as it is with --raw");
    }
    return result;
}

lethe_result sources_inspect(struct source_list *list, bool raw, struct lethe_error *err)
{
    for (size_t i = 0; i < list->count; i++)
        TRY(inspect(&list->items[i], raw, err));
    return LETHE_OK;
}
