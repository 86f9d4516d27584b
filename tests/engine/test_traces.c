/* Traces of runs that nobody ended in order: what of them goes on record, and what is touched. */
#include "engine_fixture.h"

#include <sys/file.h>

#include "engine/trace.h"

static size_t settle(struct place *place)
{
    struct lethe_error *err = &place->models->err;
    size_t settled = 99;
    assert_ok(engine_settle_traces(AT(place->models, "run"), place->log, &place->services.who,
                                   &settled, err),
              err);
    return settled;
}

static struct trace leave_trace(struct place *place)
{
    struct trace trace;
    assert_ok(trace_create(AT(place->models, "run"), &trace, &place->models->err),
              &place->models->err);
    return trace;
}

/* As its process would, when it is killed. */
static void let_go(struct trace *trace)
{
    close(trace->fd);
    free(trace->path);
}

static void nothing_is_settled_where_there_is_nothing(void **state)
{
    assert_int_equal(settle(PLACE(state)), 0);
    assert_int_equal(mkdir(AT(PLACE(state)->models, "run"), 0700), 0);
    assert_int_equal(settle(PLACE(state)), 0);
    assert_events(PLACE(state), "");
}

static void a_trace_is_settled_once_and_only_when_nobody_lives(void **state)
{
    struct place *place = PLACE(state);
    struct trace trace = leave_trace(place);
    trace_note_text(trace.fd, "engine", "/usr/bin/llama \"quoted\"\n");
    trace_note_text(trace.fd, "model", "m");
    trace_note_number(trace.fd, "bytes", 1ull << 52);
    trace_note_number(trace.fd, "pid", 4711);
    int copy = dup(trace.fd); /* the guardian's */
    assert_int_equal(settle(place), 0);
    let_go(&trace);
    assert_int_equal(settle(place), 0);
    trace_note_text(copy, "wiped", "wiped");
    close(copy);
    assert_int_equal(settle(place), 1);
    assert_int_equal(settle(place), 0);
    CLEANUP(json_decref) json_t *exited = last_record(place, "engine_exited");
    assert_string_equal(text_of(exited, "model"), "m");
    assert_non_null(strstr(text_of(exited, "engine"), "llama"));
    assert_int_equal(number_of(exited, "bytes"), 1ull << 52);
    assert_int_equal(number_of(exited, "pid"), 4711);
    assert_string_equal(text_of(exited, "outcome"), "supervisor died");
    assert_string_equal(text_of(exited, "wiped"), "wiped");
}

static void whatever_a_trace_does_not_say_is_unknown_and_unwiped(void **state)
{
    static const struct {
        const char *text;
        const char *engine;
        const char *wiped;
    } cases[] = {
        {"", "unknown", "unwiped"},
        {"{\"engine\":\"e\"}\n", "e", "unwiped"},
        {"{\"engine\":\"e\"}\n{\"wiped\":\"wiped\"}\n", "e", "wiped"},
        {"{\"engine\":\"e\"}\n{\"wiped\":\"wiped\"}\n{\"wiped\":\"unwiped\"}\n", "e", "unwiped"},
        {"{\"engine\":\"e\"}\n{\"wiped\":\"wiped\"}", "e", "unwiped"}, /* torn */
        {"{\"engine\":\"e\"}\n{\"wiped\":\"of course\"}\n", "e", "unwiped"},
        {"{\"engine\":\"e\"}\n{\"wip\n{\"wiped\":\"wiped\"}\n", "e", "wiped"},
        {"{\"wiped\":\"wiped\",\"more\":1}\n", "unknown", "unwiped"},
        {"\x01\x02\x03\n\xff", "unknown", "unwiped"},
    };
    struct place *place = PLACE(state);
    assert_int_equal(mkdir(AT(place->models, "run"), 0700), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        put_text(AT(place->models, "run/1-x.run"), cases[i].text);
        assert_int_equal(settle(place), 1);
        CLEANUP(json_decref) json_t *exited = last_record(place, "engine_exited");
        assert_string_equal(text_of(exited, "engine"), cases[i].engine);
        assert_string_equal(text_of(exited, "wiped"), cases[i].wiped);
    }
    char *large = calloc(1, 100001);
    memset(large, 'x', 100000);
    put_text(AT(place->models, "run/2-x.run"), large);
    free(large);
    assert_int_equal(settle(place), 1);
    assert_int_equal(count_names(AT(place->models, "run")), 0);
}

static void refuse_the_second_time(struct place *place)
{
    static unsigned times;
    place->sign_answer = ++times == 2 ? LETHE_FAILED : LETHE_OK;
}

