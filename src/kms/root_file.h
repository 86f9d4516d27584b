/* kms/root_file.h -- the file of a root key: one line, and a second one while the key changes.
 *
 * The second line, behind the place of the first, holds the next root key. It is written before the
 * store's record needs it; once the record does, the first line is overwritten in place and the
 * second one too, with zeros, and cut off. So at every moment one of the two is whole, the old key
 * is overwritten where it lay, and no second file ever holds a key. Every step is synced. Formats:
 * docs/formats.md, "Root". */
#ifndef KMS_ROOT_FILE_H
#define KMS_ROOT_FILE_H

#include "mem/slab.h"

#define ROOT_KEY_BYTES 32u
#define ROOT_FILE_MAX 224u /* two lines */

/* `generation` counts how often the key changed: 0 at first. */
struct root_line {
    struct lethe_secret *key; /* NULL: no whole line here */
    uint64_t generation;
};
struct root_lines { /* struct root_lines l = {0}; is empty */
    struct root_line at[2];
    bool tidy; /* the first line, and nothing behind it */
};
void root_lines_clear(struct root_lines *lines);
static inline void root_lines_clear_at_scope_end(struct root_lines *lines)
{
    root_lines_clear(lines);
}

/* LETHE_MALFORMED when there is no whole line. */
LETHE_MUST_CHECK lethe_result root_lines_parse(const void *text, size_t size_bytes,
                                               struct root_lines *out, struct lethe_error *err);
/* Results as secret_file_read; LETHE_INTEGRITY when there is no whole line. */
LETHE_MUST_CHECK lethe_result root_file_read(const char *path, struct root_lines *out,
                                             struct lethe_error *err);
/* Generation 0. LETHE_EXISTS. */
LETHE_MUST_CHECK lethe_result root_file_create(const char *path, const struct lethe_secret *key,
                                               struct lethe_error *err);
/* Writes the second line, beside a first one that is whole. */
LETHE_MUST_CHECK lethe_result root_file_stage(const char *path, const struct root_line *next,
                                              struct lethe_error *err);
/* Makes `line` the first, and overwrites and cuts off what is behind it. */
LETHE_MUST_CHECK lethe_result root_file_settle(const char *path, const struct root_line *line,
                                               struct lethe_error *err);

#endif
