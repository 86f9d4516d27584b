/* audit/cosignature.h -- what witnesses say about a checkpoint (C2SP tlog-cosignature, type 04).
 *
 * A witness signs that at some time this was the newest checkpoint of the log that it had seen, and
 * that it was consistent with all before. Enough of them rule out that a log shows different people
 * different records. Pure functions. */
#ifndef AUDIT_COSIGNATURE_H
#define AUDIT_COSIGNATURE_H

#include "audit/checkpoint.h"

#define COSIGNATURE_WITNESSES_MAX AUDIT_NOTE_SIGNATURES_MAX

/* Keys of witnesses, as "NAME+8 hex digits+base64(0x04 || public key)". */
LETHE_MUST_CHECK lethe_result cosignature_key_parse(const char *text, size_t length,
                                                    struct audit_key *out, struct lethe_error *err);

/* Appends what a witness signs at a time: the text of a checkpoint is the note up to and with the
 * newline before its blank line. */
void cosignature_message(uint64_t time_s, const char *text, size_t text_bytes, struct buffer *out);

struct cosignature_policy {
    const struct audit_key *witnesses;
    size_t count;  /* at most COSIGNATURE_WITNESSES_MAX, no two with one public key */
    size_t quorum; /* 1 to count: how many of them must have signed                 */
};
struct cosignature_report {
    size_t good;                                 /* witnesses that signed */
    uint64_t times_s[COSIGNATURE_WITNESSES_MAX]; /* when each did, last; 0: it did not */
};
/* Checks the cosignatures of a note whose own signature was checked already. Those of others are
 * skipped. LETHE_INTEGRITY: a bad one by a known witness, or fewer than the quorum.
 * LETHE_INVALID: the policy is none. */
LETHE_MUST_CHECK lethe_result cosignature_check(const char *note, size_t note_bytes,
                                                const struct cosignature_policy *policy,
                                                struct cosignature_report *out,
                                                struct lethe_error *err);

/* Puts two notes of one checkpoint together: all of `kept`, and behind it those lines of `added`
 * that are by a witness of the policy and not there yet. Both were checked. LETHE_INVALID when they
 * are of different checkpoints. `kept` may be NULL: then only what the log's own key and the
 * witnesses signed is taken over. */
struct cosignature_notes {
    const struct buffer *kept;
    const struct buffer *added;
    const struct audit_key *log_key;
};
LETHE_MUST_CHECK lethe_result cosignature_merge(const struct cosignature_notes *notes,
                                                const struct cosignature_policy *policy,
                                                struct buffer *out, struct lethe_error *err);

#endif
