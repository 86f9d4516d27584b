/* engine/trace.h -- what is left when everybody died: a file per run, locked while somebody lives.
 *
 * Lines of JSON objects, appended as things become known; a later field takes the place of an
 * earlier one. The supervisor writes engine, model and bytes, later pid; the guardian directory
 * and group, and at its end wiped ("wiped" or "unwiped"). A run that ended in order leaves no file.
 */
#ifndef ENGINE_TRACE_H
#define ENGINE_TRACE_H

#include "base/base.h"

struct trace {
    int fd; /* holds the lock, also through the guardian's copy; -1: none */
    char *path;
};
/* Makes the directory (not those above it) when it is not there. */
LETHE_MUST_CHECK lethe_result trace_create(const char *run_directory, struct trace *out,
                                           struct lethe_error *err);
/* A line with one field. A trace that cannot be written says less, and stops nobody; `fd` may be
 * -1. */
void trace_note_text(int fd, const char *field, const char *text);
void trace_note_number(int fd, const char *field, uint64_t number);
/* Removes the file; or leaves it to be settled, when the end could not be recorded. */
void trace_finish(struct trace *trace);
void trace_leave(struct trace *trace);

#endif
