/* A file is the old one or the new one, whatever fails and whenever the process dies. Calls are
 * made to fail, or to kill, by seccomp: that is the kernel's own answer, not a stand-in's. */
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "base/error.h"
#include "check_child.h"
#include "check_files.h"

#define NEW_BYTES ((size_t)200000)

static char new_content[NEW_BYTES];

static lethe_result write_new(const char *path, bool replace, struct lethe_error *err)
{
    return file_write_atomic(AT_FDCWD, path, new_content, NEW_BYTES, 0600, replace, err);
}

/* Entries of the directory, without "." and ".."; far too many when it cannot be read. */
static unsigned count_entries(const char *directory)
{
    DIR *entries = opendir(directory);
    if (entries == NULL)
        return UINT_MAX;
    unsigned count = 0;
    while (readdir(entries) != NULL)
        count++;
    closedir(entries);
    return count - 2;
}

static void assert_is_old(const char *path)
{
    CLEANUP(buffer_clear) struct buffer content = get_file(path);
    assert_string_equal(content.bytes, "old");
}

static void assert_is_new(const char *path)
{
    CLEANUP(buffer_clear) struct buffer content = get_file(path);
    assert_int_equal(content.size_bytes, NEW_BYTES);
    assert_memory_equal(content.bytes, new_content, NEW_BYTES);
}

static void files_are_created_and_replaced(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(memory_free) char *directory = temp_dir();
    CLEANUP(memory_free) char *path = path_join(directory, "file");
    assert_ok(write_new(path, false, &err), &err);
    assert_is_new(path);
    put_file(path, "old", 3);
    assert_result(LETHE_EXISTS, write_new(path, false, &err));
    assert_is_old(path);
    assert_ok(write_new(path, true, &err), &err);
    assert_is_new(path);
    assert_ok(file_write_atomic(AT_FDCWD, path, NULL, 0, 0600, true, &err), &err);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(count_entries(directory), 1);
}

static void paths_are_relative_to_the_directory(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(memory_free) char *directory = temp_dir();
    CLEANUP(memory_free) char *path = path_join(directory, "below/file");
    CLEANUP(memory_free) char *below = path_join(directory, "below");
    CLEANUP(fd_close) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_result(LETHE_NOT_FOUND, file_write_atomic(fd, "below/file", "x", 1, 0600, true, &err));
    assert_ok(file_make_directories(below, 0700, &err), &err);
    assert_ok(file_write_atomic(fd, "below/file", "x", 1, 0600, false, &err), &err);
    assert_ok(file_write_atomic(fd, "file", "x", 1, 0600, false, &err), &err);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(count_entries(directory), 2);
    assert_result(LETHE_IO, file_write_atomic(fd, "below", "x", 1, 0600, true, &err));
    assert_result(LETHE_NOT_FOUND, file_write_atomic(fd, "below/", "x", 1, 0600, true, &err));
    assert_int_equal(count_entries(below), 1);
}

/* A link in the place of the file is replaced, not followed. */
static void a_symlink_is_not_written_through(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(memory_free) char *target = temp_path("target");
    CLEANUP(memory_free) char *link = temp_path("link");
    put_file(target, "old", 3);
    assert_int_equal(symlink(target, link), 0);
    assert_ok(write_new(link, true, &err), &err);
    assert_is_old(target);
    assert_is_new(link);
}

/* One way for a call to go wrong. In the writing process the directory is descriptor `directory`
 * and the temporary file the next. */
struct fault {
    const char *call;
    bool on_directory, on_file; /* only on this descriptor; neither: on any */
    int number;                 /* the errno it gives */
    bool replace;
    lethe_result expected;
    bool is_new; /* afterwards the file is the new one */
    bool named;  /* only where every file has a name */
};

static const struct fault faults[] = {
    {"openat", false, false, EACCES, true, LETHE_IO, false},
    {"write", false, false, EIO, true, LETHE_IO, false},
    {"write", false, false, ENOSPC, true, LETHE_NO_SPACE, false},
    {"write", false, false, EDQUOT, true, LETHE_NO_SPACE, false},
    {"getrandom", false, false, ENOSYS, true, LETHE_FAILED, false},
    {"fsync", false, true, EIO, true, LETHE_IO, false},
    {"fsync", false, true, ENOSPC, true, LETHE_NO_SPACE, false},
    {"close", false, true, EIO, true, LETHE_IO, false},
    {"renameat", false, false, EIO, true, LETHE_IO, false},
    {"fsync", true, false, EIO, true, LETHE_IO, true},
    {"renameat2", false, false, EIO, false, LETHE_IO, false, true},
    {"renameat2", false, false, EEXIST, false, LETHE_EXISTS, false, true},
};
/* The same of files without a name. */
static const struct fault nameless_faults[] = {
    {"linkat", false, false, EIO, true, LETHE_IO, false},
    {"linkat", false, false, EEXIST, true, LETHE_EXISTS, false},
    {"linkat", false, false, EIO, false, LETHE_IO, false},
    {"linkat", false, false, EEXIST, false, LETHE_EXISTS, false},
};

