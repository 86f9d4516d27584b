#include "check.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/thread.h"
#include "net/loop.h"

static struct loop *loop;
static char order[64];

static int start(void **state)
{
    struct lethe_error err;
    order[0] = '\0';
    assert_ok(loop_create(&loop, &err), &err);
    return 0;
}

static int finish(void **state)
{
    loop_free(loop);
    return 0;
}

static char a_text[] = "a", b_text[] = "b", c_text[] = "c", hup[] = "hup ", term[] = "term ";

static void note(void *context)
{
    strncat(order, context, sizeof order - strlen(order) - 1);
}

static void turn_until(const char *expected)
{
    for (unsigned i = 0; i < 2000 && strcmp(order, expected) != 0; i++)
        assert_result(LETHE_OK, loop_turn(loop, 5, NULL));
    assert_string_equal(order, expected);
}

static void timers_come_in_order_and_once(void **state)
{
    struct loop_timer *a, *b, *c;
    assert_result(LETHE_OK, loop_timer_create(loop, note, a_text, &a, NULL));
    assert_result(LETHE_OK, loop_timer_create(loop, note, b_text, &b, NULL));
    assert_result(LETHE_OK, loop_timer_create(loop, note, c_text, &c, NULL));
    loop_timer_set(a, 40);
    loop_timer_set(b, 20);
    loop_timer_set(c, 0);
    loop_timer_clear(c);
    turn_until("ba");
    loop_timer_set(c, 1);
    loop_timer_set(c, 10); /* replaces the earlier */
    turn_until("bac");
    for (unsigned i = 0; i < 10; i++)
        assert_result(LETHE_OK, loop_turn(loop, 2, NULL));
    assert_string_equal(order, "bac");
    loop_timer_free(a);
    loop_timer_free(b);
    loop_timer_free(c);
    loop_timer_free(NULL);
}

struct watched {
    struct loop_watch *watch;
    int fd;
    unsigned events;
    unsigned calls;
    bool frees;
};

static void on_ready(void *context, unsigned events)
{
    struct watched *watched = context;
    watched->events |= events;
    watched->calls++;
    if (watched->frees)
        loop_watch_free(MOVE(watched->watch));
}

static void descriptors_are_watched_for_what_was_asked(void **state)
{
    int pair[2];
    struct watched watched = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_result(LETHE_OK, loop_watch(loop, pair[0], 0, on_ready, &watched, &watched.watch, NULL));
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_result(LETHE_OK, loop_turn(loop, 0, NULL));
    assert_int_equal(watched.calls, 0);
    loop_watch_set(watched.watch, LOOP_READ);
    assert_result(LETHE_OK, loop_turn(loop, 1000, NULL));
    assert_int_equal(watched.events, LOOP_READ);
    unsigned calls = watched.calls;
    assert_result(LETHE_OK, loop_turn(loop, 1000, NULL)); /* level-triggered */
    assert_true(watched.calls > calls);
    loop_watch_set(watched.watch, LOOP_READ | LOOP_WRITE);
    assert_result(LETHE_OK, loop_turn(loop, 1000, NULL));
    assert_int_equal(watched.events, LOOP_READ | LOOP_WRITE);
    loop_watch_set(watched.watch, 0);
    watched.calls = 0;
    assert_result(LETHE_OK, loop_turn(loop, 0, NULL));
    assert_int_equal(watched.calls, 0);
    loop_watch_free(watched.watch);
    close(pair[0]);
    close(pair[1]);
}

/* A callback may free its own watch; another descriptor may then have the same number. */
static void watches_are_freed_from_within(void **state)
{
    for (unsigned round = 0; round < 3; round++) {
        int pair[2];
        struct watched watched = {.frees = true};
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        assert_result(LETHE_OK, loop_watch(loop, pair[0], LOOP_READ, on_ready, &watched,
                                           &watched.watch, NULL));
        assert_int_equal(write(pair[1], "x", 1), 1);
        assert_result(LETHE_OK, loop_turn(loop, 1000, NULL));
        assert_result(LETHE_OK, loop_turn(loop, 0, NULL));
        assert_int_equal(watched.calls, 1);
        assert_null(watched.watch);
        close(pair[0]);
        close(pair[1]);
    }
}

static void *stop_it(void *context)
{
    usleep(20000);
    loop_stop(loop);
    return NULL;
}

static void another_thread_stops_it(void **state)
{
    pthread_t thread;
    assert_result(LETHE_OK, thread_start(&thread, stop_it, NULL, NULL));
    assert_result(LETHE_OK, loop_run(loop, NULL));
    pthread_join(thread, NULL);
    loop_stop(loop); /* before it runs */
    assert_result(LETHE_OK, loop_run(loop, NULL));
}

