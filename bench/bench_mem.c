/* Wiping against memory bandwidth; small secrets against malloc and sodium_malloc. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"
#include "mem/slab.h"

#include <sodium.h>

/* ---- wipe ------------------------------------------------------------------------------------ */

struct range {
    uint64_t *words;
    size_t size_bytes;
    unsigned repeats;
};

static void wipe_and_check(void *context)
{
    const struct range *range = context;
    for (unsigned i = 0; i < range->repeats; i++) {
        lethe_wipe(range->words, range->size_bytes);
        if (!lethe_is_zero(range->words, range->size_bytes))
            bench_fail("a wiped range is not zero", NULL);
    }
}

static uint64_t sum(const uint64_t *words, size_t count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += words[i];
    return total;
}

static void memset_and_read(void *context)
{
    const struct range *range = context;
    for (unsigned i = 0; i < range->repeats; i++) {
        memset(range->words, 0, range->size_bytes);
        __asm__ volatile("" : : "r"(range->words) : "memory");
        if (sum(range->words, range->size_bytes / sizeof range->words[0]) != 0)
            bench_fail("a range is not zero after memset", NULL);
    }
}

static void wipe_range(const char *name, size_t size_bytes, unsigned repeats)
{
    struct range range = {.size_bytes = size_bytes, .repeats = repeats};
    range.words =
        mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (range.words == MAP_FAILED) {
        bench_skip(name, "not enough memory");
        return;
    }
    madvise(range.words, size_bytes, MADV_HUGEPAGE);
    const struct bench_way ways[] = {{wipe_and_check, &range}, {memset_and_read, &range}};
    double medians_s[ARRAY_LEN(ways)];
    bench_medians(ways, ARRAY_LEN(ways), 9, medians_s);
    munmap(range.words, size_bytes);
    bench_report(&(struct bench_result){
        .name = name,
        .value = (double)size_bytes * repeats / medians_s[0] * 1e-9,
        .unit = "GB/s",
        .against = "speed of memset + read pass",
        .ratio = medians_s[1] / medians_s[0],
        .aim = BENCH_AT_LEAST,
        .target = 0.85,
    });
}

void bench_wipe(void)
{
    wipe_range("wipe/512 MiB", (size_t)512 << 20, 1);
    wipe_range("wipe/16 MiB", (size_t)16 << 20, 16);
    wipe_range("wipe/64 KiB", (size_t)64 << 10, 1000);
}

/* ---- slab ------------------------------------------------------------------------------------ */

struct objects {
    size_t size_bytes;
    unsigned count;
};

static void use(void *object)
{
    __asm__ volatile("" : : "r"(object) : "memory");
}

static void with_slab(void *context)
{
    const struct objects *objects = context;
    for (unsigned i = 0; i < objects->count; i++) {
        void *object;
        struct lethe_error err;
        if (slab_alloc(objects->size_bytes, &object, &err) != LETHE_OK)
            bench_fail("no secret", &err);
        use(object);
        slab_free(object);
    }
}

static void with_malloc(void *context)
{
    const struct objects *objects = context;
    for (unsigned i = 0; i < objects->count; i++) {
        void *object = malloc(objects->size_bytes);
        use(object);
        free(object);
    }
}

static void with_malloc_and_bzero(void *context)
{
    const struct objects *objects = context;
    for (unsigned i = 0; i < objects->count; i++) {
        void *object = malloc(objects->size_bytes);
        use(object);
        explicit_bzero(object, objects->size_bytes);
        free(object);
    }
}

static void with_sodium(void *context)
{
    const struct objects *objects = context;
    for (unsigned i = 0; i < objects->count; i++) {
        void *object = sodium_malloc(objects->size_bytes);
        use(object);
        sodium_free(object);
    }
}

/* Counts take some milliseconds each. Cheaper is a ratio of costs, faster one of speeds. */
static const struct rival {
    const char *name;
    size_t size_bytes;
    void (*run)(void *context);
    unsigned count;
    const char *against;
    enum bench_aim aim;
    double target;
} rivals[] = {
    {"slab/32 B", 32, with_malloc, 200000, "cost of malloc + free", BENCH_AT_MOST, 3},
    {"slab/32 B wiped", 32, with_malloc_and_bzero, 200000, "cost of malloc + bzero + free",
     BENCH_NO_AIM, 0},
    {"slab/4 KiB wiped", 4096, with_malloc_and_bzero, 200000, "cost of malloc + bzero + free",
     BENCH_NO_AIM, 0},
    {"slab/32 B guarded", 32, with_sodium, 500, "speed of sodium_malloc + _free", BENCH_AT_LEAST,
     100},
};

static void slab_against(const struct rival *rival)
{
    struct objects ours = {rival->size_bytes, 200000};
    struct objects theirs = {rival->size_bytes, rival->count};
    const struct bench_way ways[] = {{with_slab, &ours}, {rival->run, &theirs}};
    double medians_s[ARRAY_LEN(ways)];
    bench_medians(ways, ARRAY_LEN(ways), 15, medians_s);
    double ours_ns = medians_s[0] / ours.count * 1e9;
    double theirs_ns = medians_s[1] / theirs.count * 1e9;
    bench_report(&(struct bench_result){
        .name = rival->name,
        .value = ours_ns,
        .unit = "ns",
        .against = rival->against,
        .ratio = rival->aim == BENCH_AT_LEAST ? theirs_ns / ours_ns : ours_ns / theirs_ns,
        .aim = rival->aim,
        .target = rival->target,
    });
}

void bench_slab(void)
{
    if (sodium_init() < 0)
        bench_fail("libsodium does not start", NULL);
    for (size_t i = 0; i < ARRAY_LEN(rivals); i++)
        slab_against(&rivals[i]);
}
