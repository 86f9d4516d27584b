#include "engine/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

#define UNIFIED "0::" /* cgroups(7): the line of the v2 hierarchy */
#define MEMBERSHIP "/proc/self/cgroup"
#define MEMBERSHIP_MAX_BYTES 65536
#define GROUP_NAME "/lethe-"
#define REMOVE_ROUNDS 100 /* of 10 ms: a group is busy until the last process in it is reaped */

/* ---- the kernel's files ------------------------------------------------------------------------
 */

/* The path behind "0::", NUL-terminated in place; NULL when there is none. */
static char *unified_group(char *text)
{
    for (char *line = text; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        if (strncmp(line, UNIFIED, strlen(UNIFIED)) == 0)
            return line + strlen(UNIFIED);
        line = end;
    }
    return NULL;
}

/* "/" is "" here. False when there is no such group, or its path is too long to go on with. */
static bool read_membership(const char *membership, char out[SWAP_GROUP_PATH_MAX])
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (file_read_all(AT_FDCWD, membership, MEMBERSHIP_MAX_BYTES, &text, NULL) != LETHE_OK ||
        text.bytes == NULL)
        return false;
    const char *group = unified_group(text.bytes);
    if (group == NULL || group[0] != '/')
        return false;
    int length = snprintf(out, SWAP_GROUP_PATH_MAX, "%s", strcmp(group, "/") == 0 ? "" : group);
    return length < SWAP_GROUP_PATH_MAX;
}

/* Where the v2 hierarchy is; the second place is that of systems which keep v1 beside it. */
static const char *find_hierarchy(void)
{
    static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct statfs system;
        if (statfs(places[i], &system) == 0 && system.f_type == CGROUP2_SUPER_MAGIC)
            return places[i];
    }
    return NULL;
}

static bool read_setting(const char *directory, const char *name, struct buffer *out)
{
    CLEANUP(memory_free) char *path = path_join(directory, name);
    return path != NULL && file_read_all(AT_FDCWD, path, 4096, out, NULL) == LETHE_OK &&
           out->bytes != NULL;
}

/* 0, or the errno. */
static int write_setting(const char *directory, const char *name, const char *value)
{
    CLEANUP(memory_free) char *path = path_join(directory, name);
    CLEANUP(fd_close) int fd = path != NULL ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    if (fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value))
        return 0;
    return errno;
}

/* ---- what holds already ------------------------------------------------------------------------
 */

/* A missing file forbids nothing. */
static bool group_forbids(const char *directory)
{
    CLEANUP(buffer_clear) struct buffer limit = {0};
    return read_setting(directory, "memory.swap.max", &limit) && strcmp(limit.bytes, "0\n") == 0;
}

bool swap_cgroup_forbids_in(const char *membership, const char *hierarchy)
{
    char group[SWAP_GROUP_PATH_MAX];
    if (!read_membership(membership, group))
        return false;
    for (;;) {
        CLEANUP(memory_free) char *directory = NULL;
        if (asprintf(&directory, "%s%s", hierarchy, group) < 0)
            directory = NULL;
        if (directory != NULL && group_forbids(directory))
            return true;
        char *last = strrchr(group, '/');
        if (last == NULL)
            return false;
        *last = '\0';
    }
}

bool swap_cgroup_forbids(void)
{
    const char *hierarchy = find_hierarchy();
    return hierarchy != NULL && swap_cgroup_forbids_in(MEMBERSHIP, hierarchy);
}

/* ---- a group of our own ------------------------------------------------------------------------
 */

static bool memory_is_on_below(const char *directory)
{
    CLEANUP(buffer_clear) struct buffer controllers = {0};
    if (!read_setting(directory, "cgroup.subtree_control", &controllers))
        return false;
    char *rest = NULL;
    for (char *word = strtok_r(controllers.bytes, " \n", &rest); word != NULL;
         word = strtok_r(NULL, " \n", &rest)) {
        if (strcmp(word, "memory") == 0)
            return true;
    }
    return false;
}

static lethe_result refuse(const char *what, int error, struct lethe_error *err)
{
    return error_set(err, LETHE_UNPROTECTED, "%s: %s", what, strerrordesc_np(error));
}

