/* The socket, and new connections. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "net/source_limits.h"
#include "pool/control_core.h"
#include "pool/listen.h"

#define ACCEPTS_A_TURN 64u

/* ---- accepting ------------------------------------------------------------------------------- */

static void accept_one(struct control *control, int fd, const struct sockaddr_storage *address)
{
    const char *why;
    struct source_key key;
    char text[SOURCE_TEXT_SIZE];
    source_of_address(address, &key, text);
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

static bool is_short(int failure)
{
    return failure == EMFILE || failure == ENFILE || failure == ENOBUFS || failure == ENOMEM;
}

/* While descriptors or memory are short nobody is taken, until the next sweep: who waits would make
 * the socket ready again at once. */
static void is_ready(void *context, unsigned events)
{
    struct control *control = context;
    for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address;
        int fd = accept4(control->listen_fd, (struct sockaddr *)&address, &length,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && is_short(errno))
            loop_watch_set(control->listening, 0);
        if (fd < 0)
            return;
        accept_one(control, fd, &address);
    }
}

lethe_result control_listen(struct control *control, struct lethe_error *err)
{
    TRY(listen_open(control->options.listen, control->options.allow_public, &control->listen_fd,
                    control->address, err));
    return loop_watch(control->loop, control->listen_fd, LOOP_READ, is_ready, control,
                      &control->listening, err);
}

void control_listen_again(struct control *control)
{
    loop_watch_set(control->listening, LOOP_READ);
}
