#include "model/listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "model/array.h"

static void directory_close(DIR *directory)
{
    if (directory != NULL)
        closedir(directory);
}
DEFINE_CLEANUP(directory_close, DIR *);

void listing_clear(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        free(listing->names[i]);
    free(listing->names);
    *listing = (struct listing){0};
}

static lethe_result directory_open(int dir_fd, const char *path, DIR **out, struct lethe_error *err)
{
    int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_from_errno(err, "opening the directory %s", path);
    *out = fdopendir(fd); /* takes the descriptor, when it can */
    if (*out != NULL)
        return LETHE_OK;
    lethe_result result = error_from_errno(err, "opening the directory %s", path);
    close(fd);
    return result;
}

static lethe_result listing_add(struct listing *listing, const char *name, struct lethe_error *err)
{
    char **names =
        array_grow(listing->names, listing->count, &listing->capacity, sizeof *listing->names);
    if (names == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the names in a directory");
    listing->names = names;
    listing->names[listing->count] = strdup(name);
    if (listing->names[listing->count] == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a name");
    listing->count++;
    return LETHE_OK;
}

static int name_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

lethe_result listing_read(int dir_fd, const char *path, size_t max_count, struct listing *out,
                          struct lethe_error *err)
{
    CLEANUP(directory_close) DIR *directory = NULL;
    TRY(directory_open(dir_fd, path, &directory, err));
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (entry == NULL && errno != 0)
            return error_from_errno(err, "reading the directory %s", path);
        if (entry == NULL)
            break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (out->count == max_count)
            return error_set(err, LETHE_LIMIT, "the directory %s holds more than %zu names", path,
                             max_count);
        TRY(listing_add(out, entry->d_name, err));
    }
    if (out->count > 1)
        qsort(out->names, out->count, sizeof *out->names, name_order);
    return LETHE_OK;
}
