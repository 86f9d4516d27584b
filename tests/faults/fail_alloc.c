/* fail-alloc.so, for LD_PRELOAD: the Nth allocation of `lethe` fails, whoever asks for it.
 *
 *   FAIL_ALLOC=N       the Nth, counted over the process and its children; 0 only counts
 *   FAIL_ALLOC=N+      every one from the Nth on
 *   FAIL_ALLOC_LEAK=1    loses a block, so that a test sees whether its leak checker does
 *   FAIL_ALLOC_REPORT=FILE  gets "<allocations> <1 when one failed>" when a process ends
 *
 * Stands in front of the C library's allocator, and of a sanitizer's in a build that has one, so
 * that LeakSanitizer still sees every allocation. What engines allocate is not counted. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define IN_PLACE __attribute__((visibility("default")))

/* Shared with children, which are forked and not executed. */
struct counts {
    atomic_ulong calls;
    atomic_bool failed;
};
static struct {
    struct counts *counts; /* NULL: not armed */
    unsigned long at;
    bool and_later;
} plan;

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*reallocarray)(void *, size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    void *(*memalign)(size_t, size_t);
    void (*free)(void *);
} next;

/* dlsym allocates itself, before there is anything to allocate with. Never freed. */
static _Alignas(max_align_t) char early[16384];
static size_t early_used;

static void *early_alloc(size_t size_bytes)
{
    size_t start = early_used;
    early_used += (size_bytes + 15) & ~(size_t)15;
    if (early_used > sizeof early)
        abort();
    return early + start;
}

static bool is_early(const void *memory)
{
    return (uintptr_t)memory >= (uintptr_t)early &&
           (uintptr_t)memory < (uintptr_t)early + sizeof early;
}

/* False while the functions are being found. */
static bool ready(void)
{
    static bool finding;
    if (next.free != NULL)
        return true;
    if (finding)
        return false;
    finding = true;
    *(void **)&next.malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&next.calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&next.realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&next.reallocarray = dlsym(RTLD_NEXT, "reallocarray");
    *(void **)&next.posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
    *(void **)&next.aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
    *(void **)&next.memalign = dlsym(RTLD_NEXT, "memalign");
    *(void **)&next.free = dlsym(RTLD_NEXT, "free");
    finding = false;
    return true;
}

static bool fails(void)
{
    if (plan.counts == NULL)
        return false;
    unsigned long call = atomic_fetch_add(&plan.counts->calls, 1) + 1;
    if (plan.at == 0 || call < plan.at || (call > plan.at && !plan.and_later))
        return false;
    atomic_store(&plan.counts->failed, true);
    errno = ENOMEM;
    return true;
}

__attribute__((constructor)) static void arm(void)
{
    const char *text = getenv("FAIL_ALLOC");
    if (text == NULL || strcmp(program_invocation_short_name, "lethe") != 0)
        return;
    char *end;
    plan.at = strtoul(text, &end, 10);
    plan.and_later = *end == '+';
    void *shared =
        mmap(NULL, sizeof *plan.counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared != MAP_FAILED)
        plan.counts = shared;
    if (getenv("FAIL_ALLOC_LEAK") != NULL && ready())
        memset(next.malloc(1000), 1, 1000);
}

__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("FAIL_ALLOC_REPORT");
    if (plan.counts == NULL || path == NULL)
        return;
    char line[64];
    int length = snprintf(line, sizeof line, "%lu %d\n", atomic_load(&plan.counts->calls),
                          atomic_load(&plan.counts->failed));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    (void)!write(fd, line, (size_t)length);
    close(fd);
    plan.counts = NULL; /* what runs from here on, a leak checker, is let alone */
}

/* ---- in place of the allocator's --------------------------------------------------------------
 */

IN_PLACE void *malloc(size_t size_bytes)
{
    if (!ready())
        return early_alloc(size_bytes);
    return fails() ? NULL : next.malloc(size_bytes);
}

IN_PLACE void *calloc(size_t count, size_t size_bytes)
{
    if (!ready())
        return early_alloc(count * size_bytes);
    return fails() ? NULL : next.calloc(count, size_bytes);
}

IN_PLACE void *realloc(void *memory, size_t size_bytes)
{
    if (!ready() || is_early(memory))
        abort();
    return fails() ? NULL : next.realloc(memory, size_bytes);
}

IN_PLACE void *reallocarray(void *memory, size_t count, size_t size_bytes)
{
    return !ready() || fails() ? NULL : next.reallocarray(memory, count, size_bytes);
}

IN_PLACE int posix_memalign(void **out, size_t alignment, size_t size_bytes)
{
    return !ready() || fails() ? ENOMEM : next.posix_memalign(out, alignment, size_bytes);
}

IN_PLACE void *aligned_alloc(size_t alignment, size_t size_bytes)
{
    return !ready() || fails() ? NULL : next.aligned_alloc(alignment, size_bytes);
}

IN_PLACE void *memalign(size_t alignment, size_t size_bytes)
{
    return !ready() || fails() ? NULL : next.memalign(alignment, size_bytes);
}

IN_PLACE void free(void *memory)
{
    if (ready() && !is_early(memory))
        next.free(memory);
}
