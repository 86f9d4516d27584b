#include "crypto/tree_blocks.h"

#include "crypto/ipsec.h"

/* A pass over the lanes costs the same however few of them are filled: below half of the widest
 * (16, AVX512) one block after another is faster. */
#define LANES_WORTHWHILE 8u

void tree_hash_singly(const uint8_t *blocks, size_t count, uint8_t *hashes)
{
    for (size_t i = 0; i < count; i++)
        sha256(blocks + i * TREE_BLOCK_BYTES, TREE_BLOCK_BYTES, hashes + i * TREE_HASH_BYTES);
}

static struct IMB_JOB *submit(struct IMB_MGR *manager, const uint8_t *block, uint8_t *hash)
{
    struct IMB_JOB *job = IMB_GET_NEXT_JOB(manager);
    job->cipher_mode = IMB_CIPHER_NULL;
    job->cipher_direction = IMB_DIR_ENCRYPT;
    job->chain_order = IMB_ORDER_HASH_CIPHER;
    job->hash_alg = IMB_AUTH_SHA_256;
    job->src = block;
    job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_hash_in_bytes = TREE_BLOCK_BYTES;
    job->auth_tag_output = hash;
    job->auth_tag_output_len_in_bytes = TREE_HASH_BYTES;
    return IMB_SUBMIT_JOB_NOCHECK(manager);
}

static size_t is_done(const struct IMB_JOB *job)
{
    return job != NULL && job->status == IMB_STATUS_COMPLETED;
}

bool tree_hash_in_lanes(const uint8_t *blocks, size_t count, uint8_t *hashes)
{
    struct IMB_MGR *manager = ipsec_borrow();
    if (manager == NULL)
        return false;
    size_t done = 0;
    for (size_t i = 0; i < count; i++)
        done +=
            is_done(submit(manager, blocks + i * TREE_BLOCK_BYTES, hashes + i * TREE_HASH_BYTES));
    for (const struct IMB_JOB *job; (job = IMB_FLUSH_JOB(manager)) != NULL;)
        done += is_done(job);
    REQUIRE(done == count);
    ipsec_give_back(manager);
    return true;
}

void tree_hash_blocks(const void *bytes, size_t size_bytes, uint8_t *hashes)
{
    const uint8_t *blocks = bytes;
    size_t count = size_bytes / TREE_BLOCK_BYTES, tail_bytes = size_bytes % TREE_BLOCK_BYTES;
    if (count < LANES_WORTHWHILE || !tree_hash_in_lanes(blocks, count, hashes))
        tree_hash_singly(blocks, count, hashes);
    if (tail_bytes > 0)
        sha256_padded(blocks + count * TREE_BLOCK_BYTES, tail_bytes, TREE_BLOCK_BYTES,
                      hashes + count * TREE_HASH_BYTES);
}
