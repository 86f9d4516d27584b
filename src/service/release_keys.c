/* Keys are opened one by one into guarded memory, and leave it sealed to the requester's key. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "kms/transit.h"
#include "service/policies.h"
#include "service/release.h"

#define UNVERSIONED 0u

/* ---- records --------------------------------------------------------------------------------- */

static const char *policy_digest(const struct release *release)
{
    return policies_digest(call_service(release->call)->policies);
}

static const char *evidence_digest(const struct release *release)
{
    return release->evidence.digest[0] != '\0' ? release->evidence.digest : NULL;
}

/* A record names every shard: what does not fit goes into the next one. */
struct tally {
    const struct release *release;
    uint64_t version;
    size_t count;
    char shards[AUDIT_TEXT_MAX];
};

static void flush(struct tally *tally)
{
    const struct release *release = tally->release;
    if (tally->count == 0)
        return;
    const struct audit_event event = audit_key_released(
        release->key, tally->version, release->request.purpose, call_caller(release->call)->name,
        evidence_digest(release), policy_digest(release), tally->shards);
    call_record(release->call, &event);
    tally->shards[0] = '\0';
    tally->count = 0;
}

static void add(struct tally *tally, uint64_t version, const char *shard)
{
    size_t used = strlen(tally->shards);
    if (used + 1 + strlen(shard) >= sizeof tally->shards || version != tally->version)
        flush(tally);
    used = strlen(tally->shards);
    tally->version = version;
    tally->count++;
    snprintf(tally->shards + used, sizeof tally->shards - used, "%s%s", used > 0 ? "," : "", shard);
}

/* Once every key was opened: nothing of a release that failed is on record as released. */
static void record_released(const struct release *release)
{
    struct release_shard shard;
    struct tally tally = {.release = release};
    struct json_walk walk = json_walk_over(&release->request.shards);
    while (release_shard_next(&walk, &shard, NULL) == LETHE_OK) {
        uint64_t version = UNVERSIONED;
        (void)!transit_version(shard.wrapped, &version, NULL); /* it opened, so it has one */
        add(&tally, version, shard.id);
    }
    flush(&tally);
}

static void count(const struct release *release, const char *code)
{
    attested_count(call_service(release->call)->attested, code);
}

static void record_attestation(const struct release *release)
{
    const char *kind = attest_kind_name(release->evidence.kind);
    const char *who = call_caller(release->call)->name;
    const char *digest = release->evidence.digest;
    const struct audit_event event =
        release_is_attested(release) ? audit_attestation_verified(kind, who, digest)
                                     : audit_attestation_failed(kind, who, digest, release->code);
    call_record(release->call, &event);
}

