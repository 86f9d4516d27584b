#include "check.h"

#include "pool/versions.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS 1000u

static uint64_t must_next(struct versions *versions, uint64_t block)
{
    struct lethe_error err = {0};
    uint64_t version;
    assert_ok(versions_next(versions, block, &version, &err), &err);
    return version;
}

static struct versions *must_create(uint64_t blocks)
{
    struct lethe_error err = {0};
    struct versions *versions;
    assert_ok(versions_create(blocks, 65536, &versions, &err), &err);
    return versions;
}

/* P-12: every seal has a version of its own, whether or not what was sealed ever arrived. */
static void a_version_never_comes_twice(void **state)
{
    CLEANUP(versions_free) struct versions *versions = must_create(BLOCKS);
    for (uint64_t i = 1; i < 100; i++) {
        assert_int_equal(must_next(versions, 7), i);
        assert_true(versions_is_pending(versions, 7));
        if (i % 3 == 0)
            versions_settle(versions, 7);
        assert_int_equal(versions_of(versions, 7), i);
        assert_int_equal(versions_is_pending(versions, 7), i % 3 != 0);
    }
    for (uint64_t block = 0; block < BLOCKS; block++)
        if (block != 7)
            assert_int_equal(versions_of(versions, block), 0);
}

/* A key seals 2^44 AES blocks, and not one block of the lease more. */
static void a_key_ends(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(versions_free) struct versions *versions = must_create(BLOCKS);
    uint64_t version;
    versions_count_aes(versions, VERSIONS_AES_MAX - (65536 / 16 + 2));
    assert_int_equal(must_next(versions, 3), 1);
    versions_settle(versions, 3);
    assert_result(LETHE_LIMIT, versions_next(versions, 3, &version, &err));
    assert_int_equal(versions_of(versions, 3), 1);
    assert_false(versions_is_pending(versions, 3));
}

static void must_write(struct versions *versions, uint64_t block, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        (void)must_next(versions, block);
    versions_settle(versions, block);
}

static void what_goes_with_a_key_is_all_of_it(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(versions_free)
    struct versions *versions = must_create(BLOCKS), *copy = must_create(BLOCKS);
    struct version_entry room[3];
    struct version_list list;
    assert_ok(versions_list(versions, room, 0, &list, &err), &err);
    assert_int_equal(list.written + list.count, 0);
    must_write(versions, 0, 1);
    must_write(versions, 1, 4);
    must_write(versions, 3, 1); /* and 2 never */
    must_write(versions, 4, 2);
    assert_result(LETHE_CONFLICT, versions_list(versions, room, 2, &list, &err));
    assert_ok(versions_list(versions, room, 3, &list, &err), &err);
    assert_int_equal(list.written, 5);
    assert_int_equal(list.count, 3);
    versions_restore(copy, &list);
    for (uint64_t block = 0; block < BLOCKS; block++)
        assert_int_equal(versions_of(copy, block), versions_of(versions, block));
    (void)must_next(versions, 0);
    assert_result(LETHE_CONFLICT, versions_list(versions, room, 3, &list, &err));
    versions_free(MOVE(copy));
}

/* Without locked memory there is no table, and so no lease. */
static void it_fails_closed(void **state)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0};
        struct lethe_error err = {0};
        struct versions *versions = NULL;
        if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || setrlimit(RLIMIT_AS, &none) != 0)
            _exit(2);
        lethe_result result = versions_create((uint64_t)1 << 24, 65536, &versions, &err);
        _exit(result != LETHE_OK && versions == NULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* A forked child goes on with nothing: it must never seal what its parent may seal, too. */
static void a_child_has_no_versions(void **state)
{
    CLEANUP(versions_free) struct versions *versions = must_create(BLOCKS);
    (void)must_next(versions, 3);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(versions_of(versions, 3) == 0 ? 0 : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(versions_of(versions, 3), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_version_never_comes_twice),       cmocka_unit_test(a_key_ends),
        cmocka_unit_test(what_goes_with_a_key_is_all_of_it), cmocka_unit_test(it_fails_closed),
        cmocka_unit_test(a_child_has_no_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
