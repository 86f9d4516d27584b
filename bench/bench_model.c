/* Encrypting and verifying, against the slowest of their parts done alone by as many threads, and
 * against all parts one after another.
 *
 * A part is done as one would who had only that to do. SHA-256 of the ciphertext is OpenSSL's: one
 * message after another. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/thread.h"
#include "model/staging.h"
#include "place.h"

#define MODEL_BYTES (1024 * MIB)
#define PARTS_MAX 5u
#define ROUNDS 3u

/* ---- a part alone ---------------------------------------------------------------------------- */

struct part {
    struct place *place;
    const struct part_kind *kind;
    char path[160]; /* of what is written */
    int in_fd;
    int out_fd;
    struct aead_key *key;
    struct staging_set staging; /* one for each thread */
};

/* What a thread has at hand. */
struct tools {
    struct staging *staging;
    struct sha256_stream *sha;
};

struct part_kind {
    const char *name;
    void (*act)(const struct part *part, const struct tools *tools, uint64_t offset);
    bool writes;
};

static void read_piece(const struct part *part, const struct tools *tools, uint64_t offset)
{
    place_must(file_read_at(part->in_fd, "source", offset, tools->staging->segment, SEGMENT_BYTES,
                            &part->place->err),
               part->place);
}

static void seal_piece(const struct part *part, const struct tools *tools, uint64_t offset)
{
    static const uint8_t nonce[AEAD_NONCE_BYTES]; /* nobody keeps what is sealed here */
    uint8_t tag[AEAD_TAG_BYTES];
    const struct aead_message message = {.nonce = nonce,
                                         .in = tools->staging->segment,
                                         .out = tools->staging->segment,
                                         .size_bytes = SEGMENT_BYTES};
    place_must(aead_seal(part->key, &message, tag), part->place);
}

static void hash_piece(const struct part *part, const struct tools *tools, uint64_t offset)
{
    sha256_update(tools->sha, tools->staging->segment, SEGMENT_BYTES);
}

static void digest_piece(const struct part *part, const struct tools *tools, uint64_t offset)
{
    tree_hash_blocks(tools->staging->segment, SEGMENT_BYTES, tools->staging->hashes);
}

static void write_piece(const struct part *part, const struct tools *tools, uint64_t offset)
{
    place_must(file_write_at(part->out_fd, "target", offset, tools->staging->segment, SEGMENT_BYTES,
                             &part->place->err),
               part->place);
    staging_write_behind(part->out_fd, offset / SEGMENT_BYTES);
}

static const struct part_kind reading = {"read", read_piece, false};
static const struct part_kind sealing = {"AES-GCM", seal_piece, false};
static const struct part_kind hashing = {"SHA-256 (OpenSSL)", hash_piece, false};
static const struct part_kind digesting = {"fs-verity digest", digest_piece, false};
static const struct part_kind writing = {"write and fdatasync", write_piece, true};

static lethe_result do_share(void *context, unsigned worker, struct lethe_error *err)
{
    const struct part *part = context;
    CLEANUP(sha256_free) struct sha256_stream *sha = NULL;
    TRY(sha256_create(&sha, err));
    const struct tools tools = {.staging = &part->staging.items[worker], .sha = sha};
    uint64_t pieces = part->place->size_bytes / SEGMENT_BYTES;
    uint64_t end = pieces * (worker + 1) / part->staging.count;
    for (uint64_t i = pieces * worker / part->staging.count; i < end; i++)
        part->kind->act(part, &tools, i * SEGMENT_BYTES);
    return LETHE_OK;
}

