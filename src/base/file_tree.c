/* Directories: made durable, made with their parents, removed with what is in them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

lethe_result file_sync_directory(int dir_fd, const char *path, struct lethe_error *err)
{
    CLEANUP(fd_close) int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_from_errno(err, "opening the directory %s", path);
    return fsync(fd) == 0 ? LETHE_OK : error_from_errno(err, "syncing the directory %s", path);
}

static lethe_result make_directory(const char *path, mode_t mode, struct lethe_error *err)
{
    struct stat status;
    if (mkdir(path, mode) == 0)
        return LETHE_OK;
    if (errno != EEXIST)
        return error_from_errno(err, "creating the directory %s", path);
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return LETHE_OK;
    return error_set(err, LETHE_EXISTS, "%s exists and is not a directory", path);
}

lethe_result file_make_directories(const char *path, mode_t mode, struct lethe_error *err)
{
    CLEANUP(memory_free) char *partial = strdup(path);
    if (partial == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the path %s", path);
    for (char *at = partial; *at != '\0'; at++) {
        if (*at != '/' || at == partial)
            continue;
        *at = '\0';
        TRY(make_directory(partial, mode, err));
        *at = '/';
    }
    return make_directory(partial, mode, err);
}

static void directory_close(DIR *directory)
{
    if (directory != NULL)
        closedir(directory);
}
DEFINE_CLEANUP(directory_close, DIR *);

static lethe_result remove_entries(int dir_fd, const char *name, struct lethe_error *err)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_from_errno(err, "opening the directory %s", name);
    CLEANUP(directory_close) DIR *directory = fdopendir(fd);
    if (directory == NULL) {
        lethe_result result = error_from_errno(err, "opening the directory %s", name);
        close(fd);
        return result;
    }
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(directory);
        if (entry == NULL)
            return errno == 0 ? LETHE_OK : error_from_errno(err, "reading the directory %s", name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            TRY(file_remove_tree(fd, entry->d_name, err));
    }
}

/* One descriptor per level: a tree too deep for the descriptor limit is an error, not a crash. */
lethe_result file_remove_tree(int dir_fd, const char *path, struct lethe_error *err)
{
    if (unlinkat(dir_fd, path, 0) == 0 || errno == ENOENT)
        return LETHE_OK;
    if (errno != EISDIR)
        return error_from_errno(err, "removing %s", path);
    TRY(remove_entries(dir_fd, path, err));
    if (unlinkat(dir_fd, path, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return error_from_errno(err, "removing the directory %s", path);
    return LETHE_OK;
}
