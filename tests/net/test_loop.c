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
        cmocka_unit_test_setup_teardown(time_goes_on, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
