/* tests/audit/small_log.h -- a small log to be spoilt, and what must then be said of it. */
#ifndef TESTS_AUDIT_SMALL_LOG_H
#define TESTS_AUDIT_SMALL_LOG_H

#include "audit_check.h"

#define DIRECTORY(node) ((node)->options.directory)

/* A log of two groups, closed: record 0, then 1 and 2. */
__attribute__((unused)) static struct node *smaller_log(void)
{
    struct node *node = node_fresh("alpha");
    struct audit_log *log = must_open(node);
    must_commit(log, 1);
    must_commit_group(log, 2);
    must_close(log);
    must_verify(node, 3);
    return node;
}

/* And a third one: record 3. */
__attribute__((unused)) static struct node *small_log(void)
{
    struct node *node = smaller_log();
    struct audit_log *log = must_open(node);
    must_commit(log, 3);
    must_close(log);
    must_verify(node, 4);
    return node;
}

/* Neither the reader nor the writer takes the log, both say so alike, and it is left as it was. */
__attribute__((unused)) static void assert_refused(const struct node *node,
                                                   const char *expected_text)
{
    struct lethe_error err = {0}, open_err = {0};
    struct audit_verify_report report;
    struct audit_log *log;
    struct log_copy before = log_take(DIRECTORY(node));
    assert_result(LETHE_INTEGRITY, verify_log(node, DIRECTORY(node), &report, &err));
    assert_result(LETHE_INTEGRITY, audit_open(&node->options, &log, &open_err));
    if (expected_text != NULL && strstr(err.text, expected_text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, expected_text);
    struct log_copy after = log_take(DIRECTORY(node));
    for (size_t i = 0; i < LOG_FILES; i++) {
        assert_int_equal(before.files[i].size_bytes, after.files[i].size_bytes);
        assert_memory_equal(before.files[i].bytes, after.files[i].bytes,
                            before.files[i].size_bytes);
    }
    log_copy_clear(&before);
    log_copy_clear(&after);
}

#endif
