/* Each protection is attacked, and the same attack is made without it first (the control). */
#include "check.h"

#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/sandbox.h"
#include "check_child.h"
#include "check_files.h"
#include "ordinary.h"

#define NOT_HERE 77 /* a child's way to say that this host cannot show it */

/* Runs the body in a child; skips with the reason when the child says NOT_HERE. */
#define assert_child_holds(body, context, reason)                                                  \
    do {                                                                                           \
        int child = child_status(body, context);                                                   \
        if (WIFEXITED(child) && WEXITSTATUS(child) == NOT_HERE) {                                  \
            print_message("%s\n", reason);                                                         \
            skip();                                                                                \
        }                                                                                          \
        assert_exited(0, child);                                                                   \
    } while (0)

static void run_shell(const char *script)
{
    execl("/bin/sh", "sh", "-c", script, (char *)NULL);
    _exit(127);
}

/* ---- no dump ---- */

static bool can_open_memory_of(pid_t process)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", process);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    fd_close(fd);
    return fd >= 0;
}

static void be_the_victim(int commands, int answers)
{
    char byte;
    CHILD_REQUIRE(read(commands, &byte, 1) == 1);
    CHILD_REQUIRE(sandbox_no_dump(NULL) == LETHE_OK);
    CHILD_REQUIRE(write(answers, "x", 1) == 1);
    (void)!read(commands, &byte, 1); /* until the attacker is done */
    _exit(0);
}

/* The attacker is the victim's own parent, with the same user id. */
static void attack_memory(void *context)
{
    become_ordinary();
    int commands[2];
    int answers[2];
    char byte;
    CHILD_REQUIRE(pipe(commands) == 0 && pipe(answers) == 0);
    pid_t victim = fork();
    CHILD_REQUIRE(victim >= 0);
    if (victim == 0) {
        close(commands[1]);
        be_the_victim(commands[0], answers[1]);
    }
    close(answers[1]);
    bool before = can_open_memory_of(victim);
    CHILD_REQUIRE(write(commands[1], "x", 1) == 1);
    CHILD_REQUIRE(read(answers[0], &byte, 1) == 1);
    bool after = can_open_memory_of(victim);
    close(commands[1]);
    int status;
    CHILD_REQUIRE(waitpid(victim, &status, 0) == victim && status == 0);
    if (!before)
        _exit(NOT_HERE);
    CHILD_REQUIRE(!after);
}

static void a_process_that_is_not_dumpable_keeps_its_memory(void **state)
{
    assert_child_holds(attack_memory, NULL,
                       "this host lets nobody open the memory of an unprotected process either");
}

/* ---- no core ---- */

struct crash {
    const char *directory;
    bool protected;
};

static void crash_in_another_program(void *context)
{
    const struct crash *crash = context;
    struct rlimit limit;
    CHILD_REQUIRE(chdir(crash->directory) == 0);
    CHILD_REQUIRE(getrlimit(RLIMIT_CORE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    CHILD_REQUIRE(setrlimit(RLIMIT_CORE, &limit) == 0);
    if (crash->protected)
        CHILD_REQUIRE(sandbox_no_core_across_exec(NULL) == LETHE_OK);
    run_shell("kill -ABRT $$");
}

static void no_core_is_left_across_exec(void **state)
{
    CLEANUP(memory_free) char *directory = temp_dir();
    struct crash control = {directory, false};
    struct crash protected = {directory, true};
    int status = child_status(crash_in_another_program, &control);
    assert_killed_by(SIGABRT, status);
    if (!WCOREDUMP(status)) {
        print_message("no core is dumped here even without protection (limit, or core_pattern)\n");
        skip();
    }
    status = child_status(crash_in_another_program, &protected);
    assert_killed_by(SIGABRT, status);
    assert_false(WCOREDUMP(status));
}

static void look_at_limits_after_exec(void *context)
{
    struct rlimit limit;
    CHILD_REQUIRE(getrlimit(RLIMIT_CORE, &limit) == 0);
    if (limit.rlim_max == 0)
        _exit(NOT_HERE);
    CHILD_REQUIRE(sandbox_no_core_across_exec(NULL) == LETHE_OK);
    CHILD_REQUIRE(sandbox_no_core_across_exec(NULL) == LETHE_OK); /* twice is fine */
    run_shell("test $(cat /proc/self/coredump_filter) = 00000000 &&"
              " grep -q '^Max core file size  *1  *1  *bytes' /proc/self/limits");
}

static void the_core_limit_is_one_and_the_filter_empty(void **state)
{
    assert_child_holds(look_at_limits_after_exec, NULL, "the hard core limit is 0 already");
}

/* An ordinary user with a hard limit of 0 cannot have 1. */
static void live_with_a_hard_limit_of_zero(void *context)
{
    const struct rlimit none = {0, 0};
    become_ordinary();
    CHILD_REQUIRE(setrlimit(RLIMIT_CORE, &none) == 0);
    bool piped = *(bool *)context;
    struct lethe_error err = {0};
    lethe_result result = sandbox_no_core_across_exec(&err);
    CHILD_REQUIRE(result == (piped ? LETHE_UNPROTECTED : LETHE_OK));
    CHILD_REQUIRE(!piped || strstr(err.hint, "LimitCORE=1") != NULL);
}

static void a_hard_limit_of_zero_does_unless_cores_are_piped(void **state)
{
    CLEANUP(buffer_clear) struct buffer pattern = get_file("/proc/sys/kernel/core_pattern");
    bool piped = pattern.bytes[0] == '|';
    assert_exited(0, child_status(live_with_a_hard_limit_of_zero, &piped));
}

/* After sandbox_no_dump() an ordinary user's /proc/self belongs to root: an error, not silence. */
static void limit_cores_too_late(void *context)
{
    become_ordinary();
    CHILD_REQUIRE(sandbox_no_dump(NULL) == LETHE_OK);
    CHILD_REQUIRE(sandbox_no_core_across_exec(NULL) == LETHE_UNPROTECTED);
}

static void the_wrong_order_is_an_error(void **state)
{
    assert_exited(0, child_status(limit_cores_too_late, NULL));
}

/* ---- privileges and capabilities ---- */

static void gain_no_privileges(void *context)
{
    CHILD_REQUIRE(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0); /* the control */
    CHILD_REQUIRE(sandbox_no_new_privileges(NULL) == LETHE_OK);
    run_shell("grep -q '^NoNewPrivs:\t1$' /proc/self/status");
}

static void no_new_privileges_survive_exec(void **state)
{
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
        print_message("the whole test runs without new privileges\n");
        skip();
    }
    assert_exited(0, child_status(gain_no_privileges, NULL));
}

static bool can_make_mount_namespace(void)
{
    return unshare(CLONE_NEWNS) == 0;
}

static void change_sets(struct __user_cap_data_struct words[2], int call)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    CHILD_REQUIRE(syscall(call, &header, words) == 0);
}

