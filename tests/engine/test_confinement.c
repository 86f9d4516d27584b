/* What an engine cannot do, or see. Each attack is first made where it works (the control). */
#include "engine_fixture.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "crypto/memory_search.h"

/* ---- the weights cannot be written ----------------------------------------------------------- */

/* In a mount namespace of its own, because one of the attacks unmounts things. */
static _Noreturn void attack_unprotected(const char *out, const char *victim, const char *prey)
{
    if (geteuid() == 0 &&
        (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0))
        _exit(97);
    execl(helper, helper, out, "attack", victim, prey, (char *)NULL);
    _exit(98);
}

static void the_attacks_work_on_an_unprotected_file(void **state)
{
    struct place *place = PLACE(state);
    const char *victim = AT(place->models, "victim");
    put_weights(victim, 8192, 1);
    pid_t prey = fork();
    if (prey == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* where Yama would refuse */
        for (;;)
            pause();
    }
    char number[16];
    snprintf(number, sizeof number, "%d", (int)prey);
    pid_t attacker = fork();
    if (attacker == 0)
        attack_unprotected(place->out, victim, number);
    int status;
    assert_int_equal(waitpid(attacker, &status, 0), attacker);
    kill(prey, SIGKILL);
    waitpid(prey, NULL, 0);
    assert_exited(0, status);
    static const char *const must_work[] = {"write ",      "chmod ",    "punch ", "reopen ",
                                            "map ",        "protect ",  "proc ",  "trace ",
                                            "process_vm ", "truncate ", "unlink "};
    CLEANUP(memory_free) char *worked = said(place);
    for (size_t i = 0; i < ARRAY_LEN(must_work); i++) {
        if (strstr(worked, must_work[i]) == NULL)
            fail_msg("the attack %sdoes not work even without protection", must_work[i]);
    }
    if (strstr(worked, "mount ") == NULL || strstr(worked, "namespace ") == NULL)
        print_message("not all mounting attacks are shown to work here\n");
}

static void no_engine_can_write_the_weights_or_reach_the_guardian(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    FOR_EACH_HANDOVER(handover)
    {
        const char *const words[] = {helper, place->out, "attack", "{model}", NULL};
        const struct engine_options options = options_of(place, handover, words);
        assert_int_equal(must_run(place, &options), 0);
        assert_said(place, "");
        /* After that, another run still finds what was encrypted. */
        const char *const looks[] = {helper, place->out, "check", "{model}", "3", "100001", NULL};
        const struct engine_options again = options_of(place, handover, looks);
        assert_int_equal(must_run(place, &again), 0);
    }
}

/* ---- what it has lost ------------------------------------------------------------------------ */

static uint64_t hex_field(const char *status, const char *name)
{
    const char *at = strstr(status, name);
    assert_non_null(at);
    return strtoull(at + strlen(name), NULL, 16);
}

/* Z-7 */
static void an_engine_has_no_dangerous_right_and_leaves_no_core(void **state)
{
    static const int dropped[] = {CAP_SYS_ADMIN,       CAP_SYS_PTRACE, CAP_SYS_MODULE,
                                  CAP_SYS_RAWIO,       CAP_MKNOD,      CAP_BPF,
                                  CAP_DAC_READ_SEARCH, CAP_PERFMON,    CAP_CHECKPOINT_RESTORE};
    struct place *place = PLACE(state);
    open_small_model(place);
    FOR_EACH_HANDOVER(handover)
    {
        const char *const words[] = {helper, place->out, "status", "{model}", NULL};
        const struct engine_options options = options_of(place, handover, words);
        assert_int_equal(must_run(place, &options), 0);
        CLEANUP(memory_free) char *status = said(place);
        for (size_t i = 0; i < ARRAY_LEN(dropped); i++) {
            static const char *const held[] = {"CapEff:", "CapPrm:", "CapInh:", "CapAmb:"};
            for (size_t j = 0; j < ARRAY_LEN(held); j++)
                assert_false(hex_field(status, held[j]) >> dropped[i] & 1);
            /* A bounding set is only root's to change; without, there are no new privileges. */
            if (geteuid() == 0)
                assert_false(hex_field(status, "CapBnd:") >> dropped[i] & 1);
        }
        assert_non_null(strstr(status, "NoNewPrivs:\t1\n"));
        assert_non_null(strstr(status, "core\t1 1\n"));
        assert_non_null(strstr(status, "filter\t00000000\n"));
        assert_non_null(strstr(status, "Seccomp:\t0\n"));
    }
}

