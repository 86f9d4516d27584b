#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "residency/inside.h"

/* A thread more is worth starting for so many bytes. */
#define BYTES_PER_THREAD ((uint64_t)16 << 20)

static const char *const mode_names[VERIFY_MODES] = {
    [LETHE_VERIFY_DEFAULT] = "default",
    [LETHE_VERIFY_FULL] = "full",
    [LETHE_VERIFY_FAST] = "fast",
    [LETHE_VERIFY_SIGNATURE] = "signature",
};

const char *lethe_verify_mode_name(enum lethe_verify_mode mode)
{
    return (size_t)mode < VERIFY_MODES ? mode_names[mode] : "unknown";
}

/* The contract's re-verification is the full digest; and what has no tags has nothing else. */
enum lethe_verify_mode shard_verify_mode(const struct lethe_shard *shard,
                                         enum lethe_verify_mode mode)
{
    if (mode == LETHE_VERIFY_SIGNATURE)
        return mode;
    if (shard->worker->profile == LETHE_SEAL_CONTRACT)
        return LETHE_VERIFY_FULL;
    if (mode == LETHE_VERIFY_DEFAULT)
        return device_memory_is_host(shard->memory) ? LETHE_VERIFY_FAST : LETHE_VERIFY_FULL;
    return mode;
}

lethe_result verify_mode_check(enum lethe_verify_mode mode, struct lethe_error *err)
{
    if ((size_t)mode < VERIFY_MODES)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "there is no verification of number %d", (int)mode);
}

enum device_digest shard_digest_kind(const struct lethe_shard *shard)
{
    return shard->worker->profile == LETHE_SEAL_CONTRACT ? DEVICE_SHA256 : DEVICE_FSVERITY;
}

static unsigned threads_for(const struct lethe_shard *shard)
{
    return (unsigned)MIN(shard->worker->threads, shard->size_bytes / BYTES_PER_THREAD + 1);
}

/* ---- the three checks ------------------------------------------------------------------------ */

static lethe_result digest_now(const struct lethe_shard *shard, char out[SEAL_DIGEST_DIGITS + 1],
                               struct lethe_error *err)
{
    uint8_t digest[DEVICE_DIGEST_BYTES];
    out[0] = '\0';
    TRY(device_digest(shard->memory, shard_digest_kind(shard), threads_for(shard), digest, err));
    hex_encode(digest, sizeof digest, out);
    return LETHE_OK;
}

static lethe_result check_digest(const struct lethe_shard *shard, struct lethe_error *err)
{
    char digest[SEAL_DIGEST_DIGITS + 1];
    TRY(digest_now(shard, digest, err));
    if (bytes_equal(digest, shard->seal.digest, SEAL_DIGEST_DIGITS))
        return LETHE_OK;
    return error_set(err, LETHE_INTEGRITY, "the digest of what is there is not the sealed one");
}

/* The seal first: a digest that was put there by somebody says nothing. */
static lethe_result check(const struct lethe_shard *shard, enum lethe_verify_mode mode,
                          struct lethe_error *err)
{
    TRY(seal_check(shard->worker->seal_key, &shard->seal, err));
    switch (mode) {
    case LETHE_VERIFY_FULL:
        return check_digest(shard, err);
    case LETHE_VERIFY_FAST:
        return seal_tags_check(shard->tags, shard->memory, threads_for(shard), err);
    default:
        return LETHE_OK;
    }
}

/* ---- what comes of them ---------------------------------------------------------------------- */

static lethe_result fail(const struct lethe_shard *shard, const char *reason,
                         struct lethe_error *err)
{
    char subject[IDENTIFIER_MAX + 16];
    char actual[SEAL_DIGEST_DIGITS + 1];
    device_quarantine(device_of(shard->memory)); /* before what takes time */
    atomic_store(&shard->worker->phase, PHASE_FAILED);
    (void)!digest_now(shard, actual, NULL);
    snprintf(subject, sizeof subject, "shard '%s'", shard->id);
    const struct worker_failure failure = {.subject = subject,
                                           .id = shard->id,
                                           .tenant = shard->tenant,
                                           .device = device_of(shard->memory),
                                           .reason = reason,
                                           .expected_digest = shard->seal.digest,
                                           .actual_digest = actual};
    return worker_fail(shard->worker, &failure, err);
}

