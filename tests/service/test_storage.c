/* A disk that is full, a store that somebody else holds, and rows that somebody has changed, while
 * the service runs: who changes something hears an error, and all is well when it is well again. */
#include "service_check.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "../store/faults.h"

static unsigned ask(struct check *check, const char *method, const char *path, const char *body)
{
    return call(check, method, path, check->root, body);
}

static void a_full_disk_refuses_what_would_be_recorded(void **state)
{
    struct check *check = *state;
    assert_int_equal(200, ask(check, "POST", "transit/keys/k", "{}"));
    faults_arm(FAULT_FULL, 1);
    unsigned made = ask(check, "POST", "transit/keys/new", "{}");
    print_message("create: %u %s\n", made, body_text(check));
    unsigned used = ask(check, "POST", "transit/encrypt/k", "{\"plaintext\":\"YQ==\"}");
    print_message("encrypt: %u %s\n", used, body_text(check));
    assert_has_not(check, check->home->store); /* where it lies is nobody's business */
    unsigned health = call(check, "GET", "sys/health", NULL, NULL);
    unsigned read = ask(check, "GET", "transit/keys/k", NULL);
    print_message("health: %u, read: %u\n", health, read);
    faults_disarm();
    assert_int_equal(503, made);
    assert_int_equal(503, used);
    assert_int_equal(200, health);
    assert_int_equal(404, ask(check, "GET", "transit/keys/new", NULL));
    assert_int_equal(200, ask(check, "POST", "transit/encrypt/k", "{\"plaintext\":\"YQ==\"}"));
    assert_int_equal(200, ask(check, "POST", "transit/keys/new", "{}"));
    assert_int_equal(1, records(check, "key_created", "\"new\""));
    assert_log_verifies(check->home);
}

/* ---- a store that another process holds ------------------------------------------------------ */

static const struct {
    const char *method, *path, *body;
    unsigned status; /* when nobody holds it */
} held_changes[] = {
    {"POST", "transit/keys/new", "{}", 200},
    {"POST", "transit/keys/k/rotate", "{}", 200},
    {"POST", "auth/token/create", "{\"policies\":[\"p\"]}", 200},
    {"POST", "pki/roles/r", "{\"allow_any_name\":true}", 204},
};

/* Each would wait for as long as a lock allows, and they would take minutes together. */
static void assert_changes_are_refused(struct check *check)
{
    for (size_t i = 0; i < 10 * ARRAY_LEN(held_changes); i++) {
        size_t which = i % ARRAY_LEN(held_changes);
        unsigned status = ask(check, held_changes[which].method, held_changes[which].path,
                              held_changes[which].body);
        if (status != 503)
            fail_msg("%s: %u %s", held_changes[which].path, status, body_text(check));
        assert_has(check, "another process holds the store of keys; try again");
        assert_has_not(check, check->home->store);
    }
}

static void assert_others_are_answered(struct check *check)
{
    static const char *const reads[] = {"sys/health", "transit/keys/k", "auth/token/lookup-self",
                                        "sys/mounts", "metrics"};
    for (size_t i = 0; i < ARRAY_LEN(reads); i++)
        assert_int_equal(200, ask(check, "GET", reads[i], NULL));
    assert_int_equal(200, ask(check, "POST", "transit/encrypt/k", "{\"plaintext\":\"YQ==\"}"));
}

static void assert_all_works(struct check *check)
{
    for (size_t i = 0; i < ARRAY_LEN(held_changes); i++)
        assert_int_equal(held_changes[i].status, ask(check, held_changes[i].method,
                                                     held_changes[i].path, held_changes[i].body));
    assert_int_equal(1, records(check, "key_created", "\"new\""));
    assert_log_verifies(check->home);
}

static void have_a_key(struct check *check)
{
    assert_int_equal(200, ask(check, "POST", "transit/keys/k", "{}"));
    assert_int_equal(200, ask(check, "POST", "transit/encrypt/k", "{\"plaintext\":\"YQ==\"}"));
}

static void a_store_that_another_holds_is_refused_at_once(void **state)
{
    struct check *check = *state;
    sqlite3 *other;
    have_a_key(check);
    assert_int_equal(SQLITE_OK, sqlite3_open(check->home->store, &other));
    assert_int_equal(SQLITE_OK, sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL));
    assert_changes_are_refused(check);
    assert_others_are_answered(check);
    assert_int_equal(SQLITE_OK, sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL));
    assert_int_equal(SQLITE_OK, sqlite3_close(other));
    assert_all_works(check);
}

