/* Taking over what an earlier run has done. Nothing that lies there is believed: which shards are
 * done, under which wrapped keys and with which digests is in the state, which nobody else can
 * write; every file of them is read and compared, and no file is there that does not belong. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "model/listing.h"
#include "model/reencrypt.h"
#include "model/seal.h"

#define WHY_ROTATED "its key was rotated since"
#define WHY_CHANGED "the model was changed since"

static lethe_result changed(const char *what, struct lethe_error *err)
{
    return error_set(err, LETHE_INTEGRITY, "%s", what);
}

/* ---- undoing --------------------------------------------------------------------------------- */

static const char *name_in_directory(const struct shard *shard)
{
    return shard->file + sizeof SHARD_DIRECTORY;
}

lethe_result reencrypt_undo_shard(struct reencryption *r, size_t index, struct lethe_error *err)
{
    const struct shard *shard = &r->manifest->shards[index];
    free(MOVE(r->done[index].digests));
    r->done[index].is_recorded = false;
    if (unlinkat(r->shards_fd, name_in_directory(shard), 0) != 0 && errno != ENOENT)
        return error_from_errno(err, "removing the unfinished %s", shard->file);
    return LETHE_OK;
}

lethe_result reencrypt_undo_old(struct reencryption *r, struct lethe_error *err)
{
    const char *key = "";
    uint64_t newest = 0;
    for (size_t i = 0; i < r->manifest->count; i++) {
        const struct shard *shard = &r->manifest->shards[i];
        if (strcmp(shard->key, key) != 0)
            TRY(r->keys->newest(r->keys->context, shard->key, &newest, err));
        key = shard->key;
        if (r->done[i].digests != NULL && shard->key_version < newest)
            TRY(reencrypt_undo_shard(r, i, err));
    }
    return LETHE_OK;
}

/* ---- what the state says --------------------------------------------------------------------- */

static int shard_order(const void *id, const void *shard)
{
    return strcmp(id, (*(struct shard *const *)shard)->id);
}

static int pointer_order(const void *a, const void *b)
{
    return strcmp((*(struct shard *const *)a)->id, (*(struct shard *const *)b)->id);
}

/* Shards by id; owned by the caller, pointing into the manifest. */
static struct shard **sort_shards(struct manifest *manifest)
{
    struct shard **sorted = calloc(manifest->count, sizeof *sorted);
    for (size_t i = 0; sorted != NULL && i < manifest->count; i++)
        sorted[i] = &manifest->shards[i];
    if (sorted != NULL)
        qsort(sorted, manifest->count, sizeof *sorted, pointer_order);
    return sorted;
}

struct taking_over {
    struct reencryption *r;
    struct shard **sorted;
    bool published; /* the model is the one that was made by the run that left this */
};

/* The model is the one that the state is of. */
static bool is_same(const struct reencryption *r)
{
    return bytes_equal(r->state.header.manifest_digest, r->old_digest, SHA256_BYTES);
}

static lethe_result take_shard(struct reencryption *r, struct shard *shard,
                               const struct unfinished_record *record, struct lethe_error *err)
{
    struct done_shard *done = &r->done[shard - r->manifest->shards];
    char *wrapped = strdup(record->wrapped);
    uint8_t *digests = calloc(record->digest_count + 1, SHA256_BYTES);
    if (wrapped == NULL || digests == NULL) {
        free(wrapped);
        free(digests);
        return error_set(err, LETHE_NO_MEMORY, "no memory for what was done");
    }
    memcpy(digests, record->digests, record->digest_count * SHA256_BYTES);
    free(done->digests);
    *done = (struct done_shard){.digests = digests, .is_recorded = true};
    free(shard->wrapped_key);
    shard->wrapped_key = wrapped;
    shard->key_version = wrapped_key_version(wrapped);
    return LETHE_OK;
}

/* A shard that was done twice counts as the last time: its file was made anew. */
static lethe_result take_record(void *context, const struct unfinished_record *record,
                                struct lethe_error *err)
{
    struct taking_over *over = context;
    struct reencryption *r = over->r;
    if (record->kind == UNFINISHED_MANIFEST) {
        over->published |= bytes_equal(record->manifest_digest, r->old_digest, SHA256_BYTES);
        return LETHE_OK;
    }
    if (!is_same(r))
        return LETHE_OK;
    struct shard **found =
        bsearch(record->id, over->sorted, r->manifest->count, sizeof(struct shard *), shard_order);
    if (found == NULL || seal_range_count(*found) != record->digest_count)
        return changed("its file " KEPT_STATE " is of another model", err);
    return take_shard(r, *found, record, err);
}