static void note_verified(struct lethe_shard *shard, enum lethe_verify_mode mode)
{
    struct lethe_worker *worker = shard->worker;
    count_one(&worker->counters.verified[mode]);
    if (mode == LETHE_VERIFY_SIGNATURE)
        return; /* says nothing about the weights */
    uint64_t now_s = worker_now_s(worker);
    pthread_mutex_lock(&worker->lock);
    shard->verified_mode = mode;
    shard->verified_at_s = now_s;
    if (mode == LETHE_VERIFY_FULL)
        shard->turn = ++worker->turns;
    pthread_mutex_unlock(&worker->lock);
}

/* Only a wrong seal or wrong bytes are a failed verification: without memory to verify with, or
 * with a device that does not answer, the caller does not get to execute, and may try again. */
static lethe_result verify_read(struct lethe_shard *shard, enum lethe_verify_mode mode,
                                struct lethe_error *err)
{
    struct lethe_error why = {0};
    lethe_result result = check(shard, mode, &why);
    if (result == LETHE_OK) {
        note_verified(shard, mode);
        return worker_check(shard->worker, err); /* may have been stopped meanwhile */
    }
    count_one(&shard->worker->counters.verification_failures[mode]);
    if (result == LETHE_INTEGRITY)
        return fail(shard, why.text, err);
    if (err != NULL)
        *err = why;
    return error_context(err, result, "verifying shard '%s'", shard->id);
}

lethe_result shard_verify(struct lethe_shard *shard, enum lethe_verify_mode mode,
                          struct lethe_error *err)
{
    TRY(worker_check(shard->worker, err));
    TRY(shard_read_begin(shard, err));
    lethe_result result = verify_read(shard, shard_verify_mode(shard, mode), err);
    shard_read_end(shard);
    return result;
}

void shard_record_verified(const struct lethe_shard *shard, enum lethe_verify_mode mode,
                           uint64_t count)
{
    const char *done = lethe_verify_mode_name(shard_verify_mode(shard, mode));
    const struct audit_event event =
        audit_seal_verified(shard->id, shard->worker->name, done, count);
    worker_emit(shard->worker, shard->tenant, "", &event);
}

lethe_result lethe_shard_verify(struct lethe_shard *shard, enum lethe_verify_mode mode,
                                struct lethe_error *err)
{
    REQUIRE(shard->alive == SHARD_ALIVE);
    TRY(verify_mode_check(mode, err));
    TRY(worker_check(shard->worker, err));
    TRY(shard_read_begin(shard, err));
    lethe_result result = verify_read(shard, shard_verify_mode(shard, mode), err);
    if (result == LETHE_OK)
        shard_record_verified(shard, mode, 1);
    shard_read_end(shard);
    return result;
}

lethe_result lethe_seal_check(const struct lethe_worker *worker, const struct lethe_seal *seal,
                              struct lethe_error *err)
{
    TRY(seal_validate(seal, err));
    return seal_check(worker->seal_key, seal, err);
}

/* ---- in the background ----------------------------------------------------------------------- */

/* Being read: it cannot be evicted meanwhile. */
static struct lethe_shard *take_oldest(struct lethe_worker *worker)
{
    struct lethe_shard *shard;
    struct lethe_shard *oldest = NULL;
    pthread_mutex_lock(&worker->lock);
    TAILQ_FOREACH(shard, &worker->shards, link)
    {
        if (shard->phase == SHARD_SEALED && (oldest == NULL || shard->turn < oldest->turn))
            oldest = shard;
    }
    if (oldest != NULL)
        oldest->readers++;
    pthread_mutex_unlock(&worker->lock);
    return oldest;
}

lethe_result lethe_worker_scrub(struct lethe_worker *worker, struct lethe_error *err)
{
    TRY(worker_check(worker, err));
    struct lethe_shard *shard = take_oldest(worker);
    if (shard == NULL)
        return error_set(err, LETHE_NOT_FOUND, "worker %s has no shards", worker->name);
    lethe_result result = verify_read(shard, LETHE_VERIFY_FULL, err);
    if (result == LETHE_OK)
        shard_record_verified(shard, LETHE_VERIFY_FULL, 1);
    shard_read_end(shard);
    return result;
}
