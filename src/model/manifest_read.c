/* Reads manifest.json. The tables of fields below are the definition of the format. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "model/manifest.h"
#include "model/paths.h"
#include "model/tink.h"

#define WRAPPED_KEY_MAX 1024u /* "vault:v<N>:" and base64 of 60 bytes, with room to grow */

/* A rule that is about arguments elsewhere (LETHE_INVALID) is about the file here. */
static lethe_result in_file(struct lethe_error *err, lethe_result result)
{
    if (result != LETHE_INVALID)
        return result;
    if (err != NULL)
        err->code = LETHE_MALFORMED;
    return LETHE_MALFORMED;
}

static lethe_result copy_text(const char *text, char **out, struct lethe_error *err)
{
    *out = strdup(text);
    return *out != NULL ? LETHE_OK : error_set(err, LETHE_NO_MEMORY, "no memory for the manifest");
}

static lethe_result expect_text(const char *field, const char *found, const char *expected,
                                struct lethe_error *err)
{
    if (strcmp(found, expected) == 0)
        return LETHE_OK;
    return error_set(err, LETHE_MALFORMED, "field '%s' is not \"%s\"", field, expected);
}

/* ---- tensors --------------------------------------------------------------------------------- */

static lethe_result read_shape(const json_t *shape, struct tensor *tensor, struct lethe_error *err)
{
    size_t dimensions = json_array_size(shape);
    if (dimensions > TENSOR_DIMENSIONS_MAX)
        return error_set(err, LETHE_MALFORMED, "%zu dimensions, more than %u", dimensions,
                         TENSOR_DIMENSIONS_MAX);
    tensor->dimensions = (unsigned)dimensions;
    for (size_t i = 0; i < dimensions; i++) {
        const json_t *value = json_array_get(shape, i);
        json_int_t number = json_integer_value(value);
        if (!json_is_integer(value) || number < 0 || (uint64_t)number > JSON_INTEGER_MAX)
            return error_set(err, LETHE_MALFORMED, "field 'shape' holds no size at place %zu", i);
        tensor->shape[i] = (uint64_t)number;
    }
    return LETHE_OK;
}

static lethe_result read_tensor(const json_t *object, uint64_t file_bytes, struct tensor_list *list,
                                struct lethe_error *err)
{
    const char *name = NULL;
    const char *dtype = NULL;
    const json_t *shape = NULL;
    struct tensor tensor = {0};
    const struct json_field fields[] = {
        {"begin", JSON_FIELD_UINT, .target = &tensor.begin},
        {"dtype", JSON_FIELD_TEXT, .target = &dtype},
        {"end", JSON_FIELD_UINT, .target = &tensor.end},
        {"name", JSON_FIELD_TEXT, .target = &name},
        {"shape", JSON_FIELD_ARRAY, .target = &shape},
    };
    TRY(json_read_fields(object, "tensor", fields, ARRAY_LEN(fields), err));
    if (tensor.begin > tensor.end || tensor.end > file_bytes)
        return error_set(err, LETHE_MALFORMED,
                         "range %" PRIu64 " to %" PRIu64 " is not in the file", tensor.begin,
                         tensor.end);
    tensor.dtype = tensor_dtype_find(list->type, dtype);
    if (tensor.dtype == NULL)
        return error_set(err, LETHE_MALFORMED, "field 'dtype' is not one of a %s file",
                         model_file_type_name(list->type));
    TRY(read_shape(shape, &tensor, err));
    tensor.name = (char *)name; /* the list takes a copy */
    return tensor_list_add(list, &tensor, err);
}

static lethe_result read_tensors(const json_t *array, struct shard *shard, struct lethe_error *err)
{
    size_t i;
    json_t *object;
    json_array_foreach(array, i, object) TRY(error_context(
        err, read_tensor(object, shard->size, &shard->tensors, err), "tensor %zu", i));
    return LETHE_OK;
}

/* ---- what of its file a shard holds ---------------------------------------------------------- */

static bool read_bound(const json_t *value, uint64_t *out)
{
    json_int_t number = json_integer_value(value);
    *out = (uint64_t)number;
    return json_is_integer(value) && number >= 0 && *out <= JSON_INTEGER_MAX;
}

