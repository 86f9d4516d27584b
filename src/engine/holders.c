#include "engine/holders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

#define ANCESTORS_MAX 1000

static void directory_close(DIR *directory)
{
    if (directory != NULL)
        closedir(directory);
}
DEFINE_CLEANUP(directory_close, DIR *);

static void stream_close(FILE *stream)
{
    if (stream != NULL)
        fclose(stream);
}
DEFINE_CLEANUP(stream_close, FILE *);

static bool is_one_of(const struct storage *storage, dev_t device, ino_t inode)
{
    for (size_t i = 0; i < storage->count; i++) {
        struct stat status;
        if (fstat(storage->files[i].fd, &status) == 0 && status.st_dev == device &&
            status.st_ino == inode)
            return true;
    }
    return false;
}

/* proc(5): "begin-end access offset major:minor inode path". What happened to reading is *known. */
static bool maps_one(const struct storage *storage, pid_t pid, bool *known)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    CLEANUP(stream_close) FILE *maps = fopen(path, "re");
    char *line = NULL;
    size_t line_bytes = 0;
    bool found = false;
    errno = 0;
    while (maps != NULL && !found && getline(&line, &line_bytes, maps) > 0) {
        unsigned major_number;
        unsigned minor_number;
        unsigned long inode;
        if (sscanf(line, "%*x-%*x %*s %*x %x:%x %lu", &major_number, &minor_number, &inode) == 3)
            found = is_one_of(storage, makedev(major_number, minor_number), inode);
    }
    *known = maps != NULL && (found || ferror(maps) == 0);
    free(line);
    return found;
}

static bool opens_one(const struct storage *storage, pid_t pid, bool *known)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    CLEANUP(directory_close) DIR *descriptors = opendir(path);
    bool found = false;
    *known = descriptors != NULL;
    while (descriptors != NULL && !found) {
        const struct dirent *entry = readdir(descriptors);
        struct stat status;
        if (entry == NULL)
            break;
        if (fstatat(dirfd(descriptors), entry->d_name, &status, 0) == 0)
            found = is_one_of(storage, status.st_dev, status.st_ino);
    }
    return found;
}

/* 0 when there is no such process. */
static pid_t parent_of(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (file_read_all(AT_FDCWD, path, 4096, &text, NULL) != LETHE_OK || text.bytes == NULL)
        return 0;
    const char *behind_name = strrchr(text.bytes, ')');
    int parent;
    return behind_name != NULL && sscanf(behind_name, ") %*c %d", &parent) == 1 ? parent : 0;
}

static bool is_descendant(pid_t pid)
{
    for (unsigned i = 0; i < ANCESTORS_MAX && pid > 1; i++) {
        pid = parent_of(pid);
        if (pid == getpid())
            return true;
    }
    return false;
}

static lethe_result check_process(const struct storage *storage, pid_t pid, struct lethe_error *err)
{
    bool maps_known;
    bool descriptors_known;
    if (maps_one(storage, pid, &maps_known))
        return error_set(err, LETHE_BUSY, "process %d has the weights mapped", (int)pid);
    if (opens_one(storage, pid, &descriptors_known))
        return error_set(err, LETHE_BUSY, "process %d has the weights open", (int)pid);
    if ((maps_known && descriptors_known) || !is_descendant(pid))
        return LETHE_OK;
    return error_set(err, LETHE_BUSY, "process %d of the engine cannot be looked into", (int)pid);
}

lethe_result holders_check(const struct storage *storage, pid_t supervisor, struct lethe_error *err)
{
    CLEANUP(directory_close) DIR *processes = opendir("/proc");
    if (processes == NULL)
        return error_set(err, LETHE_BUSY, "/proc cannot be read");
    for (const struct dirent *entry; (entry = readdir(processes)) != NULL;) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 0 && pid != getpid() && pid != supervisor)
            TRY(check_process(storage, pid, err));
    }
    return LETHE_OK;
}