/* ---- what lies there ------------------------------------------------------------------------- */

static lethe_result open_below(int dir_fd, const char *name, int *out, struct lethe_error *err)
{
    *out = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*out >= 0)
        return LETHE_OK;
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
        return changed("a directory of it is missing, or none", err);
    return error_from_errno(err, "opening the directory %s", name);
}

lethe_result reencrypt_open_directories(struct reencryption *r, struct lethe_error *err)
{
    TRY(open_below(r->place.fd, KEPT_MODEL, &r->model_fd, err));
    if (flock(r->model_fd, LOCK_EX | LOCK_NB) != 0)
        return error_set(err, errno == EWOULDBLOCK ? LETHE_BUSY : LETHE_IO,
                         "someone else works on the re-encryption of %s", r->options->path);
    return open_below(r->model_fd, SHARD_DIRECTORY, &r->shards_fd, err);
}

static bool is_temporary(const char *name)
{
    size_t prefix = strlen(FILE_TEMPORARY_PREFIX);
    return strncmp(name, FILE_TEMPORARY_PREFIX, prefix) == 0 &&
           strspn(name + prefix, "0123456789abcdef") == 16 && name[prefix + 16] == '\0';
}

static lethe_result check_top(const struct reencryption *r, struct lethe_error *err)
{
    CLEANUP(listing_clear) struct listing found = {0};
    lethe_result result = listing_read(r->place.fd, ".", 2, &found, err);
    if (result != LETHE_OK && result != LETHE_LIMIT)
        return result;
    if (result == LETHE_LIMIT || found.count != 2 || strcmp(found.names[0], KEPT_MODEL) != 0 ||
        strcmp(found.names[1], KEPT_STATE) != 0)
        return changed("it holds files that do not belong there", err);
    return LETHE_OK;
}

/* Manifest and signature of a run that died right before the end are made anew. */
static lethe_result clear_model_directory(const struct reencryption *r, struct lethe_error *err)
{
    CLEANUP(listing_clear) struct listing found = {0};
    lethe_result result = listing_read(r->model_fd, ".", 64, &found, err);
    if (result == LETHE_LIMIT)
        return changed("it holds files that do not belong there", err);
    TRY(result);
    for (size_t i = 0; i < found.count; i++) {
        const char *name = found.names[i];
        if (strcmp(name, SHARD_DIRECTORY) == 0)
            continue;
        if (strcmp(name, MANIFEST_FILE) != 0 && strcmp(name, SIGNATURE_FILE) != 0 &&
            !is_temporary(name))
            return changed("it holds files that do not belong there", err);
        if (unlinkat(r->model_fd, name, 0) != 0)
            return error_from_errno(err, "removing an unfinished %s", name);
    }
    return LETHE_OK;
}

static struct shard *shard_of_file(const char *name, struct shard *const *sorted, size_t count)
{
    char id[UNFINISHED_ID_MAX + 1];
    const char *suffix = strrchr(name, '.');
    size_t length = suffix == NULL ? 0 : (size_t)(suffix - name);
    if (length == 0 || length > UNFINISHED_ID_MAX || strcmp(suffix, ".tink") != 0)
        return NULL;
    memcpy(id, name, length);
    id[length] = '\0';
    struct shard **found = bsearch(id, sorted, count, sizeof(struct shard *), shard_order);
    return found == NULL ? NULL : *found;
}

static lethe_result clear_shard_files(struct reencryption *r, const struct listing *found,
                                      struct shard *const *sorted, struct lethe_error *err)
{
    for (size_t i = 0; i < found->count; i++) {
        const struct shard *shard = shard_of_file(found->names[i], sorted, r->manifest->count);
        if (shard == NULL)
            return changed("it holds files that do not belong there", err);
        size_t index = (size_t)(shard - r->manifest->shards);
        if (r->done[index].digests == NULL)
            TRY(reencrypt_undo_shard(r, index, err));
    }
    return LETHE_OK;
}

