/* tests/audit/many_files.h -- logs of several files of records, and directories compared. */
#ifndef TESTS_AUDIT_MANY_FILES_H
#define TESTS_AUDIT_MANY_FILES_H

#include <ftw.h>

#include "audit_check.h"

#define DIRECTORY(node) ((node)->options.directory)
#define DAY_NS 86400000000000u

/* Groups of one record, each in a file of its own: log_rotated, then the record. */
__attribute__((unused)) static struct node *many_files(unsigned files)
{
    struct node *node = node_fresh("alpha");
    node->options.limits.rotate_bytes = 1;
    struct audit_log *log = must_open(node);
    for (unsigned i = 0; i < files; i++)
        must_commit(log, i + 1);
    must_close(log);
    must_verify(node, 2 * files - 1);
    return node;
}

__attribute__((unused)) static bool has_file(const struct node *node, const char *name)
{
    return access(path_in(DIRECTORY(node), name), F_OK) == 0;
}

__attribute__((unused)) static void remove_file(const struct node *node, const char *name)
{
    assert_int_equal(unlink(path_in(DIRECTORY(node), name)), 0);
}

__attribute__((unused)) static lethe_result open_result(const struct node *node,
                                                        struct lethe_error *err)
{
    struct audit_log *log = NULL;
    lethe_result result = audit_open(&node->options, &log, err);
    if (result == LETHE_OK)
        must_close(log);
    return result;
}

/* Neither verifier nor writer takes it, and the verifier says why. */
__attribute__((unused)) static void assert_both_refuse(const struct node *node, const char *text)
{
    struct lethe_error err = {0};
    struct audit_verify_report report;
    assert_result(LETHE_INTEGRITY, verify_log(node, DIRECTORY(node), &report, &err));
    if (strstr(err.text, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, text);
    assert_result(LETHE_INTEGRITY, open_result(node, &err));
}

/* What all files below a directory are called and hold, whatever the order of its entries. */
static uint8_t digest_sum[32];
static size_t digest_root;

static int add_to_digest(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    uint8_t digest[32];
    if (type != FTW_F)
        return 0;
    struct buffer content = get_file(path);
    struct buffer entry = {0};
    buffer_format(&entry, "%s %zu\n", path + digest_root, content.size_bytes);
    buffer_append(&entry, content.bytes, content.size_bytes);
    sha256(entry.bytes, entry.size_bytes, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        digest_sum[i] ^= digest[i];
    buffer_clear(&content);
    buffer_clear(&entry);
    return 0;
}

__attribute__((unused)) static void directory_digest(const char *directory, uint8_t out[32])
{
    memset(digest_sum, 0, sizeof digest_sum);
    digest_root = strlen(directory);
    assert_int_equal(nftw(directory, add_to_digest, 16, FTW_PHYS), 0);
    memcpy(out, digest_sum, sizeof digest_sum);
}

#endif
