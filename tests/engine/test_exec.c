/* Runs of an engine, by each hand-over: what it gets, how it ends, what is on record. */
#include "engine_fixture.h"

#include <sys/resource.h>

#include "base/text.h"
#include "crypto/hash.h"

/* ---- what it gets ---------------------------------------------------------------------------- */

static void an_engine_reads_its_only_file_under_its_name(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    FOR_EACH_HANDOVER(handover)
    {
        const char *const words[] = {helper, place->out, "check", "{model}", "3", "100001", NULL};
        const struct engine_options options = options_of(place, handover, words);
        assert_int_equal(must_run(place, &options), 0);
        CLEANUP(memory_free) char *path = said(place);
        assert_non_null(strstr(path, "/models/model/weights.bin\n"));
        assert_false(is_there(strtok(path, "\n")));
    }
}

/* Names with directories, an empty file, one larger than a huge page, and a second model. */
static void an_engine_reads_directories_of_models(void **state)
{
    struct place *place = PLACE(state);
    const struct part first[] = {
        {"a.bin", 5, 10}, {"deep/er/b.bin", ((size_t)2 << 20) + 1, 11}, {"empty", 0, 12}};
    const struct part second[] = {{"x", 4096, 20}, {"y", 4097, 21}};
    place->list[0] = (struct engine_model){
        "model", must_open(place->models, make_model(place, "one", first, ARRAY_LEN(first)))};
    place->list[1] = (struct engine_model){
        "draft", must_open(place->models, make_model(place, "two", second, ARRAY_LEN(second)))};
    FOR_EACH_HANDOVER(handover)
    {
        const char *const words[] = {helper,
                                     place->out,
                                     "check",
                                     "{model}/a.bin",
                                     "10",
                                     "5",
                                     "{model}/deep/er/b.bin",
                                     "11",
                                     "2097153",
                                     "{model}/empty",
                                     "12",
                                     "0",
                                     "{draft}/x",
                                     "20",
                                     "4096",
                                     "{draft}/y",
                                     "21",
                                     "4097",
                                     NULL};
        struct engine_options options = options_of(place, handover, words);
        options.check_digest = true;
        assert_int_equal(must_run(place, &options), 0);
    }
}

