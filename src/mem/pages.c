#include "mem/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "mem/budget.h"
#include "mem/host.h"
#include "mem/maps.h"
#include "mem/process.h"
#include "mem/swap.h"

/* Three without access, the bytes, the trailer. */
#define MAPS_PER_RESERVATION 5

/* ---- protections ----------------------------------------------------------------------------- */

/* Applying only asks. Whether a protection holds is read back from the kernel (`holds`); the answer
 * to the request serves to explain a failure. */
struct protection {
    enum lethe_protection bit;
    const char *failure; /* "8 KiB of memory ..." */
    int (*apply)(const struct pages *pages);
    bool (*holds)(struct pages *pages, unsigned map_flags);
    void (*remedy)(const struct pages *pages, struct lethe_error *err);
};

static int lock(const struct pages *pages)
{
    return host.mlock(pages->bytes, pages->size_bytes);
}

/* Memory that no swap can take in is as good as locked. */
static bool is_locked(struct pages *pages, unsigned map_flags)
{
    if ((map_flags & MAP_FLAG_LOCKED) != 0)
        pages->locked_by =
            pages->is_secret_memory ? LETHE_LOCKED_BY_SECRET_MEMORY : LETHE_LOCKED_BY_MLOCK;
    else if (!swap_may_keep_pages())
        pages->locked_by = LETHE_LOCKED_BY_NO_SWAP;
    return pages->locked_by != LETHE_LOCKED_BY_NOTHING;
}

static void lock_remedy(const struct pages *pages, struct lethe_error *err)
{
    budget_lock_remedy(pages->size_bytes, err);
}

static int exclude_from_core_files(const struct pages *pages)
{
    return host.madvise(pages->bytes, pages->size_bytes, MADV_DONTDUMP);
}

static bool is_excluded_from_core_files(struct pages *pages, unsigned map_flags)
{
    return (map_flags & MAP_FLAG_UNDUMPABLE) != 0;
}

static void dump_remedy(const struct pages *pages, struct lethe_error *err)
{
    error_hint(err, "use Linux 3.4 or later, and allow madvise and /proc/self/smaps in sandboxes");
}

/* Shared mappings, which secret memory is, cannot be wiped in a child, but can be left out. */
static int hide_from_children(const struct pages *pages)
{
    return host.madvise(pages->bytes, pages->size_bytes,
                        pages->is_secret_memory ? MADV_DONTFORK : MADV_WIPEONFORK);
}

static bool is_hidden_from_children(struct pages *pages, unsigned map_flags)
{
    return (map_flags & (MAP_FLAG_WIPED_ON_FORK | MAP_FLAG_NOT_FORKED)) != 0;
}

static void fork_remedy(const struct pages *pages, struct lethe_error *err)
{
    error_hint(err, "use Linux 4.14 or later, and allow madvise and /proc/self/smaps in sandboxes");
}

static const struct protection protections[] = {
    {LETHE_LOCKED, "cannot be kept out of swap", lock, is_locked, lock_remedy},
    {LETHE_UNDUMPABLE, "cannot be left out of core files", exclude_from_core_files,
     is_excluded_from_core_files, dump_remedy},
    {LETHE_FORK_BLIND, "cannot be hidden from forked children", hide_from_children,
     is_hidden_from_children, fork_remedy},
};

static lethe_result refuse(const struct pages *pages, const struct protection *p, const char *cause,
                           struct lethe_error *err)
{
    error_set(err, LETHE_UNPROTECTED, "%zu KiB of memory %s: %s", pages->size_bytes >> 10,
              p->failure, cause);
    p->remedy(pages, err);
    return LETHE_UNPROTECTED;
}

static lethe_result protect(struct pages *pages, unsigned optional, struct lethe_error *err)
{
    int causes[ARRAY_LEN(protections)] = {0};
    for (size_t i = 0; i < ARRAY_LEN(protections); i++)
        if (protections[i].apply(pages) != 0)
            causes[i] = errno;

    unsigned map_flags;
    struct lethe_error unknown = {.text = "the kernel took the request, and did nothing"};
    bool is_known = maps_flags(pages->bytes, pages->size_bytes, &map_flags, &unknown) == LETHE_OK;
    for (size_t i = 0; i < ARRAY_LEN(protections); i++) {
        const struct protection *p = &protections[i];
        if (p->holds(pages, map_flags))
            pages->protections |= p->bit;
        else if ((optional & p->bit) == 0)
            return refuse(pages, p,
                          is_known && causes[i] != 0 ? strerrordesc_np(causes[i]) : unknown.text,
                          err);
    }
    if ((map_flags & MAP_FLAG_SECRET) != 0)
        pages->protections |= LETHE_SECRET;
    return LETHE_OK;
}

/* ---- mapping --------------------------------------------------------------------------------- */

static uint8_t *align_up(uint8_t *address, size_t align_bytes)
{
    return address + (-(uintptr_t)address & (align_bytes - 1));
}

/* Memory that the kernel keeps out of its own map, or -1. Its absence is no error. */
static int secret_memory(size_t size_bytes)
{
    int fd = host.memfd_secret(O_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size_bytes) == 0)
        return fd;
    close(fd);
    return -1;
}