static lethe_result forbid_and_enter(const char *directory, struct lethe_error *err)
{
    int error = write_setting(directory, "memory.swap.max", "0");
    if (error != 0)
        return refuse("memory.swap.max of a group of our own", error, err);
    error = write_setting(directory, "cgroup.procs", "0");
    if (error != 0)
        return refuse("moving into a group of our own", error, err);
    return LETHE_OK;
}

static bool is_in_force(const char *membership, const char *hierarchy, const char *directory)
{
    char group[SWAP_GROUP_PATH_MAX];
    return read_membership(membership, group) && group_forbids(directory) &&
           strcmp(directory + strlen(hierarchy), group) == 0;
}

/* A fresh group below `above`. */
static lethe_result divide(const char *membership, const char *hierarchy, const char *above,
                           struct swap_group *out, struct lethe_error *err)
{
    int length = snprintf(out->directory, SWAP_GROUP_PATH_MAX, "%s" GROUP_NAME "XXXXXX", above);
    if (length >= SWAP_GROUP_PATH_MAX)
        return refuse(above, ENAMETOOLONG, err);
    if (mkdtemp(out->directory) == NULL)
        return refuse(above, errno, err);
    lethe_result result = forbid_and_enter(out->directory, err);
    if (result == LETHE_OK && !is_in_force(membership, hierarchy, out->directory))
        result = error_set(err, LETHE_UNPROTECTED,
                           "the kernel took memory.swap.max of %s, and did "
                           "nothing",
                           out->directory);
    if (result != LETHE_OK)
        swap_group_leave(out);
    return result;
}

/* The own group cannot be divided, because it has processes; so beside it, or further up. */
lethe_result swap_group_enter_in(const char *membership, const char *hierarchy,
                                 struct swap_group *out, struct lethe_error *err)
{
    *out = (struct swap_group){0};
    char group[SWAP_GROUP_PATH_MAX];
    if (!read_membership(membership, group) ||
        snprintf(out->former, SWAP_GROUP_PATH_MAX, "%s%s", hierarchy, group) >= SWAP_GROUP_PATH_MAX)
        return error_set(err, LETHE_UNPROTECTED, "%s does not say which group this is", membership);
    lethe_result result = error_set(err, LETHE_UNPROTECTED,
                                    "no group above this process has the memory controller on");
    for (char *last; result != LETHE_OK && (last = strrchr(group, '/')) != NULL;) {
        char above[2 * SWAP_GROUP_PATH_MAX];
        *last = '\0';
        snprintf(above, sizeof above, "%s%s", hierarchy, group);
        if (memory_is_on_below(above))
            result = divide(membership, hierarchy, above, out, err);
    }
    if (result != LETHE_OK)
        *out = (struct swap_group){0};
    return result;
}

lethe_result swap_group_enter(struct swap_group *out, struct lethe_error *err)
{
    *out = (struct swap_group){0};
    const char *hierarchy = find_hierarchy();
    if (hierarchy == NULL)
        return error_set(err, LETHE_UNPROTECTED, "no cgroup v2 is mounted on /sys/fs/cgroup");
    return swap_group_enter_in(MEMBERSHIP, hierarchy, out, err);
}

uint64_t swap_group_charged_bytes(const struct swap_group *group)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    return read_setting(group->directory, "memory.current", &text) ? strtoull(text.bytes, NULL, 10)
                                                                   : 0;
}

/* ---- the end of it -----------------------------------------------------------------------------
 */

void swap_group_leave(struct swap_group *group)
{
    if (group->directory[0] == '\0')
        return;
    (void)!write_setting(group->former, "cgroup.procs", "0");
    rmdir(group->directory);
    group->directory[0] = '\0';
}

static bool is_our_group(const char *directory)
{
    const char *name = strrchr(directory, '/');
    struct statfs system;
    struct stat status;
    return name != NULL && strncmp(name, GROUP_NAME, strlen(GROUP_NAME)) == 0 &&
           statfs(directory, &system) == 0 && system.f_type == CGROUP2_SUPER_MAGIC &&
           lstat(directory, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid();
}

void swap_group_remove(const char *directory)
{
    if (!is_our_group(directory))
        return;
    (void)!write_setting(directory, "cgroup.kill", "1"); /* Linux 5.14; before, they live on */
    for (int round = 0; round < REMOVE_ROUNDS && rmdir(directory) != 0 && errno == EBUSY; round++)
        usleep(10000);
}
