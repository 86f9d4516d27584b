/* K-8: wrapping a model's data keys anew: the old model or the new one, whole, whatever happens,
 * and never a byte of a shard touched. */
#include "model_fixture.h"

#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "faults.h"

extern char **environ;

#define PLAIN "what the model holds"

static void make_model(struct fixture *f)
{
    char source[512];
    char output[512];
    snprintf(source, sizeof source, "%s", AT(f, "in"));
    snprintf(output, sizeof output, "%s", AT(f, "model"));
    assert_ok(file_remove_tree(AT_FDCWD, output, &f->err), &f->err);
    mkdir(source, 0700);
    put_text(AT(f, "in/a.bin"), PLAIN);
    put_text(AT(f, "in/b.bin"), PLAIN);
    const char *sources[] = {source};
    struct encrypt_options options = options_for(sources, output);
    struct encrypt_summary summary;
    options.model = "same";
    f->keys->rotations = 0;
    assert_ok(model_encrypt(&options, &f->keys->source, &summary, &f->err), &f->err);
    f->keys->rotations = 1;
}

static lethe_result rewrap(const struct key_source *keys, const char *directory,
                           struct rewrap_summary *summary, struct lethe_error *err)
{
    char path[128];
    snprintf(path, sizeof path, "%s/model", directory);
    const struct rewrap_options options = {
        .path = path, .clock = &clock_system, .random = &random_system};
    return model_rewrap(&options, keys, summary, err);
}

/* Gives the release; the versions of the keys must fit it. */
static uint64_t must_be_whole(struct fixture *f)
{
    struct model *model = must_open(f, AT(f, "model"));
    const struct manifest *manifest = model_manifest(model);
    uint64_t release = manifest->release;
    char plain[sizeof PLAIN] = {0};
    for (size_t i = 0; i < manifest->count; i++) {
        assert_int_equal(manifest->shards[i].key_version, release);
        assert_ok(model_load_shard(model, i, &f->keys->source, plain, &two_threads, &f->err),
                  &f->err);
        assert_string_equal(plain, PLAIN);
    }
    assert_ok(model_verify_cipher(model, &two_threads, &f->err), &f->err);
    model_close(model);
    return release;
}

static ino_t inode_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_ino;
}

static void shards_stay_the_same_files(void **state)
{
    struct fixture *f = *state;
    struct rewrap_summary summary;
    make_model(f);
    ino_t before = inode_of(AT(f, "model/shards/0000.tink"));
    assert_ok(rewrap(&f->keys->source, f->directory, &summary, &f->err), &f->err);
    assert_true(summary.renewed);
    assert_int_equal(summary.release, 2);
    assert_int_equal(summary.rewrapped, 2);
    assert_int_equal(must_be_whole(f), 2);
    assert_int_equal(inode_of(AT(f, "model/shards/0000.tink")), before);
    assert_int_equal(count_names(f->directory), 2);

    assert_ok(rewrap(&f->keys->source, f->directory, &summary, &f->err), &f->err);
    assert_false(summary.renewed);
    assert_int_equal(summary.release, 2);
}

/* On a file system without hard links they are copied. */
static void without_links_shards_are_copied(void **state)
{
    struct fixture *f = *state;
    struct rewrap_summary summary;
    make_model(f);
    ino_t before = inode_of(AT(f, "model/shards/0000.tink"));
    faults.no_links = true;
    lethe_result result = rewrap(&f->keys->source, f->directory, &summary, &f->err);
    faults.no_links = false;
    assert_ok(result, &f->err);
    assert_int_equal(must_be_whole(f), 2);
    assert_int_not_equal(inode_of(AT(f, "model/shards/0000.tink")), before);
    assert_int_equal(count_names(f->directory), 2);
}

/* A shard that somebody changed is not signed again as it is now: the signature goes on saying what
 * it was. */
