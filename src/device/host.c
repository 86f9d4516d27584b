/* Host RAM as a device: guarded regions, in huge pages where they are large enough. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "base/error.h"
#include "base/thread.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/tree.h"
#include "device/ops.h"
#include "mem/region.h"

static size_t count(const char **why)
{
    return 1;
}

static lethe_result look(uint64_t *total_bytes, uint64_t *free_bytes, struct lethe_error *err)
{
    struct sysinfo system;
    if (sysinfo(&system) != 0)
        return error_from_errno(err, "asking how much memory there is");
    *total_bytes = (uint64_t)system.totalram * system.mem_unit;
    *free_bytes = (uint64_t)(system.freeram + system.bufferram) * system.mem_unit;
    return LETHE_OK;
}

static lethe_result host_open(struct device *device, struct lethe_error *err)
{
    uint64_t free_bytes;
    return look(&device->total_bytes, &free_bytes, err);
}

static lethe_result info(struct device *device, struct device_info *out, struct lethe_error *err)
{
    snprintf(out->model, sizeof out->model, "main memory");
    return look(&out->total_bytes, &out->free_bytes, err);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static uint8_t *bytes_of(const struct device_memory *memory)
{
    return lethe_region_bytes(memory->private);
}

static lethe_result host_alloc(struct device_memory *memory, const struct device_request *request,
                               struct lethe_error *err)
{
    const struct lethe_region_options options = {.class_ = request->class_,
                                                 .optional = request->optional,
                                                 .label = request->label,
                                                 .huge_pages = true};
    struct lethe_region *region;
    if (request->size_bytes > SIZE_MAX)
        return error_set(err, LETHE_NO_MEMORY, "more than can be addressed");
    TRY(lethe_region_create((size_t)request->size_bytes, &options, &region, err));
    memory->private = region;
    return LETHE_OK;
}

static lethe_result host_free(struct device_memory *memory, struct lethe_error *err)
{
    return region_retire(memory->private, err);
}

static void *address(struct device_memory *memory)
{
    return bytes_of(memory);
}

static lethe_result host_write(struct device_memory *memory, uint64_t offset, const void *bytes,
                               uint64_t size_bytes, struct lethe_error *err)
{
    if (size_bytes > 0) /* of nothing, there may be no address */
        memcpy(bytes_of(memory) + offset, bytes, (size_t)size_bytes);
    return LETHE_OK;
}

static lethe_result host_read(const struct device_memory *memory, uint64_t offset, void *out,
                              uint64_t size_bytes, struct lethe_error *err)
{
    if (size_bytes > 0)
        memcpy(out, bytes_of(memory) + offset, (size_t)size_bytes);
    return LETHE_OK;
}

static lethe_result host_wipe(struct device_memory *memory, uint64_t offset, uint64_t size_bytes,
                              struct lethe_error *err)
{
    uint8_t *range = bytes_of(memory) + offset;
    lethe_wipe(range, (size_t)size_bytes);
    if (lethe_is_zero(range, (size_t)size_bytes))
        return LETHE_OK;
    return error_set(err, LETHE_UNWIPED, "%" PRIu64 " bytes were wiped but are not zero",
                     size_bytes);
}

static lethe_result host_is_zero(const struct device_memory *memory, uint64_t offset,
                                 uint64_t size_bytes, bool *is_zero, struct lethe_error *err)
{
    *is_zero = lethe_is_zero(bytes_of(memory) + offset, (size_t)size_bytes);
    return LETHE_OK;
}

static lethe_result set_read_only(struct device_memory *memory, bool read_only,
                                  struct lethe_error *err)
{
    region_set_read_only(memory->private, read_only);
    return LETHE_OK;
}

/* ---- digest and authenticate ----------------------------------------------------------------- */

static lethe_result digest(const struct device_memory *memory, enum device_digest kind,
                           unsigned threads, uint8_t *out, struct lethe_error *err)
{
    if (kind == DEVICE_FSVERITY)
        return tree_digest(bytes_of(memory), (size_t)memory->size_bytes, threads, out, err);
    sha256(bytes_of(memory), (size_t)memory->size_bytes, out);
    return LETHE_OK;
}

static lethe_result key_create(struct device_key *key, const struct lethe_secret *bytes,
                               struct lethe_error *err)
{
    struct aead_key *aead;
    TRY(aead_key_create(lethe_secret_bytes_const(bytes), lethe_secret_size(bytes),
                        AEAD_BACKEND_BEST, &aead, err));
    key->private = aead;
    return LETHE_OK;
}

static void key_clear(struct device_key *key)
{
    aead_key_free(key->private);
}

/* Chunks of one memory, shared out among threads. */
struct chunks {
    const struct device_memory *memory;
    const struct aead_key *key;
    uint8_t *tags;        /* to be filled; or NULL */
    const uint8_t *known; /* to be compared with   */
    atomic_uint_fast64_t next;
    atomic_bool failed; /* the others need not go on */
};

