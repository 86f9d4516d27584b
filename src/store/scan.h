/* store/scan.h -- reads every row of a back end and holds them against the head. */
#ifndef STORE_SCAN_H
#define STORE_SCAN_H

#include "store/rows.h"

struct scan_source {
    const struct store_backend *backend; /* with a view open */
    void *state;
    const struct seal_keys *keys;
};

/* Replaces *rows by what the back end shows. LETHE_INTEGRITY, and *rows as it was, when that does
 * not add up to the head; the error names the changed row when there is one, otherwise the counts.
 */
LETHE_MUST_CHECK lethe_result scan_rows(const struct scan_source *source, const struct head *head,
                                        struct rows *rows, struct lethe_error *err);

#endif
