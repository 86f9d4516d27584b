/* GMAC and AES-256-GCM on a CUDA device.
 *
 * The key lies in the slab. For a call it is copied to the device, expanded there, and wiped there
 * before the call returns, with all that was made of it. Out of reach of that are registers of the
 * device, and what the driver itself copies on the way. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "crypto/hash.h"
#include "device/cuda.h"

#define KEY_BYTES 32u
#define TAGS_AT_ONCE 256u /* brought back from the device */
#define SEGMENTS_AT_ONCE TAGS_AT_ONCE
#define CHUNKS_AT_ONCE 2048u /* GMAC alone is so fast that launches would be seen in its time */

_Static_assert(sizeof(struct kernel_text) == KERNEL_TEXT_BYTES, "as the kernels count");
_Static_assert(TAGS_AT_ONCE *DEVICE_TAG_BYTES <= LETHE_SECRET_MAX_BYTES, "tags fit in the slab");
_Static_assert(DEVICE_CHUNK_BYTES == 16u * TEXT_TILES * TILE_BLOCKS, "a chunk is a GMAC's text");

lethe_result cuda_key_create(struct device_key *key, const struct lethe_secret *bytes,
                             struct lethe_error *err)
{
    if (lethe_secret_size(bytes) != KEY_BYTES)
        return error_set(err, LETHE_INVALID, "an AES-256-GCM key of %zu bytes instead of %u",
                         lethe_secret_size(bytes), KEY_BYTES);
    TRY(slab_alloc(KEY_BYTES, &key->private, err));
    memcpy(key->private, lethe_secret_bytes_const(bytes), KEY_BYTES);
    return LETHE_OK;
}

void cuda_key_clear(struct device_key *key)
{
    slab_free(key->private);
}

/* ---- a key on the device, for one call ------------------------------------------------------- */

struct work {
    const struct cuda_device *device;
    struct cuda_scratch scratch;
    cuda_address key, prepared, texts, tags, partials, sums;
    uint64_t sums_each; /* of a text */
    bool is_gcm;
};

static void work_at_scope_end(struct work *work)
{
    cuda_scratch_at_scope_end(&work->scratch);
}

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Places for so much of each in one allocation. */
static lethe_result work_alloc(struct work *work, uint64_t texts, struct lethe_error *err)
{
    const uint64_t partials = work->is_gcm ? KERNEL_LANES * 16 : TEXT_TILES * TILE_SUM_BYTES;
    const uint64_t sizes[] = {KEY_BYTES,
                              PREPARED_BYTES,
                              texts * KERNEL_TEXT_BYTES,
                              texts * DEVICE_TAG_BYTES,
                              texts * partials,
                              texts * work->sums_each * 16};
    cuda_address *const places[] = {&work->key,  &work->prepared, &work->texts,
                                    &work->tags, &work->partials, &work->sums};
    uint64_t total = 0;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        *places[i] = total;
        total += round_up(sizes[i]);
    }
    TRY(cuda_scratch_begin(work->device, total, &work->scratch, err));
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        *places[i] += work->scratch.address;
    return LETHE_OK;
}

/* For as many texts at once. */
static lethe_result work_begin(struct work *work, const struct device_key *key, uint64_t texts,
                               struct lethe_error *err)
{
    work->sums_each = work->is_gcm ? ADD_LANES_THREADS : TEXT_TILES;
    TRY(work_alloc(work, texts, err));
    struct prepare_key_task first = {.threads = 1, .key = work->key, .prepared = work->prepared};
    struct prepare_powers_task second = {.threads = PREPARE_POWERS_THREADS,
                                         .prepared = work->prepared};
    struct prepare_matrices_task third = {.threads = MATRICES_WORDS, .prepared = work->prepared};
    TRY(cuda_upload(work->device, work->key, key->private, KEY_BYTES, err));
    TRY(cuda_run(work->device, CUDA_KERNEL_prepare_key, &first, err));
    TRY(cuda_run(work->device, CUDA_KERNEL_prepare_powers, &second, err));
    if (work->is_gcm)
        return LETHE_OK;
    return cuda_run(work->device, CUDA_KERNEL_prepare_matrices, &third, err);
}

