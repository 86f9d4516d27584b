#include "service/control.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/pass.h"

lethe_result control_pair(int ends[2], struct lethe_error *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return error_from_errno(err, "making a pair of sockets");
    return LETHE_OK;
}

lethe_result control_send(int control, enum control_letter letter, int fd, struct lethe_error *err)
{
    const char byte = (char)letter;
    ssize_t sent = pass_send(control, &byte, 1, fd, MSG_DONTWAIT);
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET || errno == EAGAIN))
        return error_set(err, LETHE_UNAVAILABLE, "the other process is gone, or does not read");
    return sent < 0 ? error_from_errno(err, "telling the other process") : LETHE_OK;
}

lethe_result control_receive(int control, enum control_letter *letter, int *fd,
                             struct lethe_error *err)
{
    char bytes[2]; /* one more than a message has */
    ssize_t got = pass_receive(control, bytes, sizeof bytes, fd, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return error_set(err, LETHE_NOT_FOUND, "no message is there");
    if (got == 0 || (got < 0 && errno == ECONNRESET)) {
        fd_close(FD_MOVE(*fd));
        return error_set(err, LETHE_UNAVAILABLE, "the other process is gone");
    }
    if (got < 0)
        return error_from_errno(err, "hearing the other process");
    if (got == 1) {
        *letter = (enum control_letter)(unsigned char)bytes[0];
        return LETHE_OK;
    }
    fd_close(FD_MOVE(*fd));
    return error_set(err, LETHE_MALFORMED, "a message of %zd bytes", got);
}
