/* Z-6, Z-8, Z-9: what is left of the weights, and of what the engine wrote, when a run has ended.
 */
#include "engine_fixture.h"

#include <dirent.h>
#include <ftw.h>

/* ---- the weights ----------------------------------------------------------------------------- */

struct witness {
    uint8_t *mapping;  /* the file's own pages, once more */
    bool held_weights; /* at some time */
};

static void look_at_weights(struct place *place)
{
    struct witness *witness = place->of_hook;
    if (weights_equal(witness->mapping, SMALL_BYTES, SMALL_SEED))
        witness->held_weights = true;
}

/* The witness sees the weights before (the control), and zeros afterwards. */
static void run_before_witness(struct place *place, enum handover handover,
                               const char *const *words, lethe_result expected)
{
    struct lethe_error *err = &place->models->err;
    struct engine_options options = options_of(place, handover, words);
    struct engine_exit end;
    struct witness witness = {0};
    CLEANUP(engine_free) struct engine *engine = NULL;
    assert_ok(engine_prepare(&options, &engine, err), err);
    witness.mapping = second_mapping(engine, 0);
    assert_true(lethe_is_zero(witness.mapping, SMALL_BYTES));
    place->of_hook = &witness;
    place->at_sign = look_at_weights;
    assert_result(expected, engine_run(engine, &place->services, &end, err));
    place->at_sign = NULL;
    assert_true(end.wiped);
    assert_int_equal(end.wiped_bytes, SMALL_BYTES);
    assert_true(witness.held_weights);
    assert_true(lethe_is_zero(witness.mapping, SMALL_BYTES));
    munmap(witness.mapping, SMALL_BYTES);
}

static void weights_are_zero_before_they_are_freed(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    FOR_EACH_HANDOVER(handover)
    {
        const char *const well[] = {"sh", "-c", "cat {model} >/dev/null", NULL};
        const char *const crash[] = {"sh", "-c", "kill -SEGV $$ # {model}", NULL};
        const char *const missing[] = {"/nonexistent", "{model}", NULL};
        run_before_witness(place, handover, well, LETHE_OK);
        run_before_witness(place, handover, crash, LETHE_OK);
        run_before_witness(place, handover, missing, LETHE_OK);
    }
}

/* What was loaded before a failure is wiped, and on record; nothing else is. */
static void weights_are_wiped_when_the_engine_never_starts(void **state)
{
    struct place *place = PLACE(state);
    struct lethe_error *err = &place->models->err;
    open_small_model(place);
    const struct part broken[] = {{"good", 70000, 5}, {"wrong", 70000, 6}};
    const char *path = make_model(place, "broken", broken, ARRAY_LEN(broken));
    struct model *model = must_open(place->models, path);
    place->list[1] = (struct engine_model){"other", model};
    size_t size_bytes;
    const char *shard = AT(place->models, "broken/shards/0001.tink");
    uint8_t *cipher = get_file(shard, &size_bytes);
    cipher[size_bytes - 1] ^= 1;
    int fd = open(shard, O_WRONLY);
    assert_int_equal(pwrite(fd, cipher + size_bytes - 1, 1, (off_t)size_bytes - 1), 1);
    close(fd);
    free(cipher);
    FOR_EACH_HANDOVER(handover)
    {
        const char *const words[] = {"touch", AT(place->models, "ran"), "{model}", "{other}", NULL};
        const struct engine_options options = options_of(place, handover, words);
        CLEANUP(engine_free) struct engine *engine = NULL;
        struct engine_exit end;
        assert_ok(engine_prepare(&options, &engine, err), err);
        uint8_t *witness = second_mapping(engine, 0);
        assert_result(LETHE_INTEGRITY, engine_run(engine, &place->services, &end, err));
        assert_true(end.wiped);
        assert_int_equal(end.wiped_bytes, SMALL_BYTES + 140000);
        assert_true(lethe_is_zero(witness, SMALL_BYTES));
        munmap(witness, SMALL_BYTES);
        assert_false(is_there(AT(place->models, "ran")));
    }
    CLEANUP(json_decref) json_t *wiped = last_record(place, "region_wiped");
    assert_true(json_is_true(json_object_get(wiped, "verified")));
    struct wanted_record started = {.event = "engine_started"};
    visit_records(place, keep_record, &started);
    assert_null(started.found);
}

