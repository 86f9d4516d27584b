/* The disk fails, is full, or the process is killed, at every single step: what was there is still
 * there, whole, and what was begun is gone, or goes with the next run. */
#include "model_fixture.h"

#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "faults.h"
#include "model/sibling.h"

extern char **environ;

#define OLD "what the old model holds"
#define NEW "what the new model would hold, if it could be made"

static lethe_result encrypt_new(const struct key_source *keys, const char *directory,
                                unsigned threads, struct lethe_error *err)
{
    char source[128];
    char output[128];
    snprintf(source, sizeof source, "%s/in", directory);
    snprintf(output, sizeof output, "%s/model", directory);
    const char *sources[] = {source};
    struct encrypt_options options = options_for(sources, output);
    options.force = true;
    options.model = "same";
    options.threads = threads;
    struct encrypt_summary summary;
    return model_encrypt(&options, keys, &summary, err);
}

static void put_sources(struct fixture *f, const char *text)
{
    mkdir(AT(f, "in"), 0700);
    put_text(AT(f, "in/a.bin"), text);
    put_text(AT(f, "in/b.bin"), text);
}

static void make_old(struct fixture *f)
{
    put_sources(f, OLD);
    assert_ok(encrypt_new(&f->keys->source, f->directory, 1, &f->err), &f->err);
    put_sources(f, NEW);
}

/* The release says which one it is; all of it opens, whichever it is. */
static uint64_t must_be_whole(struct fixture *f, const char *old_text)
{
    struct model *model = must_open(f, AT(f, "model"));
    uint64_t release = model_manifest(model)->release;
    const char *text = release == 1 ? old_text : NEW;
    char plain[128] = {0};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(model_manifest(model)->shards[i].size, strlen(text));
        assert_ok(model_load_shard(model, i, &f->keys->source, plain, &two_threads, &f->err),
                  &f->err);
        assert_memory_equal(plain, text, strlen(text));
    }
    assert_ok(model_verify_cipher(model, &two_threads, &f->err), &f->err);
    model_close(model);
    return release;
}

/* Gives how many steps there were. */
static long try_step(struct fixture *f, enum fault fault, long step)
{
    file_remove_tree(AT_FDCWD, AT(f, "model"), NULL) == LETHE_OK ? (void)0 : fail();
    make_old(f);
    f->err = (struct lethe_error){0};
    faults_arm(fault, step);
    lethe_result result = encrypt_new(&f->keys->source, f->directory, 1, &f->err);
    long count = faults_disarm();
    if (count < step) {
        assert_int_equal(result, LETHE_OK);
        return count;
    }
    uint64_t release = must_be_whole(f, OLD);
    if (result == LETHE_OK)
        assert_int_equal(release, 2);
    else if (fault != FAULT_BROKEN) /* which may refuse the way back, after the last sync */
        assert_int_equal(release, 1);
    if (result != LETHE_OK)
        assert_true(f->err.code == result && f->err.text[0] != '\0');
    if (fault == FAULT_FULL) { /* what needs no space works, so nothing is left */
        assert_int_equal(result, LETHE_NO_SPACE);
        assert_int_equal(count_names(f->directory), 2);
    }
    assert_ok(encrypt_new(&f->keys->source, f->directory, 1, &f->err), &f->err);
    assert_int_equal(count_names(f->directory), 2);
    return count;
}

static void sweep(struct fixture *f, enum fault fault)
{
    long step = 1;
    while (try_step(f, fault, step) >= step)
        step++;
    assert_true(step > 25); /* directories, shards, manifest, signature, syncs, the exchange */
}

static void one_failed_step(void **state)
{
    sweep(*state, FAULT_ONCE);
}

static void a_broken_disk(void **state)
{
    sweep(*state, FAULT_BROKEN);
}

/* The last steps need no space any more: a full disk is only met before. */
static void a_full_disk(void **state)
{
    struct fixture *f = *state;
    make_old(f);
    faults_arm(FAULT_NONE, 0);
    assert_ok(encrypt_new(&f->keys->source, f->directory, 1, &f->err), &f->err);
    long steps = faults_disarm();
    long removals = 8; /* of the old model's files and directories, two of them tried as files */
    for (long step = 1; step <= steps - removals; step++)
        assert_true(try_step(f, FAULT_FULL, step) >= step);
}

/* ---- killed ---------------------------------------------------------------------------------- */

