/* Encrypted models: loading against the same loop without cryptography, against OpenSSL and against
 * `age -d`; encrypting and verifying against the slowest of their parts: reading, cryptography (all
 * of it, on all threads), writing (with the sync).
 *
 * LETHE_BENCH_MIB sets the size of the shard that is loaded (4096; less where there is not memory
 * for it and its file). LETHE_BENCH_DIR is a directory on a disk (/tmp), behind whose page cache
 * models are loaded. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/thread.h"
#include "bench.h"
#include "crypto/crypto.h"
#include "model/opened.h"
#include "model/staging.h"

#define MIB ((uint64_t)1 << 20)

/* ---- a key source with one key, and a place to work ------------------------------------------ */

struct keys {
    struct key_source source;
    struct lethe_secret *data_key;
    struct sign_pair *pair;
};

static lethe_result copy_key(const struct lethe_secret *from, struct lethe_secret **to,
                             struct lethe_error *err)
{
    TRY(lethe_secret_create(AEAD_KEY_BYTES, to, err));
    memcpy(lethe_secret_bytes(*to), lethe_secret_bytes_const(from), AEAD_KEY_BYTES);
    return LETHE_OK;
}

static lethe_result ensure(void *context, const char *key, struct lethe_error *err)
{
    return LETHE_OK;
}

static lethe_result wrap(void *context, const struct key_use *use,
                         const struct lethe_secret *data_key, struct buffer *wrapped,
                         struct lethe_error *err)
{
    struct keys *keys = context;
    lethe_secret_free(keys->data_key);
    buffer_text(wrapped, "vault:v1:");
    return copy_key(data_key, &keys->data_key, err);
}

static lethe_result unwrap(void *context, const struct key_use *use, const char *wrapped,
                           struct lethe_secret **data_key, struct lethe_error *err)
{
    return copy_key(((struct keys *)context)->data_key, data_key, err);
}

static lethe_result sign(void *context, const char *tenant, const void *bytes, size_t size_bytes,
                         struct signature *out, struct lethe_error *err)
{
    return sign_message(((struct keys *)context)->pair, bytes, size_bytes, out, err);
}

static lethe_result signer(void *context, const char *tenant, const struct sign_public **out,
                           struct lethe_error *err)
{
    *out = sign_pair_public(((struct keys *)context)->pair);
    return LETHE_OK;
}

struct place {
    char directory[128];
    char source[160];
    char model[160];
    struct keys keys;
    uint64_t size_bytes;
    struct lethe_error err;
};

static void must(lethe_result result, const struct place *place)
{
    if (result != LETHE_OK)
        bench_fail("a model cannot be worked with", &place->err);
}

static void open_place(struct place *place, const char *parent, uint64_t size_bytes)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *private_key = NULL;
    *place = (struct place){.size_bytes = size_bytes};
    snprintf(place->directory, sizeof place->directory, "%s/lethe-bench-XXXXXX", parent);
    if (mkdtemp(place->directory) == NULL)
        bench_fail("no temporary directory", NULL);
    snprintf(place->source, sizeof place->source, "%s/source.bin", place->directory);
    snprintf(place->model, sizeof place->model, "%s/model", place->directory);
    must(crypto_start(&place->err), place);
    must(sign_generate(SIGNATURE_ECDSA_P256, &private_key, &place->err), place);
    must(sign_pair_create(SIGNATURE_ECDSA_P256, private_key, &place->keys.pair, &place->err),
         place);
    place->keys.source =
        (struct key_source){ensure, wrap, unwrap, sign, signer, .context = &place->keys};
}

static void close_place(struct place *place)
{
    must(file_remove_tree(AT_FDCWD, place->directory, &place->err), place);
    sign_pair_free(place->keys.pair);
    lethe_secret_free(place->keys.data_key);
}

