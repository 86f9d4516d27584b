#include "mem/region.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/error.h"
#include "mem/host.h"
#include "mem/observer.h"
#include "mem/pages.h"
#include "mem/process.h"

#define REGION_MAX_BYTES ((size_t)1 << 40)
#define HUGE_PAGE_BYTES ((size_t)2 << 20)

struct lethe_region {
    struct pages pages;
    enum lethe_class class_;
    struct lethe_label label;
    bool is_adopted;
    bool is_listed; /* in the list of this process; regions_lock */
    LIST_ENTRY(lethe_region) link;

    pthread_mutex_t access_lock;
    unsigned opens;
    bool is_read_only;
};

static const char *const class_names[] = {
    [LETHE_CLASS_KEY] = "key",
    [LETHE_CLASS_WEIGHTS] = "weights",
    [LETHE_CLASS_OPTIMIZER] = "optimizer",
    [LETHE_CLASS_CONTENT] = "content",
};

const char *lethe_class_name(enum lethe_class class_)
{
    return (size_t)class_ < ARRAY_LEN(class_names) ? class_names[class_] : "unknown";
}

static const char *const locked_by_names[] = {
    [LETHE_LOCKED_BY_NOTHING] = "nothing",
    [LETHE_LOCKED_BY_MLOCK] = "mlock",
    [LETHE_LOCKED_BY_SECRET_MEMORY] = "secret memory",
    [LETHE_LOCKED_BY_NO_SWAP] = "absence of swap",
};

const char *lethe_locked_by_name(enum lethe_locked_by locked_by)
{
    return (size_t)locked_by < ARRAY_LEN(locked_by_names) ? locked_by_names[locked_by] : "unknown";
}

lethe_result label_check(const struct lethe_label *label, struct lethe_error *err)
{
    if (memchr(label->tenant, '\0', sizeof label->tenant) != NULL &&
        memchr(label->session, '\0', sizeof label->session) != NULL &&
        memchr(label->id, '\0', sizeof label->id) != NULL)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "a label's part is longer than %zu bytes",
                     sizeof label->id - 1);
}

/* ---- the list of this process ---------------------------------------------------------------- */

static void list_add(struct lethe_region *region)
{
    struct process *process = process_now();
    pthread_mutex_lock(&process->regions_lock);
    LIST_INSERT_HEAD(&process->regions, region, link);
    region->is_listed = true;
    pthread_mutex_unlock(&process->regions_lock);
}

/* True for the one caller who now answers for wiping it. */
static bool list_remove(struct lethe_region *region)
{
    struct process *process = process_now();
    pthread_mutex_lock(&process->regions_lock);
    bool was_listed = region->is_listed;
    if (was_listed)
        LIST_REMOVE(region, link);
    region->is_listed = false;
    pthread_mutex_unlock(&process->regions_lock);
    return was_listed;
}

/* What is never given back: nobody may have pages that could not be wiped, neither the kernel, nor
 * we; and at exit other threads may still use what was wiped. */
static void keep(struct lethe_region *region)
{
    static struct region_list kept; /* regions_lock */
    struct process *process = process_now();
    pthread_mutex_lock(&process->regions_lock);
    LIST_INSERT_HEAD(&kept, region, link);
    pthread_mutex_unlock(&process->regions_lock);
}

/* ---- create ---------------------------------------------------------------------------------- */

static lethe_result check_options(size_t size_bytes, const struct lethe_region_options *options,
                                  struct lethe_error *err)
{
    if (size_bytes == 0 || size_bytes > REGION_MAX_BYTES)
        return error_set(err, LETHE_INVALID, "a region of %zu bytes: expected 1 to 2^40",
                         size_bytes);
    if ((size_t)options->class_ >= ARRAY_LEN(class_names))
        return error_set(err, LETHE_INVALID, "a region of unknown class %d", (int)options->class_);
    return label_check(&options->label, err);
}

static struct pages_request pages_for(size_t size_bytes, const struct lethe_region_options *options)
{
    bool huge = options->huge_pages && size_bytes >= HUGE_PAGE_BYTES;
    return (struct pages_request){
        .size_bytes = (size_bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1),
        .align_bytes = huge ? HUGE_PAGE_BYTES : PAGE_BYTES,
        .optional = options->optional,
        .secret = options->class_ == LETHE_CLASS_KEY,
        .huge = huge,
        .closed = options->class_ == LETHE_CLASS_KEY,
    };
}