static lethe_result run_gmac(const struct work *work, size_t count, struct lethe_error *err)
{
    struct gmac_task first = {.threads = (uint64_t)count * TEXT_TILES * WARP_LANES,
                              .texts = work->texts,
                              .prepared = work->prepared,
                              .partials = work->partials};
    struct add_columns_task second = {.threads = (uint64_t)count * TEXT_TILES,
                                      .texts = work->texts,
                                      .prepared = work->prepared,
                                      .partials = work->partials,
                                      .sums = work->sums};
    TRY(cuda_run(work->device, CUDA_KERNEL_gmac, &first, err));
    return cuda_run(work->device, CUDA_KERNEL_add_columns, &second, err);
}

static lethe_result run_gcm(const struct work *work, size_t count, struct lethe_error *err)
{
    struct gcm_task first = {.threads = (uint64_t)count * KERNEL_LANES,
                             .texts = work->texts,
                             .prepared = work->prepared,
                             .partials = work->partials};
    struct add_lanes_task second = {.threads = (uint64_t)count * ADD_LANES_THREADS,
                                    .partials = work->partials,
                                    .sums = work->sums};
    TRY(cuda_run(work->device, CUDA_KERNEL_gcm, &first, err));
    return cuda_run(work->device, CUDA_KERNEL_add_lanes, &second, err);
}

/* Computes the tags of the first texts, and decrypts them if that is the work. */
static lethe_result work_on(const struct work *work, size_t count, struct lethe_error *err)
{
    struct finish_tags_task finish = {.threads = count,
                                      .texts = work->texts,
                                      .prepared = work->prepared,
                                      .sums = work->sums,
                                      .sums_each = work->sums_each,
                                      .tags = work->tags,
                                      .is_gcm = work->is_gcm};
    TRY((work->is_gcm ? run_gcm : run_gmac)(work, count, err));
    TRY(cuda_run(work->device, CUDA_KERNEL_finish_tags, &finish, err));
    return cuda_wait(work->device, err);
}

static lethe_result put_texts(const struct work *work, uint64_t first,
                              const struct kernel_text *texts, size_t count,
                              struct lethe_error *err)
{
    return cuda_upload(work->device, work->texts + first * KERNEL_TEXT_BYTES, texts,
                       count * sizeof *texts, err);
}

static lethe_result get_tags(const struct work *work, uint64_t first, size_t count, uint8_t *tags,
                             struct lethe_error *err)
{
    return cuda_download(work->device, tags, work->tags + first * DEVICE_TAG_BYTES,
                         (uint64_t)count * DEVICE_TAG_BYTES, err);
}

/* ---- tags of chunks -------------------------------------------------------------------------- */

static struct kernel_text chunk_text(const struct device_memory *memory, uint64_t index)
{
    const uint64_t offset = index * DEVICE_CHUNK_BYTES;
    struct kernel_text text = {.address = cuda_address_of(memory) + offset,
                               .size_bytes = MIN(DEVICE_CHUNK_BYTES, memory->size_bytes - offset)};
    device_chunk_nonce(index, text.nonce);
    return text;
}

static lethe_result compare(const struct device_memory *memory, uint64_t first, size_t count,
                            const uint8_t *tags, const uint8_t *known, struct lethe_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal(tags + i * DEVICE_TAG_BYTES, known + i * DEVICE_TAG_BYTES,
                        DEVICE_TAG_BYTES))
            continue;
        const uint64_t offset = (first + i) * DEVICE_CHUNK_BYTES;
        return error_set(err, LETHE_INTEGRITY,
                         "bytes %" PRIu64 " to %" PRIu64 " are not what was sealed", offset,
                         MIN(offset + DEVICE_CHUNK_BYTES, memory->size_bytes));
    }
    return LETHE_OK;
}

static lethe_result put_chunks(const struct device_memory *memory, const struct work *work,
                               uint64_t first, size_t count, struct lethe_error *err)
{
    struct kernel_text texts[TAGS_AT_ONCE];
    for (size_t done = 0; done < count; done += TAGS_AT_ONCE) {
        const size_t some = MIN(count - done, TAGS_AT_ONCE);
        for (size_t i = 0; i < some; i++)
            texts[i] = chunk_text(memory, first + done + i);
        TRY(put_texts(work, done, texts, some, err));
    }
    return LETHE_OK;
}

