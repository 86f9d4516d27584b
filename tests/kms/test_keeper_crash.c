/* Store and log after a crash anywhere: a key that is there is on record, once, and nothing is
 * promised that is lost. */
#include "home.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "crypto/crypto.h"

#include "../store/faults.h"

static struct lethe_error err;
static const char *const names[] = {"default.a.hot", "default.b.hot"};

/* ---- killed ---------------------------------------------------------------------------------- */

static lethe_result work(const struct home *home, int confirm_fd)
{
    struct keeper *keeper;
    TRY(keeper_open(&home->options, &keeper, &err));
    lethe_result result = LETHE_OK;
    for (size_t i = 0; i < ARRAY_LEN(names) && result == LETHE_OK; i++) {
        CLEANUP(buffer_clear) struct buffer wrapped = {0};
        result = wrap_one(keeper, names[i], &wrapped, &err);
        if (result == LETHE_OK && confirm_fd >= 0)
            assert_int_equal(1, syscall(SYS_write, confirm_fd, "!", 1));
    }
    lethe_result closed = keeper_close(keeper, &err);
    return result != LETHE_OK ? result : closed;
}

typedef lethe_result work_function(const struct home *home, int confirm_fd);

/* In a child. */
static int work_until_killed(work_function *work_some, char **arguments)
{
    struct home home;
    long step = atol(arguments[1]);
    home_init(&home, arguments[0]);
    faults_arm(FAULT_KILL, step);
    lethe_result result = work_some(&home, atoi(arguments[2]));
    return result == LETHE_OK && faults_disarm() < step ? 0 : 1;
}

