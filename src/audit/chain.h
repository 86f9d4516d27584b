/* audit/chain.h -- what a log has come to after some records: sequence, chain, tree.
 *
 * Plain storage: struct chain c = {0}; is the empty log. Copying one is how a group is tried before
 * it is kept. Pure functions. */
#ifndef AUDIT_CHAIN_H
#define AUDIT_CHAIN_H

#include "audit/merkle.h"
#include "audit/record.h"

struct chain {
    struct merkle tree; /* one leaf a record: tree.leaves is the number of the next one */
    uint8_t prev[MERKLE_HASH_BYTES];
    uint64_t epoch; /* the largest that a record carried */
};

/* LETHE_INTEGRITY when a parsed line is not the one that belongs next: says why. */
LETHE_MUST_CHECK lethe_result chain_check(const struct chain *chain, const char *node,
                                          const struct record_line *record,
                                          struct lethe_error *err);

/* Takes a line, without its newline. */
void chain_append(struct chain *chain, const char *line, size_t length, uint64_t epoch);

#endif
