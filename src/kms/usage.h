/* kms/usage.h -- how far a rotation has come: how many wrapped data keys of each model lie under
 * each version of a key, as whoever loads or rewraps models last said.
 *
 * It says what was reported, not what is: a copy of a model that nobody loads is not in it. Thread
 * rule: as kms/keeper.h. */
#ifndef KMS_USAGE_H
#define KMS_USAGE_H

#include "kms/keeper.h"

#define USAGE_VERSIONS_MAX 64u /* in one report */
#define USAGE_MODELS_MAX 1024u /* of one key */
#define USAGE_MODEL_MAX 512u   /* bytes of a model's name */

struct usage_count {
    uint64_t version;
    uint64_t shards; /* more than 0 */
};
/* Takes the place of what was said of this model before; no counts: of this key it has none left.
 * Not on record: nobody is let in or out by it. LETHE_NOT_FOUND: no such key; LETHE_INVALID: a
 * model's name or a version that cannot be; LETHE_LIMIT. */
LETHE_MUST_CHECK lethe_result usage_report(struct keeper *keeper, const char *key,
                                           const char *model, const struct usage_count *counts,
                                           size_t count, struct lethe_error *err);

struct usage { /* borrowed, for the call */
    const char *model;
    struct usage_count count;
    uint64_t reported_s;
};
typedef lethe_result usage_visit(void *context, const struct usage *usage, struct lethe_error *err);
/* Every model and version that was reported of a key, until `visit` gives something else than
 * LETHE_OK. */
LETHE_MUST_CHECK lethe_result usage_read(struct keeper *keeper, const char *key, usage_visit *visit,
                                         void *context, struct lethe_error *err);
/* Inside a transaction: with a key goes what was said of it. */
LETHE_MUST_CHECK lethe_result usage_drop(struct store *store, const char *key,
                                         struct lethe_error *err);

/* ---- rows: for tests ------------------------------------------------------------------------- */

struct usage_row { /* "usage/<key>/<hash of the model's name>" */
    uint64_t reported_s;
    char model[USAGE_MODEL_MAX + 1];
    struct usage_count counts[USAGE_VERSIONS_MAX];
    size_t count;
};
/* LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result usage_row_parse(const void *bytes, size_t size_bytes,
                                              struct usage_row *out);
void usage_row_format(const struct usage_row *row, struct buffer *out);

#endif
