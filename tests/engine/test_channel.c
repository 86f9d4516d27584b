/* The messages between supervisor and guardian: what arrives, and how an end is heard. */
#include "check.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/channel.h"

struct ends {
    int here;
    int there;
};

static struct ends open_channel(void)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    return (struct ends){ends[0], ends[1]};
}

static void a_message_arrives_with_its_descriptor(void **state)
{
    struct ends ends = open_channel();
    struct lethe_error err = {0};
    const struct message sent = {
        .kind = MESSAGE_READY, .number = -7, .bytes = 1ull << 40, .path = "/some/where"};
    struct message got;
    CLEANUP(fd_close) int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CLEANUP(fd_close) int received = -1;
    assert_ok(channel_send(ends.here, &sent, null, &err), &err);
    assert_ok(channel_expect(ends.there, MESSAGE_READY, &got, &received, &err), &err);
    assert_memory_equal(&sent, &got, sizeof sent);
    assert_true(received >= 0 && received != null);
    assert_int_equal(fcntl(received, F_GETFD), FD_CLOEXEC);
    close(ends.here);
    close(ends.there);
}

/* One that nobody wants is closed. */
static void a_descriptor_that_is_not_wanted_does_not_leak(void **state)
{
    struct ends ends = open_channel();
    struct lethe_error err = {0};
    const struct message sent = {.kind = MESSAGE_WAITING};
    struct message got;
    int next = dup(ends.here);
    close(next);
    assert_ok(channel_send(ends.here, &sent, ends.here, &err), &err);
    assert_ok(channel_receive(ends.there, &got, NULL, &err), &err);
    int after = dup(ends.here);
    assert_int_equal(after, next);
    close(after);
    close(ends.here);
    close(ends.there);
}

static void a_failure_comes_in_the_place_of_what_was_expected(void **state)
{
    struct ends ends = open_channel();
    struct lethe_error err = {0};
    struct message failed = {.kind = MESSAGE_FAILED};
    struct message got;
    error_set(&failed.error, LETHE_UNPROTECTED, "no swap");
    assert_ok(channel_send(ends.here, &failed, -1, &err), &err);
    assert_result(LETHE_UNPROTECTED, channel_expect(ends.there, MESSAGE_READY, &got, NULL, &err));
    assert_string_equal(err.text, "no swap");
    close(ends.here);
    close(ends.there);
}

static void the_end_of_one_side_is_heard_by_the_other(void **state)
{
    struct ends ends = open_channel();
    struct lethe_error err = {0};
    const struct message sent = {.kind = MESSAGE_GO};
    struct message got;
    close(ends.there);
    assert_result(LETHE_LOST, channel_send(ends.here, &sent, -1, &err));
    assert_result(LETHE_LOST, channel_receive(ends.here, &got, NULL, &err));
    close(ends.here);
}

/* Also when it ended without having read everything, which the kernel reports first. */
static void last_words_are_heard_before_the_end(void **state)
{
    struct ends ends = open_channel();
    struct lethe_error err = {0};
    const struct message unread = {.kind = MESSAGE_SIGNAL, .number = 15};
    const struct message last = {.kind = MESSAGE_EXITED, .number = 3};
    struct message got;
    assert_ok(channel_send(ends.here, &unread, -1, &err), &err);
    assert_ok(channel_send(ends.there, &last, -1, &err), &err);
    close(ends.there);
    assert_ok(channel_receive(ends.here, &got, NULL, &err), &err);
    assert_int_equal(got.kind, MESSAGE_EXITED);
    assert_int_equal(got.number, 3);
    assert_result(LETHE_LOST, channel_receive(ends.here, &got, NULL, &err));
    close(ends.here);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_arrives_with_its_descriptor),
        cmocka_unit_test(a_descriptor_that_is_not_wanted_does_not_leak),
        cmocka_unit_test(a_failure_comes_in_the_place_of_what_was_expected),
        cmocka_unit_test(the_end_of_one_side_is_heard_by_the_other),
        cmocka_unit_test(last_words_are_heard_before_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
