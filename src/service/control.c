#include "service/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"

union ancillary { /* aligned room for one descriptor */
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

lethe_result control_pair(int ends[2], struct lethe_error *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return error_from_errno(err, "making a pair of sockets");
    return LETHE_OK;
}

static void attach(struct msghdr *header, union ancillary *room, int fd)
{
    header->msg_control = room->bytes;
    header->msg_controllen = sizeof room->bytes;
    struct cmsghdr *entry = CMSG_FIRSTHDR(header);
    entry->cmsg_level = SOL_SOCKET;
    entry->cmsg_type = SCM_RIGHTS;
    entry->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(entry), &fd, sizeof fd);
}

lethe_result control_send(int control, enum control_letter letter, int fd, struct lethe_error *err)
{
    char byte = (char)letter;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    union ancillary room = {0};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0)
        attach(&header, &room, fd);
    ssize_t sent;
    do
        sent = sendmsg(control, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET || errno == EAGAIN))
        return error_set(err, LETHE_UNAVAILABLE, "the other process is gone, or does not read");
    return sent < 0 ? error_from_errno(err, "telling the other process") : LETHE_OK;
}

static int detach(struct msghdr *header)
{
    int fd = -1;
    struct cmsghdr *entry = CMSG_FIRSTHDR(header);
    if (entry != NULL && entry->cmsg_level == SOL_SOCKET && entry->cmsg_type == SCM_RIGHTS &&
        entry->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(entry), sizeof fd);
    return fd;
}

lethe_result control_receive(int control, enum control_letter *letter, int *fd,
                             struct lethe_error *err)
{
    char bytes[2]; /* one more than a message has */
    struct iovec part = {.iov_base = bytes, .iov_len = sizeof bytes};
    union ancillary room = {0};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = room.bytes,
                            .msg_controllen = sizeof room.bytes};
    ssize_t got;
    *fd = -1;
    do
        got = recvmsg(control, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return error_set(err, LETHE_NOT_FOUND, "no message is there");
    if (got == 0 || (got < 0 && errno == ECONNRESET))
        return error_set(err, LETHE_UNAVAILABLE, "the other process is gone");
    if (got < 0)
        return error_from_errno(err, "hearing the other process");
    *fd = detach(&header);
    if (got == 1) {
        *letter = (enum control_letter)(unsigned char)bytes[0];
        return LETHE_OK;
    }
    fd_close(FD_MOVE(*fd));
    return error_set(err, LETHE_MALFORMED, "a message of %zd bytes", got);
}