struct attempt {
    const char *path;
    const struct fault *fault;
    uint32_t action; /* what seccomp does at the call */
    bool has_names;  /* the file system has no files without a name */
};

static void add_names(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp is_nameless = SCMP_A2(SCMP_CMP_MASKED_EQ, O_TMPFILE, O_TMPFILE);
    CHILD_REQUIRE(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EOPNOTSUPP), SCMP_SYS(openat), 1,
                                   is_nameless) == 0);
}

static void arm(const struct attempt *attempt)
{
    int next = dup(STDERR_FILENO); /* the number that the directory will get */
    CHILD_REQUIRE(next >= 0 && close(next) == 0);
    const struct fault *fault = attempt->fault;
    int number = seccomp_syscall_resolve_name(fault->call);
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    CHILD_REQUIRE(filter != NULL && number >= 0);
    if (attempt->has_names && strcmp(fault->call, "openat") != 0)
        add_names(filter);
    if (fault->on_directory || fault->on_file) {
        struct scmp_arg_cmp is_it = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)(next + fault->on_file));
        CHILD_REQUIRE(seccomp_rule_add(filter, attempt->action, number, 1, is_it) == 0);
    } else {
        CHILD_REQUIRE(seccomp_rule_add(filter, attempt->action, number, 0) == 0);
    }
    CHILD_REQUIRE(seccomp_load(filter) == 0);
}

static void write_under_fault(void *context)
{
    const struct attempt *attempt = context;
    struct lethe_error err = {0};
    arm(attempt);
    lethe_result result = write_new(attempt->path, attempt->fault->replace, &err);
    CHILD_REQUIRE(result == attempt->fault->expected);
    CHILD_REQUIRE(err.text[0] != '\0');
}

static void fail_at(const struct fault *fault, bool has_names)
{
    CLEANUP(memory_free) char *directory = temp_dir();
    CLEANUP(memory_free) char *path = path_join(directory, "file");
    put_file(path, "old", 3);
    struct attempt attempt = {path, fault, SCMP_ACT_ERRNO((uint32_t)fault->number), has_names};
    if (child_status(write_under_fault, &attempt) != 0)
        fail_msg("%s with errno %d, %s", fault->call, fault->number,
                 has_names ? "named" : "without a name");
    if (fault->is_new)
        assert_is_new(path);
    else
        assert_is_old(path);
    assert_int_equal(count_entries(directory), 1);
}

static void every_failing_call_leaves_the_old_file(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        fail_at(&faults[i], true);
        if (!faults[i].named)
            fail_at(&faults[i], false);
    }
    for (size_t i = 0; i < ARRAY_LEN(nameless_faults); i++)
        fail_at(&nameless_faults[i], false);
}

/* Where files without a name are, nothing stays behind, but in the moment before it replaces. */
static void die_at(const struct fault *death, bool has_names)
{
    CLEANUP(memory_free) char *directory = temp_dir();
    CLEANUP(memory_free) char *path = path_join(directory, "file");
    put_file(path, "old", 3);
    struct attempt attempt = {path, death, SCMP_ACT_KILL_PROCESS, has_names};
    assert_killed_by(SIGSYS, child_status(write_under_fault, &attempt));
    if (death->is_new)
        assert_is_new(path);
    else
        assert_is_old(path);
    bool may_leave = has_names || strcmp(death->call, "renameat") == 0;
    assert_in_range(count_entries(directory), 1, may_leave ? 2 : 1);
}

/* kill -9 at each step: what stays behind is at most a temporary file with our prefix. */
static void a_process_that_dies_leaves_the_old_or_the_new_file(void **state)
{
    static const struct fault deaths[] = {
        {"openat", false, false, 0, true, LETHE_OK, false},
        {"write", false, false, 0, true, LETHE_OK, false},
        {"fsync", false, true, 0, true, LETHE_OK, false},
        {"close", false, true, 0, true, LETHE_OK, false},
        {"renameat", false, false, 0, true, LETHE_OK, false},
        {"fsync", true, false, 0, true, LETHE_OK, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(deaths); i++) {
        die_at(&deaths[i], true);
        die_at(&deaths[i], false);
    }
    die_at(&(struct fault){.call = "linkat"}, false);
    die_at(&(struct fault){.call = "linkat", .replace = true}, false);
}

/* File systems without RENAME_NOREPLACE (NFS) say EINVAL. */
/* What is held, is no file, or has another name stays. */
static void what_the_dead_left_is_removed(void **state)
{
    static const char *const names[] = {
        FILE_TEMPORARY_PREFIX "0123456789abcdef",  /* left over */
        FILE_TEMPORARY_PREFIX "00000000deadbeef",  /* somebody is writing it */
        FILE_TEMPORARY_PREFIX "0123456789abcdef0", /* not ours */
        FILE_TEMPORARY_PREFIX "0123456789ABCDEF",
    };
    struct lethe_error err = {0};
    CLEANUP(memory_free) char *directory = temp_dir();
    CLEANUP(memory_free) char *path = path_join(directory, "file");
    CLEANUP(fd_close) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP(memory_free) char *other = path_join(directory, names[i]);
        put_file(other, "a key", 5);
    }
    assert_int_equal(symlinkat("file", fd, FILE_TEMPORARY_PREFIX "1111111111111111"), 0);
    CLEANUP(fd_close) int held = openat(fd, names[1], O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(held, LOCK_EX), 0);

    assert_ok(write_new(path, true, &err), &err);
    assert_int_equal(faccessat(fd, names[0], F_OK, 0), -1);
    for (size_t i = 1; i < ARRAY_LEN(names); i++)
        assert_int_equal(faccessat(fd, names[i], F_OK, 0), 0);
    assert_int_equal(count_entries(directory), 5);
}

