/* Weights that are sealed: how fast they are checked, before every execution and in full, and how
 * fast they come into place. */
#include <string.h>
#include <sys/mman.h>

#include <intel-ipsec-mb.h>

#include "base/thread.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/tree.h"
#include "model/handle.h"
#include "model/load_device.h"
#include "model/staging.h"
#include "place.h"
#include "residency/inside.h"

#define ROUNDS 5u
#define CALLS 20000u

static void must(lethe_result result, const char *what, const struct lethe_error *err)
{
    if (result != LETHE_OK)
        bench_fail(what, err);
}

static struct lethe_worker *worker_of(const char *name, unsigned threads)
{
    struct lethe_error err = {0};
    struct lethe_worker *worker;
    const struct lethe_worker_options options = {
        .name = name, .policy = LETHE_HOST_ALLOWED, .threads = threads, .optional = LETHE_LOCKED};
    must(lethe_worker_create(&options, &worker, &err), "no worker", &err);
    must(lethe_worker_ready(worker, &err), "no worker", &err);
    return worker;
}

static void free_worker(struct lethe_worker *worker)
{
    struct lethe_error err = {0};
    must(lethe_worker_free(worker, &err), "freeing a worker", &err);
}

static void report(const char *name, double value, const char *against, double ratio, double target)
{
    bench_report(&(struct bench_result){.name = name,
                                        .value = value,
                                        .unit = "GB/s",
                                        .against = against,
                                        .ratio = ratio,
                                        .aim = BENCH_AT_LEAST,
                                        .target = target});
}

/* ---- verify ---------------------------------------------------------------------------------- */

struct verifying {
    struct lethe_shard *shard;
    enum lethe_verify_mode mode;
    unsigned threads;
};

static void verify(void *context)
{
    const struct verifying *v = context;
    struct lethe_error err = {0};
    v->shard->worker->threads = v->threads;
    must(lethe_shard_verify(v->shard, v->mode, &err), "verifying", &err);
}

static void read_once(void *context)
{
    const struct verifying *v = context;
    if (bench_fold(device_memory_address(v->shard->memory), v->shard->size_bytes / 8) == 0)
        bench_fail("what was sealed is not there", NULL);
}

static void plain_sha256(void *context)
{
    const struct verifying *v = context;
    uint8_t digest[SHA256_BYTES];
    sha256(device_memory_address(v->shard->memory), v->shard->size_bytes / 8, digest);
}

/* Of the shard, as full as the lanes get, nothing done with the hashes. */
static void bare_lanes(void *context)
{
    const struct verifying *v = context;
    static uint8_t hashes[IMB_MAX_JOBS][TREE_HASH_BYTES];
    const uint8_t *bytes = device_memory_address(v->shard->memory);
    IMB_MGR *manager = alloc_mb_mgr(0);
    if (manager == NULL)
        bench_fail("no memory", NULL);
    init_mb_mgr_auto(manager, NULL);
    for (uint64_t i = 0; i < v->shard->size_bytes / TREE_BLOCK_BYTES; i++) {
        IMB_JOB *job = IMB_GET_NEXT_JOB(manager);
        job->cipher_mode = IMB_CIPHER_NULL;
        job->cipher_direction = IMB_DIR_ENCRYPT;
        job->chain_order = IMB_ORDER_HASH_CIPHER;
        job->hash_alg = IMB_AUTH_SHA_256;
        job->src = bytes + i * TREE_BLOCK_BYTES;
        job->hash_start_src_offset_in_bytes = 0;
        job->msg_len_to_hash_in_bytes = TREE_BLOCK_BYTES;
        job->auth_tag_output = hashes[i % IMB_MAX_JOBS];
        job->auth_tag_output_len_in_bytes = TREE_HASH_BYTES;
        (void)IMB_SUBMIT_JOB_NOCHECK(manager);
    }
    while (IMB_FLUSH_JOB(manager) != NULL)
        ;
    free_mb_mgr(manager);
}

static struct lethe_shard *seal_noise(struct lethe_worker *worker, uint64_t size_bytes)
{
    struct lethe_error err = {0};
    struct lethe_shard *shard;
    uint8_t *bytes = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bytes == MAP_FAILED)
        bench_fail("no memory", NULL);
    madvise(bytes, size_bytes, MADV_HUGEPAGE);
    memset(bytes, 0x5a, size_bytes);
    must(lethe_shard_seal(worker, &(struct lethe_placement){.id = "noise"}, bytes, size_bytes,
                          false, &shard, &err),
         "sealing", &err);
    munmap(bytes, size_bytes);
    return shard;
}

