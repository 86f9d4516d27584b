/* A proof for a log of ten million records: from its tiles, opened anew for each proof. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/proof.h"
#include "audit/tiles.h"
#include "base/file.h"
#include "bench.h"
#include "crypto/crypto.h"

#define RECORDS ((uint64_t)10000000)
#define PIECE 4096u
#define PROOFS 999u /* odd, for the median */
#define TARGET_S 1e-3

/* Any bytes will do for a leaf; these are different from each other and need no hashing. */
static uint64_t mix(uint64_t number)
{
    number += 0x9e3779b97f4a7c15u;
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9u;
    number = (number ^ number >> 27) * 0x94d049bb133111ebu;
    return number ^ number >> 31;
}

static void make_leaf(uint64_t index, uint8_t out[MERKLE_HASH_BYTES])
{
    for (unsigned i = 0; i < MERKLE_HASH_BYTES / 8; i++) {
        uint64_t word = mix(4 * index + i);
        memcpy(out + 8 * i, &word, sizeof word);
    }
}

static void must(lethe_result result, const char *what, const struct lethe_error *err)
{
    if (result != LETHE_OK)
        bench_fail(what, err);
}

static void make_tiles(int directory)
{
    struct lethe_error err = {0};
    static uint8_t leaves[PIECE][MERKLE_HASH_BYTES];
    CLEANUP(tiles_close) struct tiles *tiles = NULL;
    must(tiles_open(directory, &tiles, &err), "no tiles", &err);
    for (uint64_t first = 0; first < RECORDS; first += PIECE) {
        size_t count = (size_t)MIN(RECORDS - first, PIECE);
        for (size_t i = 0; i < count; i++)
            make_leaf(first + i, leaves[i]);
        must(tiles_append(tiles, first, (const uint8_t(*)[MERKLE_HASH_BYTES])leaves, count, &err),
             "writing tiles", &err);
    }
}

static lethe_result hash_from_tiles(void *context, unsigned level, uint64_t index,
                                    uint8_t out[MERKLE_HASH_BYTES], struct lethe_error *err)
{
    return tiles_hash(context, level, index, out, err);
}

/* As for a new process: nothing is open, and the proof is checked before it counts. */
static double time_one_proof(int directory, uint64_t index, const struct proof_tree *tree)
{
    struct lethe_error err = {0};
    struct proof proof;
    uint8_t leaf[MERKLE_HASH_BYTES];
    double start = bench_now_s();
    CLEANUP(tiles_close) struct tiles *tiles = NULL;
    must(tiles_open(directory, &tiles, &err), "no tiles", &err);
    const struct proof_source source = {hash_from_tiles, tiles};
    must(proof_inclusion(&source, index, RECORDS, &proof, &err), "no proof", &err);
    must(tiles_hash(tiles, 0, index, leaf, &err), "no leaf", &err);
    must(proof_check_inclusion(&proof, leaf, index, tree, &err), "a bad proof", &err);
    return bench_now_s() - start;
}

static void time_proofs(int directory)
{
    struct lethe_error err = {0};
    struct proof_tree tree = {.size = RECORDS};
    static double times_s[PROOFS];
    CLEANUP(tiles_close) struct tiles *tiles = NULL;
    must(tiles_open(directory, &tiles, &err), "no tiles", &err);
    must(tiles_root(tiles, RECORDS, tree.root, &err), "no root", &err);
    for (unsigned i = 0; i < PROOFS; i++)
        times_s[i] = time_one_proof(directory, mix(i) % RECORDS, &tree);
    double median_s = bench_median(times_s, PROOFS);
    bench_report(&(struct bench_result){.name = "prove/inclusion, 10 million records",
                                        .value = median_s * 1e3,
                                        .unit = "ms",
                                        .against = "time of 1 ms",
                                        .ratio = median_s / TARGET_S,
                                        .aim = BENCH_AT_MOST,
                                        .target = 1});
    bench_report(&(struct bench_result){.name = "prove/inclusion, slowest of 1000",
                                        .value = times_s[PROOFS - 1] * 1e3,
                                        .unit = "ms",
                                        .against = "time of 1 ms",
                                        .ratio = times_s[PROOFS - 1] / TARGET_S});
}

void bench_prove(void)
{
    struct lethe_error err = {0};
    char path[512];
    const char *parent = getenv("TMPDIR");
    must(crypto_start(&err), "crypto_start", &err);
    snprintf(path, sizeof path, "%s/lethe-bench-XXXXXX", parent != NULL ? parent : "/tmp");
    if (mkdtemp(path) == NULL)
        bench_fail("no temporary directory", NULL);
    CLEANUP(fd_close) int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_tiles(directory);
    time_proofs(directory);
    must(file_remove_tree(AT_FDCWD, path, &err), "removing the tiles", &err);
}
