/* lethe-gpu-bench: how fast a GPU wipes, proves, digests, authenticates and decrypts, beside how
 * fast it copies its own memory. */
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/aead.h"
#include "device/cuda_driver.h"
#include "gpu.h"

#define ROUNDS 7u
#define MOST_BYTES ((uint64_t)4 << 30)
#define SEGMENT_BYTES ((size_t)1 << 20)
#define SEGMENTS 64u

static struct lethe_error err;

struct bench {
    struct device *device;
    struct device_memory *from, *to;
    struct device_key *key;
    uint64_t size_bytes;
    uint8_t *host; /* SEGMENTS sealed segments */
    uint8_t *tags;
    struct device_segment segments[SEGMENTS];
};

static void must(lethe_result result)
{
    if (result == LETHE_OK)
        return;
    fprintf(stderr, "lethe-gpu-bench: %s\n", err.text);
    exit(1);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- what is measured: each gives the bytes it was done to ----------------------------------- */

/* The driver's own copy, which nothing but this measurement uses. */
static uint64_t copy(struct bench *bench)
{
    static cuda_result (*copy_on_device)(cuda_address, cuda_address, size_t);
    static cuda_result (*retain)(cuda_context *, cuda_ordinal), (*set)(cuda_context), (*wait)(void);
    cuda_context context;
    if (copy_on_device == NULL) {
        void *library = dlopen("libcuda.so.1", RTLD_NOW);
        *(void **)&copy_on_device = dlsym(library, "cuMemcpyDtoD_v2");
        *(void **)&retain = dlsym(library, "cuDevicePrimaryCtxRetain");
        *(void **)&set = dlsym(library, "cuCtxSetCurrent");
        *(void **)&wait = dlsym(library, "cuCtxSynchronize");
    }
    if (copy_on_device == NULL || set == NULL ||
        retain(&context, atoi(strchr(device_name(bench->device), ':') + 1)) != 0 ||
        set(context) != 0)
        return 0;
    cuda_result done =
        copy_on_device((uintptr_t)device_memory_address(bench->to),
                       (uintptr_t)device_memory_address(bench->from), bench->size_bytes);
    return done == 0 && wait() == 0 ? 2 * bench->size_bytes : 0; /* read and written */
}

static uint64_t wipe(struct bench *bench)
{
    must(device_wipe(bench->to, 0, bench->size_bytes, &err));
    return 2 * bench->size_bytes; /* written, and read back */
}

static uint64_t is_zero(struct bench *bench)
{
    bool yes;
    must(device_is_zero(bench->from, 0, bench->size_bytes, &yes, &err));
    return bench->size_bytes;
}

static uint64_t digest(struct bench *bench)
{
    uint8_t out[DEVICE_DIGEST_BYTES];
    must(device_digest(bench->from, DEVICE_FSVERITY, 1, out, &err));
    return bench->size_bytes;
}

static uint64_t tags(struct bench *bench)
{
    must(device_tags(bench->from, bench->key, 1, bench->tags, &err));
    return bench->size_bytes;
}

static uint64_t upload(struct bench *bench)
{
    must(device_write(bench->to, 0, bench->host, SEGMENTS * SEGMENT_BYTES, &err));
    return SEGMENTS * SEGMENT_BYTES;
}

static uint64_t decrypt(struct bench *bench)
{
    must(device_open_segments(bench->to, bench->key, bench->segments, SEGMENTS, NULL, &err));
    return SEGMENTS * SEGMENT_BYTES;
}

static const struct {
    const char *name;
    uint64_t (*run)(struct bench *bench);
} works[] = {
    {"copy on the device (read + write)", copy},
    {"wipe and prove (write + read)", wipe},
    {"is zero", is_zero},
    {"digest, fs-verity", digest},
    {"GMAC tags", tags},
    {"upload from ordinary host memory", upload},
    {"upload, decrypt and check segments", decrypt},
};

/* ---- set up ---------------------------------------------------------------------------------- */

static void seal_segments(struct bench *bench, const uint8_t *key_bytes)
{
    static uint8_t nonces[SEGMENTS][12];
    struct aead_key *key;
    const size_t plain = SEGMENT_BYTES - DEVICE_TAG_BYTES;
    must(aead_key_create(key_bytes, AEAD_KEY_BYTES, AEAD_BACKEND_BEST, &key, &err));
    for (size_t i = 0; i < SEGMENTS; i++) {
        uint8_t *at = bench->host + i * SEGMENT_BYTES;
        nonces[i][11] = (uint8_t)i;
        must(aead_seal(
            key,
            &(struct aead_message){.nonce = nonces[i], .in = at, .out = at, .size_bytes = plain},
            at + plain));
        bench->segments[i] = (struct device_segment){
            .nonce = nonces[i], .cipher = at, .plain_bytes = plain, .offset_bytes = i * plain};
    }
    aead_key_free(key);
}

static void make(struct bench *bench, size_t index)
{
    const uint8_t key_bytes[AEAD_KEY_BYTES] = {1};
    struct device_info info;
    struct lethe_secret *secret;
    must(device_open(LETHE_DEVICE_CUDA, index, &bench->device, &err));
    must(device_info(bench->device, &info, &err));
    bench->size_bytes = MIN(MOST_BYTES, info.free_bytes / 4) / SEGMENT_BYTES * SEGMENT_BYTES;
    bench->host = calloc(SEGMENTS, SEGMENT_BYTES);
    bench->tags = calloc(device_chunk_count(bench->size_bytes), DEVICE_TAG_BYTES);
    if (bench->size_bytes < SEGMENTS * SEGMENT_BYTES || bench->host == NULL ||
        bench->tags == NULL) {
        fprintf(stderr, "lethe-gpu-bench: not enough memory is free\n");
        exit(EXIT_UNAVAILABLE);
    }
    const struct device_request request = {.size_bytes = bench->size_bytes,
                                           .class_ = LETHE_CLASS_WEIGHTS};
    must(device_alloc(bench->device, &request, &bench->from, &err));
    must(device_alloc(bench->device, &request, &bench->to, &err));
    must(lethe_secret_create(sizeof key_bytes, &secret, &err));
    memcpy(lethe_secret_bytes(secret), key_bytes, sizeof key_bytes);
    must(device_key_create(bench->device, secret, &bench->key, &err));
    lethe_secret_free(secret);
    seal_segments(bench, key_bytes);
    printf("\n%s: %s, %" PRIu64 " MiB; over %" PRIu64 " MiB, median of %u\n\n",
           device_name(bench->device), info.model, info.total_bytes >> 20, bench->size_bytes >> 20,
           ROUNDS);
}

static void forget(struct bench *bench)
{
    device_key_free(bench->key);
    must(device_free(bench->from, &err));
    must(device_free(bench->to, &err));
    device_close(bench->device);
    free(bench->host);
    free(bench->tags);
}

/* ---- measure --------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Bytes per second; 0 when it cannot be done. */
static double measure(struct bench *bench, uint64_t (*run)(struct bench *bench))
{
    double rates[ROUNDS];
    if (run(bench) == 0) /* once, to warm up */
        return 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        double start = now_s();
        uint64_t done = run(bench);
        rates[i] = (double)done / (now_s() - start);
    }
    qsort(rates, ROUNDS, sizeof rates[0], compare);
    return rates[ROUNDS / 2];
}