/* Behind the last one, with something between them. */
static lethe_result read_extent(const json_t *pair, struct extent_list *list,
                                struct lethe_error *err)
{
    uint64_t begin;
    uint64_t end;
    if (json_array_size(pair) != 2 || !read_bound(json_array_get(pair, 0), &begin) ||
        !read_bound(json_array_get(pair, 1), &end))
        return error_set(err, LETHE_MALFORMED, "not two places in a file");
    if (begin >= end)
        return error_set(err, LETHE_MALFORMED, "it is empty");
    if (list->count > 0 && begin <= list->items[list->count - 1].end)
        return error_set(err, LETHE_MALFORMED, "it does not lie behind the one before");
    return extent_list_add(list, begin, end, err);
}

static lethe_result read_extents(const json_t *array, struct shard *shard, struct lethe_error *err)
{
    size_t count = json_array_size(array);
    if (count == 0 || count > SHARD_EXTENTS_MAX)
        return error_set(err, LETHE_MALFORMED,
                         "field 'extents' holds %zu ranges instead of 1 to %u", count,
                         SHARD_EXTENTS_MAX);
    for (size_t i = 0; i < count; i++)
        TRY(error_context(err, read_extent(json_array_get(array, i), &shard->extents, err),
                          "field 'extents', range %zu", i));
    if (extent_list_bytes(&shard->extents) != shard->size)
        return error_set(err, LETHE_MALFORMED,
                         "field 'extents' holds %" PRIu64 " bytes, and field "
                         "'size' is %" PRIu64,
                         extent_list_bytes(&shard->extents), shard->size);
    return LETHE_OK;
}

static lethe_result read_expert(const json_t *object, struct shard *shard, struct lethe_error *err)
{
    const struct json_field fields[] = {
        {"index", JSON_FIELD_UINT, .target = &shard->expert.index},
        {"layer", JSON_FIELD_UINT, .target = &shard->expert.layer},
    };
    TRY(json_read_fields(object, "expert", fields, ARRAY_LEN(fields), err));
    if (MAX(shard->expert.index, shard->expert.layer) > EXPERT_NUMBER_MAX)
        return error_set(err, LETHE_MALFORMED, "field 'expert' holds a number over %u",
                         EXPERT_NUMBER_MAX);
    return LETHE_OK;
}

/* ---- shards ---------------------------------------------------------------------------------- */

struct shard_fields {
    const char *cipher;
    const char *digest;
    const json_t *expert; /* NULL when there is none */
    const json_t *extents;
    const char *file;
    const char *id;
    const char *key;
    const char *kind;
    const char *name;
    const json_t *tensors;
    const char *tier;
    const char *type;
    const char *wrapped_key;
};

static lethe_result read_shard_fields(const json_t *object, struct shard_fields *f,
                                      struct shard *shard, struct lethe_error *err)
{
    const struct json_field fields[] = {
        {"cipher", JSON_FIELD_TEXT, .target = &f->cipher},
        {"cipher_size", JSON_FIELD_UINT, .target = &shard->cipher_size},
        {"digest", JSON_FIELD_TEXT, .target = &f->digest},
        {"expert", JSON_FIELD_OBJECT, .optional = true, .target = &f->expert},
        {"extents", JSON_FIELD_ARRAY, .optional = true, .target = &f->extents},
        {"file", JSON_FIELD_TEXT, .target = &f->file},
        {"id", JSON_FIELD_TEXT, .target = &f->id},
        {"key", JSON_FIELD_TEXT, .target = &f->key},
        {"key_version", JSON_FIELD_UINT, .target = &shard->key_version},
        {"kind", JSON_FIELD_TEXT, .target = &f->kind},
        {"name", JSON_FIELD_TEXT, .target = &f->name},
        {"size", JSON_FIELD_UINT, .target = &shard->size},
        {"tensors", JSON_FIELD_ARRAY, .target = &f->tensors},
        {"tier", JSON_FIELD_TEXT, .target = &f->tier},
        {"type", JSON_FIELD_TEXT, .target = &f->type},
        {"wrapped_key", JSON_FIELD_TEXT, .target = &f->wrapped_key},
    };
    return json_read_fields(object, "shard", fields, ARRAY_LEN(fields), err);
}

