#include "net/loop.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "base/error.h"

#define TASK_ROUNDS 3u /* what the first lead to, and what these do */

struct loop_signal {
    struct loop_signal *next;
    struct event *event;
    loop_expired *arrived;
    void *context;
};

struct loop {
    struct event_base *base;
    struct event *turn;  /* ends loop_turn() when nothing happens */
    struct event *waker; /* loop_stop() and loop_post() from elsewhere */
    int wake_fd;
    atomic_bool stopped;
    struct loop_signal *signals;
    atomic_bool
        is_asleep; /* whoever posts must wake it; set with the lock, when there are no tasks */
    pthread_mutex_t lock; /* of the tasks */
    TAILQ_HEAD(, loop_task) tasks;
    size_t waiting; /* how many there are */
    uint64_t turns; /* that were begun */
};

/* The loop that this thread is in: who posts to it need not wake it. */
static _Thread_local const struct loop *current;

struct loop_watch {
    struct event *event;
    struct loop *loop;
    int fd;
    unsigned events;
    loop_ready *ready;
    void *context;
};

struct loop_timer {
    struct event *event;
    loop_expired *expired;
    void *context;
};

static lethe_result no_memory(struct lethe_error *err)
{
    return error_set(err, LETHE_NO_MEMORY, "no memory for the event loop");
}

/* Changes of what is watched are made at the turn's end, of closed descriptors, too: the kernel
 * finds those no more, but ThreadSanitizer takes it for a race with whoever has that number by
 * then. */
#if defined(__has_feature)
#define WATCHED_FOR_RACES __has_feature(thread_sanitizer)
#else
#define WATCHED_FOR_RACES 0
#endif

/* ---- the loop -------------------------------------------------------------------------------- */

/* What others post from now on is seen at the end of the turn. */
static void is_up(struct loop *loop)
{
    atomic_store_explicit(&loop->is_asleep, false, memory_order_relaxed);
}

static void turn_is_over(evutil_socket_t fd, short what, void *context)
{
}

/* It is not read: each write is an event of its own, and the counter never fills up. */
static void was_woken(evutil_socket_t fd, short what, void *context)
{
    is_up(context);
}

/* Only the monotonic clock counts, to the millisecond, and epoll is what scales. */
static struct event_base *make_base(void)
{
    struct event_config *config = event_config_new();
    if (config == NULL)
        return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
#if !WATCHED_FOR_RACES
    event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
#endif
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static lethe_result fill(struct loop *loop, struct lethe_error *err)
{
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0)
        return error_from_errno(err, "an eventfd for the event loop");
    loop->base = make_base();
    if (loop->base == NULL)
        return no_memory(err);
    loop->turn = evtimer_new(loop->base, turn_is_over, NULL);
    loop->waker =
        event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST | EV_ET, was_woken, loop);
    if (loop->turn == NULL || loop->waker == NULL || event_add(loop->waker, NULL) != 0)
        return no_memory(err);
    return LETHE_OK;
}

lethe_result loop_create(struct loop **out, struct lethe_error *err)
{
    CLEANUP(loop_free) struct loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return no_memory(err);
    loop->wake_fd = -1;
    TAILQ_INIT(&loop->tasks);
    REQUIRE(pthread_mutex_init(&loop->lock, NULL) == 0);
    TRY(fill(loop, err));
    *out = MOVE(loop);
    return LETHE_OK;
}

