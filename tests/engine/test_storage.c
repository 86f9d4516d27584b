/* The rungs of the hand-over, with each thing they need taken away: the next rung, or an error with
 * its remedy, and nothing left behind. */
#include "engine_fixture.h"

#include <linux/capability.h>
#include <linux/magic.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#include "base/sandbox.h"
#include "engine/namespace.h"
#include "engine/storage.h"
#include "mem/fakes.h"

#define NOT_HERE 77 /* a child's way to say that this host cannot show it */

/* ---- a world of its own ---------------------------------------------------------------------- */

/* A child whose /dev/shm is fresh, so that whatever is left there was left by it. The place in it
 * has one model. */
struct world {
    struct place *place;
    void (*body)(struct world *world);
    const void *context;
};

static unsigned leftovers(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/dev/shm");
    CHILD_REQUIRE(directory != NULL);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += strncmp(entry->d_name, "lethe-", 6) == 0 &&
                 strncmp(entry->d_name, "lethe-model-", 12) != 0;
    closedir(directory);
    return count;
}

static void live_in_world(void *context)
{
    struct world *world = context;
    bool ignored;
    be_a_child();
    if (namespace_enter(&ignored, NULL) != LETHE_OK ||
        mount("world", "/dev/shm", "tmpfs", 0, "mode=1777") != 0)
        _exit(NOT_HERE);
    setenv("XDG_RUNTIME_DIR", "/dev/shm", 1);
    CHILD_REQUIRE(place_setup((void **)&world->place) == 0);
    open_small_model(world->place);
    world->body(world);
    CHILD_REQUIRE(leftovers() == 0);
    CHILD_REQUIRE(place_teardown((void **)&world->place) == 0);
}

#define assert_in_world(body, context)                                                             \
    do {                                                                                           \
        struct world here = {NULL, body, context};                                                 \
        int status = child_status(live_in_world, &here);                                           \
        if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_HERE) {                                \
            print_message("this user may not mount what it takes\n");                              \
            skip();                                                                                \
        }                                                                                          \
        assert_exited(0, status);                                                                  \
    } while (0)

/* ---- the ladder, with calls that the kernel refuses ------------------------------------------ */

struct missing {
    const char *name;
    const char *calls[3]; /* that fail with `error` */
    int error;
    enum handover wanted;
    lethe_result result;
    enum handover got;
};

static void refuse(const struct missing *missing)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    for (size_t i = 0; i < ARRAY_LEN(missing->calls) && missing->calls[i] != NULL; i++) {
        int number = seccomp_syscall_resolve_name(missing->calls[i]);
        bool sealing = strcmp(missing->calls[i], "fcntl") == 0;
        uint32_t action = SCMP_ACT_ERRNO((uint32_t)missing->error);
        CHILD_REQUIRE((sealing ? seccomp_rule_add(filter, action, number, 1,
                                                  SCMP_A1(SCMP_CMP_EQ, F_ADD_SEALS))
                               : seccomp_rule_add(filter, action, number, 0)) == 0);
    }
    CHILD_REQUIRE(seccomp_load(filter) == 0);
    seccomp_release(filter);
}

static void run_without(struct world *world)
{
    const struct missing *missing = world->context;
    struct place *place = world->place;
    struct lethe_error *err = &place->models->err;
    const char *const words[] = {helper, place->out, "check", "{model}", "3", "100001", NULL};
    const struct engine_options options = options_of(place, missing->wanted, words);
    struct engine_exit end = {.wiped = true};
    refuse(missing);
    CLEANUP(engine_free) struct engine *engine = NULL;
    lethe_result result = engine_prepare(&options, &engine, err);
    if (result == LETHE_OK) {
        assert_int_equal(engine->ready.handover, missing->got);
        result = engine_run(engine, &place->services, &end, err);
    }
    assert_result(missing->result, result);
    assert_true(end.wiped);
    assert_int_equal(end.exit_code, 0);
    if (result == LETHE_UNPROTECTED)
        assert_int_not_equal(strlen(err->text), 0);
}