/* ---- a child process keeps them -------------------------------------------------------------- */

static void what_an_engine_leaves_running_dies_before_the_wipe(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    FOR_EACH_HANDOVER(handover)
    {
        const char *const words[] = {helper, place->out, "linger", "{model}", NULL};
        const struct engine_options options = options_of(place, handover, words);
        assert_int_equal(must_run(place, &options), 3);
        CLEANUP(memory_free) char *pid = said(place);
        assert_true(atoi(pid) > 1);
        assert_int_equal(kill(atoi(pid), 0), -1);
        assert_int_equal(errno, ESRCH);
    }
}

/* ---- HOME and TMPDIR ------------------------------------------------------------------------- */

static uint64_t found_in_directory;

static int search_file(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    if (kind != FTW_F || status->st_size == 0)
        return 0;
    size_t size_bytes;
    uint8_t *content = get_file(path, &size_bytes);
    found_in_directory += weights_are_in(content, size_bytes, SMALL_SEED);
    free(content);
    return 0;
}

static uint64_t files_with_weights(const char *directory)
{
    found_in_directory = 0;
    assert_int_equal(nftw(directory, search_file, 16, FTW_PHYS), 0);
    return found_in_directory;
}

/* Locked, nested, linked, and a hole of a terabyte. Six copies and 100 bytes of it. */
static void what_the_engine_wrote_is_wiped_too(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    FOR_EACH_HANDOVER(handover)
    {
        const char *const words[] = {helper, place->out, "litter", "{model}", NULL};
        const struct engine_options options = options_of(place, handover, words);
        CLEANUP(engine_free) struct engine *engine = NULL;
        struct engine_exit end;
        struct lethe_error *err = &place->models->err;
        assert_ok(engine_prepare(&options, &engine, err), err);
        char directory[256];
        memcpy(directory, engine->ready.path, sizeof directory);
        assert_ok(engine_run(engine, &place->services, &end, err), err);
        assert_int_equal(end.exit_code, 0);
        assert_said(place, "littered\n");
        assert_true(end.wiped);
        assert_true(end.wiped_bytes >= 5 * SMALL_BYTES);
        assert_false(is_there(directory));
        CLEANUP(json_decref) json_t *wiped = last_record(place, "region_wiped");
        assert_string_equal(text_of(wiped, "class"), "content");
        assert_true((size_t)number_of(wiped, "bytes") >= 4 * SMALL_BYTES);
    }
    put_weights(AT(place->models, "control"), SMALL_BYTES, SMALL_SEED);
    assert_int_equal(files_with_weights(place->models->directory), 1);
    assert_int_equal(unlink(AT(place->models, "control")), 0);
    assert_int_equal(files_with_weights(place->models->directory), 0);
}

/* Deeper than the wiper goes: said, not hidden. */
static void what_cannot_be_wiped_is_an_error(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    FOR_EACH_HANDOVER(handover)
    {
        const char *const words[] = {
            "sh", "-c",
            "cd $HOME; i=0; while [ $i -lt 300 ]; do mkdir d; cd d; i=$((i+1)); done; echo x >y; "
            "exit 4 # {model}",
            NULL};
        const struct engine_options options = options_of(place, handover, words);
        struct engine_exit end;
        assert_result(LETHE_UNWIPED, run_engine(place, &options, &end));
        assert_int_equal(end.exit_code, 4);
        assert_false(end.wiped);
        CLEANUP(json_decref) json_t *exited = last_record(place, "engine_exited");
        assert_string_equal(text_of(exited, "wiped"), "unwiped");
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(weights_are_zero_before_they_are_freed),
        IN_PLACE(weights_are_wiped_when_the_engine_never_starts),
        IN_PLACE(what_an_engine_leaves_running_dies_before_the_wipe),
        IN_PLACE(what_the_engine_wrote_is_wiped_too),
        IN_PLACE(what_cannot_be_wiped_is_an_error),
    };
    engine_tests_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
