/* tests/engine/engine_fixture.h -- models, a log, and an engine (helper.c) to run on them.
 *
 * A place has a directory of its own. Keys and log belong to a process: what a forked child needs
 * of them it opens itself, with the same seed (place_enter). The program runs its tests as whoever
 * started it, or, called with "ordinary", as an ordinary user. */
#ifndef TESTS_ENGINE_ENGINE_FIXTURE_H
#define TESTS_ENGINE_ENGINE_FIXTURE_H

#include "model/model_fixture.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "base/json.h"
#include "base/ordinary.h"
#include "check_child.h"
#include "crypto/sign.h"
#include "engine/engine.h"
#include "engine/supervisor.h"
#include "weights.h"

/* ---- the helper engine ----------------------------------------------------------------------- */

static char helper_directory[] = "/tmp/lethe-helper-XXXXXX";
static char helper[64];
static pid_t helper_owner;

static void helper_remove(void)
{
    if (getpid() == helper_owner)
        (void)!file_remove_tree(AT_FDCWD, helper_directory, NULL);
}

/* A copy, because the build directory may be closed to others. */
static void helper_install(int from)
{
    char bytes[65536];
    CHILD_REQUIRE(mkdtemp(helper_directory) != NULL);
    helper_owner = getpid();
    atexit(helper_remove);
    snprintf(helper, sizeof helper, "%s/helper", helper_directory);
    CLEANUP(fd_close) int to = open(helper, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    CHILD_REQUIRE(to >= 0);
    for (ssize_t got; (got = read(from, bytes, sizeof bytes)) > 0;)
        CHILD_REQUIRE(write(to, bytes, (size_t)got) == got);
}

/* First in main(). */
__attribute__((unused)) static void engine_tests_begin(int argc, char **argv)
{
    CLEANUP(fd_close) int from = open(TEST_HELPER, O_RDONLY | O_CLOEXEC);
    CHILD_REQUIRE(from >= 0);
    if (argc > 1 && strcmp(argv[1], "ordinary") == 0)
        become_ordinary();
    unsetenv("XDG_RUNTIME_DIR");
    setenv("PATH", "/usr/bin:/bin", 1); /* the same for everyone who runs the tests */
    helper_install(from);
}

/* ---- a place --------------------------------------------------------------------------------- */

struct place {
    struct fixture *models; /* directory and keys */
    struct sign_pair *log_pair;
    struct audit_log *log;
    struct key_source keys; /* the fixture's, with a hook */
    struct engine_services services;
    void (*at_unwrap)(struct place *place); /* called before a data key is given out */
    void (*at_sign)(struct place *place);   /* called before a record becomes durable */
    lethe_result sign_answer;               /* of the log's signer, when it is not LETHE_OK */
    struct engine_model list[2];
    struct engine *engine; /* the one that runs, for hooks */
    void *of_hook;
    char out[400]; /* where the helper writes */
};

static lethe_result place_unwrap(void *context, const struct key_use *use, const char *wrapped,
                                 struct lethe_secret **data_key, struct lethe_error *err)
{
    struct place *place = context;
    if (place->at_unwrap != NULL)
        place->at_unwrap(place);
    return test_unwrap(place->models->keys, use, wrapped, data_key, err);
}

static lethe_result place_sign(void *context, const void *bytes, size_t size_bytes,
                               uint8_t signature[64], struct lethe_error *err)
{
    struct place *place = context;
    struct signature made;
    if (place->at_sign != NULL)
        place->at_sign(place);
    if (place->sign_answer != LETHE_OK)
        return error_set(err, place->sign_answer, "the log cannot be signed");
    TRY(sign_message(place->log_pair, bytes, size_bytes, &made, err));
    memcpy(signature, made.bytes, 64);
    return LETHE_OK;
}

static void open_log(struct place *place)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *seed = NULL;
    assert_ok(lethe_secret_create(32, &seed, &err), &err);
    memset(lethe_secret_bytes(seed), 7, 32);
    assert_ok(sign_pair_create(SIGNATURE_ED25519, seed, &place->log_pair, &err), &err);
    struct audit_options options = {.directory = AT(place->models, "audit"),
                                    .node = "test",
                                    .signer = {.sign = place_sign, .context = place}};
    uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES];
    size_t raw_bytes;
    sign_public_raw(sign_pair_public(place->log_pair), raw, &raw_bytes);
    assert_int_equal(raw_bytes, 32);
    memcpy(options.signer.key.public_key, raw, 32);
    snprintf(options.signer.key.name, sizeof options.signer.key.name, "lethe/test");
    assert_ok(audit_open(&options, &place->log, &err), &err);
    place->services = (struct engine_services){
        .keys = &place->keys, .log = place->log, .who = {"uid:1000", "acme", ""}};
}

