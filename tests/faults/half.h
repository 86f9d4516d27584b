/* tests/faults/half.h -- does half of a write in the name of the process that asks to write. */
#ifndef TESTS_FAULTS_HALF_H
#define TESTS_FAULTS_HALF_H

#include <linux/seccomp.h>
#include <sys/types.h>

/* The process of a thread. */
pid_t half_process_of(pid_t thread);
/* The bytes written; 0 where there is no half, or no way to write it. */
long half_write(const struct seccomp_notif *asked);

#endif
