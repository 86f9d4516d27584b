/* Control groups that forbid swap, found from the kernel's files. */
#include "check_files.h"

#include <dirent.h>
#include <unistd.h>

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

/* ---- a group of one's own: what this file system cannot give, or does not do ------------------
 */

static lethe_result enter(const char *membership, struct lethe_error *err)
{
    struct swap_group group;
    const char *path = path_in(place, "membership");
    put_file(path, membership, strlen(membership));
    lethe_result result = swap_group_enter_in(path, place, &group, err);
    assert_string_equal(group.directory, "");
    return result;
}

static void put_controllers(const char *group, const char *controllers)
{
    struct lethe_error err = {0};
    char name[256];
    snprintf(name, sizeof name, "%s/%s", place, group);
    assert_ok(file_make_directories(name, 0700, &err), &err);
    strcat(name, "/cgroup.subtree_control");
    put_file(name, controllers, strlen(controllers));
}

static unsigned names_in(const char *directory)
{
    unsigned count = 0;
    DIR *entries = opendir(directory);
    assert_non_null(entries);
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(entries);
    return count;
}

/* A directory is made and nothing in it takes effect: it is gone again. */
static void a_group_that_does_not_work_is_not_left(void **state)
{
    static const char *const memberships[] = {"0::/tree/in\n", "0::/tree/in/deeper\n"};
    struct lethe_error err = {0};
    put_controllers("tree", "cpu memory pids\n");
    put_controllers("tree/in", "\n");
    for (size_t i = 0; i < ARRAY_LEN(memberships); i++) {
        assert_result(LETHE_UNPROTECTED, enter(memberships[i], &err));
        assert_non_null(strstr(err.text, "memory.swap.max"));
        assert_int_equal(names_in(path_in(place, "tree")), 2); /* in, cgroup.subtree_control */
    }
}

static void only_where_the_memory_controller_is_on(void **state)
{
    static const char *const controllers[] = {"", "\n", "cpu\n", "memoryless\n", "xmemory cpu\n"};
    struct lethe_error err = {0};
    for (size_t i = 0; i < ARRAY_LEN(controllers); i++) {
        put_controllers("off", controllers[i]);
        assert_result(LETHE_UNPROTECTED, enter("0::/off/in\n", &err));
        assert_non_null(strstr(err.text, "memory controller"));
    }
    assert_result(LETHE_UNPROTECTED, enter("4:memory:/tree/in\n", &err));
    assert_result(LETHE_UNPROTECTED, enter("", &err));
    assert_result(LETHE_UNPROTECTED, enter("0::/\n", &err));
}

/* What a trace names and is no control group of ours stays. */
static void only_control_groups_are_removed(void **state)
{
    struct lethe_error err = {0};
    const char *named = path_in(place, "lethe-abcdef");
    assert_ok(file_make_directories(named, 0700, &err), &err);
    swap_group_remove(named);
    swap_group_remove("");
    swap_group_remove("/");
    swap_group_remove("/nonexistent/lethe-x");
    assert_int_equal(access(named, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_or_one_above_it_forbids_swap),
        cmocka_unit_test(only_the_unified_hierarchy_counts),
        cmocka_unit_test(a_group_that_does_not_work_is_not_left),
        cmocka_unit_test(only_where_the_memory_controller_is_on),
        cmocka_unit_test(only_control_groups_are_removed),
    };
    place = temp_dir();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(place);
    return failed;
}
