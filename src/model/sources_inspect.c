/* What is in a source: read from a mapping, because headers have no fixed size. */
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "model/sources.h"

struct view {
    const void *bytes;
    size_t size_bytes;
};

static void view_close(struct view view)
{
    if (view.size_bytes > 0)
        munmap((void *)view.bytes, view.size_bytes);
}
DEFINE_CLEANUP(view_close, struct view);

static lethe_result view_open(const struct source *source, struct view *out,
                              struct lethe_error *err)
{
    CLEANUP(fd_close) int fd = -1;
    TRY(source_open(source, &fd, err));
    *out = (struct view){.bytes = "", .size_bytes = 0};
    size_t size_bytes = (size_t)source->status.st_size;
    if (size_bytes == 0)
        return LETHE_OK;
    void *bytes = mmap(NULL, size_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return error_from_errno(err, "mapping %s", source->path);
    *out = (struct view){.bytes = bytes, .size_bytes = size_bytes};
    if (madvise(bytes, size_bytes, MADV_DONTDUMP) != 0)
        return error_from_errno(err, "keeping %s out of core files", source->path);
    return LETHE_OK;
}

static lethe_result read_tensors(enum model_file_type type, const struct view *view,
                                 struct tensor_list *out, struct lethe_error *err)
{
    switch (type) {
    case MODEL_FILE_SAFETENSORS:
        return safetensors_read(view->bytes, view->size_bytes, out, err);
    case MODEL_FILE_GGUF:
        return gguf_read(view->bytes, view->size_bytes, out, err);
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

static lethe_result inspect(struct source *source, bool raw, struct lethe_error *err)
{
    CLEANUP(view_close) struct view view = {0};
    TRY(view_open(source, &view, err));
    enum model_file_type type = model_file_type_of(source->name, view.bytes, view.size_bytes);
    source->kind = kind_of(source->name, type);
    lethe_result result = read_tensors(type, &view, &source->tensors, err);
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
