/* manifest.json. What was read can be written; that is canonical, and reads back as the same. */
#include <stdlib.h>
#include <string.h>

#include "model/manifest.h"
#include "model/tink.h"

#include "fuzz.h"

/* Where in the file a shard's bytes are; those of a whole file are one range. */
static size_t ranges_of(const struct shard *shard, struct extent *out)
{
    size_t count = shard->extents.count;
    out[0] = (struct extent){.end = shard->size};
    for (size_t i = 0; i < count; i++)
        out[i] = shard->extents.items[i];
    return count == 0 ? 1 : count;
}

/* No byte is there twice, and there are as many as the last is far from the first: all are there.
 */
static void check_cover(const struct extent *ranges, size_t count, uint64_t file_bytes)
{
    uint64_t sum = 0;
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        sum += ranges[i].end - ranges[i].begin;
        end = ranges[i].end > end ? ranges[i].end : end;
        for (size_t j = 0; j < i; j++)
            FUZZ_PROPERTY(ranges[i].end <= ranges[j].begin || ranges[j].end <= ranges[i].begin);
    }
    FUZZ_PROPERTY(sum == file_bytes && end == file_bytes);
}

static void check_file(const struct manifest *manifest, const struct model_file *file)
{
    size_t count = 0;
    for (size_t i = 0; i < file->shard_count; i++)
        count += manifest->shards[file->shards[i]].extents.count + 1;
    CLEANUP(memory_free) struct extent *ranges = calloc(count, sizeof *ranges);
    FUZZ_PROPERTY(ranges != NULL && file->shard_count > 0);
    count = 0;
    for (size_t i = 0; i < file->shard_count; i++) {
        const struct shard *shard = &manifest->shards[file->shards[i]];
        FUZZ_PROPERTY(strcmp(shard->name, file->name) == 0);
        count += ranges_of(shard, ranges + count);
    }
    check_cover(ranges, count, file->size_bytes);
}

/* Every shard is of one file; every expert is found, and has its shards only. */
static void check_index(const struct manifest *manifest)
{
    size_t count = 0;
    for (size_t i = 0; i < manifest->files.count; i++) {
        check_file(manifest, &manifest->files.items[i]);
        count += manifest->files.items[i].shard_count;
    }
    FUZZ_PROPERTY(count == manifest->count);
    for (size_t i = 0; i < manifest->count; i++) {
        const struct shard *shard = &manifest->shards[i];
        if (shard->kind != SHARD_EXPERT)
            continue;
        const struct model_expert *expert = model_expert_at(&manifest->experts, shard->expert);
        FUZZ_PROPERTY(expert != NULL && expert_order(expert->id, shard->expert) == 0);
        FUZZ_PROPERTY(expert->shard_count > 0 && expert->size_bytes >= shard->size);
    }
}

static void check(const struct manifest *manifest)
{
    FUZZ_PROPERTY(manifest->count > 0 && manifest->release > 0);
    check_index(manifest);
    for (size_t i = 0; i < manifest->count; i++) {
        const struct shard *shard = &manifest->shards[i];
        uint64_t cipher_size;
        FUZZ_PROPERTY(validate_relative_path("name", shard->name, NULL) == LETHE_OK);
        FUZZ_PROPERTY(strstr(shard->file, "..") == NULL);
        FUZZ_PROPERTY(tink_cipher_size(&tink_shard_parameters, shard->size, &cipher_size) ==
                      LETHE_OK);
        FUZZ_PROPERTY(cipher_size == shard->cipher_size);
        for (size_t t = 0; t < shard->tensors.count; t++)
            FUZZ_PROPERTY(shard->tensors.tensors[t].end <= shard->size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(manifest_free) struct manifest *first = NULL;
    CLEANUP(manifest_free) struct manifest *second = NULL;
    CLEANUP(buffer_clear) struct buffer written = {0};
    CLEANUP(buffer_clear) struct buffer again = {0};
    struct lethe_error err = {0};
    if (manifest_parse(data, size, &first, &err) != LETHE_OK) {
        FUZZ_PROPERTY(first == NULL);
        return 0;
    }
    check(first);
    FUZZ_PROPERTY(manifest_write(first, &written, &err) == LETHE_OK);
    FUZZ_PROPERTY(manifest_parse(written.bytes, written.size_bytes, &second, &err) == LETHE_OK);
    FUZZ_PROPERTY(manifest_write(second, &again, &err) == LETHE_OK);
    FUZZ_PROPERTY(written.size_bytes == again.size_bytes);
    FUZZ_PROPERTY(memcmp(written.bytes, again.bytes, written.size_bytes) == 0);
    return 0;
}
