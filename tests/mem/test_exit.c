/* Z-4: what a process still holds when it exits is wiped then, sessions first. */
#include "check.h"

#include <pthread.h>

#include <lethe/mem.h>

#include "child.h"
#include "mem/slab.h"

static struct lethe_region *content, *key, *owned;
static struct lethe_secret *secret, *owned_secret;
static uint8_t *plain; /* the control: nobody wipes what malloc gave */

static void say_region(void *context, const struct lethe_wipe_report *report)
{
    fprintf(stderr, "region %s %s;", lethe_class_name(report->class_),
            report->verified ? "verified" : "not verified");
}

static void say_session(void *context, const struct lethe_session_report *report)
{
    fprintf(stderr, "session %s, %lu regions, %lu secrets, %s;",
            lethe_session_end_name(report->cause), (unsigned long)report->regions,
            (unsigned long)report->secrets, report->verified ? "verified" : "not verified");
}

/* Handlers run in reverse order: this one was there before the first allocation, and runs after
 * all was wiped. */
static void look_at_the_end(void)
{
    lethe_region_open(key);
    child_require(pattern_count(plain, 64, 90) == 1);
    child_require(lethe_is_zero(lethe_region_bytes(content), 4096));
    child_require(lethe_is_zero(lethe_region_bytes(key), 4096));
    child_require(lethe_is_zero(lethe_region_bytes(owned), 4096));
    child_require(lethe_is_zero(lethe_secret_bytes(secret), 64));
    child_require(lethe_secret_size(secret) == 0);
    child_require(lethe_is_zero(lethe_secret_bytes(owned_secret), 64));
    lethe_secret_free(secret); /* too late, but harmless */
    lethe_region_free(content);
    fputs("looked", stderr);
}

static void hold_and_exit(void *unused)
{
    struct lethe_region_options options = {.class_ = LETHE_CLASS_CONTENT};
    struct lethe_label label = {.session = "s"};
    struct lethe_session *session;
    child_require(atexit(look_at_the_end) == 0);
    lethe_mem_observe(&(struct lethe_mem_observer){say_region, say_session, NULL});

    plain = malloc(64);
    child_require(plain != NULL);
    child_require(lethe_region_create(4096, &options, &content, NULL) == LETHE_OK);
    options.class_ = LETHE_CLASS_KEY;
    child_require(lethe_region_create(4096, &options, &key, NULL) == LETHE_OK);
    child_require(lethe_secret_create(64, &secret, NULL) == LETHE_OK);
    child_require(lethe_session_create(&label, 0, 0, &session, NULL) == LETHE_OK);
    child_require(lethe_session_region(session, 4096, LETHE_CLASS_CONTENT, &owned, NULL) ==
                  LETHE_OK);
    child_require(lethe_session_secret(session, 64, &owned_secret, NULL) == LETHE_OK);

    pattern_fill(plain, 64, 90);
    pattern_fill(lethe_region_bytes(content), 4096, 91);
    lethe_region_open(key);
    pattern_fill(lethe_region_bytes(key), 4096, 92);
    lethe_region_close(key);
    pattern_fill(lethe_region_bytes(owned), 4096, 93);
    pattern_fill(lethe_secret_bytes(secret), 64, 94);
    pattern_fill(lethe_secret_bytes(owned_secret), 64, 95);
    exit(0);
}

static void what_lives_at_exit_is_wiped(void **state)
{
    struct child child = run_child(hold_and_exit, NULL);
    assert_int_equal(child.exit_code, 0);
    assert_string_equal(child.said, "region content verified;"
                                    "session process exit, 1 regions, 1 secrets, verified;"
                                    "region key verified;region content verified;looked");
}

/* ---- exiting while others work --------------------------------------------------------------- */

static void work_once(size_t size_bytes)
{
    struct lethe_region_options options = {.class_ = LETHE_CLASS_CONTENT};
    struct lethe_label label = {.session = "s"};
    CLEANUP(slab_free) void *object = NULL;
    CLEANUP(lethe_region_free) struct lethe_region *region = NULL;
    struct lethe_session *session;
    if (slab_alloc(size_bytes, &object, NULL) == LETHE_OK)
        memset(object, 1, size_bytes);
    if (lethe_region_create(4096, &options, &region, NULL) == LETHE_OK)
        memset(lethe_region_bytes(region), 1, 4096);
    if (lethe_session_create(&label, 0, 0, &session, NULL) == LETHE_OK)
        lethe_session_end(session, LETHE_SESSION_ENDED);
}

/* Creating may fail near the end, when the C library closes the files that we read. */
static void *keep_working(void *unused)
{
    for (size_t size_bytes = 65;; size_bytes = size_bytes < 128 ? size_bytes + 1 : 65)
        work_once(size_bytes);
    return NULL;
}

static void exit_while_others_work(void *delay_us)
{
    alarm(20);
    pthread_t threads[2];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        child_require(pthread_create(&threads[i], NULL, keep_working, NULL) == 0);
    usleep((useconds_t)(uintptr_t)delay_us);
    exit(0);
}

static void other_threads_survive_the_exit(void **state)
{
    for (uintptr_t i = 0; i < 30; i++)
        assert_child_succeeds(exit_while_others_work, (void *)(500 + i * 37));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_lives_at_exit_is_wiped),
        cmocka_unit_test(other_threads_survive_the_exit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
