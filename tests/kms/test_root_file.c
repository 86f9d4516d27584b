/* The root file while its key changes: whatever is torn, one of its two lines opens. */
#include "../store/fixture.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "crypto/crypto.h"
#include "kms/root_file.h"

#include "../store/faults.h"

static struct lethe_error err;

#define FIRST_BYTES 95
#define LINE_BYTES 112

static void must_make(const char *path)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(0x11);
    assert_ok(root_file_create(path, key, &err), &err);
}

static lethe_result stage(const char *path, uint8_t seed, uint64_t generation)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(seed);
    return root_file_stage(path, &(struct root_line){.key = key, .generation = generation}, &err);
}

static lethe_result settle(const char *path, uint8_t seed, uint64_t generation)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *key = test_key(seed);
    return root_file_settle(path, &(struct root_line){.key = key, .generation = generation}, &err);
}

/* Which keys are in it, by their first bytes; 0: none. */
struct found {
    int first;
    int second;
    bool tidy;
};

static int seed_of(const struct root_line *line)
{
    return line->key == NULL ? 0 : lethe_secret_bytes_const(line->key)[0];
}

static lethe_result look(const char *path, struct found *found)
{
    CLEANUP(root_lines_clear) struct root_lines lines = {0};
    *found = (struct found){0};
    TRY(root_file_read(path, &lines, &err));
    *found = (struct found){seed_of(&lines.at[0]), seed_of(&lines.at[1]), lines.tidy};
    return LETHE_OK;
}

static void assert_found(const char *path, int first, int second, bool tidy)
{
    struct found found;
    assert_ok(look(path, &found), &err);
    assert_int_equal(first, found.first);
    assert_int_equal(second, found.second);
    assert_int_equal(tidy, found.tidy);
}

static void a_key_changes_in_place(void **state)
{
    struct fixture *f = *state;
    struct stat before;
    struct stat after;
    must_make(f->path);
    assert_int_equal(0, stat(f->path, &before));
    assert_found(f->path, 0x11, 0, true);
    assert_ok(stage(f->path, 0x22, 1), &err);
    assert_found(f->path, 0x11, 0x22, false);
    assert_int_equal(1, count_in_files(f, "11111111", 8) > 0); /* the search finds */
    assert_ok(settle(f->path, 0x22, 1), &err);
    assert_found(f->path, 0x22, 0, true);
    assert_int_equal(0, count_in_files(f, "11111111", 8));
    assert_int_equal(0, stat(f->path, &after));
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(0600, after.st_mode & 07777);
    assert_int_equal(LINE_BYTES, after.st_size);

    assert_ok(stage(f->path, 0x33, UINT64_MAX), &err); /* and again, and not taken after all */
    assert_ok(settle(f->path, 0x22, 1), &err);
    assert_found(f->path, 0x22, 0, true);
    assert_int_equal(0, count_in_files(f, "33333333", 8));
}

static void a_link_is_the_same_file(void **state)
{
    struct fixture *f = *state;
    char link_path[128];
    snprintf(link_path, sizeof link_path, "%s.link", f->path);
    must_make(f->path);
    assert_int_equal(0, symlink(f->path, link_path));
    assert_ok(stage(link_path, 0x22, 1), &err);
    assert_ok(settle(link_path, 0x22, 1), &err);
    assert_found(f->path, 0x22, 0, true);
}

static uint64_t generation_of(const char *path)
{
    CLEANUP(root_lines_clear) struct root_lines lines = {0};
    assert_ok(root_file_read(path, &lines, &err), &err);
    return lines.at[0].generation;
}

static void generations_are_kept(void **state)
{
    static const uint64_t generations[] = {1, 2, 0x0123456789abcdef, UINT64_MAX};
    struct fixture *f = *state;
    must_make(f->path);
    assert_int_equal(0, generation_of(f->path));
    for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
        assert_ok(stage(f->path, 0x22, generations[i]), &err);
        assert_ok(settle(f->path, 0x22, generations[i]), &err);
        assert_true(generation_of(f->path) == generations[i]);
    }
}