static void write_source(struct place *place)
{
    static uint64_t piece[MIB / sizeof(uint64_t)];
    int fd = open(place->source, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        bench_fail("no source file", NULL);
    for (uint64_t at = 0; at < place->size_bytes; at += MIB) {
        for (size_t i = 0; i < ARRAY_LEN(piece); i++)
            piece[i] = (at + i) * 0x9e3779b97f4a7c15;
        must(file_write_at(fd, place->source, at, piece, sizeof piece, &place->err), place);
    }
    if (fsync(fd) != 0)
        bench_fail("the source cannot be synced", NULL);
    close(fd);
}

static void encrypt(void *context)
{
    struct place *place = context;
    const char *sources[] = {place->source};
    const struct encrypt_options options = {
        .sources = sources,
        .source_count = 1,
        .output = place->model,
        .tenant = "bench",
        .force = true,
        .clock = &clock_system,
        .random = &random_system,
    };
    struct encrypt_summary summary;
    must(model_encrypt(&options, &place->keys.source, &summary, &place->err), place);
}

static struct model *open_model(struct place *place)
{
    struct model *model = NULL;
    must(model_open(place->model, &model, &place->err), place);
    must(model_check_signature(model, sign_pair_public(place->keys.pair), &place->err), place);
    return model;
}

static const char *disk_directory(void)
{
    const char *wanted = getenv("LETHE_BENCH_DIR");
    return wanted != NULL ? wanted : "/tmp";
}

static const char *memory_directory(void)
{
    return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : disk_directory();
}

static double gbytes_per_s(uint64_t size_bytes, double seconds)
{
    return (double)size_bytes / seconds * 1e-9;
}

/* ---- load ------------------------------------------------------------------------------------ */

struct loading {
    struct place *place;
    struct model *model;
    uint8_t *destination;
    struct model_work work;
};

static void load(void *context)
{
    const struct loading *l = context;
    must(model_load_shard(l->model, 0, &l->place->keys.source, l->destination, &l->work,
                          &l->place->err),
         l->place);
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
        must(file_read_at(fd, shard->file, segment.cipher_offset, cipher, segment.cipher_bytes,
                          &l->place->err),
             l->place);
        memcpy(l->destination + segment.plain_offset, cipher, segment.plain_bytes);
    }
}

static uint8_t *map_destination(uint64_t size_bytes)
{
    uint8_t *memory =
        mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, size_bytes, MADV_HUGEPAGE);
    memset(memory, 1, size_bytes);
    return memory;
}

static void report_load(struct place *place, struct loading *loading)
{
    struct loading openssl = *loading;
    struct loading two = *loading;
    openssl.work.backend = AEAD_BACKEND_OPENSSL;
    two.work.threads = 2;
    const struct bench_way ways[] = {
        {load, loading}, {load_with_memcpy, loading}, {load, &openssl}, {load, &two}};
    double s[ARRAY_LEN(ways)];
    bench_medians(ways, ARRAY_LEN(ways), 5, s);
    struct bench_result result = {.name = "load/one thread",
                                  .value = gbytes_per_s(place->size_bytes, s[0]),
                                  .unit = "GB/s",
                                  .against = "the same loop with memcpy",
                                  .ratio = s[1] / s[0],
                                  .aim = BENCH_AT_LEAST,
                                  .target = 0.7};
    bench_report(&result);
    result.name = "load/one thread, OpenSSL";
    result.against = "the same with the OpenSSL back end";
    result.ratio = s[2] / s[0];
    result.target = 2.2;
    bench_report(&result);
    result.name = "load/two threads";
    result.value = gbytes_per_s(place->size_bytes, s[3]);
    result.against = "one thread";
    result.ratio = s[0] / s[3];
    result.target = 1.6;
    bench_report(&result);
}

/* ---- load, against age ----------------------------------------------------------------------- */

struct age {
    struct place *place;
    char key[160];
    char sealed[160];
    char opened[160];
};

static bool run(const char *const *arguments)
{
    extern char **environ;
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (posix_spawnp(&child, arguments[0], &actions, NULL, (char **)(uintptr_t)arguments,
                     environ) == 0)
        waitpid(child, &status, 0);
    posix_spawn_file_actions_destroy(&actions);
    return status == 0;
}

static void age_decrypt(void *context)
{
    const struct age *age = context;
    const char *arguments[] = {"age", "-d", "-i", age->key, "-o", age->opened, age->sealed, NULL};
    unlink(age->opened);
    if (!run(arguments))
        bench_fail("age -d fails", NULL);
}

/* The file for age is smaller: it takes its time, and its speed does not depend on the size. */
static void load_against_age(struct loading *loading)
{
    struct place place;
    open_place(&place, memory_directory(), MIN(loading->place->size_bytes, 512 * MIB));
    struct age age = {.place = &place};
    snprintf(age.key, sizeof age.key, "%s/key", place.directory);
    snprintf(age.sealed, sizeof age.sealed, "%s/sealed", place.directory);
    snprintf(age.opened, sizeof age.opened, "%s/opened", place.directory);
    const char *make_key[] = {"age-keygen", "-o", age.key, NULL};
    const char *make_file[] = {"age", "-e", "-i", age.key, "-o", age.sealed, place.source, NULL};
    write_source(&place);
    if (!run(make_key) || !run(make_file)) {
        bench_skip("load/age", "age is not installed");
    } else {
        const struct bench_way ways[] = {{load, loading}, {age_decrypt, &age}};
        double s[ARRAY_LEN(ways)];
        bench_medians(ways, ARRAY_LEN(ways), 3, s);
        double ours = gbytes_per_s(loading->place->size_bytes, s[0]);
        bench_report(&(struct bench_result){
            .name = "load/age",
            .value = ours,
            .unit = "GB/s",
            .against = "speed of age -d into tmpfs",
            .ratio = ours / gbytes_per_s(place.size_bytes, s[1]),
            .aim = BENCH_AT_LEAST,
            .target = 8,
        });
    }
    close_place(&place);
}