/* What the tags of chunks are for: to be written down, or to be compared. One is NULL. */
struct purpose {
    uint8_t *out;
    const uint8_t *known;
};

static lethe_result use_tags(const struct device_memory *memory, const struct work *work,
                             uint64_t first, size_t count, struct purpose purpose,
                             struct lethe_error *err)
{
    void *computed;
    TRY(slab_alloc(TAGS_AT_ONCE * DEVICE_TAG_BYTES, &computed, err));
    CLEANUP(slab_free) void *tags = computed;
    for (size_t done = 0; done < count; done += TAGS_AT_ONCE) {
        const size_t some = MIN(count - done, TAGS_AT_ONCE);
        const uint64_t at = (first + done) * DEVICE_TAG_BYTES;
        TRY(get_tags(work, done, some, tags, err));
        if (purpose.out != NULL)
            memcpy(purpose.out + at, tags, some * DEVICE_TAG_BYTES);
        else
            TRY(compare(memory, first + done, some, tags, purpose.known + at, err));
    }
    return LETHE_OK;
}

static lethe_result over_chunks(const struct device_memory *memory, const struct device_key *key,
                                struct purpose purpose, struct lethe_error *err)
{
    const uint64_t chunks = device_chunk_count(memory->size_bytes);
    CLEANUP(cuda_leave) struct cuda_scope scope = {0};
    CLEANUP(work) struct work work = {.device = cuda_device_of(memory)};
    TRY(cuda_enter(work.device, &scope, err));
    TRY(work_begin(&work, key, MIN(chunks, CHUNKS_AT_ONCE), err));
    for (uint64_t first = 0; first < chunks; first += CHUNKS_AT_ONCE) {
        const size_t count = (size_t)MIN(chunks - first, CHUNKS_AT_ONCE);
        TRY(put_chunks(memory, &work, first, count, err));
        TRY(work_on(&work, count, err));
        TRY(use_tags(memory, &work, first, count, purpose, err));
    }
    return cuda_scratch_end(&work.scratch, err);
}

lethe_result cuda_tags(const struct device_memory *memory, const struct device_key *key,
                       unsigned threads, uint8_t *tags, struct lethe_error *err)
{
    return over_chunks(memory, key, (struct purpose){.out = tags}, err);
}

lethe_result cuda_check_tags(const struct device_memory *memory, const struct device_key *key,
                             unsigned threads, const uint8_t *tags, struct lethe_error *err)
{
    return over_chunks(memory, key, (struct purpose){.known = tags}, err);
}

/* ---- segments -------------------------------------------------------------------------------- */

static struct kernel_text segment_text(const struct device_memory *memory,
                                       const struct device_segment *segment)
{
    struct kernel_text text = {.address = cuda_address_of(memory) + segment->offset_bytes,
                               .size_bytes = segment->plain_bytes};
    memcpy(text.nonce, segment->nonce, sizeof text.nonce);
    return text;
}

/* How many segments lie behind one another on both sides, all of a size. */
static size_t rows_of(const struct device_segment *segments, size_t count)
{
    const uint64_t plain = segments[0].plain_bytes, pitch = plain + DEVICE_TAG_BYTES;
    size_t rows = 1;
    if (plain == 0 || plain > CUDA_PITCH_MAX - DEVICE_TAG_BYTES)
        return 1;
    while (rows < count && segments[rows].plain_bytes == plain &&
           (uintptr_t)segments[rows].cipher == (uintptr_t)segments[0].cipher + rows * pitch &&
           segments[rows].offset_bytes == segments[0].offset_bytes + rows * plain)
        rows++;
    return rows;
}

/* Ciphertext goes where its plaintext will be. One copy for many segments: each would wait for the
 * one before. */
