/* audit/lines.h -- all lines of a log's files of records, in the order of their numbers. */
#ifndef AUDIT_LINES_H
#define AUDIT_LINES_H

#include "audit/files.h"
#include "audit/stream.h"

struct lines {
    int directory;
    unsigned last_number; /* where to end */
    uint64_t last_bytes;
    unsigned number; /* the file that the last line was in; 0: none yet */
    uint64_t line;   /* and its number there, from 1                    */
    char name[FILES_NAME_SIZE];
    struct stream stream;
};

/* Stands before the first line. */
void lines_open(struct lines *lines, int directory, const struct files_view *view);
/* Goes to a place: file `number`, `offset` bytes and `line` lines into it. */
LETHE_MUST_CHECK lethe_result lines_seek(struct lines *lines, unsigned number, uint64_t offset,
                                         uint64_t line, struct lethe_error *err);
void lines_close(struct lines *lines); /* closed or zeroed ones too */
static inline void lines_close_at_scope_end(struct lines *lines)
{
    lines_close(lines);
}

/* The next line without its newline, borrowed until the next call; *line is NULL behind the last
 * whole one. LETHE_INTEGRITY when a file that is not the last ends within a line. */
LETHE_MUST_CHECK lethe_result lines_next(struct lines *lines, const char **line, size_t *length,
                                         struct lethe_error *err);

#endif
