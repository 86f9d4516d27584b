#include "model/blocks.h"

#include <string.h>

static void hash_bytes(struct block_run *run, const uint8_t *bytes, size_t size_bytes)
{
    tree_hash_blocks(bytes, size_bytes, run->staging->hashes + run->hashes * TREE_HASH_BYTES);
    run->hashes += (size_bytes + TREE_BLOCK_BYTES - 1) / TREE_BLOCK_BYTES;
}

lethe_result blocks_open(struct block_run *run, const struct shard_reader *reader, uint64_t index,
                         bool first, struct lethe_error *err)
{
    struct tink_segment segment = shard_segment(reader, index);
    uint8_t *plain = run->staging->segment;
    TRY(shard_open_segment(reader, index, plain, plain, err));

    uint64_t into_block = first ? segment.plain_offset % TREE_BLOCK_BYTES : 0;
    size_t skip = into_block > 0 ? TREE_BLOCK_BYTES - into_block : 0;
    skip = MIN(skip, segment.plain_bytes);
    const uint8_t *bytes = plain + skip - run->carried;
    size_t size_bytes = segment.plain_bytes - skip + run->carried;
    run->carried = segment.last ? 0 : size_bytes % TREE_BLOCK_BYTES;
    size_t whole = size_bytes - run->carried;
    hash_bytes(run, bytes, whole);
    memmove(plain - run->carried, bytes + whole, run->carried);
    return LETHE_OK;
}

lethe_result blocks_finish(struct block_run *run, const struct shard_reader *reader,
                           uint64_t behind, struct lethe_error *err)
{
    uint8_t *plain = run->staging->segment;
    if (run->carried == 0)
        return LETHE_OK;
    TRY(shard_read_segment(reader, behind, plain, plain, err));
    size_t size_bytes = shard_segment(reader, behind).plain_bytes + run->carried;
    hash_bytes(run, plain - run->carried, MIN(size_bytes, TREE_BLOCK_BYTES));
    run->carried = 0;
    return LETHE_OK;
}
