/* Z-6, Z-9: supervisor, guardian or both are killed, at each stage of a run, by each hand-over. An
 * observer who maps the same memory says what is left in it. */
#include "engine_fixture.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum victim {
    SUPERVISOR,
    GROUP, /* the whole process group of the supervisor; the guardian stands apart */
    GUARDIAN,
    BOTH,
    VICTIMS
};
enum stage {
    PREPARED,  /* memory is there, and empty */
    LOADING,   /* the first of two files is decrypted */
    RECORDING, /* the engine's process waits for its start to be on record */
    RUNNING,   /* the engine runs; it does the killing itself */
    STAGES
};
static const char *const victim_words[] = {"supervisor", "group", "guardian", "both"};
static const char *const stage_words[] = {"prepared", "loading", "recording", "running"};

/* What the supervisor's process does, and what becomes known of it to the test's. */
struct crash {
    enum victim victim;
    enum stage stage;
    enum handover handover;
    unsigned unwraps;
    int to_test; /* the observer's end */
};

/* ---- the observer ---------------------------------------------------------------------------- */

struct sight {
    bool zero;
    bool weights; /* in the first file */
    char directory[256];
};

static const struct part parts[] = {{"a", 300001, 1}, {"b", 300002, 2}};

/* Says what it sees whenever it is asked, until nobody asks any more. */
static _Noreturn void observe(const struct engine *engine, int to_test)
{
    int own = dup2(to_test, 900);
    setpgid(0, 0);
    close_range(3, 899, 0); /* the channel above all: its end is the guardian's news */
    close_range(901, ~0u, 0);
    struct sight sight = {0};
    memcpy(sight.directory, engine->ready.path, sizeof sight.directory);
    for (char asked; read(own, &asked, 1) == 1;) {
        sight.zero = lethe_is_zero(engine->files[0].mapping, parts[0].size_bytes) &&
                     lethe_is_zero(engine->files[1].mapping, parts[1].size_bytes);
        sight.weights = weights_equal(engine->files[0].mapping, parts[0].size_bytes, parts[0].seed);
        if (write(own, &sight, sizeof sight) != sizeof sight)
            break;
    }
    _exit(0);
}

/* A child of the test, not of the supervisor, which must have none. */
static void start_observer(const struct engine *engine, int to_test)
{
    pid_t observer = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0);
    if (observer == 0)
        observe(engine, to_test);
    while (getpgid(observer) == getpgrp())
        usleep(100); /* it is to survive our group */
    close(to_test);
}

static struct sight ask(int observer)
{
    struct sight sight;
    assert_int_equal(write(observer, "?", 1), 1);
    assert_int_equal(read(observer, &sight, sizeof sight), sizeof sight);
    return sight;
}

/* ---- the supervisor -------------------------------------------------------------------------- */

static void strike(const struct place *place)
{
    const struct crash *crash = place->of_hook;
    if (crash->victim == GUARDIAN || crash->victim == BOTH)
        kill(place->engine->guardian, SIGKILL);
    if (crash->victim != GUARDIAN)
        kill(crash->victim == GROUP ? 0 : getpid(), SIGKILL);
    /* Its children have become ours when it is a zombie. */
    siginfo_t ignored;
    waitid(P_PID, (id_t)place->engine->guardian, &ignored, WEXITED | WNOWAIT);
}

static void strike_while_loading(struct place *place)
{
    struct crash *crash = place->of_hook;
    if (++crash->unwraps == 2)
        strike(place);
}

static void strike_while_recording(struct place *place)
{
    place->at_sign = NULL;
    strike(place);
}

#define LOST_CODE 50   /* engine_run: LETHE_LOST, all wiped */
#define KILLED_CODE 51 /* engine_run: the engine ended with 137, all wiped */

static int how_it_ended(lethe_result result, const struct engine_exit *end)
{
    if (!end->wiped || end->wiped_bytes != parts[0].size_bytes + parts[1].size_bytes)
        return 1;
    if (result == LETHE_LOST)
        return LOST_CODE;
    return result == LETHE_OK && end->exit_code == 137 ? KILLED_CODE : 2;
}

static _Noreturn void supervise(struct place *place, struct crash *crash)
{
    be_a_child();
    setpgid(0, 0);
    place_enter(place);
    place->list[0] =
        (struct engine_model){"model", must_open(place->models, AT(place->models, "crash"))};
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    const char *const words[] = {helper, place->out, "kill", victim_words[crash->victim],
                                 pid,    "{model}",  NULL};
    const struct engine_options options = options_of(place, crash->handover, words);
    CHILD_REQUIRE(engine_prepare(&options, &place->engine, &place->models->err) == LETHE_OK);
    start_observer(place->engine, crash->to_test);
    place->of_hook = crash;
    place->at_unwrap = crash->stage == LOADING ? strike_while_loading : NULL;
    place->at_sign = crash->stage == RECORDING ? strike_while_recording : NULL;
    if (crash->stage == PREPARED)
        strike(place);
    struct engine_exit end;
    int code =
        how_it_ended(engine_run(place->engine, &place->services, &end, &place->models->err), &end);
    engine_free(place->engine);
    place_leave(place);
    _exit(code);
}