/* An engine has three descriptors, and by memfd one more for each file. */
static void no_descriptor_is_passed_on_by_accident(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    int leak = open("/dev/null", O_RDONLY); /* inheritable */
    assert_true(leak >= 3);
    FOR_EACH_HANDOVER(handover)
    {
        const char *const words[] = {helper, place->out, "status", "{model}", NULL};
        const struct engine_options options = options_of(place, handover, words);
        assert_int_equal(must_run(place, &options), 0);
        CLEANUP(memory_free) char *status = said(place);
        unsigned first;
        unsigned others = 0;
        const char *open_line = strstr(status, "open\t0 1 2 ");
        assert_non_null(open_line);
        for (const char *at = open_line + strlen("open\t0 1 2 "); sscanf(at, "%u ", &first) == 1;
             at = strchr(at, ' ') + 1)
            others++;
        assert_int_equal(others, handover == HANDOVER_MEMFD ? 1 : 0);
    }
    close(leak);
}

/* Signals and process group are as the caller had them. */
static void an_engine_starts_as_the_caller_would_have_started_it(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    FOR_EACH_HANDOVER(handover)
    {
        char group[32];
        const char *const words[] = {helper, place->out, "status", "{model}", NULL};
        const struct engine_options options = options_of(place, handover, words);
        assert_int_equal(must_run(place, &options), 0);
        CLEANUP(memory_free) char *status = said(place);
        snprintf(group, sizeof group, "group\t%d\n", (int)getpgrp());
        assert_non_null(strstr(status, group));
        assert_int_equal(hex_field(status, "SigBlk:"), 0);
        assert_int_equal(hex_field(status, "SigIgn:") & 1u << (SIGPIPE - 1), 0);
    }
}

/* ---- what it does not see -------------------------------------------------------------------- */

static void hidden_paths_are_hidden_from_every_side(void **state)
{
    if (!host_gives(HANDOVER_TMPFS))
        skip();
    struct place *place = PLACE(state);
    open_small_model(place);
    const char *home = AT(place->models, "home");
    const char *root_key = AT(place->models, "root.key");
    assert_int_equal(mkdir(home, 0700), 0);
    put_text(AT(place->models, "home/secret"), "secret");
    put_text(root_key, "key");
    char number[16];
    snprintf(number, sizeof number, "%d", (int)getpid());
    const char *const hidden[] = {home, root_key, "/nonexistent", NULL};
    for (unsigned covered = 0; covered < 2; covered++) {
        const char *const words[] = {helper, place->out, "peek", AT(place->models, "home/secret"),
                                     number, "{model}",  NULL};
        struct engine_options options = options_of(place, HANDOVER_TMPFS, words);
        options.hidden = covered ? hidden : NULL;
        assert_int_equal(chdir(home), 0);
        assert_int_equal(must_run(place, &options), 0);
        assert_int_equal(chdir("/"), 0);
        /* Through /proc it is never seen: the engine has fewer rights than any other process. */
        assert_said(place, covered ? "- - -\n" : "path directory -\n");
    }
    char script[1024];
    snprintf(script, sizeof script, "test ! -s %s && test -e %s # {model}", root_key, root_key);
    const char *const words[] = {"sh", "-c", script, NULL};
    struct engine_options options = options_of(place, HANDOVER_TMPFS, words);
    options.hidden = hidden;
    assert_int_equal(must_run(place, &options), 0);
    assert_true(is_there(AT(place->models, "home/secret"))); /* for us nothing has changed */
}

static void home_and_temporary_files_are_private(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    char before[512];
    snprintf(before, sizeof before, "home\t%s\n", getenv("HOME"));
    setenv("LETHE_SECRET_NAME", "x", 1);
    FOR_EACH_HANDOVER(handover)
    {
        const char *const words[] = {helper, place->out, "status", "{model}", NULL};
        struct engine_options options = options_of(place, handover, words);
        assert_int_equal(must_run(place, &options), 0);
        CLEANUP(memory_free) char *status = said(place);
        const char *home = strstr(status, "home\t/") + strlen("home\t");
        const char *tmp = strstr(status, "tmp\t/") + strlen("tmp\t");
        assert_non_null(strstr(home, "/lethe-"));
        assert_non_null(strstr(tmp, "/lethe-"));
        assert_false(is_there(strtok((char *)(uintptr_t)home, "\n")));

        options.keep_home = true;
        assert_int_equal(must_run(place, &options), 0);
        CLEANUP(memory_free) char *kept = said(place);
        assert_non_null(strstr(kept, before));
    }
    const char *const words[] = {"sh", "-c", "test -z \"$LETHE_SECRET_NAME\" # {model}", NULL};
    const struct engine_options options = options_of(place, HANDOVER_AUTO, words);
    assert_int_equal(must_run(place, &options), 0);
    unsetenv("LETHE_SECRET_NAME");
}