/* engine_started went through, engine_exited did not: nothing is lost. */
static void an_end_that_cannot_be_recorded_is_settled_later(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    const char *const words[] = {"true", "{model}", NULL};
    const struct engine_options options = options_of(place, HANDOVER_AUTO, words);
    struct engine_exit end;
    place->at_sign = refuse_the_second_time;
    assert_result(LETHE_FAILED, run_engine(place, &options, &end));
    assert_true(end.wiped);
    place->at_sign = NULL;
    place->sign_answer = LETHE_OK;
    assert_int_equal(count_names(AT(place->models, "run")), 1);
    assert_int_equal(settle(place), 1);
    CLEANUP(json_decref) json_t *exited = last_record(place, "engine_exited");
    assert_string_equal(text_of(exited, "wiped"), "wiped");
    assert_int_equal(count_names(AT(place->models, "run")), 0);
}

/* Only what can be an engine's private directory is removed, and with it what lies in it. */
static void only_our_own_directory_is_removed(void **state)
{
    struct place *place = PLACE(state);
    struct fixture *f = place->models;
    const char *ours = AT(f, "lethe-abcdef");
    const char *link = AT(f, "lethe-link");
    const char *other = AT(f, "other");
    assert_int_equal(mkdir(ours, 0700), 0);
    assert_int_equal(mkdir(AT(f, "lethe-abcdef/home"), 0), 0);
    assert_int_equal(mkdir(other, 0700), 0);
    put_text(AT(f, "other/file"), "kept");
    put_text(AT(f, "lethe-abcdef/prompts"), "private");
    assert_int_equal(symlink(other, link), 0);
    const char *const named[] = {ours, other, link, "/nonexistent/lethe-x", "relative", ""};
    for (size_t i = 0; i < ARRAY_LEN(named); i++) {
        struct trace trace = leave_trace(place);
        trace_note_text(trace.fd, "directory", named[i]);
        let_go(&trace);
        assert_int_equal(settle(place), 1);
    }
    assert_false(is_there(ours));
    assert_true(is_there(AT(f, "other/file")));
    assert_true(is_there(link));
}

/* Other files in the directory are not traces; one that never got its name goes after a while. */
static void what_is_no_trace_stays(void **state)
{
    struct place *place = PLACE(state);
    struct fixture *f = place->models;
    assert_int_equal(mkdir(AT(f, "run"), 0700), 0);
    put_text(AT(f, "run/notes"), "x");
    put_text(AT(f, "run/.run"), "x");
    put_text(AT(f, "run/.1-new"), "");
    put_text(AT(f, "run/.1-old"), "");
    const struct timespec long_ago[] = {{1000000000, 0}, {1000000000, 0}};
    assert_int_equal(utimensat(AT_FDCWD, AT(f, "run/.1-old"), long_ago, 0), 0);
    assert_int_equal(symlink("/etc/passwd", AT(f, "run/2-link.run")), 0);
    assert_int_equal(mkdir(AT(f, "run/3-directory.run"), 0700), 0);
    assert_int_equal(settle(place), 0);
    assert_true(is_there(AT(f, "run/2-link.run")));
    assert_true(is_there(AT(f, "run/3-directory.run")));
    assert_true(is_there(AT(f, "run/notes")));
    assert_true(is_there(AT(f, "run/.1-new")));
    assert_false(is_there(AT(f, "run/.1-old")));
}

/* The directory of traces is private, or there is no run. */
static void a_directory_that_others_can_read_is_refused(void **state)
{
    struct place *place = PLACE(state);
    struct trace trace;
    assert_int_equal(mkdir(AT(place->models, "run"), 0700), 0);
    assert_int_equal(chmod(AT(place->models, "run"), 0755), 0);
    assert_result(LETHE_UNPROTECTED,
                  trace_create(AT(place->models, "run"), &trace, &place->models->err));
    assert_result(LETHE_NOT_FOUND,
                  trace_create(AT(place->models, "not/there"), &trace, &place->models->err));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(nothing_is_settled_where_there_is_nothing),
        IN_PLACE(a_trace_is_settled_once_and_only_when_nobody_lives),
        IN_PLACE(whatever_a_trace_does_not_say_is_unknown_and_unwiped),
        IN_PLACE(an_end_that_cannot_be_recorded_is_settled_later),
        IN_PLACE(only_our_own_directory_is_removed),
        IN_PLACE(what_is_no_trace_stays),
        IN_PLACE(a_directory_that_others_can_read_is_refused),
    };
    engine_tests_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
