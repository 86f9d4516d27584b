/* A log that is cut or changed under the service, or whose budget an actor has used up; and a seal
 * in the midst of requests. K-9, K-12 */
#include "service_check.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLAIN "{\"plaintext\":\"YQ==\"}"

static unsigned ask(struct check *check, const char *method, const char *path, const char *body)
{
    return call(check, method, path, check->root, body);
}

static void have_a_key(struct check *check)
{
    assert_int_equal(200, ask(check, "POST", "transit/keys/k", "{}"));
    assert_int_equal(200, ask(check, "POST", "transit/encrypt/k", PLAIN)); /* the control */
}

static void newest_file(struct check *check, char out[192])
{
    char next[192];
    for (unsigned number = 1;; number++) {
        snprintf(next, sizeof next, "%s/%06u.jsonl", check->home->audit, number);
        if (access(next, F_OK) != 0)
            break;
        memcpy(out, next, sizeof next);
    }
}

/* What would be recorded is refused, and what needs no record is answered. */
static void assert_nothing_is_recorded(struct check *check)
{
    assert_int_equal(503, ask(check, "POST", "transit/encrypt/k", PLAIN));
    assert_has_not(check, "ciphertext");
    assert_int_equal(503, ask(check, "POST", "transit/keys/new", "{}"));
    assert_has_not(check, check->home->audit);
    assert_int_equal(503, ask(check, "POST", "auth/token/create", "{}"));
    assert_has_not(check, "client_token");
    assert_int_equal(200, call(check, "GET", "sys/health", NULL, NULL));
    assert_int_equal(200, ask(check, "GET", "transit/keys/k", NULL));
}

/* Behind what the store has pinned: a cut of less is one as a crash leaves it (docs/security.md).
 */
static void a_log_that_was_cut_is_written_to_no_more(void **state)
{
    struct check *check = *state;
    struct lethe_error err = {0};
    struct stat status;
    char path[192] = "";
    have_a_key(check);
    newest_file(check, path);
    assert_int_equal(0, stat(path, &status));
    assert_int_equal(0, truncate(path, status.st_size / 4));
    assert_nothing_is_recorded(check);
    (void)!service_seal(check->service, NULL);
    assert_ok(service_unseal(check->service, NULL, &err), &err);
    assert_int_equal(1, records(check, "key_created", "\"k\""));
    assert_int_equal(0, records(check, "key_created", "\"new\""));
    assert_log_verifies(check->home);
    assert_int_equal(404, ask(check, "GET", "transit/keys/new", NULL));
    assert_int_equal(200, ask(check, "POST", "transit/encrypt/k", PLAIN));
}

static void a_log_that_was_changed_is_not_opened(void **state)
{
    struct check *check = *state;
    struct lethe_error err = {0};
    char path[192] = "";
    have_a_key(check);
    assert_ok(service_seal(check->service, &err), &err);
    newest_file(check, path);
    int file = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    assert_int_equal(1, pread(file, &byte, 1, 200));
    byte ^= 1;
    assert_int_equal(1, pwrite(file, &byte, 1, 200));
    assert_result(LETHE_INTEGRITY, service_unseal(check->service, NULL, &err));
    print_message("%s\n", err.text);
    byte ^= 1; /* the control */
    assert_int_equal(1, pwrite(file, &byte, 1, 200));
    close(file);
    assert_ok(service_unseal(check->service, NULL, &err), &err);
    assert_int_equal(200, ask(check, "POST", "transit/encrypt/k", PLAIN));
}

static void flip(const char *path, off_t at)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    assert_int_equal(1, pread(file, &byte, 1, at));
    byte ^= 1;
    assert_int_equal(1, pwrite(file, &byte, 1, at));
    close(file);
}

/* The service writes on behind what was changed, which whoever reads the log finds: the service
 * itself, when it is opened next. */
static void a_log_that_is_changed_under_the_service_is_found(void **state)
{
    struct check *check = *state;
    struct lethe_error err = {0};
    struct stat status;
    char path[192] = "";
    have_a_key(check);
    newest_file(check, path);
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(0, stat(path, &status));
        off_t at = round == 0 ? 200 : status.st_size - 20; /* in the first record, in the last */
        flip(path, at);
        assert_int_equal(200, ask(check, "POST", "transit/encrypt/k", PLAIN));
        assert_int_equal(200, ask(check, "POST", "transit/keys/new", "{}"));
        (void)!service_seal(check->service, NULL);
        assert_result(LETHE_INTEGRITY, service_unseal(check->service, NULL, &err));
        print_message("%s\n", err.text);
        flip(path, at); /* the control: nothing was lost */
        assert_ok(service_unseal(check->service, NULL, &err), &err);
        assert_int_equal(200, ask(check, "POST", "transit/encrypt/k", PLAIN));
        assert_log_verifies(check->home);
    }
    assert_int_equal(4, records(check, "key_used", "\"k\"") - 1);
}

#define NOBODY 65534u

/* As the user that a service runs as: root may write to what is read-only. */
static int setup_unprivileged(void **state)
{
    if (geteuid() == 0 && seteuid(NOBODY) != 0)
        return -1;
    return service_setup(state);
}

static int teardown_unprivileged(void **state)
{
    struct check *check = *state;
    (void)chmod(check->home->audit, 0700);
    int result = service_teardown(state);
    return getuid() == 0 && seteuid(0) != 0 ? -1 : result;
}

