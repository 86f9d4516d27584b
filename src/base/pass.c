#include "base/pass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

union ancillary { /* aligned room for one descriptor */
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

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

ssize_t pass_send(int socket, const void *message, size_t size_bytes, int fd, int flags)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)message, .iov_len = size_bytes};
    union ancillary room = {0};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t sent;
    if (fd >= 0)
        attach(&header, &room, fd);
    do
        sent = sendmsg(socket, &header, flags | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

/* CMSG_SPACE pads: on 64 bits there is room for two, and both would be open. */
static int detach(struct msghdr *header)
{
    int fds[2] = {-1, -1};
    struct cmsghdr *entry = CMSG_FIRSTHDR(header);
    if (entry == NULL || entry->cmsg_level != SOL_SOCKET || entry->cmsg_type != SCM_RIGHTS)
        return -1;
    size_t bytes = MIN(entry->cmsg_len - CMSG_LEN(0), sizeof fds);
    memcpy(fds, CMSG_DATA(entry), bytes);
    if (bytes <= sizeof fds[0])
        return fds[0];
    fd_close(fds[0]);
    fd_close(fds[1]);
    return -1;
}

ssize_t pass_receive(int socket, void *message, size_t capacity, int *fd, int flags)
{
    struct iovec part = {.iov_base = message, .iov_len = capacity};
    union ancillary room = {0};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t got;
    *fd = -1;
    do {
        header.msg_control = room.bytes;
        header.msg_controllen = sizeof room.bytes;
        got = recvmsg(socket, &header, flags | MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got >= 0)
        *fd = detach(&header);
    return got;
}
