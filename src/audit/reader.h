/* audit/reader.h -- reading a log from where one was, while others write to it and trim it.
 *
 * What a writer trims while it is read is read no further: reading begins again at what is kept.
 * Thread rule: one thread at a time. */
#ifndef AUDIT_READER_H
#define AUDIT_READER_H

#include "audit/replay.h"

struct reader_report {
    uint64_t first_record; /* where reading began: over 0 when the records before were trimmed, or
                              there was more to begin with */
    struct replay_tail tail;
};

/* As replay_run(), from *replay on; {0} is the first record that is kept. Takes its own look at the
 * files: options->view is not used. No record is visited twice, and *replay stays as it is unless
 * the result is LETHE_OK. LETHE_INTEGRITY also when records are missing in front without a signed
 * boundary and a record that say so. */
LETHE_MUST_CHECK lethe_result reader_run(struct replay *replay,
                                         const struct replay_options *options,
                                         struct reader_report *out, struct lethe_error *err);

#endif
