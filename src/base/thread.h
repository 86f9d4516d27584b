/* base/thread.h -- one piece of work on several threads, and threads that work beside. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"

#define THREADS_MAX 64u

/* Threads that are worth starting: the CPUs this process may run on, 1 to THREADS_MAX. */
unsigned threads_available(void);

/* Runs work(context, 0) ... work(context, threads - 1) at the same time (0 on the calling thread)
 * and waits for all of them. Gives the failure of the lowest-numbered worker that failed; the
 * others are not interrupted, so workers that share a cause of failure share a flag. When a thread
 * cannot be started, its part runs on the calling thread afterwards: workers must not wait for one
 * another. */
LETHE_MUST_CHECK lethe_result threads_run(unsigned threads,
                                          lethe_result (*work)(void *context, unsigned worker,
                                                               struct lethe_error *err),
                                          void *context, struct lethe_error *err);

/* Starts a thread that the caller joins. Signals from outside go to the threads that the program
 * knows, never to this one. LETHE_UNAVAILABLE when the system gives no thread. */
LETHE_MUST_CHECK lethe_result thread_start(pthread_t *thread, void *(*work)(void *context),
                                           void *context, struct lethe_error *err);

/* A word that one thread waits on until another changes it (futex(2)). Waiting ends, perhaps early,
 * after word_wake(); at once when the word is no longer `value`. Waking a word that is gone by then
 * does no harm. */
void word_wait(atomic_uint *word, unsigned value);
void word_wake(atomic_uint *word);

#endif