/* More files than a process may usually have open, and than a socket holds messages. */
static void a_thousand_files_are_handed_over(void **state)
{
    enum { FILES = 1100 };
    struct place *place = PLACE(state);
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < FILES + 200) {
        print_message("fewer than %d files may be open here\n", FILES + 200);
        skip();
    }
    struct part *parts = calloc(FILES, sizeof *parts);
    char(*names)[16] = calloc(FILES, sizeof *names);
    for (size_t i = 0; i < FILES; i++) {
        snprintf(names[i], sizeof names[i], "%04zu", i);
        parts[i] = (struct part){names[i], 64 + i, i};
    }
    place->list[0] = (struct engine_model){
        "model", must_open(place->models, make_model(place, "many", parts, FILES))};
    free(names);
    free(parts);
    const struct rlimit few = {512, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    FOR_EACH_HANDOVER(handover)
    {
        const char *const words[] = {helper, place->out,     "check", "{model}/0000", "0",
                                     "64",   "{model}/1099", "1099",  "1163",         NULL};
        const struct engine_options options = options_of(place, handover, words);
        assert_int_equal(must_run(place, &options), 0);
        const char *const looks[] = {helper, place->out, "status", "{model}", NULL};
        const struct engine_options again = options_of(place, handover, looks);
        assert_int_equal(must_run(place, &again), 0);
        CLEANUP(memory_free) char *status = said(place);
        assert_non_null(
            strstr(status, handover == HANDOVER_TMPFS ? "\nfiles\t512\n" : "\nfiles\t1164\n"));
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void an_unmodified_program_reads_the_model(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    char script[512];
    snprintf(script, sizeof script, "sha256sum <{model} >%s && cmp {model} {model}", place->out);
    FOR_EACH_HANDOVER(handover)
    {
        const char *const words[] = {"sh", "-c", script, NULL};
        const struct engine_options options = options_of(place, handover, words);
        assert_int_equal(must_run(place, &options), 0);
        uint8_t digest[32];
        char hex[65];
        uint8_t *weights = malloc(SMALL_BYTES);
        weights_fill(weights, SMALL_BYTES, SMALL_SEED);
        sha256(weights, SMALL_BYTES, digest);
        hex_encode(digest, sizeof digest, hex);
        CLEANUP(memory_free) char *line = said(place);
        assert_memory_equal(line, hex, 64);
        free(weights);
    }
}

/* ---- how it ends ----------------------------------------------------------------------------- */

static void exit_codes_are_the_engines_own(void **state)
{
    static const struct {
        const char *const words[5];
        int exit_code;
        int start_errno;
    } cases[] = {{{"sh", "-c", "exit 0", "{model}"}, 0, 0},
                 {{"sh", "-c", "exit 7", "{model}"}, 7, 0},
                 {{"sh", "-c", "kill -KILL $$", "{model}"}, 137, 0},
                 {{"sh", "-c", "kill -TERM $$", "{model}"}, 143, 0},
                 {{"/nonexistent/engine", "{model}"}, 127, ENOENT},
                 {{"no-such-engine-in-path", "{model}"}, 127, ENOENT},
                 {{"/dev/null", "{model}"}, 126, EACCES},
                 {{"{model}"}, 126, EACCES}};
    struct place *place = PLACE(state);
    open_small_model(place);
    FOR_EACH_HANDOVER(handover)
    {
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            const struct engine_options options = options_of(place, handover, cases[i].words);
            struct engine_exit end;
            assert_ok(run_engine(place, &options, &end), &place->models->err);
            assert_int_equal(end.exit_code, cases[i].exit_code);
            assert_int_equal(end.start_errno, cases[i].start_errno);
            assert_true(end.wiped);
            assert_int_equal(end.wiped_bytes, SMALL_BYTES);
        }
    }
    assert_int_equal(count_names(AT(place->models, "run")), 0);
}

static void a_placeholder_that_is_not_used_is_refused_before_anything_is_done(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    const char *const words[] = {"true", NULL};
    const struct engine_options options = options_of(place, HANDOVER_AUTO, words);
    struct engine *engine;
    assert_result(LETHE_INVALID, engine_prepare(&options, &engine, &place->models->err));
    assert_null(engine);
    assert_false(is_there(AT(place->models, "run")));
}

/* Freed before it has run: nothing stays, and the process is as before. */
static void a_prepared_engine_may_be_given_up(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    FOR_EACH_HANDOVER(handover)
    {
        const char *const words[] = {"true", "{model}", NULL};
        const struct engine_options options = options_of(place, handover, words);
        struct engine *engine;
        sigset_t before = {0};
        sigset_t after = {0};
        sigprocmask(SIG_BLOCK, NULL, &before);
        assert_ok(engine_prepare(&options, &engine, &place->models->err), &place->models->err);
        char directory[256];
        memcpy(directory, engine->ready.path, sizeof directory);
        assert_true(is_there(directory));
        assert_int_equal(count_names(AT(place->models, "run")), 1);
        engine_free(engine);
        assert_false(is_there(directory));
        assert_int_equal(count_names(AT(place->models, "run")), 0);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        sigprocmask(SIG_BLOCK, NULL, &after);
        assert_memory_equal(&before, &after, sizeof before);
    }
}

/* ---- what is on record ----------------------------------------------------------------------- */

/* Z-8, and decisions.md, "exec" */
static void a_run_is_on_record(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    const char *const words[] = {"sh", "-c", "exit 5", "{model}", NULL};
    const struct engine_options options = options_of(place, HANDOVER_MEMFD, words);
    assert_int_equal(must_run(place, &options), 5);
    assert_events(place, "model_loaded engine_started region_wiped region_wiped engine_exited ");
    CLEANUP(json_decref) json_t *started = last_record(place, "engine_started");
    CLEANUP(json_decref) json_t *exited = last_record(place, "engine_exited");
    assert_string_equal(text_of(started, "handover"), "memfd");
    assert_string_equal(text_of(started, "engine"), "sh");
    assert_string_equal(text_of(started, "model"), "small");
    assert_true(json_is_true(json_object_get(started, "swap_safe")));
    assert_true(number_of(started, "pid") > 1);
    assert_int_equal(number_of(started, "pid"), number_of(exited, "pid"));
    assert_int_equal(number_of(exited, "code"), 5);
    assert_int_equal(number_of(exited, "bytes"), SMALL_BYTES);
    assert_string_equal(text_of(exited, "outcome"), "exit");
    assert_string_equal(text_of(exited, "wiped"), "wiped");
}

/* Record before act: the engine's own first look finds its start in the log. */
static void the_start_is_on_record_before_the_engine_runs(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    char script[512];
    snprintf(script, sizeof script, "grep -q engine_started %s/audit/000001.jsonl # {model}",
             place->models->directory);
    const char *const words[] = {"sh", "-c", script, NULL};
    const struct engine_options options = options_of(place, HANDOVER_AUTO, words);
    assert_int_equal(must_run(place, &options), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(an_engine_reads_its_only_file_under_its_name),
        IN_PLACE(an_engine_reads_directories_of_models),
        IN_PLACE(a_thousand_files_are_handed_over),
        IN_PLACE(an_unmodified_program_reads_the_model),
        IN_PLACE(exit_codes_are_the_engines_own),
        IN_PLACE(a_placeholder_that_is_not_used_is_refused_before_anything_is_done),
        IN_PLACE(a_prepared_engine_may_be_given_up),
        IN_PLACE(a_run_is_on_record),
        IN_PLACE(the_start_is_on_record_before_the_engine_runs),
    };
    engine_tests_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