/* What is open is written to: each answer has its record. What would be made anew cannot be, and
 * where that matters, opening and closing, the service says so; it has no key then. */
static void a_log_in_a_read_only_directory(void **state)
{
    struct check *check = *state;
    struct lethe_error err = {0};
    char path[256];
    have_a_key(check);
    assert_int_equal(0, chmod(check->home->audit, 0500));
    snprintf(path, sizeof path, "%s/probe", check->home->audit);
    assert_int_equal(-1, open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)); /* the control */
    assert_int_equal(200, ask(check, "POST", "transit/encrypt/k", PLAIN));
    assert_int_equal(200, ask(check, "POST", "transit/keys/new", "{}"));
    assert_int_equal(1, records(check, "key_created", "\"new\""));
    assert_int_equal(204, ask(check, "PUT", "sys/seal", "{}")); /* and the door stays */
    assert_null(check->service->keeper);
    assert_int_not_equal(200, call(check, "PUT", "sys/unseal", NULL, "{}"));
    assert_has_not(check, check->home->audit);
    print_message("%s\n", body_text(check));
    assert_result(LETHE_IO, service_unseal(check->service, NULL, &err));
    print_message("%s\n", err.text);
    assert_int_equal(0, chmod(check->home->audit, 0700));
    assert_ok(service_unseal(check->service, NULL, &err), &err);
    assert_int_equal(200, ask(check, "POST", "transit/encrypt/k", PLAIN));
    assert_int_equal(3, records(check, "key_used", "\"k\""));
    assert_log_verifies(check->home);
}

/* What it uses is refused; others go on, and so does what the store's changes owe the log. */
static void an_actor_over_its_budget_is_alone(void **state)
{
    struct check *check = *state;
    unsigned status = 200;
    char busy[128], name[160];
    have_a_key(check);
    check->options.keeper.audit_limits.identity_bytes = 20000;
    reopen(check);
    make_token(check, "", "root", busy, name);
    for (unsigned i = 0; i < 1000 && status == 200; i++)
        status = call(check, "POST", "transit/encrypt/k", busy, PLAIN);
    assert_int_equal(503, status);
    assert_has_not(check, "ciphertext");
    assert_int_equal(200, ask(check, "POST", "transit/encrypt/k", PLAIN));
    assert_int_equal(200, ask(check, "POST", "transit/keys/other", "{}"));
    assert_int_equal(200, call(check, "GET", "sys/health", NULL, NULL));
    assert_int_equal(200, call(check, "POST", "transit/keys/essential", busy, "{}"));
    assert_int_equal(1, records(check, "key_created", "\"essential\""));
    assert_log_verifies(check->home);
}

/* On the heap and outside of it, guarded memory too. */
static size_t pages(void)
{
    size_t size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(2, fscanf(file, "%zu %zu", &size, &resident));
    fclose(file);
    return size;
}

/* What is refused leaves nothing behind: nobody fills the memory with calls that are not recorded.
 */
static void calls_over_the_budget_take_no_memory(void **state)
{
    struct check *check = *state;
    char busy[128], name[160];
    have_a_key(check);
    check->options.keeper.audit_limits.identity_bytes = 20000;
    reopen(check);
    make_token(check, "", "root", busy, name);
    size_t heap[3], all[3];
    for (size_t round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 1000; i++) {
            unsigned status = call(check, "POST", "transit/encrypt/k", busy, PLAIN);
            if (round > 0)
                assert_int_equal(503, status);
        }
        heap[round] = mallinfo2().uordblks;
        all[round] = pages();
    }
    assert_int_equal(heap[1], heap[2]);
    if (!HAS_SANITIZER) /* which keeps what was freed */
        assert_int_equal(all[1], all[2]);
}

#define IN_FLIGHT 64u

/* In one turn: what came before is answered, and what came behind it finds no key. */
static void a_seal_in_the_midst_leaves_no_half_answers(void **state)
{
    struct check *check = *state;
    size_t full = 0, sealed = 0;
    have_a_key(check);
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        send_request(check, "POST", "transit/encrypt/k", check->root, PLAIN);
        if (i == IN_FLIGHT / 2)
            send_request(check, "POST", "sys/seal", check->root, "{}");
    }
    run_core(check);
    while (answer_next(check)) {
        full += check->status == 200 && strstr(body_text(check), "ciphertext") != NULL;
        sealed += check->status == 503 && strstr(body_text(check), "ciphertext") == NULL;
    }
    assert_int_equal(IN_FLIGHT, full + sealed); /* and the seal's own, without a body */
    assert_int_not_equal(0, full);
    assert_int_not_equal(0, sealed);
    assert_null(check->service->keeper);
    assert_null(check->service->engine);
    assert_int_equal(503, ask(check, "POST", "transit/encrypt/k", PLAIN));
    assert_log_verifies(check->home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SERVICE(a_log_that_was_cut_is_written_to_no_more),
        ON_SERVICE(a_log_that_was_changed_is_not_opened),
        ON_SERVICE(a_log_that_is_changed_under_the_service_is_found),
        cmocka_unit_test_setup_teardown(a_log_in_a_read_only_directory, setup_unprivileged,
                                        teardown_unprivileged),
        ON_SERVICE(an_actor_over_its_budget_is_alone),
        ON_SERVICE(calls_over_the_budget_take_no_memory),
        ON_SERVICE(a_seal_in_the_midst_leaves_no_half_answers),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
