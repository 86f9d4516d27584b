/* service/serve_child.h -- one of the supervisor's two children: started, ended, started again. */
#ifndef SERVICE_SERVE_CHILD_H
#define SERVICE_SERVE_CHILD_H

#include <sys/types.h>

#include "service/serve.h"

#define SERVE_BACKOFF_MIN_MS 100u
#define SERVE_BACKOFF_MAX_MS 10000u
#define SERVE_LIFE_THAT_COUNTS_MS 60000u

struct serve_child {
    const char *name;
    struct serve_ends ends; /* what it gets; its control end is put in */
    pid_t pid;              /* 0: there is none */
    int control;            /* the supervisor's end; -1: closed */
    uint64_t started_ms;
    uint64_t backoff_ms; /* how long it waits after the next end */
    uint64_t due_ms;     /* when it is to be started, while there is none */
};

/* Forks, and the child executes this program again: serve_as_part(). Of the descriptors that are
 * open here it keeps `ends` and the first three. */
LETHE_MUST_CHECK lethe_result serve_child_start(struct serve_child *child,
                                                const struct serve_options *options,
                                                uint64_t now_ms, struct lethe_error *err);
/* It has ended: when it is due again. Soon at first, then ever later; soon again after a life that
 * was long enough. */
void serve_child_ended(struct serve_child *child, uint64_t now_ms);
/* Closes its control end: it ends by itself. */
void serve_child_dismiss(struct serve_child *child);
/* "signal 9", "exit code 3" */
#define SERVE_END_SIZE 48
void serve_child_describe_end(int wait_status, char out[SERVE_END_SIZE]);

#endif
