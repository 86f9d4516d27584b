/* Clocks step: a log keeps what it was told, in the order in which it was told. */
#include "audit_check.h"

#include "base/text.h"

#define HOUR_NS 3600000000000u

/* What time passed never steps (CLOCK_MONOTONIC), and is asked for separately. */
static uint64_t passed_ns(void *context)
{
    static uint64_t now_ns;
    return __atomic_add_fetch(&now_ns, 1000000, __ATOMIC_RELAXED);
}

static struct node *with_stepping_clock(struct node *node)
{
    node->clock.monotonic_ns = passed_ns;
    node->options.limits.rotate_s = AUDIT_NO_LIMIT; /* one file, whatever day it is */
    return node;
}

/* The time of the nth record, as its line says it. */
static void assert_time(const struct node *node, size_t n, uint64_t time_ns)
{
    char expected[64], text[TIME_TEXT_SIZE];
    const char *line;
    struct buffer lines = log_file(node->options.directory, log_files[0]);
    size_t length = nth_line(&lines, n, &line);
    time_text_ns(time_ns, text);
    snprintf(expected, sizeof expected, "\"time\":\"%s\"", text);
    if (length == 0 || memmem(line, length, expected, strlen(expected)) == NULL)
        fail_msg("record %zu does not say %s: %.*s", n, expected, (int)length, line);
    snprintf(expected, sizeof expected, "\"seq\":%zu,", n);
    assert_non_null(memmem(line, length, expected, strlen(expected)));
    buffer_clear(&lines);
}

/* back by an hour, to 1970, far ahead, and back again: no record is refused, held back or
 * moved, nor is a log in which times run backwards. */
static void a_clock_may_step_anywhere(void **state)
{
    struct node *node = with_stepping_clock(node_fresh("alpha"));
    const uint64_t now = node->now_ns;
    const uint64_t steps[] = {now, now - HOUR_NS,     0, 4102444800000000000 /* 2100 */,
                              now, UINT64_MAX - 5000, 1, now + HOUR_NS};
    struct audit_log *log = must_open(node);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        node->now_ns = steps[i];
        must_commit(log, i);
        if (i % 3 == 2) { /* a restart in between makes no difference */
            must_close(log);
            log = must_open(node);
        }
    }
    must_close(log);
    must_verify(node, ARRAY_LEN(steps));
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        assert_time(node, i, steps[i]);
    node_free(node);
}

/* two processes whose clocks are an hour apart share one log: order is that of commits. */
static void writers_need_not_agree_on_the_time(void **state)
{
    struct node *ahead = node_fresh("alpha");
    struct node *behind = node_create("alpha", ahead->options.directory);
    behind->now_ns -= HOUR_NS;
    struct audit_log *logs[] = {must_open(ahead), must_open(behind)};
    uint64_t times[8];
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        times[i] = (i % 2 == 0 ? ahead : behind)->now_ns;
        must_commit(logs[i % 2], i);
    }
    must_close(logs[0]);
    must_close(logs[1]);
    must_verify(ahead, ARRAY_LEN(times));
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        assert_time(ahead, i, times[i]);
    node_free(behind);
    node_free(ahead);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_may_step_anywhere),
        cmocka_unit_test(writers_need_not_agree_on_the_time),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
