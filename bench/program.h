/* bench/program.h -- other programs, run beside us. What they print to stderr goes nowhere. */
#ifndef BENCH_PROGRAM_H
#define BENCH_PROGRAM_H

#include <sys/types.h>

#include "base/base.h"

struct program {
    pid_t pid;
    int output; /* what it prints to stdout, to be read here */
};

/* Starts arguments[0], looked up in PATH; the last argument is NULL. False when there is none. */
bool program_start(const char *const *arguments, struct program *out);
/* Waits for its end; true when that was exit code 0. */
bool program_wait(struct program *program);
/* The same, and the most memory it ever had resident (VmHWM of proc(5)), watched until it ends. */
bool program_watch(struct program *program, uint64_t *peak_bytes);
/* Start and wait. */
bool program_run(const char *const *arguments);

#endif
