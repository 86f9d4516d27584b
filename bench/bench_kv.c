/* KV caches against copying the same bytes: appending, gathering, ending, spilling; and how many
 * sessions come and go. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <lethe/kv.h>

#include "bench.h"
#include "crypto/aead.h"

/* A model of 32 layers with 8 heads of 128 for keys, in two bytes each. */
#define LAYERS 32u
#define ROW_BYTES 2048u
#define TOKEN_BYTES ((size_t)LAYERS * 2 * ROW_BYTES)
#define BLOCK_TOKENS 16u
#define BLOCK_BYTES (TOKEN_BYTES * BLOCK_TOKENS)
#define TOKENS 1536u
#define ALL_BYTES (TOKEN_BYTES * TOKENS) /* 192 MiB */
#define ROUNDS 9u

struct bench_kv {
    struct lethe_worker *worker;
    struct lethe_kv_cache *cache;
    struct lethe_kv *session;
    uint8_t *plain;    /* ALL_BYTES */
    uint8_t *gathered; /* of one layer */
    uint8_t token[TOKEN_BYTES];
};

static void must(lethe_result result, const struct lethe_error *err)
{
    if (result != LETHE_OK)
        bench_fail("a call failed", err);
}

static uint8_t *map_bytes(size_t size_bytes)
{
    uint8_t *bytes =
        mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        bench_fail("no memory", NULL);
    madvise(bytes, size_bytes, MADV_HUGEPAGE);
    memset(bytes, 1, size_bytes);
    return bytes;
}

static void make_cache(struct bench_kv *kv, size_t blocks, const struct lethe_spill *spill)
{
    struct lethe_error err = {0};
    must(lethe_kv_cache_create(kv->worker,
                               &(struct lethe_kv_options){.name = "bench",
                                                          .layers = LAYERS,
                                                          .row_bytes = ROW_BYTES,
                                                          .block_tokens = BLOCK_TOKENS,
                                                          .budget_bytes = blocks * BLOCK_BYTES,
                                                          .spill = spill},
                               &kv->cache, &err),
         &err);
}

static void free_cache(struct bench_kv *kv)
{
    struct lethe_error err = {0};
    must(lethe_kv_cache_free(kv->cache, &err), &err);
    kv->cache = NULL;
}

static void open_session(struct bench_kv *kv)
{
    struct lethe_error err = {0};
    must(lethe_kv_open(kv->cache,
                       &(struct lethe_kv_session_options){.tenant = "acme", .session = "bench"}, 0,
                       &kv->session, &err),
         &err);
}

static void end_session(struct bench_kv *kv)
{
    struct lethe_error err = {0};
    must(lethe_kv_end(kv->session, LETHE_SESSION_ENDED, &err), &err);
}

static void append_tokens(struct bench_kv *kv, unsigned tokens)
{
    struct lethe_error err = {0};
    for (unsigned token = 0; token < tokens; token++)
        for (uint32_t layer = 0; layer < LAYERS; layer++) {
            const uint8_t *rows = kv->token + (size_t)layer * 2 * ROW_BYTES;
            must(lethe_kv_append(kv->session, layer, rows, rows + ROW_BYTES, 1, &err), &err);
        }
}

static void copy_tokens(struct bench_kv *kv, unsigned tokens)
{
    for (unsigned token = 0; token < tokens; token++)
        memcpy(kv->plain + token * TOKEN_BYTES, kv->token, TOKEN_BYTES);
    __asm__ volatile("" : : "r"(kv->plain) : "memory");
}

static double seconds(void (*run)(struct bench_kv *kv), struct bench_kv *kv)
{
    double started_s = bench_now_s();
    run(kv);
    return bench_now_s() - started_s;
}

static void report_cost(const char *name, size_t size_bytes, const char *against, double ours_s,
                        double theirs_s, double at_most)
{
    bench_report(&(struct bench_result){
        .name = name,
        .value = (double)size_bytes / ours_s * 1e-9,
        .unit = "GB/s",
        .against = against,
        .ratio = ours_s / theirs_s,
        .aim = at_most > 0 ? BENCH_AT_MOST : BENCH_NO_AIM,
        .target = at_most,
    });
}

/* ---- append, gather, end --------------------------------------------------------------------- */

static void append_all(struct bench_kv *kv)
{
    append_tokens(kv, TOKENS);
}

