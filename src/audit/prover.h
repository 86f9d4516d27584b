/* audit/prover.h -- proofs from a log's directory, without reading the log.
 *
 * The newest checkpoint and the tiles are enough. Tiles are not trusted: every proof is checked
 * against the signed root before it is given. When they are missing or do not fit they are made
 * again from the records, once, which reads and checks the whole log. Thread rule: one thread at a
 * time; the log may grow meanwhile, and proofs stay those of the checkpoint that was opened. */
#ifndef AUDIT_PROVER_H
#define AUDIT_PROVER_H

#include "audit/proof.h"

struct prover;

/* LETHE_INTEGRITY: the newest checkpoint is not by this key. LETHE_NOT_FOUND: there is no log.
 * *out is freed with prover_close(). */
LETHE_MUST_CHECK lethe_result prover_open(const char *directory, const struct audit_key *key,
                                          struct prover **out, struct lethe_error *err);
void prover_close(struct prover *prover); /* NULL is fine */
DEFINE_CLEANUP(prover_close, struct prover *);

/* The newest checkpoint, and its note; borrowed. */
const struct audit_checkpoint *prover_checkpoint(const struct prover *prover);
const struct buffer *prover_note(const struct prover *prover);

/* That record `seq` is under the newest checkpoint. LETHE_NOT_FOUND when it is not there yet,
 * LETHE_INTEGRITY when neither tiles nor records fit the checkpoint. `out` borrows the note. */
LETHE_MUST_CHECK lethe_result prover_inclusion(struct prover *prover, uint64_t seq,
                                               struct proof_text *out, struct lethe_error *err);
/* That the newest checkpoint is of a log that begins as `old` says; `old` was checked by its
 * signature. LETHE_INTEGRITY: it does not, the log was changed or cut. */
LETHE_MUST_CHECK lethe_result prover_growth(struct prover *prover,
                                            const struct audit_checkpoint *old,
                                            struct proof_growth *out, struct lethe_error *err);

#endif
