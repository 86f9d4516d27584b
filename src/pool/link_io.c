#include <string.h>

#include "base/error.h"
#include "pool/link_core.h"

#define PARTS_AT_ONCE 64u
/* Then others have their turn; a frame counts as some bytes, however small it is. */
#define BYTES_AT_ONCE ((size_t)2 << 20)
#define FRAME_COUNTS_AS 4096u
#define DISCARD_BYTES 16384u

static void fail(struct link *link, lethe_result result, const char *why)
{
    struct lethe_error err;
    error_set(&err, result, "%s", why);
    link_fail(link, result, &err);
}

/* ---- the handshake ---------------------------------------------------------------------------
 */

static lethe_result learn_peer(struct link *link, struct lethe_error *err)
{
    TRY(tls_peer_spiffe(link->tls, &link->peer, err));
    if (link->expected != NULL && strcmp(link->expected, link->peer.text) != 0)
        return error_set(err, LETHE_DENIED, "the peer is %s, and %s was expected", link->peer.text,
                         link->expected);
    return LETHE_OK;
}

static void open_link(struct link *link)
{
    const struct link_events *events = &link->options.events;
    struct lethe_error err = {0};
    lethe_result result = learn_peer(link, &err);
    if (result == LETHE_OK) {
        link->stage = LINK_OPEN;
        link->is_readable = true; /* frames may have come with the handshake */
        link->heard_ms = loop_now_ms(link->options.loop);
        link_begin_idle(link);
        result = events->opened(events->context, link, &link->peer, &err);
    }
    if (result != LETHE_OK)
        link_fail(link, result, &err);
}

void link_step_handshake(struct link *link)
{
    enum tls_want want = TLS_DONE;
    struct lethe_error err = {0};
    lethe_result result = tls_handshake(link->tls, &want, &err);
    if (result != LETHE_OK)
        link_fail(link, result, &err);
    else if (want == TLS_CLOSED)
        fail(link, LETHE_UNAVAILABLE, "the peer ended the connection in its handshake");
    else if (want == TLS_DONE)
        open_link(link);
    else
        link_watch(link, want == TLS_WANT_WRITE ? LOOP_WRITE : LOOP_READ);
}

/* ---- writing ---------------------------------------------------------------------------------
 */

/* The peer may have said why it has gone: that is read before this ends. */
static void writing_failed(struct link *link, lethe_result result, const struct lethe_error *err)
{
    if (result != LETHE_IO) {
        link_fail(link, result, err);
        return;
    }
    link->is_cut = true;
    if (link->stage < LINK_ENDING)
        link->why = *err;
    outbox_clear(&link->out);
}

static lethe_result write_parts(struct link *link, struct lethe_error *err)
{
    struct iovec parts[PARTS_AT_ONCE];
    for (size_t count; (count = outbox_parts(&link->out, parts, ARRAY_LEN(parts))) > 0;) {
        size_t written = 0;
        enum tls_want want = TLS_DONE;
        lethe_result result = tls_write_parts(link->tls, parts, count, &written, &want, err);
        link->counters.bytes_out += written;
        outbox_wrote(&link->out, written);
        TRY(result);
        link->is_blocked = want != TLS_DONE;
        if (link->is_blocked)
            return LETHE_OK;
    }
    return LETHE_OK;
}

void link_flush(struct link *link)
{
    struct lethe_error err;
    enum tls_want want = TLS_DONE;
    bool was_blocked = link->is_blocked;
    uint64_t before = link->counters.bytes_out;
    if (link->is_cut) {
        outbox_clear(&link->out);
        return;
    }
    if (!was_blocked && link->out.queued_bytes == 0)
        return;
    link->is_blocked = false;
    lethe_result result = write_parts(link, &err);
    if (result == LETHE_OK && !link->is_blocked) {
        result = tls_flush(link->tls, &want, &err);
        link->is_blocked = want != TLS_DONE;
    }
    if (was_blocked && link->counters.bytes_out > before)
        link->heard_ms = loop_now_ms(link->options.loop); /* it takes something */
    if (result != LETHE_OK)
        writing_failed(link, result, &err);
}

/* ---- reading ---------------------------------------------------------------------------------
 */

static void received(struct link *link, size_t size_bytes)
{
    struct lethe_error err;
    link->heard_ms = loop_now_ms(link->options.loop);
    link->counters.bytes_in += size_bytes;
    lethe_result result = intake_took(&link->in, size_bytes, &err);
    if (result != LETHE_OK)
        link_fail(link, result, &err);
}

