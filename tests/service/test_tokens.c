/* Tokens: made, found, renewed, used up, revoked and expired, in memory and across openings. K-9 */
#include "check.h"

#include "token_home.h"

#include "crypto/hash.h"

static lethe_result look_for(void *context, const char *path, uint64_t version,
                             struct lethe_error *err)
{
    (*(size_t *)context)++;
    return LETHE_OK;
}

static size_t count_rows(struct token_home *made, const char *prefix)
{
    size_t count = 0;
    struct lethe_error err = {0};
    assert_ok(store_list(keeper_store(made->service.keeper), prefix, look_for, &count, &err), &err);
    return count;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void fill(char *text, size_t capacity)
{
    memset(text, 'x', capacity - 1);
    text[capacity - 1] = '\0';
}

/* The largest token that there can be fits in one row, and comes back as it was. */
static void test_rows_hold_everything(void **state)
{
    CLEANUP(buffer_clear) struct buffer row = {0};
    struct lethe_error err = {0};
    struct token_entry entry = {.policy_count = CALLER_POLICIES_MAX, .renewable = true}, back;
    fill(entry.accessor, sizeof entry.accessor);
    fill(entry.identity, sizeof entry.identity);
    fill(entry.tenant, sizeof entry.tenant);
    fill(entry.display_name, sizeof entry.display_name);
    fill(entry.path, sizeof entry.path);
    fill(entry.meta, sizeof entry.meta);
    for (size_t i = 0; i < CALLER_POLICIES_MAX; i++)
        fill(entry.policies[i], sizeof entry.policies[i]);
    memset(entry.parent, 7, sizeof entry.parent);
    entry.created_s = 1, entry.expires_s = UINT64_MAX, entry.renewed_s = 3, entry.period_s = 4;
    entry.explicit_max_ttl_s = 5, entry.ttl_s = 6, entry.uses_left = 7;
    assert_ok(token_row_write(&entry, &row, &err), &err);
    assert_true(row.size_bytes <= TOKEN_ROW_MAX);
    assert_result(LETHE_OK, token_row_read((uint8_t *)row.bytes, row.size_bytes, &back));
    assert_memory_equal(&back, &entry, sizeof back);
    for (size_t cut = 0; cut < row.size_bytes; cut++)
        assert_result(LETHE_MALFORMED, token_row_read((uint8_t *)row.bytes, cut, &back));
    buffer_byte(&row, 0);
    assert_result(LETHE_MALFORMED, token_row_read((uint8_t *)row.bytes, row.size_bytes, &back));
}

/* ---- what is no token ------------------------------------------------------------------------ */

static void test_nothing_but_the_token_is_the_token(void **state)
{
    struct token_home *made = *state;
    struct token_entry entry = entry_of("app", 60);
    CLEANUP(lethe_secret_free) struct lethe_secret *token = must_make_token(made, &entry);
    uint8_t *bytes = lethe_secret_bytes(token);
    assert_int_equal(lethe_secret_size(token), TOKEN_BYTES);
    assert_memory_equal(bytes, "lethe.", 6);
    assert_non_null(find(made, token));
    for (size_t i = 0; i < TOKEN_BYTES; i++) {
        bytes[i] ^= 1;
        assert_null(find(made, token));
        bytes[i] ^= 1;
    }
    assert_null(tokens_find(made->service.tokens, bytes, TOKEN_BYTES - 1, made->now_s));
    assert_null(tokens_find(made->service.tokens, bytes, 0, made->now_s));
    assert_null(
        tokens_find(made->service.tokens, (const uint8_t *)entry.accessor, 40, made->now_s));
    assert_null(tokens_find(made->service.tokens, entry.hash, TOKEN_HASH_BYTES, made->now_s));
    assert_non_null(find(made, token));
}

/* Neither rows nor log hold it: the store's values are read as they are. */
static void test_the_token_is_stored_nowhere(void **state)
{
    struct token_home *made = *state;
    struct token_entry entry = entry_of("app", 60);
    CLEANUP(lethe_secret_free) struct lethe_secret *token = must_make_token(made, &entry);
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    struct lethe_error err = {0};
    char path[TOKEN_PATH_SIZE], text[TOKEN_BYTES + 1] = "";
    token_path(entry.hash, path);
    assert_ok(store_get(keeper_store(made->service.keeper), path, &row, NULL, &err), &err);
    memcpy(text, lethe_secret_bytes(token), TOKEN_BYTES);
    assert_null(memmem(lethe_secret_bytes(row), lethe_secret_size(row), text + 6, 8));
    /* The control: what is stored is found. */
    assert_non_null(memmem(lethe_secret_bytes(row), lethe_secret_size(row), entry.accessor, 40));
    assert_int_equal(count_records(made->home, "token_created", entry.accessor), 1);
    assert_int_equal(count_records(made->home, "token_created", text + 6), 0);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void test_a_token_ends_to_the_second_and_no_clock_brings_it_back(void **state)
{
    struct token_home *made = *state;
    struct token_entry entry = entry_of("app", 60);
    CLEANUP(lethe_secret_free) struct lethe_secret *token = must_make_token(made, &entry);
    made->now_s += 59;
    assert_non_null(find(made, token));
    made->now_s += 1;
    assert_null(find(made, token));
    made->now_s -= 3600;
    assert_null(find(made, token));
}

static void test_a_clock_that_was_set_back_between_openings_does_not_help(void **state)
{
    struct token_home *made = *state;
    struct token_entry entry = entry_of("app", 60), later = entry_of("app", 60);
    CLEANUP(lethe_secret_free) struct lethe_secret *token = must_make_token(made, &entry);
    made->now_s += 60;
    CLEANUP(lethe_secret_free) struct lethe_secret *other = must_make_token(made, &later);
    made->now_s -= 60; /* what the newest row says was seen */
    token_home_reopen(made);
    assert_null(find(made, token));
    assert_non_null(find(made, other));
}

static void test_how_long_a_token_lives(void **state)
{
    struct service service = {.options = {.default_ttl_s = 100, .max_ttl_s = 1000}};
    const struct {
        const char *policies;
        uint64_t period_s, explicit_s, wish_s, now_s /* created at 1000 */, expected_s;
    } rows[] = {
        {"app", 0, 0, 0, 1000, 1100},          {"app", 0, 0, 50, 1000, 1050},
        {"app", 0, 0, 5000, 1000, 2000},       {"app", 0, 0, 900, 1500, 2000},
        {"app", 0, 300, 0, 1000, 1100},        {"app", 0, 300, 500, 1000, 1300},
        {"app", 0, 300, 200, 1200, 1300},      {"app", 70, 0, 5, 1000, 1070},
        {"app", 70, 0, 5, 9000, 9070},         {"app", 70, 300, 0, 1290, 1300},
        {"app", 5000, 0, 0, 1000, 2000},       {"root", 0, 0, 0, 1000, 0},
        {"root", 0, 0, 10, 1000, 1010},        {"root", 0, 40, 0, 1000, 1040},
        {"app", 0, 0, UINT64_MAX, 1000, 2000},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct token_entry entry = entry_of(rows[i].policies, 0);
        entry.created_s = 1000;
        entry.period_s = rows[i].period_s;
        entry.explicit_max_ttl_s = rows[i].explicit_s;
        uint64_t got = token_expiry(&service, &entry, rows[i].wish_s, rows[i].now_s);
        if (got != rows[i].expected_s)
            fail_msg("row %zu: %llu", i, (unsigned long long)got);
    }
}

static void test_renewing(void **state)
{
    struct token_home *made = *state;
    struct tokens *tokens = made->service.tokens;
    struct lethe_error err = {0};
    struct token_entry entry = entry_of("app", 60), fixed = entry_of("app", 60);
    fixed.renewable = false;
    CLEANUP(lethe_secret_free) struct lethe_secret *token = must_make_token(made, &entry);
    CLEANUP(lethe_secret_free) struct lethe_secret *other = must_make_token(made, &fixed);
    made->now_s += 50;
    assert_result(LETHE_INVALID, tokens_renew(tokens, fixed.hash, 10, made->now_s, &err));
    assert_ok(tokens_renew(tokens, entry.hash, 0, made->now_s, &err), &err);
    made->now_s += 59;
    assert_non_null(find(made, token));
    assert_null(find(made, other));
    token_home_reopen(made);
    assert_non_null(find(made, token));
    made->now_s += 1;
    assert_null(find(made, token));
    assert_result(LETHE_DENIED,
                  tokens_renew(made->service.tokens, entry.hash, 10, made->now_s, &err));
}

static void test_what_expired_is_removed_with_its_children(void **state)
{
    struct token_home *made = *state;
    struct token_entry parent = entry_of("app", 60), child = entry_of("app", 6000);
    struct token_entry other = entry_of("app", 6000);
    CLEANUP(lethe_secret_free) struct lethe_secret *one = must_make_token(made, &parent);
    memcpy(child.parent, parent.hash, sizeof child.parent);
    CLEANUP(lethe_secret_free) struct lethe_secret *two = must_make_token(made, &child);
    CLEANUP(lethe_secret_free) struct lethe_secret *three = must_make_token(made, &other);
    tokens_expire(made->service.tokens, made->now_s + 59);
    assert_int_equal(count_rows(made, TOKEN_ROW), 3);
    made->now_s += 60;
    assert_null(find(made, two)); /* before anything was removed */
    tokens_expire(made->service.tokens, made->now_s);
    assert_int_equal(count_rows(made, TOKEN_ROW), 1);
    assert_int_equal(count_rows(made, ACCESSOR_ROW), 1);
    assert_int_equal(made->service.tokens->count, 1);
    assert_non_null(find(made, three));
    assert_null(find(made, one));
    assert_int_equal(count_records(made->home, "data_deleted", "2 removed"), 1);
    tokens_expire(made->service.tokens, made->now_s + 1);
    assert_int_equal(count_records(made->home, "data_deleted", NULL), 1);
}

static void test_more_expires_than_one_change_removes(void **state)
{
    struct token_home *made = *state;
    for (size_t i = 0; i < TOKENS_EXPIRE_MAX + 10; i++) {
        struct token_entry entry = entry_of("app", 60);
        lethe_secret_free(must_make_token(made, &entry));
    }
    made->now_s += 60;
    tokens_expire(made->service.tokens, made->now_s);
    assert_int_equal(made->service.tokens->count, 10);
    tokens_expire(made->service.tokens, made->now_s);
    assert_int_equal(made->service.tokens->count, 0);
    assert_int_equal(count_rows(made, TOKEN_ROW), 0);
}

/* ---- revoking -------------------------------------------------------------------------------- */

struct family {
    struct token_entry entries[4]; /* grandparent, parent, child; and another child of the first */
    struct lethe_secret *tokens[4];
};

static void family_clear_at_scope_end(struct family *family)
{
    for (size_t i = 0; i < 4; i++)
        lethe_secret_free(family->tokens[i]);
}

static void must_make_family(struct token_home *made, struct family *family)
{
    static const int parents[] = {-1, 0, 1, 0};
    for (size_t i = 0; i < 4; i++) {
        family->entries[i] = entry_of("app", 600);
        if (parents[i] >= 0)
            memcpy(family->entries[i].parent, family->entries[parents[i]].hash, TOKEN_HASH_BYTES);
        family->tokens[i] = must_make_token(made, &family->entries[i]);
    }
}

static void check_valid(struct token_home *made, const struct family *family, const char *expected)
{
    for (size_t i = 0; i < 4; i++) {
        if ((find(made, family->tokens[i]) != NULL) != (expected[i] == '+'))
            fail_msg("token %zu is not as %s says", i, expected);
    }
}

static void test_children_go_with_the_parent(void **state)
{
    struct token_home *made = *state;
    CLEANUP(family_clear) struct family family = {0};
    struct lethe_error err = {0};
    must_make_family(made, &family);
    check_valid(made, &family, "++++");
    assert_ok(tokens_revoke(made->service.tokens, family.entries[1].hash, true, "test", &err),
              &err);
    check_valid(made, &family, "+--+");
    token_home_reopen(made);
    check_valid(made, &family, "+--+");
    assert_int_equal(count_records(made->home, "token_revoked", NULL), 2);
    assert_int_equal(count_records(made->home, "token_revoked", family.entries[2].accessor), 1);
    assert_result(LETHE_NOT_FOUND,
                  tokens_revoke(made->service.tokens, family.entries[1].hash, true, "test", &err));
}

static void test_more_go_than_one_change_records(void **state)
{
    const size_t count = 2 * KEEPER_OTHERS_MAX + 5;
    struct token_home *made = *state;
    struct lethe_error err = {0};
    struct token_entry parent = entry_of("app", 600);
    CLEANUP(lethe_secret_free) struct lethe_secret *token = must_make_token(made, &parent);
    for (size_t i = 0; i < count; i++) {
        struct token_entry child = entry_of("app", 600);
        memcpy(child.parent, parent.hash, sizeof child.parent);
        lethe_secret_free(must_make_token(made, &child));
    }
    assert_ok(tokens_revoke(made->service.tokens, parent.hash, true, "test", &err), &err);
    assert_int_equal(0, made->service.tokens->count);
    assert_int_equal(0, count_rows(made, TOKEN_ROW));
    assert_int_equal(1 + count, cut_off_count);
    assert_int_equal(1, count_records(made->home, "token_revoked", "\"reason\":\"test\""));
    assert_int_equal(count, count_records(made->home, "token_revoked", "with the token above"));
    assert_log_verifies(made->home);
}

/* As a crash between two changes of one removal leaves it. */
static void test_what_lost_its_parent_is_void_and_goes(void **state)
{
    struct token_home *made = *state;
    struct token_entry child = entry_of("app", 600), grandchild = entry_of("app", 600);
    struct token_entry other = entry_of("app", 600);
    memset(child.parent, 7, sizeof child.parent);
    CLEANUP(lethe_secret_free) struct lethe_secret *one = must_make_token(made, &child);
    memcpy(grandchild.parent, child.hash, sizeof child.hash);
    CLEANUP(lethe_secret_free) struct lethe_secret *two = must_make_token(made, &grandchild);
    CLEANUP(lethe_secret_free) struct lethe_secret *three = must_make_token(made, &other);
    token_home_reopen(made);
    assert_null(find(made, one));
    assert_null(find(made, two));
    tokens_expire(made->service.tokens, made->now_s);
    assert_int_equal(1, count_rows(made, TOKEN_ROW));
    assert_non_null(find(made, three));
    assert_int_equal(1, count_records(made->home, "token_revoked", child.accessor));
    assert_int_equal(1, count_records(made->home, "token_revoked", grandchild.accessor));
    tokens_expire(made->service.tokens, made->now_s);
    assert_int_equal(2, count_records(made->home, "token_revoked", NULL));
}

static void test_children_may_become_orphans(void **state)
{
    struct token_home *made = *state;
    CLEANUP(family_clear) struct family family = {0};
    struct lethe_error err = {0};
    must_make_family(made, &family);
    assert_ok(tokens_revoke(made->service.tokens, family.entries[0].hash, false, "test", &err),
              &err);
    check_valid(made, &family, "-+++");
    assert_true(token_is_orphan(find(made, family.tokens[1])->parent));
    token_home_reopen(made);
    check_valid(made, &family, "-+++");
    assert_false(token_is_orphan(find(made, family.tokens[2])->parent));
}

static void test_whoever_used_a_revoked_token_is_cut_off(void **state)
{
    struct token_home *made = *state;
    CLEANUP(family_clear) struct family family = {0};
    struct lethe_error err = {0};
    char name[64];
    must_make_family(made, &family);
    assert_ok(tokens_revoke(made->service.tokens, family.entries[2].hash, true, "test", &err),
              &err);
    snprintf(name, sizeof name, "token:%s", family.entries[2].accessor);
    assert_string_equal(cut_off_last, name);
    assert_int_equal(cut_off_count, 1);
}

static void test_an_identity_loses_all_its_tokens(void **state)
{
    struct token_home *made = *state;
    struct token_entry bound = entry_of("app", 600), child = bound, other = bound;
    struct lethe_error err = {0};
    snprintf(bound.identity, sizeof bound.identity, "spiffe://t/a");
    CLEANUP(lethe_secret_free) struct lethe_secret *one = must_make_token(made, &bound);
    memcpy(child.parent, bound.hash, sizeof child.parent);
    CLEANUP(lethe_secret_free) struct lethe_secret *two = must_make_token(made, &child);
    CLEANUP(lethe_secret_free) struct lethe_secret *three = must_make_token(made, &other);
    struct tokens *tokens = made->service.tokens;
    assert_ok(tokens_revoke_identity(tokens, "spiffe://t/nobody", "test", &err), &err);
    assert_non_null(find(made, one));
    assert_ok(tokens_revoke_identity(tokens, "spiffe://t/a", "test", &err), &err);
    assert_null(find(made, one));
    assert_null(find(made, two));
    assert_non_null(find(made, three));
}

/* Another process: what it revoked is void here as soon as rows were looked at. */
static void test_other_processes(void **state)
{
    struct token_home *made = *state, other = *made;
    struct token_entry entry = entry_of("app", 600);
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *token = must_make_token(made, &entry);
    token_home_open(&other);
    assert_non_null(find(&other, token));
    assert_ok(tokens_revoke(other.service.tokens, entry.hash, true, "test", &err), &err);
    assert_non_null(find(made, token)); /* not looked yet */
    assert_result(LETHE_DENIED,
                  tokens_renew(made->service.tokens, entry.hash, 10, made->now_s, &err));
    assert_ok(tokens_refresh(made->service.tokens, &err), &err);
    assert_null(find(made, token));
    token_home_close(&other);
}

/* ---- uses ------------------------------------------------------------------------------------ */

static void test_uses_are_counted_durably(void **state)
{
    struct token_home *made = *state;
    struct token_entry entry = entry_of("app", 600), child = entry_of("app", 600);
    struct lethe_error err = {0};
    entry.uses_left = 3;
    CLEANUP(lethe_secret_free) struct lethe_secret *token = must_make_token(made, &entry);
    memcpy(child.parent, entry.hash, sizeof child.parent);
    CLEANUP(lethe_secret_free) struct lethe_secret *below = must_make_token(made, &child);
    assert_ok(tokens_use(made->service.tokens, entry.hash, &err), &err);
    assert_int_equal(find(made, token)->uses_left, 2);
    token_home_reopen(made);
    assert_int_equal(find(made, token)->uses_left, 2);
    assert_ok(tokens_use(made->service.tokens, entry.hash, &err), &err);
    assert_ok(tokens_use(made->service.tokens, entry.hash, &err), &err);
    assert_null(find(made, token));
    assert_null(find(made, below));
    /* The call that used it up still sees it, and the next one does not. */
    assert_non_null(tokens_find_accessor(made->service.tokens, entry.accessor, made->now_s));
    tokens_present(made->service.tokens, NULL, 0);
    assert_null(tokens_find_accessor(made->service.tokens, entry.accessor, made->now_s));
    token_home_reopen(made);
    assert_null(find(made, token));
}

static void test_two_processes_do_not_use_one_use_twice(void **state)
{
    struct token_home *made = *state, other = *made;
    struct lethe_error err = {0};
    for (uint64_t uses = 1; uses <= 2; uses++) {
        struct token_entry entry = entry_of("app", 600);
        entry.uses_left = uses;
        CLEANUP(lethe_secret_free) struct lethe_secret *token = must_make_token(made, &entry);
        token_home_open(&other);
        assert_ok(tokens_use(other.service.tokens, entry.hash, &err), &err);
        assert_result(uses == 1 ? LETHE_DENIED : LETHE_BUSY,
                      tokens_use(made->service.tokens, entry.hash, &err));
        assert_ok(tokens_refresh(made->service.tokens, &err), &err);
        assert_int_equal(find(made, token) != NULL, uses == 2);
        token_home_close(&other);
    }
}

/* ---- ids that root chose --------------------------------------------------------------------- */

static void test_given_ids(void **state)
{
    struct token_home *made = *state;
    struct token_entry entry = entry_of("app", 60);
    struct lethe_secret *token = NULL;
    struct lethe_error err = {0};
    char large[TOKEN_GIVEN_MAX + 1];
    memset(large, 'x', sizeof large);
    const struct {
        const char *id;
        size_t size_bytes;
    } bad[] = {{"", 0},     {"a b", 3},      {"a\n", 2},
               {"a\0b", 3}, {"\xc3\xa9", 2}, {large, sizeof large}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_result(LETHE_INVALID, tokens_create_as(made->service.tokens, &entry, bad[i].id,
                                                      bad[i].size_bytes, &token, &err));
        assert_null(token);
    }
    assert_ok(tokens_create_as(made->service.tokens, &entry, "my-token", 8, &token, &err), &err);
    assert_non_null(find(made, token));
    lethe_secret_free(token);
    assert_result(LETHE_EXISTS,
                  tokens_create_as(made->service.tokens, &entry, "my-token", 8, &token, &err));
    assert_null(token);
}

/* ---- many ------------------------------------------------------------------------------------ */

static void test_a_table_that_grows_finds_them_all(void **state)
{
    struct token_home *made = *state;
    struct tokens *tokens = made->service.tokens;
    struct lethe_error err = {0};
    char accessors[5000][41];
    for (uint32_t i = 0; i < ARRAY_LEN(accessors); i++) { /* without rows: this is about memory */
        struct token_entry entry = entry_of("app", 0);
        sha256(&i, sizeof i, entry.hash);
        snprintf(entry.accessor, sizeof entry.accessor, "%u", i);
        memcpy(accessors[i], entry.accessor, 41);
        tokens_insert(tokens, token_make(&entry, &err));
    }
    for (uint32_t i = 0; i < ARRAY_LEN(accessors); i++) {
        assert_non_null(tokens_find(tokens, (uint8_t *)&i, sizeof i, made->now_s));
        const struct token_entry *found = tokens_find_accessor(tokens, accessors[i], made->now_s);
        assert_non_null(found);
        assert_string_equal(found->accessor, accessors[i]);
        if (i % 2 == 0)
            tokens_remove(tokens, tokens_at(tokens, found->hash));
    }
    assert_int_equal(tokens->count, ARRAY_LEN(accessors) / 2);
    uint32_t even = 4, odd = 5;
    assert_null(tokens_find(tokens, (uint8_t *)&even, sizeof even, made->now_s));
    assert_non_null(tokens_find(tokens, (uint8_t *)&odd, sizeof odd, made->now_s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_hold_everything),
        cmocka_unit_test(test_how_long_a_token_lives),
        ON_TOKEN_HOME(test_nothing_but_the_token_is_the_token),
        ON_TOKEN_HOME(test_the_token_is_stored_nowhere),
        ON_TOKEN_HOME(test_a_token_ends_to_the_second_and_no_clock_brings_it_back),
        ON_TOKEN_HOME(test_a_clock_that_was_set_back_between_openings_does_not_help),
        ON_TOKEN_HOME(test_renewing),
        ON_TOKEN_HOME(test_what_expired_is_removed_with_its_children),
        ON_TOKEN_HOME(test_more_expires_than_one_change_removes),
        ON_TOKEN_HOME(test_children_go_with_the_parent),
        ON_TOKEN_HOME(test_more_go_than_one_change_records),
        ON_TOKEN_HOME(test_what_lost_its_parent_is_void_and_goes),
        ON_TOKEN_HOME(test_children_may_become_orphans),
        ON_TOKEN_HOME(test_whoever_used_a_revoked_token_is_cut_off),
        ON_TOKEN_HOME(test_an_identity_loses_all_its_tokens),
        ON_TOKEN_HOME(test_other_processes),
        ON_TOKEN_HOME(test_uses_are_counted_durably),
        ON_TOKEN_HOME(test_two_processes_do_not_use_one_use_twice),
        ON_TOKEN_HOME(test_given_ids),
        ON_TOKEN_HOME(test_a_table_that_grows_finds_them_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