/* In the inheritable and the ambient set too, where root has none by default. */
static void have_it_everywhere(int capability)
{
    struct __user_cap_data_struct words[2] = {0};
    change_sets(words, SYS_capget);
    words[CAP_TO_INDEX(capability)].inheritable |= CAP_TO_MASK(capability);
    change_sets(words, SYS_capset);
    CHILD_REQUIRE(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0);
}

static void try_to_get_it_back(int capability)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct words[2] = {0};
    change_sets(words, SYS_capget);
    words[CAP_TO_INDEX(capability)].permitted |= CAP_TO_MASK(capability);
    words[CAP_TO_INDEX(capability)].effective |= CAP_TO_MASK(capability);
    CHILD_REQUIRE(syscall(SYS_capset, &header, words) != 0 && errno == EPERM);
}

static void drop_sys_admin(void *context)
{
    if (geteuid() != 0 || !can_make_mount_namespace()) /* the control */
        _exit(NOT_HERE);
    have_it_everywhere(CAP_SYS_ADMIN);
    CHILD_REQUIRE(sandbox_drop_capability(CAP_SYS_ADMIN, NULL) == LETHE_OK);
    CHILD_REQUIRE(sandbox_drop_capability(CAP_SYS_ADMIN, NULL) == LETHE_OK);
    CHILD_REQUIRE(!can_make_mount_namespace() && errno == EPERM);
    CHILD_REQUIRE(mount("tmpfs", "/mnt", "tmpfs", 0, NULL) != 0 && errno == EPERM);
    try_to_get_it_back(CAP_SYS_ADMIN);
    /* A program that root executes gets the whole bounding set, so that is where it must be gone.
     * CAP_CHOWN, which was not dropped, is still there. */
    run_shell("for set in CapInh CapPrm CapEff CapBnd CapAmb; do"
              "  bits=0x$(sed -n \"s/^$set:\\t//p\" /proc/self/status);"
              "  [ $(( bits >> 21 & 1 )) = 0 ] || exit 1;"
              "  [ $set != CapEff ] || [ $(( bits & 1 )) = 1 ] || exit 2;"
              "done");
}

static void a_dropped_capability_is_gone_for_good(void **state)
{
    assert_child_holds(drop_sys_admin, NULL, "dropping CAP_SYS_ADMIN takes a root that has it");
}

static void drop_the_right_to_drop(void *context)
{
    if (geteuid() != 0)
        _exit(NOT_HERE);
    CHILD_REQUIRE(sandbox_drop_capability(CAP_SETPCAP, NULL) == LETHE_OK);
    CHILD_REQUIRE(sandbox_drop_capability(CAP_SYS_ADMIN, NULL) == LETHE_UNPROTECTED);
    CHILD_REQUIRE(!can_make_mount_namespace());
}

static void cap_setpcap_can_be_dropped_too(void **state)
{
    assert_child_holds(drop_the_right_to_drop, NULL, "dropping CAP_SETPCAP takes root");
}