static lethe_result check_words(const struct shard_fields *f, struct shard *shard,
                                struct lethe_error *err)
{
    TRY(expect_text("cipher", f->cipher, TINK_SHARD_CIPHER, err));
    if (tier_parse(f->tier, &shard->tier) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED,
                         "field 'tier' is none of hot, warm, cold and archive");
    if (shard_kind_parse(f->kind, &shard->kind) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "field 'kind' is not a kind of shard known here");
    if (tree_digest_parse(f->digest, shard->digest) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED,
                         "field 'digest' is not \"fsverity-sha256:\" and 64 hex digits");
    if (model_file_type_parse(f->type, &shard->tensors.type) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "field 'type' is not a type of file known here");
    return LETHE_OK;
}

/* What can be said in one way only must be said in that way. */
static lethe_result check_names(const struct shard_fields *f, const struct manifest *manifest,
                                const struct shard *shard, struct lethe_error *err)
{
    TRY(in_file(err, validate_identifier("field 'id'", f->id, NAME_PART_MAX, err)));
    TRY(in_file(err, validate_relative_path("field 'name'", f->name, err)));
    char expected[4 * NAME_PART_MAX];
    snprintf(expected, sizeof expected, SHARD_DIRECTORY "/%s.tink", f->id);
    TRY(expect_text("file", f->file, expected, err));
    snprintf(expected, sizeof expected, "%s.%s.%s", manifest->tenant, manifest->model,
             tier_name(shard->tier));
    TRY(expect_text("key", f->key, expected, err));
    snprintf(expected, sizeof expected, "vault:v%" PRIu64 ":", shard->key_version);
    size_t length = strlen(expected);
    if (shard->key_version == 0 || strncmp(f->wrapped_key, expected, length) != 0 ||
        strlen(f->wrapped_key) > WRAPPED_KEY_MAX)
        return error_set(err, LETHE_MALFORMED,
                         "field 'wrapped_key' is not a key wrapped under version %" PRIu64,
                         shard->key_version);
    return LETHE_OK;
}

static lethe_result check_sizes(const struct shard *shard, struct lethe_error *err)
{
    uint64_t cipher_size;
    if (tink_cipher_size(&tink_shard_parameters, shard->size, &cipher_size) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "field 'size' is larger than a shard can be");
    if (cipher_size != shard->cipher_size)
        return error_set(err, LETHE_MALFORMED,
                         "field 'cipher_size' is %" PRIu64 ", but a shard of %" PRIu64
                         " bytes has %" PRIu64,
                         shard->cipher_size, shard->size, cipher_size);
    return LETHE_OK;
}

static lethe_result read_part(const struct shard_fields *f, struct shard *shard,
                              struct lethe_error *err)
{
    if ((f->expert != NULL) != (shard->kind == SHARD_EXPERT))
        return error_set(err, LETHE_MALFORMED,
                         "field 'expert' belongs to shards of the kind \"expert\", and to each");
    if (f->expert != NULL)
        TRY(read_expert(f->expert, shard, err));
    return f->extents == NULL ? LETHE_OK : read_extents(f->extents, shard, err);
}

static lethe_result read_shard(const json_t *object, const struct manifest *manifest,
                               struct shard *shard, struct lethe_error *err)
{
    struct shard_fields f = {0};
    TRY(read_shard_fields(object, &f, shard, err));
    TRY(check_words(&f, shard, err));
    TRY(check_names(&f, manifest, shard, err));
    TRY(check_sizes(shard, err));
    TRY(read_part(&f, shard, err));
    TRY(copy_text(f.id, &shard->id, err));
    TRY(copy_text(f.file, &shard->file, err));
    TRY(copy_text(f.name, &shard->name, err));
    TRY(copy_text(f.key, &shard->key, err));
    TRY(copy_text(f.wrapped_key, &shard->wrapped_key, err));
    return read_tensors(f.tensors, shard, err);
}

/* ---- manifest -------------------------------------------------------------------------------- */

