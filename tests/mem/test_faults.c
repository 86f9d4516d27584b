/* The Nth thing that is asked of the host fails, for every N: the error is clear, nothing leaks,
 * and what is had in spite of it has all its protections. */
#include "check.h"

#include <lethe/mem.h>

#include "child.h"
#include "failing_memory.h"
#include "fakes.h"

FAILS(calloc)
FAILS(reallocarray)

static void *faulty_mmap(void *address, size_t size_bytes, int access, int flags, int fd,
                         off_t offset)
{
    return fails_now() ? MAP_FAILED
                       : real_host.mmap(address, size_bytes, access, flags, fd, offset);
}

static int faulty_mprotect(void *address, size_t size_bytes, int access)
{
    return fails_now() ? -1 : real_host.mprotect(address, size_bytes, access);
}

static int faulty_mlock(const void *address, size_t size_bytes)
{
    return fails_now() ? -1 : real_host.mlock(address, size_bytes);
}

static int faulty_madvise(void *address, size_t size_bytes, int advice)
{
    return fails_now() ? -1 : real_host.madvise(address, size_bytes, advice);
}

static int faulty_memfd_secret(unsigned flags)
{
    return fails_now() ? -1 : real_host.memfd_secret(flags);
}

static FILE *faulty_open(const char *path)
{
    return fails_now() ? NULL : real_host.open(path);
}

static void fail_nth_call(unsigned n)
{
    host = (struct host){faulty_mmap,    real_host.munmap,    faulty_mprotect, faulty_mlock,
                         faulty_madvise, faulty_memfd_secret, faulty_open,     real_host.wipe};
    has_failed = false;
    calls_left = n;
}

static void stop_failing(void)
{
    host = real_host;
    calls_left = 0;
}

/* ---- what is tried --------------------------------------------------------------------------- */

static const unsigned always = LETHE_LOCKED | LETHE_UNDUMPABLE | LETHE_FORK_BLIND;

static lethe_result try_region(enum lethe_class class_, struct lethe_error *err)
{
    struct lethe_region_options options = {.class_ = class_, .huge_pages = true};
    struct lethe_region *region;
    lethe_result result = lethe_region_create((size_t)2 << 20, &options, &region, err);
    stop_failing();
    assert_int_equal(region != NULL, result == LETHE_OK);
    if (region != NULL)
        assert_int_equal(lethe_region_protections(region) & always, always);
    lethe_region_free(region);
    return result;
}

static lethe_result try_content(struct lethe_error *err)
{
    return try_region(LETHE_CLASS_CONTENT, err);
}

static lethe_result try_key(struct lethe_error *err)
{
    return try_region(LETHE_CLASS_KEY, err);
}

/* More than the arenas hold that are kept between tries. */
static lethe_result try_secrets(struct lethe_error *err)
{
    struct lethe_secret *secrets[100] = {NULL};
    lethe_result result = LETHE_OK;
    for (size_t i = 0; i < ARRAY_LEN(secrets) && result == LETHE_OK; i++)
        result = lethe_secret_create(4000, &secrets[i], err);
    stop_failing();
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
        lethe_secret_free(secrets[i]);
    return result;
}

static lethe_result fill_session(struct lethe_session *session, struct lethe_error *err)
{
    struct lethe_region *region;
    struct lethe_secret *secret;
    TRY(lethe_session_secret(session, 20, &secret, err));
    TRY(lethe_session_region(session, 1, LETHE_CLASS_CONTENT, &region, err));
    return lethe_session_region(session, 1, LETHE_CLASS_KEY, &region, err);
}

static lethe_result try_session(struct lethe_error *err)
{
    struct lethe_session *session;
    lethe_result result =
        lethe_session_create(&(struct lethe_label){.session = "s"}, 0, 0, &session, err);
    if (result == LETHE_OK)
        result = fill_session(session, err);
    stop_failing();
    lethe_session_end(session, LETHE_SESSION_ENDED);
    return result;
}

static struct lethe_mem_budget now(void)
{
    struct lethe_error err = {0};
    struct lethe_mem_budget budget;
    assert_ok(lethe_mem_budget(&budget, &err), &err);
    return budget;
}

/* The slab may keep an arena more or less for later. */
static void assert_nothing_leaked(const struct lethe_mem_budget *before)
{
    struct lethe_mem_budget after = now();
    assert_in_range(after.lock_used_bytes, 0, before->lock_used_bytes + 2 * (112 << 10));
    assert_in_range(after.map_used, 0, before->map_used + 10);
}

static void sweep(lethe_result (*try)(struct lethe_error *err))
{
    struct lethe_error err = {0};
    assert_ok(try(&err), &err); /* without faults; also makes what is kept between tries */
    struct lethe_mem_budget before = now();
    unsigned errors = 0;
    unsigned n = 0;
    do {
        err = (struct lethe_error){0};
        fail_nth_call(++n);
        lethe_result result = try(&err);
        errors += result != LETHE_OK;
        if (result != LETHE_OK && (err.code != result || err.text[0] == '\0'))
            fail_msg("fault %u: %s without a text", n, lethe_result_name(result));
        assert_nothing_leaked(&before);
    } while (has_failed);
    assert_true(errors >= 5); /* so that more than one leak would show */
}

static void every_fault_is_survived(void **state)
{
    lethe_result (*const tries[])(struct lethe_error * err) = {try_content, try_key, try_secrets,
                                                               try_session};
    for (size_t i = 0; i < ARRAY_LEN(tries); i++)
        sweep(tries[i]);
}

/* The same where swap is active, so that a lock that is refused is an error. */
static FILE *open_with_swap(const char *path)
{
    if (strcmp(path, "/proc/swaps") != 0)
        return fopen(path, "re");
    const char *text = swap_on_disk[0].text;
    return fmemopen((void *)(uintptr_t)text, strlen(text), "r");
}

static void every_fault_is_survived_where_swap_is_active(void **state)
{
    real_host.open = open_with_swap;
    host.open = open_with_swap;
    every_fault_is_survived(state);
    real_host.open = NULL; /* for the next fakes_install() */
}

#define test_with_fakes(f) cmocka_unit_test_setup_teardown(f, fakes_install, fakes_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_with_fakes(every_fault_is_survived),
        test_with_fakes(every_fault_is_survived_where_swap_is_active),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