static void verify_fast(struct lethe_shard *shard)
{
    struct verifying one = {shard, LETHE_VERIFY_FAST, 1}, two = {shard, LETHE_VERIFY_FAST, 2};
    const struct bench_way ways[] = {
        {verify, &one}, {read_once, &one}, {plain_sha256, &one}, {verify, &two}};
    double s[ARRAY_LEN(ways)];
    bench_medians(ways, ARRAY_LEN(ways), ROUNDS, s);
    double rate = gbytes_per_s(shard->size_bytes, s[0]);
    report("residency/fast", rate, "speed of reading once", s[1] / s[0], 0.6);
    report("residency/fast, SHA-256", rate, "speed of plain SHA-256", 8 * s[2] / s[0], 10);
    if (threads_available() < 2)
        bench_skip("residency/fast, 2 threads", "only one CPU");
    else
        report("residency/fast, 2 threads", gbytes_per_s(shard->size_bytes, s[3]),
               "speed of 1 thread", s[0] / s[3], 1.6);
}

static void verify_full(struct lethe_shard *shard)
{
    struct verifying one = {shard, LETHE_VERIFY_FULL, 1}, two = {shard, LETHE_VERIFY_FULL, 2};
    const struct bench_way ways[] = {{verify, &one}, {bare_lanes, &one}, {verify, &two}};
    double s[ARRAY_LEN(ways)];
    bench_medians(ways, ARRAY_LEN(ways), ROUNDS, s);
    report("residency/full", gbytes_per_s(shard->size_bytes, s[0]),
           "speed of bare lanes of SHA-256", s[1] / s[0], 0.85);
    if (threads_available() < 2)
        bench_skip("residency/full, 2 threads", "only one CPU");
    else
        report("residency/full, 2 threads", gbytes_per_s(shard->size_bytes, s[2]),
               "speed of 1 thread", s[0] / s[2], 1.6);
}

/* ---- what takes no time ---------------------------------------------------------------------- */

static void verify_signature(struct lethe_shard *shard)
{
    struct lethe_error err = {0};
    double start_s = bench_now_s();
    for (unsigned i = 0; i < CALLS; i++)
        must(lethe_shard_verify(shard, LETHE_VERIFY_SIGNATURE, &err), "verifying", &err);
    bench_report(&(struct bench_result){.name = "residency/signature",
                                        .value = (bench_now_s() - start_s) / CALLS * 1e6,
                                        .unit = "us",
                                        .against = "20 us",
                                        .ratio = (bench_now_s() - start_s) / CALLS / 20e-6,
                                        .aim = BENCH_AT_MOST,
                                        .target = 1});
}

static void ask_capacity(const struct lethe_worker *worker)
{
    struct lethe_capacity capacity;
    double start_s = bench_now_s();
    for (unsigned i = 0; i < 100 * CALLS; i++)
        must(lethe_worker_capacity(worker, 0, &capacity), "asking", NULL);
    double call_s = (bench_now_s() - start_s) / (100 * CALLS);
    bench_report(&(struct bench_result){.name = "residency/capacity",
                                        .value = call_s * 1e9,
                                        .unit = "ns",
                                        .against = "100 ns",
                                        .ratio = call_s / 100e-9,
                                        .aim = BENCH_AT_MOST,
                                        .target = 1});
}

/* ---- seal ------------------------------------------------------------------------------------ */

struct sealing {
    struct place *place;
    struct lethe_model model;
    struct lethe_worker *worker;
    struct device_memory *memory; /* of the shard's size */
};

/* All of it, the memory included, which the kernel has to find and to clear. */
static void seal_whole(void *context)
{
    struct sealing *s = context;
    struct lethe_error err = {0};
    struct lethe_shard *shard;
    must(
        lethe_shard_seal_model(s->worker, &s->model, 0, &(struct lethe_placement){0}, &shard, &err),
        "sealing", &err);
    must(lethe_shard_evict(shard, &err), "evicting", &err);
}

/* What sealing does once there is memory. */
static void seal_in_place(void *context)
{
    struct sealing *s = context;
    struct lethe_error err = {0};
    uint8_t digest[DEVICE_DIGEST_BYTES];
    struct seal_tags *tags;
    const struct model_work work = {.threads = s->worker->threads};
    must(model_load_shard_to_device(s->model.model, 0, s->model.keys, s->memory, &work, &err),
         "loading", &err);
    must(device_digest(s->memory, DEVICE_FSVERITY, work.threads, digest, &err), "digesting", &err);
    must(seal_tags_create(s->memory, work.threads, &tags, &err), "tagging", &err);
    seal_tags_free(tags);
}

