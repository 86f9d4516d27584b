#include "pool_block.h"

#include <stdlib.h>
#include <string.h>

void *pool_allocate(size_t count, size_t size_bytes)
{
    void *memory = calloc(count, size_bytes);
    if (memory == NULL)
        bench_fail("no memory", NULL);
    return memory;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

void pool_block_fill(uint8_t *block, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        block[i] = (uint8_t)((i * 0x9e3779b97f4a7c15u) >> 56);
}

static void make_stamp(uint32_t key, uint32_t version, uint64_t stamp[POOL_STAMP_BYTES / 8])
{
    uint64_t seed = ((uint64_t)key << 32 | version) * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < POOL_STAMP_BYTES / 8; i++)
        stamp[i] = seed ^ (i * 0xbf58476d1ce4e5b9u);
}

void pool_block_stamp(uint8_t *block, size_t size_bytes, uint32_t key, uint32_t version)
{
    uint64_t stamp[POOL_STAMP_BYTES / 8];
    make_stamp(key, version, stamp);
    memcpy(block, stamp, POOL_STAMP_BYTES);
    memcpy(block + size_bytes - POOL_STAMP_BYTES, stamp, POOL_STAMP_BYTES);
}

void pool_block_check(const uint8_t *block, size_t size_bytes, uint32_t key, uint32_t version)
{
    uint64_t stamp[POOL_STAMP_BYTES / 8];
    make_stamp(key, version, stamp);
    if (memcmp(block, stamp, POOL_STAMP_BYTES) != 0 ||
        memcmp(block + size_bytes - POOL_STAMP_BYTES, stamp, POOL_STAMP_BYTES) != 0)
        bench_fail("a server gave another block than was put there", NULL);
}

/* ---- a run ----------------------------------------------------------------------------------- */

void pool_tally_begin(struct pool_tally *tally, double ends_s)
{
    tally->started_s = bench_now_s();
    tally->ends_s = ends_s;
    tally->elapsed_s = 0;
    tally->done = 0;
    tally->moved_bytes = 0;
}

void pool_tally_count(struct pool_tally *tally, double asked_s, size_t block_bytes)
{
    const double now_s = bench_now_s();
    tally->moved_bytes += block_bytes;
    if (tally->elapsed_s == 0 && tally->done < POOL_SAMPLES_MAX)
        tally->samples_s[tally->done++] = now_s - asked_s;
    if (tally->ends_s != 0 && tally->elapsed_s == 0 && now_s >= tally->ends_s)
        tally->elapsed_s = now_s - tally->started_s;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

void pool_tally_sum(const struct pool_tally *tallies, size_t count, size_t block_bytes,
                    struct pool_result *out)
{
    size_t samples = 0, have = 0;
    *out = (struct pool_result){0};
    for (size_t i = 0; i < count; i++)
        samples += tallies[i].done;
    double *samples_s = pool_allocate(MAX(samples, 1), sizeof *samples_s);
    for (size_t i = 0; i < count; i++) {
        const struct pool_tally *tally = &tallies[i];
        out->bytes_per_s += (double)(tally->done * block_bytes) / tally->elapsed_s;
        out->moved_bytes += tally->moved_bytes;
        memcpy(samples_s + have, tally->samples_s, tally->done * sizeof *samples_s);
        have += tally->done;
    }
    qsort(samples_s, samples, sizeof *samples_s, compare);
    out->p50_s = samples_s[samples / 2];
    out->p99_s = samples_s[samples * 99 / 100];
    free(samples_s);
}
