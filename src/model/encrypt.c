#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "model/model.h"
#include "model/seal.h"
#include "model/sibling.h"
#include "model/signing.h"
#include "model/sources.h"
#include "model/tink.h"

/* What is being made. */
struct encryption {
    const struct encrypt_options *options;
    const struct key_source *keys;
    struct source_list sources;
    struct sibling place;
    struct manifest *manifest;
    struct oms_list signed_list;
    struct buffer manifest_text;
};

static void encryption_clear(struct encryption *encryption)
{
    source_list_clear(&encryption->sources);
    sibling_discard(&encryption->place);
    manifest_free(encryption->manifest);
    oms_list_clear(&encryption->signed_list);
    buffer_clear(&encryption->manifest_text);
}
static inline void encryption_clear_at_scope_end(struct encryption *encryption)
{
    encryption_clear(encryption);
}

static lethe_result no_memory(struct lethe_error *err)
{
    return error_set(err, LETHE_NO_MEMORY, "no memory for a manifest");
}

/* ---- the manifest, but for what sealing gives ------------------------------------------------ */

/* "dir/llama-3.1.Q4_K.gguf" is "llama-3-1-Q4_K", the directory "llama-3.1" is "llama-3-1". */
static void model_name_from(const char *path, char out[NAME_PART_MAX + 1])
{
    CLEANUP(memory_free) char *resolved = realpath(path, NULL);
    const char *base = basename(resolved != NULL ? resolved : path);
    struct stat status;
    bool is_file = stat(path, &status) == 0 && S_ISREG(status.st_mode);
    const char *suffix = is_file ? strrchr(base, '.') : NULL;
    size_t length = suffix != NULL && suffix != base ? (size_t)(suffix - base) : strlen(base);
    length = MIN(length, NAME_PART_MAX);
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    for (size_t i = 0; i < length; i++)
        out[i] = strchr(letters, base[i]) != NULL ? base[i] : '-';
    out[length] = '\0';
    if (length == 0)
        strcpy(out, "model");
}

static lethe_result name_manifest(struct encryption *e, struct lethe_error *err)
{
    char model[NAME_PART_MAX + 1];
    char created[TIME_TEXT_SIZE];
    if (e->options->model == NULL)
        model_name_from(e->options->sources[0], model);
    time_text_s(clock_wall_ns(e->options->clock), created);
    e->manifest->release = 1;
    e->manifest->tenant = strdup(e->options->tenant);
    e->manifest->model = strdup(e->options->model != NULL ? e->options->model : model);
    e->manifest->created = strdup(created);
    if (e->manifest->tenant == NULL || e->manifest->model == NULL || e->manifest->created == NULL)
        return no_memory(err);
    return LETHE_OK;
}

static lethe_result describe_shard(const struct encryption *e, size_t index, int id_digits,
                                   struct lethe_error *err)
{
    struct source *source = &e->sources.items[index];
    struct shard *shard = &e->manifest->shards[index];
    shard->size = (uint64_t)source->status.st_size;
    if (shard->size > JSON_INTEGER_MAX ||
        tink_cipher_size(&tink_shard_parameters, shard->size, &shard->cipher_size) != LETHE_OK)
        return error_set(err, LETHE_LIMIT, "%s is too large for a shard", source->path);
    shard->kind = source->kind;
    shard->tier = e->options->tier;
    shard->tensors = source->tensors;
    source->tensors = (struct tensor_list){0}; /* moved */
    shard->name = strdup(source->name);
    if (shard->name == NULL || asprintf(&shard->id, "%0*zu", id_digits, index) < 0 ||
        asprintf(&shard->file, SHARD_DIRECTORY "/%s.tink", shard->id) < 0 ||
        asprintf(&shard->key, "%s.%s.%s", e->manifest->tenant, e->manifest->model,
                 tier_name(shard->tier)) < 0)
        return no_memory(err);
    return LETHE_OK;
}

static lethe_result describe(struct encryption *e, struct lethe_error *err)
{
    size_t count = e->sources.count;
    e->manifest = calloc(1, sizeof *e->manifest);
    if (e->manifest == NULL)
        return no_memory(err);
    TRY(name_manifest(e, err));
    e->manifest->shards = calloc(count, sizeof *e->manifest->shards);
    if (e->manifest->shards == NULL)
        return no_memory(err);
    e->manifest->count = count;
    int id_digits = MAX(4, snprintf(NULL, 0, "%zu", count - 1));
    for (size_t i = 0; i < count; i++)
        TRY(describe_shard(e, i, id_digits, err));
    return LETHE_OK;
}

