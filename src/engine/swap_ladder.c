#include "engine/swap_ladder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "mem/swap.h"

#define MIB ((uint64_t)1 << 20)
#define PAGE_BYTES ((size_t)4096) /* enough of one to try */
/* The supervisor locks its mappings of the same files, and its keys. */
#define LOCK_RESERVE_BYTES (4 * MIB)

static bool refuse(struct lethe_error *why, const char *text)
{
    error_set(why, LETHE_UNPROTECTED, "%s", text);
    return false;
}

/* ---- tmpfs with noswap -------------------------------------------------------------------------
 */

static bool take_no_swap_mount(struct storage *storage, struct lethe_error *why)
{
    if (storage->no_swap_mount)
        return true;
    if (storage->rung->handover == HANDOVER_MEMFD)
        return refuse(why, "memory files have no such option");
    error_set(why, LETHE_UNPROTECTED, "this kernel refuses it (%s)",
              strerrordesc_np(storage->no_swap_errno));
    return false;
}

/* Over /tmp of a namespace of its own: nobody sees it, and it ends with the process. */
static bool probe_no_swap_mount(struct lethe_error *why)
{
    if (mount("lethe", "/tmp", "tmpfs", 0, "noswap") == 0)
        return true;
    error_set(why, LETHE_UNPROTECTED, "this kernel refuses it (%s)", strerrordesc_np(errno));
    return false;
}

/* ---- mlock -------------------------------------------------------------------------------------
 */

static bool lock_one(void *mapping, uint64_t size_bytes)
{
    return mapping == NULL || mlock2(mapping, size_bytes, MLOCK_ONFAULT) == 0;
}

static bool lock_all(const struct storage *storage, void *reserve)
{
    bool locked = lock_one(reserve, LOCK_RESERVE_BYTES);
    for (size_t i = 0; i < storage->count && locked; i++)
        locked = lock_one(storage->files[i].mapping, storage->files[i].content->size_bytes);
    return locked;
}

static bool say_lock_limit(struct lethe_error *why, int error)
{
    struct rlimit limit;
    char text[BYTES_TEXT_SIZE];
    getrlimit(RLIMIT_MEMLOCK, &limit);
    bytes_text(limit.rlim_cur, text);
    if (error == ENOMEM || error == EAGAIN)
        error_set(why, LETHE_UNPROTECTED, "only %s may be locked", text);
    else
        error_set(why, LETHE_UNPROTECTED, "the kernel refuses it (%s)", strerrordesc_np(error));
    return false;
}

/* On fault: costs nothing now, and tells whether the limit allows it. The pages are locked as they
 * come, by the supervisor, which decrypts them and keeps its mapping; here they are when they are
 * wiped. */
static bool take_locks(struct storage *storage, struct lethe_error *why)
{
    struct lethe_mem_budget budget = {0};
    void *reserve = mmap(NULL, LOCK_RESERVE_BYTES, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserve == MAP_FAILED)
        return refuse(why, "no room to try");
    bool locked = lock_all(storage, reserve);
    int error = errno;
    bool known = lethe_mem_budget(&budget, NULL) == LETHE_OK;
    munmap(reserve, LOCK_RESERVE_BYTES);
    if (locked && known && budget.lock_used_bytes >= storage->total_bytes + LOCK_RESERVE_BYTES)
        return true;
    munlockall();
    return locked ? refuse(why, "the kernel took the lock, and does not show it")
                  : say_lock_limit(why, error);
}

