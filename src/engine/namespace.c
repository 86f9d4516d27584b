#include "engine/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

static bool write_proc(const char *path, const char *text)
{
    CLEANUP(fd_close) int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && file_write(fd, path, text, strlen(text), NULL) == LETHE_OK;
}

/* user_namespaces(7): without privilege, setgroups must be denied before a gid can be mapped. */
static bool map_same_ids(uid_t uid, gid_t gid)
{
    char uid_line[64];
    char gid_line[64];
    snprintf(uid_line, sizeof uid_line, "%u %u 1\n", (unsigned)uid, (unsigned)uid);
    snprintf(gid_line, sizeof gid_line, "%u %u 1\n", (unsigned)gid, (unsigned)gid);
    return write_proc("/proc/self/setgroups", "deny") &&
           write_proc("/proc/self/uid_map", uid_line) && write_proc("/proc/self/gid_map", gid_line);
}

static lethe_result enter_user(struct lethe_error *err)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    /* An undumpable process may not write its own maps. */
    prctl(PR_SET_DUMPABLE, 1);
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && map_same_ids(uid, gid))
        return LETHE_OK;
    error_set(err, LETHE_UNPROTECTED,
              "no private mounts: this user may not make them, nor a user namespace (%s)",
              strerrordesc_np(errno));
    error_hint(err, "allow user namespaces (sysctl user.max_user_namespaces, "
                    "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns"
                    "), or use --handover memfd");
    return LETHE_UNPROTECTED;
}

lethe_result namespace_enter(bool *is_user, struct lethe_error *err)
{
    *is_user = unshare(CLONE_NEWNS) != 0;
    if (*is_user)
        TRY(enter_user(err));
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return error_set(err, LETHE_UNPROTECTED, "mounts cannot be made private: %s",
                         strerrordesc_np(errno));
    return LETHE_OK;
}
