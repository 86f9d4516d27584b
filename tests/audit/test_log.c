#include "audit_check.h"

#include <sys/stat.h>

#include "check_child.h"

/* what was committed is there after a restart, and the chain goes on. */
static void a_log_continues_after_reopening(void **state)
{
    struct node *node = node_create("alpha", temp_path("audit"));
    struct audit_head before, after;
    struct audit_log *log = must_open(node);
    must_commit(log, 1);
    must_commit(log, 2);
    audit_head(log, &before);
    must_close(log);
    must_verify(node, 2);

    log = must_open(node);
    audit_head(log, &after);
    assert_memory_equal(&before, &after, sizeof before);
    must_commit(log, 3);
    must_close(log);
    must_verify(node, 3);
    node_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_continues_after_reopening),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
