#include "base/medium.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"

/* ---- what is known --------------------------------------------------------------------------- */

#define XFS_MAGIC 0x58465342u
#define ZFS_MAGIC 0x2fc12fc1u
#define BCACHEFS_MAGIC 0xca451a4eu
#define CIFS_MAGIC 0xff534d42u

/* On a disk that overwrites, if extents allow it. The others are only named. */
static const struct {
    uint64_t magic;
    bool overwrites;
    bool in_memory;
    const char *keeps;
} file_systems[] = {
    {EXT4_SUPER_MAGIC, true, false, NULL},
    {XFS_MAGIC, true, false, NULL},
    {TMPFS_MAGIC, true, true, NULL},
    {RAMFS_MAGIC, true, true, NULL},
    {BTRFS_SUPER_MAGIC, false, false, "btrfs writes elsewhere instead of overwriting"},
    {ZFS_MAGIC, false, false, "ZFS writes elsewhere instead of overwriting"},
    {BCACHEFS_MAGIC, false, false, "bcachefs writes elsewhere instead of overwriting"},
    {F2FS_SUPER_MAGIC, false, false, "F2FS writes elsewhere instead of overwriting"},
    {NILFS_SUPER_MAGIC, false, false, "NILFS writes elsewhere instead of overwriting"},
    {OVERLAYFS_SUPER_MAGIC, false, false, "an overlay may keep an older copy below"},
    {NFS_SUPER_MAGIC, false, false, "what a file server keeps cannot be seen"},
    {CIFS_MAGIC, false, false, "what a file server keeps cannot be seen"},
    {FUSE_SUPER_MAGIC, false, false, "what lies behind FUSE cannot be seen"},
};

static const struct {
    uint32_t flags;
    const char *keeps;
} extents[] = {
    {FIEMAP_EXTENT_SHARED, "it shares its blocks with a copy or a snapshot"},
    {FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_NOT_ALIGNED,
     "it lies among the file system's own records, which are journaled"},
    {FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_ENCODED,
     "its place on the disk cannot be known"},
};

const char *medium_keeps(const struct medium *medium)
{
    size_t i = 0;
    while (i < ARRAY_LEN(file_systems) && file_systems[i].magic != medium->file_system)
        i++;
    if (i == ARRAY_LEN(file_systems))
        return "its file system is not known to overwrite in place";
    if (!file_systems[i].overwrites)
        return file_systems[i].keeps;
    if (file_systems[i].in_memory)
        return NULL;
    if (!medium->extents_known)
        return "its place on the disk cannot be known";
    for (size_t j = 0; j < ARRAY_LEN(extents); j++) {
        if ((medium->extent_flags & extents[j].flags) != 0)
            return extents[j].keeps;
    }
    if (medium->data_journaled)
        return "the file system journals data";
    return medium->flash ? "flash keeps old blocks for a while" : NULL;
}

/* ---- looking --------------------------------------------------------------------------------- */

#define EXTENTS_MAX 8

static void look_at_extents(int fd, struct medium *out)
{
    CLEANUP(memory_free)
    struct fiemap *map = calloc(1, sizeof *map + EXTENTS_MAX * sizeof map->fm_extents[0]);
    if (map == NULL)
        return;
    map->fm_length = FIEMAP_MAX_OFFSET;
    map->fm_flags = FIEMAP_FLAG_SYNC;
    map->fm_extent_count = EXTENTS_MAX;
    if (ioctl(fd, FS_IOC_FIEMAP, map) != 0)
        return;
    uint32_t count = MIN(map->fm_mapped_extents, (uint32_t)EXTENTS_MAX);
    for (uint32_t i = 0; i < count; i++)
        out->extent_flags |= map->fm_extents[i].fe_flags;
    out->extents_known = count > 0 && (map->fm_extents[count - 1].fe_flags & FIEMAP_EXTENT_LAST);
}

/* mountinfo has a line for each mount, "36 35 98:0 / /mnt rw - ext4 /dev/vda rw,data=journal". */
static bool journals_data(dev_t device)
{
    char number[32];
    CLEANUP(buffer_clear) struct buffer text = {0};
    snprintf(number, sizeof number, " %u:%u ", major(device), minor(device));
    if (file_read_all(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &text, NULL) != LETHE_OK)
        return true;
    bool found = false;
    char *rest = text.bytes;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (strstr(line, number) == NULL)
            continue;
        found = true;
        if (strstr(line, "data=journal") != NULL)
            return true;
    }
    return !found;
}

/* A partition has no queue of its own; its disk is one folder up. */
static bool is_flash(dev_t device)
{
    static const char *const places[] = {"queue", "../queue"};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        char path[80];
        char rotates = '0';
        snprintf(path, sizeof path, "/sys/dev/block/%u:%u/%s/rotational", major(device),
                 minor(device), places[i]);
        CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && read(fd, &rotates, 1) == 1)
            return rotates != '1';
    }
    return true;
}

void medium_of(int fd, struct medium *out)
{
    struct statfs system;
    struct stat status;
    *out = (struct medium){.data_journaled = true, .flash = true};
    if (fstatfs(fd, &system) != 0 || fstat(fd, &status) != 0)
        return;
    out->file_system = (uint64_t)(uint32_t)system.f_type;
    look_at_extents(fd, out);
    out->data_journaled = journals_data(status.st_dev);
    out->flash = is_flash(status.st_dev);
}
