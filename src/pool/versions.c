#include "pool/versions.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"

#define PENDING ((uint64_t)1 << 63)

struct versions {
    struct lethe_region *region;
    uint64_t *at; /* in the region */
    uint64_t blocks;
    uint64_t aes_per_seal;
    uint64_t aes_sealed;
};

/* GCM also encrypts a counter block for the tag, and derives its hash key once. */
static uint64_t aes_blocks(uint32_t block_bytes)
{
    return block_bytes / 16 + 2;
}

lethe_result versions_create(uint64_t blocks, uint32_t block_bytes, struct versions **out,
                             struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(versions_free) struct versions *versions = calloc(1, sizeof *versions);
    if (versions == NULL || blocks > SIZE_MAX / sizeof(uint64_t))
        return error_set(err, LETHE_NO_MEMORY, "no memory for the versions of %" PRIu64 " blocks",
                         blocks);
    const struct lethe_region_options options = {
        .class_ = LETHE_CLASS_CONTENT, .huge_pages = true, .label = {.id = "pool-versions"}};
    TRY(error_context(
        err,
        lethe_region_create((size_t)blocks * sizeof(uint64_t), &options, &versions->region, err),
        "versions of %" PRIu64 " blocks", blocks));
    versions->at = lethe_region_bytes(versions->region);
    versions->blocks = blocks;
    versions->aes_per_seal = aes_blocks(block_bytes);
    *out = MOVE(versions);
    return LETHE_OK;
}

void versions_free(struct versions *versions)
{
    if (versions == NULL)
        return;
    lethe_region_free(versions->region);
    free(versions);
}

uint64_t versions_of(const struct versions *versions, uint64_t block)
{
    REQUIRE(block < versions->blocks);
    return versions->at[block] & ~PENDING;
}

lethe_result versions_next(struct versions *versions, uint64_t block, uint64_t *out,
                           struct lethe_error *err)
{
    REQUIRE(block < versions->blocks);
    if (versions->aes_sealed > VERSIONS_AES_MAX - versions->aes_per_seal) {
        error_set(err, LETHE_LIMIT, "the key of this lease has sealed all that one key may");
        error_hint(err, "allocate another lease and move what is still needed there");
        return LETHE_LIMIT;
    }
    versions->aes_sealed += versions->aes_per_seal;
    *out = versions_of(versions, block) + 1;
    versions->at[block] = *out | PENDING;
    return LETHE_OK;
}

bool versions_is_pending(const struct versions *versions, uint64_t block)
{
    REQUIRE(block < versions->blocks);
    return (versions->at[block] & PENDING) != 0;
}

void versions_settle(struct versions *versions, uint64_t block)
{
    REQUIRE(block < versions->blocks);
    versions->at[block] &= ~PENDING;
}

lethe_result versions_list(const struct versions *versions, struct version_entry *room,
                           size_t capacity, struct version_list *out, struct lethe_error *err)
{
    *out = (struct version_list){.entries = room};
    for (uint64_t i = 0; i < versions->blocks; i++)
        if (versions->at[i] != 0)
            out->written = i + 1;
    for (uint64_t i = 0; i < out->written; i++) {
        if (versions->at[i] == 1)
            continue;
        if (versions_is_pending(versions, i))
            return error_set(err, LETHE_CONFLICT, "a write of block %" PRIu64 " was not finished",
                             i);
        if (out->count == capacity)
            return error_set(err, LETHE_CONFLICT,
                             "more than %zu blocks were written more than once", capacity);
        room[out->count++] = (struct version_entry){.block = i, .version = versions->at[i]};
    }
    return LETHE_OK;
}

void versions_restore(struct versions *versions, const struct version_list *list)
{
    REQUIRE(list->written <= versions->blocks);
    for (uint64_t i = 0; i < list->written; i++)
        versions->at[i] = 1;
    for (size_t i = 0; i < list->count; i++) {
        REQUIRE(list->entries[i].block < list->written);
        versions->at[list->entries[i].block] = list->entries[i].version;
    }
}

void versions_count_aes(struct versions *versions, uint64_t count)
{
    versions->aes_sealed += count;
}
