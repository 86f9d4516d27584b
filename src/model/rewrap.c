/* Wrapping a model's data keys anew, and how far a model is behind its keys. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "model/opened.h"
#include "model/sibling.h"
#include "model/signing.h"

#define COPY_BYTES ((size_t)1 << 20)

static lethe_result no_memory(struct lethe_error *err)
{
    return error_set(err, LETHE_NO_MEMORY, "no memory for wrapped keys");
}

/* ---- how old it is --------------------------------------------------------------------------- */

static lethe_result check_signer_age(const struct model *model, const struct key_source *keys,
                                     bool *old, struct lethe_error *err)
{
    char hint[OMS_HINT_SIZE];
    char newest[OMS_HINT_SIZE];
    const struct sign_public *signer;
    const struct buffer *bundle = &model->signature_text;
    TRY(oms_peek_hint(bundle->bytes, bundle->size_bytes, hint, err));
    lethe_result result = keys->signer(keys->context, model->manifest->tenant, NULL, &signer, err);
    if (result != LETHE_REVOKED)
        TRY(result);
    TRY(oms_hint(signer, newest, err));
    *old = strcmp(hint, newest) != 0;
    return LETHE_OK;
}

lethe_result model_age(const struct model *model, const struct key_source *keys,
                       struct model_age *out, struct lethe_error *err)
{
    struct model_key_age *ages[TIER_COUNT] = {0};
    REQUIRE(model->is_signed);
    *out = (struct model_age){0};
    for (size_t i = 0; i < model->manifest->count; i++) {
        const struct shard *shard = &model->manifest->shards[i];
        struct model_key_age **age = &ages[shard->tier];
        if (*age == NULL) {
            *age = &out->keys[out->key_count++];
            (*age)->key = shard->key;
            TRY(keys->newest(keys->context, shard->key, &(*age)->newest_version, err));
        }
        bool is_old = shard->key_version < (*age)->newest_version;
        (*age)->shards++;
        (*age)->old_shards += is_old;
        out->old_shards += is_old;
    }
    return check_signer_age(model, keys, &out->old_signature, err);
}

/* ---- rewrapping ------------------------------------------------------------------------------ */

/* What is being made of an old model. */
struct renewal {
    const struct rewrap_options *options;
    const struct key_source *keys;
    struct model *old;
    struct manifest *manifest; /* the new one */
    struct sibling place;
    struct oms_list signed_list;
    struct buffer manifest_text;
    uint64_t rewrapped;
};

static void renewal_clear_at_scope_end(struct renewal *renewal)
{
    sibling_discard(&renewal->place);
    manifest_free(renewal->manifest);
    oms_list_clear(&renewal->signed_list);
    buffer_clear(&renewal->manifest_text);
    model_close(renewal->old);
}

static lethe_result copy_manifest(struct renewal *renewal, struct lethe_error *err)
{
    char created[TIME_TEXT_SIZE];
    const struct buffer *text = &renewal->old->manifest_text;
    time_text_s(clock_wall_ns(renewal->options->clock), created);
    return manifest_next_release(text->bytes, text->size_bytes, created, &renewal->manifest, err);
}

struct wrapping {
    struct buffer aad;
    struct buffer rewrapped;
};

static void free_wrappings(struct wrapping *wrappings, size_t count)
{
    for (size_t i = 0; wrappings != NULL && i < count; i++) {
        buffer_clear(&wrappings[i].aad);
        buffer_clear(&wrappings[i].rewrapped);
    }
    free(wrappings);
}

static lethe_result fill_item(const struct renewal *renewal, const struct shard *shard,
                              struct wrapping *wrapping, struct key_rewrap *item,
                              struct lethe_error *err)
{
    manifest_shard_aad(renewal->manifest, shard, &wrapping->aad);
    TRY(buffer_result(&wrapping->aad, err));
    *item = (struct key_rewrap){
        .use = {.key = shard->key,
                .shard = shard->id,
                .purpose = "rewrap",
                .release = renewal->old->manifest->release,
                .aad = wrapping->aad.bytes,
                .aad_bytes = wrapping->aad.size_bytes},
        .wrapped = shard->wrapped_key,
        .rewrapped = &wrapping->rewrapped,
    };
    return LETHE_OK;
}

