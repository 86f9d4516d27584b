/* What this host can give, found by trying in a process that ends at once. */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/engine.h"
#include "engine/namespace.h"
#include "engine/swap_ladder.h"

enum { TMPFS, MEMFD }; /* the order of engine_host.handovers */

static void say(struct engine_rung *rung, lethe_result result, const struct lethe_error *err)
{
    rung->holds = result == LETHE_OK;
    snprintf(rung->why_not, sizeof rung->why_not, "%s", result == LETHE_OK ? "" : err->text);
}

static lethe_result mount_plainly(struct lethe_error *err)
{
    return mount("lethe", "/tmp", "tmpfs", 0, NULL) == 0
               ? LETHE_OK
               : error_from_errno(err, "mounting a tmpfs");
}

/* In the child. */
static void look(struct engine_host *out)
{
    struct lethe_error err = {0};
    say(&out->handovers[MEMFD], storage_memfd_check(&err), &err);
    lethe_result result = namespace_enter(&out->user_namespace, &err);
    if (result == LETHE_OK)
        result = mount_plainly(&err);
    say(&out->handovers[TMPFS], result, &err);
    out->tmpfs_huge = result == LETHE_OK && mount("lethe", "/tmp", "tmpfs", 0, "huge=always") == 0;
    swap_ladder_probe(out->swap);
}

static const struct engine_host unknown = {
    .handovers = {{.label = "tmpfs",
                   .remedy = "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, "
                             "user.max_user_namespaces), or run with CAP_SYS_ADMIN"},
                  {.label = "memfd", .remedy = "Linux 5.1 or later, with a tmpfs on /dev/shm"}}};

void engine_probe(struct engine_host *out)
{
    *out = unknown;
    struct engine_host *seen =
        mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seen == MAP_FAILED)
        return;
    *seen = unknown;
    pid_t pid = fork();
    if (pid == 0) {
        look(seen);
        _exit(0);
    }
    if (pid > 0 && waitpid(pid, NULL, 0) == pid)
        *out = *seen;
    munmap(seen, sizeof *seen);
}
