#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "pool/link_core.h"

#define HANDSHAKE_MS 10000u
#define QUEUE_BYTES_MAX ((size_t)64 << 20)
#define LOOK_MS 250u /* a paused link, whether its peer is there */

/* ---- ending ----------------------------------------------------------------------------------
 */

static void release_all(struct link *link)
{
    loop_unpost(link->options.loop, &link->turn);
    loop_unpost(link->options.loop, &link->last);
    loop_timer_free(MOVE(link->timer));
    loop_watch_free(MOVE(link->watch));
    outbox_clear(&link->out);
    intake_clear(&link->in);
    tls_free(MOVE(link->tls));
    fd_close(FD_MOVE(link->fd));
    link_forget_addresses(link);
}

static void say_it_ended(void *context)
{
    struct link *link = context;
    if (link->has_last_words)
        link_flush(link);
    release_all(link);
    link->stage = LINK_OVER;
    link->options.events.ended(link->options.events.context, link, &link->why);
}

void link_fail(struct link *link, lethe_result result, const struct lethe_error *err)
{
    if (link->stage >= LINK_ENDING)
        return;
    link->stage = LINK_ENDING;
    link->why = *err;
    /* A connection that broke may be made anew; what is not believed stays refused. */
    link->why.code = result == LETHE_IO ? LETHE_UNAVAILABLE : result;
    link_watch(link, 0);
    loop_timer_clear(link->timer);
    loop_unpost(link->options.loop, &link->turn);
    loop_post(link->options.loop, &link->last);
}

void link_end(struct link *link, lethe_result code, const char *why)
{
    struct lethe_error err;
    if (link->stage >= LINK_ENDING)
        return;
    link->has_last_words = link->stage == LINK_OPEN;
    error_set(&err, code, "%s", why);
    link_fail(link, code, &err);
}

void link_free(struct link *link)
{
    if (link == NULL)
        return;
    REQUIRE(!link->is_running);
    release_all(link);
    free(link->expected);
    free(link);
}

/* ---- time ------------------------------------------------------------------------------------
 */

static void handshake_took_too_long(struct link *link)
{
    struct lethe_error err;
    error_set(&err, LETHE_UNAVAILABLE,
              link->stage == LINK_DIALLING    ? "nobody answered in time"
              : link->stage == LINK_HANDSHAKE ? "the TLS handshake was not finished in time"
                                              : "HELLO was not said in time");
    link_fail(link, err.code, &err);
}

/* The handshake is over when it is known what the peer is: until then the first deadline holds. */
void link_begin_idle(struct link *link)
{
    if (link->stage != LINK_OPEN || link->in.peer == WIRE_UNKNOWN)
        return;
    loop_timer_clear(link->timer);
    link->heard_ms = loop_now_ms(link->options.loop);
    uint64_t first_ms = link->is_paused ? LOOK_MS : link->options.idle_ms;
    if (first_ms > 0)
        loop_timer_set(link->timer, first_ms);
}

/* Nothing is read that would say so. */
static void look_for_peer(struct link *link)
{
    struct lethe_error err;
    struct pollfd socket = {.fd = tls_fd(link->tls), .events = POLLRDHUP};
    if (poll(&socket, 1, 0) <= 0) {
        loop_timer_set(link->timer, LOOK_MS);
        return;
    }
    error_set(&err, LETHE_UNAVAILABLE, "the peer ended the connection");
    link_fail(link, err.code, &err);
}

static void time_is_up(void *context)
{
    struct link *link = context;
    struct lethe_error err;
    uint64_t now_ms = loop_now_ms(link->options.loop), idle_ms = link->options.idle_ms;
    if (link->stage < LINK_OPEN || link->in.peer == WIRE_UNKNOWN) {
        handshake_took_too_long(link);
        return;
    }
    if (link->is_paused) {
        look_for_peer(link);
        return;
    }
    uint64_t silent_ms = now_ms - link->heard_ms;
    if (silent_ms < idle_ms) {
        loop_timer_set(link->timer, idle_ms - silent_ms);
        return;
    }
    error_set(&err, LETHE_UNAVAILABLE, "nothing was heard of the peer for %llu ms",
              (unsigned long long)silent_ms);
    link_fail(link, err.code, &err);
}

/* ---- running ---------------------------------------------------------------------------------
 */

void link_watch(struct link *link, unsigned events)
{
    if (link->watch != NULL)
        loop_watch_set(link->watch, events);
}

void link_run(struct link *link)
{
    static void (*const steps[])(struct link * link) = {
        [LINK_DIALLING] = link_step_dial,
        [LINK_HANDSHAKE] = link_step_handshake,
        [LINK_OPEN] = link_step_open,
    };
    if (link->is_running)
        return;
    link->is_running = true;
    for (enum link_stage stage = LINK_OVER; stage != link->stage && link->stage < LINK_ENDING;) {
        stage = link->stage;
        steps[stage](link);
    }
    link->is_running = false;
}

static void run_again(void *context)
{
    link_run(context);
}

/* ---- making ----------------------------------------------------------------------------------
 */

static lethe_result link_create(const struct link_options *options, struct link **out,
                                struct lethe_error *err)
{
    CLEANUP(link_free) struct link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a link");
    link->options = *options;
    link->fd = -1;
    if (link->options.handshake_ms == 0)
        link->options.handshake_ms = HANDSHAKE_MS;
    if (link->options.queue_bytes_max == 0)
        link->options.queue_bytes_max = QUEUE_BYTES_MAX;
    link->turn = (struct loop_task){.work = run_again, .context = link};
    link->last = (struct loop_task){.work = say_it_ended, .context = link};
    intake_init(&link->in, options->self, options->peer);
    outbox_init(&link->out);
    TRY(loop_timer_create(options->loop, time_is_up, link, &link->timer, err));
    loop_timer_set(link->timer, link->options.handshake_ms);
    *out = MOVE(link);
    return LETHE_OK;
}

static void socket_is_ready(void *context, unsigned events)
{
    struct link *link = context;
    link->is_readable |= (events & LOOP_READ) != 0;
    link_run(link);
}

lethe_result link_watch_socket(struct link *link, int fd, unsigned events, struct lethe_error *err)
{
    const int on = 1;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return error_from_errno(err, "setting up a socket");
    /* What is sent is sent whole, and nothing is gained by waiting for more. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* if it is TCP */
    return loop_watch(link->options.loop, fd, events, socket_is_ready, link, &link->watch, err);
}

lethe_result link_accept(const struct link_options *options, int fd, struct link **out,
                         struct lethe_error *err)
{
    CLEANUP(link_free) struct link *link = NULL;
    TRY(link_create(options, &link, err));
    TRY(link_watch_socket(link, fd, LOOP_READ, err));
    TRY(tls_accept(options->tls, fd, &link->tls, err)); /* the last that fails: it takes fd */
    link->stage = LINK_HANDSHAKE;
    *out = MOVE(link);
    return LETHE_OK;
}

lethe_result link_dial(const struct link_options *options, const char *address,
                       const char *expected, struct link **out, struct lethe_error *err)
{
    CLEANUP(link_free) struct link *link = NULL;
    struct spiffe_id id;
    TRY(spiffe_parse(expected, strlen(expected), &id, err));
    TRY(link_create(options, &link, err));
    link->expected = strdup(id.text);
    if (link->expected == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a link");
    TRY(link_look_up(address, &link->addresses, err));
    link->address = link->addresses;
    loop_post(options->loop, &link->turn);
    *out = MOVE(link);
    return LETHE_OK;
}
