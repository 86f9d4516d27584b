#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "model/describe.h"
#include "model/seal.h"
#include "model/sibling.h"
#include "model/signing.h"

/* What is being made. */
struct encryption {
    const struct encrypt_options *options;
    const struct key_source *keys;
    struct source_list sources;
    struct sibling place;
    struct description description;
    struct manifest *manifest; /* the description's */
    struct oms_list signed_list;
    struct buffer manifest_text;
};

static void encryption_clear(struct encryption *encryption)
{
    source_list_clear(&encryption->sources);
    sibling_discard(&encryption->place);
    description_clear(&encryption->description);
    oms_list_clear(&encryption->signed_list);
    buffer_clear(&encryption->manifest_text);
}
static inline void encryption_clear_at_scope_end(struct encryption *encryption)
{
    encryption_clear(encryption);
}

/* ---- what it replaces ------------------------------------------------------------------------ */

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
        return error_set(err, LETHE_NO_MEMORY, "no memory for a signature");
    CLEANUP(fd_close)
    int shards_fd =
        openat(e->place.fd, SHARD_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (shards_fd < 0)
        return error_from_errno(err, "opening the directory " SHARD_DIRECTORY);
    struct seal_sources input = {
        .sources = &e->sources, .manifest = e->manifest, .source_of = e->description.source_of};
    const struct seal_work work = {
        .input = &seal_from_sources,
        .input_context = &input,
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
    *out = (struct encrypt_summary){.release = e->manifest->release,
                                    .files = e->sources.count,
                                    .split_files = e->description.split_files,
                                    .shards = e->manifest->count};
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
    TRY(describe_sources(options, &e.sources, &e.description, err));
    e.manifest = e.description.manifest;
    TRY(continue_release(&e, err));
    TRY(keys->ensure(keys->context, e.manifest->shards[0].key, err));
    TRY(make_place(&e, err));
    TRY(seal(&e, err));
    TRY(finish(&e, err));
    TRY(sibling_publish(&e.place, err));
    summarise(&e, out);
    return LETHE_OK;
}
