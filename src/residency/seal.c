/* Shards are filled, looked at where they are, and signed. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "residency/shard_core.h"

/* No failed verification, as nothing had been sealed: the worker goes on. */
static lethe_result refuse_digest(const struct lethe_shard *shard, const char *expected,
                                  const char *found, struct lethe_error *err)
{
    struct lethe_error log_err = {0};
    const struct audit_event event =
        audit_integrity_violation(shard->id, "its digest is not the expected one");
    lethe_result recorded = worker_commit(shard->worker, shard->tenant, &event, &log_err);
    error_set(err, LETHE_INTEGRITY, "its digest is %s, and %s was expected", found, expected);
    if (recorded != LETHE_OK)
        error_hint(err, "this is not on record: %.160s", log_err.text);
    return LETHE_INTEGRITY;
}

/* A manifest knows fs-verity digests only, whatever the seal says. */
static lethe_result check_manifest(const struct lethe_shard *shard, const uint8_t *expected,
                                   const uint8_t *sealed, struct lethe_error *err)
{
    uint8_t digest[DEVICE_DIGEST_BYTES];
    if (shard_digest_kind(shard) == DEVICE_FSVERITY)
        memcpy(digest, sealed, sizeof digest);
    else
        TRY(device_digest(shard->memory, DEVICE_FSVERITY, shard->worker->threads, digest, err));
    if (bytes_equal(digest, expected, sizeof digest))
        return LETHE_OK;
    char expected_text[SEAL_DIGEST_DIGITS + 1];
    char found_text[SEAL_DIGEST_DIGITS + 1];
    hex_encode(expected, DEVICE_DIGEST_BYTES, expected_text);
    hex_encode(digest, sizeof digest, found_text);
    return refuse_digest(shard, expected_text, found_text, err);
}

static lethe_result take_digest(const struct lethe_shard *shard, const struct shard_source *source,
                                char out[SEAL_DIGEST_DIGITS + 1], struct lethe_error *err)
{
    uint8_t digest[DEVICE_DIGEST_BYTES];
    TRY(device_digest(shard->memory, shard_digest_kind(shard), shard->worker->threads, digest,
                      err));
    hex_encode(digest, sizeof digest, out);
    if (source->manifest_digest != NULL)
        TRY(check_manifest(shard, source->manifest_digest, digest, err));
    if (source->expected_digest == NULL ||
        bytes_equal(source->expected_digest, out, SEAL_DIGEST_DIGITS))
        return LETHE_OK;
    return refuse_digest(shard, source->expected_digest, out, err);
}

/* CI-004: digest and tags are of what the device holds now. The tags come first: whatever somebody
 * writes in between is then not what they say, nor is it what was expected. */
static lethe_result seal_memory(struct lethe_shard *shard, const struct shard_source *source,
                                struct lethe_seal *out, struct lethe_error *err)
{
    struct lethe_worker *worker = shard->worker;
    TRY(device_set_read_only(shard->memory, true, err));
    if (worker->profile == LETHE_SEAL)
        TRY(seal_tags_create(shard->memory, worker->threads, &shard->tags, err));
    *out = (struct lethe_seal){.sealed_at_s = worker_now_s(worker)};
    memcpy(out->id, shard->id, sizeof out->id);
    snprintf(out->device, sizeof out->device, "%s", device_name(device_of(shard->memory)));
    TRY(take_digest(shard, source, out->digest, err));
    return seal_sign(worker->seal_key, out, err);
}

static lethe_result fill_and_seal(struct lethe_shard *shard, const struct shard_source *source,
                                  struct lethe_seal *out, struct lethe_error *err)
{
    struct lethe_worker *worker = shard->worker;
    const struct worker_request request = {.device = shard->device_index,
                                           .id = shard->id,
                                           .tenant = shard->tenant,
                                           .class_ = shard->class_,
                                           .size_bytes = source->size_bytes};
    TRY(worker_alloc(worker, &request, &shard->memory, err));
    TRY(source->fill(source, shard->memory, worker->threads, err));
    TRY(seal_memory(shard, source, out, err));
    return worker_check(worker, err); /* may have been stopped meanwhile */
}

static void publish(struct lethe_shard *shard, const struct lethe_seal *seal)
{
    struct lethe_worker *worker = shard->worker;
    uint64_t size_bytes = device_memory_size(shard->memory);
    const char *mode = lethe_verify_mode_name(shard_verify_mode(shard, LETHE_VERIFY_DEFAULT));
    const struct audit_event event =
        audit_vram_sealed(seal->id, seal->device, size_bytes, seal->digest, worker->name, mode);
    worker_emit(worker, shard->tenant, "", &event);
    count_one(&worker->counters.sealed);
    pthread_mutex_lock(&worker->lock);
    shard->seal = *seal;
    shard->size_bytes = size_bytes;
    shard->turn = ++worker->turns;
    shard->verified_mode = LETHE_VERIFY_DEFAULT;
    shard->verified_at_s = 0;
    shard->phase = SHARD_SEALED;
    pthread_mutex_unlock(&worker->lock);
}