static void write_without_noreplace(void *context)
{
    const struct fault fault = {.call = "renameat2"};
    const struct attempt attempt = {context, &fault, SCMP_ACT_ERRNO(EINVAL), true};
    struct lethe_error err = {0};
    arm(&attempt);
    CHILD_REQUIRE(write_new(context, false, &err) == LETHE_OK);
    CHILD_REQUIRE(write_new(context, false, &err) == LETHE_EXISTS);
}

static void a_file_system_without_noreplace_is_served(void **state)
{
    CLEANUP(memory_free) char *directory = temp_dir();
    CLEANUP(memory_free) char *path = path_join(directory, "file");
    assert_exited(0, child_status(write_without_noreplace, path));
    assert_is_new(path);
    assert_int_equal(count_entries(directory), 1);
}

struct limited {
    const char *path;
    rlim_t limit_bytes;
};

static void write_under_limit(void *context)
{
    const struct limited *limited = context;
    struct rlimit limit = {limited->limit_bytes, limited->limit_bytes};
    signal(SIGXFSZ, SIG_IGN);
    CHILD_REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHILD_REQUIRE(write_new(limited->path, true, NULL) == LETHE_NO_SPACE);
}

/* The write stops at each of these bytes; short writes happen on the way. */
static void a_write_cut_short_anywhere_leaves_the_old_file(void **state)
{
    static const rlim_t limits[] = {0, 1, 4095, 4096, 100000, NEW_BYTES - 1};
    CLEANUP(memory_free) char *directory = temp_dir();
    CLEANUP(memory_free) char *path = path_join(directory, "file");
    put_file(path, "old", 3);
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        struct limited limited = {path, limits[i]};
        assert_exited(0, child_status(write_under_limit, &limited));
        assert_is_old(path);
        assert_int_equal(count_entries(directory), 1);
    }
}

#define NO_MOUNT 77

/* A disk of 64 KiB that only this child sees. */
static void write_to_a_small_disk(void *context)
{
    const char *directory = context;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", directory, "tmpfs", 0, "size=65536") != 0)
        _exit(NO_MOUNT);
    CLEANUP(memory_free) char *path = path_join(directory, "file");
    CLEANUP(buffer_clear) struct buffer content = {0};
    CHILD_REQUIRE(file_write_atomic(AT_FDCWD, path, "old", 3, 0600, false, NULL) == LETHE_OK);
    CHILD_REQUIRE(write_new(path, true, NULL) == LETHE_NO_SPACE);
    CHILD_REQUIRE(file_read_all(AT_FDCWD, path, 100, &content, NULL) == LETHE_OK);
    CHILD_REQUIRE(strcmp(content.bytes, "old") == 0);
    CHILD_REQUIRE(count_entries(directory) == 1);
}

static void a_full_disk_leaves_the_old_file(void **state)
{
    char *directory = temp_dir();
    int status = child_status(write_to_a_small_disk, directory);
    free(directory); /* here, because skip() jumps out of the scope */
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_MOUNT) {
        print_message("mounting a small disk takes root\n");
        skip();
    }
    assert_exited(0, status);
}

int main(void)
{
    for (size_t i = 0; i < NEW_BYTES; i++)
        new_content[i] = (char)(i * 13 >> 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_created_and_replaced),
        cmocka_unit_test(paths_are_relative_to_the_directory),
        cmocka_unit_test(a_symlink_is_not_written_through),
        cmocka_unit_test(every_failing_call_leaves_the_old_file),
        cmocka_unit_test(a_process_that_dies_leaves_the_old_or_the_new_file),
        cmocka_unit_test(what_the_dead_left_is_removed),
        cmocka_unit_test(a_file_system_without_noreplace_is_served),
        cmocka_unit_test(a_write_cut_short_anywhere_leaves_the_old_file),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
