#include "service/door.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "base/error.h"
#include "service/confine.h"
#include "service/control.h"
#include "service/door_state.h"
#include "service/serve_log.h"

#define LOOK_MS 1000u

/* ---- what the supervisor says -----------------------------------------------------------------
 */

static void meet(struct door *door, int fd)
{
    struct lethe_error err = {0};
    door->wants_keeper = fd < 0;
    if (fd < 0) {
        serve_log(SERVE_ERROR, "no descriptor is left for a socket to the keeper");
        return;
    }
    if (door_keeper_meet(door, fd, &err) != LETHE_OK)
        serve_log(SERVE_ERROR, "%s", err.text);
}

static void reload(struct door *door)
{
    struct lethe_error err = {0};
    if (door_tls_renew(door, &err) != LETHE_OK)
        serve_log(SERVE_ERROR, "%s", err.text);
    else if (door->key == NULL)
        serve_log(SERVE_NOTICE, "the files of the certificate were read again");
}

static void stop(void *context)
{
    struct door *door = context;
    loop_stop(door->loop);
}

/* The supervisor has the listeners, too: closing them here would leave whoever connects waiting. */
static void drain(struct door *door)
{
    if (door->server == NULL) {
        stop(door);
        return;
    }
    http_server_drain(door->server, DOOR_DRAIN_MS, stop, door);
    for (size_t i = 0; i < door->ends->listener_count; i++)
        shutdown(door->ends->listeners[i], SHUT_RDWR);
}

static void take_letter(struct door *door, enum control_letter letter, int fd)
{
    switch (letter) {
    case CONTROL_PEER:
        meet(door, fd);
        return;
    case CONTROL_RELOAD:
        reload(door);
        break;
    case CONTROL_DRAIN:
        drain(door);
        break;
    default:
        break;
    }
    fd_close(fd);
}

static void look_around(void *context)
{
    struct door *door = context;
    loop_timer_set(door->look_timer, LOOK_MS);
    if (door->wants_keeper)
        door_ask_for_keeper(door);
    door_look_at_keeper(door, LOOK_MS);
}

static void on_control(void *context, unsigned events)
{
    struct door *door = context;
    enum control_letter letter;
    int fd;
    lethe_result result;
    while ((result = control_receive(door->ends->control, &letter, &fd, NULL)) == LETHE_OK)
        take_letter(door, letter, fd);
    if (result != LETHE_NOT_FOUND)
        stop(door);
}

/* ---- all of it --------------------------------------------------------------------------------
 */

static lethe_result make_loop(struct door *door, struct lethe_error *err)
{
    TRY(loop_create(&door->loop, err));
    TRY(loop_timer_create(door->loop, door_keeper_flush, door, &door->flush, err));
    TRY(loop_timer_create(door->loop, door_tell_counts, door, &door->counts_timer, err));
    loop_timer_set(door->counts_timer, DOOR_COUNTS_MS);
    TRY(loop_timer_create(door->loop, look_around, door, &door->look_timer, err));
    loop_timer_set(door->look_timer, LOOK_MS);
    return loop_watch(door->loop, door->ends->control, LOOP_READ, on_control, door, &door->control,
                      err);
}

static lethe_result run(struct door *door, struct lethe_error *err)
{
    TRY(door_confine(door->options, err));
    TRY(make_loop(door, err));
    TRY(door_tls_start(door, err));
    return loop_run(door->loop, err);
}

static void clear(struct door *door)
{
    if (door->keeper != NULL) {
        loop_watch_free(MOVE(door->keeper));
        wire_clear(&door->wire);
    }
    http_server_free(door->server);
    door_connections_clear(door);
    loop_watch_free(door->control);
    loop_timer_free(door->flush);
    loop_timer_free(door->counts_timer);
    loop_timer_free(door->look_timer);
    loop_free(door->loop);
    sign_pair_free(door->key);
    buffer_clear(&door->request);
    buffer_clear(&door->chain_pem);
    buffer_clear(&door->roots_pem);
    buffer_clear(&door->crls_pem);
    guarded_clear(&door->scratch);
    free(door);
}

lethe_result door_run(const struct serve_options *options, const struct serve_ends *ends,
                      struct lethe_error *err)
{
    struct door *door = calloc(1, sizeof *door);
    if (door == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the door");
    door->options = options;
    door->ends = ends;
    lethe_result result = run(door, err);
    clear(door);
    return result;
}
