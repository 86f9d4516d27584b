/* The keeper dies at any write, truncation, sync or rename of a call that changes something: what
 * was answered has happened, and whatever happened is on record, once (K-9). LETHE_TEST_LONG: at
 * each of them, else at a few. */
#include "changes.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/crypto.h"

#include "../store/faults.h"

#define QUICK_PLACES 2

/* What the child says when it has an answer; nothing when it was killed before. */
struct told {
    long steps;
    unsigned status;
    char token[128];  /* that was given, or "" */
    char serial[128]; /* of the certificate that was issued, or "" */
};

static void keep(struct check *check, const char *member, char out[128])
{
    const char *value = body_member(check, member);
    assert_true(strlen(value) < 128);
    strcpy(out, value);
}

/* In a child. */
static int call_until_killed(char **arguments)
{
    struct home home;
    home_init(&home, arguments[0]);
    const struct change *change = &changes[atoi(arguments[1])];
    long step = atol(arguments[2]);
    struct check *check = changes_open_for(&home, change);
    faults_arm(step == 0 ? FAULT_NONE : FAULT_KILL, step);
    struct told told = {.status = changes_call(check, change)};
    told.steps = faults_disarm();
    if (told.status == 200) {
        keep(check, change == &changes[change_count] ? "root_token" : "client_token", told.token);
        keep(check, "serial_number", told.serial);
    }
    if (told.status / 100 != 2)
        print_message("%s: %u %s\n", change->path, told.status, body_text(check));
    ssize_t said = syscall(SYS_write, atoi(arguments[3]), &told, sizeof told);
    check_free(check);
    return said == sizeof told ? 0 : 1;
}