static void a_home_that_another_holds_is_refused_at_once(void **state)
{
    struct check *check = *state;
    have_a_key(check);
    int other = open(check->home->lock, O_RDWR | O_CLOEXEC);
    assert_int_equal(0, flock(other, LOCK_EX));
    assert_changes_are_refused(check);
    assert_others_are_answered(check);
    close(other);
    assert_all_works(check);
}

/* A command that is short is waited for. */
static void a_home_that_is_let_go_soon_is_waited_for(void **state)
{
    struct check *check = *state;
    int other = open(check->home->lock, O_RDWR | O_CLOEXEC);
    assert_int_equal(0, flock(other, LOCK_EX));
    pid_t child = fork();
    if (child == 0) {
        usleep(20000);
        _exit(flock(other, LOCK_UN));
    }
    assert_int_equal(200, ask(check, "POST", "transit/keys/new", "{}"));
    assert_int_equal(0, wait_for(child));
    close(other);
}

/* ---- a store that is another one ---------------------------------------------------------------
 */

static void assert_refused_until_reopened(struct check *check)
{
    static const char *const reads[] = {"transit/keys/k", "sys/mounts"};
    assert_int_equal(503, ask(check, "POST", "transit/keys/lost", "{}"));
    assert_int_equal(503, ask(check, "POST", "transit/encrypt/k", "{\"plaintext\":\"YQ==\"}"));
    for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
        assert_int_equal(503, ask(check, "GET", reads[i], NULL));
        assert_has(check, "the store cannot be read");
        assert_has_not(check, check->home->store);
    }
}

/* What would be written to a file without a name would be gone with the process. */
static void a_store_that_is_removed_is_written_to_no_more(void **state)
{
    struct check *check = *state;
    char aside[160];
    have_a_key(check);
    snprintf(aside, sizeof aside, "%s.aside", check->home->store);
    assert_int_equal(0, rename(check->home->store, aside));
    assert_refused_until_reopened(check);
    assert_int_equal(0, rename(aside, check->home->store));
    assert_all_works(check); /* the same file, in its place again */
    assert_int_equal(404, ask(check, "GET", "transit/keys/lost", NULL));
}

/* An older state of the same store: whole, good, and not the newest. */
static void an_older_store_is_refused(void **state)
{
    struct check *check = *state;
    struct lethe_error err = {0};
    char aside[160];
    have_a_key(check);
    reopen(check); /* all of it is in the file */
    save_home(check->home);
    assert_int_equal(200, ask(check, "POST", "transit/keys/later", "{}"));
    snprintf(aside, sizeof aside, "%s.aside", check->home->store);
    assert_int_equal(0, rename(check->home->store, aside));
    put_back(check->home, PART_STORE);
    assert_refused_until_reopened(check);
    (void)!service_seal(check->service, NULL);
    assert_result(LETHE_INTEGRITY, service_unseal(check->service, NULL, &err));
    print_message("%s\n", err.text);
    assert_int_equal(503, ask(check, "GET", "sys/mounts", NULL));
    assert_int_equal(0, rename(aside, check->home->store)); /* the control */
    assert_ok(service_unseal(check->service, NULL, &err), &err);
    assert_int_equal(200, ask(check, "GET", "transit/keys/later", NULL));
    assert_all_works(check);
}

/* Whole and good, and not ours: another root key, another log. */
static void another_homes_store_is_refused(void **state)
{
    struct check *check = *state;
    struct lethe_error err = {0};
    char aside[160];
    void *fresh;
    have_a_key(check);
    assert_int_equal(0, home_setup(&fresh));
    struct home *other = fresh;
    must_make_home(other);
    snprintf(aside, sizeof aside, "%s.aside", check->home->store);
    assert_int_equal(0, rename(check->home->store, aside));
    assert_int_equal(0, rename(other->store, check->home->store));
    assert_refused_until_reopened(check);
    (void)!service_seal(check->service, NULL);
    assert_int_not_equal(LETHE_OK, service_unseal(check->service, NULL, &err));
    print_message("%s\n", err.text);
    assert_int_equal(503, ask(check, "GET", "sys/mounts", NULL));
    assert_int_equal(0, rename(aside, check->home->store)); /* the control */
    assert_ok(service_unseal(check->service, NULL, &err), &err);
    assert_all_works(check);
    assert_int_equal(0, home_teardown(&fresh));
}

