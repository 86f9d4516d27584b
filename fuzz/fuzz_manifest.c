/* manifest.json. What was read can be written; that is canonical, and reads back as the same. */
#include <string.h>

#include "model/manifest.h"
#include "model/tink.h"

#include "fuzz.h"

static void check(const struct manifest *manifest)
{
    FUZZ_PROPERTY(manifest->count > 0 && manifest->release > 0);
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