static void copy_all(struct bench_kv *kv)
{
    copy_tokens(kv, TOKENS);
}

static void gather_all(struct bench_kv *kv)
{
    struct lethe_error err = {0};
    uint8_t *keys = kv->gathered, *values = kv->gathered + (size_t)TOKENS * ROW_BYTES;
    for (uint32_t layer = 0; layer < LAYERS; layer++)
        must(lethe_kv_gather(kv->session, layer, 0, TOKENS, keys, values, &err), &err);
}

static void copy_layers(struct bench_kv *kv)
{
    size_t layer_bytes = (size_t)TOKENS * ROW_BYTES * 2;
    for (uint32_t layer = 0; layer < LAYERS; layer++) {
        memcpy(kv->gathered, kv->plain + layer * layer_bytes, layer_bytes);
        __asm__ volatile("" : : "r"(kv->gathered) : "memory");
    }
}

static void clear_and_read(struct bench_kv *kv)
{
    uint64_t sum = 0;
    memset(kv->plain, 0, ALL_BYTES);
    __asm__ volatile("" : : "r"(kv->plain) : "memory");
    for (size_t i = 0; i < ALL_BYTES; i += 8)
        sum += *(const uint64_t *)(const void *)(kv->plain + i);
    if (sum != 0)
        bench_fail("memory is not zero after memset", NULL);
}

enum { APPEND, COPY, GATHER, COPY_LAYERS, END, CLEAR, TIMES };

static void against_memory(struct bench_kv *kv)
{
    double times_s[TIMES][ROUNDS];
    kv->gathered = map_bytes((size_t)TOKENS * ROW_BYTES * 2);
    make_cache(kv, TOKENS / BLOCK_TOKENS, NULL);
    for (unsigned i = 0; i < ROUNDS; i++) {
        open_session(kv);
        times_s[APPEND][i] = seconds(append_all, kv);
        times_s[COPY][i] = seconds(copy_all, kv);
        times_s[GATHER][i] = seconds(gather_all, kv);
        times_s[COPY_LAYERS][i] = seconds(copy_layers, kv);
        times_s[END][i] = seconds(end_session, kv);
        times_s[CLEAR][i] = seconds(clear_and_read, kv);
    }
    free_cache(kv);
    munmap(kv->gathered, (size_t)TOKENS * ROW_BYTES * 2);
    double medians_s[TIMES];
    for (unsigned i = 0; i < TIMES; i++)
        medians_s[i] = bench_median(times_s[i], ROUNDS);
    report_cost("kv/append, token by token", ALL_BYTES, "time of memcpy", medians_s[APPEND],
                medians_s[COPY], 1.3);
    report_cost("kv/gather, layer by layer", ALL_BYTES, "time of memcpy", medians_s[GATHER],
                medians_s[COPY_LAYERS], 0);
    report_cost("kv/end: wipe and prove", ALL_BYTES, "time of memset + read pass", medians_s[END],
                medians_s[CLEAR], 1 / 0.85);
}

/* ---- while another thread verifies ----------------------------------------------------------- */

struct verifier {
    struct lethe_shard *shard;
    atomic_bool stop;
    atomic_uint verifications;
};

static void *verify_on(void *context)
{
    struct verifier *verifier = context;
    struct lethe_error err = {0};
    while (!atomic_load(&verifier->stop)) {
        must(lethe_shard_verify(verifier->shard, LETHE_VERIFY_FAST, &err), &err);
        atomic_fetch_add(&verifier->verifications, 1);
    }
    return NULL;
}

static void *copy_on(void *context)
{
    struct verifier *busy = context;
    while (!atomic_load(&busy->stop))
        __asm__ volatile("" : : : "memory");
    return NULL;
}

/* The time to append everything while another thread is busy with `other`. */
static double append_beside(struct bench_kv *kv, void *(*other)(void *), struct verifier *verifier)
{
    pthread_t thread;
    atomic_store(&verifier->stop, false);
    if (pthread_create(&thread, NULL, other, verifier) != 0)
        bench_fail("no thread", NULL);
    open_session(kv);
    double took_s = seconds(append_all, kv);
    atomic_store(&verifier->stop, true);
    pthread_join(thread, NULL);
    end_session(kv);
    return took_s;
}

