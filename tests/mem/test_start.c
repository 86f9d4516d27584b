/* The first use of the room in a process. Nothing is allocated here but in children, each of which
 * is a process that has not started. */
#include "check.h"

#include <pthread.h>

#include <lethe/mem.h>

#include "child.h"
#include "fakes.h"

static lethe_result create_secret(struct lethe_error *err)
{
    struct lethe_secret *secret;
    lethe_result result = lethe_secret_create(32, &secret, err);
    lethe_secret_free(secret);
    return result;
}

static void start_where_children_cannot_be_blinded(void *unused)
{
    struct lethe_error err = {0};
    struct lethe_session *session;
    failing_advice = MADV_WIPEONFORK;
    host.madvise = madvise_pretends;
    child_require(create_secret(&err) == LETHE_UNPROTECTED);
    child_require(strstr(err.text, "forked child") != NULL && err.hint[0] != '\0');
    child_require(lethe_session_create(&(struct lethe_label){.session = "s"}, 0, 0, &session,
                                       &err) == LETHE_UNPROTECTED);
    host.madvise = real_host.madvise;
    child_require(create_secret(&err) == LETHE_OK); /* a failed start can be tried again */
}

static void *mmap_fails(void *address, size_t size_bytes, int access, int flags, int fd,
                        off_t offset)
{
    errno = ENOMEM;
    return MAP_FAILED;
}

static void start_without_memory(void *unused)
{
    struct lethe_error err = {0};
    host.mmap = mmap_fails;
    child_require(create_secret(&err) == LETHE_NO_MEMORY);
    host.mmap = real_host.mmap;
    child_require(create_secret(&err) == LETHE_OK);
}

static void start_without_proc(void *unused)
{
    static const struct fake_file no_smaps[] = {{"/proc/self/smaps", NULL}, {0}};
    struct lethe_error err = {0};
    fake_read(no_smaps);
    child_require(create_secret(&err) == LETHE_NOT_FOUND);
    child_require(strstr(err.text, "/proc/self/smaps") != NULL);
}

static void a_start_that_fails_says_why_and_can_be_repeated(void **state)
{
    assert_child_succeeds(start_where_children_cannot_be_blinded, NULL);
    assert_child_succeeds(start_without_memory, NULL);
    assert_child_succeeds(start_without_proc, NULL);
}

static void exit_before_the_start(void *unused)
{
    lethe_secret_free(NULL);
    lethe_region_free(NULL);
    child_require(lethe_sessions_expire(1) == 0);
    child_require(lethe_mem_recheck(NULL) == LETHE_OK);
    exit(0);
}

static void nothing_is_needed_before_the_start(void **state)
{
    assert_child_succeeds(exit_before_the_start, NULL);
}

static pthread_barrier_t barrier;

static void *start_at_once(void *unused)
{
    pthread_barrier_wait(&barrier);
    child_require(create_secret(NULL) == LETHE_OK);
    return NULL;
}

static void start_in_many_threads(void *unused)
{
    pthread_t threads[8];
    pthread_barrier_init(&barrier, NULL, ARRAY_LEN(threads));
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        child_require(pthread_create(&threads[i], NULL, start_at_once, NULL) == 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
}

static void threads_may_start_together(void **state)
{
    for (int i = 0; i < 50; i++)
        assert_child_succeeds(start_in_many_threads, NULL);
}

#define test_with_fakes(f) cmocka_unit_test_setup_teardown(f, fakes_install, fakes_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_with_fakes(a_start_that_fails_says_why_and_can_be_repeated),
        cmocka_unit_test(nothing_is_needed_before_the_start),
        cmocka_unit_test(threads_may_start_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
