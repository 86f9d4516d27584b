#include "engine/channel.h"

#include <errno.h>

#include "base/error.h"
#include "base/pass.h"

lethe_result channel_send(int channel, const struct message *message, int fd,
                          struct lethe_error *err)
{
    ssize_t sent = pass_send(channel, message, sizeof *message, fd, 0);
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
        return error_set(err, LETHE_LOST, "the other process is gone");
    return sent < 0 ? error_from_errno(err, "channel") : LETHE_OK;
}

lethe_result channel_receive(int channel, struct message *out, int *fd, struct lethe_error *err)
{
    int received = -1;
    ssize_t got;
    /* ECONNRESET comes once, before what the other side said last: it ended without reading all
     * that it had been told. */
    do
        got = pass_receive(channel, out, sizeof *out, &received, 0);
    while (got < 0 && errno == ECONNRESET);
    if (got == 0)
        return error_set(err, LETHE_LOST, "the other process is gone");
    if (got < 0)
        return error_from_errno(err, "channel");
    REQUIRE((size_t)got == sizeof *out);
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