static void what_the_kernel_refuses_is_done_without_or_said(void **state)
{
    static const struct missing cases[] = {
        {"nothing", {NULL}, 0, HANDOVER_AUTO, LETHE_OK, HANDOVER_TMPFS},
        {"namespaces", {"unshare"}, EPERM, HANDOVER_AUTO, LETHE_OK, HANDOVER_MEMFD},
        {"namespaces", {"unshare"}, EPERM, HANDOVER_TMPFS, LETHE_UNPROTECTED, 0},
        {"mounting", {"mount"}, EPERM, HANDOVER_AUTO, LETHE_OK, HANDOVER_MEMFD},
        {"mounting", {"mount"}, EPERM, HANDOVER_TMPFS, LETHE_UNPROTECTED, 0},
        {"memfd", {"memfd_create"}, ENOSYS, HANDOVER_AUTO, LETHE_OK, HANDOVER_TMPFS},
        {"memfd", {"memfd_create"}, ENOSYS, HANDOVER_MEMFD, LETHE_UNPROTECTED, 0},
        {"both", {"unshare", "memfd_create"}, ENOSYS, HANDOVER_AUTO, LETHE_UNPROTECTED, 0},
        {"seals", {"fcntl"}, EINVAL, HANDOVER_MEMFD, LETHE_UNPROTECTED, HANDOVER_MEMFD},
        {"locking", {"mlock2"}, EPERM, HANDOVER_MEMFD, LETHE_OK, HANDOVER_MEMFD},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("without %s, wanted %s\n", cases[i].name, handover_name(cases[i].wanted));
        assert_in_world(run_without, &cases[i]);
    }
}

/* ---- where the engine writes ----------------------------------------------------------------- */

static void create_storage_on_a_disk(struct world *world)
{
    struct place *place = world->place;
    struct lethe_error *err = &place->models->err;
    const char *const words[] = {"true", "{model}", NULL};
    const struct engine_options options = options_of(place, HANDOVER_MEMFD, words);
    struct storage storage;
    struct statfs system;
    if (statfs("/var/tmp", &system) != 0 || system.f_type == TMPFS_MAGIC ||
        mount("/var/tmp", "/dev/shm", NULL, MS_BIND, NULL) != 0)
        _exit(NOT_HERE);
    unsigned before = leftovers();
    assert_result(LETHE_UNPROTECTED, storage_create(&options, HANDOVER_MEMFD, -1, &storage, err));
    assert_non_null(strstr(err->text, "disk"));
    assert_int_equal(leftovers(), before);
    CHILD_REQUIRE(umount2("/dev/shm", MNT_DETACH) == 0);
}

/* ---- swap ------------------------------------------------------------------------------------ */

struct swapping {
    bool lockable;
    bool swap;
    bool allowed;
    enum swap_safety safety; /* SWAP_UNSAFE without `allowed`: refused */
};

static void create_storage_under(void *context)
{
    const struct swapping *swapping = context;
    be_a_child();
    struct place *place;
    CHILD_REQUIRE(place_setup((void **)&place) == 0);
    open_small_model(place);
    const char *const words[] = {"true", "{model}", NULL};
    struct engine_options options = options_of(place, HANDOVER_MEMFD, words);
    options.allow_swap = swapping->allowed;
    const rlim_t lockable = swapping->lockable ? (rlim_t)8 << 20 : 4096;
    const struct rlimit locks = {lockable, lockable};
    CHILD_REQUIRE(sandbox_no_new_privileges(NULL) == LETHE_OK);
    CHILD_REQUIRE(sandbox_drop_capability(CAP_IPC_LOCK, NULL) == LETHE_OK);
    CHILD_REQUIRE(setrlimit(RLIMIT_MEMLOCK, &locks) == 0);
    fakes_install(NULL);
    fake_read(swapping->swap ? swap_on_disk : no_swap);
    struct storage storage;
    struct lethe_error err = {0};
    lethe_result result = storage_create(&options, HANDOVER_MEMFD, -1, &storage, &err);
    if (swapping->safety == SWAP_UNSAFE && !swapping->allowed) {
        assert_result(LETHE_UNPROTECTED, result);
        assert_non_null(strstr(err.hint, "--allow-swap"));
        assert_null(storage.files);
    } else {
        assert_ok(result, &err);
        assert_int_equal(storage.safety, swapping->safety);
        storage_destroy(&storage);
    }
    fakes_remove(NULL);
    CHILD_REQUIRE(place_teardown((void **)&place) == 0);
}

