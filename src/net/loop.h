/* net/loop.h -- one thread that waits for many descriptors and moments (libevent underneath).
 *
 * Callbacks run on the loop's thread, one after another. Thread rule: everything from the loop's
 * thread, but loop_stop(), which any thread and a signal handler may call, and loop_post(), which
 * any thread may. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <sys/queue.h>

#include "base/base.h"

struct loop;
struct loop_watch; /* of a descriptor */
struct loop_timer;

LETHE_MUST_CHECK lethe_result loop_create(struct loop **out, struct lethe_error *err);
void loop_free(struct loop *loop); /* watches and timers are freed before it; NULL is fine */
DEFINE_CLEANUP(loop_free, struct loop *);
/* Until loop_stop(). LETHE_IO. */
LETHE_MUST_CHECK lethe_result loop_run(struct loop *loop, struct lethe_error *err);
/* Handles what is ready, waiting at most `wait_ms` (0: not at all), and returns. */
LETHE_MUST_CHECK lethe_result loop_turn(struct loop *loop, uint64_t wait_ms,
                                        struct lethe_error *err);
/* Ends loop_run(), also one that begins later. */
void loop_stop(struct loop *loop);
/* Work for the loop's thread, from any thread: it runs once what was ready in this turn is handled,
 * in the order in which it was posted, once for each time that it was; what tasks post follows in
 * the same turn if it can, but no task runs twice in a turn. It cannot fail, because the
 * caller lends the memory: a task stays until it runs, and may be freed or posted again from then
 * on (its own function included). What waits already is not posted twice: false. Work that is there
 * when the loop is freed never runs. */
struct loop_task {
    void (*work)(void *context);
    void *context;
    TAILQ_ENTRY(loop_task) entry; /* the rest is the loop's */
    bool waits;
    uint64_t turn; /* in which it ran last */
};
bool loop_post(struct loop *loop, struct loop_task *task);
/* Takes it back, from the loop's thread: it will not run. Fine when it does not wait. */
void loop_unpost(struct loop *loop, struct loop_task *task);
/* Milliseconds of CLOCK_MONOTONIC, as of this turn. */
uint64_t loop_now_ms(const struct loop *loop);

enum loop_events { LOOP_READ = 1u << 0, LOOP_WRITE = 1u << 1 };
typedef void loop_ready(void *context, unsigned events);
/* Level-triggered. The descriptor stays the caller's. `events` may be 0. */
LETHE_MUST_CHECK lethe_result loop_watch(struct loop *loop, int fd, unsigned events,
                                         loop_ready *ready, void *context, struct loop_watch **out,
                                         struct lethe_error *err);
void loop_watch_set(struct loop_watch *watch, unsigned events); /* cheap when nothing changes */
void loop_watch_free(struct loop_watch *watch);                 /* NULL is fine */

typedef void loop_expired(void *context);
LETHE_MUST_CHECK lethe_result loop_timer_create(struct loop *loop, loop_expired *expired,
                                                void *context, struct loop_timer **out,
                                                struct lethe_error *err);
void loop_timer_set(struct loop_timer *timer, uint64_t in_ms); /* once; replaces an earlier set */
void loop_timer_clear(struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer); /* NULL is fine */

/* Calls `arrived(context)` on the loop's thread when the signal comes (SIGTERM, SIGHUP, SIGCHLD).
 */
LETHE_MUST_CHECK lethe_result loop_signal(struct loop *loop, int number, loop_expired *arrived,
                                          void *context, struct lethe_error *err);

#endif
