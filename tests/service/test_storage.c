/* A disk that is full, a store that somebody else holds, and rows that somebody has changed, while
 * the service runs: who changes something hears an error, and all is well when it is well again. */
#include "service_check.h"

#include <sqlite3.h>
#include <stdlib.h>

#include "base/clock.h"

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

static void a_store_that_another_holds_is_waited_for_and_then_refused(void **state)
{
    struct check *check = *state;
    sqlite3 *other;
    if (getenv("LETHE_TEST_LONG") == NULL) /* it waits for as long as the store does */
        skip();
    assert_int_equal(SQLITE_OK, sqlite3_open(check->home->store, &other));
    assert_int_equal(SQLITE_OK, sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL));
    uint64_t begun_ns = clock_monotonic_ns(&clock_system);
    unsigned made = ask(check, "POST", "transit/keys/new", "{}");
    print_message("create: %u %s after %u ms\n", made, body_text(check),
                  (unsigned)((clock_monotonic_ns(&clock_system) - begun_ns) / 1000000));
    assert_int_equal(503, made);
    assert_int_equal(200, call(check, "GET", "sys/health", NULL, NULL));
    assert_int_equal(200, ask(check, "GET", "auth/token/lookup-self", NULL));
    assert_int_equal(SQLITE_OK, sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL));
    assert_int_equal(SQLITE_OK, sqlite3_close(other));
    assert_int_equal(200, ask(check, "POST", "transit/keys/new", "{}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SERVICE(a_full_disk_refuses_what_would_be_recorded),
        ON_SERVICE(a_store_that_another_holds_is_waited_for_and_then_refused),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
