/* Z-7: what a forked child sees of its parent's guarded memory, and what it may do with it. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <lethe/mem.h>

#include "child.h"
#include "mem/slab.h"

static struct {
    struct lethe_region *content;
    struct lethe_region *key;
    struct lethe_secret *secret;
    struct lethe_session *session;
    uint8_t *plain; /* malloc: the control */
    unsigned reports;
} parent;

static void count_region(void *context, const struct lethe_wipe_report *report)
{
    parent.reports++;
}

static void count_session(void *context, const struct lethe_session_report *report)
{
    parent.reports++;
}

static int fill_parent(void **state)
{
    struct lethe_error err = {0};
    struct lethe_region_options options = {.class_ = LETHE_CLASS_CONTENT};
    struct lethe_label label = {.session = "s"};
    struct lethe_region *owned;
    assert_ok(lethe_region_create(8192, &options, &parent.content, &err), &err);
    options.class_ = LETHE_CLASS_KEY;
    assert_ok(lethe_region_create(4096, &options, &parent.key, &err), &err);
    assert_ok(lethe_secret_create(64, &parent.secret, &err), &err);
    assert_ok(lethe_session_create(&label, 0, 0, &parent.session, &err), &err);
    assert_ok(lethe_session_region(parent.session, 4096, LETHE_CLASS_CONTENT, &owned, &err), &err);
    parent.plain = malloc(64);
    assert_non_null(parent.plain);

    pattern_fill(lethe_region_bytes(parent.content), 8192, 61);
    lethe_region_open(parent.key);
    pattern_fill(lethe_region_bytes(parent.key), 4096, 62);
    pattern_fill(lethe_secret_bytes(parent.secret), 64, 63);
    pattern_fill(parent.plain, 64, 64);
    return 0;
}

/* The parent's own are as they were, whatever the child did. */
static int check_parent(void **state)
{
    assert_int_equal(pattern_count(lethe_region_bytes(parent.content), 8192, 61), 1);
    assert_int_equal(pattern_count(lethe_region_bytes(parent.key), 4096, 62), 1);
    assert_int_equal(pattern_count(lethe_secret_bytes(parent.secret), 64, 63), 1);
    lethe_region_close(parent.key);
    lethe_session_end(parent.session, LETHE_SESSION_ENDED);
    lethe_secret_free(parent.secret);
    lethe_region_free(parent.key);
    lethe_region_free(parent.content);
    free(parent.plain);
    lethe_mem_observe(NULL);
    return 0;
}

static void look(void *unused)
{
    child_require(pattern_count(parent.plain, 64, 64) ==
                  1); /* this is what inheriting looks like */
    child_require(lethe_is_zero(lethe_region_bytes(parent.content), 8192));
    child_require(lethe_is_zero(lethe_secret_bytes(parent.secret), 64));
    child_require(lethe_secret_size(parent.secret) == 64);
}

static void look_at_key(void *unused)
{
    if ((lethe_region_protections(parent.key) & LETHE_SECRET) == 0) {
        child_require(lethe_is_zero(lethe_region_bytes(parent.key), 4096));
        raise(SIGSEGV); /* as good as not there */
    }
    (void)*(volatile uint8_t *)lethe_region_bytes(parent.key);
}

static void a_child_sees_nothing(void **state)
{
    assert_child_succeeds(look, NULL);
    assert_child_dies(look_at_key, NULL, SIGSEGV, "");
}

static void use_own(void)
{
    struct lethe_error err = {0};
    struct lethe_region_options options = {.class_ = LETHE_CLASS_CONTENT};
    struct lethe_secret *secret;
    struct lethe_region *region;
    child_require(lethe_secret_create(64, &secret, &err) == LETHE_OK);
    child_require(secret != parent.secret);
    /* The parent's arena is not locked in the child; the new one must be. */
    struct lethe_mem_budget budget;
    child_require(lethe_mem_budget(&budget, NULL) == LETHE_OK);
    child_require(!budget.unlimited || budget.lock_used_bytes >= (112 << 10));
    pattern_fill(lethe_secret_bytes(secret), 64, 65);
    lethe_secret_free(secret);
    child_require(lethe_region_create(8192, &options, &region, &err) == LETHE_OK);
    pattern_fill(lethe_region_bytes(region), 8192, 66);
    lethe_region_free(region);
}

