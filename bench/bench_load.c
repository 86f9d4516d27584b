/* Loading a shard from the page cache against the same loop without cryptography, against OpenSSL,
 * and against `age -d`. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/thread.h"
#include "model/staging.h"
#include "place.h"
#include "program.h"

#define AGE_FILE_BYTES (512 * MIB) /* age takes its time, and as much longer for more */

struct loading {
    struct place *place;
    struct model *model;
    uint8_t *destination;
    struct model_work work;
};

static void load(void *context)
{
    const struct loading *l = context;
    struct place *place = l->place;
    place_must(
        model_load_shard(l->model, 0, &place->keys.source, l->destination, &l->work, &place->err),
        place);
}

/* The loop of model_load_shard(), with memcpy in place of decryption. */
static void load_with_memcpy(void *context)
{
    const struct loading *l = context;
    const struct shard *shard = &model_manifest(l->model)->shards[0];
    CLEANUP(memory_free) void *cipher = aligned_alloc(TREE_BLOCK_BYTES, SEGMENT_BYTES);
    CLEANUP(fd_close) int fd = openat(l->model->dir_fd, shard->file, O_RDONLY | O_CLOEXEC);
    uint64_t count = tink_segment_count(&tink_shard_parameters, shard->size);
    for (uint64_t i = 0; i < count; i++) {
        struct tink_segment segment = tink_segment_at(&tink_shard_parameters, shard->size, i);
        place_must(file_read_at(fd, shard->file, segment.cipher_offset, cipher,
                                segment.cipher_bytes, &l->place->err),
                   l->place);
        memcpy(l->destination + segment.plain_offset, cipher, segment.plain_bytes);
    }
}

static uint8_t *map_destination(uint64_t size_bytes)
{
    uint8_t *memory =
        mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        bench_fail("no memory for a shard", NULL);
    madvise(memory, size_bytes, MADV_HUGEPAGE);
    memset(memory, 1, size_bytes);
    return memory;
}

static void load_by_itself(const struct loading *loading)
{
    uint64_t size_bytes = loading->place->size_bytes;
    struct loading one = *loading, openssl = *loading, two = *loading;
    openssl.work.backend = AEAD_BACKEND_OPENSSL;
    two.work.threads = 2;
    const struct bench_way ways[] = {
        {load, &one}, {load_with_memcpy, &one}, {load, &openssl}, {load, &two}};
    double s[ARRAY_LEN(ways)];
    bench_medians(ways, ARRAY_LEN(ways), 5, s);
    struct bench_result result = {.name = "load/1 thread",
                                  .value = gbytes_per_s(size_bytes, s[0]),
                                  .unit = "GB/s",
                                  .against = "speed of the same with memcpy",
                                  .ratio = s[1] / s[0],
                                  .aim = BENCH_AT_LEAST,
                                  .target = 0.7};
    bench_report(&result);
    result.name = "load/1 thread, OpenSSL";
    result.against = "speed with the OpenSSL back end";
    result.ratio = s[2] / s[0];
    result.target = 2.2;
    bench_report(&result);
    if (threads_available() < 2) {
        bench_skip("load/2 threads", "only one CPU");
        return;
    }
    result.name = "load/2 threads";
    result.value = gbytes_per_s(size_bytes, s[3]);
    result.against = "speed of 1 thread";
    result.ratio = s[0] / s[3];
    result.target = 1.6;
    bench_report(&result);
}

/* ---- against age ----------------------------------------------------------------------------- */

struct age {
    char key[160];
    char sealed[160];
    char opened[160];
};

static void age_decrypt(void *context)
{
    const struct age *age = context;
    const char *arguments[] = {"age", "-d", "-i", age->key, "-o", age->opened, age->sealed, NULL};
    unlink(age->opened);
    if (!program_run(arguments))
        bench_fail("age -d fails", NULL);
}

static bool age_encrypt(const struct place *place, const struct age *age)
{
    const char *make_key[] = {"age-keygen", "-o", age->key, NULL};
    const char *make_file[] = {"age", "-e", "-i", age->key, "-o", age->sealed, place->source, NULL};
    return program_run(make_key) && program_run(make_file);
}

static void load_against_age(struct loading *loading)
{
    struct place from, to;
    struct age age;
    place_open(&from, place_on_disk(), AGE_FILE_BYTES);
    place_open(&to, place_in_memory(), 0);
    place_write_source(&from);
    snprintf(age.key, sizeof age.key, "%s/key", from.directory);
    snprintf(age.sealed, sizeof age.sealed, "%s/sealed", from.directory);
    snprintf(age.opened, sizeof age.opened, "%s/opened", to.directory);
    if (age_encrypt(&from, &age)) {
        const struct bench_way ways[] = {{load, loading}, {age_decrypt, &age}};
        double s[ARRAY_LEN(ways)];
        bench_medians(ways, ARRAY_LEN(ways), 3, s);
        double ours = gbytes_per_s(loading->place->size_bytes, s[0]);
        bench_report(&(struct bench_result){.name = "load/1 thread, age",
                                            .value = ours,
                                            .unit = "GB/s",
                                            .against = "speed of age -d into tmpfs",
                                            .ratio = ours / gbytes_per_s(AGE_FILE_BYTES, s[1]),
                                            .aim = BENCH_AT_LEAST,
                                            .target = 8});
    } else {
        bench_skip("load/1 thread, age", "age is not installed");
    }
    place_close(&to);
    place_close(&from);
}

void bench_load(void)
{
    struct place place;
    place_open(&place, place_on_disk(), place_large_bytes());
    place_write_zeros(&place);
    place_encrypt(&place);
    struct loading loading = {.place = &place,
                              .model = place_open_model(&place),
                              .destination = map_destination(place.size_bytes),
                              .work = {.threads = 1}};
    load_by_itself(&loading);
    load_against_age(&loading);
    munmap(loading.destination, place.size_bytes);
    model_close(loading.model);
    place_close(&place);
}
