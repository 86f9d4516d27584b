/* Every byte of a small store, changed one at a time, and every length it can be cut to: opening
 * gives exactly the same rows, or LETHE_INTEGRITY. Never other rows, another error, or a crash. */
#include "fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "crypto/crypto.h"

/* A quick run gives each byte in use one of these, and samples free space; LETHE_TEST_LONG=1 gives
 * all of them to all bytes. With a sanitizer a quick run takes a quarter of it. */
static const uint8_t masks[] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff};

static bool long_run(void)
{
    return getenv("LETHE_TEST_LONG") != NULL;
}

/* Free space: zeros as far as one can see. */
static bool is_free_space(const uint8_t *bytes, size_t size_bytes, size_t at)
{
    size_t begin = at < 16 ? 0 : at - 16;
    size_t end = MIN(at + 16, size_bytes);
    for (size_t i = begin; i < end; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

static const char rows[] = "keys/a@1 keys/b@2 pin@1";

static struct store *make_small(const char *path)
{
    struct store *store = must_create(path);
    must_put(store, "keys/a", "alpha");
    must_put(store, "keys/b", "before");
    must_put(store, "keys/b", "beta");
    must_put(store, "gone", "deleted later, so that a free page or cell is there");
    must_put(store, "pin", "gamma");
    must_delete(store, "gone");
    return store;
}

static void assert_rows(struct store *store)
{
    assert_string_equal(rows, listing(store, ""));
    must_read(store, "keys/a", "alpha");
    must_read(store, "keys/b", "beta");
    must_read(store, "pin", "gamma");
}

struct outcome {
    size_t refused;
    size_t same;
    size_t older; /* with a write-ahead log: an earlier epoch, which the keeper's pin refuses */
};

/* Opens what the files now are. `epoch` is what an undamaged store has. */
static void check_one(const char *path, uint64_t epoch, struct outcome *outcome, const char *what,
                      size_t where)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(1);
    CLEANUP(store_close) struct store *store = NULL;
    lethe_result result = store_open(path, false, &store, &err);
    if (result == LETHE_OK)
        result = store_unlock(store, key, &err);
    if (result == LETHE_INTEGRITY) {
        outcome->refused++;
        return;
    }
    if (result != LETHE_OK)
        fail_msg("%s %zu: %s: %s", what, where, lethe_result_name(result), err.text);
    if (store_epoch(store) < epoch) {
        outcome->older++;
        return;
    }
    outcome->same++;
    assert_int_equal(epoch, store_epoch(store));
    assert_rows(store);
}

/* ---- the file at rest ------------------------------------------------------------------------ */

static void every_byte_of_the_file(void **state)
{
    struct fixture *f = *state;
    struct store *store = make_small(f->path);
    uint64_t epoch = store_epoch(store);
    store_close(store);
    uint8_t *bytes;
    size_t size_bytes = read_file(f->path, &bytes);
    struct outcome outcome = {0};
    size_t stride = table_stride(4);
    for (size_t at = 0; at < size_bytes; at += stride) {
        if (!long_run() && at % 16 != 0 && is_free_space(bytes, size_bytes, at))
            continue;
        for (size_t m = 0; m < ARRAY_LEN(masks); m++) {
            if (!long_run() && m != at % ARRAY_LEN(masks))
                continue;
            bytes[at] ^= masks[m];
            write_file(f->path, bytes, size_bytes);
            check_one(f->path, epoch, &outcome, "byte", at);
            bytes[at] ^= masks[m];
        }
    }
    write_file(f->path, bytes, size_bytes);
    check_one(f->path, epoch, &outcome, "undamaged", 0);
    print_message("%zu bytes, %zu changes: refused %zu, same rows %zu\n", size_bytes,
                  outcome.refused + outcome.same, outcome.refused, outcome.same);
    assert_int_equal(0, outcome.older);
    assert_true(outcome.refused * stride >
                500); /* header, schema, and every byte of rows and head */
    free(bytes);
}

/* A change without effect on reading has none on writing either. */
static void writing_after_a_change_is_safe(void **state)
{
    struct fixture *f = *state;
    store_close(make_small(f->path));
    uint8_t *bytes;
    size_t size_bytes = read_file(f->path, &bytes);
    size_t written = 0, stride = long_run() ? 1 : 13 * table_stride(4);
    for (size_t at = 0; at < size_bytes; at += stride) {
        bytes[at] ^= 0xff;
        write_file(f->path, bytes, size_bytes);
        bytes[at] ^= 0xff;
        remove_side_files(f->path);
        if (open_result(f->path, &f->err) != LETHE_OK)
            continue;
        struct store *store = must_open(f->path);
        must_put(store, "pin", "delta");
        store_close(store);
        assert_ok(open_result(f->path, &f->err), &f->err);
        store = must_open(f->path);
        assert_int_equal(2, must_read(store, "pin", "delta"));
        store_close(store);
        written++;
    }
    assert_int_not_equal(0, written);
    free(bytes);
}

static void every_length_it_can_be_cut_to(void **state)
{
    struct fixture *f = *state;
    struct store *store = make_small(f->path);
    uint64_t epoch = store_epoch(store);
    store_close(store);
    uint8_t *bytes;
    size_t size_bytes = read_file(f->path, &bytes);
    struct outcome outcome = {0};
    size_t tried = 0;
    for (size_t cut = 0; cut < size_bytes; cut += long_run() ? 1 : 61, tried++) {
        write_file(f->path, bytes, cut);
        check_one(f->path, epoch, &outcome, "cut to", cut);
    }
    assert_int_equal(tried, outcome.refused);

    uint8_t *longer = calloc(1, size_bytes + 8192);
    assert_non_null(longer);
    memcpy(longer, bytes, size_bytes);
    outcome = (struct outcome){0};
    for (size_t more = 1; more <= 8192; more += long_run() ? 1 : 409) {
        write_file(f->path, longer, size_bytes + more);
        check_one(f->path, epoch, &outcome, "longer by", more);
    }
    free(longer);
    free(bytes);
}

/* ---- the write-ahead log of a store that was not closed -------------------------------------- */

static void every_byte_of_the_write_ahead_log(void **state)
{
    struct fixture *f = *state;
    char wal_path[112];
    snprintf(wal_path, sizeof wal_path, "%s-wal", f->path);
    struct store *store = must_create(f->path);
    must_put(store, "keys/b", "before");
    store_close(store);

    store = must_open(f->path);
    assert_ok(store_begin(store, &f->err), &f->err);
    assert_ok(store_put(store, "keys/a", "alpha", 5, STORE_ABSENT, &f->err), &f->err);
    assert_ok(store_put(store, "keys/b", "beta", 4, 1, &f->err), &f->err);
    assert_ok(store_put(store, "pin", "gamma", 5, STORE_ABSENT, &f->err), &f->err);
    assert_ok(store_commit(store, &f->err), &f->err);
    uint64_t epoch = store_epoch(store);
    uint8_t *file;
    uint8_t *wal;
    size_t file_bytes = read_file(f->path, &file); /* as a crash now would leave them */
    size_t wal_bytes = read_file(wal_path, &wal);
    store_close(store);

    struct outcome outcome = {0};
    size_t stride = long_run()             ? 1
                    : table_stride(4) == 1 ? 3
                                           : 11; /* no multiple: all masks come */
    for (size_t at = 0; at < wal_bytes; at += stride) {
        wal[at] ^= masks[at % ARRAY_LEN(masks)];
        remove_side_files(f->path);
        write_file(f->path, file, file_bytes);
        write_file(wal_path, wal, wal_bytes);
        check_one(f->path, epoch, &outcome, "log byte", at);
        wal[at] ^= masks[at % ARRAY_LEN(masks)];
    }
    print_message("%zu bytes of log: refused %zu, same rows %zu, an older state %zu\n", wal_bytes,
                  outcome.refused, outcome.same, outcome.older);
    assert_int_not_equal(0, outcome.older);

    for (size_t cut = 0; cut < wal_bytes; cut += 509) {
        remove_side_files(f->path);
        write_file(f->path, file, file_bytes);
        write_file(wal_path, wal, cut);
        check_one(f->path, epoch, &outcome, "log cut to", cut);
    }
    free(file);
    free(wal);
}

#define ON_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    struct lethe_error err = {0};
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        ON_FIXTURE(every_byte_of_the_file),
        ON_FIXTURE(writing_after_a_change_is_safe),
        ON_FIXTURE(every_length_it_can_be_cut_to),
        ON_FIXTURE(every_byte_of_the_write_ahead_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