/* ---- what must be true then ------------------------------------------------------------------ */

/* Guardian and engine are the test's own once the supervisor is dead. */
static void wait_until_only_the_observer_lives(void)
{
    char path[64];
    unsigned children = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    for (unsigned i = 0; i < 10000; i++) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        size_t size_bytes;
        CLEANUP(memory_free) char *list = (char *)get_file(path, &size_bytes);
        children = 0;
        for (size_t at = 0; at < size_bytes; at++)
            children += list[at] == ' ';
        if (children <= 1)
            break;
        usleep(1000);
    }
    assert_int_equal(children, 1);
}

static void check_the_log(struct place *place, const struct crash *crash)
{
    struct lethe_error *err = &place->models->err;
    size_t settled;
    place_enter(place);
    assert_ok(engine_settle_traces(AT(place->models, "run"), place->log, &place->services.who,
                                   &settled, err),
              err);
    assert_int_equal(settled, crash->victim == GUARDIAN ? 0 : 1);
    assert_int_equal(count_names(AT(place->models, "run")), 0);
    bool started = crash->stage == RECORDING || crash->stage == RUNNING;
    if (crash->victim != GUARDIAN || started) {
        CLEANUP(json_decref) json_t *exited = last_record(place, "engine_exited");
        assert_string_equal(text_of(exited, "wiped"), crash->victim == BOTH ? "unwiped" : "wiped");
        assert_int_equal(number_of(exited, "bytes"), parts[0].size_bytes + parts[1].size_bytes);
        assert_string_equal(text_of(exited, "engine"), helper);
        assert_string_equal(text_of(exited, "model"), "crash");
        if (crash->stage == RUNNING) {
            CLEANUP(json_decref) json_t *record = last_record(place, "engine_started");
            assert_int_equal(number_of(record, "pid"), number_of(exited, "pid"));
        }
    }
    place_leave(place);
}

static void check_crash(struct place *place, struct crash *crash)
{
    int ends[2];
    int status;
    print_message("%s: killed %s, %s\n", handover_name(crash->handover),
                  victim_words[crash->victim], stage_words[crash->stage]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    crash->to_test = ends[1];
    fflush(NULL);
    pid_t supervisor = fork();
    if (supervisor == 0) {
        close(ends[0]);
        supervise(place, crash);
    }
    close(ends[1]);
    assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
    if (crash->victim != GUARDIAN)
        assert_killed_by(SIGKILL, status);
    else if (crash->stage == RUNNING)
        assert_exited(KILLED_CODE, status);
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != KILLED_CODE || crash->stage != RECORDING)
        assert_exited(LOST_CODE, status); /* its process may not have been told to go on */
    wait_until_only_the_observer_lives();

    struct sight sight = ask(ends[0]);
    bool loaded = crash->stage != PREPARED;
    assert_int_equal(sight.zero, crash->victim != BOTH || !loaded);
    assert_int_equal(sight.weights, crash->victim == BOTH && loaded);
    check_the_log(place, crash);
    assert_false(is_there(sight.directory));
    close(ends[0]);
    assert_true(waitpid(-1, &status, 0) > 0);
}

static void whoever_is_killed_the_rest_wipes(void **state)
{
    struct place *place = PLACE(state);
    make_model(place, "crash", parts, ARRAY_LEN(parts));
    place_leave(place);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    FOR_EACH_HANDOVER(handover)
    {
        for (enum victim victim = SUPERVISOR; victim < VICTIMS; victim++) {
            for (enum stage stage = PREPARED; stage < STAGES; stage++) {
                struct crash crash = {.victim = victim, .stage = stage, .handover = handover};
                check_crash(place, &crash);
            }
        }
    }
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

/* The guardian's death is the engine's; what that had started becomes the supervisor's to kill. */
static void processes_of_the_engine_die_when_the_guardian_is_killed(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    char script[1024];
    snprintf(script, sizeof script,
             "exec >%s 2>&1; setsid sleep 30 & echo $!; kill -KILL $PPID; sleep 30 # {model}",
             place->out);
    FOR_EACH_HANDOVER(handover)
    {
        const char *const words[] = {"sh", "-c", script, NULL};
        const struct engine_options options = options_of(place, handover, words);
        assert_int_equal(must_run(place, &options), 137);
        CLEANUP(memory_free) char *pid = said(place);
        assert_true(atoi(pid) > 1);
        assert_int_equal(kill(atoi(pid), 0), -1);
        assert_int_equal(errno, ESRCH);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(whoever_is_killed_the_rest_wipes),
        IN_PLACE(processes_of_the_engine_die_when_the_guardian_is_killed),
    };
    engine_tests_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
