/* The list of what is signed: its order, and that it leaves nothing out. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/validate.h"
#include "model/array.h"
#include "model/oms_format.h"

void oms_list_clear(struct oms_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->resources[i].path);
    free(list->resources);
    free(list->subject);
    *list = (struct oms_list){0};
}

lethe_result oms_list_add(struct oms_list *list, const struct oms_range *range,
                          const uint8_t digest[SHA256_BYTES], struct lethe_error *err)
{
    if (list->count == OMS_RESOURCES_MAX)
        return error_set(err, LETHE_LIMIT, "more than %zu pieces to sign", OMS_RESOURCES_MAX);
    TRY(validate_relative_path("path of a file to sign", range->path, err));
    struct oms_resource *resources =
        array_grow(list->resources, list->count, &list->capacity, sizeof *list->resources);
    if (resources != NULL)
        list->resources = resources;
    char *path = resources == NULL ? NULL : strdup(range->path);
    if (path == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu pieces to sign", list->count + 1);
    struct oms_resource *added = &resources[list->count++];
    *added = (struct oms_resource){.path = path, .start = range->start, .end = range->end};
    memcpy(added->digest, digest, SHA256_BYTES);
    return LETHE_OK;
}

/* ---- order ----------------------------------------------------------------------------------- */

/* The end comes before '/', and '/' before every other byte: so "a/b" comes before "a.b", as when
 * the components are compared one by one. */
static int byte_rank(char c)
{
    return c == '\0' ? 0 : c == '/' ? 1 : (uint8_t)c + 1;
}

static int path_compare(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return byte_rank(*a) - byte_rank(*b);
}

static int resource_compare(const void *left, const void *right)
{
    const struct oms_resource *a = left;
    const struct oms_resource *b = right;
    int order = path_compare(a->path, b->path);
    return order != 0 ? order : (a->start > b->start) - (a->start < b->start);
}

static int file_compare(const void *left, const void *right)
{
    const struct oms_file *a = left;
    const struct oms_file *b = right;
    return path_compare(a->path, b->path);
}

void oms_list_sort(struct oms_list *list)
{
    if (list->count > 1)
        qsort(list->resources, list->count, sizeof *list->resources, resource_compare);
}

const struct oms_resource *oms_list_find(const struct oms_list *list, const char *path)
{
    size_t begin = 0, end = list->count; /* the first that does not come before `path` is in here */
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (path_compare(list->resources[middle].path, path) < 0)
            begin = middle + 1;
        else
            end = middle;
    }
    bool found = begin < list->count && strcmp(list->resources[begin].path, path) == 0;
    return found ? &list->resources[begin] : NULL;
}

/* ---- cover ----------------------------------------------------------------------------------- */

static bool same_path(const struct oms_resource *a, const struct oms_resource *b)
{
    return strcmp(a->path, b->path) == 0;
}

static bool is_last_of_file(const struct oms_list *list, size_t index)
{
    return index + 1 == list->count ||
           !same_path(&list->resources[index], &list->resources[index + 1]);
}

/* Without this, bytes between the pieces or behind them could be changed unseen. */
static bool piece_fits(const struct oms_list *list, size_t index)
{
    const struct oms_resource *piece = &list->resources[index];
    bool first = index == 0 || !same_path(piece, piece - 1);
    bool last = is_last_of_file(list, index);
    if (list->whole_files)
        return first && piece->start == 0 && piece->end == 0;
    if (piece->start != (first ? 0 : piece[-1].end) || piece->end <= piece->start)
        return false;
    uint64_t size_bytes = piece->end - piece->start;
    return last ? size_bytes <= list->shard_bytes : size_bytes == list->shard_bytes;
}

lethe_result oms_list_check(const struct oms_list *list, struct lethe_error *err)
{
    if (list->count == 0)
        return error_set(err, LETHE_INVALID, "the list of signed files is empty");
    for (size_t i = 0; i < list->count; i++)
        if (!piece_fits(list, i))
            return error_set(err, LETHE_INVALID,
                             "signed piece %zu, in the order of paths, does not follow the one "
                             "before it: a file is covered twice or with a gap",
                             i);
    return LETHE_OK;
}

static lethe_result differ(const char *what, struct lethe_error *err)
{
    return error_set(err, LETHE_INTEGRITY, "%s", what);
}

/* Walks both in the same order; each file takes the pieces with its path. */
static lethe_result check_sorted(const struct oms_list *list, const struct oms_file *files,
                                 size_t count, struct lethe_error *err)
{
    size_t piece = 0;
    for (size_t i = 0; i < count; i++) {
        size_t first = piece;
        while (piece < list->count && strcmp(list->resources[piece].path, files[i].path) == 0)
            piece++;
        if (piece == first)
            return differ("the model has a file that was not signed, or lacks one that was", err);
        if (!list->whole_files && list->resources[piece - 1].end != files[i].size_bytes)
            return error_set(err, LETHE_INTEGRITY,
                             "a file of the model has %" PRIu64 " bytes, and %" PRIu64
                             " were signed",
                             files[i].size_bytes, list->resources[piece - 1].end);
    }
    if (piece != list->count)
        return differ("the model lacks a file that was signed", err);
    return LETHE_OK;
}

lethe_result oms_check_cover(const struct oms_list *list, const struct oms_file *files,
                             size_t count, struct lethe_error *err)
{
    CLEANUP(memory_free) struct oms_file *sorted = calloc(count + 1, sizeof *sorted);
    if (sorted == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu files", count);
    for (size_t i = 0; i < count; i++)
        sorted[i] = files[i];
    qsort(sorted, count, sizeof *sorted, file_compare);
    return check_sorted(list, sorted, count, err);
}
