#include "model/staging.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/thread.h"

#define WRITE_SEGMENTS 8u /* at once: few enough to leave little for the end, enough for a disk */

unsigned workers_for(unsigned threads, uint64_t jobs)
{
    uint64_t wanted = threads == 0 ? threads_available() : MIN(threads, THREADS_MAX);
    return (unsigned)MAX(1u, MIN(wanted, jobs));
}

static void staging_free(struct staging *staging)
{
    lethe_region_free(staging->region);
    free(staging->hashes);
}

static lethe_result staging_fill(struct staging *staging, const char *tenant,
                                 struct lethe_error *err)
{
    struct lethe_region_options options = {.class_ = LETHE_CLASS_WEIGHTS, .label.id = "staging"};
    strncat(options.label.tenant, tenant, sizeof options.label.tenant - 1);
    TRY(lethe_region_create(STAGING_MARGIN_BYTES + SEGMENT_BYTES + STAGING_MARGIN_BYTES, &options,
                            &staging->region, err));
    staging->segment = (uint8_t *)lethe_region_bytes(staging->region) + STAGING_MARGIN_BYTES;
    staging->hashes = malloc(STAGING_HASHES * TREE_HASH_BYTES);
    if (staging->hashes == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a worker's buffers");
    return LETHE_OK;
}

lethe_result staging_create(unsigned threads, uint64_t jobs, const char *tenant,
                            struct staging_set *out, struct lethe_error *err)
{
    unsigned wanted = workers_for(threads, jobs);
    *out = (struct staging_set){.items = calloc(wanted, sizeof *out->items)};
    if (out->items == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %u workers", wanted);
    for (; out->count < wanted; out->count++) {
        struct staging *staging = &out->items[out->count];
        lethe_result result = staging_fill(staging, tenant, out->count == 0 ? err : NULL);
        if (result == LETHE_OK)
            continue;
        staging_free(staging);
        return out->count > 0 ? LETHE_OK : result;
    }
    return LETHE_OK;
}

void staging_clear(struct staging_set *set)
{
    for (unsigned i = 0; i < set->count; i++)
        staging_free(&set->items[i]);
    free(set->items);
    *set = (struct staging_set){0};
}

void staging_write_behind(int fd, uint64_t index)
{
    uint64_t end = index + 1;
    if (end % WRITE_SEGMENTS == 0)
        (void)sync_file_range(fd, (off_t)((end - WRITE_SEGMENTS) * SEGMENT_BYTES),
                              (off_t)(WRITE_SEGMENTS * SEGMENT_BYTES), SYNC_FILE_RANGE_WRITE);
}
