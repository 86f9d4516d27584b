/* residency/statement_text.h -- the text of a statement: written, and read strictly.
 *
 * What is read can be written, and is then the same. Pure functions. */
#ifndef RESIDENCY_STATEMENT_TEXT_H
#define RESIDENCY_STATEMENT_TEXT_H

#include <lethe/residency.h>

#include "base/buffer.h"

#define STATEMENT_NONCE_BYTES 32u

struct statement_head {
    struct lethe_statement says; /* `shards` is counted when read, and not written */
    uint8_t nonce[STATEMENT_NONCE_BYTES];
};
struct statement_row {
    struct lethe_seal seal;               /* its signature is not in the text */
    enum lethe_verify_mode verified_mode; /* DEFAULT: never */
    uint64_t verified_at_s;
};

void statement_append_head(struct buffer *out, const struct statement_head *head);
void statement_append_row(struct buffer *out, const struct statement_row *row);

/* Rows, in order, to `row` (which may be NULL). LETHE_MALFORMED says what is wrong. */
LETHE_MUST_CHECK lethe_result statement_parse(const char *text, size_t size_bytes,
                                              struct statement_head *out,
                                              void (*row)(void *context,
                                                          const struct statement_row *row),
                                              void *context, struct lethe_error *err);

#endif