static lethe_result chunk_tag(const struct chunks *chunks, uint64_t index, uint8_t *tag,
                              struct lethe_error *err)
{
    uint8_t nonce[AEAD_NONCE_BYTES];
    device_chunk_nonce(index, nonce);
    uint64_t offset = index * DEVICE_CHUNK_BYTES;
    uint64_t size_bytes = MIN(DEVICE_CHUNK_BYTES, chunks->memory->size_bytes - offset);
    lethe_result result =
        aead_gmac(chunks->key, nonce, bytes_of(chunks->memory) + offset, (size_t)size_bytes, tag);
    return result == LETHE_OK ? result : error_set(err, result, "authenticating a chunk failed");
}

/* What it should have been would be worth something to a forger. */
static lethe_result chunk_check(const struct chunks *chunks, uint64_t index,
                                struct lethe_error *err)
{
    uint8_t tag[DEVICE_TAG_BYTES];
    TRY(chunk_tag(chunks, index, tag, err));
    bool fits = bytes_equal(tag, chunks->known + index * DEVICE_TAG_BYTES, sizeof tag);
    lethe_wipe(tag, sizeof tag);
    if (fits)
        return LETHE_OK;
    return error_set(err, LETHE_INTEGRITY,
                     "bytes %" PRIu64 " to %" PRIu64 " are not what was sealed",
                     index * DEVICE_CHUNK_BYTES,
                     MIN((index + 1) * DEVICE_CHUNK_BYTES, chunks->memory->size_bytes));
}

static lethe_result chunks_worker(void *context, unsigned worker, struct lethe_error *err)
{
    struct chunks *chunks = context;
    uint64_t count = device_chunk_count(chunks->memory->size_bytes);
    while (!atomic_load(&chunks->failed)) {
        uint64_t index = atomic_fetch_add(&chunks->next, 1);
        if (index >= count)
            break;
        lethe_result result =
            chunks->tags != NULL
                ? chunk_tag(chunks, index, chunks->tags + index * DEVICE_TAG_BYTES, err)
                : chunk_check(chunks, index, err);
        if (result != LETHE_OK) {
            atomic_store(&chunks->failed, true);
            return result;
        }
    }
    return LETHE_OK;
}

static lethe_result chunks_run(struct chunks *chunks, unsigned threads, struct lethe_error *err)
{
    uint64_t count = device_chunk_count(chunks->memory->size_bytes);
    return threads_run((unsigned)MIN(MIN(threads, count), THREADS_MAX), chunks_worker, chunks, err);
}

static lethe_result tags(const struct device_memory *memory, const struct device_key *key,
                         unsigned threads, uint8_t *out, struct lethe_error *err)
{
    struct chunks chunks = {.memory = memory, .key = key->private, .tags = out};
    return chunks_run(&chunks, threads, err);
}

static lethe_result check_tags(const struct device_memory *memory, const struct device_key *key,
                               unsigned threads, const uint8_t *known, struct lethe_error *err)
{
    struct chunks chunks = {.memory = memory, .key = key->private, .known = known};
    return chunks_run(&chunks, threads, err);
}

/* ---- decrypt --------------------------------------------------------------------------------- */

static lethe_result open_segment(struct device_memory *memory, const struct device_key *key,
                                 const struct device_segment *segment)
{
    const struct aead_message message = {.nonce = segment->nonce,
                                         .in = segment->cipher,
                                         .out = bytes_of(memory) + segment->offset_bytes,
                                         .size_bytes = (size_t)segment->plain_bytes};
    return aead_open(key->private, &message,
                     (const uint8_t *)segment->cipher + segment->plain_bytes);
}

static lethe_result open_segments(struct device_memory *memory, const struct device_key *key,
                                  const struct device_segment *segments, size_t count,
                                  size_t *failed, struct lethe_error *err)
{
    for (size_t i = 0; i < count; i++) {
        lethe_result result = open_segment(memory, key, &segments[i]);
        if (result == LETHE_OK)
            continue;
        for (size_t done = 0; done < i; done++)
            lethe_wipe(bytes_of(memory) + segments[done].offset_bytes,
                       (size_t)segments[done].plain_bytes);
        *failed = i;
        return error_set(err, result, "a segment was changed, or the key is not its own");
    }
    return LETHE_OK;
}

const struct device_ops device_ops_host = {
    .kind_name = "host",
    .count = count,
    .open = host_open,
    .info = info,
    .segments_at_once = 1,
    .is_host = true,
    .alloc = host_alloc,
    .free = host_free,
    .address = address,
    .write = host_write,
    .read = host_read,
    .wipe = host_wipe,
    .is_zero = host_is_zero,
    .set_read_only = set_read_only,
    .digest = digest,
    .key_create = key_create,
    .key_clear = key_clear,
    .tags = tags,
    .check_tags = check_tags,
    .open_segments = open_segments,
};