/* A core reads a segment from the page cache, opens, digests and authenticates it, one after
 * another, in buffers that stay in its cache; nothing goes to its place. */
static void parts_in_cache(void *context)
{
    struct sealing *s = context;
    struct lethe_error *err = &s->place->err;
    static uint8_t cipher[SEGMENT_BYTES], plain[SEGMENT_BYTES];
    static uint8_t hashes[SEGMENT_BYTES / TREE_BLOCK_BYTES * TREE_HASH_BYTES];
    CLEANUP(shard_reader_close) struct shard_reader reader = SHARD_READER_NONE;
    CLEANUP(aead_key_free) struct aead_key *key = NULL;
    const uint8_t zeros[AEAD_KEY_BYTES] = {0};
    uint8_t tag[AEAD_TAG_BYTES];
    const struct shard_access access = {.keys = s->model.keys, .purpose = "load"};
    must(shard_reader_open(s->model.model, 0, &access, &reader, err), "opening", err);
    must(aead_key_create(zeros, sizeof zeros, AEAD_BACKEND_BEST, &key, err), "a key", err);
    for (uint64_t i = 0; i < reader.segments; i++) {
        must(shard_read_segment(&reader, i, cipher, plain, err), "reading", err);
        tree_hash_blocks(plain, sizeof plain, hashes);
        must(aead_gmac(key, zeros, plain, sizeof plain, tag), "tagging", NULL);
    }
}

static void seal_with(struct sealing *one, struct sealing *two)
{
    uint64_t size_bytes = one->place->size_bytes;
    const struct bench_way ways[] = {{seal_in_place, one},
                                     {parts_in_cache, one},
                                     {seal_whole, one},
                                     {seal_in_place, two},
                                     {seal_whole, two}};
    double s[ARRAY_LEN(ways)];
    bench_medians(ways, ARRAY_LEN(ways), ROUNDS, s);
    report("residency/seal", gbytes_per_s(size_bytes, s[0]), "speed of its parts in cache",
           s[1] / s[0], 0.8);
    bench_report(&(struct bench_result){.name = "residency/seal and evict",
                                        .value = gbytes_per_s(size_bytes, s[2]),
                                        .unit = "GB/s",
                                        .against = "speed of its parts in cache",
                                        .ratio = s[1] / s[2]});
    if (threads_available() < 2) {
        bench_skip("residency/seal, 2 threads", "only one CPU");
        return;
    }
    report("residency/seal, 2 threads", gbytes_per_s(size_bytes, s[3]), "speed of 1 thread",
           s[0] / s[3], 1.6);
    report("residency/seal and evict, 2 threads", gbytes_per_s(size_bytes, s[4]),
           "speed of 1 thread", s[2] / s[4], 1.4);
}

static void seal_model(uint64_t size_bytes)
{
    struct place place;
    struct lethe_error err = {0};
    place_open(&place, place_in_memory(), size_bytes);
    place_write_source(&place);
    place_encrypt(&place);
    struct sealing one = {.place = &place,
                          .model = {.model = place_open_model(&place), .keys = &place.keys.source},
                          .worker = worker_of("one", 1)};
    const struct worker_request request = {
        .id = "bench", .tenant = "", .class_ = LETHE_CLASS_WEIGHTS, .size_bytes = size_bytes};
    must(worker_alloc(one.worker, &request, &one.memory, &err), "no memory", &err);
    struct sealing two = one;
    two.worker = worker_of("two", 2);
    seal_with(&one, &two);
    must(worker_release(one.worker, "bench", "", one.memory, &err), "freeing", &err);
    free_worker(one.worker);
    free_worker(two.worker);
    model_close(one.model.model);
    place_close(&place);
}

void bench_residency(void)
{
    uint64_t size_bytes = place_large_bytes();
    struct lethe_worker *worker = worker_of("verify", threads_available());
    struct lethe_shard *shard = seal_noise(worker, size_bytes);
    verify_fast(shard);
    verify_full(shard);
    verify_signature(shard);
    ask_capacity(worker);
    free_worker(worker);
    seal_model(MIN(size_bytes, 512 * MIB));
}