/* `what` is the child's: "work" or "live". */
static size_t kill_at(const struct home *home, const char *what, long step, bool *finished)
{
    int confirm[2];
    char directory[128];
    char step_text[24];
    char fd_text[24];
    assert_int_equal(0, pipe(confirm));
    snprintf(directory, sizeof directory, "%s", home->store);
    *strrchr(directory, '/') = '\0';
    snprintf(step_text, sizeof step_text, "%ld", step);
    snprintf(fd_text, sizeof fd_text, "%d", confirm[1]);
    int child = spawn_self((const char *const[]){what, directory, step_text, fd_text, NULL});
    close(confirm[1]);
    int status = wait_for(child);
    *finished = WIFEXITED(status);
    assert_true(*finished ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
    char marks[16];
    ssize_t confirmed = read(confirm[0], marks, sizeof marks);
    close(confirm[0]);
    assert_true(confirmed >= 0);
    return (size_t)confirmed;
}

static lethe_result count_key(void *context, const struct key_info *info, struct lethe_error *error)
{
    ++*(size_t *)context;
    return LETHE_OK;
}

struct tally {
    size_t owed;  /* keys whose record was only written by the next opening; not counted: those in
                   * a group without its checkpoint, which the opening cuts and writes again   */
    size_t there; /* keys that were there without having been confirmed     */
};

/* Opens after a crash, and checks that store and log agree. */
static void assert_agree(const struct home *home, size_t confirmed, struct tally *tally)
{
    size_t before = count_records(home, "key_created", NULL);
    size_t keys = 0;
    struct keeper *keeper = must_open_home(home);
    assert_ok(keeper_list(keeper, count_key, &keys, &err), &err);
    must_close_home(keeper);
    keys--; /* the log's own */
    assert_int_equal(keys, count_records(home, "key_created", NULL));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(i < keys, count_records(home, "key_created", names[i]));
    assert_true(confirmed <= keys);
    assert_true(count_records(home, "key_used", NULL) >= confirmed);
    assert_log_verifies(home);
    tally->owed += keys - MIN(before, keys);
    tally->there += keys - confirmed;
}

static void killed_at_every_step(void **state)
{
    const struct home *home = *state;
    struct tally tally = {0};
    bool finished = false;
    long step = 1, stride = (long)table_stride(3);
    must_make_home(home);
    save_home(home);
    for (; !finished; step += stride) {
        put_back(home, PART_ALL);
        size_t confirmed = kill_at(home, "work", step, &finished);
        assert_agree(home, confirmed, &tally);
        if (step % 4 == 0)
            assert_ok(work(home, -1), &err); /* and life goes on */
    }
    print_message("killed at steps up to %ld; the next opening wrote %zu records that were owed\n",
                  step - 2, tally.owed);
    assert_true(step > 60);
    assert_int_not_equal(0, tally.owed); /* or the test never hit the gap that it is about */
    assert_int_not_equal(0, tally.there);
}

/* ---- the life of a key ----------------------------------------------------------------------- */

static lethe_result rotate_first(struct keeper *keeper)
{
    struct key_info info;
    return keeper_rotate_key(keeper, names[0], &info, &err);
}

static lethe_result revoke_first(struct keeper *keeper)
{
    struct key_info info;
    return keeper_revoke_key(keeper, names[0], "a test", &info, &err);
}

static lethe_result destroy_second(struct keeper *keeper)
{
    struct key_outcome outcome;
    return keeper_destroy_key(keeper, names[1], &outcome, &err);
}

static lethe_result live(const struct home *home, int confirm_fd)
{
    static lethe_result (*const changes[])(struct keeper *) = {rotate_first, revoke_first,
                                                               destroy_second};
    struct keeper *keeper;
    TRY(keeper_open(&home->options, &keeper, &err));
    lethe_result result = LETHE_OK;
    for (size_t i = 0; i < ARRAY_LEN(changes) && result == LETHE_OK; i++) {
        result = changes[i](keeper);
        if (result == LETHE_OK && confirm_fd >= 0)
            assert_int_equal(1, syscall(SYS_write, confirm_fd, "!", 1));
    }
    lethe_result closed = keeper_close(keeper, &err);
    return result != LETHE_OK ? result : closed;
}

struct life {
    size_t changes; /* that the store shows */
    size_t rotated;
    size_t revoked;
    size_t destroyed;
};

static lethe_result look_at_key(void *context, const struct key_info *info,
                                struct lethe_error *error)
{
    struct life *life = context;
    life->rotated += !info->destroyed && info->newest_version == 2;
    life->revoked += !info->destroyed && info->revoked_through > 0;
    life->destroyed += info->destroyed;
    return LETHE_OK;
}

/* K-9: what was confirmed has happened, and whatever happened is on record, once. */
static size_t assert_lived(const struct home *home, size_t confirmed)
{
    struct life life = {0};
    struct keeper *keeper = must_open_home(home);
    assert_ok(keeper_list(keeper, look_at_key, &life, &err), &err);
    must_close_home(keeper);
    assert_int_equal(life.rotated, count_records(home, "key_rotated", NULL));
    assert_int_equal(life.revoked, count_records(home, "key_revoked", NULL));
    assert_int_equal(life.destroyed, count_records(home, "key_destroyed", NULL));
    assert_log_verifies(home);
    size_t happened = life.rotated + life.revoked + life.destroyed;
    assert_true(confirmed <= happened);
    return happened;
}

static void a_change_of_a_key_happens_and_is_on_record_or_neither(void **state)
{
    const struct home *home = *state;
    bool finished = false;
    long step = 1, stride = (long)table_stride(3);
    size_t seen[4] = {0};
    must_make_home(home);
    assert_ok(work(home, -1), &err);
    save_home(home);
    for (; !finished; step += stride) {
        put_back(home, PART_ALL);
        size_t confirmed = kill_at(home, "live", step, &finished);
        seen[assert_lived(home, confirmed)]++;
    }
    print_message("killed at steps up to %ld of rotate, revoke and destroy\n", step - 2);
    for (size_t i = 0; i < ARRAY_LEN(seen); i++)
        assert_int_not_equal(0, seen[i]);
}

/* ---- failed by the disk ---------------------------------------------------------------------- */

static void fail_at_every_step(const struct home *home, enum fault fault)
{
    bool reached = true;
    long step = 1, stride = (long)table_stride(3);
    must_make_home(home);
    save_home(home);
    for (; reached; step += stride) {
        put_back(home, PART_ALL);
        faults_arm(fault, step);
        lethe_result result = work(home, -1);
        reached = faults_disarm() >= step;
        if (result != LETHE_OK && result != LETHE_IO && result != LETHE_NO_SPACE)
            fail_msg("step %ld: %s: %s", step, lethe_result_name(result), err.text);
        struct tally tally = {0};
        assert_agree(home, 0, &tally);
        if (step % 4 == 0)
            assert_ok(work(home, -1), &err);
    }
    assert_true(step > 20);
}

static void out_of_space_at_every_step(void **state)
{
    fail_at_every_step(*state, FAULT_FULL);
}

static void failed_at_every_step(void **state)
{
    fail_at_every_step(*state, FAULT_BAD);
}

/* The change is durable, its record could not be written: nothing else goes on record before it. */
static void an_owed_record_comes_first(void **state)
{
    const struct home *home = *state;
    must_make_home(home);
    struct keeper *keeper = must_open_home(home);
    const struct key_source *keys = keeper_key_source(keeper);
    bool owed = false;
    for (long step = 1; step < 40; step++) {
        char name[64];
        snprintf(name, sizeof name, "default.k%ld.hot", step);
        faults_arm(FAULT_FULL, step);
        lethe_result result = keys->ensure(keys->context, name, &err);
        faults_disarm();
        CLEANUP(buffer_clear) struct buffer wrapped = {0};
        size_t records = count_records(home, "key_created", name);
        assert_ok(wrap_one(keeper, name, &wrapped, &err), &err);
        assert_int_equal(1, count_records(home, "key_created", name));
        owed |= result != LETHE_OK && records == 0;
    }
    assert_true(owed);
    must_close_home(keeper);
    assert_log_verifies(home);
}

/* A home that cannot be made whole is not made. */
static void making_fails_at_every_step(void **state)
{
    const struct home *home = *state;
    const char *const made[] = {home->store, home->audit, home->root_file};
    bool reached = true;
    long step = 1, stride = (long)table_stride(3);
    for (; reached; step += stride) {
        faults_arm(FAULT_FULL, step);
        lethe_result result = keeper_create(&home->options, &home->root, &err);
        reached = faults_disarm() >= step;
        if (result == LETHE_OK) {
            assert_ok(home_result(home, &err), &err);
            remove_home(home);
            continue;
        }
        assert_result(LETHE_NO_SPACE, result);
        for (size_t i = 0; i < ARRAY_LEN(made); i++)
            assert_int_equal(-1, access(made[i], F_OK));
    }
    assert_true(step > 20);
}

/* ---- several processes ----------------------------------------------------------------------- */

#define PROCESSES 3

/* In a child: all make the same keys, and one each. */
static int work_beside_others(const char *directory, const char *own)
{
    struct home home;
    home_init(&home, directory);
    struct keeper *keeper = must_open_home(&home);
    const char *const wanted[] = {names[0], own, names[1]};
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        CLEANUP(buffer_clear) struct buffer wrapped = {0};
        assert_ok(wrap_one(keeper, wanted[i], &wrapped, &err), &err);
        assert_ok(unwrap_one(keeper, wanted[i], wrapped.bytes, &err), &err);
    }
    must_close_home(keeper);
    return 0;
}