/* Step 0: nothing is killed. */
static struct told kill_at(const struct home *home, size_t which, long step)
{
    int ends[2];
    char directory[128];
    char numbers[3][24];
    struct told told = {0};
    assert_int_equal(0, pipe(ends));
    snprintf(directory, sizeof directory, "%s", home->store);
    *strrchr(directory, '/') = '\0';
    snprintf(numbers[0], sizeof numbers[0], "%zu", which);
    snprintf(numbers[1], sizeof numbers[1], "%ld", step);
    snprintf(numbers[2], sizeof numbers[2], "%d", ends[1]);
    int child = spawn_self(
        (const char *const[]){"call", directory, numbers[0], numbers[1], numbers[2], NULL});
    close(ends[1]);
    int status = wait_for(child);
    assert_true(WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
    ssize_t size = read(ends[0], &told, sizeof told);
    assert_true(size == 0 || size == sizeof told);
    close(ends[0]);
    return told;
}

struct state {
    uint64_t shape;
    size_t records;
};

static struct state state_of(struct check *check, const struct change *change)
{
    return (struct state){
        changes_shape(check),
        change->event == NULL ? 0 : records(check, change->event, change->about),
    };
}

/* With `before`, as it is when the call before this one was made, and the process has ended. */
static struct state look(struct home *home, const struct change *change, bool before)
{
    if (before)
        check_free(changes_open_for(home, change));
    struct check *check = changes_open(home);
    struct state state = state_of(check, change);
    check_free(check);
    return state;
}

static void fail_about(struct check *check, const struct change *change, long step,
                       const char *what)
{
    fail_msg("%s %s, killed at %ld: %s; then %u %s", change->method, change->path, step, what,
             check->status, check->status == 0 ? "" : body_text(check));
}

/* Who was given a token can use it, and a certificate that was given is one of ours. */
static void assert_given(struct check *check, const struct change *change, long step,
                         const struct told *told)
{
    char path[192];
    if (told->token[0] != '\0' &&
        call(check, "GET", "auth/token/lookup-self", told->token, NULL) != 200)
        fail_about(check, change, step, "its token was given, and is none");
    snprintf(path, sizeof path, "pki/cert/%s", told->serial);
    if (told->serial[0] != '\0' && strncmp(change->path, "pki/", 4) == 0 &&
        call(check, "GET", path, NULL, NULL) != 200)
        fail_about(check, change, step, "its certificate was given, and is not there");
}

/* How much of it is there. */
enum part_done { NOTHING, SOME, ALL };

static enum part_done part_done(const struct state *now, const struct state states[2])
{
    if (now->shape == states[0].shape)
        return NOTHING;
    return now->shape == states[1].shape ? ALL : SOME;
}

/* Half of what is made in steps may be on record, or not yet. */
static bool is_recorded(enum part_done done, const struct state *now, const struct state states[2])
{
    if (states[0].shape == states[1].shape)
        return true;
    return (done != ALL && now->records == states[0].records) ||
           (done != NOTHING && now->records == states[1].records);
}

/* What has happened may be refused, with the reason. */
static bool may_be_said_again(const struct change *change, enum part_done done, unsigned status)
{
    bool is_refusal = change->again != 0 && status == change->again;
    if (done == SOME)
        return status / 100 == 2 || is_refusal;
    return done == ALL && change->again != 0 ? is_refusal : status / 100 == 2;
}

/* Whether it has happened. */
static bool assert_whole(struct home *home, const struct change *change, const struct told *told,
                         long step, const struct state states[2])
{
    struct check *check = changes_open(home);
    struct state now = state_of(check, change);
    enum part_done done = part_done(&now, states);
    if (done == SOME && !change->in_steps)
        fail_about(check, change, step, "half of it is there");
    if (told->status / 100 == 2 && now.shape != states[1].shape)
        fail_about(check, change, step, "it was answered, and is not there");
    if (!is_recorded(done, &now, states))
        fail_about(check, change, step, "records and effect differ");
    assert_given(check, change, step, told);
    if (!may_be_said_again(change, done, changes_call(check, change)))
        fail_about(check, change, step, "it cannot be asked for again");
    check_free(check);
    assert_log_verifies(home);
    return done != NOTHING;
}

static void kill_everywhere(struct home *home, size_t which, size_t counts[2])
{
    const struct change *change = &changes[which];
    struct state states[2];
    put_back(home, PART_ALL);
    states[0] = look(home, change, true);
    put_back(home, PART_ALL);
    struct told whole = kill_at(home, which, 0);
    if (whole.status / 100 != 2)
        fail_msg("%s %s: %u", change->method, change->path, whole.status);
    states[1] = look(home, change, false);
    if (change->event != NULL)
        assert_int_equal(states[0].records + MAX(1, change->records), states[1].records);
    bool every = getenv("LETHE_TEST_LONG") != NULL;
    long places = QUICK_PLACES / (long)table_stride(QUICK_PLACES);
    long stride = every ? 1 : MAX(1, whole.steps / places);
    for (long step = every ? 1 : 1 + (long)which % stride; step <= whole.steps; step += stride) {
        put_back(home, PART_ALL);
        struct told told = kill_at(home, which, step);
        counts[assert_whole(home, change, &told, step, states)]++;
    }
}

static void killed_anywhere_a_call_has_happened_or_not(void **state)
{
    struct home *home = *state;
    size_t counts[2] = {0};
    changes_make_home(home);
    save_home(home);
    for (size_t i = 0; i < change_count; i++)
        kill_everywhere(home, i, counts);
    remove_home(home);
    changes_make_new_home(home);
    save_home(home);
    kill_everywhere(home, change_count, counts);
    print_message("killed %zu times before, and %zu times behind the change\n", counts[0],
                  counts[1]);
    assert_int_not_equal(0, counts[0]); /* or the places are the wrong ones */
    assert_int_not_equal(0, counts[1]);
}

int main(int argc, char **argv)
{
    struct lethe_error err = {0};
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    if (argc == 6 && strcmp(argv[1], "call") == 0)
        return call_until_killed(argv + 2);
    const struct CMUnitTest tests[] = {ON_HOME(killed_anywhere_a_call_has_happened_or_not)};
    return cmocka_run_group_tests(tests, service_start, NULL);
}