static void weights_do_not_go_to_swap(void **state)
{
    static const struct swapping cases[] = {{true, true, false, SWAP_LOCKED},
                                            {true, false, false, SWAP_LOCKED},
                                            {false, false, false, SWAP_NONE},
                                            {false, true, false, SWAP_UNSAFE},
                                            {false, true, true, SWAP_UNSAFE}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_exited(0, child_status(create_storage_under, (void *)(uintptr_t)&cases[i]));
}

static void the_best_tmpfs_is_taken(struct world *world)
{
    struct place *place = world->place;
    struct engine_host given;
    engine_probe(&given);
    const char *const words[] = {"true", "{model}", NULL};
    const struct engine_options options = options_of(place, HANDOVER_TMPFS, words);
    struct storage storage;
    assert_ok(storage_create(&options, HANDOVER_TMPFS, -1, &storage, &place->models->err),
              &place->models->err);
    assert_int_equal(storage.safety == SWAP_NO_SWAP_FS, given.swap[0].holds);
    size_t size_bytes;
    CLEANUP(memory_free) char *mounts = (char *)get_file("/proc/self/mounts", &size_bytes);
    char point[300];
    snprintf(point, sizeof point, " %s/models tmpfs ", storage.directory);
    char *line = strstr(mounts, point);
    assert_non_null(line);
    *strchr(line, '\n') = '\0';
    assert_int_equal(strstr(line, "noswap") != NULL, given.swap[0].holds);
    assert_int_equal(strstr(line, "huge=always") != NULL, given.tmpfs_huge);
    assert_non_null(strstr(line, "nosuid,nodev"));
    storage_destroy(&storage);
}

/* ---- what does not fit ----------------------------------------------------------------------- */

static void fail_while_making_files(struct world *world)
{
    struct place *place = world->place;
    const struct rlimit small = {SMALL_BYTES / 2, SMALL_BYTES / 2};
    signal(SIGXFSZ, SIG_IGN);
    CHILD_REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    for (enum handover handover = HANDOVER_AUTO; handover <= HANDOVER_MEMFD; handover++) {
        const char *const words[] = {"true", "{model}", NULL};
        const struct engine_options options = options_of(place, handover, words);
        struct engine *engine;
        assert_result(LETHE_NO_SPACE, engine_prepare(&options, &engine, &place->models->err));
        assert_int_equal(leftovers(), 0);
        assert_int_equal(count_names(AT(place->models, "run")), 0);
    }
}

static void fail_for_want_of_descriptors(struct world *world)
{
    struct place *place = world->place;
    const char *const words[] = {"true", "{model}", NULL};
    const struct engine_options options = options_of(place, HANDOVER_AUTO, words);
    const struct rlimit few = {40, 40};
    struct engine *engine;
    CHILD_REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
    assert_result(LETHE_LIMIT, engine_prepare(&options, &engine, &place->models->err));
    assert_non_null(strstr(place->models->err.hint, "LimitNOFILE"));
}

static void fail_for_want_of_memory(struct world *world)
{
    struct place *place = world->place;
    const char *const words[] = {"true", "{model}", NULL};
    const struct engine_options options = options_of(place, HANDOVER_AUTO, words);
    struct engine *engine;
    struct model_file *file = &model_manifest(place->list[0].model)->files.items[0];
    file->size_bytes = (uint64_t)1 << 50;
    assert_result(LETHE_NO_MEMORY, engine_prepare(&options, &engine, &place->models->err));
    assert_non_null(strstr(place->models->err.text, "1.00 PiB"));
    file->size_bytes = SMALL_BYTES;
}

static void fail_without_a_run_directory(struct world *world)
{
    struct place *place = world->place;
    const char *const words[] = {"true", "{model}", NULL};
    struct engine_options options = options_of(place, HANDOVER_AUTO, words);
    struct engine *engine;
    options.run_directory = "/nonexistent/home/run";
    assert_result(LETHE_NOT_FOUND, engine_prepare(&options, &engine, &place->models->err));
}

#define WORLD_TEST(name, body)                                                                     \
    static void name(void **state)                                                                 \
    {                                                                                              \
        assert_in_world(body, NULL);                                                               \
    }
WORLD_TEST(a_home_on_a_disk_is_refused, create_storage_on_a_disk)
WORLD_TEST(a_tmpfs_has_all_that_the_host_can_give, the_best_tmpfs_is_taken)
WORLD_TEST(a_failure_half_way_leaves_nothing, fail_while_making_files)
WORLD_TEST(too_few_descriptors_are_named, fail_for_want_of_descriptors)
WORLD_TEST(too_little_memory_is_named, fail_for_want_of_memory)
WORLD_TEST(no_run_directory_is_no_run, fail_without_a_run_directory)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_kernel_refuses_is_done_without_or_said),
        cmocka_unit_test(a_home_on_a_disk_is_refused),
        cmocka_unit_test(weights_do_not_go_to_swap),
        cmocka_unit_test(a_tmpfs_has_all_that_the_host_can_give),
        cmocka_unit_test(a_failure_half_way_leaves_nothing),
        cmocka_unit_test(too_few_descriptors_are_named),
        cmocka_unit_test(too_little_memory_is_named),
        cmocka_unit_test(no_run_directory_is_no_run),
    };
    engine_tests_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
