/* Messages with descriptors beside them. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/pass.h"

struct pair {
    int ends[2];
};

static struct pair make_pair(void)
{
    struct pair pair;
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.ends), 0);
    return pair;
}

static void close_pair(struct pair *pair)
{
    fd_close(pair->ends[0]);
    fd_close(pair->ends[1]);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void a_message_arrives_with_its_descriptor_or_without(void **state)
{
    (void)state;
    struct pair pair = make_pair();
    char text[8] = {0};
    int fd = 7, sent = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(sent >= 0);
    assert_int_equal(pass_receive(pair.ends[1], text, sizeof text, &fd, 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(fd, -1);
    assert_int_equal(pass_send(pair.ends[0], "with", 4, sent, 0), 4);
    assert_int_equal(pass_send(pair.ends[0], "none", 4, -1, 0), 4);
    assert_int_equal(pass_receive(pair.ends[1], text, sizeof text, &fd, 0), 4);
    assert_memory_equal(text, "with", 4);
    assert_int_not_equal(fd, sent);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    fd_close(FD_MOVE(fd));
    assert_int_equal(pass_receive(pair.ends[1], text, sizeof text, &fd, 0), 4);
    assert_memory_equal(text, "none", 4);
    assert_int_equal(fd, -1);
    fd_close(sent);
    close_pair(&pair);
}

/* Whoever is attacked through the other end must not run out of descriptors. */
static void of_several_descriptors_none_stays_open(void **state)
{
    (void)state;
    struct pair pair = make_pair();
    int next, fd, fds[] = {pair.ends[0], pair.ends[1]};
    union {
        char bytes[CMSG_SPACE(sizeof fds)];
        struct cmsghdr align;
    } room = {0};
    char text[2] = "m";
    struct iovec part = {text, 1};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = room.bytes,
                            .msg_controllen = sizeof room.bytes};
    struct cmsghdr *entry = CMSG_FIRSTHDR(&header);
    entry->cmsg_level = SOL_SOCKET;
    entry->cmsg_type = SCM_RIGHTS;
    entry->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(entry), fds, sizeof fds);
    assert_int_equal(sendmsg(pair.ends[0], &header, 0), 1);
    next = dup(pair.ends[0]); /* the number that comes next, and is free again */
    fd_close(next);
    assert_int_equal(pass_receive(pair.ends[1], text, sizeof text, &fd, 0), 1);
    assert_int_equal(fd, -1);
    assert_false(is_open(next));
    assert_false(is_open(next + 1));
    close_pair(&pair);
}

static void who_is_gone_is_an_error_and_no_signal(void **state)
{
    (void)state;
    struct pair pair = make_pair();
    char byte = 'x';
    int fd;
    fd_close(FD_MOVE(pair.ends[1]));
    assert_int_equal(pass_send(pair.ends[0], &byte, 1, -1, 0), -1);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(pass_receive(pair.ends[0], &byte, 1, &fd, 0), 0);
    assert_int_equal(fd, -1);
    close_pair(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_arrives_with_its_descriptor_or_without),
        cmocka_unit_test(of_several_descriptors_none_stays_open),
        cmocka_unit_test(who_is_gone_is_an_error_and_no_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