/* Encrypting costs as much memory as the result; loading that again. */
static uint64_t load_bytes(void)
{
    struct sysinfo info;
    const char *wanted = getenv("LETHE_BENCH_MIB");
    uint64_t size_bytes = (wanted != NULL ? strtoull(wanted, NULL, 10) : 4096) * MIB;
    if (size_bytes == 0 || sysinfo(&info) != 0)
        bench_fail("LETHE_BENCH_MIB is not a number of MiB", NULL);
    uint64_t free_bytes = (uint64_t)(info.freeram + info.bufferram) * info.mem_unit;
    while (size_bytes > MIB && 3 * size_bytes > free_bytes)
        size_bytes /= 2;
    return size_bytes;
}

void bench_load(void)
{
    struct place place;
    open_place(&place, disk_directory(), load_bytes());
    int fd = open(place.source, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); /* zeros take no memory */
    if (fd < 0 || ftruncate(fd, (off_t)place.size_bytes) != 0)
        bench_fail("no source file", NULL);
    close(fd);
    encrypt(&place);
    struct loading loading = {.place = &place,
                              .model = open_model(&place),
                              .destination = map_destination(place.size_bytes),
                              .work = {.threads = 1}};
    if (loading.destination == NULL)
        bench_fail("no memory for a shard", NULL);
    report_load(&place, &loading);
    load_against_age(&loading);
    munmap(loading.destination, place.size_bytes);
    model_close(loading.model);
    close_place(&place);
}

/* ---- the parts of encrypt and verify --------------------------------------------------------- */

struct part;
struct bench_worker {
    struct staging *staging;
    struct sha256_stream *sha;
    uint64_t offset; /* of a piece of SEGMENT_BYTES */
};
/* One part of the work done alone, by as many threads, to a whole file in pieces as large. */
struct part {
    struct place *place;
    char file[160];
    int in_fd;
    int out_fd;
    struct aead_key *key;
    void (*act)(const struct part *part, const struct bench_worker *worker);
    struct staging_set staging;
};

static void hash_piece(const struct part *part, const struct bench_worker *worker)
{
    sha256_update(worker->sha, worker->staging->segment, SEGMENT_BYTES);
}

static void seal_piece(const struct part *part, const struct bench_worker *worker)
{
    static const uint8_t nonce[AEAD_NONCE_BYTES]; /* nobody keeps what comes out */
    uint8_t tag[AEAD_TAG_BYTES];
    const struct aead_message message = {.nonce = nonce,
                                         .in = worker->staging->segment,
                                         .out = worker->staging->segment,
                                         .size_bytes = SEGMENT_BYTES};
    if (aead_seal(part->key, &message, tag) != LETHE_OK)
        bench_fail("sealing fails", NULL);
}

static void seal_and_digest_piece(const struct part *part, const struct bench_worker *worker)
{
    tree_hash_blocks(worker->staging->segment, SEGMENT_BYTES, worker->staging->hashes);
    seal_piece(part, worker);
}

static void seal_digest_and_hash_piece(const struct part *part, const struct bench_worker *worker)
{
    seal_and_digest_piece(part, worker);
    hash_piece(part, worker);
}

static void read_piece(const struct part *part, const struct bench_worker *worker)
{
    must(file_read_at(part->in_fd, "file", worker->offset, worker->staging->segment, SEGMENT_BYTES,
                      &part->place->err),
         part->place);
}

static void write_piece(const struct part *part, const struct bench_worker *worker)
{
    must(file_write_at(part->out_fd, "file", worker->offset, worker->staging->segment,
                       SEGMENT_BYTES, &part->place->err),
         part->place);
    uint64_t end = worker->offset + SEGMENT_BYTES;
    uint64_t range_bytes = RANGE_SEGMENTS * SEGMENT_BYTES;
    if (end % range_bytes == 0)
        (void)!sync_file_range(part->out_fd, (off_t)(end - range_bytes), (off_t)range_bytes,
                               SYNC_FILE_RANGE_WRITE);
}

static lethe_result do_part(void *context, unsigned number, struct lethe_error *err)
{
    const struct part *part = context;
    CLEANUP(sha256_free) struct sha256_stream *sha = NULL;
    TRY(sha256_create(&sha, err));
    struct bench_worker worker = {.staging = &part->staging.items[number], .sha = sha};
    uint64_t pieces = part->place->size_bytes / SEGMENT_BYTES;
    uint64_t count = part->staging.count;
    for (uint64_t i = pieces * number / count; i < pieces * (number + 1) / count; i++) {
        worker.offset = i * SEGMENT_BYTES;
        part->act(part, &worker);
    }
    return LETHE_OK;
}

