/* Limits: told in advance, met with a remedy. */
#include "check.h"

#include <sched.h>
#include <sys/mman.h>

#include <lethe/mem.h>

#include "child.h"
#include "fakes.h"

static void the_budget_is_what_the_kernel_says(void **state)
{
    static const struct fake_file files[] = {
        {"/proc/self/status", "Name:\tx\nVmLck:\t     132 kB\nCapEff:\t0000000000000000\n"},
        {"/proc/self/maps", "1000-2000 rw-p\n2000-3000 r--p\n3000-4000 ---p\n"},
        {"/proc/sys/vm/max_map_count", "65530\n"},
        {0},
    };
    struct rlimit limit;
    struct lethe_error err = {0};
    struct lethe_mem_budget budget;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    fake_read(files);
    assert_ok(lethe_mem_budget(&budget, &err), &err);
    assert_int_equal(budget.lock_used_bytes, 132 << 10);
    assert_int_equal(budget.map_used, 3);
    assert_int_equal(budget.map_limit, 65530);
    assert_int_equal(budget.lock_limit_bytes, limit.rlim_cur);
    assert_int_equal(budget.unlimited, limit.rlim_cur == RLIM_INFINITY);
}

/* CAP_IPC_LOCK lifts the limit, as the first user namespace's root has it; we see it tried. */
static void the_capability_lifts_the_limit(void **state)
{
    static const struct fake_file capable[] = {{"/proc/self/status", "CapEff:\t4000\n"}, {0}};
    static const struct fake_file almost[] = {{"/proc/self/status", "CapEff:\t1ffffffbfff\n"}, {0}};
    struct lethe_mem_budget budget;
    struct rlimit limit;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    fake_read(almost);
    assert_result(LETHE_OK, lethe_mem_budget(&budget, NULL));
    assert_int_equal(budget.unlimited, limit.rlim_cur == RLIM_INFINITY);

    char name[64] = "";
    assert_true(readlink("/proc/self/ns/user", name, sizeof name - 1) > 0);
    fake_read(capable);
    assert_result(LETHE_OK, lethe_mem_budget(&budget, NULL));
    assert_int_equal(budget.unlimited,
                     strcmp(name, "user:[4026531837]") == 0 || limit.rlim_cur == RLIM_INFINITY);
}

/* Root of another user namespace has the capability by name only. */
static void enter_user_namespace(void *unused)
{
    struct lethe_mem_budget budget;
    setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){64 << 10, 64 << 10});
    if (unshare(CLONE_NEWUSER) != 0)
        _exit(77);
    child_require(lethe_mem_budget(&budget, NULL) == LETHE_OK);
    child_require(!budget.unlimited);
    void *pages = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    child_require(real_host.mlock(pages, 1 << 20) != 0); /* the kernel agrees */
}

static void the_capability_of_another_namespace_does_not(void **state)
{
    struct child child = run_child(enter_user_namespace, NULL);
    if (child.exit_code == 77) {
        print_message("user namespaces are not allowed here\n");
        skip();
    }
    if (child.exit_code != 0)
        fail_msg("%s", child.said);
}

static void unreadable_limits_are_an_error(void **state)
{
    const struct fake_file rows[][2] = {
        {{"/proc/self/status", NULL}},
        {{"/proc/self/maps", NULL}},
        {{"/proc/sys/vm/max_map_count", NULL}},
        {{"/proc/sys/vm/max_map_count", "many\n"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lethe_error err = {0};
        struct lethe_mem_budget budget;
        fake_read(rows[i]);
        assert_int_not_equal(lethe_mem_budget(&budget, &err), LETHE_OK);
        assert_non_null(strstr(err.text, rows[i][0].path));
    }
}

/* Splits one mapping until this process has `count` more. */
static void make_mappings(size_t count)
{
    uint8_t *pages = mmap(NULL, (count + 2) * 4096, PROT_READ,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    child_require(pages != MAP_FAILED);
    for (size_t i = 0; i < count; i += 2)
        if (mprotect(pages + (i + 1) * 4096, 4096, PROT_NONE) != 0)
            return; /* the kernel's own limit */
}

static void create_regions_near_the_limit(void *unused)
{
    struct lethe_error err = {0};
    struct lethe_mem_budget budget;
    struct lethe_region *region;
    struct lethe_region_options options = {.class_ = LETHE_CLASS_CONTENT};
    child_require(lethe_mem_budget(&budget, NULL) == LETHE_OK);
    make_mappings(budget.map_limit - budget.map_limit / 16 - 2000);
    lethe_result result;
    size_t created = 0;
    while ((result = lethe_region_create(1, &options, &region, &err)) == LETHE_OK)
        created++;
    child_require(created > 100);
    child_require(result == LETHE_LIMIT);
    child_require(strstr(err.text, "mappings") != NULL);
    child_require(strstr(err.hint, "vm.max_map_count=") != NULL);
    child_require(malloc((size_t)64 << 20) != NULL); /* others still have room */
}

static void too_many_mappings_are_refused_while_others_have_room(void **state)
{
    struct lethe_error err = {0};
    struct lethe_mem_budget budget;
    assert_ok(lethe_mem_budget(&budget, &err), &err);
    if (HAS_SANITIZER || budget.map_limit > 200000) {
        print_message("needs the usual vm.max_map_count, and no sanitizer\n");
        skip();
    }
    assert_child_succeeds(create_regions_near_the_limit, NULL);
}

/* At the kernel's own limit, cutting a region out from between two others' guards is refused; its
 * pages are given back all the same. */
static size_t refusals;

static int munmap_refuses_to_cut(void *address, size_t size_bytes)
{
    if (size_bytes > 8192 && refusals > 0 && refusals-- > 0) {
        errno = ENOMEM;
        return -1;
    }
    return real_host.munmap(address, size_bytes);
}

static void pages_are_given_back_even_at_the_limit(void **state)
{
    struct lethe_error err = {0};
    struct lethe_region *region;
    struct lethe_region_options options = {.class_ = LETHE_CLASS_CONTENT};
    assert_ok(lethe_region_create(8192, &options, &region, &err), &err);
    void *bytes = lethe_region_bytes(region);
    host.munmap = munmap_refuses_to_cut;
    refusals = 1;
    lethe_region_free(region);
    assert_int_equal(refusals, 0);
    unsigned char resident[2];
    assert_int_equal(mincore(bytes, 8192, resident), -1); /* ENOMEM: not mapped */
}

#define test_with_fakes(f) cmocka_unit_test_setup_teardown(f, fakes_install, fakes_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_with_fakes(the_budget_is_what_the_kernel_says),
        test_with_fakes(the_capability_lifts_the_limit),
        test_with_fakes(the_capability_of_another_namespace_does_not),
        test_with_fakes(unreadable_limits_are_an_error),
        test_with_fakes(too_many_mappings_are_refused_while_others_have_room),
        test_with_fakes(pages_are_given_back_even_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
