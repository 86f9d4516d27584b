/* audit/proof.h -- RFC 6962 proofs: that a record is in a log, and that a log only grew.
 *
 * Made from the hashes of complete subtrees, wherever these are kept; checked with nothing but
 * roots, exactly as RFC 9162 sections 2.1.3.2 and 2.1.4.2 say. A proof of inclusion travels as a
 * C2SP tlog-proof: one text with the index, the hashes and the signed checkpoint. Pure functions,
 * but for what a source does. */
#ifndef AUDIT_PROOF_H
#define AUDIT_PROOF_H

#include "audit/checkpoint.h"
#include "audit/merkle.h"

#define PROOF_SIZE_MAX ((uint64_t)INT64_MAX) /* leaves of a tree that we speak about */
#define PROOF_HASHES_MAX 64u                 /* the longest proof for such a tree    */

struct proof {
    size_t count;
    uint8_t hashes[PROOF_HASHES_MAX][MERKLE_HASH_BYTES];
};

/* A tree of which only the size and the root are known. */
struct proof_tree {
    uint64_t size; /* leaves */
    uint8_t root[MERKLE_HASH_BYTES];
};
struct proof_tree proof_tree_of(const struct audit_checkpoint *checkpoint);

/* ---- making ---------------------------------------------------------------------------------- */

struct proof_source {
    /* Root of the complete subtree number `index` of those with 2^level leaves. */
    lethe_result (*hash)(void *context, unsigned level, uint64_t index,
                         uint8_t out[MERKLE_HASH_BYTES], struct lethe_error *err);
    void *context;
};

/* That leaf `index` is in the tree of the first `size` leaves. LETHE_INVALID when it is not, or the
 * size is over PROOF_SIZE_MAX; otherwise what the source gave. */
LETHE_MUST_CHECK lethe_result proof_inclusion(const struct proof_source *source, uint64_t index,
                                              uint64_t size, struct proof *out,
                                              struct lethe_error *err);
/* That the tree of `size` leaves begins with the tree of `old_size`. From the empty tree, and to
 * the same one, the proof is empty. LETHE_INVALID as above. */
LETHE_MUST_CHECK lethe_result proof_consistency(const struct proof_source *source,
                                                uint64_t old_size, uint64_t size, struct proof *out,
                                                struct lethe_error *err);

/* ---- checking -------------------------------------------------------------------------------- */

/* LETHE_INTEGRITY when the proof does not show it: another leaf, index, size or root, a changed,
 * missing or additional hash. */
LETHE_MUST_CHECK lethe_result proof_check_inclusion(const struct proof *proof,
                                                    const uint8_t leaf[MERKLE_HASH_BYTES],
                                                    uint64_t index, const struct proof_tree *tree,
                                                    struct lethe_error *err);
LETHE_MUST_CHECK lethe_result proof_check_consistency(const struct proof *proof,
                                                      const struct proof_tree *old,
                                                      const struct proof_tree *tree,
                                                      struct lethe_error *err);

/* ---- tlog-proof ------------------------------------------------------------------------------ */

#define PROOF_TEXT_MAX (AUDIT_NOTE_MAX + 65536) /* our own have fewer than 4096 bytes */

struct proof_text { /* borrowed from the bytes that were read */
    uint64_t index;
    struct proof proof;
    const char *note; /* the signed checkpoint; not looked at */
    size_t note_bytes;
};
void proof_text_append(const struct proof_text *text, struct buffer *out);
/* Strict; "extra" data is skipped. LETHE_MALFORMED says what is wrong. */
LETHE_MUST_CHECK lethe_result proof_text_parse(const char *bytes, size_t size_bytes,
                                               struct proof_text *out, struct lethe_error *err);
/* A record's proof in full: text, checkpoint by `key`, and that `line` (without its newline) is the
 * leaf. Gives the checkpoint. LETHE_MALFORMED or LETHE_INTEGRITY. */
struct proof_record {
    const char *line;
    size_t length;
};
LETHE_MUST_CHECK lethe_result proof_text_check(const struct proof_text *text,
                                               const struct audit_key *key,
                                               const struct proof_record *record,
                                               struct audit_checkpoint *out,
                                               struct lethe_error *err);

/* ---- that a log only grew ------------------------------------------------------------------- */

/* As text: "old N", the hashes, a blank line, the newer checkpoint. It is what a C2SP witness
 * takes (tlog-witness, add-checkpoint). */
struct proof_growth { /* borrowed from the bytes that were read */
    uint64_t old_size;
    struct proof proof;
    const char *note;
    size_t note_bytes;
};
void proof_growth_append(const struct proof_growth *growth, struct buffer *out);
/* Whether the text begins as such a proof does. */
bool proof_is_growth(const char *bytes, size_t size_bytes);
LETHE_MUST_CHECK lethe_result proof_growth_parse(const char *bytes, size_t size_bytes,
                                                 struct proof_growth *out, struct lethe_error *err);
/* From `old`, which the caller trusts, to the checkpoint by `key`, which it gives. */
LETHE_MUST_CHECK lethe_result proof_growth_check(const struct proof_growth *growth,
                                                 const struct audit_key *key,
                                                 const struct audit_checkpoint *old,
                                                 struct audit_checkpoint *out,
                                                 struct lethe_error *err);

#endif
