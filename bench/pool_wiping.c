#include "pool_wiping.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/thread.h"

#define GIB ((uint64_t)1 << 30)
#define ROUNDS 3u
#define ROUND_S 0.5
#define BLOCK_BYTES (1u << 20)
#define TTL_MS 600000u
#define NAME "pool/get 64 KiB while memory is wiped"

uint64_t pool_wiping_bytes(void)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    const char *wanted_mib = getenv("LETHE_BENCH_MIB");
    uint64_t size_bytes = 8 * GIB, available_bytes = 0;
    if (wanted_mib != NULL)
        return strtoull(wanted_mib, NULL, 10) << 20;
    if (file_read_all(AT_FDCWD, "/proc/meminfo", 65536, &text, NULL) == LETHE_OK)
        buffer_byte(&text, '\0');
    const char *line = text.bytes != NULL ? strstr(text.bytes, "\nMemAvailable:") : NULL;
    if (line != NULL)
        available_bytes = strtoull(line + strlen("\nMemAvailable:"), NULL, 10) * 1024;
    while (size_bytes > GIB && 2 * size_bytes > available_bytes)
        size_bytes /= 2;
    return size_bytes;
}

/* The wiping thread makes way for traffic by its niceness, which means nothing there. */
static bool is_real_time(void)
{
    int policy = sched_getscheduler(0);
    return policy == SCHED_RR || policy == SCHED_FIFO;
}

struct wiping {
    struct lethe_pool_lease *lease;
    pthread_t thread;
    double seconds;
};

static void *release(void *context)
{
    struct wiping *wiping = context;
    struct lethe_error err = {0};
    double from_s = bench_now_s();
    if (lethe_pool_release(wiping->lease, &err) != LETHE_OK)
        bench_fail("a lease is not wiped", &err);
    wiping->seconds = bench_now_s() - from_s;
    return NULL;
}

static void begin(struct wiping *wiping, struct pool_lethe *lethe, uint64_t size_bytes)
{
    struct lethe_error err = {0};
    const struct lethe_pool_lease_options options = {
        .bytes = size_bytes, .block_bytes = BLOCK_BYTES, .ttl_ms = TTL_MS};
    if (lethe_pool_allocate(lethe->pool, &options, &wiping->lease, &err) != LETHE_OK ||
        thread_start(&wiping->thread, release, wiping, &err) != LETHE_OK)
        bench_fail("no lease to be wiped", &err);
}

void pool_wiping(struct pool_lethe *lethe, struct pool_lethe_load *load, uint64_t size_bytes)
{
    double alone[ROUNDS], beside[ROUNDS], seconds[ROUNDS];
    struct pool_result result;
    if (is_real_time()) {
        bench_skip(NAME, "it needs a run without chrt");
        return;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct wiping wiping = {0};
        pool_lethe_load_run(load, POOL_GET, ROUND_S, &result);
        alone[round] = result.bytes_per_s;
        begin(&wiping, lethe, size_bytes);
        pool_lethe_load_run(load, POOL_GET, ROUND_S, &result);
        beside[round] = result.bytes_per_s;
        pthread_join(wiping.thread, NULL);
        seconds[round] = wiping.seconds;
    }
    const double alone_b = bench_median(alone, ROUNDS), beside_b = bench_median(beside, ROUNDS);
    bench_report(&(struct bench_result){.name = NAME,
                                        .value = beside_b * 1e-9,
                                        .unit = "GB/s",
                                        .against = "the same alone",
                                        .ratio = beside_b / alone_b,
                                        .aim = BENCH_AT_LEAST,
                                        .target = 0.9});
    char name[48];
    snprintf(name, sizeof name, "pool/wiping of %llu MiB meanwhile",
             (unsigned long long)(size_bytes >> 20));
    bench_report(
        &(struct bench_result){.name = name,
                               .value = (double)size_bytes * 1e-9 / bench_median(seconds, ROUNDS),
                               .unit = "GB/s"});
}
