/* engine/trace.h -- what is left when everybody died: a file per run, locked while somebody lives.
 *
 * Lines of JSON objects, appended as things become known; a later field takes the place of an
 * earlier one. The supervisor writes engine, model and bytes, later pid; the guardian directory
 * and group, and at its end wiped ("wiped" or "unwiped"). A run that ended in order leaves no file.
 */
#ifndef ENGINE_TRACE_H
#define ENGINE_TRACE_H

#include "base/base.h"
#include "base/json.h"

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
/* What a trace says. What it does not say is "unknown", "" or 0, and "unwiped". */
struct trace_content {
    json_t *lines; /* owns the texts; NULL when that is damaged, and nothing of it counts */
    const char *engine;
    const char *model;
    const char *directory;
    const char *group;
    uint64_t bytes;
    uint64_t pid;
    bool wiped;
};
#define TRACE_MAX_BYTES 65536
/* Lines that are torn or damaged are left out; a field of another type or name, and more than
 * TRACE_MAX_BYTES, damage all of it. */
void trace_read(const void *bytes, size_t size_bytes, struct trace_content *out);
void trace_content_clear(struct trace_content *content);
static inline void trace_content_clear_at_scope_end(struct trace_content *content)
{
    trace_content_clear(content);
}

/* Removes the file; or leaves it to be settled, when the end could not be recorded. */
void trace_finish(struct trace *trace);
void trace_leave(struct trace *trace);

#endif