static lethe_result take_wrapped(struct shard *shard, const struct buffer *wrapped,
                                 struct lethe_error *err)
{
    char *copy = strdup(wrapped->bytes);
    if (copy == NULL)
        return no_memory(err);
    free(shard->wrapped_key);
    shard->wrapped_key = copy;
    shard->key_version = wrapped_key_version(copy);
    return LETHE_OK;
}

static lethe_result rewrap_with(struct renewal *renewal, struct wrapping *wrappings,
                                struct key_rewrap *items, struct lethe_error *err)
{
    struct manifest *manifest = renewal->manifest;
    const struct key_source *keys = renewal->keys;
    for (size_t i = 0; i < manifest->count; i++)
        TRY(fill_item(renewal, &manifest->shards[i], &wrappings[i], &items[i], err));
    TRY(keys->rewrap(keys->context, items, manifest->count, err));
    for (size_t i = 0; i < manifest->count; i++)
        TRY(take_wrapped(&manifest->shards[i], &wrappings[i].rewrapped, err));
    renewal->rewrapped = manifest->count;
    return LETHE_OK;
}

static lethe_result rewrap_shards(struct renewal *renewal, struct lethe_error *err)
{
    size_t count = renewal->manifest->count;
    struct wrapping *wrappings = calloc(count, sizeof *wrappings);
    struct key_rewrap *items = calloc(count, sizeof *items);
    lethe_result result = wrappings == NULL || items == NULL
                              ? no_memory(err)
                              : rewrap_with(renewal, wrappings, items, err);
    free(items);
    free_wrappings(wrappings, count);
    return result;
}