/* ---- the guardian ---------------------------------------------------------------------------- */

#define NEEDLE_BYTES 32u

/* How often the needle stands in the readable memory of a process; only root may look. */
static size_t count_in_process(pid_t pid, const struct needle *needle)
{
    char path[64];
    char line[512];
    size_t found = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    CLEANUP(fd_close) int memory = open(path, O_RDONLY | O_CLOEXEC);
    assert_non_null(maps);
    assert_true(memory >= 0);
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long begin;
        unsigned long end;
        char access[8];
        if (sscanf(line, "%lx-%lx %7s", &begin, &end, access) != 3 || access[0] != 'r' ||
            end - begin > (size_t)64 << 20)
            continue;
        uint8_t *copy = malloc(end - begin);
        ssize_t got = pread(memory, copy, end - begin, (off_t)begin);
        if (got > 0)
            found += count_in(needle, copy, (size_t)got);
        memset(copy, 0, end - begin);
        free(copy);
    }
    fclose(maps);
    return found;
}

/* E-5: what the supervisor holds of secrets, even before it should, the guardian does not. */
static void the_guardian_holds_no_secret(void **state)
{
    if (geteuid() != 0) {
        print_message("only root may look into the guardian\n");
        skip();
    }
    struct place *place = PLACE(state);
    struct lethe_error *err = &place->models->err;
    open_small_model(place);
    uint8_t random[NEEDLE_BYTES];
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    assert_ok(lethe_secret_create(NEEDLE_BYTES, &secret, err), err);
    assert_result(LETHE_OK, random_fill(&random_system, random, sizeof random));
    const struct needle guarded = needle_of(random, sizeof random);
    memcpy(lethe_secret_bytes(secret), random, sizeof random);
    uint8_t *plain = malloc(NEEDLE_BYTES); /* the control */
    assert_result(LETHE_OK, random_fill(&random_system, plain, NEEDLE_BYTES));
    const struct needle open_needle = needle_of(plain, NEEDLE_BYTES);
    lethe_wipe(random, sizeof random);

    const char *const words[] = {"true", "{model}", NULL};
    const struct engine_options options = options_of(place, HANDOVER_AUTO, words);
    CLEANUP(engine_free) struct engine *engine = NULL;
    assert_ok(engine_prepare(&options, &engine, err), err);
    assert_true(count_in_process(engine->guardian, &open_needle) > 0);
    assert_true(count_in_process(getpid(), &guarded) > 0);
    assert_int_equal(count_in_process(engine->guardian, &guarded), 0);
    free(plain);
}

/* Nobody of another uid, and nobody of the same without the right to trace, sees into it. */
static void look_into(void *context)
{
    static const char *const doors[] = {"mem", "environ", "root/", "fd/0", "maps"};
    become_ordinary();
    for (size_t i = 0; i < ARRAY_LEN(doors); i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/%s", *(pid_t *)context, doors[i]);
        int fd = open(path, O_RDONLY);
        char byte;
        if (fd >= 0 && read(fd, &byte, 1) > 0)
            _exit(1);
    }
}

static void nobody_else_sees_into_the_guardian(void **state)
{
    struct place *place = PLACE(state);
    open_small_model(place);
    FOR_EACH_HANDOVER(handover)
    {
        const char *const words[] = {"true", "{model}", NULL};
        const struct engine_options options = options_of(place, handover, words);
        CLEANUP(engine_free) struct engine *engine = NULL;
        assert_ok(engine_prepare(&options, &engine, &place->models->err), &place->models->err);
        assert_exited(0, child_status(look_into, &engine->guardian));
    }
    pid_t prey = fork(); /* the control: an unprotected process of an ordinary user */
    if (prey == 0) {
        become_ordinary();
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    usleep(50000);
    assert_exited(1, child_status(look_into, &prey));
    kill(prey, SIGKILL);
    waitpid(prey, NULL, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(the_attacks_work_on_an_unprotected_file),
        IN_PLACE(no_engine_can_write_the_weights_or_reach_the_guardian),
        IN_PLACE(an_engine_has_no_dangerous_right_and_leaves_no_core),
        IN_PLACE(no_descriptor_is_passed_on_by_accident),
        IN_PLACE(an_engine_starts_as_the_caller_would_have_started_it),
        IN_PLACE(hidden_paths_are_hidden_from_every_side),
        IN_PLACE(home_and_temporary_files_are_private),
        IN_PLACE(the_guardian_holds_no_secret),
        IN_PLACE(nobody_else_sees_into_the_guardian),
    };
    engine_tests_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
