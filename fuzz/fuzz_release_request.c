/* A request for data keys: what is taken is within its limits, and its shards are all there, or
 * refused where they begin to be none. */
#include <string.h>

#include "service/release.h"

#include "fuzz.h"

static bool is_text(const char *text, size_t size_bytes)
{
    return memchr(text, '\0', size_bytes) != NULL;
}

static void check_members(const struct release_request *request, const char *text, size_t size)
{
    FUZZ_PROPERTY(is_text(request->principal, sizeof request->principal));
    FUZZ_PROPERTY(is_text(request->operation, sizeof request->operation));
    FUZZ_PROPERTY(is_text(request->model, sizeof request->model));
    FUZZ_PROPERTY(is_text(request->tenant, sizeof request->tenant));
    FUZZ_PROPERTY(is_text(request->tier, sizeof request->tier));
    FUZZ_PROPERTY(is_text(request->purpose, sizeof request->purpose));
    FUZZ_PROPERTY(request->shard_count > 0 && request->shard_count <= RELEASE_SHARDS_MAX);
    FUZZ_PROPERTY(request->shards.at > text && request->shards.at < text + size);
    if (request->engine.at != NULL)
        FUZZ_PROPERTY(request->engine.at > text && *request->engine.at == '{');
}

static void check_shards(const struct release_request *request)
{
    struct release_shard shard;
    struct json_walk walk = json_walk_over(&request->shards);
    lethe_result result;
    size_t count = 0;
    while ((result = release_shard_next(&walk, &shard, NULL)) == LETHE_OK) {
        FUZZ_PROPERTY(is_text(shard.id, sizeof shard.id));
        FUZZ_PROPERTY(is_text(shard.wrapped, sizeof shard.wrapped));
        FUZZ_PROPERTY(shard.aad_bytes <= sizeof shard.aad);
        count++;
    }
    FUZZ_PROPERTY(result == LETHE_MALFORMED ? count < request->shard_count
                                            : count == request->shard_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct release_request request;
    if (release_request_read((const char *)data, size, &request, NULL) != LETHE_OK)
        return 0;
    check_members(&request, (const char *)data, size);
    check_shards(&request);
    return 0;
}
