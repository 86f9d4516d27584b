#include "model/files.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"
#include "model/manifest.h"
#include "model/paths.h"

void model_files_clear(struct model_files *files)
{
    free(files->items);
    free(files->shards);
    *files = (struct model_files){0};
}

static lethe_result no_memory(struct lethe_error *err)
{
    return error_set(err, LETHE_NO_MEMORY, "no memory for the files of a model");
}

/* ---- a file's shards cover it ---------------------------------------------------------------- */

static int extent_order(const void *a, const void *b)
{
    uint64_t left = ((const struct extent *)a)->begin;
    uint64_t right = ((const struct extent *)b)->begin;
    return left < right ? -1 : left > right;
}

/* All ranges of the file's shards, in the order of the file; owned by the caller. */
static struct extent *sort_extents(const struct manifest *manifest, const struct model_file *file,
                                   size_t count)
{
    struct extent *sorted = calloc(count, sizeof *sorted);
    struct extent *end = sorted;
    for (size_t i = 0; sorted != NULL && i < file->shard_count; i++) {
        const struct extent_list *list = &manifest->shards[file->shards[i]].extents;
        for (size_t j = 0; j < list->count; j++)
            *end++ = list->items[j];
    }
    if (sorted != NULL)
        qsort(sorted, count, sizeof *sorted, extent_order);
    return sorted;
}

static lethe_result check_cover(const struct extent *sorted, size_t count, size_t shard,
                                struct lethe_error *err)
{
    uint64_t covered = 0;
    for (size_t i = 0; i < count; covered = sorted[i++].end) {
        if (sorted[i].begin != covered)
            return error_set(err, LETHE_MALFORMED, "field 'extents': %s of the file of shard %zu",
                             sorted[i].begin > covered ? "no shard holds a part"
                                                       : "two shards hold the same part",
                             shard);
    }
    return LETHE_OK;
}

/* A file of one shard has no ranges: what can be said in one way only must be said in that way. */
static lethe_result check_file(const struct manifest *manifest, const struct model_file *file,
                               struct lethe_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < file->shard_count; i++) {
        size_t extents = manifest->shards[file->shards[i]].extents.count;
        count += extents;
        if ((extents > 0) == (file->shard_count > 1))
            continue;
        return error_set(err, LETHE_MALFORMED,
                         extents > 0 ? "shard %zu has a field 'extents', but no other shard is of "
                                       "the same file"
                                     : "shard %zu has no field 'extents', but another shard has "
                                       "the same field 'name'",
                         file->shards[i]);
    }
    if (count == 0)
        return LETHE_OK;
    CLEANUP(memory_free) struct extent *sorted = sort_extents(manifest, file, count);
    return sorted == NULL ? no_memory(err) : check_cover(sorted, count, file->shards[0], err);
}

/* ---- which shards are of one file ------------------------------------------------------------ */

static int shard_order(const void *a, const void *b)
{
    const struct shard *left = *(const struct shard *const *)a;
    const struct shard *right = *(const struct shard *const *)b;
    int order = path_order(left->name, right->name);
    return order != 0 ? order : left < right ? -1 : left > right;
}

static const struct shard **sort_shards(const struct manifest *manifest)
{
    const struct shard **sorted = calloc(manifest->count, sizeof *sorted);
    for (size_t i = 0; sorted != NULL && i < manifest->count; i++)
        sorted[i] = &manifest->shards[i];
    if (sorted != NULL)
        qsort(sorted, manifest->count, sizeof *sorted, shard_order);
    return sorted;
}

static void group(const struct manifest *manifest, const struct shard *const *sorted,
                  struct model_files *out)
{
    for (size_t i = 0; i < manifest->count; i++) {
        const struct shard *shard = sorted[i];
        struct model_file *last = out->count > 0 ? &out->items[out->count - 1] : NULL;
        out->shards[i] = (size_t)(shard - manifest->shards);
        if (last == NULL || path_order(last->name, shard->name) != 0) {
            last = &out->items[out->count++];
            *last = (struct model_file){.name = shard->name, .shards = &out->shards[i]};
        }
        last->size_bytes += shard->size;
        last->shard_count++;
    }
}

static lethe_result check_names(const struct model_files *files, struct lethe_error *err)
{
    CLEANUP(memory_free) const char **names = calloc(files->count, sizeof *names);
    if (names == NULL)
        return no_memory(err);
    for (size_t i = 0; i < files->count; i++)
        names[i] = files->items[i].name;
    if (paths_clash(names, files->count) != NULL)
        return error_set(err, LETHE_MALFORMED, "two files with clashing field 'name'");
    return LETHE_OK;
}

static lethe_result find(const struct manifest *manifest, struct model_files *files,
                         struct lethe_error *err)
{
    CLEANUP(memory_free) const struct shard **sorted = sort_shards(manifest);
    files->items = calloc(manifest->count, sizeof *files->items);
    files->shards = calloc(manifest->count, sizeof *files->shards);
    if (sorted == NULL || files->items == NULL || files->shards == NULL)
        return no_memory(err);
    group(manifest, sorted, files);
    TRY(check_names(files, err));
    for (size_t i = 0; i < files->count; i++)
        TRY(check_file(manifest, &files->items[i], err));
    return LETHE_OK;
}

lethe_result model_files_find(const struct manifest *manifest, struct model_files *out,
                              struct lethe_error *err)
{
    *out = (struct model_files){0};
    lethe_result result = find(manifest, out, err);
    if (result != LETHE_OK)
        model_files_clear(out);
    return result;
}
