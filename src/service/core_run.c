/* The keeper's process: peers on a loop. What a turn puts on its way to others leaves with it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "net/loop.h"
#include "service/confine.h"
#include "service/control.h"
#include "service/core_core.h"

#define ADMIN_PEERS_MAX 32u
#define TICK_MS 1000u
#define UNSENT_HELD_BYTES                                                                          \
    ((size_t)8 << 20)                         /* nothing more is read of a peer that does not read \
                                               */
#define UNSENT_ENDED_BYTES ((size_t)64 << 20) /* it is ended */

struct runner;
struct member {
    struct member *next;
    struct runner *runner;
    struct core_peer peer;
    struct loop_watch *watch;
    bool gone; /* to be freed when nobody looks at it */
};
struct runner {
    struct service *service;
    const struct core_sockets *sockets;
    struct loop *loop;
    struct loop_watch *control_watch, *admin_watch, *durable_watch;
    struct loop_timer *timer;
    struct member *members;
    unsigned admin_count;
};

/* ---- members --------------------------------------------------------------------------------- */

static size_t unsent(const struct member *member)
{
    return member->peer.wire.out.size_bytes - member->peer.wire.out_done;
}

static void flush(struct member *member)
{
    bool left = false;
    if (member->gone || (unsent(member) == 0 && member->peer.wire.out.failure == LETHE_OK))
        return;
    if (wire_flush(&member->peer.wire, &left, NULL) != LETHE_OK ||
        unsent(member) > UNSENT_ENDED_BYTES)
        member->gone = true;
    unsigned events = unsent(member) > UNSENT_HELD_BYTES ? 0 : LOOP_READ;
    loop_watch_set(member->watch, events | (left ? LOOP_WRITE : 0));
}

static void free_member(struct runner *runner, struct member *member)
{
    core_forget(runner->service, &member->peer);
    loop_watch_free(member->watch);
    wire_clear(&member->peer.wire);
    runner->admin_count -= member->peer.origin == CORE_ADMIN ? 1 : 0;
    free(member);
}

/* What was done for one may have something to say to any other. */
static void settle(struct runner *runner)
{
    for (struct member *member = runner->members; member != NULL; member = member->next)
        flush(member);
    for (struct member **at = &runner->members; *at != NULL;) {
        struct member *member = *at;
        if (!member->gone) {
            at = &member->next;
            continue;
        }
        *at = member->next;
        free_member(runner, member);
    }
}

static void peer_ready(void *context, unsigned events)
{
    struct member *member = context;
    struct runner *runner = member->runner;
    if ((events & LOOP_READ) != 0)
        member->gone = wire_fill(&member->peer.wire, NULL) != LETHE_OK ||
                       core_handle(runner->service, &member->peer, NULL) != LETHE_OK;
    settle(runner);
}

/* The descriptor becomes the member's. */
static lethe_result add_member(struct runner *runner, enum core_origin origin, int fd, unsigned uid,
                               struct lethe_error *err)
{
    struct member *member = calloc(1, sizeof *member);
    if (member == NULL) {
        fd_close(fd);
        return error_set(err, LETHE_NO_MEMORY, "a peer");
    }
    member->runner = runner;
    member->peer.origin = origin;
    wire_init(&member->peer.wire, fd);
    snprintf(member->peer.admin_name, sizeof member->peer.admin_name, "uid:%u", uid);
    lethe_result result =
        loop_watch(runner->loop, fd, LOOP_READ, peer_ready, member, &member->watch, err);
    runner->admin_count += origin == CORE_ADMIN ? 1 : 0;
    if (result != LETHE_OK || core_peer_of(runner->service->core, &member->peer) == NULL) {
        free_member(runner, member);
        return result != LETHE_OK ? result : error_set(err, LETHE_LIMIT, "too many peers");
    }
    member->next = runner->members;
    runner->members = member;
    settle(runner);
    return LETHE_OK;
}

/* ---- where they come from -------------------------------------------------------------------- */

static void control_ready(void *context, unsigned events)
{
    struct runner *runner = context;
    enum control_letter letter;
    int fd = -1;
    (void)events;
    lethe_result result = control_receive(runner->sockets->control, &letter, &fd, NULL);
    if (result == LETHE_NOT_FOUND)
        return;
    if (result != LETHE_OK)
        loop_stop(runner->loop);
    else if (letter == CONTROL_PEER && fd >= 0)
        (void)!add_member(runner, CORE_NETWORK, FD_MOVE(fd), 0, NULL);
    fd_close(fd);
}

/* Operators are root, and who the service runs as. */
static bool is_operator(int fd, unsigned *uid)
{
    struct ucred who = {0};
    socklen_t size_bytes = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size_bytes) != 0 || size_bytes != sizeof who)
        return false;
    *uid = who.uid;
    return who.uid == 0 || who.uid == geteuid();
}

static void admin_ready(void *context, unsigned events)
{
    struct runner *runner = context;
    unsigned uid = 0;
    (void)events;
    CLEANUP(fd_close)
    int fd = accept4(runner->sockets->admin, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && runner->admin_count < ADMIN_PEERS_MAX && is_operator(fd, &uid))
        (void)!add_member(runner, CORE_ADMIN, FD_MOVE(fd), uid, NULL);
}

/* The disk has the records of a turn. */
static void durable_ready(void *context, unsigned events)
{
    struct runner *runner = context;
    struct core *core = runner->service->core;
    eventfd_t count;
    (void)events;
    (void)eventfd_read(core->durable_fd, &count);
    turns_send(core);
    settle(runner);
}

static void tick(void *context)
{
    struct runner *runner = context;
    service_tick(runner->service);
    settle(runner);
    loop_timer_set(runner->timer, TICK_MS);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static lethe_result start(struct runner *runner, struct lethe_error *err)
{
    const struct core_sockets *sockets = runner->sockets;
    TRY(loop_create(&runner->loop, err));
    TRY(loop_watch(runner->loop, sockets->control, LOOP_READ, control_ready, runner,
                   &runner->control_watch, err));
    if (sockets->admin >= 0)
        TRY(loop_watch(runner->loop, sockets->admin, LOOP_READ, admin_ready, runner,
                       &runner->admin_watch, err));
    TRY(loop_watch(runner->loop, runner->service->core->durable_fd, LOOP_READ, durable_ready,
                   runner, &runner->durable_watch, err));
    runner->service->core->may_wait = true;
    TRY(loop_timer_create(runner->loop, tick, runner, &runner->timer, err));
    loop_timer_set(runner->timer, TICK_MS);
    return LETHE_OK;
}

static void stop(struct runner *runner)
{
    while (runner->members != NULL) {
        struct member *member = runner->members;
        runner->members = member->next;
        free_member(runner, member);
    }
    runner->service->core->may_wait = false;
    loop_timer_free(runner->timer);
    loop_watch_free(runner->durable_watch);
    loop_watch_free(runner->admin_watch);
    loop_watch_free(runner->control_watch);
    loop_free(runner->loop);
}

lethe_result core_run(struct service *service, const struct core_sockets *sockets,
                      struct lethe_error *err)
{
    struct runner runner = {.service = service, .sockets = sockets};
    service->core->door_names = sockets->door_names;
    TRY(core_confine(sockets, err));
    lethe_result result = start(&runner, err);
    if (result == LETHE_OK)
        result = loop_run(runner.loop, err);
    stop(&runner);
    return result;
}
