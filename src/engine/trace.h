/* engine/trace.h -- what is left when everybody died: a file per run, locked while somebody lives.
 *
 * Line 1 is written by the supervisor (canonical JSON: bytes, directory, engine, model), line 2,
 * "wiped N" or "unwiped N", by the guardian at its end. A run that ended in order leaves no file.
 */
#ifndef ENGINE_TRACE_H
#define ENGINE_TRACE_H

#include "base/base.h"

struct trace {
    int fd; /* holds the lock, also through the guardian's copy; -1: none */
    char *path;
};
/* Makes the directory when it is not there. */
LETHE_MUST_CHECK lethe_result trace_create(const char *run_directory, struct trace *out,
                                           struct lethe_error *err);
struct trace_content {
    const char *engine;
    const char *model;
    const char *directory; /* to be removed when it is empty */
    uint64_t bytes;
};
LETHE_MUST_CHECK lethe_result trace_write(const struct trace *trace,
                                          const struct trace_content *content,
                                          struct lethe_error *err);
/* The guardian's last word; `fd` may be -1. */
void trace_note(int fd, bool wiped, uint64_t bytes);
/* Removes the file. */
void trace_finish(struct trace *trace);

#endif
