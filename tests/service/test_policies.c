/* Policies as rows: what another process changes, what an operator's directory says, and what is
 * broken. */
#include "check.h"

#include "token_home.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "service/authorise.h"

static lethe_result write_policy(struct token_home *made, const char *name, const char *text,
                                 struct lethe_error *err)
{
    const struct policy_write write = {.prefix = ROWS_PATHS,
                                       .name = name,
                                       .text = text,
                                       .length = text != NULL ? strlen(text) : 0};
    return policies_write(made->service.policies, &write, err);
}

static void must_write(struct token_home *made, const char *name, const char *text)
{
    struct lethe_error err = {0};
    assert_ok(write_policy(made, name, text, &err), &err);
}

/* A root token, or an operator: may it change policies? */
static lethe_result ask(struct token_home *made, enum caller_kind kind)
{
    const struct caller caller = {
        .kind = kind, .name = "x", .policies = {"root"}, .policy_count = 1, .is_root = true};
    const struct authorise_question question = {.caller = &caller,
                                                .path = "sys/policies/acl/x",
                                                .capability = CAN_UPDATE,
                                                .admin = kind == CALLER_ADMIN};
    struct lethe_decision decision;
    return authorise(made->service.policies, &question, &decision, NULL);
}

/* What another process wrote is in force once rows were looked at; what nobody wrote is not read
 * again. */
static void test_changes_of_other_processes(void **state)
{
    struct token_home *made = *state, other = *made;
    struct policies *policies = made->service.policies;
    struct lethe_error err = {0};
    char digest[LETHE_POLICY_DIGEST_SIZE];
    token_home_open(&other);
    must_write(&other, "app", "path \"a\" { capabilities = [\"read\"] }");
    assert_true(policies_has(other.service.policies, "app"));
    assert_false(policies_has(policies, "app"));
    assert_ok(policies_refresh(policies, &err), &err);
    assert_true(policies_has(policies, "app"));
    assert_string_equal(policies_digest(policies), policies_digest(other.service.policies));
    snprintf(digest, sizeof digest, "%s", policies_digest(policies));
    memset(policies->digest, 'x', 8); /* would be put right by reading again */
    assert_ok(policies_refresh(policies, &err), &err);
    assert_memory_equal(policies->digest, "xxxxxxxx", 8);
    /* Gone and back again, with another text: versions of rows start anew, the generation does not.
     */
    must_write(&other, "app", NULL);
    must_write(&other, "app", "path \"b\" { capabilities = [\"read\"] }");
    assert_ok(policies_refresh(policies, &err), &err);
    assert_string_not_equal(policies_digest(policies), digest);
    assert_string_equal(policies_digest(policies), policies_digest(other.service.policies));
    token_home_close(&other);
}

/* Rows that this program cannot read: what was in force stays, after
 * a new opening nothing is allowed but to put them right. */
static lethe_result spoil(struct store *store, void *context, uint64_t epoch,
                          struct audit_event *event, struct lethe_error *err)
{
    *event = audit_permission_changed("*", "test", "spoilt");
    TRY(document_put(store, ROWS_PATHS "app", "nonsense", 8, err));
    return store_put(store, ROWS_GENERATION, &epoch, sizeof epoch, STORE_ANY, err);
}

static void test_rows_that_are_no_policy(void **state)
{
    struct token_home *made = *state;
    struct lethe_error err = {0};
    struct policies *again;
    char digest[LETHE_POLICY_DIGEST_SIZE];
    snprintf(digest, sizeof digest, "%s", policies_digest(made->service.policies));
    assert_ok(keeper_change(made->service.keeper, "", spoil, NULL, &err), &err);
    assert_result(LETHE_MALFORMED, policies_refresh(made->service.policies, &err));
    assert_non_null(strstr(err.text, "policy app: line 1, column 1"));
    assert_string_equal(policies_digest(made->service.policies), digest);
    assert_ok(policies_refresh(made->service.policies, &err), &err); /* not tried again and again */
    assert_ok(policies_open(&made->service, &again, &err), &err);
    policies_free(MOVE(made->service.policies));
    made->service.policies = again;
    assert_int_equal(ask(made, CALLER_TOKEN), LETHE_DENIED);
    assert_int_equal(ask(made, CALLER_ADMIN), LETHE_OK);
    assert_result(LETHE_MALFORMED, write_policy(made, "other", "path \"a\" {}", &err));
    assert_result(LETHE_OK, write_policy(made, "app", "path \"a\" {}", &err));
    assert_int_equal(ask(made, CALLER_TOKEN), LETHE_OK);
}

static void test_a_change_that_fails_leaves_nothing(void **state)
{
    struct token_home *made = *state;
    struct policies *policies = made->service.policies;
    const struct policy_write write = {
        .prefix = ROWS_PATHS, .name = "app", .text = "nonsense", .length = 8};
    CLEANUP(buffer_clear) struct buffer text = {0};
    struct lethe_error err = {0};
    assert_result(LETHE_MALFORMED, policies_write(policies, &write, &err));
    assert_result(LETHE_NOT_FOUND, policies_text(policies, ROWS_PATHS, "app", &text, &err));
    assert_false(policies_has(policies, "app"));
    assert_int_equal(count_records(made->home, "policy_changed", NULL), 0);
}

static void put_file(const char *directory, const char *name, const char *text)
{
    struct lethe_error err = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_ok(file_write_atomic(AT_FDCWD, path, text, strlen(text), 0600, true, &err), &err);
}

static size_t count_modules(const struct policy_sources *sources, const char *name, bool is_test)
{
    size_t count = 0;
    for (size_t i = 0; i < sources->module_count; i++)
        count += strcmp(sources->modules[i].name.text, name) == 0 &&
                 sources->modules[i].is_test == is_test;
    return count;
}

static void test_a_directory_stands_in_for_what_came_along(void **state)
{
    struct token_home *made = *state;
    CLEANUP(policy_sources_clear) struct policy_sources sources = {0};
    struct lethe_error err = {0};
    char directory[160];
    snprintf(directory, sizeof directory, "%s.policies", made->home->store);
    assert_int_equal(mkdir(directory, 0700), 0);
    put_file(directory, "authz.rego", "package lethe.authz\nallow := true\n");
    put_file(directory, "authz_test.rego", "package t\ntest_it if data.lethe.authz.allow\n");
    put_file(directory, "mine.rego", "package mine\n");
    put_file(directory, "notes.txt", "nothing");
    assert_ok(policy_sources_read(NULL, directory, &sources, &err), &err);
    assert_int_equal(sources.module_count, 4);
    assert_int_equal(count_modules(&sources, "authz", false), 1);
    assert_int_equal(count_modules(&sources, "authz_test", true), 1);
    assert_int_equal(count_modules(&sources, "mine", false), 1);
    assert_int_equal(count_modules(&sources, "release", false), 1);
    assert_string_equal(sources.modules[0].text.bytes, "package lethe.authz\nallow := true\n");
    assert_result(LETHE_NOT_FOUND, policy_sources_read(NULL, "/nowhere", &sources, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_TOKEN_HOME(test_changes_of_other_processes),
        ON_TOKEN_HOME(test_rows_that_are_no_policy),
        ON_TOKEN_HOME(test_a_change_that_fails_leaves_nothing),
        ON_TOKEN_HOME(test_a_directory_stands_in_for_what_came_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
