/* Z-7: an engine that crashes, with the weights in its memory and nothing that limits its core. */
#include "engine_fixture.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

/* Why no core file is to be had here, or NULL. */
static const char *obstacle(void)
{
    char pattern[128] = "";
    struct rlimit limit;
    FILE *file = fopen("/proc/sys/kernel/core_pattern", "re");
    if (file == NULL || fgets(pattern, sizeof pattern, file) == NULL)
        pattern[0] = '|';
    if (file != NULL)
        fclose(file);
    getrlimit(RLIMIT_CORE, &limit);
    if (pattern[0] == '|' || pattern[0] == '/')
        return "core files do not go to the working directory (kernel.core_pattern)";
    return limit.rlim_max == RLIM_INFINITY ? NULL : "core files are limited (ulimit -Hc)";
}

/* The core file in that directory, and whether the weights are in it; it is removed. */
static bool take_core(const char *directory, bool *weights)
{
    bool found = false;
    DIR *entries = opendir(directory);
    assert_non_null(entries);
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (strncmp(entry->d_name, "core", 4) != 0)
            continue;
        char path[512];
        size_t size_bytes;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        uint8_t *core = get_file(path, &size_bytes);
        *weights = weights_are_in(core, size_bytes, SMALL_SEED);
        found = true;
        free(core);
        unlink(path);
    }
    closedir(entries);
    return found;
}

static void crash_alone(void *context)
{
    struct place *place = context;
    execl(helper, helper, place->out, "crash", AT(place->models, "plain"), (char *)NULL);
    _exit(98);
}

static void a_crashing_engine_leaves_no_core(void **state)
{
    const char *why = obstacle();
    if (why != NULL) {
        print_message("%s\n", why);
        skip();
    }
    struct place *place = PLACE(state);
    open_small_model(place);
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
    const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    assert_int_equal(setrlimit(RLIMIT_CORE, &unlimited), 0);
    assert_int_equal(chdir(place->models->directory), 0);

    bool weights = false;
    put_weights(AT(place->models, "plain"), SMALL_BYTES, SMALL_SEED);
    assert_killed_by(SIGSEGV, child_status(crash_alone, place));
    assert_true(take_core(place->models->directory, &weights)); /* the control */
    assert_true(weights);
    assert_int_equal(unlink(AT(place->models, "plain")), 0);

    FOR_EACH_HANDOVER(handover)
    {
        const char *const words[] = {helper, place->out, "crash", "{model}", NULL};
        const struct engine_options options = options_of(place, handover, words);
        assert_int_equal(must_run(place, &options), 128 + SIGSEGV);
        assert_false(take_core(place->models->directory, &weights));
    }
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(setrlimit(RLIMIT_CORE, &limit), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(a_crashing_engine_leaves_no_core),
    };
    engine_tests_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