static void run_part(void *context)
{
    struct part *part = context;
    must(threads_run(part->staging.count, do_part, part, &part->place->err), part->place);
}

static void run_write_part(void *context)
{
    struct part *part = context;
    part->out_fd = open(part->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    run_part(part);
    if (fdatasync(part->out_fd) != 0)
        bench_fail("a file cannot be synced", NULL);
    close(part->out_fd);
    unlink(part->file);
}

static struct part make_part(struct place *place, void (*act)(const struct part *part,
                                                              const struct bench_worker *worker))
{
    static const uint8_t key[AEAD_KEY_BYTES];
    struct part part = {.place = place, .act = act};
    snprintf(part.file, sizeof part.file, "%s/part", place->directory);
    part.in_fd = open(place->source, O_RDONLY | O_CLOEXEC);
    must(staging_create(0, UINT64_MAX, "bench", &part.staging, &place->err), place);
    must(aead_key_create(key, sizeof key, AEAD_BACKEND_BEST, &part.key, &place->err), place);
    return part;
}

static void drop_part(struct part *part)
{
    close(part->in_fd);
    aead_key_free(part->key);
    staging_clear(&part->staging);
}

/* `s` is the median of our way, and of each part alone, in the order of `names`. */
static void report_slowest(const char *name, const struct place *place, const double *s,
                           const char *const *names, size_t count)
{
    size_t slowest = 0;
    char against[48];
    for (size_t i = 1; i < count; i++)
        slowest = s[1 + i] > s[1 + slowest] ? i : slowest;
    snprintf(against, sizeof against, "its slowest part, %s", names[slowest]);
    bench_report(&(struct bench_result){
        .name = name,
        .value = gbytes_per_s(place->size_bytes, s[0]),
        .unit = "GB/s",
        .against = against,
        .ratio = s[0] / s[1 + slowest],
        .aim = BENCH_AT_MOST,
        .target = 1.3,
    });
}

static void encrypt_in(const char *name, const char *parent)
{
    static const char *const names[] = {"writing", "cryptography", "reading"};
    struct place place;
    open_place(&place, parent, 1024 * MIB);
    write_source(&place);
    struct part write = make_part(&place, write_piece);
    struct part work = make_part(&place, seal_digest_and_hash_piece);
    struct part read = make_part(&place, read_piece);
    const struct bench_way ways[] = {
        {encrypt, &place}, {run_write_part, &write}, {run_part, &work}, {run_part, &read}};
    double s[ARRAY_LEN(ways)];
    bench_medians(ways, ARRAY_LEN(ways), 3, s);
    report_slowest(name, &place, s, names, ARRAY_LEN(names));
    drop_part(&write);
    drop_part(&work);
    drop_part(&read);
    close_place(&place);
}

void bench_encrypt(void)
{
    encrypt_in("encrypt/disk", disk_directory());
    encrypt_in("encrypt/memory", memory_directory());
}

struct verifying {
    struct place *place;
    struct model *model;
};

static void verify_cipher(void *context)
{
    const struct verifying *v = context;
    const struct model_work work = {0};
    must(model_verify_cipher(v->model, &work, &v->place->err), v->place);
}

static void verify_plain(void *context)
{
    const struct verifying *v = context;
    const struct model_work work = {0};
    must(model_verify_plain(v->model, &v->place->keys.source, &work, &v->place->err), v->place);
}

void bench_verify(void)
{
    static const char *const names[] = {"cryptography", "reading"};
    struct place place;
    open_place(&place, disk_directory(), 1024 * MIB);
    write_source(&place);
    encrypt(&place);
    struct verifying v = {.place = &place, .model = open_model(&place)};
    struct part hash = make_part(&place, hash_piece);
    struct part digest = make_part(&place, seal_and_digest_piece);
    struct part read = make_part(&place, read_piece);
    const struct bench_way cipher[] = {{verify_cipher, &v}, {run_part, &hash}, {run_part, &read}};
    const struct bench_way plain[] = {{verify_plain, &v}, {run_part, &digest}, {run_part, &read}};
    double s[ARRAY_LEN(cipher)];
    bench_medians(cipher, ARRAY_LEN(cipher), 5, s);
    report_slowest("verify/ciphertext", &place, s, names, ARRAY_LEN(names));
    bench_medians(plain, ARRAY_LEN(plain), 5, s);
    report_slowest("verify/plaintext", &place, s, names, ARRAY_LEN(names));
    drop_part(&hash);
    drop_part(&digest);
    drop_part(&read);
    model_close(v.model);
    close_place(&place);
}
