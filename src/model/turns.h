/* model/turns.h -- work that is taken in order by many threads, and put together in order.
 *
 * Threads take numbers 0, 1, 2, ... and work at the same time; each then waits for its turn to hand
 * in what it has. So memory is what the threads hold, however much there is to do. Nobody waits for
 * a number that no running thread has taken, which threads_run() asks for. */
#ifndef MODEL_TURNS_H
#define MODEL_TURNS_H

#include <pthread.h>

#include "base/base.h"

struct turns { /* init and clear on one thread; all else on any */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t now; /* whose turn it is */
    bool stopped;
};

void turns_init(struct turns *turns);
void turns_clear(struct turns *turns);
/* Waits for the turn of `number` and holds it until turns_leave(). False, and no turn, once
 * stopped. */
bool turns_enter(struct turns *turns, uint64_t number);
void turns_leave(struct turns *turns);
/* For a thread that failed: no turn comes any more. */
void turns_stop(struct turns *turns);
bool turns_stopped(struct turns *turns);

#endif