static void have_many_keys(struct check *check, const char *letter)
{
    char path[64];
    for (size_t i = 0; i < 60; i++) { /* more pages than one change writes anew */
        snprintf(path, sizeof path, "transit/keys/%s%zu", letter, i);
        assert_int_equal(200, ask(check, "POST", path, "{}"));
    }
}

/* An older state written into the same file: the service goes on with what it knows, or refuses,
 * and what is opened next is the newest state or none. */
static void an_older_store_in_the_same_file_is_never_believed(void **state)
{
    struct check *check = *state;
    struct lethe_error err = {0};
    char command[400];
    have_a_key(check);
    reopen(check); /* all of it is in the file */
    save_home(check->home);
    have_many_keys(check, "later");
    reopen(check);
    snprintf(command, sizeof command, "cat -- '%s.saved' > '%s'", check->home->store,
             check->home->store);
    assert_int_equal(0, system(command));
    unsigned read = ask(check, "GET", "transit/keys/later59", NULL);
    unsigned made = ask(check, "POST", "transit/keys/new", "{}");
    print_message("read: %u, create: %u\n", read, made);
    assert_true(read == 200 || read == 503); /* SQLite may have kept all that it needed */
    assert_true(made == 200 || made == 503);
    (void)!service_seal(check->service, NULL);
    lethe_result result = service_unseal(check->service, NULL, &err);
    print_message("%s\n", result == LETHE_OK ? "the newest" : err.text);
    assert_true(result == LETHE_OK || result == LETHE_INTEGRITY);
    if (result == LETHE_OK) {
        assert_int_equal(200, ask(check, "GET", "transit/keys/later59", NULL));
        assert_int_equal(made == 200 ? 200 : 404, ask(check, "GET", "transit/keys/new", NULL));
    }
    (void)!service_seal(check->service, NULL);
    put_back(check->home, PART_BOTH); /* the control */
    remove_side_files(check->home->store);
    assert_ok(service_unseal(check->service, NULL, &err), &err);
    assert_int_equal(404, ask(check, "GET", "transit/keys/later59", NULL));
}

/* Pages overwritten under the running service, and found by the next that opens it. */
static void a_store_with_false_pages_is_not_opened(void **state)
{
    struct check *check = *state;
    struct lethe_error err = {0};
    have_a_key(check);
    have_many_keys(check, "n");
    reopen(check);
    save_home(check->home);
    int file = open(check->home->store, O_RDWR | O_CLOEXEC);
    uint8_t page[4096];
    memset(page, 0xa5, sizeof page);
    off_t end = lseek(file, 0, SEEK_END);
    for (off_t at = sizeof page; at < end; at += (off_t)sizeof page)
        assert_int_equal(sizeof page, pwrite(file, page, sizeof page, at));
    close(file);
    unsigned made = ask(check, "POST", "transit/keys/new", "{}");
    unsigned read = ask(check, "GET", "transit/keys/none", NULL);
    print_message("create: %u, read: %u %s\n", made, read, body_text(check));
    assert_true(made == 200 || made == 503); /* SQLite may have kept all that it needed */
    assert_true(read == 404 || read == 503);
    (void)!service_seal(check->service, NULL);
    assert_int_not_equal(LETHE_OK, service_unseal(check->service, NULL, &err));
    print_message("%s\n", err.text);
    put_back(check->home, PART_BOTH); /* the control */
    remove_side_files(check->home->store);
    assert_ok(service_unseal(check->service, NULL, &err), &err);
    assert_int_equal(200, ask(check, "GET", "transit/keys/k", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SERVICE(a_full_disk_refuses_what_would_be_recorded),
        ON_SERVICE(a_store_that_another_holds_is_refused_at_once),
        ON_SERVICE(a_home_that_another_holds_is_refused_at_once),
        ON_SERVICE(a_home_that_is_let_go_soon_is_waited_for),
        ON_SERVICE(a_store_that_is_removed_is_written_to_no_more),
        ON_SERVICE(an_older_store_is_refused),
        ON_SERVICE(another_homes_store_is_refused),
        ON_SERVICE(an_older_store_in_the_same_file_is_never_believed),
        ON_SERVICE(a_store_with_false_pages_is_not_opened),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
