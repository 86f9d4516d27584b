/* Authenticating what a device holds, against reading it once, and against the bare GMAC. */
#include <string.h>

#include <intel-ipsec-mb.h>

#include "base/thread.h"
#include "bench.h"
#include "crypto/crypto.h"
#include "device/device.h"
#include "mem/region.h"

#define MEMORY_BYTES ((uint64_t)1 << 30)
#define ROUNDS 9u

static void must(lethe_result result, const char *what, const struct lethe_error *err)
{
    if (result != LETHE_OK)
        bench_fail(what, err);
}

struct tagged {
    struct device *device;
    struct device_memory *memory;
    struct device_key *key;
    struct lethe_region *tags;
    IMB_MGR *manager;
    struct gcm_key_data schedule __attribute__((aligned(64)));
};

struct check {
    struct tagged *tagged;
    unsigned threads;
};

static void check_tags(void *context)
{
    const struct check *check = context;
    struct lethe_error err = {0};
    must(device_check_tags(check->tagged->memory, check->tagged->key, check->threads,
                           lethe_region_bytes(check->tagged->tags), &err),
         "checking tags", &err);
}

static void read_once(void *context)
{
    const struct tagged *tagged = context;
    if (bench_fold(device_memory_address(tagged->memory), MEMORY_BYTES / sizeof(uint64_t)) == 0)
        bench_fail("what was written is not there", NULL);
}

static void bare_gmac(void *context)
{
    struct tagged *tagged = context;
    const uint8_t *bytes = device_memory_address(tagged->memory);
    for (uint64_t at = 0; at < MEMORY_BYTES; at += DEVICE_CHUNK_BYTES) {
        struct gcm_context_data state;
        uint8_t nonce[12] = {0}, tag[DEVICE_TAG_BYTES];
        tagged->manager->gmac256_init(&tagged->schedule, &state, nonce, sizeof nonce);
        tagged->manager->gmac256_update(&tagged->schedule, &state, bytes + at, DEVICE_CHUNK_BYTES);
        tagged->manager->gmac256_finalize(&tagged->schedule, &state, tag, sizeof tag);
    }
}

static void make_key(struct tagged *tagged, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    must(lethe_secret_create(32, &secret, err), "a key", err);
    memset(lethe_secret_bytes(secret), 0x11, 32);
    must(device_key_create(tagged->device, secret, &tagged->key, err), "a key", err);
    tagged->manager = alloc_mb_mgr(0);
    if (tagged->manager == NULL)
        bench_fail("no memory", NULL);
    init_mb_mgr_auto(tagged->manager, NULL);
    tagged->manager->gcm256_pre(lethe_secret_bytes(secret), &tagged->schedule);
}

static void make(struct tagged *tagged, struct lethe_error *err)
{
    const struct device_request request = {.size_bytes = MEMORY_BYTES,
                                           .class_ = LETHE_CLASS_WEIGHTS,
                                           .label = {.id = "bench"},
                                           .optional = LETHE_LOCKED};
    const struct lethe_region_options options = {.class_ = LETHE_CLASS_KEY,
                                                 .label = {.id = "bench"}};
    must(device_open(LETHE_DEVICE_HOST, 0, &tagged->device, err), "no device", err);
    must(device_alloc(tagged->device, &request, &tagged->memory, err), "no memory", err);
    memset(device_memory_address(tagged->memory), 0x5a, MEMORY_BYTES);
    make_key(tagged, err);
    must(lethe_region_create(device_chunk_count(MEMORY_BYTES) * DEVICE_TAG_BYTES, &options,
                             &tagged->tags, err),
         "no memory for tags", err);
    lethe_region_open(tagged->tags);
    must(device_tags(tagged->memory, tagged->key, threads_available(),
                     lethe_region_bytes(tagged->tags), err),
         "no tags", err);
}

static void report(const char *name, double seconds, const char *against, double against_s,
                   double target)
{
    bench_report(&(struct bench_result){.name = name,
                                        .value = (double)MEMORY_BYTES / seconds * 1e-9,
                                        .unit = "GB/s",
                                        .against = against,
                                        .ratio = against_s / seconds,
                                        .aim = BENCH_AT_LEAST,
                                        .target = target});
}

void bench_tags(void)
{
    struct lethe_error err = {0};
    static struct tagged tagged;
    struct check one = {&tagged, 1}, two = {&tagged, 2};
    must(crypto_start(&err), "crypto_start", &err);
    make(&tagged, &err);
    const struct bench_way ways[] = {
        {check_tags, &one}, {read_once, &tagged}, {bare_gmac, &tagged}, {check_tags, &two}};
    double s[ARRAY_LEN(ways)];
    bench_medians(ways, ARRAY_LEN(ways), ROUNDS, s);
    report("tags/check", s[0], "speed of reading once", s[1], 0.6);
    report("tags/check, bare", s[0], "speed of bare GMAC", s[2], 0.9);
    if (threads_available() < 2)
        bench_skip("tags/check, 2 threads", "only one CPU");
    else
        report("tags/check, 2 threads", s[3], "speed of 1 thread", s[0], 1.6);
    device_key_free(tagged.key);
    must(device_free(tagged.memory, &err), "freeing", &err);
    lethe_region_free(tagged.tags);
    device_close(tagged.device);
    free_mb_mgr(tagged.manager);
}
