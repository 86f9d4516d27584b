/* text from enemies in every field of every event, emitted and committed; and processes
 * that do both at once. What comes out is read by a program that shares nothing with ours. */
#include "emit_check.h"

#include "base/text.h"
#include "base/validate.h"
#include "check_child.h"

static const char *const hostile[] = {
    "\x1b[2J\x1b]0;title\x07",
    "line\nbreak\r\n{\"event\":\"forged\",\"seq\":0}",
    "\",\"seq\":999,\"x\":\"",
    "\\\",\\\"seq\\\":1",
    "\xe2\x80\xae rtl \xe2\x81\xa6 isolate \xe2\x80\x8b zero width",
    "\xff\xfe\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80",
    "8-bit CSI: \xc2\x9bm, and cut: \xe2\x80",
    "\x7f\x01\x02\x1f",
    "",
};

static struct audit_event event_of(enum audit_kind kind, const char *text)
{
    const struct audit_kind_row *row = audit_kind_row(kind);
    struct audit_event event = {.kind = kind};
    for (size_t i = 0; i < row->field_count; i++) {
        bool is_text = row->fields[i].type == AUDIT_FIELD_TEXT ||
                       row->fields[i].type == AUDIT_FIELD_OPTIONAL_TEXT;
        event.values[i] = is_text ? (struct audit_value){.text = text}
                                  : (struct audit_value){.number = UINT64_MAX - i};
    }
    return event;
}

/* Both ways, where there are two; gives how many records that is. */
static unsigned record_both_ways(struct audit_log *log, enum audit_kind kind, const char *text)
{
    struct lethe_error err = {0};
    const struct audit_who who = {text, text, text};
    const struct audit_event event = event_of(kind, text);
    bool may_be_emitted = audit_kind_severity(kind) != AUDIT_CRITICAL;
    if (may_be_emitted)
        audit_emit(log, &who, &event);
    assert_ok(audit_commit(log, &who, &event, &err), &err);
    return 1 + may_be_emitted;
}

static void another_verifier_counts(const struct node *node, unsigned records)
{
    char command[2048], output[512], expected[32];
    CLEANUP(buffer_clear) struct buffer vkey = {0};
    audit_key_text(&node->options.signer.key, &vkey);
    snprintf(command, sizeof command, "/usr/bin/python3 '%s' '%s' '%s' 2>&1", VERIFY_LOG,
             DIRECTORY(node), vkey.bytes);
    if (run_tool(command, output, sizeof output) != 0)
        fail_msg("the other verifier says: %s", output);
    snprintf(expected, sizeof expected, "%u ", records);
    assert_memory_equal(output, expected, strlen(expected));
}

/* No byte of the file does anything to a terminal, and a line is a record. */
static void assert_file_is_harmless(const struct node *node, unsigned records)
{
    CLEANUP(buffer_clear) struct buffer lines = log_file(DIRECTORY(node), "000001.jsonl");
    const char *line;
    size_t length;
    unsigned count = 0;
    for (char *at = lines.bytes; at < lines.bytes + lines.size_bytes; count++) {
        char *end = memchr(at, '\n', (size_t)(lines.bytes + lines.size_bytes - at));
        assert_non_null(end);
        length = (size_t)(end - at);
        CLEANUP(memory_free) char *clean = calloc(1, length + 1);
        assert_int_equal(text_sanitise(at, length, clean, length + 1), length);
        assert_memory_equal(clean, at, length);
        at = end + 1;
    }
    assert_int_equal(count, records);
    assert_true(nth_line(&lines, 0, &line) > 0);
}

static struct node *node_without_bounds(void)
{
    struct node *node = node_fresh("alpha");
    node->options.limits.identity_bytes = AUDIT_NO_LIMIT;
    node->options.limits.rotate_bytes = (uint64_t)1 << 30;
    return node;
}

static void hostile_text_is_harmless_both_ways(void **state)
{
    struct node *node = node_without_bounds();
    struct audit_log *log = must_open(node);
    unsigned records = 0;
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
        for (enum audit_kind kind = 0; kind < AUDIT_KINDS; kind++) {
            if (kind != AUDIT_KIND_log_trimmed) /* what it says of files, the log alone can say */
                records += record_both_ways(log, kind, hostile[i]);
        }
    }
    must_close(log);
    must_verify(node, records);
    another_verifier_counts(node, records);
    assert_file_is_harmless(node, records);
    node_free(node);
}

