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
#include "base/sandbox.h"

static enum { OUTSIDE, INSIDE, INSIDE_USER } where;

static lethe_result write_proc(const char *path, const char *text, struct lethe_error *err)
{
    CLEANUP(fd_close) int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return error_from_errno(err, "%s", path);
    return file_write(fd, path, text, strlen(text), err);
}

/* user_namespaces(7): without privilege, setgroups must be denied before a gid can be mapped. */
static lethe_result map_same_ids(uid_t uid, gid_t gid, struct lethe_error *err)
{
    char line[64];
    TRY(write_proc("/proc/self/setgroups", "deny", err));
    snprintf(line, sizeof line, "%u %u 1\n", (unsigned)uid, (unsigned)uid);
    TRY(write_proc("/proc/self/uid_map", line, err));
    snprintf(line, sizeof line, "%u %u 1\n", (unsigned)gid, (unsigned)gid);
    return write_proc("/proc/self/gid_map", line, err);
}

static lethe_result enter_user(struct lethe_error *err)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    /* An undumpable process may not write its own maps. Nothing secret is in this one yet. */
    prctl(PR_SET_DUMPABLE, 1);
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        error_set(err, LETHE_UNPROTECTED, "no private mounts: user namespaces are refused (%s)",
                  strerrordesc_np(errno));
        error_hint(err, "sysctl kernel.unprivileged_userns_clone=1, user.max_mnt_namespaces, "
                        "AppArmor; or --handover memfd");
        return LETHE_UNPROTECTED;
    }
    if (map_same_ids(uid, gid, err) != LETHE_OK)
        return err != NULL ? (err->code = LETHE_UNPROTECTED) : LETHE_UNPROTECTED;
    where = INSIDE_USER;
    return sandbox_no_dump(err);
}

lethe_result namespace_enter(struct lethe_error *err)
{
    if (where != OUTSIDE)
        return LETHE_OK;
    if (unshare(CLONE_NEWNS) == 0)
        where = INSIDE;
    else
        TRY(enter_user(err));
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return error_set(err, LETHE_UNPROTECTED, "mounts cannot be made private: %s",
                         strerrordesc_np(errno));
    return LETHE_OK;
}

bool namespace_is_user(void)
{
    return where == INSIDE_USER;
}
