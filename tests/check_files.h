/* tests/check_files.h -- directories and files for a test, removed when its program ends.
 *
 *     CLEANUP(memory_free) char *directory = temp_dir();    // fresh, empty, mode 0700
 *     put_file(path_in(directory, "a"), "x", 1);
 *
 * Everything lies under one directory in $TMPDIR (or /tmp) that the first call creates; what a
 * forked child leaves there goes when the parent ends. */
#ifndef TESTS_CHECK_FILES_H
#define TESTS_CHECK_FILES_H

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#include "base/file.h"

static char temp_root[512];
static pid_t temp_owner;
static unsigned temp_count;

static void temp_remove(void)
{
    if (getpid() != temp_owner)
        return;
    struct lethe_error err = {0};
    if (file_remove_tree(AT_FDCWD, temp_root, &err) != LETHE_OK)
        fprintf(stderr, "left behind: %s\n", err.text);
}

/* A new empty directory; the caller frees the string. */
__attribute__((unused)) static char *temp_dir(void)
{
    if (temp_owner == 0) {
        const char *base = getenv("TMPDIR");
        snprintf(temp_root, sizeof temp_root, "%s/lethe-test-XXXXXX", base != NULL ? base : "/tmp");
        assert_non_null(mkdtemp(temp_root));
        temp_owner = getpid();
        atexit(temp_remove);
    }
    char name[16];
    snprintf(name, sizeof name, "%u", temp_count++);
    char *directory = path_join(temp_root, name);
    assert_non_null(directory);
    assert_int_equal(mkdir(directory, 0700), 0);
    return directory;
}

/* A name in a fresh directory, where nothing is yet; the caller frees it. */
__attribute__((unused)) static char *temp_path(const char *name)
{
    char *directory = temp_dir();
    char *path = path_join(directory, name);
    assert_non_null(path);
    free(directory);
    return path;
}

/* "<directory>/<name>" for right now: the eighth call after this one frees it. */
__attribute__((unused)) static const char *path_in(const char *directory, const char *name)
{
    static char *recent[8];
    static unsigned next;
    char **slot = &recent[next++ % ARRAY_LEN(recent)];
    char *path = path_join(directory, name);
    assert_non_null(path);
    free(*slot);
    *slot = path;
    return path;
}

/* The file then holds exactly these bytes, mode 0600. */
__attribute__((unused)) static void put_file(const char *path, const void *bytes, size_t size_bytes)
{
    struct lethe_error err = {0};
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_ok(file_write(fd, path, bytes, size_bytes, &err), &err);
    assert_int_equal(close(fd), 0);
}

/* The whole file, NUL-terminated; the caller clears the buffer. */
__attribute__((unused)) static struct buffer get_file(const char *path)
{
    struct lethe_error err = {0};
    struct buffer content = {0};
    assert_ok(file_read_all(AT_FDCWD, path, BUFFER_LIMIT_BYTES, &content, &err), &err);
    if (content.bytes == NULL)
        buffer_text(&content, "");
    return content;
}

#endif