static void drop_without_privilege(void *context)
{
    become_ordinary();
    if (prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) != 1 ||
        prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0)
        _exit(NOT_HERE);
    struct lethe_error err = {0};
    CHILD_REQUIRE(sandbox_drop_capability(CAP_SYS_ADMIN, &err) == LETHE_UNPROTECTED);
    CHILD_REQUIRE(strstr(err.hint, "no new privileges") != NULL);
    CHILD_REQUIRE(sandbox_no_new_privileges(NULL) == LETHE_OK);
    CHILD_REQUIRE(sandbox_drop_capability(CAP_SYS_ADMIN, &err) == LETHE_OK);
}

static void an_ordinary_user_needs_no_new_privileges_first(void **state)
{
    assert_child_holds(drop_without_privilege, NULL, "CAP_SYS_ADMIN is out of reach already");
}

static void a_capability_that_does_not_exist_is_refused(void **state)
{
    struct lethe_error err = {0};
    assert_result(LETHE_INVALID, sandbox_drop_capability(9999, &err));
    assert_result(LETHE_INVALID, sandbox_drop_capability(-1, &err));
}

/* ---- system calls ---- */

static const char *const with_getppid[] = {"exit_group", "write",   "prctl", "brk",
                                           "munmap",     "getppid", NULL};
static const char *const without_getppid[] = {"exit_group", "write",  "prctl",
                                              "brk",        "munmap", NULL};

/* At once: AddressSanitizer's _exit() makes a call that is not on the list. */
static void leave(void)
{
    syscall(SYS_exit_group, 0);
}

static void make_a_call(void *context)
{
    const char *const *allowed = context;
    CHILD_REQUIRE(sandbox_confine_calls(allowed, NULL) == LETHE_OK);
    CHILD_REQUIRE(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    syscall(SYS_getppid);
    leave();
}

static void a_call_outside_the_list_kills(void **state)
{
    assert_exited(0, child_status(make_a_call, (void *)with_getppid));
    assert_killed_by(SIGSYS, child_status(make_a_call, (void *)without_getppid));
}

static atomic_bool running, confined;

static void *call_from_a_thread(void *context)
{
    atomic_store(&running, true);
    while (!atomic_load(&confined))
        continue;
    syscall(SYS_getppid);
    leave();
    return NULL;
}

/* The thread is older than the filter; starting one takes calls that are not on the list. */
static void make_a_call_on_another_thread(void *context)
{
    pthread_t thread;
    CHILD_REQUIRE(pthread_create(&thread, NULL, call_from_a_thread, NULL) == 0);
    while (!atomic_load(&running))
        continue;
    CHILD_REQUIRE(sandbox_confine_calls(context, NULL) == LETHE_OK);
    atomic_store(&confined, true);
    for (;;) /* the other thread ends us, or the kernel does */
        continue;
}

static void every_thread_is_confined(void **state)
{
    assert_exited(0, child_status(make_a_call_on_another_thread, (void *)with_getppid));
    assert_killed_by(SIGSYS, child_status(make_a_call_on_another_thread, (void *)without_getppid));
}

static void names_must_exist_somewhere(void **state)
{
    static const char *const wrong[] = {"exit_group", "make_coffee", NULL};
    struct lethe_error err = {0};
    assert_result(LETHE_INVALID, sandbox_confine_calls(wrong, &err));
    assert_string_equal(err.text, "seccomp: there is no system call make_coffee");
    assert_true(syscall(SYS_getppid) > 0); /* nothing was confined */
}

static void allow_a_call_of_another_architecture(void *context)
{
    static const char *const allowed[] = {"exit_group", "brk", "munmap", "arm_fadvise64_64", NULL};
    CHILD_REQUIRE(sandbox_confine_calls(allowed, NULL) == LETHE_OK);
    leave();
}

static void names_of_other_architectures_are_fine(void **state)
{
    assert_exited(0, child_status(allow_a_call_of_another_architecture, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_is_not_dumpable_keeps_its_memory),
        cmocka_unit_test(no_core_is_left_across_exec),
        cmocka_unit_test(the_core_limit_is_one_and_the_filter_empty),
        cmocka_unit_test(a_hard_limit_of_zero_does_unless_cores_are_piped),
        cmocka_unit_test(the_wrong_order_is_an_error),
        cmocka_unit_test(no_new_privileges_survive_exec),
        cmocka_unit_test(a_dropped_capability_is_gone_for_good),
        cmocka_unit_test(cap_setpcap_can_be_dropped_too),
        cmocka_unit_test(an_ordinary_user_needs_no_new_privileges_first),
        cmocka_unit_test(a_capability_that_does_not_exist_is_refused),
        cmocka_unit_test(a_call_outside_the_list_kills),
        cmocka_unit_test(every_thread_is_confined),
        cmocka_unit_test(names_must_exist_somewhere),
        cmocka_unit_test(names_of_other_architectures_are_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