/* A file of a shard that is not done was left by a run that died in the middle of it. */
static lethe_result clear_shards(struct reencryption *r, struct lethe_error *err)
{
    CLEANUP(listing_clear) struct listing found = {0};
    lethe_result result = listing_read(r->shards_fd, ".", r->manifest->count, &found, err);
    if (result == LETHE_LIMIT)
        return changed("it holds files that do not belong there", err);
    TRY(result);
    CLEANUP(memory_free) struct shard **sorted = sort_shards(r->manifest);
    if (sorted == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu shards", r->manifest->count);
    return clear_shard_files(r, &found, sorted, err);
}

static lethe_result check_size(const struct reencryption *r, const struct shard *shard,
                               struct lethe_error *err)
{
    struct stat status;
    if (fstatat(r->shards_fd, name_in_directory(shard), &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? changed("a finished shard is missing", err)
                               : error_from_errno(err, "looking at %s", shard->file);
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size != shard->cipher_size)
        return changed("a finished shard is not what was written", err);
    return LETHE_OK;
}

/* Every byte of every finished file. */
static lethe_result check_files(const struct reencryption *r, struct lethe_error *err)
{
    CLEANUP(oms_list_clear) struct oms_list list = {.shard_bytes = OMS_SHARD_BYTES};
    for (size_t i = 0; i < r->manifest->count; i++) {
        const struct shard *shard = &r->manifest->shards[i];
        if (r->done[i].digests == NULL)
            continue;
        TRY(check_size(r, shard, err));
        TRY(seal_list_ranges(&list, shard, r->done[i].digests, err));
    }
    const struct oms_work how = {.dir_fd = r->model_fd, .threads = r->options->threads};
    return list.count == 0 ? LETHE_OK : oms_check_content(&list, &how, err);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static lethe_result read_state(struct reencryption *r, struct taking_over *over, bool for_more,
                               struct lethe_error *err)
{
    const struct unfinished_open how = {.model = r->old,
                                        .keys = r->keys,
                                        .dir_fd = r->place.fd,
                                        .for_more = for_more,
                                        .visit = take_record,
                                        .context = over};
    TRY(unfinished_file_open(&how, &r->state, err));
    r->summary.was_done = !is_same(r) && over->published;
    return is_same(r) || over->published ? LETHE_OK : error_set(err, LETHE_CONFLICT, WHY_CHANGED);
}

lethe_result reencrypt_read_state(struct reencryption *r, bool for_more, struct lethe_error *err)
{
    CLEANUP(memory_free) struct shard **sorted = sort_shards(r->manifest);
    if (sorted == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu shards", r->manifest->count);
    struct taking_over over = {.r = r, .sorted = sorted};
    return read_state(r, &over, for_more, err);
}

static lethe_result check_directories(struct reencryption *r, struct lethe_error *err)
{
    TRY(check_top(r, err));
    TRY(reencrypt_open_directories(r, err));
    TRY(clear_model_directory(r, err));
    TRY(reencrypt_undo_old(r, err));
    TRY(clear_shards(r, err));
    return check_files(r, err);
}

/* Of no use, and nobody's fault. */
static lethe_result discard(struct reencryption *r, const char *why, struct lethe_error *err)
{
    unfinished_file_clear(&r->state);
    r->summary.discarded = why;
    return sibling_remove_kept(&r->place, r->options->random, err);
}

static lethe_result take_over(struct reencryption *r, struct lethe_error *err)
{
    TRY(reencrypt_read_state(r, true, err));
    return r->summary.was_done ? LETHE_OK : check_directories(r, err);
}

lethe_result reencrypt_take_over(struct reencryption *r, struct lethe_error *err)
{
    lethe_result result = sibling_open_kept(&r->place, true, err);
    if (result == LETHE_NOT_FOUND)
        return LETHE_OK;
    TRY(result);
    if (r->options->restart)
        return discard(r, "--restart", err);
    struct lethe_error why = {0};
    result = take_over(r, &why);
    if (result == LETHE_CONFLICT)
        return discard(r, r->state.key == NULL ? WHY_ROTATED : WHY_CHANGED, err);
    if (result != LETHE_OK && err != NULL)
        *err = why;
    error_context(err, result, "what an earlier run left beside %s", r->options->path);
    if (result == LETHE_INTEGRITY)
        error_hint(err, "nothing of it was used; lethe reencrypt --restart begins anew");
    return result;
}
