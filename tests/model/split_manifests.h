/* tests/model/split_manifests.h -- manifests of shards that are parts of files, as text. */
#ifndef TESTS_MODEL_SPLIT_MANIFESTS_H
#define TESTS_MODEL_SPLIT_MANIFESTS_H

#include "check.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "model/manifest.h"
#include "model/tink.h"

/* A shard of a test. `part` is what stands between the fields "digest" and "file", with a comma in
 * front: ",\"expert\":...,\"extents\":..."; "" for nothing. */
struct part {
    const char *name;
    const char *kind;
    uint64_t size;
    const char *part;
};

static inline void write_part(struct buffer *out, const struct part *part, size_t index)
{
    uint64_t cipher_size;
    assert_int_equal(tink_cipher_size(&tink_shard_parameters, part->size, &cipher_size), LETHE_OK);
    buffer_format(out, "{\"cipher\":\"AES256_GCM_HKDF_1MB\",\"cipher_size\":%" PRIu64, cipher_size);
    buffer_text(out, ",\"digest\":\"fsverity-sha256:"
                     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"");
    buffer_text(out, part->part);
    buffer_format(out, ",\"file\":\"shards/%04zu.tink\",\"id\":\"%04zu\"", index, index);
    buffer_text(out, ",\"key\":\"acme.moe.hot\",\"key_version\":1");
    buffer_format(out, ",\"kind\":\"%s\",\"name\":\"%s\",\"size\":%" PRIu64, part->kind, part->name,
                  part->size);
    buffer_text(out, ",\"tensors\":[],\"tier\":\"hot\",\"type\":\"safetensors\","
                     "\"wrapped_key\":\"vault:v1:AAAA\"}");
}

static inline void write_parts(struct buffer *out, const struct part *parts, size_t count)
{
    buffer_text(out, "{\"created\":\"2026-11-20T12:00:00Z\",\"format\":\"lethe-model/1\","
                     "\"model\":\"moe\",\"release\":1,\"shards\":[");
    for (size_t i = 0; i < count; i++) {
        buffer_text(out, i == 0 ? "" : ",");
        write_part(out, &parts[i], i);
    }
    buffer_text(out, "],\"tenant\":\"acme\"}\n");
}

static inline lethe_result parse_parts(const struct part *parts, size_t count,
                                       struct manifest **out, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    write_parts(&text, parts, count);
    assert_ok(buffer_result(&text, err), err);
    return manifest_parse(text.bytes, text.size_bytes, out, err);
}

#endif
