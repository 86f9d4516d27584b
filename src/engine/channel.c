#include "engine/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"

union control { /* aligned room for one descriptor */
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

lethe_result channel_send(int channel, const struct message *message, int fd,
                          struct lethe_error *err)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)message, .iov_len = sizeof *message};
    union control control = {0};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = sizeof control.bytes;
        struct cmsghdr *entry = CMSG_FIRSTHDR(&header);
        entry->cmsg_level = SOL_SOCKET;
        entry->cmsg_type = SCM_RIGHTS;
        entry->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(entry), &fd, sizeof fd);
    }
    ssize_t sent;
    do
        sent = sendmsg(channel, &header, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
        return error_set(err, LETHE_LOST, "the other process is gone");
    return sent < 0 ? error_from_errno(err, "channel") : LETHE_OK;
}

static int take_descriptor(struct msghdr *header)
{
    int fd = -1;
    struct cmsghdr *entry = CMSG_FIRSTHDR(header);
    if (entry != NULL && entry->cmsg_level == SOL_SOCKET && entry->cmsg_type == SCM_RIGHTS &&
        entry->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(entry), sizeof fd);
    return fd;
}

lethe_result channel_receive(int channel, struct message *out, int *fd, struct lethe_error *err)
{
    struct iovec part = {.iov_base = out, .iov_len = sizeof *out};
    union control control = {0};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes};
    ssize_t got;
    /* ECONNRESET comes once, before what the other side said last: it ended without reading all
     * that it had been told. */
    do
        got = recvmsg(channel, &header, MSG_CMSG_CLOEXEC);
    while (got < 0 && (errno == EINTR || errno == ECONNRESET));
    if (got == 0)
        return error_set(err, LETHE_LOST, "the other process is gone");
    if (got < 0)
        return error_from_errno(err, "channel");
    REQUIRE((size_t)got == sizeof *out);
    int received = take_descriptor(&header);
    if (fd != NULL)
        *fd = received;
    else
        fd_close(received);
    return LETHE_OK;
}

lethe_result channel_expect(int channel, enum message_kind kind, struct message *out, int *fd,
                            struct lethe_error *err)
{
    TRY(channel_receive(channel, out, fd, err));
    if (out->kind == MESSAGE_FAILED) {
        if (err != NULL)
            *err = out->error;
        return out->error.code;
    }
    REQUIRE(out->kind == kind);
    return LETHE_OK;
}
