/* audit/boundary.h -- where a file of records begins, signed, so that reading can begin there.
 *
 * `000002.boundary` is made with 000002.jsonl and says what a log has come to before it: the tree's
 * right edge, the hash of the last line, the place in `checkpoints`. It is a C2SP signed note by
 * the log's key under another name, "lethe/<node>/boundary", which is its origin too: neither
 * passes for a checkpoint, nor a checkpoint for it. Format: docs/formats.md, "Boundaries".
 *
 * A boundary vouches for the records before it only together with the checkpoint that it names:
 * boundary_fits(). The functions on texts are pure. */
#ifndef AUDIT_BOUNDARY_H
#define AUDIT_BOUNDARY_H

#include "audit/replay.h"

#define BOUNDARY_NAME_SIZE sizeof "000001.boundary"
#define BOUNDARY_NUMBER_MIN 2u /* the first file begins where every log does */
#define BOUNDARY_MAX 8192      /* bytes of a note: 63 hashes of the edge, and 600 */

void boundary_name(unsigned number, char out[BOUNDARY_NAME_SIZE]);

/* The log's key under the name that signs boundaries. */
void boundary_key(const struct audit_key *log_key, struct audit_key *out);

/* Appends the text that is signed. The place is at the beginning of its file, behind a note. */
void boundary_text(const struct replay *place, const struct audit_key *log_key, struct buffer *out);

/* What a note says, its signature not looked at, which fuzzing cannot make. Strict: there is one
 * text for each place. LETHE_MALFORMED; LETHE_INTEGRITY for one of another log, or whose edge has
 * another root. */
LETHE_MUST_CHECK lethe_result boundary_parse(const char *note, size_t size_bytes,
                                             const struct audit_key *log_key, struct replay *out,
                                             struct lethe_error *err);
/* And its signature. */
LETHE_MUST_CHECK lethe_result boundary_open(const char *note, size_t size_bytes,
                                            const struct audit_key *log_key, struct replay *out,
                                            struct lethe_error *err);

/* Opens the boundary of file `number`. LETHE_NOT_FOUND when it is not there, LETHE_MALFORMED when
 * it is torn or none at all; LETHE_INTEGRITY when somebody else made it, or for another file. */
LETHE_MUST_CHECK lethe_result boundary_read(int directory, unsigned number,
                                            const struct audit_key *log_key, struct replay *out,
                                            struct lethe_error *err);
/* LETHE_INTEGRITY unless the checkpoint at the boundary's place in `checkpoints` is signed, and has
 * its records and its root. */
LETHE_MUST_CHECK lethe_result boundary_fits(int directory, const struct files_view *view,
                                            const struct audit_key *log_key,
                                            const struct replay *place, struct lethe_error *err);
/* Puts a signed note in place, whole or not at all, and durable. */
LETHE_MUST_CHECK lethe_result boundary_write(int directory, unsigned number,
                                             const struct buffer *note, struct lethe_error *err);

#endif