/* Every byte of the line that is written may be the last one that reached the disk. */
static void a_torn_line_leaves_the_other(void **state)
{
    struct fixture *f = *state;
    uint8_t *both;
    uint8_t torn[ROOT_FILE_MAX];
    must_make(f->path);
    assert_ok(stage(f->path, 0x22, 1), &err);
    size_t size_bytes = read_file(f->path, &both);
    assert_int_equal(ROOT_FILE_MAX, size_bytes);
    for (size_t cut = LINE_BYTES; cut < size_bytes; cut++) { /* the second, as it is written */
        write_file(f->path, both, cut);
        assert_found(f->path, 0x11, 0, false);
    }
    memset(torn, 0xff, sizeof torn);
    memcpy(torn, both, FIRST_BYTES);
    for (size_t cut = LINE_BYTES; cut < size_bytes; cut++) { /* or in any order */
        memcpy(torn + LINE_BYTES, both + LINE_BYTES, cut - LINE_BYTES);
        write_file(f->path, torn, sizeof torn);
        assert_found(f->path, 0x11, 0, false);
    }
    for (size_t cut = 1; cut < LINE_BYTES; cut++) { /* the first, as it is overwritten */
        memcpy(torn, both, sizeof torn);
        memcpy(torn, both + LINE_BYTES, cut);
        write_file(f->path, torn, sizeof torn);
        struct found found;
        assert_ok(look(f->path, &found), &err);
        assert_int_equal(0x22, found.second);
        assert_ok(settle(f->path, 0x22, 1), &err);
        assert_found(f->path, 0x22, 0, true);
    }
    free(both);
}

static void what_is_no_root_file_is_refused(void **state)
{
    struct fixture *f = *state;
    struct found found;
    uint8_t *bytes;
    must_make(f->path);
    assert_ok(stage(f->path, 0x22, 1), &err);
    assert_ok(settle(f->path, 0x22, 1), &err);
    size_t size_bytes = read_file(f->path, &bytes);
    for (size_t at = 0; at < size_bytes; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[at] ^= (uint8_t)(1u << bit);
            write_file(f->path, bytes, size_bytes);
            assert_result(LETHE_INTEGRITY, look(f->path, &found));
            bytes[at] ^= (uint8_t)(1u << bit);
        }
    }
    uint8_t large[ROOT_FILE_MAX + 1] = {0};
    memcpy(large, bytes, size_bytes);
    write_file(f->path, large, sizeof large);
    assert_result(LETHE_INTEGRITY, look(f->path, &found));
    free(bytes);
}

/* ENOSPC and EIO at every step of both: one of the two keys is there, and it can be done again. */
static void failed_at_every_step(void **state)
{
    static const enum fault faults[] = {FAULT_BAD, FAULT_FULL};
    struct fixture *f = *state;
    size_t failures = 0;
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        bool reached = true;
        for (long step = 1; reached; step++) {
            struct found found;
            unlink(f->path);
            must_make(f->path);
            faults_arm(faults[i], step);
            bool staged = stage(f->path, 0x22, 1) == LETHE_OK;
            bool settled = staged && settle(f->path, 0x22, 1) == LETHE_OK;
            reached = faults_disarm() >= step;
            failures += !settled;
            assert_ok(look(f->path, &found), &err);
            assert_true(staged ? found.first == 0x22 || found.second == 0x22 : found.first == 0x11);
            assert_true(!settled || found.tidy);
            assert_ok(stage(f->path, 0x22, 1), &err);
            assert_ok(settle(f->path, 0x22, 1), &err);
            assert_found(f->path, 0x22, 0, true);
        }
    }
    print_message("failed at %zu steps\n", failures);
    assert_true(failures > 8);
}

#define ON_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    if (crypto_start(&err) != LETHE_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        ON_FIXTURE(a_key_changes_in_place),
        ON_FIXTURE(a_link_is_the_same_file),
        ON_FIXTURE(generations_are_kept),
        ON_FIXTURE(a_torn_line_leaves_the_other),
        ON_FIXTURE(what_is_no_root_file_is_refused),
        ON_FIXTURE(failed_at_every_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
