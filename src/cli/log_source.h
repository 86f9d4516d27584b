/* cli/log_source.h -- the log that a command is about: the home's own, or files with a key. */
#ifndef CLI_LOG_SOURCE_H
#define CLI_LOG_SOURCE_H

#include "audit/checkpoint.h"
#include "audit/cosignature.h"
#include "cli/common.h"

struct log_source {
    struct home *home;       /* NULL when the files and a key are enough */
    struct home_paths paths; /* of the home, when the log is its own     */
    const char *directory;   /* borrowed */
    struct audit_key key;
};
void log_source_clear(struct log_source *source);
static inline void log_source_clear_at_scope_end(struct log_source *source)
{
    log_source_clear(source);
}

enum log_source_need {
    LOG_SOURCE_HOME,   /* the home is opened, unless --log is given       */
    LOG_SOURCE_KEY,    /* with --key the home stays closed: no secret     */
    LOG_SOURCE_NO_LOG, /* only the key: with --key there need be no home  */
};
/* --log and --key. */
LETHE_MUST_CHECK lethe_result log_source_open(const struct invocation *invocation,
                                              enum log_source_need need, struct log_source *out,
                                              struct lethe_error *err);
/* Reading the home's own log is itself recorded. */
LETHE_MUST_CHECK lethe_result log_source_record(struct log_source *source, const char *command,
                                                struct lethe_error *err);
/* Closes the home, where one is open, and gives the first failure. */
LETHE_MUST_CHECK lethe_result log_source_finish(struct log_source *source, lethe_result result,
                                                struct lethe_error *err);

/* --witness and --quorum; count is 0 when none was given. */
struct log_witnesses {
    struct audit_key keys[COSIGNATURE_WITNESSES_MAX];
    struct cosignature_policy policy; /* over `keys` */
};
LETHE_MUST_CHECK lethe_result log_witnesses_read(const struct invocation *invocation,
                                                 struct log_witnesses *out,
                                                 struct lethe_error *err);

/* The newest checkpoint that witnesses signed, beside the log's own files. */
#define LOG_WITNESSED "witnessed"

#endif