static void run_on(size_t index)
{
    struct bench bench = {0};
    double copies = 0;
    make(&bench, index);
    printf("| work | GB/s | of the copy |\n|---|---|---|\n");
    for (size_t i = 0; i < ARRAY_LEN(works); i++) {
        double rate = measure(&bench, works[i].run);
        if (i == 0)
            copies = rate;
        if (rate == 0)
            printf("| %s | cannot be had here | |\n", works[i].name);
        else if (copies == 0)
            printf("| %s | %.1f | |\n", works[i].name, rate * 1e-9);
        else
            printf("| %s | %.1f | %.3f |\n", works[i].name, rate * 1e-9, rate / copies);
        fflush(stdout);
    }
    forget(&bench);
}

static const struct gpu_program program = {
    .name = "lethe-gpu-bench",
    .help =
        "lethe-gpu-bench [--device N]\n"
        "\n"
        "Measures every GPU of this machine, or one: wipe and prove, is-zero, digest, GMAC tags,\n"
        "upload, decryption; beside the GPU's own copy of its memory. Prints Markdown.\n"
        "Needs NVIDIA's driver (libcuda.so.1), and uses at most half of what is free, or 8 GiB.\n"
        "\n"
        "Exit: 0 done, 1 something failed, 2 usage, 5 there is no GPU.\n",
};

int main(int argc, char **argv)
{
    size_t only, count = gpu_program_start(&program, argc, argv, &only);
    for (size_t i = 0; i < count; i++)
        if (only == count || only == i)
            run_on(i);
    return 0;
}