static void a_changed_shard_stays_refused(void **state)
{
    struct fixture *f = *state;
    struct rewrap_summary summary;
    make_model(f);
    int fd = open(AT(f, "model/shards/0001.tink"), O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "x", 1, 60), 1);
    close(fd);
    assert_ok(rewrap(&f->keys->source, f->directory, &summary, &f->err), &f->err);
    struct model *model = must_open(f, AT(f, "model"));
    assert_result(LETHE_INTEGRITY, model_verify_cipher(model, &two_threads, &f->err));
    model_close(model);
}

/* What the keys refuse changes nothing. */
static void a_refused_key_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct rewrap_summary summary;
    make_model(f);
    f->keys->answer = LETHE_REVOKED;
    assert_result(LETHE_REVOKED, rewrap(&f->keys->source, f->directory, &summary, &f->err));
    f->keys->answer = LETHE_OK;
    assert_int_equal(must_be_whole(f), 1);
    assert_int_equal(count_names(f->directory), 2);
}

/* Gives how many steps there were. */
static long try_step(struct fixture *f, enum fault fault, long step)
{
    struct rewrap_summary summary;
    make_model(f);
    faults_arm(fault, step);
    lethe_result result = rewrap(&f->keys->source, f->directory, &summary, &f->err);
    long count = faults_disarm();
    uint64_t release = must_be_whole(f);
    if (result == LETHE_OK)
        assert_int_equal(release, 2);
    else
        assert_true(f->err.code == result && f->err.text[0] != '\0');
    assert_ok(rewrap(&f->keys->source, f->directory, &summary, &f->err), &f->err);
    assert_int_equal(must_be_whole(f), 2);
    assert_int_equal(count_names(f->directory), 2);
    return count;
}

static void sweep(void **state)
{
    static const enum fault kinds[] = {FAULT_ONCE, FAULT_FULL, FAULT_BROKEN};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        long step = 1;
        while (try_step(*state, kinds[i], step) >= step)
            step++;
        assert_true(step > 12);
        printf("%ld steps failed\n", step - 1);
    }
}

static void every_step_may_fail(void **state)
{
    sweep(state);
    faults.no_links = true;
    sweep(state);
    faults.no_links = false;
}

static int die_while_rewrapping(const char *directory, long step)
{
    struct lethe_error err = {0};
    struct rewrap_summary summary;
    struct test_keys *keys = test_keys_create(1);
    keys->rotations = 1;
    faults_arm(FAULT_KILL, step);
    lethe_result result = rewrap(&keys->source, directory, &summary, &err);
    faults_disarm();
    test_keys_free(keys);
    return result == LETHE_OK ? 0 : 1;
}

static int rewrap_and_die(const struct fixture *f, long step)
{
    char number[24];
    snprintf(number, sizeof number, "%ld", step);
    char *arguments[] = {(char *)"test_rewrap", (char *)"die", (char *)f->directory, number, NULL};
    pid_t child;
    int status;
    assert_int_equal(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void killed_at_every_step(void **state)
{
    struct fixture *f = *state;
    unsigned seen[3] = {0};
    long step = 1;
    for (;; step++) {
        struct rewrap_summary summary;
        make_model(f);
        int status = rewrap_and_die(f, step);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            break;
        }
        assert_int_equal(WTERMSIG(status), SIGKILL);
        seen[must_be_whole(f)]++;
        assert_ok(rewrap(&f->keys->source, f->directory, &summary, &f->err), &f->err);
        assert_int_equal(must_be_whole(f), 2);
        assert_int_equal(count_names(f->directory), 2);
    }
    printf("killed at %ld steps\n", step - 1);
    assert_true(seen[1] > 0 && seen[2] > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "die") == 0)
        return die_while_rewrapping(argv[2], atol(argv[3]));
    const struct CMUnitTest tests[] = {
        TEST(shards_stay_the_same_files),    TEST(without_links_shards_are_copied),
        TEST(a_changed_shard_stays_refused), TEST(a_refused_key_changes_nothing),
        TEST(every_step_may_fail),           TEST(killed_at_every_step),
    };
    return cmocka_run_group_tests_name("rewrap", tests, NULL, NULL);
}
