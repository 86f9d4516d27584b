/* What a service may: as much as it needs, and as a user that has no rights, before there is
 * anything to protect. */
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "service/serve_log.h"
#include "service/serve_parts.h"

static lethe_result find(const char *name, struct passwd *out, char *room, size_t room_bytes,
                         struct lethe_error *err)
{
    struct passwd *found = NULL;
    int failed = getpwnam_r(name, out, room, room_bytes, &found);
    if (failed != 0)
        return error_set(err, LETHE_FAILED, "looking for the user %.64s: %s", name,
                         strerrordesc_np(failed));
    if (found == NULL)
        return error_set(err, LETHE_INVALID, "there is no user %.64s", name);
    if (found->pw_uid == 0)
        return error_set(err, LETHE_INVALID, "%.64s is root: expected a user without rights", name);
    return LETHE_OK;
}

/* What is guarded must be locked, which an ordinary user may do with 8 MiB only. */
static void raise_lock_limit(void)
{
    const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    (void)!setrlimit(RLIMIT_MEMLOCK, &unlimited); /* guarded memory says what it lacks */
}

#define OTHER_DESCRIPTORS 64u /* listeners, files, sockets of the service's own */

void serve_raise_descriptors(const struct serve_options *options)
{
    struct rlimit now;
    rlim_t needed = (rlim_t)options->limits.connections + OTHER_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &now) != 0 || now.rlim_cur >= needed)
        return;
    const struct rlimit wanted = {needed, MAX(now.rlim_max, needed)};
    const struct rlimit possible = {now.rlim_max, now.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
        return;
    serve_log(SERVE_WARNING, "%llu descriptors, for %llu connections: more clients will wait",
              (unsigned long long)now.rlim_max, (unsigned long long)options->limits.connections);
    (void)!setrlimit(RLIMIT_NOFILE, &possible);
}

/* With no group but the user's own: none of those that may be lost is needed to read its files. */
lethe_result serve_look_as_user(const char *name, struct lethe_error *err)
{
    char room[4096];
    struct passwd user;
    TRY(find(name, &user, room, sizeof room, err));
    if (geteuid() != 0)
        return LETHE_OK;
    if (setegid(user.pw_gid) != 0 || seteuid(user.pw_uid) != 0)
        return error_from_errno(err, "reading as the user %.64s", name);
    return LETHE_OK;
}

void serve_look_as_oneself(void)
{
    REQUIRE(seteuid(getuid()) == 0 && setegid(getgid()) == 0);
}

lethe_result serve_become_user(const char *name, struct lethe_error *err)
{
    char room[4096];
    struct passwd user;
    TRY(find(name, &user, room, sizeof room, err));
    if (geteuid() == user.pw_uid && getuid() == user.pw_uid)
        return LETHE_OK;
    if (geteuid() != 0) {
        error_set(err, LETHE_UNPROTECTED, "only root can become the user %.64s", name);
        error_hint(err, "start it as that user");
        return LETHE_UNPROTECTED;
    }
    raise_lock_limit();
    if (initgroups(user.pw_name, user.pw_gid) != 0 ||
        setresgid(user.pw_gid, user.pw_gid, user.pw_gid) != 0 ||
        setresuid(user.pw_uid, user.pw_uid, user.pw_uid) != 0)
        return error_from_errno(err, "becoming the user %.64s", name);
    if (setuid(0) == 0 || geteuid() == 0)
        return error_set(err, LETHE_UNPROTECTED, "the rights of root did not go away");
    return LETHE_OK;
}
