#include "engine/scratch.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "engine/mapping.h"

#define OPEN_DIRECTORIES_MAX 32
/* No links followed, and no mounts entered: the weights are mounted below. */
#define WALK_FLAGS (FTW_PHYS | FTW_MOUNT)

lethe_result scratch_create(const char *scratch, struct lethe_error *err)
{
    static const char *const below[] = {"home/.cache", "home/.config", "home/.local/share",
                                        "home/.local/state", "tmp"};
    for (size_t i = 0; i < ARRAY_LEN(below); i++) {
        CLEANUP(memory_free) char *path = path_join(scratch, below[i]);
        if (path == NULL)
            return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
        TRY(file_make_directories(path, 0700, err));
    }
    return LETHE_OK;
}

/* nftw(3) passes no context. The guardian has one thread when it wipes scratch. */
static struct {
    uint64_t bytes;
    bool residue;
} walk;

static bool wipe_file(const char *path, const struct stat *status)
{
    if (status->st_size == 0)
        return true;
    chmod(path, 0600);
    CLEANUP(fd_close) int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t size = (size_t)status->st_size;
    uint8_t *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapping == MAP_FAILED)
        return false;
    bool wiped = mapping_wipe(mapping, size);
    munmap(mapping, size);
    walk.bytes += size;
    return wiped;
}

static int open_up_directory(const char *path, const struct stat *status, int kind,
                             struct FTW *position)
{
    if (kind == FTW_D || kind == FTW_DNR)
        chmod(path, 0700);
    return 0;
}

static int wipe_entry(const char *path, const struct stat *status, int kind, struct FTW *position)
{
    if (kind == FTW_F && S_ISREG(status->st_mode) && !wipe_file(path, status))
        walk.residue = true;
    if (kind == FTW_DNR || kind == FTW_NS)
        walk.residue = true;
    if (position->level > 0)
        remove(path);
    return 0;
}

bool scratch_wipe(const char *scratch, uint64_t *wiped_bytes)
{
    walk.bytes = 0;
    walk.residue = false;
    bool walked = nftw(scratch, open_up_directory, OPEN_DIRECTORIES_MAX, WALK_FLAGS) == 0 &&
                  nftw(scratch, wipe_entry, OPEN_DIRECTORIES_MAX, WALK_FLAGS | FTW_DEPTH) == 0;
    *wiped_bytes = walk.bytes;
    return walked && !walk.residue;
}
