#include "mem/budget.h"

#include <inttypes.h>
#include <linux/capability.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "mem/host.h"
#include "mem/process.h"
#include "mem/swap.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
/* Mappings may be made without a new count of all. */
#define MAPS_BETWEEN_COUNTS 1024

/* proc_ns.h of the kernel: the first user namespace always has this number. */
#define FIRST_USER_NAMESPACE "user:[4026531837]"

/* A capability lifts the lock limit only in the first user namespace, whatever /proc/self/status
 * shows inside another. */
static bool is_in_first_user_namespace(void)
{
    char name[64] = "";
    return readlink("/proc/self/ns/user", name, sizeof name - 1) > 0 &&
           strcmp(name, FIRST_USER_NAMESPACE) == 0;
}

static lethe_result read_status(struct lethe_mem_budget *budget, struct lethe_error *err)
{
    FILE *status = host.open("/proc/self/status");
    if (status == NULL)
        return error_from_errno(err, "/proc/self/status");
    char line[256];
    uint64_t locked_kib, capabilities = 0;
    while (fgets(line, sizeof line, status) != NULL) {
        if (sscanf(line, "VmLck: %" SCNu64 " kB", &locked_kib) == 1)
            budget->lock_used_bytes = locked_kib * KIB;
        (void)sscanf(line, "CapEff: %" SCNx64, &capabilities);
    }
    fclose(status);
    bool may_lock_all = (capabilities >> CAP_IPC_LOCK & 1) != 0 && is_in_first_user_namespace();
    budget->unlimited = may_lock_all || budget->lock_limit_bytes == RLIM_INFINITY;
    return LETHE_OK;
}

static lethe_result read_map_limit(struct lethe_mem_budget *budget, struct lethe_error *err)
{
    FILE *file = host.open("/proc/sys/vm/max_map_count");
    if (file == NULL)
        return error_from_errno(err, "/proc/sys/vm/max_map_count");
    bool is_number = fscanf(file, "%" SCNu64, &budget->map_limit) == 1;
    fclose(file);
    return is_number ? LETHE_OK
                     : error_set(err, LETHE_IO, "/proc/sys/vm/max_map_count: expected a number");
}

static lethe_result count_maps(struct lethe_mem_budget *budget, struct lethe_error *err)
{
    FILE *maps = host.open("/proc/self/maps");
    if (maps == NULL)
        return error_from_errno(err, "/proc/self/maps");
    char part[4096];
    size_t part_bytes;
    while ((part_bytes = fread(part, 1, sizeof part, maps)) > 0)
        for (size_t i = 0; i < part_bytes; i++)
            budget->map_used += part[i] == '\n';
    fclose(maps);
    return LETHE_OK;
}

lethe_result lethe_mem_budget(struct lethe_mem_budget *out, struct lethe_error *err)
{
    struct rlimit limit;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    *out = (struct lethe_mem_budget){.lock_limit_bytes = limit.rlim_cur};
    TRY(read_status(out, err));
    TRY(read_map_limit(out, err));
    return count_maps(out, err);
}

lethe_result budget_take_maps(unsigned count, struct lethe_error *err)
{
    static atomic_int allowance;
    if (atomic_fetch_sub(&allowance, (int)count) >= (int)count)
        return LETHE_OK;

    struct lethe_mem_budget budget;
    if (lethe_mem_budget(&budget, NULL) != LETHE_OK)
        return LETHE_OK;
    uint64_t usable = budget.map_limit - budget.map_limit / 16;
    if (usable < budget.map_used + count) {
        error_set(err, LETHE_LIMIT, "this process has %" PRIu64 " of at most %" PRIu64 " mappings",
                  budget.map_used, budget.map_limit);
        error_hint(err, "raise the limit: sysctl -w vm.max_map_count=%" PRIu64,
                   budget.map_limit * 4);
        return LETHE_LIMIT;
    }
    uint64_t spare = usable - budget.map_used - count;
    atomic_store(&allowance, (int)MIN(spare, MAPS_BETWEEN_COUNTS));
    return LETHE_OK;
}

void budget_lock_remedy(size_t size_bytes, struct lethe_error *err)
{
    struct lethe_mem_budget budget;
    if (lethe_mem_budget(&budget, NULL) != LETHE_OK || budget.unlimited) {
        error_hint(err, "free memory, or turn swap off");
        return;
    }
    uint64_t needed_mib = (budget.lock_used_bytes + size_bytes + MIB - 1) / MIB;
    error_hint(err,
               "raise the memory-lock limit from %" PRIu64 " KiB to %" PRIu64
               " MiB (ulimit -l %" PRIu64 ", or LimitMEMLOCK= in a unit), or turn swap off",
               budget.lock_limit_bytes / KIB, needed_mib, needed_mib * KIB);
}

lethe_result lethe_mem_recheck(struct lethe_error *err)
{
    size_t relying = atomic_load(&process_now()->ranges_unlocked);
    if (relying == 0 || !swap_may_keep_pages())
        return LETHE_OK;
    error_set(err, LETHE_UNPROTECTED,
              "swap was turned on, and %zu ranges of memory are not locked against it", relying);
    error_hint(err, "turn swap off, or raise the memory-lock limit and start again");
    return LETHE_UNPROTECTED;
}
