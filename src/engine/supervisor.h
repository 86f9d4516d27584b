/* engine/supervisor.h -- what the caller's side of a run consists of. */
#ifndef ENGINE_SUPERVISOR_H
#define ENGINE_SUPERVISOR_H

#include <signal.h>
#include <sys/types.h>

#include "engine/channel.h"
#include "engine/trace.h"

struct loaded_file { /* the supervisor's own mapping, in the guardian's order */
    const struct engine_model *model;
    size_t file_index; /* in the model */
    uint8_t *mapping;  /* NULL for an empty file */
    uint64_t size_bytes;
};

struct engine {
    struct engine_options options;
    pid_t guardian; /* -1: none, or reaped */
    int channel;
    int scratch; /* the engine's private directory, for when the guardian dies; -1: none */
    int signals; /* signalfd of those that are passed on */
    sigset_t original_mask;
    bool was_subreaper;
    struct trace trace;
    struct message ready;
    struct loaded_file *files;
    size_t count;
};

/* A signal that comes before there is an engine is meant for us: LETHE_CANCELLED. */
LETHE_MUST_CHECK lethe_result engine_check_cancelled(const struct engine *engine,
                                                     struct lethe_error *err);

#endif