static void free_event(struct event *event)
{
    if (event != NULL)
        event_free(event);
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    for (struct loop_signal *signal; (signal = loop->signals) != NULL;) {
        loop->signals = signal->next;
        free_event(signal->event);
        free(signal);
    }
    free_event(loop->turn);
    free_event(loop->waker);
    if (loop->base != NULL)
        event_base_free(loop->base);
    fd_close(loop->wake_fd);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static void wake(struct loop *loop)
{
    static const uint64_t one = 1;
    (void)!write(loop->wake_fd, &one, sizeof one); /* full: it will wake anyway */
}

bool loop_post(struct loop *loop, struct loop_task *task)
{
    pthread_mutex_lock(&loop->lock);
    bool is_new = !task->waits;
    bool is_asleep = false;
    if (is_new) {
        task->waits = true;
        TAILQ_INSERT_TAIL(&loop->tasks, task, entry);
        loop->waiting++;
        is_asleep = current != loop && atomic_exchange(&loop->is_asleep, false);
    }
    pthread_mutex_unlock(&loop->lock);
    if (is_asleep)
        wake(loop);
    return is_new;
}

void loop_unpost(struct loop *loop, struct loop_task *task)
{
    pthread_mutex_lock(&loop->lock);
    if (task->waits) {
        TAILQ_REMOVE(&loop->tasks, task, entry);
        loop->waiting--;
    }
    task->waits = false;
    pthread_mutex_unlock(&loop->lock);
}

static struct loop_task *take_task(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct loop_task *task = TAILQ_FIRST(&loop->tasks);
    if (task != NULL && task->turn == loop->turns)
        task = NULL; /* has run in this turn: others have theirs before */
    if (task != NULL) {
        TAILQ_REMOVE(&loop->tasks, task, entry);
        task->waits = false;
        task->turn = loop->turns;
        loop->waiting--;
    }
    pthread_mutex_unlock(&loop->lock);
    return task;
}

static size_t count_tasks(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    size_t waiting = loop->waiting;
    pthread_mutex_unlock(&loop->lock);
    return waiting;
}

/* What tasks post follows in the same turn, but not for ever, as descriptors have their turn too.
 */
static void run_tasks(struct loop *loop)
{
    for (unsigned round = 0; round < TASK_ROUNDS; round++)
        for (size_t left = count_tasks(loop); left > 0; left--) {
            struct loop_task *task = take_task(loop);
            if (task == NULL)
                return;
            task->work(task->context);
        }
}

/* Whether it may wait for descriptors: nothing is posted, and who posts from now on wakes it. */
static bool fall_asleep(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    bool sleeps = loop->waiting == 0;
    atomic_store(&loop->is_asleep, sleeps);
    pthread_mutex_unlock(&loop->lock);
    return sleeps;
}

/* ---- turns ----------------------------------------------------------------------------------- */

/* What is ready, then what was posted. Waits for nothing where something is posted already. */
static lethe_result turn(struct loop *loop, int flags, struct lethe_error *err)
{
    const struct loop *outer = current;
    current = loop;
    loop->turns++;
    if ((flags & EVLOOP_NONBLOCK) == 0 && !fall_asleep(loop))
        flags |= EVLOOP_NONBLOCK;
    int failure = event_base_loop(loop->base, flags);
    is_up(loop);
    run_tasks(loop);
    current = outer;
    return failure < 0 ? error_set(err, LETHE_IO, "the event loop cannot wait for its descriptors")
                       : LETHE_OK;
}

lethe_result loop_run(struct loop *loop, struct lethe_error *err)
{
    while (!atomic_load(&loop->stopped))
        TRY(turn(loop, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY, err));
    atomic_store(&loop->stopped, false);
    return LETHE_OK;
}

static struct timeval in_milliseconds(uint64_t ms)
{
    return (struct timeval){.tv_sec = (time_t)(ms / 1000), .tv_usec = (long)(ms % 1000) * 1000};
}

lethe_result loop_turn(struct loop *loop, uint64_t wait_ms, struct lethe_error *err)
{
    if (wait_ms == 0)
        return turn(loop, EVLOOP_NONBLOCK, err);
    const struct timeval wait = in_milliseconds(wait_ms);
    if (evtimer_add(loop->turn, &wait) != 0)
        return no_memory(err);
    lethe_result result = turn(loop, EVLOOP_ONCE, err);
    evtimer_del(loop->turn);
    return result;
}

void loop_stop(struct loop *loop)
{
    atomic_store(&loop->stopped, true);
    wake(loop);
}

uint64_t loop_now_ms(const struct loop *loop)
{
    struct timespec now; /* coarse: steps of a few milliseconds, and no system call */
    REQUIRE(loop != NULL && clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static void watch_is_ready(evutil_socket_t fd, short what, void *context)
{
    struct loop_watch *watch = context;
    is_up(watch->loop);
    unsigned events =
        ((what & EV_READ) != 0 ? LOOP_READ : 0u) | ((what & EV_WRITE) != 0 ? LOOP_WRITE : 0u);
    watch->ready(watch->context, events);
}

static short native_events(unsigned events)
{
    return (short)(EV_PERSIST | ((events & LOOP_READ) != 0 ? EV_READ : 0) |
                   ((events & LOOP_WRITE) != 0 ? EV_WRITE : 0));
}

lethe_result loop_watch(struct loop *loop, int fd, unsigned events, loop_ready *ready,
                        void *context, struct loop_watch **out, struct lethe_error *err)
{
    struct loop_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return no_memory(err);
    *watch = (struct loop_watch){
        .loop = loop, .fd = fd, .events = events, .ready = ready, .context = context};
    watch->event = event_new(loop->base, fd, native_events(events), watch_is_ready, watch);
    if (watch->event == NULL || (events != 0 && event_add(watch->event, NULL) != 0)) {
        loop_watch_free(watch);
        return no_memory(err);
    }
    *out = watch;
    return LETHE_OK;
}

void loop_watch_set(struct loop_watch *watch, unsigned events)
{
    if (events == watch->events)
        return;
    if (watch->events != 0)
        event_del(watch->event);
    watch->events = events;
    if (events == 0)
        return;
    /* The descriptor has been watched before: its place is there, nothing can be lacking. */
    REQUIRE(event_assign(watch->event, watch->loop->base, watch->fd, native_events(events),
                         watch_is_ready, watch) == 0);
    REQUIRE(event_add(watch->event, NULL) == 0);
}

void loop_watch_free(struct loop_watch *watch)
{
    if (watch == NULL)
        return;
    free_event(watch->event);
    free(watch);
}

/* ---- moments and signals --------------------------------------------------------------------- */

static void timer_has_expired(evutil_socket_t fd, short what, void *context)
{
    struct loop_timer *timer = context;
    timer->expired(timer->context);
}

lethe_result loop_timer_create(struct loop *loop, loop_expired *expired, void *context,
                               struct loop_timer **out, struct lethe_error *err)
{
    struct loop_timer *timer = calloc(1, sizeof *timer);
    if (timer == NULL)
        return no_memory(err);
    *timer = (struct loop_timer){.expired = expired, .context = context};
    timer->event = evtimer_new(loop->base, timer_has_expired, timer);
    if (timer->event == NULL) {
        free(timer);
        return no_memory(err);
    }
    *out = timer;
    return LETHE_OK;
}

void loop_timer_set(struct loop_timer *timer, uint64_t in_ms)
{
    const struct timeval delay = in_milliseconds(in_ms);
    REQUIRE(evtimer_add(timer->event, &delay) == 0);
}

void loop_timer_clear(struct loop_timer *timer)
{
    evtimer_del(timer->event);
}

void loop_timer_free(struct loop_timer *timer)
{
    if (timer == NULL)
        return;
    free_event(timer->event);
    free(timer);
}

static void signal_arrived(evutil_socket_t number, short what, void *context)
{
    struct loop_signal *signal = context;
    signal->arrived(signal->context);
}

lethe_result loop_signal(struct loop *loop, int number, loop_expired *arrived, void *context,
                         struct lethe_error *err)
{
    struct loop_signal *signal = calloc(1, sizeof *signal);
    if (signal == NULL)
        return no_memory(err);
    *signal = (struct loop_signal){.next = loop->signals, .arrived = arrived, .context = context};
    loop->signals = signal;
    signal->event = evsignal_new(loop->base, number, signal_arrived, signal);
    if (signal->event == NULL || event_add(signal->event, NULL) != 0)
        return no_memory(err);
    return LETHE_OK;
}
