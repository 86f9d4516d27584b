/* engine/guardian.h -- the process that holds the weights and outlives whoever dies. */
#ifndef ENGINE_GUARDIAN_H
#define ENGINE_GUARDIAN_H

#include <signal.h>

#include "engine/engine.h"

struct guardian_inheritance {
    const struct engine_options *options;
    enum handover handover;      /* the rung to try */
    int channel;                 /* to the supervisor */
    int trace;                   /* the trace file, locked; -1 for none */
    const sigset_t *signal_mask; /* the engine's */
};
/* The guardian's whole life, in the forked process. */
_Noreturn void guardian_run(const struct guardian_inheritance *inheritance);

/* Kills and reaps every child and, as they become children (the caller is a subreaper), every
 * descendant. False when some would not die within the time that is given to them. */
bool guardian_kill_descendants(void);

#endif