static void run_part(void *context)
{
    struct part *part = context;
    if (part->kind->writes)
        part->out_fd = open(part->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    place_must(threads_run(part->staging.count, do_share, part, &part->place->err), part->place);
    if (!part->kind->writes)
        return;
    if (fdatasync(part->out_fd) != 0)
        bench_fail("a file cannot be synced", NULL);
    close(part->out_fd);
    unlink(part->path);
}

static void part_init(struct part *part, struct place *place, const struct part_kind *kind)
{
    static const uint8_t key[AEAD_KEY_BYTES]; /* of nothing but this measurement */
    *part = (struct part){.place = place, .kind = kind, .out_fd = -1};
    snprintf(part->path, sizeof part->path, "%s/written", place->directory);
    part->in_fd = open(place->source, O_RDONLY | O_CLOEXEC);
    place_must(aead_key_create(key, sizeof key, AEAD_BACKEND_BEST, &part->key, &place->err), place);
    place_must(staging_create(0, UINT64_MAX, "bench", &part->staging, &place->err), place);
}

static void part_clear(struct part *part)
{
    close(part->in_fd);
    aead_key_free(part->key);
    staging_clear(&part->staging);
}

/* ---- all of it, against its parts ------------------------------------------------------------ */

struct whole {
    const char *name;
    struct bench_way way;
    const struct part_kind *parts[PARTS_MAX + 1]; /* up to NULL */
};

/* `s` is the median of all of it, then of each part. */
static void report_whole(const struct whole *whole, uint64_t size_bytes, const double *s,
                         size_t count)
{
    size_t slowest = 0;
    double sum_s = 0;
    char against[48], name[48];
    for (size_t i = 0; i < count; i++) {
        slowest = s[1 + i] > s[1 + slowest] ? i : slowest;
        sum_s += s[1 + i];
    }
    snprintf(against, sizeof against, "time of %s alone", whole->parts[slowest]->name);
    struct bench_result result = {.name = whole->name,
                                  .value = gbytes_per_s(size_bytes, s[0]),
                                  .unit = "GB/s",
                                  .against = against,
                                  .ratio = s[0] / s[1 + slowest],
                                  .aim = BENCH_AT_MOST,
                                  .target = 1.3};
    bench_report(&result);
    snprintf(name, sizeof name, "%s, all parts", whole->name);
    result.name = name;
    result.against = "time of all parts, one by one";
    result.ratio = s[0] / sum_s;
    result.aim = BENCH_NO_AIM;
    bench_report(&result);
}

static void measure(const struct whole *whole, struct place *place)
{
    struct part parts[PARTS_MAX];
    struct bench_way ways[1 + PARTS_MAX] = {whole->way};
    double s[ARRAY_LEN(ways)];
    size_t count = 0;
    for (; whole->parts[count] != NULL; count++) {
        part_init(&parts[count], place, whole->parts[count]);
        ways[1 + count] = (struct bench_way){run_part, &parts[count]};
    }
    bench_medians(ways, 1 + count, ROUNDS, s);
    report_whole(whole, place->size_bytes, s, count);
    for (size_t i = 0; i < count; i++)
        part_clear(&parts[i]);
}

/* ---- encrypt --------------------------------------------------------------------------------- */

static void encrypt(void *context)
{
    place_encrypt(context);
}

static void encrypt_in(const char *name, const char *parent)
{
    struct place place;
    place_open(&place, parent, MODEL_BYTES);
    place_write_source(&place);
    const struct whole whole = {
        .name = name,
        .way = {encrypt, &place},
        .parts = {&reading, &digesting, &sealing, &hashing, &writing},
    };
    measure(&whole, &place);
    place_close(&place);
}

void bench_encrypt(void)
{
    encrypt_in("encrypt/to disk", place_on_disk());
    encrypt_in("encrypt/to memory", place_in_memory());
}

/* ---- verify ---------------------------------------------------------------------------------- */

struct verifying {
    struct place *place;
    struct model *model;
};

static void verify_cipher(void *context)
{
    const struct verifying *v = context;
    const struct model_work work = {0};
    place_must(model_verify_cipher(v->model, &work, &v->place->err), v->place);
}

static void verify_all(void *context)
{
    const struct verifying *v = context;
    const struct model_work work = {0};
    place_must(model_verify(v->model, &v->place->keys.source, &work, &v->place->err), v->place);
}

void bench_verify(void)
{
    struct place place;
    place_open(&place, place_on_disk(), MODEL_BYTES);
    place_write_source(&place);
    place_encrypt(&place);
    struct verifying v = {.place = &place, .model = place_open_model(&place)};
    const struct whole cipher = {
        .name = "verify/by public key",
        .way = {verify_cipher, &v},
        .parts = {&reading, &hashing},
    };
    const struct whole all = {
        .name = "verify/at home",
        .way = {verify_all, &v},
        .parts = {&reading, &hashing, &sealing, &digesting},
    };
    measure(&cipher, &place);
    measure(&all, &place);
    model_close(v.model);
    place_close(&place);
}