/* First in a forked child: an assertion that fails there ends the child, not the test. */
__attribute__((unused)) static void be_a_child(void)
{
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    alarm(30);
}

/* In a process that needs keys and log. */
static void place_enter(struct place *place)
{
    if (place->models->keys == NULL)
        place->models->keys = test_keys_create(1);
    place->keys = (struct key_source){.unwrap = place_unwrap, .context = place};
    open_log(place);
}

/* Before a fork whose child needs them, and when nobody does any more. */
static void place_leave(struct place *place)
{
    struct lethe_error err = {0};
    for (size_t i = 0; i < ARRAY_LEN(place->list); i++)
        model_close(place->list[i].model);
    if (place->log != NULL)
        assert_ok(audit_close(place->log, &err), &err);
    sign_pair_free(place->log_pair);
    test_keys_free(place->models->keys);
    place->models->keys = NULL;
    memset(place->list, 0, sizeof place->list);
    place->log = NULL;
    place->log_pair = NULL;
}

/* cmocka setup and teardown. */
__attribute__((unused)) static int place_setup(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    assert_int_equal(fixture_setup((void **)&place->models), 0);
    snprintf(place->out, sizeof place->out, "%s", AT(place->models, "out"));
    place_enter(place);
    *state = place;
    return 0;
}

__attribute__((unused)) static int place_teardown(void **state)
{
    struct place *place = *state;
    place_leave(place);
    void *models = place->models;
    int result = fixture_teardown(&models);
    free(place);
    return result;
}

#define PLACE(state) ((struct place *)*(state))
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, place_setup, place_teardown)

/* ---- models ---------------------------------------------------------------------------------- */

__attribute__((unused)) static void put_weights(const char *path, size_t size_bytes, uint64_t seed)
{
    uint8_t *bytes = malloc(size_bytes + 1);
    assert_non_null(bytes);
    weights_fill(bytes, size_bytes, seed);
    put_file(path, bytes, size_bytes);
    free(bytes);
}

/* A file of the model-to-be. */
struct part {
    const char *name; /* relative */
    size_t size_bytes;
    uint64_t seed;
};

/* Encrypts the parts and removes them, so that the weights are nowhere in plain. */
__attribute__((unused)) static const char *make_model(struct place *place, const char *name,
                                                      const struct part *parts, size_t count)
{
    struct fixture *f = place->models;
    const char *sources = AT(f, "sources");
    const char *output = AT(f, name);
    struct encrypt_summary summary;
    struct encrypt_options options = options_for(&sources, output);
    options.model = name;
    for (size_t i = 0; i < count; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", sources, parts[i].name);
        char *slash = strrchr(path, '/');
        *slash = '\0';
        assert_ok(file_make_directories(path, 0700, &f->err), &f->err);
        *slash = '/';
        put_weights(path, parts[i].size_bytes, parts[i].seed);
    }
    assert_ok(model_encrypt(&options, &f->keys->source, &summary, &f->err), &f->err);
    assert_ok(file_remove_tree(AT_FDCWD, sources, &f->err), &f->err);
    return output;
}

#define SMALL_BYTES ((size_t)100001)
#define SMALL_SEED 3u

/* A model of one file, small, opened as {model}. */
__attribute__((unused)) static void open_small_model(struct place *place)
{
    const struct part part = {"weights.bin", SMALL_BYTES, SMALL_SEED};
    const char *path = make_model(place, "small", &part, 1);
    place->list[0] = (struct engine_model){"model", must_open(place->models, path)};
}

/* ---- running --------------------------------------------------------------------------------- */

/* The engine is `words`, NULL-terminated; the model is place->list[0]. */
__attribute__((unused)) static struct engine_options options_of(struct place *place,
                                                                enum handover handover,
                                                                const char *const *words)
{
    return (struct engine_options){.models = place->list,
                                   .model_count = place->list[1].model != NULL ? 2 : 1,
                                   .arguments = (char *const *)(uintptr_t)words,
                                   .handover = handover,
                                   .run_directory = AT(place->models, "run"),
                                   .work = {.threads = 2}};
}

