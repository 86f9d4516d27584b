/* The rung of private mounts: files in a tmpfs that only the engine's namespace shows, read-only.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "engine/namespace.h"
#include "engine/storage.h"

#define HUGE_PAGE_BYTES ((uint64_t)2 << 20)
#define MOUNT_FLAGS ((unsigned long)(MS_NOSUID | MS_NODEV))

/* Mounts a tmpfs with the best options that this kernel takes: no swap before huge pages. */
static lethe_result mount_tmpfs(struct storage *storage, const char *path, uint64_t size_bytes,
                                struct lethe_error *err)
{
    static const struct {
        const char *options;
        bool no_swap;
    } wishes[] = {{"mode=0700,noswap,huge=always", true},
                  {"mode=0700,noswap", true},
                  {"mode=0700,huge=always", false},
                  {"mode=0700", false}};
    for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
        char options[128];
        snprintf(options, sizeof options, "%s,size=%" PRIu64, wishes[i].options, size_bytes);
        if (mount("lethe", path, "tmpfs", MOUNT_FLAGS, options) == 0) {
            storage->no_swap_mount = wishes[i].no_swap;
            return LETHE_OK;
        }
        if (wishes[i].no_swap)
            storage->no_swap_errno = errno;
    }
    error_set(err, LETHE_UNPROTECTED, "a private tmpfs cannot be mounted: %s",
              strerrordesc_np(errno));
    error_hint(err, "run with CAP_SYS_ADMIN, allow user namespaces to mount, or use "
                    "--handover memfd");
    return LETHE_UNPROTECTED;
}

/* Every file may waste a huge page, and directories take some. */
static uint64_t models_mount_bytes(const struct storage *storage)
{
    return storage->total_bytes + (storage->count + 16) * HUGE_PAGE_BYTES;
}

static uint64_t scratch_mount_bytes(void)
{
    uint64_t ram_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    return ram_bytes / 2; /* what the kernel gives a tmpfs by default */
}

static const char *runtime_directory(void)
{
    const char *directory = getenv("XDG_RUNTIME_DIR");
    if (directory != NULL && directory[0] == '/' && access(directory, W_OK) == 0)
        return directory;
    return "/tmp";
}

/* A working directory in what is hidden would still show it: names are looked up anew. */
static void leave_hidden_directory(void)
{
    CLEANUP(memory_free) char *directory = getcwd(NULL, 0);
    if (directory == NULL || chdir(directory) != 0)
        (void)!chdir("/");
}

/* The engine runs under the same uid, and could read it. */
static lethe_result hide(const char *path, struct lethe_error *err)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return LETHE_OK; /* nothing there that the engine could see */
    int failed = S_ISDIR(status.st_mode)
                     ? mount("lethe", path, "tmpfs", MOUNT_FLAGS | MS_RDONLY, "mode=0700,size=4096")
                     : mount("/dev/null", path, NULL, MS_BIND, NULL);
    if (failed != 0)
        return error_set(err, LETHE_UNPROTECTED, "%s cannot be hidden from the engine: %s", path,
                         strerrordesc_np(errno));
    return LETHE_OK;
}

static lethe_result hide_all(const struct engine_options *options, struct lethe_error *err)
{
    for (size_t i = 0; options->hidden != NULL && options->hidden[i] != NULL; i++)
        TRY(hide(options->hidden[i], err));
    leave_hidden_directory();
    return LETHE_OK;
}

/* A second mount of the same files lies on top of the first, read-only: the first has writers (our
 * mappings) and could not be made so. The engine has no right to look below, and does not inherit
 * our descriptors. */
static lethe_result tmpfs_seal(struct storage *storage, struct lethe_error *err)
{
    CLEANUP(memory_free) char *models = path_join(storage->directory, "models");
    if (models == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    if (mount(models, models, NULL, MS_BIND, NULL) != 0 ||
        mount(NULL, models, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MOUNT_FLAGS, NULL) != 0)
        return error_set(err, LETHE_UNPROTECTED, "the weights cannot be made read-only: %s",
                         strerrordesc_np(errno));
    return LETHE_OK;
}

/* What could not be sealed is not even begun: there may be another rung. */
static lethe_result check_sealing(struct storage *storage, const char *models,
                                  struct lethe_error *err)
{
    TRY(tmpfs_seal(storage, err));
    if (umount2(models, MNT_DETACH) != 0)
        return error_set(err, LETHE_UNPROTECTED, "what was mounted cannot be unmounted: %s",
                         strerrordesc_np(errno));
    return LETHE_OK;
}

static lethe_result tmpfs_prepare(struct storage *storage, struct lethe_error *err)
{
    bool ignored;
    TRY(namespace_enter(&ignored, err));
    TRY(storage_make_directory(storage, runtime_directory(), err));
    TRY(mount_tmpfs(storage, storage->directory, scratch_mount_bytes(), err));
    CLEANUP(memory_free) char *models = path_join(storage->directory, "models");
    if (models == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    TRY(file_make_directories(models, 0700, err));
    TRY(mount_tmpfs(storage, models, models_mount_bytes(storage), err));
    TRY(check_sealing(storage, models, err));
    return hide_all(storage->options, err);
}

static lethe_result tmpfs_create_file(struct storage *storage, struct memory_file *file,
                                      struct lethe_error *err)
{
    CLEANUP(memory_free) char *path = NULL;
    TRY(storage_file_path(storage, file, &path, err));
    file->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (file->fd < 0 || ftruncate(file->fd, (off_t)file->content->size_bytes) != 0)
        return error_from_errno(err, "%s", path);
    return LETHE_OK;
}

/* One more mount on top, which is empty. */
static lethe_result tmpfs_cover(struct storage *storage, struct lethe_error *err)
{
    CLEANUP(memory_free) char *models = path_join(storage->directory, "models");
    if (models == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    if (mount("lethe", models, "tmpfs", MOUNT_FLAGS | MS_RDONLY, "mode=0700,size=4096") != 0)
        return error_from_errno(err, "covering the weights");
    return LETHE_OK;
}

static void tmpfs_uncover(struct storage *storage)
{
    CLEANUP(memory_free) char *models = path_join(storage->directory, "models");
    if (models != NULL)
        umount2(models, MNT_DETACH);
}

static void tmpfs_remove(struct storage *storage)
{
    CLEANUP(memory_free) char *models = path_join(storage->directory, "models");
    while (models != NULL && umount2(models, MNT_DETACH) == 0)
        continue;
    while (umount2(storage->directory, MNT_DETACH) == 0)
        continue;
    rmdir(storage->directory);
}

const struct storage_rung storage_tmpfs = {.handover = HANDOVER_TMPFS,
                                           .prepare = tmpfs_prepare,
                                           .create_file = tmpfs_create_file,
                                           .seal = tmpfs_seal,
                                           .cover = tmpfs_cover,
                                           .uncover = tmpfs_uncover,
                                           .remove = tmpfs_remove};
