#include "audit/history.h"

#include <string.h>

static lethe_result hash_from_tiles(void *context, unsigned level, uint64_t index,
                                    uint8_t out[MERKLE_HASH_BYTES], struct lethe_error *err)
{
    return tiles_hash(context, level, index, out, err);
}

struct proof_source history_source(struct tiles *tiles)
{
    return (struct proof_source){hash_from_tiles, tiles};
}

lethe_result history_check(struct tiles *tiles, const struct proof_tree *old,
                           const struct proof_tree *now, struct lethe_error *err)
{
    struct proof proof;
    const struct proof_source source = history_source(tiles);
    TRY(proof_consistency(&source, old->size, now->size, &proof, err));
    return proof_check_consistency(&proof, old, now, err);
}

lethe_result history_root(struct tiles *tiles, uint64_t records, const struct proof_tree *now,
                          uint8_t root[MERKLE_HASH_BYTES], struct lethe_error *err)
{
    struct proof_tree old = {.size = records};
    TRY(tiles_root(tiles, records, old.root, err));
    TRY(history_check(tiles, &old, now, err));
    memcpy(root, old.root, sizeof old.root);
    return LETHE_OK;
}
