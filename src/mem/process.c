#include "mem/process.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "mem/arena.h"
#include "mem/host.h"
#include "mem/maps.h"
#include "mem/pages.h"
#include "mem/region.h"
#include "mem/session.h"

static struct process not_started;
struct process *_Atomic process_state = &not_started;

_Static_assert(sizeof(struct process) <= PAGE_BYTES, "one page");

/* Sessions first: their record counts what they own. */
static void wipe_at_exit(void)
{
    sessions_end_at_exit();
    regions_wipe_at_exit();
    arenas_wipe_at_exit();
}

static lethe_result map_state(struct lethe_error *err)
{
    if (sysconf(_SC_PAGESIZE) != (long)PAGE_BYTES)
        return error_set(err, LETHE_UNPROTECTED, "pages of %ld bytes: expected %zu",
                         sysconf(_SC_PAGESIZE), PAGE_BYTES);
    void *page =
        host.mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return error_from_errno(err, "a page of memory");
    unsigned flags = 0;
    host.madvise(page, PAGE_BYTES, MADV_WIPEONFORK);
    lethe_result result = maps_flags(page, PAGE_BYTES, &flags, err);
    if (result == LETHE_OK && (flags & MAP_FLAG_WIPED_ON_FORK) == 0) {
        result = error_set(err, LETHE_UNPROTECTED, "memory cannot be wiped in a forked child");
        error_hint(err, "use Linux 4.14 or later");
    }
    struct process *nobody = &not_started;
    if (result != LETHE_OK || !atomic_compare_exchange_strong(&process_state, &nobody, page))
        host.munmap(page, PAGE_BYTES);
    return result;
}

/* Under start_lock. */
static lethe_result start(struct process *process, struct lethe_error *err)
{
    static bool exit_is_arranged; /* stays true in a child, which inherits the handler */
    uint64_t random[4] = {0};
    if (random_fill(&random_system, random, sizeof random) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system has no randomness to give");
    if (!exit_is_arranged && atexit(wipe_at_exit) != 0)
        return error_set(err, LETHE_NO_MEMORY, "no room for an exit handler");
    exit_is_arranged = true;
    process->canary[0] = random[0];
    process->canary[1] = random[1];
    process->next_place = pages_first_place(random[3]);
    atomic_store_explicit(&process->epoch, random[2] | 1, memory_order_release);
    return LETHE_OK;
}

lethe_result process_start(struct lethe_error *err)
{
    if (process_epoch() != 0)
        return LETHE_OK;
    if (process_now() == &not_started)
        TRY(map_state(err));
    struct process *process = process_now();
    pthread_mutex_lock(&process->start_lock);
    lethe_result result = process_epoch() != 0 ? LETHE_OK : start(process, err);
    pthread_mutex_unlock(&process->start_lock);
    return result;
}
