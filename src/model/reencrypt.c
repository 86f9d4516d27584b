/* A model under new data keys: decrypted and encrypted anew, shard after shard, into a directory
 * beside it that outlives a failure. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "model/reencrypt.h"
#include "model/seal.h"
#include "model/signing.h"

/* What is finished is put on the state this often: work that a death can cost, against two syncs.
 */
#define RECORD_BYTES ((uint64_t)64 << 20)
#define RECORD_SHARDS 64u
#define RECORD_NS ((uint64_t)1000000000)
/* Keys that are rotated during the work make it begin again for their shards, this often. */
#define ROUNDS_MAX 4u

static void reencryption_clear_at_scope_end(struct reencryption *r)
{
    for (size_t i = 0; r->done != NULL && i < r->manifest->count; i++)
        free(r->done[i].digests);
    free(r->done);
    free(r->skip);
    fd_close(r->shards_fd);
    fd_close(r->model_fd);
    unfinished_file_clear(&r->state);
    sibling_discard(&r->place);
    oms_list_clear(&r->signed_list);
    buffer_clear(&r->manifest_text);
    manifest_free(r->manifest);
    model_close(r->old);
}

/* ---- the old model, and what the new one will be --------------------------------------------- */

/* LETHE_REVOKED, before anything is done: there is nothing newer to wrap under, or it is gone. */
static lethe_result check_keys(const struct reencryption *r, struct lethe_error *err)
{
    const char *key = "";
    for (size_t i = 0; i < r->old->manifest->count; i++) {
        const char *next = r->old->manifest->shards[i].key;
        if (strcmp(next, key) != 0)
            TRY(r->keys->ensure(r->keys->context, next, err));
        key = next;
    }
    return LETHE_OK;
}