static lethe_result upload(const struct device_memory *memory,
                           const struct device_segment *segments, size_t count,
                           struct lethe_error *err)
{
    const struct cuda_device *device = cuda_device_of(memory);
    for (size_t first = 0, rows; first < count; first += rows) {
        const struct device_segment *segment = &segments[first];
        const cuda_address to = cuda_address_of(memory) + segment->offset_bytes;
        rows = rows_of(segment, count - first);
        if (rows > 1)
            TRY(cuda_upload_rows(
                device,
                &(struct cuda_upload_rows){.to = to,
                                           .from = segment->cipher,
                                           .from_pitch = segment->plain_bytes + DEVICE_TAG_BYTES,
                                           .row_bytes = segment->plain_bytes,
                                           .rows = rows},
                err));
        else if (segment->plain_bytes > 0)
            TRY(cuda_upload(device, to, segment->cipher, segment->plain_bytes, err));
    }
    return LETHE_OK;
}

/* *done counts segments whose tags fitted. */
static lethe_result open_some(const struct device_memory *memory, const struct work *work,
                              const struct device_segment *segments, size_t count, size_t *done,
                              struct lethe_error *err)
{
    struct kernel_text texts[SEGMENTS_AT_ONCE];
    void *computed;
    TRY(slab_alloc(TAGS_AT_ONCE * DEVICE_TAG_BYTES, &computed, err));
    CLEANUP(slab_free) void *tags = computed;
    for (size_t i = 0; i < count; i++)
        texts[i] = segment_text(memory, &segments[i]);
    TRY(upload(memory, segments, count, err));
    TRY(put_texts(work, 0, texts, count, err));
    TRY(work_on(work, count, err));
    TRY(get_tags(work, 0, count, tags, err));
    for (size_t i = 0; i < count; i++) {
        const uint8_t *known = (const uint8_t *)segments[i].cipher + segments[i].plain_bytes;
        if (!bytes_equal((const uint8_t *)tags + i * DEVICE_TAG_BYTES, known, DEVICE_TAG_BYTES))
            return error_set(err, LETHE_INTEGRITY,
                             "a segment was changed, or the key is not its own");
        (*done)++;
    }
    return LETHE_OK;
}

static lethe_result open_all(const struct device_memory *memory, const struct device_key *key,
                             const struct device_segment *segments, size_t count, size_t *done,
                             struct lethe_error *err)
{
    CLEANUP(work) struct work work = {.device = cuda_device_of(memory), .is_gcm = true};
    TRY(work_begin(&work, key, MIN(count, SEGMENTS_AT_ONCE), err));
    for (size_t first = 0; first < count; first += SEGMENTS_AT_ONCE)
        TRY(open_some(memory, &work, segments + first, MIN(count - first, SEGMENTS_AT_ONCE), done,
                      err));
    return cuda_scratch_end(&work.scratch, err);
}

/* All of them, by whatever still works. False: not known to be gone. */
static bool wipe_segments(const struct device_memory *memory, const struct device_segment *segments,
                          size_t count)
{
    const struct cuda_device *device = cuda_device_of(memory);
    bool wiped = true;
    for (size_t i = 0; i < count; i++) {
        const cuda_address address = cuda_address_of(memory) + segments[i].offset_bytes;
        if (segments[i].plain_bytes == 0 ||
            cuda_wipe(device, address, segments[i].plain_bytes, NULL) == LETHE_OK)
            continue;
        if (device->driver->memset_bytes(address, 0, segments[i].plain_bytes) != 0)
            wiped = false;
    }
    return cuda_wait(device, NULL) == LETHE_OK && wiped;
}

lethe_result cuda_open_segments(struct device_memory *memory, const struct device_key *key,
                                const struct device_segment *segments, size_t count, size_t *failed,
                                struct lethe_error *err)
{
    size_t done = 0;
    CLEANUP(cuda_leave) struct cuda_scope scope = {0};
    if (count == 0)
        return LETHE_OK;
    TRY(cuda_enter(cuda_device_of(memory), &scope, err));
    lethe_result result = open_all(memory, key, segments, count, &done, err);
    if (result == LETHE_OK)
        return result;
    *failed = done;
    if (!wipe_segments(memory, segments, count))
        return error_context(err, result, "and what was decrypted could not be wiped");
    return result;
}
