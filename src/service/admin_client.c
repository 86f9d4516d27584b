#include "service/admin_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/error.h"
#include "service/wire.h"

#define TIMEOUT_MS 30000u
#define PATH_SIZE 8192u
#define CONNECTION 1u /* the only one that is spoken for */

struct admin_client {
    struct wire wire;
    uint64_t number; /* of the newest request */
};

/* ---- connecting ------------------------------------------------------------------------------ */

static lethe_result connect_to(const char *path, int *out, struct lethe_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, LETHE_INVALID, "the path of the admin socket is too long: %s", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    CLEANUP(fd_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_from_errno(err, "making a socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        error_set(err, LETHE_UNAVAILABLE, "no key service listens at %s: %s", path,
                  strerrordesc_np(errno));
        error_hint(err, "lethe kms serve starts one; --kms URL asks another");
        return LETHE_UNAVAILABLE;
    }
    *out = FD_MOVE(fd);
    return LETHE_OK;
}

lethe_result admin_client_open(const char *path, struct admin_client **out, struct lethe_error *err)
{
    int fd = -1;
    *out = NULL;
    TRY(connect_to(path, &fd, err));
    struct admin_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        fd_close(fd);
        return error_set(err, LETHE_NO_MEMORY, "no memory for a connection");
    }
    wire_init(&client->wire, fd);
    *out = client;
    return LETHE_OK;
}

void admin_client_close(struct admin_client *client)
{
    if (client == NULL)
        return;
    wire_clear(&client->wire);
    free(client);
}

/* ---- one call -------------------------------------------------------------------------------- */

struct waiting {
    struct admin_client *client;
    admin_piece *piece;
    void *context;
    struct guarded *body;
    unsigned *status;
    uint64_t timeout_ms;
    bool done;
};

static lethe_result wait_for(const struct waiting *waiting, short events, struct lethe_error *err)
{
    struct pollfd wanted = {.fd = waiting->client->wire.fd, .events = events};
    uint64_t end_ns = clock_monotonic_ns(&clock_system) + waiting->timeout_ms * 1000000u;
    for (;;) {
        uint64_t now_ns = clock_monotonic_ns(&clock_system);
        int left_ms = now_ns >= end_ns ? 0 : (int)MIN((end_ns - now_ns) / 1000000u + 1, 60000u);
        int ready = poll(&wanted, 1, left_ms);
        if (ready > 0)
            return LETHE_OK;
        if (ready < 0 && errno != EINTR)
            return error_from_errno(err, "waiting for the key service");
        if (left_ms == 0)
            return error_set(err, LETHE_UNAVAILABLE, "the key service does not answer");
    }
}

static lethe_result send_request(const struct waiting *waiting, const struct admin_request *request,
                                 struct lethe_error *err)
{
    struct admin_client *client = waiting->client;
    char path[PATH_SIZE];
    int length = snprintf(path, sizeof path, "/v1/%s", request->path);
    if (length < 0 || length >= (int)sizeof path)
        return error_set(err, LETHE_INVALID, "a path has at most %u bytes", PATH_SIZE - 5);
    const struct wire_frame frame = {
        .kind = WIRE_REQUEST,
        .code = (uint16_t)request->method,
        .connection = CONNECTION,
        .number = ++client->number,
        .parts = {{NULL, 0},
                  {(const uint8_t *)path, (size_t)length},
                  {(const uint8_t *)request->query, strlen(request->query)},
                  {request->body, request->body_bytes}}};
    bool left = true;
    wire_put(&client->wire, &frame);
    TRY(wire_flush(&client->wire, &left, err));
    while (left) {
        TRY(wait_for(waiting, POLLOUT, err));
        TRY(wire_flush(&client->wire, &left, err));
    }
    return LETHE_OK;
}

static lethe_result take_answer(struct waiting *waiting, const struct wire_frame *frame,
                                struct lethe_error *err)
{
    const struct wire_part *body = &frame->parts[1];
    *waiting->status = frame->code;
    if ((frame->flags & WIRE_STREAM) == 0) {
        waiting->done = true;
        guarded_append(waiting->body, body->at, body->size_bytes);
        return guarded_result(waiting->body, err);
    }
    if (waiting->piece == NULL)
        return error_set(err, LETHE_MALFORMED, "the key service's answer has no end");
    return body->size_bytes == 0
               ? LETHE_OK
               : waiting->piece(waiting->context, body->at, body->size_bytes, err);
}

/* What is about anything else is not for us to handle. */
static lethe_result take_frame(struct waiting *waiting, const struct wire_frame *frame,
                               struct lethe_error *err)
{
    if (frame->kind == WIRE_CLOSE)
        return error_set(err, LETHE_UNAVAILABLE, "the key service has ended the connection");
    if (frame->number != waiting->client->number)
        return LETHE_OK;
    switch (frame->kind) {
    case WIRE_ANSWER:
        return take_answer(waiting, frame, err);
    case WIRE_PIECE:
        if (waiting->piece == NULL)
            return error_set(err, LETHE_MALFORMED, "the key service's answer has no end");
        return waiting->piece(waiting->context, frame->parts[0].at, frame->parts[0].size_bytes,
                              err);
    case WIRE_FINISH:
        waiting->done = true;
        return LETHE_OK;
    default:
        return LETHE_OK;
    }
}

static lethe_result take_frames(struct waiting *waiting, struct lethe_error *err)
{
    struct wire_frame frame;
    while (!waiting->done) {
        lethe_result result = wire_next(&waiting->client->wire, &frame);
        if (result == LETHE_NOT_FOUND)
            return LETHE_OK;
        if (result != LETHE_OK)
            return error_set(err, result, "what listens at the admin socket is no key service");
        TRY(take_frame(waiting, &frame, err));
    }
    return LETHE_OK;
}

lethe_result admin_client_call(struct admin_client *client, const struct admin_request *request,
                               admin_piece *piece, void *context, unsigned *status,
                               struct guarded *body, struct lethe_error *err)
{
    struct waiting waiting = {.client = client,
                              .piece = piece,
                              .context = context,
                              .body = body,
                              .status = status,
                              .timeout_ms =
                                  request->timeout_ms > 0 ? request->timeout_ms : TIMEOUT_MS};
    *status = 0;
    guarded_wipe(body);
    TRY(send_request(&waiting, request, err));
    while (!waiting.done) {
        TRY(wait_for(&waiting, POLLIN, err));
        TRY(wire_fill(&client->wire, err));
        TRY(take_frames(&waiting, err));
    }
    return LETHE_OK;
}