static void several_processes_agree(void **state)
{
    static const char *const own[PROCESSES] = {"default.x.hot", "default.y.hot", "default.z.hot"};
    const struct home *home = *state;
    char directory[128];
    int children[PROCESSES];
    must_make_home(home);
    snprintf(directory, sizeof directory, "%s", home->store);
    *strrchr(directory, '/') = '\0';
    for (size_t i = 0; i < PROCESSES; i++)
        children[i] = spawn_self((const char *const[]){"beside", directory, own[i], NULL});
    for (size_t i = 0; i < PROCESSES; i++)
        assert_int_equal(0, wait_for(children[i]));
    for (size_t i = 0; i < PROCESSES; i++)
        assert_int_equal(1, count_records(home, "key_created", own[i]));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(1, count_records(home, "key_created", names[i]));
    assert_int_equal(PROCESSES * 3, count_records(home, "key_used", NULL));
    assert_int_equal(PROCESSES * 3, count_records(home, "key_released", NULL));
    assert_log_verifies(home);
}

int main(int argc, char **argv)
{
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    if (argc == 5 && strcmp(argv[1], "work") == 0)
        return work_until_killed(work, argv + 2);
    if (argc == 5 && strcmp(argv[1], "live") == 0)
        return work_until_killed(live, argv + 2);
    if (argc == 4 && strcmp(argv[1], "beside") == 0)
        return work_beside_others(argv[2], argv[3]);
    const struct CMUnitTest tests[] = {
        ON_HOME(killed_at_every_step),
        ON_HOME(out_of_space_at_every_step),
        ON_HOME(a_change_of_a_key_happens_and_is_on_record_or_neither),
        ON_HOME(failed_at_every_step),
        ON_HOME(an_owed_record_comes_first),
        ON_HOME(making_fails_at_every_step),
        ON_HOME(several_processes_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
