/* audit/stream.h -- a file read as one unit after the other: lines of records, or notes.
 *
 * A stream ends where it was told to, so that a file which grows meanwhile reads as it was at one
 * moment. Used by one thread at a time. */
#ifndef AUDIT_STREAM_H
#define AUDIT_STREAM_H

#include "base/base.h"

struct stream {
    int fd;
    const char *name; /* for errors; borrowed */
    uint64_t offset;  /* behind the last unit that was given */
    uint64_t end;
    uint8_t *buffer;
    size_t start;  /* of what is not given yet, in the buffer */
    size_t filled; /* end of what was read */
};
#define STREAM_BUFFER_BYTES ((size_t)256 << 10)

struct stream_range {
    uint64_t begin;
    uint64_t end;
};
/* `name` in the directory. LETHE_NOT_FOUND when it is not there. */
LETHE_MUST_CHECK lethe_result stream_open(struct stream *stream, int directory, const char *name,
                                          struct stream_range range, struct lethe_error *err);
void stream_close(struct stream *stream); /* closed or zeroed ones too */

/* Length of the first whole unit in the bytes, its end mark included; 0 when there is none yet. */
typedef size_t stream_unit(const uint8_t *bytes, size_t size_bytes);
stream_unit stream_line; /* ends in a newline                                            */
stream_unit stream_note; /* ends in the second blank line: behind text, behind signatures */

/* Gives the next whole unit, borrowed until the next call; *unit is NULL when there is no further
 * one before the end (what is left is then `end - offset` bytes). LETHE_INTEGRITY when the file is
 * shorter than it was. */
LETHE_MUST_CHECK lethe_result stream_next(struct stream *stream, stream_unit *find,
                                          const char **unit, size_t *length,
                                          struct lethe_error *err);

#endif
