/* store/reseal.h -- writes every row of a back end anew, under another store key. */
#ifndef STORE_RESEAL_H
#define STORE_RESEAL_H

#include "store/scan.h"

/* Inside a view that writes: opens every row with source->keys, holds it against *rows, empties the
 * back end, and writes the rows as they were, sealed with `keys`. *rows and *head (its number of
 * rows, of seals, and its sum) are moved along. On failure the transaction can only be rolled back,
 * and *rows and *head are to be read again. */
LETHE_MUST_CHECK lethe_result reseal_rows(const struct scan_source *source,
                                          const struct seal_keys *keys, struct rows *rows,
                                          struct head *head, struct lethe_error *err);

#endif
