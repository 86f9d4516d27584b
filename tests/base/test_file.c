#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "check_files.h"

static void a_file_is_read_whole_under_its_cap(void **state)
{
    struct lethe_error err = {0};
    char content[40000];
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (char)(i * 31);
    CLEANUP(memory_free) char *path = temp_path("file");
    put_file(path, content, sizeof content);

    CLEANUP(buffer_clear) struct buffer out = {0};
    buffer_text(&out, "before");
    assert_ok(file_read_all(AT_FDCWD, path, sizeof content, &out, &err), &err);
    assert_int_equal(out.size_bytes, 6 + sizeof content);
    assert_memory_equal(out.bytes, "before", 6);
    assert_memory_equal(out.bytes + 6, content, sizeof content);
    buffer_truncate(&out, 6);
    assert_result(LETHE_LIMIT, file_read_all(AT_FDCWD, path, sizeof content - 1, &out, &err));
    assert_int_equal(out.size_bytes, 6); /* as before */
    assert_result(LETHE_LIMIT, file_read_all(AT_FDCWD, path, 0, &out, &err));
}

/* Files whose status says that they are empty. */
static void a_file_of_unknown_size_is_read_whole(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer out = {0};
    assert_ok(file_read_all(AT_FDCWD, "/proc/self/status", 1 << 20, &out, &err), &err);
    assert_true(out.size_bytes > 100);
    assert_result(LETHE_LIMIT, file_read_all(AT_FDCWD, "/proc/self/status", 99, &out, &err));
}

static void what_is_no_regular_file_is_refused_at_once(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer out = {0};
    CLEANUP(memory_free) char *fifo = temp_path("fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_result(LETHE_INVALID, file_read_all(AT_FDCWD, fifo, 100, &out, &err));
    assert_result(LETHE_INVALID, file_read_all(AT_FDCWD, "/tmp", 100, &out, &err));
    assert_result(LETHE_INVALID, file_read_all(AT_FDCWD, "/dev/zero", 100, &out, &err));
    assert_result(LETHE_NOT_FOUND, file_read_all(AT_FDCWD, "/no/such/file", 100, &out, &err));
    assert_string_equal(err.text, "opening /no/such/file: No such file or directory");
}

static void a_range_is_read_exactly_or_not_at_all(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(memory_free) char *path = temp_path("file");
    put_file(path, "0123456789", 10);
    CLEANUP(fd_close) int fd = open(path, O_RDWR);
    char out[10];
    assert_ok(file_read_at(fd, path, 4, out, 6, &err), &err);
    assert_memory_equal(out, "456789", 6);
    assert_ok(file_read_at(fd, path, 10, out, 0, &err), &err);
    assert_result(LETHE_INTEGRITY, file_read_at(fd, path, 5, out, 6, &err));
    assert_non_null(strstr(err.text, "ends at byte 10 instead of 11"));
    assert_result(LETHE_INTEGRITY, file_read_at(fd, path, UINT64_MAX, out, 1, &err));
    assert_result(LETHE_INTEGRITY, file_read_at(fd, path, INT64_MAX, out, 1, &err));
    assert_result(LETHE_IO, file_read_at(-1, path, 0, out, 1, &err));

    assert_ok(file_write_at(fd, path, 8, "abcd", 4, &err), &err);
    CLEANUP(buffer_clear) struct buffer whole = get_file(path);
    assert_string_equal(whole.bytes, "01234567abcd");
    assert_result(LETHE_LIMIT, file_write_at(fd, path, UINT64_MAX - 1, "abcd", 4, &err));
    assert_result(LETHE_IO, file_write_at(-1, path, 0, "a", 1, &err));
}

static void a_full_disk_is_reported(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(fd_close) int fd = open("/dev/full", O_WRONLY);
    assert_true(fd >= 0);
    assert_result(LETHE_NO_SPACE, file_write(fd, "/dev/full", "x", 1, &err));
    assert_string_equal(err.text, "writing /dev/full: No space left on device");
    assert_result(LETHE_NO_SPACE, file_write_at(fd, "/dev/full", 0, "x", 1, &err));
}

#define PIPED_BYTES ((size_t)4 << 20)

static volatile sig_atomic_t interruptions;

static void count_interruption(int number)
{
    interruptions++;
}

struct drain {
    int fd;
    size_t total;
    bool intact;
};

/* Reads slowly, so that the writer finds the pipe full. */
static void *drain_pipe(void *context)
{
    struct drain *drain = context;
    uint8_t chunk[65536];
    ssize_t got;
    while ((got = read(drain->fd, chunk, sizeof chunk)) > 0) {
        for (ssize_t i = 0; i < got; i++)
            drain->intact &= chunk[i] == (uint8_t)((drain->total + (size_t)i) * 7 >> 3);
        drain->total += (size_t)got;
        usleep(1000);
    }
    return NULL;
}

/* The control is the count of signals: each one cuts a blocked write(2) short. */
static void signals_do_not_lose_a_byte(void **state)
{
    struct lethe_error err = {0};
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    uint8_t *bytes = malloc(PIPED_BYTES);
    for (size_t i = 0; i < PIPED_BYTES; i++)
        bytes[i] = (uint8_t)(i * 7 >> 3);

    struct drain drain = {.fd = ends[0], .intact = true};
    pthread_t reader;
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm, NULL); /* the reader's */
    assert_int_equal(pthread_create(&reader, NULL, drain_pipe, &drain), 0);
    pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);

    struct sigaction action = {.sa_handler = count_interruption}; /* without SA_RESTART */
    sigaction(SIGALRM, &action, NULL);
    const struct itimerval often = {{0, 500}, {0, 500}};
    setitimer(ITIMER_REAL, &often, NULL);
    lethe_result result = file_write(ends[1], "a pipe", bytes, PIPED_BYTES, &err);
    const struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, NULL);
    close(ends[1]);
    pthread_join(reader, NULL);
    close(ends[0]);
    free(bytes);

    assert_ok(result, &err);
    assert_true(interruptions > 0);
    assert_int_equal(drain.total, PIPED_BYTES);
    assert_true(drain.intact);
}

