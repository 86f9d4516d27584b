/* The socket, and new connections. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "net/source_limits.h"
#include "pool/control_core.h"
#include "pool/listen.h"

#define ACCEPTS_A_TURN 64u

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage all;
};

static lethe_result listen_on(struct control *control, struct lethe_error *err)
{
    static const int on = 1;
    TRY(listen_open(control->options.listen, control->options.allow_public, &control->listen_fd,
                    control->address, err));
    setsockopt(control->listen_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* inherited */
    return LETHE_OK;
}

/* ---- accepting ------------------------------------------------------------------------------- */

static void accept_one(struct control *control, int fd, const union address *address)
{
    const char *why;
    struct source_key key;
    char text[SOURCE_TEXT_SIZE];
    source_of_address(&address->all, &key, text);
    struct limits_source *source =
        limits_enter(control->sources, &key, loop_now_ms(control->loop), &why);
    if (source == NULL || control->peer_count >= control->limits.connections_max ||
        peer_accept(control, fd, source, NULL) != LETHE_OK) {
        if (source != NULL)
            limits_leave(control->sources, source);
        control->counters.turned_away++;
        close(fd);
    }
}

static void is_ready(void *context, unsigned events)
{
    struct control *control = context;
    for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
        union address address = {.all = {0}};
        socklen_t length = sizeof address;
        int fd = accept4(control->listen_fd, &address.any, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        accept_one(control, fd, &address);
    }
}

lethe_result control_listen(struct control *control, struct lethe_error *err)
{
    TRY(listen_on(control, err));
    return loop_watch(control->loop, control->listen_fd, LOOP_READ, is_ready, control,
                      &control->listening, err);
}