/* A model's worth of memory may be locked when there is no limit at all. */
static bool probe_locks(struct lethe_error *why)
{
    struct lethe_mem_budget budget;
    if (lethe_mem_budget(&budget, why) != LETHE_OK)
        return false;
    void *page = mmap(NULL, PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool locked = page != MAP_FAILED && lock_one(page, PAGE_BYTES);
    int error = locked ? ENOMEM : errno;
    if (page != MAP_FAILED)
        munmap(page, PAGE_BYTES);
    return (locked && budget.unlimited) || say_lock_limit(why, error);
}

/* ---- a control group ---------------------------------------------------------------------------
 */

/* Whoever touches a page first has it on its group's account: that must be us, so all of them are
 * touched now. */
static lethe_result charge_files(const struct storage *storage, struct lethe_error *err)
{
    for (size_t i = 0; i < storage->count; i++) {
        const struct memory_file *file = &storage->files[i];
        if (file->content->size_bytes > 0 &&
            fallocate(file->fd, 0, 0, (off_t)file->content->size_bytes) != 0)
            return error_set(err, LETHE_UNPROTECTED, "its memory cannot be taken beforehand: %s",
                             strerrordesc_np(errno));
    }
    if (swap_group_charged_bytes(&storage->group) < storage->total_bytes)
        return error_set(err, LETHE_UNPROTECTED, "the weights are on another group's account");
    return LETHE_OK;
}

static bool take_group(struct storage *storage, struct lethe_error *why)
{
    if (swap_cgroup_forbids())
        return true;
    if (swap_group_enter(&storage->group, why) != LETHE_OK)
        return false;
    if (charge_files(storage, why) == LETHE_OK)
        return true;
    swap_group_leave(&storage->group);
    return false;
}

static bool probe_group(struct lethe_error *why)
{
    struct swap_group group;
    bool holds = swap_cgroup_forbids() || swap_group_enter(&group, why) == LETHE_OK;
    if (holds)
        swap_group_leave(&group);
    return holds;
}

/* ---- no swap at all ----------------------------------------------------------------------------
 */

static bool probe_host(struct lethe_error *why)
{
    return !swap_may_keep_pages() || refuse(why, "swap is active, with a key that lasts or none");
}

static bool take_host(struct storage *storage, struct lethe_error *why)
{
    return probe_host(why);
}

/* ---- the table ---------------------------------------------------------------------------------
 */

static const struct {
    enum swap_safety safety;
    const char *label;
    const char *remedy;
    bool (*take)(struct storage *storage, struct lethe_error *why);
    bool (*probe)(struct lethe_error *why);
} ladder[ENGINE_SWAP_RUNGS] = {
    {SWAP_NO_SWAP_FS, "tmpfs with noswap",
     "Linux 6.4 or later, as root and not inside a user namespace", take_no_swap_mount,
     probe_no_swap_mount},
    {SWAP_LOCKED, "mlock",
     "raise the memory-lock limit above the model's size: ulimit -l, or LimitMEMLOCK= in a systemd "
     "unit",
     take_locks, probe_locks},
    {SWAP_CGROUP, "a cgroup without swap",
     "systemd-run --user --scope -p MemorySwapMax=0 lethe exec ... (as root without --user)",
     take_group, probe_group},
    {SWAP_NONE, "a host without swap",
     "swapoff -a, or swap on plain dm-crypt with a key from /dev/urandom (crypttab)", take_host,
     probe_host},
};

void swap_ladder_probe(struct engine_rung out[ENGINE_SWAP_RUNGS])
{
    for (size_t i = 0; i < ENGINE_SWAP_RUNGS; i++) {
        struct lethe_error why = {0};
        out[i] = (struct engine_rung){.label = ladder[i].label, .remedy = ladder[i].remedy};
        out[i].holds = ladder[i].probe(&why);
        snprintf(out[i].why_not, sizeof out[i].why_not, "%s", why.text);
    }
}

/* What to type, with the numbers of this model. */
static void hint(const struct storage *storage, struct lethe_error *err)
{
    uint64_t needed_kib = (storage->total_bytes + LOCK_RESERVE_BYTES) / 1024 + 4 * storage->count;
    error_hint(err,
               "one of: ulimit -l %" PRIu64 " (LimitMEMLOCK=); systemd-run %s--scope -p "
               "MemorySwapMax=0 lethe exec ...; swapoff -a; or accept it, on record: --allow-swap",
               needed_kib, geteuid() == 0 ? "" : "--user ");
}

static lethe_result nothing_holds(const struct storage *storage, const struct buffer *reasons,
                                  struct lethe_error *err)
{
    if (storage->options->allow_swap)
        return LETHE_OK;
    error_set(err, LETHE_UNPROTECTED, "nothing keeps the weights from swap%s", reasons->bytes);
    hint(storage, err);
    return LETHE_UNPROTECTED;
}

lethe_result swap_ladder_climb(struct storage *storage, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer reasons = {0};
    storage->safety = SWAP_UNSAFE;
    for (size_t i = 0; i < ENGINE_SWAP_RUNGS; i++) {
        struct lethe_error why = {0};
        if (ladder[i].take(storage, &why)) {
            storage->safety = ladder[i].safety;
            return LETHE_OK;
        }
        buffer_format(&reasons, "%s %s: %s", i == 0 ? ":" : ";", ladder[i].label, why.text);
    }
    TRY(buffer_result(&reasons, err));
    return nothing_holds(storage, &reasons, err);
}
