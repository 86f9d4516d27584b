/* New connections of consumers. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "pool/listen.h"
#include "pool/provider_core.h"

#define ACCEPTS_A_TURN 64u
#define AGAIN_MS 100u /* when descriptors or memory are short */
#define SOURCES_MAX 4096u
#define HANDSHAKES_PER_SECOND 500u /* of one source: consumers come together after a restart */

lethe_result provider_listen(struct provider *provider, struct lethe_error *err)
{
    const struct provider_options *options = &provider->options;
    const struct limits_options limits = {.sources_max = SOURCES_MAX,
                                          .connections_per_source = options->connections_max,
                                          .handshakes_per_second = HANDSHAKES_PER_SECOND,
                                          .penalty_ms = 1000};
    TRY(listen_open(options->listen, options->allow_public, &provider->listener, provider->address,
                    err));
    const char *announce = options->announce != NULL ? options->announce : provider->address;
    if (strlen(announce) > WIRE_ADDRESS_MAX)
        return error_set(err, LETHE_INVALID, "the announced address is too long");
    strcpy(provider->announce, announce);
    TRY(places_create(options->connections_per_identity, &provider->places, err));
    return limits_create(&limits, &provider->limits, err);
}

static bool is_short(int failure)
{
    return failure == EMFILE || failure == ENFILE || failure == ENOBUFS || failure == ENOMEM;
}

static void accept_some(void *context, unsigned events)
{
    struct provider *provider = context;
    for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address;
        int fd = accept4(provider->listener, (struct sockaddr *)&address, &length,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            consumer_accept(provider, fd, &address);
        } else if (is_short(errno)) {
            loop_watch_set(provider->accepts, 0);
            loop_timer_set(provider->accepts_again, AGAIN_MS);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void accept_again(void *context)
{
    struct provider *provider = context;
    if (provider->accepts != NULL)
        loop_watch_set(provider->accepts, LOOP_READ);
}

lethe_result provider_accept_begin(struct provider *provider, struct lethe_error *err)
{
    struct loop *loop = provider_loop(provider);
    TRY(loop_timer_create(loop, accept_again, provider, &provider->accepts_again, err));
    return loop_watch(loop, provider->listener, LOOP_READ, accept_some, provider,
                      &provider->accepts, err);
}

void provider_accept_end(struct provider *provider)
{
    loop_watch_free(MOVE(provider->accepts));
    loop_timer_free(MOVE(provider->accepts_again));
    fd_close(FD_MOVE(provider->listener));
}