void release_record_denied(const struct release *release)
{
    char shards[32];
    if (release->reason == RELEASE_NONE)
        return;
    count(release, release->code);
    if (release->reason >= RELEASE_EVIDENCE || release->claims.verified)
        record_attestation(release);
    snprintf(shards, sizeof shards, "%zu in all", release->request.shard_count);
    const struct audit_event event = audit_key_denied(
        release->key, UNVERSIONED, release->request.purpose, call_caller(release->call)->name,
        evidence_digest(release), policy_digest(release), shards, release->code);
    call_record(release->call, &event);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static lethe_result open_key(const struct release *release, const struct release_shard *shard,
                             struct guarded *keys, struct lethe_error *err)
{
    uint64_t version;
    const struct engine_use use = {
        .name = release->key,
        .input = {shard->wrapped, strlen(shard->wrapped)},
        .aad = {shard->aad_bytes > 0 ? shard->aad : NULL, shard->aad_bytes},
    };
    size_t at = keys->size_bytes;
    if (guarded_extend(keys, sizeof(uint32_t)) == NULL)
        return guarded_result(keys, err);
    TRY(engine_decrypt(call_service(release->call)->engine, &use, keys, &version, err));
    uint32_t size_bytes = (uint32_t)(keys->size_bytes - at - sizeof size_bytes);
    const uint8_t length[] = {(uint8_t)size_bytes, (uint8_t)(size_bytes >> 8),
                              (uint8_t)(size_bytes >> 16), (uint8_t)(size_bytes >> 24)};
    memcpy(keys->bytes + at, length, sizeof length);
    return guarded_result(keys, err);
}

static lethe_result open_keys(const struct release *release, struct guarded *keys,
                              struct lethe_error *err)
{
    struct release_shard shard;
    struct json_walk walk = json_walk_over(&release->request.shards);
    for (size_t i = 0;; i++) {
        lethe_result result = release_shard_next(&walk, &shard, err);
        if (result == LETHE_NOT_FOUND)
            return LETHE_OK;
        TRY(result);
        result = open_key(release, &shard, keys, err);
        if (result != LETHE_OK)
            return error_context(err, result, "shard %zu of %zu", i + 1,
                                 release->request.shard_count);
    }
}

static lethe_result refuse(struct release *release, enum release_reason reason,
                           const struct lethe_error *why, struct lethe_error *err)
{
    release->reason = reason;
    release->code = release_reason_code(reason);
    snprintf(release->why, sizeof release->why, "%s", why->text);
    return error_set(err, LETHE_DENIED, "%s: %s", release->code, release->why);
}

/* What of it concerns the one who asks, and not the service. */
static bool is_the_callers(lethe_result result)
{
    return result == LETHE_NOT_FOUND || result == LETHE_REVOKED || result == LETHE_INVALID ||
           result == LETHE_MALFORMED || result == LETHE_INTEGRITY;
}

/* The machine, and the chip whose report vouches for it. */
static lethe_result note_machines(struct release *release, struct lethe_error *err)
{
    char name[MACHINE_NAME_MAX + 1];
    struct attested *attested = call_service(release->call)->attested;
    const struct machine *chip = release_chip(release);
    if (chip != NULL) {
        strcpy(name, chip->name); /* the change moves what is borrowed */
        TRY(machines_note(attested, name, &release->claims, err));
    }
    if (release->machine == NULL)
        return LETHE_OK;
    return machines_note(attested, release->machine->name, &release->claims, err);
}

static lethe_result open_or_refuse(struct release *release, struct guarded *keys,
                                   struct lethe_error *err)
{
    struct lethe_error why = {0};
    lethe_result result = open_keys(release, keys, &why);
    if (is_the_callers(result))
        return refuse(release, RELEASE_KEY_UNUSABLE, &why, err);
    return result == LETHE_OK ? LETHE_OK : error_set(err, result, "%s", why.text);
}

static lethe_result seal_keys(struct release *release, const struct guarded *keys,
                              uint8_t encapsulated[HPKE_ENCAPSULATED_BYTES], struct buffer *cipher,
                              struct lethe_error *err)
{
    struct lethe_error why = {0};
    const struct hpke_context context = {.info = release->binding,
                                         .info_bytes = sizeof release->binding,
                                         .aad = ATTEST_KEYS_AAD,
                                         .aad_bytes = strlen(ATTEST_KEYS_AAD)};
    lethe_result result =
        hpke_seal(release->public_bytes, &context, keys, encapsulated, cipher, &why);
    if (result == LETHE_INVALID)
        return refuse(release, RELEASE_REQUEST_MALFORMED, &why, err);
    return result == LETHE_OK ? LETHE_OK : error_set(err, result, "%s", why.text);
}

lethe_result release_try_keys(struct release *release, struct lethe_error *err)
{
    struct guarded *keys = attested_keys(call_service(release->call)->attested);
    lethe_result result = open_or_refuse(release, keys, err);
    guarded_wipe(keys);
    return result;
}

lethe_result release_keys(struct release *release, uint8_t encapsulated[HPKE_ENCAPSULATED_BYTES],
                          struct buffer *cipher, struct lethe_error *err)
{
    struct guarded *keys = attested_keys(call_service(release->call)->attested);
    lethe_result result = open_or_refuse(release, keys, err);
    if (result == LETHE_OK)
        result = seal_keys(release, keys, encapsulated, cipher, err);
    guarded_wipe(keys);
    TRY(result);
    TRY(note_machines(release, err));
    record_attestation(release);
    record_released(release);
    count(release, release_reason_code(RELEASE_NONE));
    return LETHE_OK;
}