static void beside_a_verifier(struct bench_kv *kv)
{
    struct lethe_error err = {0};
    struct verifier verifier = {.shard = NULL};
    double beside_s[ROUNDS], alone_s[ROUNDS];
    size_t weights_bytes = (size_t)64 << 20;
    uint8_t *weights = map_bytes(weights_bytes);
    must(lethe_shard_seal(kv->worker, &(struct lethe_placement){.id = "weights"}, weights,
                          weights_bytes, false, &verifier.shard, &err),
         &err);
    munmap(weights, weights_bytes);
    make_cache(kv, TOKENS / BLOCK_TOKENS, NULL);
    for (unsigned i = 0; i < ROUNDS; i++) {
        beside_s[i] = append_beside(kv, verify_on, &verifier);
        alone_s[i] = append_beside(kv, copy_on, &verifier);
    }
    free_cache(kv);
    must(lethe_shard_evict(verifier.shard, &err), &err);
    if (atomic_load(&verifier.verifications) == 0)
        bench_skip("kv/append beside verification", "nothing was verified meanwhile");
    else
        report_cost("kv/append beside verification", ALL_BYTES, "time beside an idle loop",
                    bench_median(beside_s, ROUNDS), bench_median(alone_s, ROUNDS), 0);
}

/* ---- spill ----------------------------------------------------------------------------------- */

#define SPILL_TOKENS (TOKENS / 2)
#define SPILL_BYTES (TOKEN_BYTES * SPILL_TOKENS)

/* What has to be done in any case: copy the rows, encrypt the block, keep it. */
struct raw {
    struct aead_key *key;
    uint8_t *block;
    uint8_t *sealed;
    uint8_t *kept;
    int fd; /* or -1 */
};

static void seal_blocks(struct bench_kv *kv, const struct raw *raw)
{
    uint8_t nonce[AEAD_NONCE_BYTES] = {0};
    for (size_t i = 0; i < SPILL_BYTES / BLOCK_BYTES; i++) {
        for (unsigned token = 0; token < BLOCK_TOKENS; token++)
            memcpy(raw->block + token * TOKEN_BYTES, kv->token, TOKEN_BYTES);
        nonce[0] = (uint8_t)i;
        const struct aead_message message = {
            .nonce = nonce, .in = raw->block, .out = raw->sealed, .size_bytes = BLOCK_BYTES};
        must(aead_seal(raw->key, &message, raw->sealed + BLOCK_BYTES), NULL);
        if (raw->fd < 0)
            memcpy(raw->kept + i * BLOCK_BYTES, raw->sealed, BLOCK_BYTES);
        else if (pwrite(raw->fd, raw->sealed, BLOCK_BYTES, (off_t)(i * BLOCK_BYTES)) < 0)
            bench_fail("cannot write", NULL);
    }
}

static double spill_once(struct bench_kv *kv, const struct lethe_spill *spill)
{
    make_cache(kv, 4, spill);
    open_session(kv);
    double started_s = bench_now_s();
    append_tokens(kv, SPILL_TOKENS);
    double took_s = bench_now_s() - started_s;
    end_session(kv);
    free_cache(kv);
    return took_s;
}

static struct raw raw_create(bool in_file)
{
    struct lethe_error err = {0};
    static const uint8_t key[AEAD_KEY_BYTES] = {1};
    struct raw raw = {.block = map_bytes(BLOCK_BYTES),
                      .sealed = map_bytes(BLOCK_BYTES + AEAD_TAG_BYTES),
                      .kept = map_bytes(SPILL_BYTES),
                      .fd = -1};
    must(aead_key_create(key, sizeof key, AEAD_BACKEND_BEST, &raw.key, &err), &err);
    FILE *file = in_file ? tmpfile() : NULL;
    if (in_file && file == NULL)
        bench_fail("no temporary file", NULL);
    if (file != NULL)
        raw.fd = fileno(file); /* until the program ends */
    return raw;
}

static void raw_clear(struct raw *raw)
{
    munmap(raw->block, BLOCK_BYTES);
    munmap(raw->sealed, BLOCK_BYTES + AEAD_TAG_BYTES);
    munmap(raw->kept, SPILL_BYTES);
    aead_key_free(raw->key);
}