/* Ten million bytes in each field, of each sort: the record stays small, and so does the queue. */
static void endless_text_is_cut_both_ways(void **state)
{
    const size_t size_bytes = 10 << 20;
    static const char *const units[] = {"x",   "\"", "\n", "\xe2\x80\xae", "\xf0\x9f\x98\x80",
                                        "\xff"};
    CLEANUP(memory_free) char *text = malloc(size_bytes + 1);
    struct node *node = node_without_bounds();
    struct audit_log *log = must_open(node);
    unsigned records = 0;
    for (size_t unit = 0; unit < ARRAY_LEN(units); unit++) {
        size_t length = strlen(units[unit]);
        for (size_t at = 0; at < size_bytes; at++)
            text[at] = units[unit][at % length];
        text[size_bytes] = '\0';
        records += record_both_ways(log, AUDIT_KIND_authorization_denied, text);
        records += record_both_ways(log, AUDIT_KIND_key_denied, text);
    }
    must_close(log);
    must_verify(node, records);
    another_verifier_counts(node, records);
    assert_file_is_harmless(node, records);
    node_free(node);
}

/* What goes through the ring reads as what was committed. */
static void both_ways_give_the_same_values(void **state)
{
    struct node *node = node_without_bounds();
    struct audit_log *log = must_open(node);
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++)
        record_both_ways(log, AUDIT_KIND_authorization_denied, hostile[i]);
    must_close(log);
    CLEANUP(buffer_clear) struct buffer lines = log_file(DIRECTORY(node), "000001.jsonl");
    for (size_t n = 0; n < 2 * ARRAY_LEN(hostile); n += 2) {
        const char *emitted, *committed;
        assert_true(nth_line(&lines, n, &emitted) > 0);
        assert_true(nth_line(&lines, n + 1, &committed) > 0);
        const char *end = strstr(emitted, "\"prev\":");
        assert_non_null(end);
        assert_memory_equal(emitted, committed, (size_t)(end - emitted));
    }
    node_free(node);
}

/* ---- several processes ----------------------------------------------------------------------- */

#define WRITERS 2u
#define ROUNDS 40u

struct task {
    const char *directory;
    unsigned number;
};

/* With a thread each: its groups and the commits' fall as they will. */
static void emit_and_commit(void *context)
{
    const struct task *task = context;
    struct lethe_error err = {0};
    struct audit_log *log = NULL;
    struct node *node = node_create("alpha", task->directory);
    node->options.without_thread = false;
    node->options.limits.flush_ms = 1;
    node->options.limits.flush_records = 5;
    CHILD_REQUIRE(audit_open(&node->options, &log, &err) == LETHE_OK);
    for (unsigned i = 0; i < ROUNDS; i++) {
        emit_many(log, i % 7);
        CHILD_REQUIRE(commit_key_used(log, task->number * 1000 + i, &err) == LETHE_OK);
    }
    CHILD_REQUIRE(audit_close(log, &err) == LETHE_OK);
}

static void processes_emit_and_commit_at_once(void **state)
{
    struct node *node = node_fresh("alpha");
    pid_t children[WRITERS];
    unsigned emitted = 0;
    must_close(must_open(node));
    for (unsigned i = 0; i < ROUNDS; i++)
        emitted += i % 7;
    for (unsigned i = 0; i < WRITERS; i++) {
        struct task task = {DIRECTORY(node), i + 1};
        fflush(NULL);
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            emit_and_commit(&task);
            _exit(0);
        }
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_exited(0, status);
    }
    assert_int_equal(count_in_log(node, "a label"), WRITERS * emitted);
    assert_int_equal(count_in_log(node, "key_used"), WRITERS * ROUNDS);
    must_verify(node, WRITERS * (emitted + ROUNDS));
    another_verifier_counts(node, WRITERS * (emitted + ROUNDS));
    node_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_text_is_harmless_both_ways),
        cmocka_unit_test(endless_text_is_cut_both_ways),
        cmocka_unit_test(both_ways_give_the_same_values),
        cmocka_unit_test(processes_emit_and_commit_at_once),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