lethe_result lethe_region_create(size_t size_bytes, const struct lethe_region_options *options,
                                 struct lethe_region **out, struct lethe_error *err)
{
    *out = NULL;
    TRY(check_options(size_bytes, options, err));
    CLEANUP(memory_free) struct lethe_region *region = calloc(1, sizeof *region);
    if (region == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a region");
    struct pages_request request = pages_for(size_bytes, options);
    TRY(pages_create(&request, &region->pages, err));

    region->class_ = options->class_;
    region->label = options->label;
    region->opens = request.closed ? 0 : 1;
    pthread_mutex_init(&region->access_lock, NULL);
    list_add(region);
    *out = MOVE(region);
    return LETHE_OK;
}

void region_adopt(struct lethe_region *region)
{
    region->is_adopted = true;
}

/* ---- use ------------------------------------------------------------------------------------- */

void *lethe_region_bytes(struct lethe_region *region)
{
    return region->pages.bytes;
}

size_t lethe_region_size(const struct lethe_region *region)
{
    return region->pages.size_bytes;
}

unsigned lethe_region_protections(const struct lethe_region *region)
{
    return region->pages.protections;
}

enum lethe_locked_by lethe_region_locked_by(const struct lethe_region *region)
{
    return region->pages.locked_by;
}

static void set_access(struct lethe_region *region, int access)
{
    REQUIRE(host.mprotect(region->pages.bytes, region->pages.size_bytes, access) == 0);
}

void lethe_region_open(struct lethe_region *region)
{
    pthread_mutex_lock(&region->access_lock);
    if (region->opens++ == 0)
        set_access(region, PROT_READ | PROT_WRITE);
    pthread_mutex_unlock(&region->access_lock);
}

void lethe_region_close(struct lethe_region *region)
{
    pthread_mutex_lock(&region->access_lock);
    REQUIRE(region->opens > 0);
    if (--region->opens == 0)
        set_access(region, PROT_NONE);
    pthread_mutex_unlock(&region->access_lock);
}

void region_set_read_only(struct lethe_region *region, bool read_only)
{
    if (region->is_read_only == read_only)
        return;
    set_access(region, read_only ? PROT_READ : PROT_READ | PROT_WRITE);
    region->is_read_only = read_only;
}

/* ---- wipe and free --------------------------------------------------------------------------- */

static lethe_result wipe_and_report(struct lethe_region *region, struct lethe_error *err)
{
    struct lethe_wipe_report report = {
        .class_ = region->class_,
        .label = &region->label,
        .size_bytes = region->pages.size_bytes,
    };
    uint64_t started_ns = clock_monotonic_ns(&clock_system);
    lethe_region_open(region);
    region_set_read_only(region, false);
    host.wipe(region->pages.bytes, region->pages.size_bytes);
    report.verified = lethe_is_zero(region->pages.bytes, region->pages.size_bytes);
    lethe_region_close(region);
    report.duration_ns = clock_monotonic_ns(&clock_system) - started_ns;
    observer_region_wiped(&report);
    return report.verified
               ? LETHE_OK
               : error_set(err, LETHE_UNWIPED, "%zu KiB of %s were wiped but are not zero",
                           region->pages.size_bytes >> 10, lethe_class_name(region->class_));
}

lethe_result lethe_region_wipe(struct lethe_region *region, struct lethe_error *err)
{
    return wipe_and_report(region, err);
}

static void discard(struct lethe_region *region)
{
    pages_free(&region->pages);
    pthread_mutex_destroy(&region->access_lock);
    free(region);
}

lethe_result region_retire(struct lethe_region *region, struct lethe_error *err)
{
    if (pages_are_inherited(&region->pages)) {
        discard(region);
        return LETHE_OK;
    }
    if (!list_remove(region))
        return LETHE_OK; /* the process is exiting, and has wiped it */
    lethe_result result = wipe_and_report(region, err);
    if (result == LETHE_OK) {
        discard(region);
    } else {
        set_access(region, PROT_NONE);
        keep(region);
    }
    return result;
}

void lethe_region_free(struct lethe_region *region)
{
    if (region == NULL)
        return;
    REQUIRE(!region->is_adopted);
    bool is_wiped = region_retire(region, NULL) == LETHE_OK;
    REQUIRE(is_wiped || observer_is_set());
}

lethe_result lethe_region_replace(struct lethe_region **current, struct lethe_region *next,
                                  struct lethe_error *err)
{
    struct lethe_region *old = *current;
    REQUIRE((old == NULL || !old->is_adopted) && !next->is_adopted);
    __atomic_store_n(current, NULL, __ATOMIC_RELEASE);
    lethe_result result = old != NULL ? region_retire(old, err) : LETHE_OK;
    if (result != LETHE_OK)
        lethe_region_free(next);
    else
        __atomic_store_n(current, next, __ATOMIC_RELEASE);
    return result;
}

/* ---- exit ------------------------------------------------------------------------------------ */

static lethe_result wipe_and_keep(struct lethe_region *region, struct lethe_error *err)
{
    keep(region);
    return wipe_and_report(region, err);
}

lethe_result region_wipe_at_exit(struct lethe_region *region, struct lethe_error *err)
{
    return list_remove(region) ? wipe_and_keep(region, err) : LETHE_OK;
}

static struct lethe_region *list_pop(void)
{
    struct process *process = process_now();
    pthread_mutex_lock(&process->regions_lock);
    struct lethe_region *region = LIST_FIRST(&process->regions);
    if (region != NULL) {
        LIST_REMOVE(region, link);
        region->is_listed = false;
    }
    pthread_mutex_unlock(&process->regions_lock);
    return region;
}

/* What is not zero then may have been written meanwhile, by a thread that was not stopped: the
 * report says so, and nothing more can be done. */
void regions_wipe_at_exit(void)
{
    struct lethe_region *region;
    while ((region = list_pop()) != NULL)
        (void)wipe_and_keep(region, NULL);
}