/* What could not be sealed is gone, and the record of its memory says how. */
static lethe_result seal_or_drop(struct lethe_shard **shard, const struct shard_source *source,
                                 struct lethe_error *err)
{
    struct lethe_seal seal;
    lethe_result result = fill_and_seal(*shard, source, &seal, err);
    if (result == LETHE_OK) {
        publish(*shard, &seal);
        return LETHE_OK;
    }
    count_one(&(*shard)->worker->counters.seal_failures);
    error_context(err, result, "shard '%s'", (*shard)->id);
    (void)!shard_drop(MOVE(*shard), NULL);
    return result;
}

lethe_result shard_seal(struct lethe_worker *worker, const struct lethe_placement *placement,
                        const struct shard_source *source, struct lethe_shard **out,
                        struct lethe_error *err)
{
    *out = NULL;
    TRY(worker_check(worker, err));
    TRY(placement_check(placement, err));
    TRY(shard_size_check(worker, placement->id, source->size_bytes, err));
    TRY(shard_create(worker, placement, out, err));
    return seal_or_drop(out, source, err);
}

/* ---- from bytes ------------------------------------------------------------------------------ */

static lethe_result fill_from_bytes(const struct shard_source *source, struct device_memory *memory,
                                    unsigned threads, struct lethe_error *err)
{
    return device_write(memory, 0, source->bytes, source->size_bytes, err);
}

static lethe_result check_bytes(const void *bytes, struct lethe_error *err)
{
    return bytes != NULL ? LETHE_OK : error_set(err, LETHE_INVALID, "bytes: there are none");
}

static lethe_result seal_bytes(struct lethe_worker *worker, const struct lethe_placement *placement,
                               const struct shard_source *source, struct lethe_shard **out,
                               struct lethe_error *err)
{
    TRY(check_bytes(source->bytes, err));
    return shard_seal(worker, placement, source, out, err);
}

lethe_result lethe_shard_seal(struct lethe_worker *worker, const struct lethe_placement *placement,
                              void *bytes, size_t size_bytes, bool wipe_source,
                              struct lethe_shard **out, struct lethe_error *err)
{
    const struct shard_source source = {.fill = fill_from_bytes,
                                        .size_bytes = size_bytes,
                                        .expected_digest = placement->expected_digest,
                                        .bytes = bytes};
    *out = NULL;
    lethe_result result = seal_bytes(worker, placement, &source, out, err);
    if (wipe_source && bytes != NULL)
        lethe_wipe(bytes, size_bytes);
    return result;
}

/* ---- replace --------------------------------------------------------------------------------- */

static lethe_result check_replacement(struct lethe_shard *shard, const struct shard_source *source,
                                      struct lethe_error *err)
{
    TRY(worker_check(shard->worker, err));
    TRY(check_bytes(source->bytes, err));
    return shard_size_check(shard->worker, shard->id, source->size_bytes, err);
}

/* Z-5: the old content is gone before the memory for the new one is even there. */
static lethe_result wipe_old(struct lethe_shard *shard, struct lethe_error *err)
{
    uint64_t old_bytes = shard->size_bytes;
    lethe_result result = shard_empty(shard, err);
    const struct audit_event event = audit_checkpoint_replaced(
        lethe_class_name(shard->class_), shard->id, old_bytes, result == LETHE_OK);
    worker_emit(shard->worker, shard->tenant, "", &event);
    shard_count_evicted(shard->worker, result);
    return result;
}

static lethe_result replace(struct lethe_shard **shard, const struct shard_source *source,
                            struct lethe_error *err)
{
    TRY(check_replacement(*shard, source, err));
    TRY(shards_leave(shard, 1, 0, err));
    lethe_result result = wipe_old(*shard, err);
    if (result == LETHE_OK)
        return seal_or_drop(shard, source, err);
    (void)!shard_drop(MOVE(*shard), NULL);
    return result;
}

lethe_result lethe_shard_replace(struct lethe_shard **shard, void *bytes, size_t size_bytes,
                                 bool wipe_source, struct lethe_error *err)
{
    const struct shard_source source = {
        .fill = fill_from_bytes, .size_bytes = size_bytes, .bytes = bytes};
    REQUIRE((*shard)->alive == SHARD_ALIVE);
    lethe_result result = replace(shard, &source, err);
    if (wipe_source && bytes != NULL)
        lethe_wipe(bytes, size_bytes);
    return result;
}
