/* Rows that other rooms keep in the keeper's store: changed with their record, or not at all
 * (A-2, K-1); documents in pieces. */
#include <stdlib.h>

#include "check.h"

#include "base/error.h"
#include "home.h"
#include "kms/change.h"

struct put {
    const char *path;
    const char *value;
    lethe_result fails; /* after writing */
};

static lethe_result put_row(struct store *store, void *context, uint64_t epoch,
                            struct audit_event *event, struct lethe_error *err)
{
    const struct put *put = context;
    assert_int_equal(store_epoch(store) + 1, epoch);
    TRY(store_put(store, put->path, put->value, strlen(put->value), STORE_ANY, err));
    *event = audit_token_created("t1", "spiffe://x/y", "default", 60);
    return put->fails != LETHE_OK ? error_set(err, put->fails, "as the test wants") : LETHE_OK;
}

static void a_change_is_on_record_once(void **state)
{
    const struct home *home = *state;
    struct lethe_error err = {0};
    struct put put = {.path = "tokens/1", .value = "one"};
    must_make_home(home);
    struct keeper *keeper = must_open_home(home);
    keeper_act_for(keeper, "token:abc");
    assert_ok(keeper_change(keeper, "acme", put_row, &put, &err), &err);
    keeper_act_for(keeper, NULL);
    put.value = "two";
    assert_ok(keeper_change(keeper, "acme", put_row, &put, &err), &err);
    must_read(keeper_store(keeper), "tokens/1", "two");
    must_close_home(keeper);
    /* A record without the epoch would be taken for one that is still owed. */
    assert_ok(home_result(home, &err), &err);
    assert_ok(home_result(home, &err), &err);
    assert_int_equal(2, count_records(home, "token_created", "\"epoch\":"));
    assert_int_equal(1, count_records(home, "token_created", "\"actor\":\"token:abc\""));
    assert_int_equal(1, count_records(home, "token_created", "\"actor\":\"uid:7\""));
    assert_log_verifies(home);
}

/* Each once, with one epoch, for one actor; whatever the next change owes is its own. */
static void a_change_may_owe_many_records(void **state)
{
    static struct audit_event others[KEEPER_OTHERS_MAX];
    const struct home *home = *state;
    struct lethe_error err = {0};
    struct put put = {.path = "tokens/1", .value = "one"};
    const size_t counts[] = {KEEPER_OTHERS_MAX, 2, 0};
    size_t recorded = 0;
    must_make_home(home);
    struct keeper *keeper = must_open_home(home);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        others[i] = audit_token_revoked("t2", "x", "with the token above");
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        const struct keeper_rows_change rows = {put_row, &put, others, counts[i]};
        assert_ok(keeper_change_many(keeper, "acme", &rows, &err), &err);
        recorded += counts[i];
        assert_int_equal(recorded, count_records(home, "token_revoked", "\"epoch\":"));
        assert_int_equal(i + 1, count_records(home, "token_created", NULL));
    }
    assert_string_equal("", listing(keeper_store(keeper), "outbox/"));
    must_close_home(keeper);
    assert_ok(home_result(home, &err), &err);
    assert_int_equal(recorded, count_records(home, "token_revoked", NULL));
    assert_log_verifies(home);
}

/* Store and log of two times: the store owes three records that the log has not. */
static void records_that_are_owed_are_made_up_for(void **state)
{
    const struct home *home = *state;
    struct lethe_error err = {0};
    struct put put = {.path = "tokens/1", .value = "one"};
    const struct audit_event others[2] = {audit_token_revoked("t2", "x", "y"),
                                          audit_token_revoked("t3", "x", "y")};
    const struct keeper_rows_change rows = {put_row, &put, others, 2};
    must_make_home(home);
    save_home(home);
    struct keeper *keeper = must_open_home(home);
    assert_ok(keeper_change_many(keeper, "acme", &rows, &err), &err);
    uint8_t *bytes;
    size_t size_bytes = read_file(home->store, &bytes);
    uint8_t *log_bytes;
    char log_path[160];
    snprintf(log_path, sizeof log_path, "%s-wal", home->store);
    size_t log_size_bytes = read_file(log_path, &log_bytes); /* before the head is pinned */
    must_close_home(keeper);
    put_back(home, PART_LOG);
    remove_side_files(home->store);
    write_file(home->store, bytes, size_bytes);
    write_file(log_path, log_bytes, log_size_bytes);
    free(bytes);
    free(log_bytes);
    assert_int_equal(0, count_records(home, "token_revoked", NULL));
    for (size_t i = 0; i < 2; i++) { /* and once only */
        assert_ok(home_result(home, &err), &err);
        assert_int_equal(1, count_records(home, "token_created", NULL));
        assert_int_equal(1, count_records(home, "token_revoked", "\"t2\""));
        assert_int_equal(1, count_records(home, "token_revoked", "\"t3\""));
    }
    assert_log_verifies(home);
}