static void spill_against(struct bench_kv *kv, const char *name, const char *against, bool in_file)
{
    struct lethe_error err = {0};
    double ours_s[ROUNDS], theirs_s[ROUNDS];
    struct lethe_spill_memory *memory = NULL;
    struct lethe_spill_file *file = NULL;
    struct raw raw = raw_create(in_file);
    if (in_file)
        must(lethe_spill_file_create("/tmp", BLOCK_BYTES + AEAD_TAG_BYTES, 0, &file, &err), &err);
    else
        must(lethe_spill_memory_create(0, &memory, &err), &err);
    const struct lethe_spill spill =
        in_file ? lethe_spill_file_table(file) : lethe_spill_memory_table(memory);
    for (unsigned i = 0; i < ROUNDS; i++) {
        ours_s[i] = spill_once(kv, &spill);
        double started_s = bench_now_s();
        seal_blocks(kv, &raw);
        theirs_s[i] = bench_now_s() - started_s;
    }
    lethe_spill_memory_free(memory);
    lethe_spill_file_free(file);
    raw_clear(&raw);
    report_cost(name, SPILL_BYTES, against, bench_median(ours_s, ROUNDS),
                bench_median(theirs_s, ROUNDS), 0);
}

/* ---- sessions -------------------------------------------------------------------------------- */

#define SESSIONS 10000u

static uint64_t resident_kib(void)
{
    char line[256];
    uint64_t kib = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "VmRSS: %" SCNu64, &kib) == 1)
            break;
    if (status != NULL)
        fclose(status);
    return kib;
}

/* Each with a token, a seed and a small buffer. */
static void live_once(struct lethe_kv_cache *cache, unsigned number)
{
    struct lethe_error err = {0};
    static const uint8_t row[256] = {1};
    char name[16];
    struct lethe_kv *session;
    uint8_t *seed;
    void *buffer;
    snprintf(name, sizeof name, "s%u", number);
    const struct lethe_kv_session_options options = {.tenant = "acme", .session = name};
    must(lethe_kv_open(cache, &options, 0, &session, &err), &err);
    must(lethe_kv_seed(session, 32, &seed, &err), &err);
    must(lethe_kv_buffer(session, 1024, &buffer, &err), &err);
    for (uint32_t layer = 0; layer < 4; layer++)
        must(lethe_kv_append(session, layer, row, row, 1, &err), &err);
    must(lethe_kv_end(session, LETHE_SESSION_ENDED, &err), &err);
}

static void many_sessions(struct bench_kv *kv)
{
    struct lethe_error err = {0};
    struct lethe_kv_cache *cache;
    must(lethe_kv_cache_create(
             kv->worker,
             &(struct lethe_kv_options){
                 .name = "many", .layers = 4, .row_bytes = 256, .budget_bytes = (uint64_t)1 << 20},
             &cache, &err),
         &err);
    for (unsigned i = 0; i < 1000; i++)
        live_once(cache, i);
    uint64_t before_kib = resident_kib();
    double started_s = bench_now_s();
    for (unsigned i = 0; i < SESSIONS; i++)
        live_once(cache, i);
    double took_s = bench_now_s() - started_s;
    uint64_t after_kib = resident_kib();
    must(lethe_kv_cache_free(cache, &err), &err);
    bench_report(&(struct bench_result){
        .name = "kv/sessions opened, filled and ended", .value = SESSIONS / took_s, .unit = "1/s"});
    bench_report(&(struct bench_result){
        .name = "kv/growth over 10000 sessions",
        .value = after_kib > before_kib ? (double)(after_kib - before_kib) : 0,
        .unit = "KiB"});
}

void bench_kv(void)
{
    struct lethe_error err = {0};
    static struct bench_kv kv;
    must(lethe_worker_create(&(struct lethe_worker_options){.name = "bench",
                                                            .policy = LETHE_HOST_ALLOWED,
                                                            .threads = 1,
                                                            .optional = LETHE_LOCKED},
                             &kv.worker, &err),
         &err);
    memset(kv.token, 0x5a, sizeof kv.token);
    kv.plain = map_bytes(ALL_BYTES);
    against_memory(&kv);
    beside_a_verifier(&kv);
    spill_against(&kv, "kv/append, spilled to memory", "time of memcpy + AEAD + memcpy", false);
    spill_against(&kv, "kv/append, spilled to a file", "time of memcpy + AEAD + pwrite", true);
    many_sessions(&kv);
    munmap(kv.plain, ALL_BYTES);
    must(lethe_worker_free(kv.worker, &err), &err);
}