/* "2026-11-20T12:00:00Z": the form; which days a month has does not matter here. */
static bool is_time_text(const char *text)
{
    static const char form[] = "0000-00-00T00:00:00Z";
    if (strlen(text) != sizeof form - 1)
        return false;
    for (size_t i = 0; i < sizeof form - 1; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (form[i] == '0' ? !digit : text[i] != form[i])
            return false;
    }
    return true;
}

static lethe_result check_ids(const struct manifest *manifest, struct lethe_error *err)
{
    CLEANUP(memory_free) const char **ids = calloc(manifest->count, sizeof *ids);
    if (ids == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the manifest");
    for (size_t i = 0; i < manifest->count; i++)
        ids[i] = manifest->shards[i].id;
    if (paths_clash(ids, manifest->count) != NULL)
        return error_set(err, LETHE_MALFORMED, "two shards with clashing field 'id'");
    return LETHE_OK;
}

static lethe_result read_shards(const json_t *array, struct manifest *manifest,
                                struct lethe_error *err)
{
    size_t count = json_array_size(array);
    if (count == 0 || count > MANIFEST_SHARDS_MAX)
        return error_set(err, LETHE_MALFORMED, "%zu shards instead of 1 to %u", count,
                         MANIFEST_SHARDS_MAX);
    manifest->shards = calloc(count, sizeof *manifest->shards);
    if (manifest->shards == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu shards", count);
    for (size_t i = 0; i < count; i++) {
        manifest->count = i + 1; /* freed with whatever it holds by then */
        TRY(error_context(err,
                          read_shard(json_array_get(array, i), manifest, &manifest->shards[i], err),
                          "shard %zu", i));
    }
    TRY(check_ids(manifest, err));
    TRY(model_files_find(manifest, &manifest->files, err));
    return model_experts_find(manifest, &manifest->experts, err);
}

static lethe_result read_manifest(const json_t *root, struct manifest *manifest,
                                  struct lethe_error *err)
{
    const char *created = NULL;
    const char *format = NULL;
    const char *model = NULL;
    const char *tenant = NULL;
    const json_t *shards = NULL;
    const struct json_field fields[] = {
        {"created", JSON_FIELD_TEXT, .target = &created},
        {"format", JSON_FIELD_TEXT, .target = &format},
        {"model", JSON_FIELD_TEXT, .target = &model},
        {"release", JSON_FIELD_UINT, .target = &manifest->release},
        {"shards", JSON_FIELD_ARRAY, .target = &shards},
        {"tenant", JSON_FIELD_TEXT, .target = &tenant},
    };
    TRY(json_read_fields(root, "manifest", fields, ARRAY_LEN(fields), err));
    TRY(expect_text("format", format, MANIFEST_FORMAT, err));
    TRY(in_file(err, validate_identifier("field 'tenant'", tenant, NAME_PART_MAX, err)));
    TRY(in_file(err, validate_identifier("field 'model'", model, NAME_PART_MAX, err)));
    if (manifest->release == 0)
        return error_set(err, LETHE_MALFORMED, "field 'release' is 0; releases start at 1");
    if (!is_time_text(created))
        return error_set(err, LETHE_MALFORMED,
                         "field 'created' is not a time like 2026-11-20T12:00:00Z");
    TRY(copy_text(created, &manifest->created, err));
    TRY(copy_text(model, &manifest->model, err));
    TRY(copy_text(tenant, &manifest->tenant, err));
    return read_shards(shards, manifest, err);
}

lethe_result manifest_parse(const void *json, size_t size_bytes, struct manifest **out,
                            struct lethe_error *err)
{
    *out = NULL;
    if (size_bytes > MANIFEST_BYTES_MAX)
        return error_set(err, LETHE_MALFORMED, "%zu bytes, more than %zu", size_bytes,
                         MANIFEST_BYTES_MAX);
    CLEANUP(json_decref) json_t *root = NULL;
    TRY(json_parse(json, size_bytes, &root, err));
    CLEANUP(manifest_free) struct manifest *manifest = calloc(1, sizeof *manifest);
    if (manifest == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the manifest");
    TRY(read_manifest(root, manifest, err));
    *out = MOVE(manifest);
    return LETHE_OK;
}
