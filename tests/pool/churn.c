/* churn: uses a pool at random for some seconds and compares every byte that comes back with what
 * was stored; for scenarios that break things meanwhile.
 *
 *     churn CONTROL CONTROL_ID CA CERTIFICATE KEY COPIES KIBIBYTES SECONDS TTL_MS
 *
 * Prints one line of JSON. Exits 0 when no byte was wrong, whatever was refused; 1 when one was; 2
 * when nothing could be done at all. A write that failed leaves its blocks unknown: they may be
 * lost, old or new, and nothing else. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lethe/pool.h>

#include "base/clock.h"
#include "crypto/crypto.h"

#define BLOCK_BYTES 4096u
#define PIECE_MAX (5 * BLOCK_BYTES)

struct churn {
    struct lethe_pool_lease *lease;
    uint8_t *model;   /* what is stored */
    bool *is_unknown; /* by block: a write of it failed */
    uint64_t bytes;
    uint64_t chance;
    uint64_t operations, refused, unavailable, lost, wrong, integrity;
};

static uint64_t chance(struct churn *churn, uint64_t bound)
{
    uint64_t mixed = churn->chance += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return (mixed ^ (mixed >> 31)) % bound;
}

static void count(struct churn *churn, lethe_result result, const struct lethe_error *err)
{
    switch (result) {
    case LETHE_OK:
        return;
    case LETHE_UNAVAILABLE:
        churn->unavailable++;
        return;
    case LETHE_LOST:
        if (churn->lost++ == 0)
            break; /* the first says why */
        return;
    case LETHE_INTEGRITY: /* nobody here changes anything */
        churn->integrity++;
        break;
    default:
        churn->refused++;
    }
    fprintf(stderr, "churn: %s: %s\n", lethe_result_name(result), err->text);
}

static void mark(struct churn *churn, uint64_t offset, uint64_t size, bool unknown)
{
    for (uint64_t block = offset / BLOCK_BYTES; block * BLOCK_BYTES < offset + size; block++) {
        /* What is written in part of a block that is unknown does not make it known. */
        bool whole = block * BLOCK_BYTES >= offset && (block + 1) * BLOCK_BYTES <= offset + size;
        if (unknown || whole)
            churn->is_unknown[block] = unknown;
    }
}

static void write_some(struct churn *churn, uint64_t offset, uint64_t size)
{
    uint8_t bytes[PIECE_MAX];
    struct lethe_error err = {0};
    for (uint64_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)chance(churn, 256);
    lethe_result result = lethe_pool_write(churn->lease, offset, bytes, size, &err);
    count(churn, result, &err);
    mark(churn, offset, size, result != LETHE_OK);
    if (result == LETHE_OK)
        memcpy(churn->model + offset, bytes, size);
}

static void compare(struct churn *churn, uint64_t offset, const uint8_t *bytes, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        if (churn->is_unknown[(offset + i) / BLOCK_BYTES] || bytes[i] == churn->model[offset + i])
            continue;
        fprintf(stderr, "churn: byte %" PRIu64 " is wrong\n", offset + i);
        churn->wrong++;
        return;
    }
}

static void read_some(struct churn *churn, uint64_t offset, uint64_t size)
{
    uint8_t bytes[PIECE_MAX];
    struct lethe_error err = {0};
    lethe_result result = lethe_pool_read(churn->lease, offset, bytes, size, &err);
    count(churn, result, &err);
    if (result == LETHE_OK)
        compare(churn, offset, bytes, size);
}

static void step(struct churn *churn)
{
    uint64_t size = 1 + chance(churn, chance(churn, 2) == 0 ? PIECE_MAX : BLOCK_BYTES);
    uint64_t offset = chance(churn, churn->bytes - size);
    if (chance(churn, 3) == 0) { /* whole blocks: what was unknown becomes known again */
        offset -= offset % BLOCK_BYTES;
        size = BLOCK_BYTES;
    }
    churn->operations++;
    if (chance(churn, 2) == 0)
        write_some(churn, offset, size);
    else
        read_some(churn, offset, size);
}

static void read_all(struct churn *churn)
{
    for (uint64_t offset = 0; offset < churn->bytes; offset += BLOCK_BYTES)
        read_some(churn, offset, BLOCK_BYTES);
}

static void report(const struct churn *churn, uint64_t refused_before_end)
{
    printf("{\"operations\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"unavailable\": %" PRIu64
           ", \"lost\": %" PRIu64 ", \"integrity\": %" PRIu64 ", \"wrong\": %" PRIu64
           ", \"refused_at_end\": %" PRIu64 "}\n",
           churn->operations, churn->refused, churn->unavailable, churn->lost, churn->integrity,
           churn->wrong,
           churn->refused + churn->unavailable + churn->lost + churn->integrity -
               refused_before_end);
}

static int run(struct churn *churn, uint64_t seconds)
{
    const struct timespec pause = {.tv_nsec = 1000000}; /* other tests run beside it */
    uint64_t end_ns = clock_monotonic_ns(&clock_system) + seconds * 1000000000u;
    printf("{\"began\": true}\n");
    fflush(stdout);
    while (clock_monotonic_ns(&clock_system) < end_ns) {
        step(churn);
        nanosleep(&pause, NULL);
    }
    uint64_t refused = churn->refused + churn->unavailable + churn->lost + churn->integrity;
    read_all(churn);
    report(churn, refused);
    return churn->wrong == 0 && churn->integrity == 0 ? 0 : 1;
}

static lethe_result begin(char **words, struct lethe_pool **pool, struct churn *churn,
                          struct lethe_error *err)
{
    struct lethe_pool_options options = {.control = words[1],
                                         .control_id = words[2],
                                         .ca_path = words[3],
                                         .certificate_path = words[4],
                                         .key_path = words[5],
                                         .timeout_ms = 3000};
    LETHE_TRY(crypto_start(err));
    LETHE_TRY(lethe_pool_open(&options, pool, err));
    churn->bytes = strtoull(words[7], NULL, 10) << 10;
    churn->chance = strtoull(words[7], NULL, 10);
    churn->model = calloc(1, churn->bytes);
    churn->is_unknown = calloc(churn->bytes / BLOCK_BYTES, 1);
    struct lethe_pool_lease_options lease = {.bytes = churn->bytes,
                                             .block_bytes = BLOCK_BYTES,
                                             .ttl_ms = strtoull(words[9], NULL, 10),
                                             .copies = (unsigned)strtoul(words[6], NULL, 10)};
    return lethe_pool_allocate(*pool, &lease, &churn->lease, err);
}

int main(int count, char **words)
{
    struct lethe_pool *pool = NULL;
    struct churn churn = {0};
    struct lethe_error err = {0};
    if (count != 10 || begin(words, &pool, &churn, &err) != LETHE_OK) {
        fprintf(stderr, "churn: %s\n", count != 10 ? "nine words" : err.text);
        return 2;
    }
    int code = run(&churn, strtoull(words[8], NULL, 10));
    if (lethe_pool_release(churn.lease, &err) != LETHE_OK)
        fprintf(stderr, "churn: releasing: %s\n", err.text);
    lethe_pool_close(pool);
    free(churn.model);
    free(churn.is_unknown);
    return code;
}
