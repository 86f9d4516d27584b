#include "pool_sealer.h"

#include <stdlib.h>

#include "crypto/block_seal.h"
#include "pool_block.h"

struct pool_sealer {
    struct block_key *key;
    size_t pieces, piece_bytes; /* of a block */
    uint8_t (*tags)[AEAD_TAG_BYTES];
};

struct pool_sealer *pool_sealer_open(uint32_t blocks, size_t block_bytes, size_t piece_bytes)
{
    struct lethe_error err = {0};
    struct pool_sealer *sealer = pool_allocate(1, sizeof *sealer);
    sealer->pieces = block_bytes / piece_bytes;
    sealer->piece_bytes = piece_bytes;
    sealer->tags = pool_allocate(blocks * sealer->pieces, sizeof *sealer->tags);
    if (block_key_create("lethe-bench", &sealer->key, &err) != LETHE_OK)
        bench_fail("no key for blocks", &err);
    return sealer;
}

void pool_sealer_close(struct pool_sealer *sealer)
{
    if (sealer == NULL)
        return;
    block_key_free(sealer->key);
    free(sealer->tags);
    free(sealer);
}

static struct block_place place_of(const struct pool_sealer *sealer, size_t piece, uint32_t version)
{
    return (struct block_place){
        .block = piece, .version = version, .size_bytes = sealer->piece_bytes};
}

void pool_sealer_seal(struct pool_sealer *sealer, uint32_t block, uint32_t version,
                      const uint8_t *in, uint8_t *out)
{
    const size_t first = block * sealer->pieces;
    for (size_t i = 0; i < sealer->pieces; i++) {
        const struct block_place place = place_of(sealer, first + i, version);
        const size_t at = i * sealer->piece_bytes;
        if (block_seal(sealer->key, &place, in + at, out + at, sealer->tags[first + i]) != LETHE_OK)
            bench_fail("a block cannot be sealed", NULL);
    }
}

void pool_sealer_unseal(const struct pool_sealer *sealer, uint32_t block, uint32_t version,
                        uint8_t *bytes)
{
    const size_t first = block * sealer->pieces;
    for (size_t i = 0; i < sealer->pieces; i++) {
        const struct block_place place = place_of(sealer, first + i, version);
        uint8_t *piece = bytes + i * sealer->piece_bytes;
        if (block_open(sealer->key, &place, piece, sealer->tags[first + i], piece) != LETHE_OK)
            bench_fail("a block is not what was sealed", NULL);
    }
}
