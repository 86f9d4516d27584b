#include "model/model.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "model/listing.h"
#include "model/opened.h"

void model_close(struct model *model)
{
    if (model == NULL)
        return;
    manifest_free(model->manifest);
    buffer_clear(&model->manifest_text);
    buffer_clear(&model->signature_text);
    oms_list_clear(&model->signed_list);
    fd_close(model->shards_fd);
    fd_close(model->dir_fd);
    free(model->path);
    free(model);
}

const struct manifest *model_manifest(const struct model *model)
{
    return model->manifest;
}

const char *model_path(const struct model *model)
{
    return model->path;
}

uint64_t model_plain_bytes(const struct model *model)
{
    uint64_t total = 0;
    for (size_t i = 0; i < model->manifest->count; i++)
        total += model->manifest->shards[i].size;
    return total;
}

/* ---- the directory holds what it should, and nothing else ------------------------------------ */

/* `expected` is sorted. */
static lethe_result check_names(const struct listing *found, const char *const *expected,
                                size_t count, struct lethe_error *err)
{
    size_t f = 0;
    size_t e = 0;
    while (f < found->count || e < count) {
        int order = f == found->count ? 1 : e == count ? -1 : strcmp(found->names[f], expected[e]);
        if (order > 0)
            return error_set(err, LETHE_INTEGRITY, "%s is missing", expected[e]);
        if (order < 0) {
            char name[64];
            text_sanitise(found->names[f], strlen(found->names[f]), name, sizeof name);
            return error_set(err, LETHE_INTEGRITY, "%s does not belong there", name);
        }
        f++;
        e++;
    }
    return LETHE_OK;
}

static lethe_result check_directory(int dir_fd, const char *path, const char *const *expected,
                                    size_t count, struct lethe_error *err)
{
    CLEANUP(listing_clear) struct listing found = {0};
    lethe_result result = listing_read(dir_fd, path, count + 1, &found, err);
    if (result == LETHE_LIMIT)
        return error_set(err, LETHE_INTEGRITY, "more than the %zu names that belong there", count);
    TRY(result);
    return check_names(&found, expected, count, err);
}

static lethe_result check_file(int dir_fd, const char *name, uint64_t size_bytes,
                               struct lethe_error *err)
{
    struct stat status;
    if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return error_from_errno(err, "looking at %s", name);
    if (!S_ISREG(status.st_mode))
        return error_set(err, LETHE_INTEGRITY, "%s is not a regular file", name);
    if ((uint64_t)status.st_size != size_bytes)
        return error_set(err, LETHE_INTEGRITY, "%s has %" PRIu64 " bytes instead of %" PRIu64, name,
                         (uint64_t)status.st_size, size_bytes);
    return LETHE_OK;
}

static const char *name_in_directory(const struct shard *shard)
{
    return shard->file + sizeof SHARD_DIRECTORY; /* the '/' stands where the NUL is counted */
}

