/* What this host can give, found by trying in a process that ends at once. */
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/namespace.h"
#include "engine/swap.h"
#include "mem/swap.h"

enum probe_bit { PROBE_TMPFS = 1, PROBE_USER = 2, PROBE_HUGE = 4, PROBE_NO_SWAP = 8 };

/* Over /tmp of a namespace of its own: nobody sees it, and it ends with the process. */
static bool can_mount(const char *options)
{
    return mount("lethe", "/tmp", "tmpfs", 0, options) == 0;
}

static int probe_mounts(void)
{
    bool is_user;
    if (namespace_enter(&is_user, NULL) != LETHE_OK || !can_mount(NULL))
        return 0;
    return PROBE_TMPFS | (is_user ? PROBE_USER : 0) | (can_mount("huge=always") ? PROBE_HUGE : 0) |
           (can_mount("noswap") ? PROBE_NO_SWAP : 0);
}

/* A model's worth of memory may be locked when there is no limit at all. */
static enum swap_safety probe_memfd_safety(void)
{
    struct lethe_mem_budget budget;
    if (lethe_mem_budget(&budget, NULL) == LETHE_OK && budget.unlimited)
        return SWAP_LOCKED;
    if (swap_cgroup_forbids())
        return SWAP_CGROUP;
    return swap_may_keep_pages() ? SWAP_UNSAFE : SWAP_NONE;
}

void engine_probe(struct engine_host *out)
{
    *out = (struct engine_host){.memfd_safety = probe_memfd_safety()};
    pid_t pid = fork();
    if (pid == 0)
        _exit(probe_mounts());
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return;
    out->tmpfs = WEXITSTATUS(status) & PROBE_TMPFS;
    out->user_namespace = WEXITSTATUS(status) & PROBE_USER;
    out->tmpfs_huge = WEXITSTATUS(status) & PROBE_HUGE;
    out->tmpfs_noswap = WEXITSTATUS(status) & PROBE_NO_SWAP;
}