/* Ciphertext: no secret. What was changed in it meanwhile stays refused, as in a link. */
static lethe_result copy_bytes(int from_fd, int to_fd, const struct shard *shard,
                               struct lethe_error *err)
{
    CLEANUP(memory_free) uint8_t *piece = malloc(COPY_BYTES);
    if (piece == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory to copy with");
    for (uint64_t at = 0; at < shard->cipher_size; at += COPY_BYTES) {
        size_t size_bytes = (size_t)MIN(shard->cipher_size - at, COPY_BYTES);
        TRY(file_read_at(from_fd, shard->file, at, piece, size_bytes, err));
        TRY(file_write_at(to_fd, shard->file, at, piece, size_bytes, err));
    }
    return fdatasync(to_fd) == 0 ? LETHE_OK : error_from_errno(err, "syncing %s", shard->file);
}

static lethe_result copy_shard(const struct renewal *renewal, const struct shard *shard,
                               struct lethe_error *err)
{
    CLEANUP(fd_close)
    int from_fd =
        openat(renewal->old->dir_fd, shard->file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (from_fd < 0)
        return error_from_errno(err, "opening %s", shard->file);
    CLEANUP(fd_close)
    int to_fd = openat(renewal->place.fd, shard->file,
                       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (to_fd < 0)
        return error_from_errno(err, "creating %s", shard->file);
    return copy_bytes(from_fd, to_fd, shard, err);
}

/* Where there are no hard links (FAT, some network file systems), or no more of them. */
static bool cannot_link(int number)
{
    return number == EPERM || number == EOPNOTSUPP || number == ENOSYS || number == EMLINK ||
           number == EXDEV;
}

/* The same inodes under the new directory. */
static lethe_result link_shard(const struct renewal *renewal, const struct shard *shard,
                               struct lethe_error *err)
{
    if (linkat(renewal->old->dir_fd, shard->file, renewal->place.fd, shard->file, 0) == 0)
        return LETHE_OK;
    return cannot_link(errno) ? copy_shard(renewal, shard, err)
                              : error_from_errno(err, "linking %s", shard->file);
}

static lethe_result link_shards(const struct renewal *renewal, struct lethe_error *err)
{
    if (mkdirat(renewal->place.fd, SHARD_DIRECTORY, 0755) != 0)
        return error_from_errno(err, "creating the directory " SHARD_DIRECTORY);
    for (size_t i = 0; i < renewal->manifest->count; i++)
        TRY(link_shard(renewal, &renewal->manifest->shards[i], err));
    return file_sync_directory(renewal->place.fd, SHARD_DIRECTORY, err);
}

/* What the old signature says of the shards goes on being true of the same files. */
static lethe_result keep_digests(struct renewal *renewal, struct lethe_error *err)
{
    const struct oms_list *old = &renewal->old->signed_list;
    renewal->signed_list.shard_bytes = OMS_SHARD_BYTES;
    renewal->signed_list.subject = strdup(renewal->manifest->model);
    if (renewal->signed_list.subject == NULL)
        return no_memory(err);
    for (size_t i = 0; i < old->count; i++) {
        const struct oms_resource *resource = &old->resources[i];
        const struct oms_range range = {resource->path, resource->start, resource->end};
        if (strcmp(resource->path, MANIFEST_FILE) != 0)
            TRY(oms_list_add(&renewal->signed_list, &range, resource->digest, err));
    }
    return LETHE_OK;
}

static lethe_result make_and_publish(struct renewal *renewal, struct lethe_error *err)
{
    TRY(sibling_create(&renewal->place, 0755, renewal->options->random, err));
    TRY(link_shards(renewal, err));
    TRY(keep_digests(renewal, err));
    const struct signing signing = {.dir_fd = renewal->place.fd,
                                    .manifest = renewal->manifest,
                                    .signed_list = &renewal->signed_list,
                                    .keys = renewal->keys};
    TRY(signing_finish(&signing, &renewal->manifest_text, err));
    return sibling_publish(&renewal->place, err);
}

static void summarise(const struct renewal *renewal, struct rewrap_summary *out)
{
    const struct manifest *old = renewal->old->manifest;
    const struct manifest *manifest = renewal->manifest != NULL ? renewal->manifest : old;
    const struct buffer *text =
        renewal->manifest != NULL ? &renewal->manifest_text : &renewal->old->manifest_text;
    *out = (struct rewrap_summary){.release = manifest->release,
                                   .rewrapped = renewal->rewrapped,
                                   .renewed = renewal->manifest != NULL};
    strcpy(out->tenant, manifest->tenant);
    strcpy(out->model, manifest->model);
    sha256(text->bytes, text->size_bytes, out->manifest_digest);
}

lethe_result model_rewrap(const struct rewrap_options *options, const struct key_source *keys,
                          struct rewrap_summary *out, struct lethe_error *err)
{
    CLEANUP(renewal_clear)
    struct renewal renewal = {.options = options, .keys = keys, .place = SIBLING_NONE};
    struct model_age age;
    TRY(sibling_prepare(options->path, true, &renewal.place, err));
    TRY(model_open(options->path, &renewal.old, err));
    TRY(model_check_own_signature(renewal.old, keys, true, err));
    TRY(model_age(renewal.old, keys, &age, err));
    for (size_t i = 0; i < age.key_count; i++)
        TRY(keys->ensure(keys->context, age.keys[i].key, err)); /* LETHE_REVOKED; may rotate it */
    TRY(model_age(renewal.old, keys, &age, err));
    if (age.old_shards > 0 || age.old_signature) {
        TRY(copy_manifest(&renewal, err));
        if (age.old_shards > 0)
            TRY(rewrap_shards(&renewal, err));
        TRY(make_and_publish(&renewal, err));
    }
    summarise(&renewal, out);
    return LETHE_OK;
}
