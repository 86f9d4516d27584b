/* tests/store/faults.h -- dies, or fails, at a chosen call that changes a file.
 *
 * Linked into a test, it stands between the program (SQLite included) and the C library's write,
 * truncate, sync, rename and unlink calls, and counts them. A write is two steps: before it, and
 * with half of it done. One thread. */
#ifndef TESTS_STORE_FAULTS_H
#define TESTS_STORE_FAULTS_H

enum fault {
    FAULT_NONE, /* only counts */
    FAULT_KILL, /* SIGKILL for this process at that step                         */
    FAULT_FULL, /* from that step on every write fails with ENOSPC               */
    FAULT_BAD,  /* the call of that step fails with EIO, and only that           */
};

/* `step` counts from 1. */
void faults_arm(enum fault fault, long step);
/* Gives the number of steps since. */
long faults_disarm(void);

#endif
