/* Signals: who gets which, how often, and what comes before there is an engine. */
#include "engine_fixture.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

#define CAUGHT_ONCE 41 /* helper catch: 40 and how often */

/* The engine asks for a signal to the supervisor, and gets it once. */
static void signals_are_passed_on(void **state)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};
    struct place *place = PLACE(state);
    open_small_model(place);
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    FOR_EACH_HANDOVER(handover)
    {
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
            char number[16];
            snprintf(number, sizeof number, "%d", numbers[i]);
            const char *const words[] = {helper, place->out, "catch", number, pid, "{model}", NULL};
            const struct engine_options options = options_of(place, handover, words);
            assert_int_equal(must_run(place, &options), CAUGHT_ONCE);
        }
    }
}

static void an_engine_that_dies_of_a_signal_ends_with_128_and_its_number(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    char script[128];
    snprintf(script, sizeof script, "kill -TERM %d; sleep 5 # {model}", (int)getpid());
    const char *const words[] = {"sh", "-c", script, NULL};
    const struct engine_options options = options_of(place, HANDOVER_AUTO, words);
    assert_int_equal(must_run(place, &options), 128 + SIGTERM);
    CLEANUP(json_decref) json_t *exited = last_record(place, "engine_exited");
    assert_string_equal(text_of(exited, "outcome"), "signal");
}

/* Many at once, some of which come when the engine is gone: its exit code stays its own. */
static void signals_that_come_too_late_change_nothing(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    char script[256];
    snprintf(script, sizeof script,
             "trap '' USR1; (while :; do kill -USR1 %d || exit; done) & sleep 0.05; exit 9 "
             "# {model}",
             (int)getpid());
    FOR_EACH_HANDOVER(handover)
    {
        const char *const words[] = {"sh", "-c", script, NULL};
        const struct engine_options options = options_of(place, handover, words);
        assert_int_equal(must_run(place, &options), 9);
    }
}

/* ---- the terminal ---------------------------------------------------------------------------- */

static void run_on_terminal(struct place *place, int terminal)
{
    be_a_child();
    place_enter(place);
    place->list[0] =
        (struct engine_model){"model", must_open(place->models, AT(place->models, "small"))};
    CHILD_REQUIRE(setsid() > 0 && ioctl(terminal, TIOCSCTTY, 0) == 0);
    CHILD_REQUIRE(dup2(terminal, STDIN_FILENO) == STDIN_FILENO);
    char number[16];
    snprintf(number, sizeof number, "%d", SIGINT);
    const char *const words[] = {helper, place->out, "catch", number, "0", "{model}", NULL};
    const struct engine_options options = options_of(place, HANDOVER_AUTO, words);
    struct engine_exit end = {0};
    CHILD_REQUIRE(run_engine(place, &options, &end) == LETHE_OK);
    _exit(end.exit_code);
}

/* Ctrl-C goes to the whole foreground group: passed on as well, it would come twice. */
static void what_comes_from_the_terminal_is_not_passed_on(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
        print_message("no terminal can be made here\n");
        skip();
    }
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal >= 0);
    place_leave(place);
    pid_t supervisor = fork();
    if (supervisor == 0)
        run_on_terminal(place, terminal);
    for (unsigned i = 0; i < 5000 && access(place->out, F_OK) != 0; i++)
        usleep(1000);
    for (size_t size = 0; size == 0; usleep(1000))
        free(get_file(place->out, &size));
    assert_int_equal(write(master, "\x03", 1), 1);
    int status;
    assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
    assert_exited(CAUGHT_ONCE, status);
    close(terminal);
    close(master);
}

/* ---- before there is an engine --------------------------------------------------------------- */

static int signal_to_send;

static void send_signal(struct place *place)
{
    kill(getpid(), signal_to_send);
    place->at_unwrap = NULL;
    place->at_sign = NULL;
}

/* While it loads, and at the last moment, when the engine's process waits already. */
static void a_signal_before_the_start_cancels(void **state)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct place *place = PLACE(state);
    const struct part parts[] = {{"a", 5000, 1}, {"b", 5000, 2}};
    place->list[0] = (struct engine_model){
        "model", must_open(place->models, make_model(place, "two", parts, ARRAY_LEN(parts)))};
    FOR_EACH_HANDOVER(handover)
    {
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
            const char *const words[] = {"touch", AT(place->models, "ran"), "{model}", NULL};
            const struct engine_options options = options_of(place, handover, words);
            struct engine_exit end;
            signal_to_send = numbers[i];
            place->at_unwrap = send_signal;
            assert_result(LETHE_CANCELLED, run_engine(place, &options, &end));
            assert_non_null(strstr(place->models->err.text, sigabbrev_np(numbers[i])));
            assert_true(end.wiped);
            assert_int_equal(end.wiped_bytes, 10000);
            assert_false(is_there(AT(place->models, "ran")));
        }
    }
    assert_int_equal(count_names(AT(place->models, "run")), 0);
}

static uint64_t loaded_bytes;

static void keep_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
    loaded_bytes = done_bytes;
}

/* Also in the middle of a large file. */
static void a_signal_does_not_wait_for_a_large_file(void **state)
{
    enum { LARGE_BYTES = 64 << 20 };
    struct place *place = PLACE(state);
    const struct part part = {"large", LARGE_BYTES, 1};
    const struct model_progress progress = {.report = keep_progress};
    place->list[0] = (struct engine_model){
        "model", must_open(place->models, make_model(place, "large", &part, 1))};
    const char *const words[] = {"true", "{model}", NULL};
    struct engine_options options = options_of(place, HANDOVER_AUTO, words);
    struct engine_exit end;
    options.work.progress = &progress;
    signal_to_send = SIGINT;
    place->at_unwrap = send_signal;
    assert_result(LETHE_CANCELLED, run_engine(place, &options, &end));
    assert_non_null(strstr(place->models->err.text, "SIGINT"));
    assert_true(loaded_bytes > 0 && loaded_bytes < LARGE_BYTES / 2);
}

/* One that is already there when it begins. */
static void a_signal_before_anything_cancels(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    sigset_t held;
    sigset_t before;
    sigemptyset(&held);
    sigaddset(&held, SIGTERM);
    sigprocmask(SIG_BLOCK, &held, &before);
    kill(getpid(), SIGTERM);
    const char *const words[] = {"true", "{model}", NULL};
    const struct engine_options options = options_of(place, HANDOVER_AUTO, words);
    struct engine_exit end;
    assert_result(LETHE_CANCELLED, run_engine(place, &options, &end));
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* SIGUSR1 is for engines, not for us: the run goes on. */
static void a_signal_that_is_no_end_does_not_cancel(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    signal_to_send = SIGUSR1;
    place->at_unwrap = send_signal;
    const char *const words[] = {"true", "{model}", NULL};
    const struct engine_options options = options_of(place, HANDOVER_AUTO, words);
    assert_int_equal(must_run(place, &options), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(signals_are_passed_on),
        IN_PLACE(an_engine_that_dies_of_a_signal_ends_with_128_and_its_number),
        IN_PLACE(signals_that_come_too_late_change_nothing),
        IN_PLACE(what_comes_from_the_terminal_is_not_passed_on),
        IN_PLACE(a_signal_before_the_start_cancels),
        IN_PLACE(a_signal_does_not_wait_for_a_large_file),
        IN_PLACE(a_signal_before_anything_cancels),
        IN_PLACE(a_signal_that_is_no_end_does_not_cancel),
    };
    engine_tests_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