static void only_the_owner_may_have_access(void **state)
{
    static const struct {
        mode_t mode;
        bool private;
    } rows[] = {
        {S_IFREG | 0600, true},  {S_IFREG | 0400, true},  {S_IFDIR | 0700, true},
        {S_IFREG | 0640, false}, {S_IFREG | 0604, false}, {S_IFREG | 0620, false},
        {S_IFREG | 0602, false}, {S_IFDIR | 0710, false}, {S_IFDIR | 0701, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lethe_error err = {0};
        struct stat status = {.st_mode = rows[i].mode, .st_uid = geteuid()};
        assert_result(rows[i].private ? LETHE_OK : LETHE_UNPROTECTED,
                      file_check_private("the/file", &status, &err));
        if (!rows[i].private)
            assert_string_equal(err.hint, S_ISDIR(rows[i].mode) ? "chmod 700 the/file"
                                                                : "chmod 600 the/file");
        status.st_uid = geteuid() + 1;
        assert_result(LETHE_UNPROTECTED, file_check_private("the/file", &status, &err));
    }
}

static void directories_are_made_with_their_parents(void **state)
{
    struct lethe_error err = {0};
    struct stat status;
    CLEANUP(memory_free) char *base = temp_dir();
    CLEANUP(memory_free) char *deep = path_join(base, "a//b/c/");
    assert_ok(file_make_directories(deep, 0700, &err), &err);
    assert_ok(file_make_directories(deep, 0700, &err), &err);
    assert_int_equal(stat(deep, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_ok(file_sync_directory(AT_FDCWD, deep, &err), &err);

    CLEANUP(memory_free) char *file = path_join(base, "file");
    CLEANUP(memory_free) char *below = path_join(file, "x");
    put_file(file, "", 0);
    assert_result(LETHE_EXISTS, file_make_directories(file, 0700, &err));
    assert_result(LETHE_EXISTS, file_make_directories(below, 0700, &err));
    assert_result(LETHE_IO, file_sync_directory(AT_FDCWD, file, &err));
    assert_result(LETHE_NOT_FOUND, file_make_directories("", 0700, &err));
}

static void a_tree_goes_and_nothing_beside_it(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(memory_free) char *base = temp_dir();
    CLEANUP(memory_free) char *tree = path_join(base, "tree");
    CLEANUP(memory_free) char *kept = path_join(base, "kept");
    CLEANUP(memory_free) char *kept_file = path_join(kept, "file");
    assert_ok(file_make_directories(path_in(tree, "a/b/c"), 0700, &err), &err);
    assert_ok(file_make_directories(kept, 0700, &err), &err);
    put_file(kept_file, "x", 1);
    for (int i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "a/b/file%d", i);
        put_file(path_in(tree, name), "x", 1);
    }
    assert_int_equal(symlink(kept, path_in(tree, "a/to-directory")), 0);
    assert_int_equal(symlink(kept_file, path_in(tree, "a/to-file")), 0);

    assert_ok(file_remove_tree(AT_FDCWD, tree, &err), &err);
    assert_int_equal(access(tree, F_OK), -1);
    assert_int_equal(access(kept_file, F_OK), 0);
    assert_ok(file_remove_tree(AT_FDCWD, tree, &err), &err); /* missing is fine */

    assert_int_equal(symlink(kept, tree), 0); /* the tree itself is a link: only it goes */
    assert_ok(file_remove_tree(AT_FDCWD, tree, &err), &err);
    assert_int_equal(access(tree, F_OK), -1);
    assert_int_equal(access(kept_file, F_OK), 0);
}

static void paths_are_joined_with_one_slash(void **state)
{
    static const char *const rows[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(memory_free) char *joined = path_join(rows[i][0], rows[i][1]);
        assert_string_equal(joined, rows[i][2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_whole_under_its_cap),
        cmocka_unit_test(a_file_of_unknown_size_is_read_whole),
        cmocka_unit_test(what_is_no_regular_file_is_refused_at_once),
        cmocka_unit_test(a_range_is_read_exactly_or_not_at_all),
        cmocka_unit_test(a_full_disk_is_reported),
        cmocka_unit_test(signals_do_not_lose_a_byte),
        cmocka_unit_test(only_the_owner_may_have_access),
        cmocka_unit_test(directories_are_made_with_their_parents),
        cmocka_unit_test(a_tree_goes_and_nothing_beside_it),
        cmocka_unit_test(paths_are_joined_with_one_slash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
