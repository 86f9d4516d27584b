/* The fs-verity digest against the bare multi-buffer SHA-256, and against `fsverity digest`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <intel-ipsec-mb.h>

#include "base/file.h"
#include "base/thread.h"
#include "bench.h"
#include "crypto/crypto.h"
#include "crypto/tree.h"
#include "program.h"

#define MEMORY_BYTES ((size_t)256 << 20)
#define FILE_BYTES ((uint64_t)512 << 20)
#define ROUNDS 7u

/* ---- memory ---------------------------------------------------------------------------------- */

static uint8_t *map_memory(void)
{
    uint8_t *memory =
        mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        bench_fail("no memory", NULL);
    madvise(memory, MEMORY_BYTES, MADV_HUGEPAGE);
    memset(memory, 0x5a, MEMORY_BYTES);
    return memory;
}

static void digest_memory(void *context)
{
    struct lethe_error err = {0};
    uint8_t digest[TREE_HASH_BYTES];
    if (tree_digest(context, MEMORY_BYTES, 1, digest, &err) != LETHE_OK)
        bench_fail("no digest", &err);
}

struct lanes {
    IMB_MGR *manager;
    const uint8_t *memory;
};

/* The library's own speed: block after block, as full as its lanes get, nothing done with the
 * hashes. */
static void fill_the_lanes(void *context)
{
    const struct lanes *lanes = context;
    static uint8_t hashes[IMB_MAX_JOBS][TREE_HASH_BYTES];
    IMB_MGR *manager = lanes->manager;
    for (size_t i = 0; i < MEMORY_BYTES / TREE_BLOCK_BYTES; i++) {
        IMB_JOB *job = IMB_GET_NEXT_JOB(manager);
        job->cipher_mode = IMB_CIPHER_NULL;
        job->cipher_direction = IMB_DIR_ENCRYPT;
        job->chain_order = IMB_ORDER_HASH_CIPHER;
        job->hash_alg = IMB_AUTH_SHA_256;
        job->src = lanes->memory + i * TREE_BLOCK_BYTES;
        job->hash_start_src_offset_in_bytes = 0;
        job->msg_len_to_hash_in_bytes = TREE_BLOCK_BYTES;
        job->auth_tag_output = hashes[i % IMB_MAX_JOBS];
        job->auth_tag_output_len_in_bytes = TREE_HASH_BYTES;
        (void)IMB_SUBMIT_JOB_NOCHECK(manager);
    }
    while (IMB_FLUSH_JOB(manager) != NULL)
        ;
}

static void digest_against_the_lanes(void)
{
    struct lanes lanes = {.manager = alloc_mb_mgr(0), .memory = map_memory()};
    if (lanes.manager == NULL)
        bench_fail("no memory", NULL);
    init_mb_mgr_auto(lanes.manager, NULL);
    const struct bench_way ways[] = {{digest_memory, (void *)(uintptr_t)lanes.memory},
                                     {fill_the_lanes, &lanes}};
    double medians_s[ARRAY_LEN(ways)];
    bench_medians(ways, ARRAY_LEN(ways), ROUNDS, medians_s);
    bench_report(&(struct bench_result){.name = "digest/memory",
                                        .value = (double)MEMORY_BYTES / medians_s[0] * 1e-9,
                                        .unit = "GB/s",
                                        .against = "speed of bare lanes of SHA-256",
                                        .ratio = medians_s[1] / medians_s[0],
                                        .aim = BENCH_AT_LEAST,
                                        .target = 0.85});
    free_mb_mgr(lanes.manager);
    munmap((void *)(uintptr_t)lanes.memory, MEMORY_BYTES);
}

/* ---- files in the page cache ----------------------------------------------------------------- */

struct file_work {
    struct tree_file file;
    unsigned threads;
};

static void make_file(char *path, struct tree_file *file)
{
    struct lethe_error err = {0};
    static uint8_t piece[1 << 20];
    int fd = mkstemp(path);
    if (fd < 0)
        bench_fail("no temporary file", NULL);
    memset(piece, 0x5a, sizeof piece);
    for (uint64_t at = 0; at < FILE_BYTES; at += sizeof piece)
        if (file_write_at(fd, path, at, piece, sizeof piece, &err) != LETHE_OK) {
            unlink(path);
            bench_fail("writing a file to digest", &err);
        }
    *file = (struct tree_file){.fd = fd, .path = path, .size_bytes = FILE_BYTES};
}

static void digest_file(void *context)
{
    const struct file_work *work = context;
    struct lethe_error err = {0};
    uint8_t digest[TREE_HASH_BYTES];
    if (tree_digest_file(&work->file, work->threads, digest, &err) != LETHE_OK)
        bench_fail("no digest", &err);
}

static bool run_fsverity(const char *path)
{
    const char *arguments[] = {"fsverity", "digest", path, NULL};
    return program_run(arguments);
}

static void fsverity_file(void *context)
{
    const struct file_work *work = context;
    if (!run_fsverity(work->file.path))
        bench_fail("fsverity digest failed", NULL);
}

static void digest_against_fsverity(struct file_work *one)
{
    const struct bench_way ways[] = {{digest_file, one}, {fsverity_file, one}};
    double medians_s[ARRAY_LEN(ways)];
    if (!run_fsverity("/dev/null")) {
        bench_skip("digest/file", "fsverity is not installed");
        return;
    }
    bench_medians(ways, ARRAY_LEN(ways), ROUNDS, medians_s);
    bench_report(&(struct bench_result){.name = "digest/file",
                                        .value = (double)FILE_BYTES / medians_s[0] * 1e-9,
                                        .unit = "GB/s",
                                        .against = "speed of fsverity digest",
                                        .ratio = medians_s[1] / medians_s[0],
                                        .aim = BENCH_AT_LEAST,
                                        .target = 2});
}

static void digest_on_two_threads(struct file_work *one)
{
    struct file_work two = *one;
    two.threads = 2;
    if (threads_available() < two.threads) {
        bench_skip("digest/file, 2 threads", "only one CPU");
        return;
    }
    const struct bench_way ways[] = {{digest_file, &two}, {digest_file, one}};
    double medians_s[ARRAY_LEN(ways)];
    bench_medians(ways, ARRAY_LEN(ways), ROUNDS, medians_s);
    bench_report(&(struct bench_result){.name = "digest/file, 2 threads",
                                        .value = (double)FILE_BYTES / medians_s[0] * 1e-9,
                                        .unit = "GB/s",
                                        .against = "speed of 1 thread",
                                        .ratio = medians_s[1] / medians_s[0],
                                        .aim = BENCH_AT_LEAST,
                                        .target = 1.6});
}

void bench_digest(void)
{
    struct lethe_error err = {0};
    char path[512];
    const char *directory = getenv("TMPDIR");
    if (crypto_start(&err) != LETHE_OK)
        bench_fail("crypto_start", &err);
    digest_against_the_lanes();

    struct file_work one = {.threads = 1};
    snprintf(path, sizeof path, "%s/lethe-bench-XXXXXX", directory != NULL ? directory : "/tmp");
    make_file(path, &one.file);
    digest_against_fsverity(&one);
    digest_on_two_threads(&one);
    close(one.file.fd);
    unlink(path);
}
