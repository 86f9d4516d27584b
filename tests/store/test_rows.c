/* The list of rows that a store has in mind, held against a plain table: any order of writes. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/rows.h"

#define PATHS 1500 /* several blocks, and each cut and emptied many times */
#define STEPS 60000

static struct {
    char path[8]; /* in byte order */
    uint64_t version;
    uint64_t lease;
} model[PATHS];

static uint64_t seed = 1;
static unsigned next_random(unsigned below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

static void make_model(void)
{
    memset(model, 0, sizeof model);
    for (unsigned i = 0; i < PATHS; i++)
        snprintf(model[i].path, sizeof model[i].path, "r/%04u", i % 10000);
}

static void assert_same(const struct row *row, unsigned i)
{
    assert_non_null(row);
    assert_string_equal(model[i].path, row->path);
    assert_int_equal(model[i].version, row->version);
    assert_int_equal(model[i].lease, row->lease);
    assert_int_equal((uint8_t)model[i].version, row->digest[0]);
}

static void assert_all_same(const struct rows *rows)
{
    size_t count = 0;
    struct rows_place place = {0};
    for (unsigned i = 0; i < PATHS; i++) {
        if (model[i].version == 0)
            continue;
        assert_same(rows_next(rows, &place), i);
        count++;
    }
    assert_null(rows_next(rows, &place));
    assert_null(rows_next(rows, &place)); /* stays at the end */
    assert_int_equal(count, rows->count);
}

/* What is at and before a path, whether there is such a row or not. */
static void assert_neighbours(const struct rows *rows, unsigned i)
{
    unsigned at = i;
    unsigned before = i;
    struct rows_place place = rows_seek(rows, model[i].path);
    const struct row *found = rows_next(rows, &place);
    while (at < PATHS && model[at].version == 0)
        at++;
    while (before > 0 && model[before - 1].version == 0)
        before--;
    if (at == PATHS)
        assert_null(found);
    else
        assert_same(found, at);
    found = rows_before(rows, model[i].path);
    if (before == 0)
        assert_null(found);
    else
        assert_same(found, before - 1);
    assert_int_equal(model[i].version != 0, rows_find(rows, model[i].path) != NULL);
}

static void put(struct rows *rows, unsigned i)
{
    struct lethe_error err = {0};
    model[i].version++;
    model[i].lease = next_random(3);
    const uint8_t digest[ROW_DIGEST_BYTES] = {(uint8_t)model[i].version};
    const struct store_row row = {
        .path = model[i].path, .version = model[i].version, .lease = model[i].lease};
    assert_ok(rows_put(rows, &row, digest, &err), &err);
}

static void drop(struct rows *rows, unsigned i)
{
    if (model[i].version == 0)
        return;
    model[i].version = 0;
    rows_remove(rows, rows_find(rows, model[i].path)->path); /* its own copy of the path */
}

/* Fills up, thins out, and fills up again. */
static void any_order_of_writes(void **state)
{
    struct rows rows = {0};
    make_model();
    for (unsigned step = 0; step < STEPS; step++) {
        const unsigned i = next_random(PATHS);
        const bool fills = step / (STEPS / 6) % 2 == 0;
        if (next_random(8) < (fills ? 7 : 1))
            put(&rows, i);
        else
            drop(&rows, i);
        assert_neighbours(&rows, next_random(PATHS));
        if (step % 997 == 0)
            assert_all_same(&rows);
    }
    assert_all_same(&rows);
    rows_clear(&rows);
    assert_int_equal(0, rows.count);
}

static void upward_downward_and_gone(void **state)
{
    struct rows rows = {0};
    for (unsigned round = 0; round < 4; round++) {
        make_model();
        for (unsigned i = 0; i < PATHS; i++)
            put(&rows, (round & 1) != 0 ? PATHS - 1 - i : i);
        assert_all_same(&rows);
        for (unsigned i = 0; i < PATHS; i++)
            drop(&rows, (round & 2) != 0 ? PATHS - 1 - i : i);
        assert_all_same(&rows);
        assert_int_equal(0, rows.block_count);
        assert_neighbours(&rows, 7);
    }
    rows_clear(&rows);
}

static void paths_are_a_callers_or_the_stores(void **state)
{
    static const char *const own[] = {"~a", "~a/b.c-d"};
    static const char *const none[] = {"", "~", "~/a", "~a/", "~a//b", "~~", "~a~b", "a~b", "a b"};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        assert_true(row_path_is_own(own[i]) && !row_path_is_valid(own[i], false) &&
                    !row_path_is_valid(own[i], true));
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_false(row_path_is_own(none[i]) || row_path_is_valid(none[i], false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_of_writes),
        cmocka_unit_test(upward_downward_and_gone),
        cmocka_unit_test(paths_are_a_callers_or_the_stores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
