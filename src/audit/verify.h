/* audit/verify.h -- checking and reading a log from its files and a public key alone. */
#ifndef AUDIT_VERIFY_H
#define AUDIT_VERIFY_H

#include "audit/checkpoint.h"
#include "audit/merkle.h"

struct audit_record { /* borrowed for the call */
    const char *line; /* without its newline */
    size_t length;
    uint64_t seq;
    uint64_t epoch; /* 0 when it carries none */
};
typedef lethe_result audit_record_visit(void *context, const struct audit_record *record,
                                        struct lethe_error *err);

struct audit_verify_options {
    const char *directory;
    struct audit_key key;
    const char *since; /* a checkpoint note that someone kept; NULL: no anchor */
    size_t since_bytes;
    /* Report what no checkpoint covers (a crash leaves it, until the log is next opened) instead of
     * refusing the log for it. It is neither counted nor visited. */
    bool allow_tail;
    /* Called for each record in order, as it passes, which is before the checkpoint that covers it
     * has been compared: what it was shown is true when audit_verify() then returns LETHE_OK. May
     * be NULL; another result than LETHE_OK ends the verification with that result. */
    audit_record_visit *visit;
    void *context;
};
struct audit_verify_report {
    uint64_t records;      /* all of them covered by the newest checkpoint      */
    uint64_t first_record; /* that was read: those before it were trimmed, on record */
    uint64_t checkpoints;  /* of the log; of those behind first_record each signature was checked */
    uint64_t tail_bytes;   /* that no checkpoint covers: 0 for a log at rest    */
    uint64_t epoch;        /* the largest that a record carries                 */
    bool anchored;         /* compared with `since`                             */
    uint8_t root[MERKLE_HASH_BYTES];
};
/* LETHE_INTEGRITY names file, line and reason: a changed, missing, reordered, spliced or unsigned
 * record, a forged checkpoint or boundary, a log shorter than the newest checkpoint or than
 * `since`, records that are gone in front without a signed boundary and a record of the trimming.
 * LETHE_NOT_FOUND: there is no log. Writers are held up for a moment only; the log may grow
 * meanwhile. Without an anchor nobody can see that a log was rolled back as a whole. */
LETHE_MUST_CHECK lethe_result audit_verify(const struct audit_verify_options *options,
                                           struct audit_verify_report *out,
                                           struct lethe_error *err);

#endif
