#include "audit/chain.h"

#include <string.h>

#include "base/error.h"
#include "crypto/hash.h"

void chain_append(struct chain *chain, const char *line, size_t length, uint64_t epoch)
{
    uint8_t leaf[MERKLE_HASH_BYTES];
    merkle_leaf(line, length, leaf);
    merkle_append(&chain->tree, leaf);
    sha256(line, length, chain->prev);
    chain->epoch = MAX(chain->epoch, epoch);
}

lethe_result chain_check(const struct chain *chain, const char *node,
                         const struct record_line *record, struct lethe_error *err)
{
    if (record->seq != chain->tree.leaves)
        return error_set(err, LETHE_INTEGRITY,
                         "record %llu where record %llu belongs: removed, repeated or moved",
                         (unsigned long long)record->seq, (unsigned long long)chain->tree.leaves);
    if (record->node_length != strlen(node) || memcmp(record->node, node, record->node_length) != 0)
        return error_set(err, LETHE_INTEGRITY, "a record of another node than %s", node);
    if (memcmp(record->prev, chain->prev, sizeof chain->prev) != 0)
        return error_set(err, LETHE_INTEGRITY,
                         "\"prev\" is not the hash of the line before: one of the two was changed");
    return LETHE_OK;
}