static lethe_result plan(struct reencryption *r, struct lethe_error *err)
{
    char created[TIME_TEXT_SIZE];
    const struct buffer *text = &r->old->manifest_text;
    sha256(text->bytes, text->size_bytes, r->old_digest);
    time_text_s(clock_wall_ns(r->options->clock), created);
    TRY(manifest_next_release(text->bytes, text->size_bytes, created, &r->manifest, err));
    r->done = calloc(r->manifest->count, sizeof *r->done);
    r->skip = calloc(r->manifest->count, sizeof *r->skip);
    if (r->done == NULL || r->skip == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu shards", r->manifest->count);
    return LETHE_OK;
}

static lethe_result open_old(struct reencryption *r, struct lethe_error *err)
{
    TRY(model_open(r->options->path, &r->old, err));
    TRY(model_check_own_signature(r->old, r->keys, true, err));
    TRY(check_keys(r, err));
    return plan(r, err);
}

/* ---- the place ------------------------------------------------------------------------------- */

static lethe_result check_space(const struct reencryption *r, struct lethe_error *err)
{
    uint64_t needed_bytes = 0;
    for (size_t i = 0; i < r->manifest->count; i++)
        if (r->done[i].digests == NULL)
            needed_bytes += r->manifest->shards[i].cipher_size;
    return sibling_check_space(&r->place, needed_bytes, err);
}

/* It gets its name when the state is there, so that there never is one without. */
static lethe_result begin(struct reencryption *r, struct lethe_error *err)
{
    TRY(sibling_create(&r->place, 0700, r->options->random, err));
    if (mkdirat(r->place.fd, KEPT_MODEL, 0755) != 0 ||
        mkdirat(r->place.fd, KEPT_MODEL "/" SHARD_DIRECTORY, 0755) != 0)
        return error_from_errno(err, "creating directories beside %s", r->options->path);
    TRY(unfinished_file_create(r, r->place.fd, err));
    TRY(reencrypt_open_directories(r, err));
    if (fsync(r->model_fd) != 0)
        return error_from_errno(err, "syncing a directory beside %s", r->options->path);
    return sibling_keep(&r->place, err);
}

static uint64_t count_done(const struct reencryption *r)
{
    uint64_t count = 0;
    for (size_t i = 0; i < r->manifest->count; i++)
        count += r->done[i].digests != NULL;
    return count;
}

/* Leaves nothing that only takes room: files that are not finished, and, when none is, all of it.
 */
static void tidy_up(struct reencryption *r)
{
    for (size_t i = 0; i < r->manifest->count; i++)
        if (r->done[i].digests == NULL)
            (void)!reencrypt_undo_shard(r, i, NULL);
    if (count_done(r) == 0 && r->place.kept)
        (void)!sibling_remove_kept(&r->place, r->options->random, NULL);
}

static lethe_result prepare(struct reencryption *r, struct lethe_error *err)
{
    TRY(reencrypt_take_over(r, err));
    r->summary.taken_over = count_done(r);
    if (r->summary.was_done)
        return LETHE_OK;
    TRY(check_space(r, err));
    if (r->place.kept)
        return LETHE_OK;
    lethe_result result = begin(r, err);
    if (result != LETHE_OK)
        tidy_up(r);
    return result;
}

/* ---- encrypting ------------------------------------------------------------------------------ */

static struct unfinished_record record_of(const struct reencryption *r, size_t index)
{
    const struct shard *shard = &r->manifest->shards[index];
    struct unfinished_record record = {.kind = UNFINISHED_SHARD,
                                       .digests = r->done[index].digests,
                                       .digest_count = seal_range_count(shard)};
    strncat(record.id, shard->id, sizeof record.id - 1);
    strncat(record.wrapped, shard->wrapped_key, sizeof record.wrapped - 1);
    return record;
}

/* First the files are where they belong, durably; then the state says so. */
static lethe_result record_done(struct reencryption *r, struct lethe_error *err)
{
    if (r->unrecorded_shards == 0)
        return LETHE_OK;
    CLEANUP(memory_free)
    struct unfinished_record *records = calloc(r->unrecorded_shards, sizeof *records);
    if (records == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory to record what was done");
    size_t count = 0;
    for (size_t i = 0; i < r->manifest->count; i++)
        if (r->done[i].digests != NULL && !r->done[i].is_recorded)
            records[count++] = record_of(r, i);
    REQUIRE(count == r->unrecorded_shards);
    if (fsync(r->shards_fd) != 0)
        return error_from_errno(err, "syncing " SHARD_DIRECTORY);
    TRY(unfinished_file_append(&r->state, records, count, err));
    for (size_t i = 0; i < r->manifest->count; i++)
        r->done[i].is_recorded = r->done[i].digests != NULL;
    r->unrecorded_bytes = r->unrecorded_shards = 0;
    r->recorded_ns = clock_monotonic_ns(r->options->clock);
    return LETHE_OK;
}

static bool should_record(const struct reencryption *r)
{
    return r->unrecorded_bytes >= RECORD_BYTES || r->unrecorded_shards >= RECORD_SHARDS ||
           clock_monotonic_ns(r->options->clock) - r->recorded_ns >= RECORD_NS;
}

static lethe_result take_sealed(void *context, const struct sealed_shard *sealed,
                                struct lethe_error *err)
{
    struct reencryption *r = context;
    uint8_t *digests = calloc(sealed->count, SHA256_BYTES);
    if (digests == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for what was done");
    memcpy(digests, sealed->digests, sealed->count * SHA256_BYTES);
    r->done[sealed->index].digests = digests;
    r->unrecorded_bytes += r->manifest->shards[sealed->index].size;
    r->unrecorded_shards++;
    return should_record(r) ? record_done(r, err) : LETHE_OK;
}

static lethe_result seal(struct reencryption *r, struct lethe_error *err)
{
    struct seal_renewed renewed = {.model = r->old, .keys = r->keys, .skip = r->skip};
    for (size_t i = 0; i < r->manifest->count; i++)
        r->skip[i] = r->done[i].digests != NULL;
    const struct seal_work work = {.input = &seal_from_shards,
                                   .input_context = &renewed,
                                   .manifest = r->manifest,
                                   .skip = r->skip,
                                   .shards_fd = r->shards_fd,
                                   .keys = r->keys,
                                   .purpose = KEY_PURPOSE_REENCRYPT,
                                   .random = r->options->random,
                                   .progress = r->options->progress,
                                   .threads = r->options->threads,
                                   .cancelled = r->options->cancelled,
                                   .sealed = take_sealed,
                                   .sealed_context = r};
    r->recorded_ns = clock_monotonic_ns(r->options->clock);
    lethe_result result = seal_shards(&work, err);
    keys_ahead_clear(&renewed.ahead);
    lethe_result recorded = record_done(r, result == LETHE_OK ? err : NULL);
    return result == LETHE_OK ? recorded : result;
}

static lethe_result seal_until_newest(struct reencryption *r, struct lethe_error *err)
{
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        TRY(reencrypt_undo_old(r, err));
        if (count_done(r) == r->manifest->count)
            return LETHE_OK;
        TRY(seal(r, err));
    }
    TRY(reencrypt_undo_old(r, err));
    return count_done(r) == r->manifest->count
               ? LETHE_OK
               : error_set(err, LETHE_CONFLICT, "the keys of %s are being rotated",
                           r->options->path);
}

/* ---- putting it into place ------------------------------------------------------------------- */

static lethe_result sign(struct reencryption *r, struct lethe_error *err)
{
    r->signed_list.shard_bytes = OMS_SHARD_BYTES;
    r->signed_list.subject = strdup(r->manifest->model);
    if (r->signed_list.subject == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a signature");
    for (size_t i = 0; i < r->manifest->count; i++)
        TRY(seal_list_ranges(&r->signed_list, &r->manifest->shards[i], r->done[i].digests, err));
    const struct signing signing = {.dir_fd = r->model_fd,
                                    .manifest = r->manifest,
                                    .signed_list = &r->signed_list,
                                    .keys = r->keys};
    return signing_finish(&signing, &r->manifest_text, err);
}

static void summarise(struct reencryption *r, const struct manifest *manifest,
                      const struct buffer *text)
{
    struct reencrypt_summary *summary = &r->summary;
    summary->release = manifest->release;
    summary->shards = manifest->count;
    strcpy(summary->tenant, manifest->tenant);
    strcpy(summary->model, manifest->model);
    for (size_t i = 0; i < manifest->count; i++)
        summary->plain_bytes += manifest->shards[i].size;
    sha256(text->bytes, text->size_bytes, summary->manifest_digest);
}

/* The state says which model is about to be put into place, so that a run after this one, when it
 * dies behind that, knows it. */
static lethe_result put_into_place(struct reencryption *r, struct lethe_error *err)
{
    char path[sizeof r->place.temporary + sizeof "/" KEPT_MODEL];
    struct unfinished_record record = {.kind = UNFINISHED_MANIFEST};
    TRY(sign(r, err));
    summarise(r, r->manifest, &r->manifest_text);
    memcpy(record.manifest_digest, r->summary.manifest_digest, SHA256_BYTES);
    TRY(unfinished_file_append(&r->state, &record, 1, err));
    snprintf(path, sizeof path, "%s/" KEPT_MODEL, r->place.temporary);
    return sibling_exchange(&r->place, path, r->model_fd, err);
}

/* What was there before lies where the new one was made. */
static lethe_result finish(struct reencryption *r, struct lethe_error *err)
{
    const struct reencrypt_options *options = r->options;
    TRY(options->published(options->context, &r->summary, err));
    return error_context(err, sibling_remove_kept(&r->place, options->random, err),
                         "%s was encrypted anew, but not all of what was there before is gone",
                         options->path);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static lethe_result make(struct reencryption *r, struct lethe_error *err)
{
    TRY(seal_until_newest(r, err));
    return put_into_place(r, err);
}

static lethe_result make_or_keep(struct reencryption *r, struct lethe_error *err)
{
    lethe_result result = make(r, err);
    if (result == LETHE_OK)
        return finish(r, err);
    tidy_up(r);
    bool may_go_on = lethe_result_exit_code(result) != lethe_result_exit_code(LETHE_INTEGRITY) &&
                     lethe_result_exit_code(result) != lethe_result_exit_code(LETHE_DENIED);
    if (r->place.kept && may_go_on && err != NULL && err->hint[0] == '\0')
        error_hint(err, "%" PRIu64 " of %zu shards are done; the same command goes on from there",
                   count_done(r), r->manifest->count);
    return result;
}

lethe_result model_reencrypt(const struct reencrypt_options *options, const struct key_source *keys,
                             struct reencrypt_summary *out, struct lethe_error *err)
{
    CLEANUP(reencryption_clear)
    struct reencryption r = {.options = options,
                             .keys = keys,
                             .place = SIBLING_NONE,
                             .state = UNFINISHED_FILE_NONE,
                             .model_fd = -1,
                             .shards_fd = -1};
    TRY(sibling_prepare(options->path, true, &r.place, err));
    TRY(open_old(&r, err));
    TRY(prepare(&r, err));
    if (r.summary.was_done) {
        summarise(&r, r.old->manifest, &r.old->manifest_text);
        TRY(finish(&r, err));
    } else {
        TRY(make_or_keep(&r, err));
    }
    *out = r.summary;
    return LETHE_OK;
}

/* ---- looking --------------------------------------------------------------------------------- */

static lethe_result count_left(const struct reencryption *r, struct reencrypt_status *out,
                               struct lethe_error *err)
{
    const char *key = "";
    uint64_t newest = 0;
    for (size_t i = 0; i < r->manifest->count; i++) {
        const struct shard *shard = &r->manifest->shards[i];
        if (strcmp(shard->key, key) != 0)
            TRY(r->keys->newest(r->keys->context, shard->key, &newest, err));
        key = shard->key;
        if (r->done[i].digests != NULL && shard->key_version == newest)
            continue;
        out->left_shards++;
        out->left_bytes += shard->size;
    }
    return LETHE_OK;
}

static lethe_result look(struct reencryption *r, struct reencrypt_status *out,
                         struct lethe_error *err)
{
    TRY(plan(r, err));
    out->shards = r->manifest->count;
    TRY(sibling_locate(r->options->path, &r->place, err));
    lethe_result result = sibling_open_kept(&r->place, false, err);
    out->unfinished = result == LETHE_OK;
    if (result == LETHE_OK)
        result = reencrypt_read_state(r, false, err);
    if (result != LETHE_NOT_FOUND && result != LETHE_CONFLICT)
        TRY(error_context(err, result, "what an earlier run left beside %s", r->options->path));
    return r->summary.was_done ? LETHE_OK : count_left(r, out, err);
}

lethe_result model_reencrypt_status(const struct model *model, const struct key_source *keys,
                                    struct reencrypt_status *out, struct lethe_error *err)
{
    REQUIRE(model->is_signed);
    const struct reencrypt_options options = {.path = model->path, .clock = &clock_system};
    CLEANUP(reencryption_clear)
    struct reencryption r = {.options = &options,
                             .keys = keys,
                             .old = (struct model *)model, /* borrowed */
                             .place = SIBLING_NONE,
                             .state = UNFINISHED_FILE_NONE,
                             .model_fd = -1,
                             .shards_fd = -1};
    *out = (struct reencrypt_status){0};
    lethe_result result = look(&r, out, err);
    r.old = NULL;
    return result;
}
