#include "engine/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

#define DEPTH_MAX 256 /* a descriptor and a stack frame each */

/* ---- making ------------------------------------------------------------------------------------
 */

static lethe_result make_places(int directory, struct lethe_error *err)
{
    static const char *const places[] = {"tmp",
                                         "home",
                                         "home/.cache",
                                         "home/.config",
                                         "home/.local",
                                         "home/.local/share",
                                         "home/.local/state"};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (mkdirat(directory, places[i], 0700) != 0)
            return error_from_errno(err, "the engine's private %s", places[i]);
    }
    return LETHE_OK;
}

lethe_result scratch_open(const char *path, int *out, struct lethe_error *err)
{
    struct statfs system;
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstatfs(fd, &system) != 0)
        return error_from_errno(err, "%s", path);
    if (system.f_type != TMPFS_MAGIC && system.f_type != RAMFS_MAGIC) {
        error_set(err, LETHE_UNPROTECTED, "%s is not in memory but on a disk", path);
        error_hint(err, "mount a tmpfs on /dev/shm");
        return LETHE_UNPROTECTED;
    }
    TRY(make_places(fd, err));
    *out = fd;
    fd = -1;
    return LETHE_OK;
}

/* ---- wiping ------------------------------------------------------------------------------------
 */

static bool wipe_range(int fd, off_t begin, off_t end, struct wipe *sum)
{
    off_t page = sysconf(_SC_PAGESIZE);
    off_t from = begin / page * page;
    size_t size = (size_t)(end - from);
    uint8_t *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, from);
    if (mapping == MAP_FAILED)
        return false;
    mapping_wipe(mapping, size, sum);
    munmap(mapping, size);
    return true;
}

static bool wipe_data(int fd, struct wipe *sum)
{
    bool failed = false;
    off_t end;
    for (off_t begin = 0; !failed && file_next_data(fd, &begin, &end, &failed); begin = end)
        failed = !wipe_range(fd, begin, end, sum);
    return !failed;
}

static void wipe_file(int directory, const char *name, struct wipe *sum)
{
    (void)!fchmodat(directory, name, 0600, 0);
    CLEANUP(fd_close) int fd = openat(directory, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || !wipe_data(fd, sum))
        sum->verified = false;
}

static void directory_close(DIR *directory)
{
    if (directory != NULL)
        closedir(directory);
}
DEFINE_CLEANUP(directory_close, DIR *);

struct walk {
    dev_t device; /* what is mounted below has a wiper of its own */
    unsigned depth;
    struct wipe *sum;
};
static void wipe_entries(struct walk *walk, int fd);

static void wipe_directory(struct walk *walk, int directory, const char *name)
{
    (void)!fchmodat(directory, name, 0700, 0);
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    walk->depth++;
    wipe_entries(walk, fd);
    walk->depth--;
}

static void wipe_entry(struct walk *walk, int directory, const char *name)
{
    struct stat status;
    bool known = fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (known && status.st_dev != walk->device)
        return;
    if (known && S_ISREG(status.st_mode))
        wipe_file(directory, name, walk->sum);
    if (known && S_ISDIR(status.st_mode))
        wipe_directory(walk, directory, name);
    if (!known || unlinkat(directory, name, S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0) != 0)
        walk->sum->verified = false;
}

/* The descriptor is closed. */
static void wipe_entries(struct walk *walk, int fd)
{
    CLEANUP(directory_close) DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (entries == NULL || walk->depth > DEPTH_MAX) {
        if (entries == NULL)
            fd_close(fd);
        walk->sum->verified = false;
        return;
    }
    rewinddir(entries);
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            wipe_entry(walk, fd, entry->d_name);
    }
}

void scratch_wipe(int directory, struct wipe *sum)
{
    struct stat status;
    if (fchmod(directory, 0700) != 0 || fstat(directory, &status) != 0) {
        sum->verified = false;
        return;
    }
    struct walk walk = {.device = status.st_dev, .sum = sum};
    wipe_entries(&walk, fcntl(directory, F_DUPFD_CLOEXEC, 0));
}
