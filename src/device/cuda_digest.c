/* Digests of what a CUDA device holds, computed there; the host joins hashes of hashes. */
#include <stdlib.h>

#include "base/error.h"
#include "crypto/tree.h"
#include "device/cuda.h"

/* Blocks of one launch: half a GiB, whose hashes are 4 MiB and whose parents' hashes 32 KiB. */
#define BATCH_BLOCKS ((uint64_t)1 << 17)

_Static_assert(TREE_BLOCK_BYTES == KERNEL_HASH_BLOCK_BYTES, "the blocks of crypto/tree.h");
_Static_assert(TREE_HASH_BYTES == KERNEL_HASH_BYTES, "and its hashes");

struct batch {
    const struct cuda_device *device;
    uint64_t address;
    uint64_t size_bytes;
    cuda_address hashes;
    cuda_address parents;
    uint8_t *host; /* for the parents of BATCH_BLOCKS */
};

static uint64_t blocks_in(uint64_t size_bytes)
{
    return size_bytes / TREE_BLOCK_BYTES + (size_bytes % TREE_BLOCK_BYTES > 0);
}

static lethe_result hash_blocks(const struct batch *batch, uint64_t address, uint64_t size_bytes,
                                uint64_t out, struct lethe_error *err)
{
    struct hash_blocks_task task = {
        .threads = blocks_in(size_bytes), .address = address, .size_bytes = size_bytes, .out = out};
    return cuda_run(batch->device, CUDA_KERNEL_hash_blocks, &task, err);
}

/* Two levels on the device. Only the last batch has blocks that do not fill one of hashes. */
static lethe_result push_batch(const struct batch *batch, struct tree *tree,
                               struct lethe_error *err)
{
    uint64_t blocks = blocks_in(batch->size_bytes), groups = blocks / TREE_FANOUT;
    TRY(hash_blocks(batch, batch->address, batch->size_bytes, batch->hashes, err));
    if (groups > 0)
        TRY(hash_blocks(batch, batch->hashes, groups * TREE_BLOCK_BYTES, batch->parents, err));
    TRY(cuda_wait(batch->device, err));
    if (groups > 0) {
        TRY(cuda_download(batch->device, batch->host, batch->parents, groups * TREE_HASH_BYTES,
                          err));
        tree_push_at(tree, 1, batch->host, groups);
    }
    uint64_t rest = blocks % TREE_FANOUT;
    if (rest == 0)
        return LETHE_OK;
    TRY(cuda_download(batch->device, batch->host, batch->hashes + groups * TREE_BLOCK_BYTES,
                      rest * TREE_HASH_BYTES, err));
    tree_push(tree, batch->host, rest);
    return LETHE_OK;
}

static lethe_result push_all(const struct device_memory *memory, struct tree *tree,
                             struct lethe_error *err)
{
    const uint64_t batch_blocks = MIN(blocks_in(memory->size_bytes), BATCH_BLOCKS);
    const uint64_t batch_bytes = batch_blocks * TREE_BLOCK_BYTES;
    const uint64_t parents = (batch_blocks + TREE_FANOUT - 1) / TREE_FANOUT;
    struct batch batch = {.device = cuda_device_of(memory)};
    CLEANUP(cuda_scratch) struct cuda_scratch scratch = {0};
    CLEANUP(memory_free) uint8_t *host = malloc(MAX(parents, TREE_FANOUT) * TREE_HASH_BYTES);
    if (host == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for hashes");
    TRY(cuda_scratch_begin(batch.device, (batch_blocks + parents) * TREE_HASH_BYTES, &scratch,
                           err));
    batch.host = host;
    batch.hashes = scratch.address;
    batch.parents = scratch.address + batch_blocks * TREE_HASH_BYTES;
    for (uint64_t done = 0; done < memory->size_bytes; done += batch.size_bytes) {
        batch.address = cuda_address_of(memory) + done;
        batch.size_bytes = MIN(memory->size_bytes - done, batch_bytes);
        TRY(push_batch(&batch, tree, err));
    }
    return cuda_scratch_end(&scratch, err);
}

/* ---- plain SHA-256 --------------------------------------------------------------------------- */

/* Short enough that no launch lasts a second, on one thread. */
#define STEP_BYTES ((uint64_t)4 << 20)

static lethe_result hash_stream(const struct device_memory *memory, uint8_t *digest,
                                struct lethe_error *err)
{
    const struct cuda_device *device = cuda_device_of(memory);
    CLEANUP(cuda_scratch) struct cuda_scratch scratch = {0};
    TRY(cuda_scratch_begin(device, KERNEL_HASH_BYTES, &scratch, err));
    for (uint64_t done = 0; done < memory->size_bytes; done += STEP_BYTES) {
        uint64_t left = memory->size_bytes - done;
        struct hash_stream_task task = {.threads = 1,
                                        .address = cuda_address_of(memory) + done,
                                        .size_bytes = MIN(left, STEP_BYTES),
                                        .total_bytes = left <= STEP_BYTES ? memory->size_bytes : 0,
                                        .state = scratch.address,
                                        .is_first = done == 0};
        TRY(cuda_run(device, CUDA_KERNEL_hash_stream, &task, err));
        TRY(cuda_wait(device, err));
    }
    TRY(cuda_download(device, digest, scratch.address, KERNEL_HASH_BYTES, err));
    return cuda_scratch_end(&scratch, err);
}

lethe_result cuda_digest(const struct device_memory *memory, enum device_digest kind,
                         unsigned threads, uint8_t *digest, struct lethe_error *err)
{
    CLEANUP(cuda_leave) struct cuda_scope scope = {0};
    TRY(cuda_enter(cuda_device_of(memory), &scope, err));
    if (kind == DEVICE_SHA256)
        return hash_stream(memory, digest, err);
    struct tree tree = {0};
    TRY(push_all(memory, &tree, err));
    tree_finish(&tree, memory->size_bytes, digest);
    return LETHE_OK;
}
