#include "many_files.h"

#include "base/text.h"

/* tests/audit/verify_log over a directory: its exit status, and what it prints. */
static int run_verifier(const struct node *node, char *output, size_t size_bytes)
{
    char command[2048];
    struct buffer vkey = {0};
    audit_key_text(&node->options.signer.key, &vkey);
    snprintf(command, sizeof command, "/usr/bin/python3 '%s' '%s' '%s' 2>&1", VERIFY_LOG,
             node->options.directory, vkey.bytes);
    buffer_clear(&vkey);
    return run_tool(command, output, size_bytes);
}

static struct node *varied_log(void)
{
    struct node *node = node_fresh("alpha");
    struct lethe_error err = {0};
    struct audit_log *log = must_open(node);
    const struct audit_who hostile = {"a\x1b[31m\"\\\n", "\u00fc\U0001F600\u202e", "\xff/\u2028"};
    const struct audit_event events[] = {
        audit_home_created("file", UINT64_MAX),
        audit_key_released("k", 1, "p", "r", NULL, "sha256:00", "0000"),
        audit_session_ended("label", "ended", 1, 2, 3, true),
        audit_model_rejected("</script>", "\t\b\f\r", "exec"),
    };
    for (unsigned i = 0; i < 100; i++) {
        assert_ok(audit_commit(log, &hostile, &events[i % ARRAY_LEN(events)], &err), &err);
        if (i % 10 == 0)
            must_commit_group(log, i);
    }
    must_close(log);
    return node;
}

/* a short program that shares nothing with ours comes to the same result, from the files and
 * the public key alone. */
static void another_verifier_agrees(void **state)
{
    struct node *node = varied_log();
    struct lethe_error err = {0};
    struct audit_verify_report report;
    char output[512], expected[128], root[65];
    assert_ok(verify_log(node, node->options.directory, &report, &err), &err);
    hex_encode(report.root, sizeof report.root, root);
    snprintf(expected, sizeof expected, "%llu %s\n", (unsigned long long)report.records, root);
    assert_int_equal(run_verifier(node, output, sizeof output), 0);
    assert_string_equal(output, expected);
    node_free(node);
}

/* And it does look: what we refuse, it refuses too. */
static void another_verifier_refuses_the_same(void **state)
{
    struct node *node = varied_log();
    struct log_copy good = log_take(node->options.directory);
    for (size_t file = 0; file < LOG_FILES; file++) {
        struct audit_verify_report report;
        char output[512];
        good.files[file].bytes[good.files[file].size_bytes / 2] ^= 1;
        log_put(&good, node->options.directory);
        assert_result(LETHE_INTEGRITY, verify_log(node, node->options.directory, &report, NULL));
        assert_int_not_equal(run_verifier(node, output, sizeof output), 0);
        good.files[file].bytes[good.files[file].size_bytes / 2] ^= 1;
    }
    log_copy_clear(&good);
    node_free(node);
}

/* Files that came and went: both say the same of them, and both look at each file. */
static void another_verifier_agrees_on_a_trimmed_log(void **state)
{
    static const char *const changed[] = {"000005.boundary", "000005.jsonl", "000006.boundary",
                                          "000006.jsonl", "checkpoints"};
    struct node *node = node_fresh("alpha");
    struct lethe_error err = {0};
    struct audit_verify_report report;
    char output[512], expected[128], root[65];
    node->options.limits.rotate_bytes = 1;
    node->options.limits.keep_bytes = 6000;
    struct audit_log *log = must_open(node);
    for (unsigned i = 0; i < 6; i++)
        must_commit_group(log, 15 + i);
    must_close(log);
    assert_ok(verify_log(node, DIRECTORY(node), &report, &err), &err);
    assert_false(has_file(node, "000004.jsonl"));
    hex_encode(report.root, sizeof report.root, root);
    snprintf(expected, sizeof expected, "%llu %s from %llu\n", (unsigned long long)report.records,
             root, (unsigned long long)report.first_record);
    assert_int_equal(run_verifier(node, output, sizeof output), 0);
    assert_string_equal(output, expected);

    for (size_t i = 0; i < ARRAY_LEN(changed); i++) {
        struct buffer content = log_file(DIRECTORY(node), changed[i]);
        content.bytes[content.size_bytes - 100] ^= 1;
        put_log_file(DIRECTORY(node), changed[i], content.bytes, content.size_bytes);
        assert_result(LETHE_INTEGRITY, verify_log(node, DIRECTORY(node), &report, NULL));
        assert_int_not_equal(run_verifier(node, output, sizeof output), 0);
        content.bytes[content.size_bytes - 100] ^= 1;
        put_log_file(DIRECTORY(node), changed[i], content.bytes, content.size_bytes);
        buffer_clear(&content);
    }
    assert_int_equal(run_verifier(node, output, sizeof output), 0);
    remove_file(node, "000005.jsonl");
    assert_result(LETHE_INTEGRITY, verify_log(node, DIRECTORY(node), &report, NULL));
    assert_int_not_equal(run_verifier(node, output, sizeof output), 0);
    node_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_verifier_agrees),
        cmocka_unit_test(another_verifier_refuses_the_same),
        cmocka_unit_test(another_verifier_agrees_on_a_trimmed_log),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