/* The release after the one that is replaced, if it is one of the same model. */
static lethe_result continue_release(struct encryption *e, struct lethe_error *err)
{
    if (e->place.replaced_fd < 0)
        return LETHE_OK;
    CLEANUP(model_close) struct model *old = NULL;
    lethe_result result = model_open(e->options->output, &old, err);
    if (result != LETHE_OK) {
        error_context(err, result, "not replaced, because it is no sound model");
        error_hint(err, "choose another output, or remove it first");
        return result;
    }
    const struct manifest *replaced = model_manifest(old);
    if (strcmp(replaced->tenant, e->manifest->tenant) != 0 ||
        strcmp(replaced->model, e->manifest->model) != 0)
        return LETHE_OK;
    if (replaced->release >= JSON_INTEGER_MAX)
        return error_set(err, LETHE_LIMIT, "no release number is left behind %" PRIu64,
                         replaced->release);
    e->manifest->release = replaced->release + 1;
    return LETHE_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

static lethe_result make_place(struct encryption *e, struct lethe_error *err)
{
    uint64_t needed_bytes = 0;
    for (size_t i = 0; i < e->manifest->count; i++)
        needed_bytes += e->manifest->shards[i].cipher_size;
    TRY(sibling_check_space(&e->place, needed_bytes, err));
    TRY(sibling_create(&e->place, 0755, e->options->random, err));
    if (mkdirat(e->place.fd, SHARD_DIRECTORY, 0755) != 0)
        return error_from_errno(err, "creating the directory " SHARD_DIRECTORY);
    return LETHE_OK;
}

static lethe_result list_sealed(void *context, const struct sealed_shard *sealed,
                                struct lethe_error *err)
{
    struct encryption *e = context;
    return seal_list_ranges(&e->signed_list, &e->manifest->shards[sealed->index], sealed->digests,
                            err);
}

static lethe_result seal(struct encryption *e, struct lethe_error *err)
{
    e->signed_list.shard_bytes = OMS_SHARD_BYTES;
    e->signed_list.subject = strdup(e->manifest->model);
    if (e->signed_list.subject == NULL)
        return no_memory(err);
    CLEANUP(fd_close)
    int shards_fd =
        openat(e->place.fd, SHARD_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (shards_fd < 0)
        return error_from_errno(err, "opening the directory " SHARD_DIRECTORY);
    const struct seal_work work = {
        .input = &seal_from_sources,
        .input_context = &e->sources,
        .manifest = e->manifest,
        .shards_fd = shards_fd,
        .keys = e->keys,
        .purpose = "encrypt",
        .random = e->options->random,
        .progress = e->options->progress,
        .threads = e->options->threads,
        .sealed = list_sealed,
        .sealed_context = e,
    };
    TRY(seal_shards(&work, err));
    return fsync(shards_fd) == 0 ? LETHE_OK : error_from_errno(err, "syncing " SHARD_DIRECTORY);
}

static lethe_result finish(struct encryption *e, struct lethe_error *err)
{
    const struct signing signing = {.dir_fd = e->place.fd,
                                    .manifest = e->manifest,
                                    .signed_list = &e->signed_list,
                                    .keys = e->keys};
    return signing_finish(&signing, &e->manifest_text, err);
}

/* ---- encrypt --------------------------------------------------------------------------------- */

static lethe_result check_options(const struct encrypt_options *options, struct lethe_error *err)
{
    if (options->source_count == 0)
        return error_set(err, LETHE_INVALID, "there is nothing to encrypt");
    TRY(validate_identifier("tenant", options->tenant, NAME_PART_MAX, err));
    if (options->model != NULL)
        TRY(validate_identifier("model", options->model, NAME_PART_MAX, err));
    return LETHE_OK;
}

static lethe_result prepare_place(struct encryption *e, struct lethe_error *err)
{
    lethe_result result = sibling_prepare(e->options->output, e->options->force, &e->place, err);
    if (result == LETHE_EXISTS)
        error_hint(err, "choose another output, or replace the model there with --force");
    return result;
}

static lethe_result find_sources(struct encryption *e, struct lethe_error *err)
{
    for (size_t i = 0; i < e->options->source_count; i++)
        TRY(sources_add(&e->sources, e->options->sources[i], err));
    TRY(sources_order(&e->sources, err));
    return sources_inspect(&e->sources, e->options->raw, err);
}

static void summarise(const struct encryption *e, struct encrypt_summary *out)
{
    *out = (struct encrypt_summary){.release = e->manifest->release, .shards = e->manifest->count};
    strcpy(out->model, e->manifest->model);
    for (size_t i = 0; i < e->manifest->count; i++)
        out->plain_bytes += e->manifest->shards[i].size;
    sha256(e->manifest_text.bytes, e->manifest_text.size_bytes, out->manifest_digest);
}

lethe_result model_encrypt(const struct encrypt_options *options, const struct key_source *keys,
                           struct encrypt_summary *out, struct lethe_error *err)
{
    CLEANUP(encryption_clear)
    struct encryption e = {.options = options, .keys = keys, .place = SIBLING_NONE};
    TRY(check_options(options, err));
    TRY(prepare_place(&e, err));
    TRY(find_sources(&e, err));
    TRY(describe(&e, err));
    TRY(continue_release(&e, err));
    TRY(keys->ensure(keys->context, e.manifest->shards[0].key, err));
    TRY(make_place(&e, err));
    TRY(seal(&e, err));
    TRY(finish(&e, err));
    TRY(sibling_publish(&e.place, err));
    summarise(&e, out);
    return LETHE_OK;
}