static void use_own_then_free_inherited(void *unused)
{
    lethe_mem_observe(&(struct lethe_mem_observer){count_region, count_session, NULL});
    use_own();
    child_require(parent.reports == 1); /* its own region */
    lethe_secret_free(parent.secret);
    lethe_secret_free(parent.secret); /* means nothing here, twice too */
    lethe_region_free(parent.content);
    lethe_region_free(parent.key);
    lethe_session_end(parent.session, LETHE_SESSION_ENDED);
    child_require(parent.reports == 1); /* not a word of what was the parent's */
    use_own();
}

static void free_inherited_first(void *unused)
{
    lethe_secret_free(parent.secret);
    lethe_region_free(parent.key);
    use_own();
}

/* exit() runs the handler that the parent arranged. */
static void exit_at_once(void *unused)
{
    lethe_mem_observe(&(struct lethe_mem_observer){count_region, count_session, NULL});
    parent.reports = 0;
    exit(0);
}

static void a_child_makes_its_own_and_frees_what_it_inherited(void **state)
{
    assert_child_succeeds(use_own_then_free_inherited, NULL);
    assert_child_succeeds(free_inherited_first, NULL);
    assert_child_succeeds(exit_at_once, NULL);
}

static void have_a_child(void *act)
{
    struct child child = run_child(((void (**)(void *))act)[0], NULL);
    if (child.exit_code != 0)
        fputs(child.said, stderr);
    child_require(child.exit_code == 0);
}

static void a_grandchild_does_too(void **state)
{
    void (*act)(void *) = use_own_then_free_inherited;
    assert_child_succeeds(have_a_child, &act);
}

/* No handler of the C library runs in such a child. */
static void fork_behind_the_library(void *unused)
{
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    child_require(pid >= 0);
    if (pid == 0) {
        use_own_then_free_inherited(NULL);
        _exit(0);
    }
    int status;
    child_require(waitpid(pid, &status, 0) == pid && status == 0);
}

static void a_child_by_bare_clone_does_too(void **state)
{
    assert_child_succeeds(fork_behind_the_library, NULL);
}

/* ---- forking while another thread is in the middle of things --------------------------------- */

static atomic_bool stop;

static void *keep_allocating(void *unused)
{
    struct lethe_region_options options = {.class_ = LETHE_CLASS_CONTENT};
    while (!atomic_load(&stop)) {
        void *objects[80];
        for (size_t i = 0; i < ARRAY_LEN(objects); i++)
            if (slab_alloc(1 + i * 50, &objects[i], NULL) != LETHE_OK)
                abort();
        for (size_t i = 0; i < ARRAY_LEN(objects); i++)
            slab_free(objects[i]);
        struct lethe_region *region;
        if (lethe_region_create(1, &options, &region, NULL) != LETHE_OK)
            abort();
        lethe_region_free(region);
    }
    return NULL;
}

static void allocate_in_child(void *unused)
{
    alarm(20); /* a lock that was held at the fork would hang us */
    use_own();
}

static void locks_held_at_the_fork_do_not_matter(void **state)
{
    pthread_t thread;
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&thread, NULL, keep_allocating, NULL), 0);
    for (int i = 0; i < 40; i++)
        assert_child_succeeds(allocate_in_child, NULL);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}

#define test_with_parent(f) cmocka_unit_test_setup_teardown(f, fill_parent, check_parent)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_with_parent(a_child_sees_nothing),
        test_with_parent(a_child_makes_its_own_and_frees_what_it_inherited),
        test_with_parent(a_grandchild_does_too),
        test_with_parent(a_child_by_bare_clone_does_too),
        test_with_parent(locks_held_at_the_fork_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
