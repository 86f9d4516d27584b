#include "base/clock.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;
    REQUIRE(clock_gettime(id, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t system_wall_ns(void *context)
{
    return read_clock(CLOCK_REALTIME);
}

static uint64_t system_monotonic_ns(void *context)
{
    return read_clock(CLOCK_MONOTONIC);
}

const struct clock_source clock_system = {
    .wall_ns = system_wall_ns,
    .monotonic_ns = system_monotonic_ns,
};

static lethe_result system_fill(void *context, void *out, size_t size_bytes)
{
    uint8_t *at = out;
    while (size_bytes > 0) {
        ssize_t got = getrandom(at, size_bytes, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return LETHE_FAILED;
        at += got;
        size_bytes -= (size_t)got;
    }
    return LETHE_OK;
}

const struct random_source random_system = {.fill = system_fill};
