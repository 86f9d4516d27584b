/* Landlock: files that this process may still reach (landlock(7)). */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/sandbox.h"

/* Rights newer than the kernel headers that we may be built with. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif

#define FIRST_RIGHTS ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1) /* all of the first version */
#define READ_RIGHTS                                                                                \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FILE_RIGHTS /* those that a file can have; the others are about what is in a directory */  \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |   \
     LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_IOCTL_DEV)

/* What each version of Landlock's interface added. */
static const struct {
    long version;
    uint64_t rights;
} versions[] = {
    {1, FIRST_RIGHTS},
    {2, LANDLOCK_ACCESS_FS_REFER},
    {3, LANDLOCK_ACCESS_FS_TRUNCATE},
    {5, LANDLOCK_ACCESS_FS_IOCTL_DEV},
};

static uint64_t rights_of_version(long version)
{
    uint64_t rights = 0;
    for (size_t i = 0; i < ARRAY_LEN(versions) && versions[i].version <= version; i++)
        rights |= versions[i].rights;
    return rights;
}

static lethe_result unprotected(const char *step, struct lethe_error *err)
{
    error_set(err, LETHE_UNPROTECTED, "Landlock: %s: %s", step, strerrordesc_np(errno));
    error_hint(err, "use a kernel with Landlock (Linux 5.13) and 'landlock' in its lsm= list");
    return LETHE_UNPROTECTED;
}

static lethe_result allow(int ruleset, const char *path, uint64_t rights, struct lethe_error *err)
{
    CLEANUP(fd_close) int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0)
        return error_from_errno(err, "opening %s, which the sandbox is to allow", path);
    struct landlock_path_beneath_attr rule = {
        .allowed_access = S_ISDIR(status.st_mode) ? rights : rights & FILE_RIGHTS,
        .parent_fd = fd,
    };
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        return unprotected("adding a rule", err);
    return LETHE_OK;
}

static lethe_result allow_all(int ruleset, const char *const *paths, uint64_t rights,
                              struct lethe_error *err)
{
    for (; *paths != NULL; paths++)
        TRY(allow(ruleset, *paths, rights, err));
    return LETHE_OK;
}

static lethe_result restrict_self(int ruleset, struct lethe_error *err)
{
    TRY(sandbox_no_new_privileges(err)); /* without it only root may confine itself */
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        return unprotected("applying the rules", err);
    return LETHE_OK;
}

/* Any domain will do; one that forbids nothing at all cannot be made. What every domain forbids
 * unless it is allowed, moving between directories, is allowed everywhere. */
lethe_result sandbox_stay_apart(struct lethe_error *err)
{
    static const char *const everywhere[] = {"/", NULL};
    const struct landlock_ruleset_attr handled = {
        .handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_REFER};
    CLEANUP(fd_close)
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (ruleset < 0)
        return unprotected("creating the rules", err);
    TRY(allow_all(ruleset, everywhere, LANDLOCK_ACCESS_FS_REFER, err));
    return restrict_self(ruleset, err);
}

lethe_result sandbox_confine_files(const char *const *read_only, const char *const *read_write,
                                   struct lethe_error *err)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 0)
        return unprotected("asking for its version", err);
    struct landlock_ruleset_attr handled = {.handled_access_fs = rights_of_version(version)};
    CLEANUP(fd_close)
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (ruleset < 0)
        return unprotected("creating the rules", err);
    TRY(allow_all(ruleset, read_only, READ_RIGHTS, err));
    TRY(allow_all(ruleset, read_write, handled.handled_access_fs, err));
    return restrict_self(ruleset, err);
}