static void signals_are_told(void **state)
{
    assert_result(LETHE_OK, loop_signal(loop, SIGHUP, note, hup, NULL));
    assert_result(LETHE_OK, loop_signal(loop, SIGTERM, note, term, NULL));
    assert_int_equal(raise(SIGHUP), 0);
    turn_until("hup ");
    assert_int_equal(raise(SIGTERM), 0);
    turn_until("hup term ");
}

static void posted_work_runs_in_order_and_once(void **state)
{
    struct loop_task a = {.work = note, .context = a_text}, b = {.work = note, .context = b_text},
                     c = {.work = note, .context = c_text};
    assert_true(loop_post(loop, &b));
    assert_true(loop_post(loop, &a));
    assert_false(loop_post(loop, &b)); /* it waits already */
    assert_true(loop_post(loop, &c));
    loop_unpost(loop, &c);
    loop_unpost(loop, &c);
    assert_string_equal(order, "");
    assert_result(LETHE_OK, loop_turn(loop, 1000, NULL));
    assert_string_equal(order, "ba");
    assert_true(loop_post(loop, &b));
    assert_result(LETHE_OK, loop_turn(loop, 0, NULL));
    assert_string_equal(order, "bab");
}

struct reposting {
    struct loop_task task;
    unsigned runs;
};

static void post_again(void *context)
{
    struct reposting *self = context;
    if (++self->runs < 5)
        assert_true(loop_post(loop, &self->task));
}

/* Who always posts again holds up neither timers nor descriptors, and nobody sleeps over it. */
static void who_posts_again_waits_a_turn(void **state)
{
    struct reposting self = {.task = {.work = post_again, .context = &self}};
    assert_true(loop_post(loop, &self.task));
    for (unsigned i = 1; i <= 5; i++) {
        assert_result(LETHE_OK, loop_turn(loop, 60000, NULL));
        assert_int_equal(self.runs, i);
    }
}

struct chain {
    struct loop_task first, second;
    unsigned runs;
};

static void follow(void *context)
{
    ((struct chain *)context)->runs++;
}

static void lead(void *context)
{
    struct chain *chain = context;
    chain->runs++;
    assert_true(loop_post(loop, &chain->second));
}

static void what_a_task_posts_follows_in_the_same_turn(void **state)
{
    struct chain chain = {.first = {.work = lead, .context = &chain},
                          .second = {.work = follow, .context = &chain}};
    assert_true(loop_post(loop, &chain.first));
    assert_result(LETHE_OK, loop_turn(loop, 60000, NULL));
    assert_int_equal(chain.runs, 2);
}

#define POSTERS 4u
#define POSTS 2000u
struct post {
    struct loop_task task;
    unsigned poster, number;
};
static struct post posts[POSTERS][POSTS];
static unsigned posts_seen[POSTERS], posts_left;

static void see(void *context)
{
    const struct post *post = context;
    assert_int_equal(post->number, posts_seen[post->poster]++);
    if (--posts_left == 0)
        loop_stop(loop);
}

static void *post_all(void *context)
{
    struct post *mine = context;
    for (unsigned i = 0; i < POSTS; i++) {
        loop_post(loop, &mine[i].task);
        if (i % 100 == 0)
            usleep(100); /* so that the loop sleeps now and then */
    }
    return NULL;
}

static void many_threads_post_and_nothing_is_lost(void **state)
{
    pthread_t threads[POSTERS];
    posts_left = POSTERS * POSTS;
    for (unsigned i = 0; i < POSTERS; i++) {
        posts_seen[i] = 0;
        for (unsigned j = 0; j < POSTS; j++)
            posts[i][j] = (struct post){{.work = see, .context = &posts[i][j]}, i, j};
        assert_result(LETHE_OK, thread_start(&threads[i], post_all, posts[i], NULL));
    }
    assert_result(LETHE_OK, loop_run(loop, NULL));
    for (unsigned i = 0; i < POSTERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(posts_seen[i], POSTS);
    }
}

static void time_goes_on(void **state)
{
    uint64_t before_ms = loop_now_ms(loop);
    usleep(30000);
    assert_true(loop_now_ms(loop) > before_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_come_in_order_and_once, start, finish),
        cmocka_unit_test_setup_teardown(descriptors_are_watched_for_what_was_asked, start, finish),
        cmocka_unit_test_setup_teardown(watches_are_freed_from_within, start, finish),
        cmocka_unit_test_setup_teardown(another_thread_stops_it, start, finish),
        cmocka_unit_test_setup_teardown(signals_are_told, start, finish),
        cmocka_unit_test_setup_teardown(posted_work_runs_in_order_and_once, start, finish),
        cmocka_unit_test_setup_teardown(who_posts_again_waits_a_turn, start, finish),
        cmocka_unit_test_setup_teardown(what_a_task_posts_follows_in_the_same_turn, start, finish),
        cmocka_unit_test_setup_teardown(many_threads_post_and_nothing_is_lost, start, finish),
        cmocka_unit_test_setup_teardown(time_goes_on, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