/* This program again, as a process that encrypts and dies at a step (see main). */
static int encrypt_and_die(const struct fixture *f, long step)
{
    char number[24];
    snprintf(number, sizeof number, "%ld", step);
    char *arguments[] = {(char *)"test_faults", (char *)"die", (char *)f->directory, number, NULL};
    pid_t child;
    int status;
    assert_int_equal(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int die_while_encrypting(const char *directory, long step)
{
    struct lethe_error err = {0};
    struct test_keys *keys = test_keys_create(1);
    faults_arm(FAULT_KILL, step);
    lethe_result result = encrypt_new(&keys->source, directory, 1, &err);
    faults_disarm();
    test_keys_free(keys);
    return result == LETHE_OK ? 0 : 1;
}

static void killed_at_every_step(void **state)
{
    struct fixture *f = *state;
    bool before = false;
    bool behind = false;
    long step = 1;
    for (;; step++) {
        assert_ok(file_remove_tree(AT_FDCWD, AT(f, "model"), &f->err), &f->err);
        make_old(f);
        int status = encrypt_and_die(f, step);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            break;
        }
        assert_int_equal(WTERMSIG(status), SIGKILL);
        uint64_t release = must_be_whole(f, OLD);
        before |= release == 1;
        behind |= release == 2;
        assert_ok(encrypt_new(&f->keys->source, f->directory, 1, &f->err), &f->err);
        assert_int_equal(count_names(f->directory), 2);
    }
    assert_true(before && behind && step > 25);
}

/* ---- other ways to fail ---------------------------------------------------------------------- */

/* The kernel's own refusal to write on, in place of ours. */
static void a_file_that_may_not_grow(void **state)
{
    struct fixture *f = *state;
    make_old(f);
    put_pattern(AT(f, "in/c.bin"), (size_t)3 << 20, 5);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    const struct rlimit small = {.rlim_cur = 2 << 20, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    lethe_result result = encrypt_new(&f->keys->source, f->directory, 2, &f->err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_result(LETHE_NO_SPACE, result);
    assert_int_equal(must_be_whole(f, OLD), 1);
    assert_int_equal(count_names(f->directory), 2);
}

static void too_little_space_is_seen_before_the_work(void **state)
{
    struct fixture *f = *state;
    int fd = open(AT(f, "huge.bin"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    if (ftruncate(fd, (off_t)1 << 42) != 0) {
        close(fd);
        print_message("no sparse file of 4 TiB on this file system\n");
        skip();
    }
    close(fd);
    const char *source = AT(f, "huge.bin");
    const struct encrypt_options options = options_for(&source, AT(f, "model"));
    struct encrypt_summary summary;
    assert_result(LETHE_NO_SPACE, model_encrypt(&options, &f->keys->source, &summary, &f->err));
    assert_non_null(strstr(f->err.text, "4.00 TiB"));
    assert_int_equal(f->keys->wrapped, 0);
    assert_int_equal(count_names(f->directory), 1);
}

static void a_failed_decrypt_step_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    make_old(f);
    struct model *model = must_open(f, AT(f, "model"));
    for (long step = 1;; step++) {
        faults_arm(FAULT_FULL, step);
        lethe_result result =
            model_decrypt(model, &f->keys->source, AT(f, "out"), &two_threads, &f->err);
        long count = faults_disarm();
        if (count < step) {
            assert_result(LETHE_OK, result);
            assert_true(step > 6);
            break;
        }
        if (result == LETHE_OK) { /* the rename needs no space */
            assert_ok(file_remove_tree(AT_FDCWD, AT(f, "out"), &f->err), &f->err);
            continue;
        }
        assert_result(LETHE_NO_SPACE, result);
        assert_int_equal(count_names(f->directory), 2);
    }
    model_close(model);
}

/* ---- two at once ----------------------------------------------------------------------------- */

static void the_dead_are_removed_and_the_living_are_not(void **state)
{
    struct fixture *f = *state;
    put_sources(f, NEW);
    static const char *const dead[] = {".model.lethe-0123456789abcdef",
                                       ".model.lethe-ffffffffffffffff"};
    static const char *const others[] = {".model.lethe-0123456789ABCDEF", ".model.lethe-",
                                         ".model2.lethe-0123456789abcdef",
                                         ".model.lethe-0123456789abcdef0"};
    for (size_t i = 0; i < ARRAY_LEN(dead); i++) {
        assert_int_equal(mkdir(AT(f, dead[i]), 0700), 0);
        char inside[80];
        snprintf(inside, sizeof inside, "%s/shards", dead[i]);
        assert_int_equal(mkdir(AT(f, inside), 0700), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(mkdir(AT(f, others[i]), 0700), 0);
    CLEANUP(sibling_discard) struct sibling living = SIBLING_NONE;
    assert_ok(sibling_prepare(AT(f, "model"), true, &living, &f->err), &f->err);
    assert_ok(sibling_create(&living, 0700, &random_system, &f->err), &f->err);

    assert_ok(encrypt_new(&f->keys->source, f->directory, 1, &f->err), &f->err);
    for (size_t i = 0; i < ARRAY_LEN(dead); i++)
        assert_int_not_equal(access(AT(f, dead[i]), F_OK), 0);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(access(AT(f, others[i]), F_OK), 0);
    assert_int_equal(access(AT(f, living.temporary), F_OK), 0);

    assert_result(LETHE_CONFLICT, sibling_publish(&living, &f->err)); /* it came too late */
    must_be_whole(f, NEW);
}

static void two_who_replace_do_not_undo_each_other(void **state)
{
    struct fixture *f = *state;
    make_old(f);
    CLEANUP(sibling_discard) struct sibling first = SIBLING_NONE;
    assert_ok(sibling_prepare(AT(f, "model"), true, &first, &f->err), &f->err);
    assert_result(LETHE_BUSY, encrypt_new(&f->keys->source, f->directory, 1, &f->err));
    sibling_discard(&first);
    assert_ok(encrypt_new(&f->keys->source, f->directory, 1, &f->err), &f->err);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "die") == 0)
        return die_while_encrypting(argv[2], atol(argv[3]));
    const struct CMUnitTest tests[] = {
        TEST(one_failed_step),
        TEST(a_broken_disk),
        TEST(a_full_disk),
        TEST(killed_at_every_step),
        TEST(a_file_that_may_not_grow),
        TEST(too_little_space_is_seen_before_the_work),
        TEST(a_failed_decrypt_step_leaves_nothing),
        TEST(the_dead_are_removed_and_the_living_are_not),
        TEST(two_who_replace_do_not_undo_each_other),
    };
    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
