#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "residency/shard_core.h"

#define GROUP_ALIVE 0x9807be10u
#define GROUP_MEMBERS_MAX 65536u

struct lethe_group {
    struct lethe_worker *worker;
    struct lethe_seal root;
    const char *tenant; /* of the first member, for the record */
    unsigned alive;     /* GROUP_ALIVE until it is evicted */
    size_t count;
    struct lethe_shard *shards[]; /* all of them held */
};

/* ---- root ------------------------------------------------------------------------------------ */

/* SHA-256 over the members' seals as text, a newline behind each. */
static void root_digest(const struct lethe_group *group, struct sha256_stream *stream,
                        char out[SEAL_DIGEST_DIGITS + 1])
{
    char text[SEAL_TEXT_SIZE];
    uint8_t digest[SHA256_BYTES];
    for (size_t i = 0; i < group->count; i++) {
        sha256_update(stream, text, seal_text(&group->shards[i]->seal, text));
        sha256_update(stream, "\n", 1);
    }
    sha256_finish(stream, digest);
    hex_encode(digest, sizeof digest, out);
}

static lethe_result sign_root(struct lethe_group *group, struct lethe_error *err)
{
    CLEANUP(sha256_free) struct sha256_stream *stream = NULL;
    TRY(sha256_create(&stream, err));
    root_digest(group, stream, group->root.digest);
    group->root.sealed_at_s = worker_now_s(group->worker);
    snprintf(group->root.device, sizeof group->root.device, SEAL_GROUP_KIND ":%zu", group->count);
    return seal_sign(group->worker->seal_key, &group->root, err);
}

/* ---- make ------------------------------------------------------------------------------------ */

static lethe_result seal_member(struct lethe_worker *worker,
                                const struct lethe_group_member *member, struct lethe_shard **out,
                                struct lethe_error *err)
{
    if (member->bytes != NULL)
        return lethe_shard_seal(worker, &member->placement, member->bytes, member->size_bytes,
                                false, out, err);
    return lethe_shard_seal_model(worker, member->model, member->shard_index, &member->placement,
                                  out, err);
}

static lethe_result seal_members(struct lethe_group *group,
                                 const struct lethe_group_member *members, size_t count,
                                 struct lethe_error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct lethe_shard *shard = NULL;
        TRY(error_context(err, seal_member(group->worker, &members[i], &shard, err),
                          "member %zu of %zu", i + 1, count));
        lethe_result held = shard_hold(shard, err);
        REQUIRE(held == LETHE_OK); /* nobody else has it */
        group->shards[group->count++] = shard;
    }
    group->tenant = group->shards[0]->tenant;
    return LETHE_OK;
}

/* All or none (W-4): what was sealed goes again. How that went is on record. */
static void group_undo(struct lethe_group *group)
{
    if (group == NULL)
        return;
    for (size_t i = 0; i < group->count; i++) {
        shard_release(group->shards[i]);
        (void)!lethe_shard_evict(group->shards[i], NULL);
    }
    free(group);
}
DEFINE_CLEANUP(group_undo, struct lethe_group *);

static lethe_result check_group(const char *id, const struct lethe_group_member *members,
                                size_t count, struct lethe_error *err)
{
    if (id == NULL)
        return error_set(err, LETHE_INVALID, "id of a group: it needs one");
    TRY(validate_identifier("id of a group", id, IDENTIFIER_MAX, err));
    if (members == NULL || count == 0 || count > GROUP_MEMBERS_MAX)
        return error_set(err, LETHE_INVALID, "a group of %zu members: expected 1 to %u", count,
                         GROUP_MEMBERS_MAX);
    return LETHE_OK;
}

static lethe_result group_seal(struct lethe_worker *worker, const char *id,
                               const struct lethe_group_member *members, size_t count,
                               struct lethe_group **out, struct lethe_error *err)
{
    TRY(check_group(id, members, count, err));
    CLEANUP(group_undo)
    struct lethe_group *group = calloc(1, sizeof *group + count * sizeof(struct lethe_shard *));
    if (group == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a group");
    group->worker = worker;
    group->alive = GROUP_ALIVE;
    strncat(group->root.id, id, sizeof group->root.id - 1);
    TRY(error_context(err, seal_members(group, members, count, err), "group '%s'", id));
    TRY(sign_root(group, err));
    *out = MOVE(group);
    return LETHE_OK;
}

static void wipe_sources(const struct lethe_group_member *members, size_t count)
{
    for (size_t i = 0; members != NULL && i < count; i++) {
        if (members[i].wipe_source && members[i].bytes != NULL)
            lethe_wipe(members[i].bytes, members[i].size_bytes);
    }
}

lethe_result lethe_group_seal(struct lethe_worker *worker, const char *id,
                              const struct lethe_group_member *members, size_t count,
                              struct lethe_group **out, struct lethe_error *err)
{
    *out = NULL;
    lethe_result result = group_seal(worker, id, members, count, out, err);
    wipe_sources(members, count);
    return result;
}

/* ---- verify ---------------------------------------------------------------------------------- */

static lethe_result fail_root(const struct lethe_group *group, const char *actual_digest,
                              struct lethe_error *err)
{
    char subject[IDENTIFIER_MAX + 16];
    snprintf(subject, sizeof subject, "group '%s'", group->root.id);
    const struct worker_failure failure = {
        .subject = subject,
        .id = group->root.id,
        .tenant = group->tenant,
        .device = device_of(group->shards[0]->memory),
        .reason = "its root is not the one that was sealed",
        .expected_digest = group->root.digest,
        .actual_digest = actual_digest,
    };
    return worker_fail(group->worker, &failure, err);
}

static lethe_result verify_root(const struct lethe_group *group, struct lethe_error *err)
{
    CLEANUP(sha256_free) struct sha256_stream *stream = NULL;
    char digest[SEAL_DIGEST_DIGITS + 1];
    TRY(sha256_create(&stream, err));
    root_digest(group, stream, digest);
    lethe_result result = seal_check(group->worker->seal_key, &group->root, err);
    if (result == LETHE_OK && bytes_equal(digest, group->root.digest, SEAL_DIGEST_DIGITS))
        return LETHE_OK;
    return result == LETHE_OK || result == LETHE_INTEGRITY ? fail_root(group, digest, err) : result;
}

lethe_result lethe_group_verify(struct lethe_group *group, enum lethe_verify_mode mode,
                                struct lethe_error *err)
{
    REQUIRE(group->alive == GROUP_ALIVE);
    TRY(verify_mode_check(mode, err));
    TRY(worker_check(group->worker, err));
    for (size_t i = 0; i < group->count; i++)
        TRY(error_context(err, lethe_shard_verify(group->shards[i], mode, err), "group '%s'",
                          group->root.id));
    return verify_root(group, err);
}

/* ---- use and evict --------------------------------------------------------------------------- */

struct lethe_shard *const *lethe_group_shards(const struct lethe_group *group, size_t *count)
{
    REQUIRE(group->alive == GROUP_ALIVE);
    *count = group->count;
    return group->shards;
}

void lethe_group_get_seal(const struct lethe_group *group, struct lethe_seal *out)
{
    REQUIRE(group->alive == GROUP_ALIVE);
    *out = group->root;
}

lethe_result lethe_group_evict(struct lethe_group *group, struct lethe_error *err)
{
    if (group == NULL)
        return LETHE_OK;
    REQUIRE(group->alive == GROUP_ALIVE);
    lethe_result result;
    TRY(shards_evict(group->shards, group->count, 1, &result, err));
    mark_freed(&group->alive);
    free(group);
    return result;
}