/* A rung that this host cannot give is no failure of ours; the other is always there. */
__attribute__((unused)) static bool host_gives(enum handover handover)
{
    static struct engine_host host;
    static bool probed;
    if (!probed)
        engine_probe(&host);
    probed = true;
    if (handover != HANDOVER_TMPFS || host.handovers[0].holds)
        return true;
    print_message("without the rung tmpfs: this user may not mount here\n");
    return false;
}

#define FOR_EACH_HANDOVER(handover)                                                                \
    for (enum handover handover = HANDOVER_TMPFS; handover <= HANDOVER_MEMFD; handover++)          \
        if (host_gives(handover))

/* Prepares, runs and frees; the result of what failed. */
__attribute__((unused)) static lethe_result run_engine(struct place *place,
                                                       const struct engine_options *options,
                                                       struct engine_exit *out)
{
    struct lethe_error *err = &place->models->err;
    CLEANUP(engine_free) struct engine *engine = NULL;
    *err = (struct lethe_error){0};
    TRY(engine_prepare(options, &engine, err));
    place->engine = engine;
    lethe_result result = engine_run(engine, &place->services, out, err);
    place->engine = NULL;
    return result;
}

/* Runs what must run, and gives its exit code; all of its memory was wiped. */
__attribute__((unused)) static int must_run(struct place *place,
                                            const struct engine_options *options)
{
    struct engine_exit end;
    assert_ok(run_engine(place, options, &end), &place->models->err);
    assert_true(end.wiped);
    return end.exit_code;
}

/* What the helper said; the caller clears it. */
__attribute__((unused)) static char *said(struct place *place)
{
    size_t size_bytes;
    return (char *)get_file(place->out, &size_bytes);
}

#define assert_said(place, text)                                                                   \
    do {                                                                                           \
        CLEANUP(memory_free) char *said_text = said(place);                                        \
        assert_string_equal(said_text, text);                                                      \
    } while (0)

/* The same pages once more, for a look at them after everybody else has let go. */
__attribute__((unused)) static uint8_t *second_mapping(const struct engine *engine, size_t index)
{
    uint8_t *again =
        mremap(engine->files[index].mapping, 0, engine->files[index].size_bytes, MREMAP_MAYMOVE);
    assert_ptr_not_equal(again, MAP_FAILED);
    return again;
}

/* ---- the log --------------------------------------------------------------------------------- */

/* Calls visit for each record. */
__attribute__((unused)) static void visit_records(
    struct place *place, void (*visit)(const json_t *record, void *context), void *context)
{
    struct lethe_error *err = &place->models->err;
    assert_ok(audit_sync(place->log, err), err);
    size_t size_bytes;
    CLEANUP(memory_free)
    char *text = (char *)get_file(AT(place->models, "audit/000001.jsonl"), &size_bytes);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        CLEANUP(json_decref) json_t *record = NULL;
        assert_ok(json_parse(line, (size_t)(end - line), &record, err), err);
        visit(record, context);
    }
}

/* "event event event": what was recorded, in order. */
__attribute__((unused)) static void append_event(const json_t *record, void *context)
{
    buffer_text(context, json_string_value(json_object_get(record, "event")));
    buffer_text(context, " ");
}

#define assert_events(place, expected)                                                             \
    do {                                                                                           \
        CLEANUP(buffer_clear) struct buffer events = {0};                                          \
        buffer_text(&events, "");                                                                  \
        visit_records(place, append_event, &events);                                               \
        assert_string_equal(events.bytes, expected);                                               \
    } while (0)

struct wanted_record {
    const char *event;
    json_t *found; /* the last one */
    unsigned count;
};

__attribute__((unused)) static void keep_record(const json_t *record, void *context)
{
    struct wanted_record *wanted = context;
    if (strcmp(json_string_value(json_object_get(record, "event")), wanted->event) != 0)
        return;
    json_decref(wanted->found);
    wanted->found = json_deep_copy(record);
    wanted->count++;
}

/* The last record of that event, which must exist; the caller decrefs. */
__attribute__((unused)) static json_t *last_record(struct place *place, const char *event)
{
    struct wanted_record wanted = {.event = event};
    visit_records(place, keep_record, &wanted);
    assert_non_null(wanted.found);
    return wanted.found;
}

#define text_of(record, field) json_string_value(json_object_get(record, field))
#define number_of(record, field) json_integer_value(json_object_get(record, field))

/* ---- what is left ---------------------------------------------------------------------------- */

__attribute__((unused)) static bool is_there(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

#endif
