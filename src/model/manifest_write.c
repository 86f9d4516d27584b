/* Writes canonical JSON (RFC 8785) directly: fields stand in the order of their names. */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "model/manifest.h"
#include "model/tink.h"

static void write_text(struct buffer *out, const char *before, const char *text)
{
    buffer_text(out, before);
    json_append_string(out, text, strlen(text));
}

static void write_tensor(struct buffer *out, const struct tensor *tensor)
{
    buffer_format(out, "{\"begin\":%" PRIu64, tensor->begin);
    write_text(out, ",\"dtype\":", tensor->dtype);
    buffer_format(out, ",\"end\":%" PRIu64, tensor->end);
    write_text(out, ",\"name\":", tensor->name);
    buffer_text(out, ",\"shape\":[");
    for (unsigned i = 0; i < tensor->dimensions; i++)
        buffer_format(out, "%s%" PRIu64, i == 0 ? "" : ",", tensor->shape[i]);
    buffer_text(out, "]}");
}

static void write_tensors(struct buffer *out, const struct tensor_list *list)
{
    buffer_text(out, ",\"tensors\":[");
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            buffer_byte(out, ',');
        write_tensor(out, &list->tensors[i]);
    }
    buffer_byte(out, ']');
}

static void write_extents(struct buffer *out, const struct extent_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        buffer_format(out, "%s[%" PRIu64 ",%" PRIu64 "]", i == 0 ? ",\"extents\":[" : ",",
                      list->items[i].begin, list->items[i].end);
    if (list->count > 0)
        buffer_byte(out, ']');
}

static void write_shard(struct buffer *out, const struct shard *shard)
{
    char digest[TREE_DIGEST_TEXT_SIZE];
    tree_digest_text(shard->digest, digest);
    write_text(out, "{\"cipher\":", TINK_SHARD_CIPHER);
    buffer_format(out, ",\"cipher_size\":%" PRIu64, shard->cipher_size);
    write_text(out, ",\"digest\":", digest);
    if (shard->kind == SHARD_EXPERT)
        buffer_format(out, ",\"expert\":{\"index\":%" PRIu64 ",\"layer\":%" PRIu64 "}",
                      shard->expert.index, shard->expert.layer);
    write_extents(out, &shard->extents);
    write_text(out, ",\"file\":", shard->file);
    write_text(out, ",\"id\":", shard->id);
    write_text(out, ",\"key\":", shard->key);
    buffer_format(out, ",\"key_version\":%" PRIu64, shard->key_version);
    write_text(out, ",\"kind\":", shard_kind_name(shard->kind));
    write_text(out, ",\"name\":", shard->name);
    buffer_format(out, ",\"size\":%" PRIu64, shard->size);
    write_tensors(out, &shard->tensors);
    write_text(out, ",\"tier\":", tier_name(shard->tier));
    write_text(out, ",\"type\":", model_file_type_name(shard->tensors.type));
    write_text(out, ",\"wrapped_key\":", shard->wrapped_key);
    buffer_byte(out, '}');
}

lethe_result manifest_write(const struct manifest *manifest, struct buffer *out,
                            struct lethe_error *err)
{
    write_text(out, "{\"created\":", manifest->created);
    write_text(out, ",\"format\":", MANIFEST_FORMAT);
    write_text(out, ",\"model\":", manifest->model);
    buffer_format(out, ",\"release\":%" PRIu64 ",\"shards\":[", manifest->release);
    for (size_t i = 0; i < manifest->count; i++) {
        if (i > 0)
            buffer_byte(out, ',');
        write_shard(out, &manifest->shards[i]);
    }
    write_text(out, "],\"tenant\":", manifest->tenant);
    buffer_text(out, "}\n");
    TRY(buffer_result(out, err));
    if (out->size_bytes > MANIFEST_BYTES_MAX)
        return error_set(err, LETHE_LIMIT, "the manifest would have %zu bytes, more than %zu",
                         out->size_bytes, MANIFEST_BYTES_MAX);
    return LETHE_OK;
}
