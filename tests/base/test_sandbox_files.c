/* Landlock is attacked, and the same attacks are made without it first (the control). */
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "base/sandbox.h"
#include "check_child.h"
#include "check_files.h"
#include "ordinary.h"

static long landlock_version(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, 1u /* ..._VERSION */);
}

static int open_below(const char *base, const char *name, int flags)
{
    CLEANUP(memory_free) char *path = path_join(base, name);
    return open(path, flags | O_CLOEXEC, 0600);
}

static bool opens(const char *base, const char *name, int flags)
{
    int fd = open_below(base, name, flags);
    fd_close(fd);
    CHILD_REQUIRE(fd >= 0 || errno == EACCES);
    return fd >= 0;
}

static bool executes(const char *base, const char *name)
{
    CLEANUP(memory_free) char *path = path_join(base, name);
    pid_t child = fork();
    if (child == 0) {
        execl(path, path, (char *)NULL);
        _exit(errno == EACCES ? 126 : 127);
    }
    int status;
    CHILD_REQUIRE(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHILD_REQUIRE(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 126);
    return WEXITSTATUS(status) == 0;
}

static bool truncates(const char *base, const char *name)
{
    CLEANUP(memory_free) char *path = path_join(base, name);
    return truncate(path, 0) == 0;
}

/* The controls: everything is possible before. */
static void require_free(const char *base)
{
    static const char *const names[] = {"readable/file", "writable/file", "other/file"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        CHILD_REQUIRE(opens(base, names[i], O_RDWR));
    CHILD_REQUIRE(opens(base, "other", O_RDONLY | O_DIRECTORY));
    CHILD_REQUIRE(executes(base, "other/true"));
    CHILD_REQUIRE(truncates(base, "other/file"));
}

static void require_confined(const char *base)
{
    CHILD_REQUIRE(opens(base, "readable/file", O_RDONLY));
    CHILD_REQUIRE(opens(base, "readable", O_RDONLY | O_DIRECTORY));
    CHILD_REQUIRE(!opens(base, "readable/file", O_WRONLY));
    CHILD_REQUIRE(!opens(base, "readable/new", O_WRONLY | O_CREAT));
    CHILD_REQUIRE(opens(base, "writable/file", O_RDWR | O_TRUNC));
    CHILD_REQUIRE(opens(base, "writable/new", O_WRONLY | O_CREAT));
    CHILD_REQUIRE(!opens(base, "other/file", O_RDONLY));
    CHILD_REQUIRE(!opens(base, "other/file", O_WRONLY));
    CHILD_REQUIRE(!opens(base, "other/new", O_WRONLY | O_CREAT));
    CHILD_REQUIRE(!opens(base, "other", O_RDONLY | O_DIRECTORY));
    CHILD_REQUIRE(!opens(base, "readable/to-other", O_RDONLY)); /* a symlink is no way out */
    CHILD_REQUIRE(!opens(base, "writable/../other/file", O_RDONLY));
    CHILD_REQUIRE(!executes(base, "other/true"));
    if (landlock_version() >= 3)
        CHILD_REQUIRE(!truncates(base, "other/file") && !truncates(base, "readable/file"));
}

static void live_in_two_directories(void *context)
{
    const char *base = context;
    CLEANUP(memory_free) char *readable = path_join(base, "readable");
    CLEANUP(memory_free) char *writable = path_join(base, "writable");
    require_free(base);
    int kept = open_below(base, "other/file", O_RDWR);
    const char *const read_only[] = {readable, "/dev/zero", NULL};
    const char *const read_write[] = {writable, "/dev/null", NULL};
    struct lethe_error err = {0};
    if (sandbox_confine_files(read_only, read_write, &err) != LETHE_OK) {
        fprintf(stderr, "%s\n", err.text);
        _exit(1);
    }
    require_confined(base);
    CHILD_REQUIRE(opens("/dev", "null", O_RDWR) && opens("/dev", "zero", O_RDONLY));
    CHILD_REQUIRE(!opens("/dev", "zero", O_RDWR) && !opens("/dev", "full", O_RDONLY));
    CHILD_REQUIRE(write(kept, "x", 1) == 1); /* what was open stays open */
    CHILD_REQUIRE(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

static char *make_rooms(void)
{
    static const char *const rooms[] = {"readable", "writable", "other"};
    char *base = temp_dir();
    for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
        const char *room = path_in(base, rooms[i]);
        assert_int_equal(mkdir(room, 0700), 0);
        put_file(path_in(room, "file"), "content", 7);
    }
    const char *script = path_in(base, "other/true");
    CLEANUP(memory_free) char *binary = realpath("/bin/true", NULL);
    CLEANUP(buffer_clear) struct buffer program = get_file(binary);
    put_file(script, program.bytes, program.size_bytes);
    assert_int_equal(chmod(script, 0700), 0);
    assert_int_equal(symlink("../other/file", path_in(base, "readable/to-other")), 0);
    return base;
}

static void a_confined_process_reaches_only_its_files(void **state)
{
    if (landlock_version() < 0) {
        print_message("this kernel has no Landlock\n");
        skip();
    }
    CLEANUP(memory_free) char *base = make_rooms();
    assert_exited(0, child_status(live_in_two_directories, base));
}

/* ---- other processes ------------------------------------------------------------------------- */

static bool enters(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/root/tmp", (int)pid);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd_close(fd);
    CHILD_REQUIRE(fd >= 0 || errno == EACCES);
    return fd >= 0;
}

static pid_t fork_sleeper(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    CHILD_REQUIRE(pid > 0);
    return pid;
}

static void stay_apart(void *context)
{
    const char *base = context;
    pid_t neighbour = fork_sleeper();
    CHILD_REQUIRE(enters(neighbour)); /* the control */
    CHILD_REQUIRE(sandbox_stay_apart(NULL) == LETHE_OK);
    CHILD_REQUIRE(!enters(neighbour));
    CHILD_REQUIRE(ptrace(PTRACE_SEIZE, neighbour, NULL, NULL) != 0 && errno == EPERM);

    pid_t child = fork_sleeper(); /* in the same domain */
    CHILD_REQUIRE(enters(child));
    CHILD_REQUIRE(opens(base, "writable/new", O_WRONLY | O_CREAT));
    CHILD_REQUIRE(executes(base, "other/true"));
    kill(child, SIGKILL);
    kill(neighbour, SIGKILL);
}

static void one_who_stays_apart_sees_no_process_outside(void **state)
{
    if (landlock_version() < 0) {
        print_message("this kernel has no Landlock\n");
        skip();
    }
    CLEANUP(memory_free) char *base = make_rooms();
    assert_exited(0, child_status(stay_apart, base));
}

static void confine_to_nothing(void *context)
{
    const char *const missing[] = {"/no/such/directory", NULL};
    const char *const none[] = {NULL};
    struct lethe_error err = {0};
    CHILD_REQUIRE(sandbox_confine_files(none, missing, &err) == LETHE_NOT_FOUND);
    CHILD_REQUIRE(strstr(err.text, "/no/such/directory") != NULL);
    CHILD_REQUIRE(opens("/", "tmp", O_RDONLY)); /* nothing was confined */
    become_ordinary();
    CHILD_REQUIRE(sandbox_confine_files(none, none, &err) == LETHE_OK);
    CHILD_REQUIRE(!opens("/", "tmp", O_RDONLY));
}

static void an_ordinary_user_can_be_confined_to_nothing(void **state)
{
    if (landlock_version() < 0) {
        print_message("this kernel has no Landlock\n");
        skip();
    }
    assert_exited(0, child_status(confine_to_nothing, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_confined_process_reaches_only_its_files),
        cmocka_unit_test(an_ordinary_user_can_be_confined_to_nothing),
        cmocka_unit_test(one_who_stays_apart_sees_no_process_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