/* How much was read; 0: nothing is there now, or the link has ended. */
static size_t read_into(struct link *link, void *bytes, size_t capacity_bytes)
{
    struct lethe_error err;
    enum tls_want want = TLS_DONE;
    size_t read_bytes = 0;
    lethe_result result = tls_read(link->tls, bytes, capacity_bytes, &read_bytes, &want, &err);
    if (result != LETHE_OK)
        link_fail(link, result, link->is_cut && result == LETHE_IO ? &link->why : &err);
    else if (want == TLS_CLOSED)
        fail(link, LETHE_UNAVAILABLE, "the peer ended the connection");
    else if (read_bytes > 0)
        received(link, read_bytes);
    else if (link->is_cut)
        link_fail(link, LETHE_IO, &link->why);
    link->is_readable = read_bytes > 0;
    return read_bytes;
}

static size_t discard(struct link *link, size_t size_bytes)
{
    uint8_t nowhere[DISCARD_BYTES];
    return read_into(link, nowhere, MIN(size_bytes, sizeof nowhere));
}

static size_t read_some(struct link *link)
{
    struct iovec room;
    if (!link->is_readable)
        return 0;
    intake_room(&link->in, &room);
    return room.iov_base != NULL ? read_into(link, room.iov_base, room.iov_len)
                                 : discard(link, room.iov_len);
}

/* ---- frames ----------------------------------------------------------------------------------
 */

/* Replies are not kept waiting: whoever reads them is how the other end can go on. */
static bool may_place(const struct link *link)
{
    return wire_is_reply(&link->in.head) || link->out.naming_frames == 0;
}

static bool may_take(const struct link *link)
{
    return link->stage == LINK_OPEN && !link->is_paused &&
           link->out.reply_bytes < LINK_REPLIES_WAITING &&
           (link->in.part != INTAKE_PLACE || may_place(link));
}

static void place(struct link *link)
{
    const struct link_events *events = &link->options.events;
    struct link_frame frame = intake_frame(&link->in);
    struct iovec pieces[LINK_PIECES_MAX];
    struct lethe_error err;
    size_t count = 0;
    lethe_result refused = events->place == NULL
                               ? LETHE_INVALID
                               : events->place(events->context, link, &frame, pieces, &count, &err);
    lethe_result result = intake_place(&link->in, refused, pieces, count, &err);
    if (result != LETHE_OK)
        link_fail(link, result, &err);
}

static void deliver(struct link *link)
{
    const struct link_events *events = &link->options.events;
    struct link_frame frame = intake_frame(&link->in);
    struct lethe_error err;
    link->counters.frames_in++;
    lethe_result result = events->frame(events->context, link, &frame, link->in.refused, &err);
    if (result == LETHE_OK)
        result = intake_next(&link->in, &err);
    if (result != LETHE_OK)
        link_fail(link, result, &err);
}

/* One step on; how much it counts as, and 0 when the socket has nothing more. */
static size_t take_step(struct link *link)
{
    switch (link->in.part) {
    case INTAKE_PLACE:
        place(link);
        return 1;
    case INTAKE_FRAME:
        deliver(link);
        return FRAME_COUNTS_AS;
    default:
        return read_some(link);
    }
}

/* False: there may be more to be taken than was. */
static bool take_all(struct link *link)
{
    for (size_t taken = 0; taken < BYTES_AT_ONCE;) {
        if (link->stage == LINK_OPEN && !may_take(link))
            link_flush(link); /* which may be all that it waits for */
        if (!may_take(link))
            return true;
        size_t step = take_step(link);
        if (step == 0)
            return true;
        taken += step;
    }
    return false;
}

void link_step_open(struct link *link)
{
    link_flush(link);
    bool is_done = take_all(link);
    if (link->stage != LINK_OPEN)
        return;
    link_flush(link);
    if (link->stage != LINK_OPEN)
        return;
    if (link->is_cut && !may_take(link))
        link_fail(link, LETHE_IO, &link->why); /* and nobody wants to hear why */
    link->is_readable |= link->is_cut;
    if (!is_done || link->is_cut)
        loop_post(link->options.loop, &link->turn);
    link_watch(link, (may_take(link) ? LOOP_READ : 0u) | (link->is_blocked ? LOOP_WRITE : 0u));
}