static int text_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static lethe_result check_shards(const struct model *model, struct lethe_error *err)
{
    const struct manifest *manifest = model->manifest;
    CLEANUP(memory_free) const char **names = calloc(manifest->count, sizeof *names);
    if (names == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu names", manifest->count);
    for (size_t i = 0; i < manifest->count; i++)
        names[i] = name_in_directory(&manifest->shards[i]);
    qsort(names, manifest->count, sizeof *names, text_order);
    TRY(check_directory(model->shards_fd, ".", names, manifest->count, err));
    for (size_t i = 0; i < manifest->count; i++) {
        const struct shard *shard = &manifest->shards[i];
        TRY(check_file(model->shards_fd, name_in_directory(shard), shard->cipher_size, err));
    }
    return LETHE_OK;
}

/* ---- open ------------------------------------------------------------------------------------ */

static lethe_result read_text(const struct model *model, const char *name, size_t max_bytes,
                              struct buffer *out, struct lethe_error *err)
{
    struct stat status;
    if (fstatat(model->dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return error_from_errno(err, "looking at %s", name);
    if (!S_ISREG(status.st_mode))
        return error_set(err, LETHE_INTEGRITY, "%s is not a regular file", name);
    lethe_result result = file_read_all(model->dir_fd, name, max_bytes, out, err);
    if (result == LETHE_LIMIT)
        return error_set(err, LETHE_MALFORMED, "%s is larger than %zu bytes", name, max_bytes);
    return result;
}

static lethe_result open_directories(struct model *model, struct lethe_error *err)
{
    static const char *const names[] = {MANIFEST_FILE, SIGNATURE_FILE, SHARD_DIRECTORY};
    model->dir_fd = open(model->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (model->dir_fd < 0 && errno != ENOTDIR)
        return error_from_errno(err, "opening");
    bool is_there = model->dir_fd >= 0 && faccessat(model->dir_fd, MANIFEST_FILE, F_OK, 0) == 0;
    if (!is_there && errno != ENOTDIR && errno != ENOENT)
        return error_from_errno(err, "looking for " MANIFEST_FILE);
    if (!is_there)
        return error_set(err, LETHE_MALFORMED,
                         "not a model: a model is a directory with a " MANIFEST_FILE);
    TRY(check_directory(model->dir_fd, ".", names, ARRAY_LEN(names), err));
    model->shards_fd =
        openat(model->dir_fd, SHARD_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (model->shards_fd < 0 && errno != ENOTDIR && errno != ELOOP && errno != ENOENT)
        return error_from_errno(err, "opening the directory " SHARD_DIRECTORY);
    if (model->shards_fd < 0)
        return error_set(err, LETHE_INTEGRITY, SHARD_DIRECTORY " is not a directory");
    return LETHE_OK;
}

static lethe_result open_model(struct model *model, struct lethe_error *err)
{
    TRY(open_directories(model, err));
    TRY(read_text(model, MANIFEST_FILE, MANIFEST_BYTES_MAX, &model->manifest_text, err));
    TRY(read_text(model, SIGNATURE_FILE, OMS_BUNDLE_MAX, &model->signature_text, err));
    TRY(error_context(err,
                      manifest_parse(model->manifest_text.bytes, model->manifest_text.size_bytes,
                                     &model->manifest, err),
                      MANIFEST_FILE));
    return error_context(err, check_shards(model, err), SHARD_DIRECTORY);
}

lethe_result model_open(const char *path, struct model **out, struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(model_close) struct model *model = calloc(1, sizeof *model);
    if (model == NULL || (model->path = strdup(path)) == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a model");
    model->dir_fd = model->shards_fd = -1;
    TRY(error_context(err, open_model(model, err), "model %s", path));
    *out = MOVE(model);
    return LETHE_OK;
}

/* ---- the signature --------------------------------------------------------------------------- */

static lethe_result check_cover(const struct model *model, struct lethe_error *err)
{
    const struct manifest *manifest = model->manifest;
    size_t count = manifest->count + 1;
    CLEANUP(memory_free) struct oms_file *files = calloc(count, sizeof *files);
    if (files == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu names", count);
    files[0] =
        (struct oms_file){.path = MANIFEST_FILE, .size_bytes = model->manifest_text.size_bytes};
    for (size_t i = 0; i < manifest->count; i++)
        files[i + 1] = (struct oms_file){.path = manifest->shards[i].file,
                                         .size_bytes = manifest->shards[i].cipher_size};
    return oms_check_cover(&model->signed_list, files, count, err);
}

/* The bytes that were parsed are the bytes that were signed; check_cover() saw that all are. */
static lethe_result check_manifest(const struct model *model, struct lethe_error *err)
{
    const struct buffer *text = &model->manifest_text;
    for (size_t i = 0; i < model->signed_list.count; i++) {
        const struct oms_resource *resource = &model->signed_list.resources[i];
        if (strcmp(resource->path, MANIFEST_FILE) != 0)
            continue;
        uint8_t digest[SHA256_BYTES];
        sha256(text->bytes + resource->start, resource->end - resource->start, digest);
        if (!bytes_equal(digest, resource->digest, sizeof digest))
            return error_set(err, LETHE_INTEGRITY, MANIFEST_FILE " is not the one that was signed");
    }
    return LETHE_OK;
}

static lethe_result check_signature(struct model *model, const struct sign_public *signer,
                                    struct lethe_error *err)
{
    const struct buffer *text = &model->signature_text;
    TRY(oms_open(text->bytes, text->size_bytes, signer, &model->signed_list, err));
    /* A bundle can be written in many ways; by allowing one we notice every changed byte, and can
     * count on its pieces when we verify. */
    if (!model->signed_list.as_written || model->signed_list.shard_bytes != OMS_SHARD_BYTES)
        return error_set(err, LETHE_MALFORMED,
                         SIGNATURE_FILE " is not in the form that is written "
                                        "for a model");
    TRY(check_cover(model, err));
    return check_manifest(model, err);
}

lethe_result model_check_signature(struct model *model, const struct sign_public *signer,
                                   struct lethe_error *err)
{
    oms_list_clear(&model->signed_list);
    model->is_signed = false;
    TRY(error_context(err, check_signature(model, signer, err), "model %s", model->path));
    model->is_signed = true;
    return LETHE_OK;
}

lethe_result model_check_own_signature(struct model *model, const struct key_source *keys,
                                       bool renewing, struct lethe_error *err)
{
    char hint[OMS_HINT_SIZE];
    const struct sign_public *signer = NULL;
    const struct buffer *bundle = &model->signature_text;
    TRY(error_context(err, oms_peek_hint(bundle->bytes, bundle->size_bytes, hint, err), "model %s",
                      model->path));
    lethe_result result = keys->signer(keys->context, model->manifest->tenant,
                                       hint[0] == '\0' ? NULL : hint, &signer, err);
    if (result == LETHE_NOT_FOUND) {
        error_set(err, LETHE_INTEGRITY,
                  "model %s was not signed by a key that this home has for tenant '%s'",
                  model->path, model->manifest->tenant);
        error_hint(err, "the model was made by another home, or with a key service (--kms), or "
                        "forged; check it with lethe verify --key PEM");
        return LETHE_INTEGRITY;
    }
    if (result != LETHE_REVOKED || !renewing || signer == NULL)
        TRY(result);
    return model_check_signature(model, signer, err);
}