/* To ask for one mapping's flags, maps_flags() reads /proc/self/smaps from its begin, and the
 * kernel counts the pages of all that it passes. So each range is wished below all others, and all
 * below programs, heaps, and AddressSanitizer's: the newest one is read first. Where something is
 * there, or address space is smaller, the kernel chooses. */
#define PLACES_BEGIN ((uintptr_t)0x110000000000)
#define PLACES_END ((uintptr_t)0x500000000000)

uintptr_t pages_first_place(uint64_t random)
{
    uintptr_t pages = (PLACES_END - PLACES_BEGIN) / 2 / PAGE_BYTES;
    return PLACES_END - random % pages * PAGE_BYTES;
}

/* NULL, no wish, once the places are used up. */
static void *next_place(size_t size_bytes)
{
    atomic_uintptr_t *end = &process_now()->next_place;
    uintptr_t now = atomic_load(end);
    do {
        if (now < PLACES_BEGIN || now - PLACES_BEGIN < size_bytes)
            return NULL;
    } while (!atomic_compare_exchange_weak(end, &now, now - size_bytes));
    return (void *)(now - size_bytes);
}

/* Address space without access. The lock limit may be too small for secret memory. */
static void *map_nothing(size_t size_bytes, bool *secret)
{
    CLEANUP(fd_close) int fd = *secret ? secret_memory(size_bytes) : -1;
    void *address = MAP_FAILED, *wish = next_place(size_bytes);
    if (fd >= 0)
        address = host.mmap(wish, size_bytes, PROT_NONE, MAP_SHARED, fd, 0);
    *secret = address != MAP_FAILED;
    if (address == MAP_FAILED)
        address = host.mmap(wish, size_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return address;
}

/* What alignment leaves over makes the guards wider. */
static lethe_result reserve(const struct pages_request *request, struct pages *out,
                            struct lethe_error *err)
{
    REQUIRE(!request->secret || request->trailer_bytes == 0);
    size_t guards = request->trailer_bytes == 0 ? 2 : 3;
    size_t reserved_bytes = request->align_bytes - PAGE_BYTES + guards * PAGE_BYTES;
    if (__builtin_add_overflow(reserved_bytes, request->size_bytes, &reserved_bytes) ||
        __builtin_add_overflow(reserved_bytes, request->trailer_bytes, &reserved_bytes))
        return error_set(err, LETHE_INVALID, "%zu bytes of memory", request->size_bytes);
    TRY(budget_take_maps(MAPS_PER_RESERVATION, err));
    bool secret = request->secret;
    uint8_t *reservation = map_nothing(reserved_bytes, &secret);
    if (reservation == MAP_FAILED)
        return error_set(err, LETHE_NO_MEMORY, "no room for %zu KiB of memory",
                         reserved_bytes >> 10);
    *out = (struct pages){
        .bytes = align_up(reservation + PAGE_BYTES, request->align_bytes),
        .size_bytes = request->size_bytes,
        .reservation = reservation,
        .reserved_bytes = reserved_bytes,
        .is_secret_memory = secret,
        .epoch = process_epoch(),
    };
    return LETHE_OK;
}

static bool make_accessible(uint8_t *bytes, size_t size_bytes)
{
    return size_bytes == 0 || host.mprotect(bytes, size_bytes, PROT_READ | PROT_WRITE) == 0;
}

static lethe_result fill(const struct pages_request *request, struct pages *pages,
                         struct lethe_error *err)
{
    uint8_t *trailer = pages->bytes + pages->size_bytes + PAGE_BYTES;
    if (!make_accessible(pages->bytes, pages->size_bytes) ||
        !make_accessible(trailer, request->trailer_bytes))
        return error_set(err, LETHE_NO_MEMORY, "no %zu KiB of memory", pages->size_bytes >> 10);
    if (request->huge)
        (void)host.madvise(pages->bytes, pages->size_bytes, MADV_HUGEPAGE);
    return LETHE_OK;
}

lethe_result pages_create(const struct pages_request *request, struct pages *out,
                          struct lethe_error *err)
{
    struct pages pages;
    TRY(process_start(err));
    TRY(reserve(request, &pages, err));
    lethe_result result = fill(request, &pages, err);
    if (result == LETHE_OK)
        result = protect(&pages, request->optional, err);
    if (result == LETHE_OK && request->closed &&
        host.mprotect(pages.bytes, pages.size_bytes, PROT_NONE) != 0)
        result = error_set(err, LETHE_NO_MEMORY, "memory cannot be closed");
    if (pages.locked_by == LETHE_LOCKED_BY_NO_SWAP)
        atomic_fetch_add(&process_now()->ranges_unlocked, 1);
    if (result != LETHE_OK)
        pages_free(&pages);
    else
        *out = pages;
    return result;
}

bool pages_are_inherited(const struct pages *pages)
{
    return pages->epoch != process_epoch();
}

void pages_free(const struct pages *pages)
{
    if (pages->locked_by == LETHE_LOCKED_BY_NO_SWAP && !pages_are_inherited(pages))
        atomic_fetch_sub(&process_now()->ranges_unlocked, 1);
    /* Cutting a reservation out of its neighbours' guards needs a mapping more; where the limit
     * refuses that, giving back the bytes alone never does. */
    if (host.munmap(pages->reservation, pages->reserved_bytes) != 0)
        host.munmap(pages->bytes, pages->size_bytes);
}
