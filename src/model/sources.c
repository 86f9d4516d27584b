#include "model/sources.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "model/array.h"
#include "model/listing.h"
#include "model/paths.h"

void source_list_clear(struct source_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].path);
        tensor_list_clear(&list->items[i].tensors);
    }
    free(list->items);
    *list = (struct source_list){0};
}

/* ---- find ------------------------------------------------------------------------------------ */

struct walk {
    struct source_list *list;
    const char *root; /* resolved; symbolic links lead nowhere else */
    size_t entries;
};

/* A place on the walk: where it really is, and its name in the model ("" for the root). */
struct place {
    const char *path;
    const char *name;
    unsigned depth;
};

static lethe_result visit(struct walk *walk, const struct place *place, struct lethe_error *err);

static lethe_result no_memory(struct lethe_error *err)
{
    return error_set(err, LETHE_NO_MEMORY, "no memory for the list of sources");
}

static lethe_result add_file(struct source_list *list, const struct place *place,
                             const struct stat *status, struct lethe_error *err)
{
    if (list->count == MANIFEST_SHARDS_MAX)
        return error_set(err, LETHE_LIMIT, "more than %u files", MANIFEST_SHARDS_MAX);
    struct source *items =
        array_grow(list->items, list->count, &list->capacity, sizeof *list->items);
    if (items == NULL)
        return no_memory(err);
    list->items = items;
    struct source *source = &items[list->count++];
    *source = (struct source){
        .name = strdup(place->name), .path = strdup(place->path), .status = *status};
    return source->name != NULL && source->path != NULL ? LETHE_OK : no_memory(err);
}

static lethe_result visit_child(struct walk *walk, const struct place *parent, const char *child,
                                struct lethe_error *err)
{
    CLEANUP(memory_free) char *path = path_join(parent->path, child);
    CLEANUP(memory_free)
    char *name = parent->name[0] == '\0' ? strdup(child) : path_join(parent->name, child);
    if (path == NULL || name == NULL)
        return no_memory(err);
    const struct place place = {.path = path, .name = name, .depth = parent->depth + 1};
    return visit(walk, &place, err);
}

static lethe_result visit_directory(struct walk *walk, const struct place *place,
                                    struct lethe_error *err)
{
    if (place->depth == SOURCE_DEPTH_MAX)
        return error_set(err, LETHE_LIMIT, "%s: more than %u folders in one another", place->path,
                         SOURCE_DEPTH_MAX);
    CLEANUP(listing_clear) struct listing listing = {0};
    TRY(listing_read(AT_FDCWD, place->path, SOURCE_ENTRIES_MAX - walk->entries, &listing, err));
    walk->entries += listing.count;
    for (size_t i = 0; i < listing.count; i++)
        TRY(visit_child(walk, place, listing.names[i], err));
    return LETHE_OK;
}

static lethe_result visit_link(struct walk *walk, const struct place *place,
                               struct lethe_error *err)
{
    CLEANUP(memory_free) char *target = NULL;
    TRY(error_context(err, validate_path_inside("link", walk->root, place->path, &target, err),
                      "%s", place->path));
    const struct place there = {.path = target, .name = place->name, .depth = place->depth};
    return visit(walk, &there, err);
}

static lethe_result visit(struct walk *walk, const struct place *place, struct lethe_error *err)
{
    struct stat status;
    if (lstat(place->path, &status) != 0)
        return error_from_errno(err, "looking at %s", place->path);
    if (S_ISLNK(status.st_mode))
        return visit_link(walk, place, err);
    if (S_ISDIR(status.st_mode))
        return visit_directory(walk, place, err);
    if (S_ISREG(status.st_mode))
        return add_file(walk->list, place, &status, err);
    return error_set(err, LETHE_INVALID, "%s is neither a file nor a directory", place->path);
}

lethe_result sources_add(struct source_list *list, const char *path, struct lethe_error *err)
{
    CLEANUP(memory_free) char *resolved = realpath(path, NULL);
    if (resolved == NULL)
        return error_from_errno(err, "looking at %s", path);
    struct stat status;
    if (stat(resolved, &status) != 0)
        return error_from_errno(err, "looking at %s", path);
    struct walk walk = {.list = list, .root = resolved};
    /* The name is the one that was asked for, also when it is a link to another. */
    const struct place place = {.path = resolved,
                                .name = S_ISDIR(status.st_mode) ? "" : basename(path)};
    return visit(&walk, &place, err);
}

/* ---- order ----------------------------------------------------------------------------------- */

static int source_order(const void *a, const void *b)
{
    return path_order(((const struct source *)a)->name, ((const struct source *)b)->name);
}

lethe_result sources_order(struct source_list *list, struct lethe_error *err)
{
    if (list->count == 0)
        return error_set(err, LETHE_INVALID, "there is no file in the sources");
    qsort(list->items, list->count, sizeof *list->items, source_order);

    CLEANUP(memory_free) const char **names = calloc(list->count, sizeof *names);
    if (names == NULL)
        return no_memory(err);
    for (size_t i = 0; i < list->count; i++) {
        names[i] = list->items[i].name;
        TRY(error_context(err, validate_relative_path("name", names[i], err), "source %s",
                          list->items[i].path));
    }
    const char *clash = paths_clash(names, list->count);
    if (clash != NULL)
        return error_set(err, LETHE_INVALID, "two sources would both be '%s' in the model", clash);
    return LETHE_OK;
}

/* ---- open ------------------------------------------------------------------------------------ */

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

lethe_result source_check_unchanged(const struct source *source, int fd, struct lethe_error *err)
{
    struct stat now;
    if (fstat(fd, &now) != 0)
        return error_from_errno(err, "looking at %s", source->path);
    const struct stat *then = &source->status;
    if (now.st_dev == then->st_dev && now.st_ino == then->st_ino && now.st_size == then->st_size &&
        same_time(&now.st_mtim, &then->st_mtim))
        return LETHE_OK;
    return error_set(err, LETHE_CONFLICT, "%s was changed while it was being read", source->path);
}

lethe_result source_open(const struct source *source, int *fd, struct lethe_error *err)
{
    CLEANUP(fd_close)
    int opened = open(source->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (opened < 0)
        return error_from_errno(err, "opening %s", source->path);
    TRY(source_check_unchanged(source, opened, err));
    *fd = opened;
    opened = -1; /* moved */
    return LETHE_OK;
}