static void a_change_that_fails_leaves_nothing(void **state)
{
    const struct home *home = *state;
    struct lethe_error err = {0};
    struct put put = {.path = "tokens/1", .value = "one", .fails = LETHE_DENIED};
    must_make_home(home);
    struct keeper *keeper = must_open_home(home);
    assert_result(LETHE_DENIED, keeper_change(keeper, "acme", put_row, &put, &err));
    assert_string_equal("", listing(keeper_store(keeper), "tokens/"));
    must_close_home(keeper);
    assert_int_equal(0, count_records(home, "token_created", NULL));
}

static bool looks_changed(struct keeper *keeper)
{
    struct lethe_error err = {0};
    bool changed;
    assert_ok(keeper_look(keeper, &changed, &err), &err);
    return changed;
}

static void a_look_sees_what_any_process_changed(void **state)
{
    const struct home *home = *state;
    struct lethe_error err = {0};
    struct put put = {.path = "tokens/1", .value = "one"};
    must_make_home(home);
    struct keeper *mine = must_open_home(home);
    struct keeper *other = must_open_home(home);
    assert_true(looks_changed(mine)); /* the first */
    assert_false(looks_changed(mine));
    assert_ok(keeper_change(other, "acme", put_row, &put, &err), &err);
    assert_true(looks_changed(mine));
    assert_false(looks_changed(mine));
    assert_ok(keeper_change(mine, "acme", put_row, &put, &err), &err);
    assert_true(looks_changed(mine));
    must_close_home(other);
    must_close_home(mine);
}

/* ---- documents ------------------------------------------------------------------------------- */

static void put_document(struct store *store, const uint8_t *bytes, size_t size_bytes)
{
    struct lethe_error err = {0};
    assert_ok(store_begin(store, &err), &err);
    assert_ok(document_put(store, "pki/ca", bytes, size_bytes, &err), &err);
    assert_ok(store_commit(store, &err), &err);
}

static void documents_come_back_whatever_their_size(void **state)
{
    static const size_t sizes[] = {0,    1,    4087, 4088, 4089,  8183,
                                   8184, 8185, 4088, 0,    70000, DOCUMENT_MAX_BYTES};
    const struct home *home = *state;
    struct lethe_error err = {0};
    uint8_t *bytes = malloc(DOCUMENT_MAX_BYTES + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < DOCUMENT_MAX_BYTES; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 4096);
    must_make_home(home);
    struct keeper *keeper = must_open_home(home);
    struct store *store = keeper_store(keeper);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        CLEANUP(buffer_clear) struct buffer got = {0};
        put_document(store, bytes, sizes[i]);
        assert_ok(document_get(store, "pki/ca", &got, &err), &err);
        assert_int_equal(sizes[i], got.size_bytes);
        if (sizes[i] > 0)
            assert_memory_equal(bytes, got.bytes, sizes[i]);
    }
    assert_ok(store_begin(store, &err), &err);
    assert_result(LETHE_LIMIT, document_put(store, "pki/ca", bytes, DOCUMENT_MAX_BYTES + 1, &err));
    assert_ok(document_delete(store, "pki/ca", &err), &err);
    assert_result(LETHE_NOT_FOUND, document_delete(store, "pki/ca", &err));
    assert_ok(store_commit(store, &err), &err);
    CLEANUP(buffer_clear) struct buffer none = {0};
    assert_result(LETHE_NOT_FOUND, document_get(store, "pki/ca", &none, &err));
    assert_string_equal("", listing(store, "pki/"));
    must_close_home(keeper);
    free(bytes);
}

static void a_document_with_a_piece_missing_is_damaged(void **state)
{
    const struct home *home = *state;
    struct lethe_error err = {0};
    uint8_t bytes[9000] = {1};
    must_make_home(home);
    struct keeper *keeper = must_open_home(home);
    put_document(keeper_store(keeper), bytes, sizeof bytes);
    must_delete(keeper_store(keeper), "pki/ca/2");
    CLEANUP(buffer_clear) struct buffer got = {0};
    assert_result(LETHE_INTEGRITY, document_get(keeper_store(keeper), "pki/ca", &got, &err));
    must_put(keeper_store(keeper), "pki/ca/0", "short");
    assert_result(LETHE_INTEGRITY, document_get(keeper_store(keeper), "pki/ca", &got, &err));
    must_close_home(keeper);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_HOME(a_change_is_on_record_once),
        ON_HOME(a_change_may_owe_many_records),
        ON_HOME(records_that_are_owed_are_made_up_for),
        ON_HOME(a_change_that_fails_leaves_nothing),
        ON_HOME(a_look_sees_what_any_process_changed),
        ON_HOME(documents_come_back_whatever_their_size),
        ON_HOME(a_document_with_a_piece_missing_is_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
