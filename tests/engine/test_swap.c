/* Control groups that forbid swap, found from the kernel's files. */
#include "check_files.h"

#include "engine/swap.h"

static char *place;

static void put_limit(const char *group, const char *limit)
{
    struct lethe_error err = {0};
    char name[256];
    snprintf(name, sizeof name, "%s/%s", place, group);
    assert_ok(file_make_directories(name, 0700, &err), &err);
    strcat(name, "/memory.swap.max");
    put_file(name, limit, strlen(limit));
}

static bool forbids(const char *membership)
{
    const char *path = path_in(place, "membership");
    put_file(path, membership, strlen(membership));
    return swap_cgroup_forbids_in(path, place);
}

static void a_group_or_one_above_it_forbids_swap(void **state)
{
    put_limit("none", "0\n");
    put_limit("none/below/further", "max\n");
    put_limit("some", "4096\n");
    put_limit("any", "max\n");
    assert_true(forbids("0::/none\n"));
    assert_true(forbids("0::/none/below\n"));
    assert_true(forbids("0::/none/below/further\n"));
    assert_true(forbids("12:cpu:/some\n1:name=systemd:/x\n0::/none\n"));
    assert_false(forbids("0::/some\n"));
    assert_false(forbids("0::/any\n"));
    assert_false(forbids("0::/nonesuch\n"));
    assert_false(forbids("0::/\n"));
}

/* What is not certain does not count. */
static void only_the_unified_hierarchy_counts(void **state)
{
    put_limit("none", "0\n");
    put_limit("odd", "0");
    put_limit("odder", "00\n");
    assert_false(forbids("4:memory:/none\n"));
    assert_false(forbids("10::/none\n"));
    assert_false(forbids("1:name=a0::/none:/x\n0::/any\n"));
    assert_false(forbids("0::/odd\n"));
    assert_false(forbids("0::/odder\n"));
    assert_false(forbids("0::none\n"));
    assert_false(forbids(""));
    assert_false(swap_cgroup_forbids_in("/nonexistent", place));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_or_one_above_it_forbids_swap),
        cmocka_unit_test(only_the_unified_hierarchy_counts),
    };
    place = temp_dir();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(place);
    return failed;
}
