/* pool/link.h -- one connection that speaks frames, over mutual TLS 1.3 on a loop.
 *
 *     intake  (pool/link_intake.h)  puts together the frames that come: pure
 *     outbox  (pool/link_outbox.h)  has the frames that wait to be sent: pure
 *
 * Control plane, provider and consumer all have links; who is at the other end is proven before the
 * first frame. Nothing is copied between a block and TLS: a frame that goes out names pieces of
 * memory, which stay until `sent`; a frame that comes in asks where its data go.
 *
 * Both ends may send requests. A link numbers those that it sends, checks the numbers of those that
 * come, and keeps no more of them than that: matching replies to what was asked is the owner's
 * (pool/pending.h). Everything that breaks a rule of docs/pool-protocol.md ends the link, with the
 * reason.
 *
 * Thread rule: a link is used on its loop's thread only. */
#ifndef POOL_LINK_H
#define POOL_LINK_H

#include <sys/uio.h>

#include "net/identity.h"
#include "net/loop.h"
#include "net/tls.h"
#include "pool/wire.h"

struct link;

/* A frame that came. `index` is whole and valid during the call; data come before it, where
 * `place` said. */
struct link_frame {
    struct wire_head head;
    struct cursor index;
};

/* Filled in by the owner. Within these calls the link may be written to and paused, and not freed:
 * for that there is link_end(). */
struct link_events {
    /* TLS is done: the peer is who it says. Anything but LETHE_OK ends the link. */
    lethe_result (*opened)(void *context, struct link *link, const struct spiffe_id *peer,
                           struct lethe_error *err);
    /* A frame with data: says where its data_bytes go, in at most LINK_PIECES_MAX pieces, which
     * stay until `frame` or `ended`. For a request it is not called while there are frames to be
     * sent that name memory (so that a reply is never changed by the request behind it); replies
     * wait for nothing, or two ends could wait for each other. Anything but LETHE_OK: the data are
     * read and thrown away, and `frame` gets the frame all the same, with the result as `refused`.
     * NULL: all data are refused (LETHE_INVALID). */
    lethe_result (*place)(void *context, struct link *link, const struct link_frame *frame,
                          struct iovec *pieces, size_t *count, struct lethe_error *err);
    /* The frame is there. `refused` is what `place` gave. Anything but LETHE_OK ends the link (what
     * is merely refused is answered). */
    lethe_result (*frame)(void *context, struct link *link, const struct link_frame *frame,
                          lethe_result refused, struct lethe_error *err);
    /* The last call, once, from the loop and never from within another call of the link. Pieces of
     * frames that were not sent were released before. LETHE_UNAVAILABLE: the connection broke, was
     * ended by the peer, or a deadline passed; LETHE_DENIED: one of the two does not believe the
     * other; LETHE_MALFORMED: the peer broke a rule; or what the owner ended it with. The owner
     * frees the link here or later. */
    void (*ended)(void *context, struct link *link, const struct lethe_error *why);
    void *context;
};
#define LINK_PIECES_MAX 256u
#define LINK_REPLIES_WAITING (1u << 20)

struct link_options {
    struct loop *loop;
    struct tls_context *tls; /* made for bulk */
    enum wire_role self;
    enum wire_role peer;   /* WIRE_UNKNOWN: a server whose peer says what it is, link_welcome() */
    uint64_t idle_ms;      /* without a byte from the peer the link ends; 0: never. While it is
                              paused, or waits for the peer to take something, other rules hold:
                              the first never ends it, the second when nothing is taken */
    uint64_t handshake_ms; /* with dialling, and until the peer has said what it is; 0: 10 s */
    /* That may wait to be sent; over it the link ends. Nobody can make it grow by asking: while
     * LINK_REPLIES_WAITING bytes of replies wait, nothing is read. 0: 64 MiB */
    size_t queue_bytes_max;
    struct link_events events;
};
/* Over a socket that accept() gave (any stream socket), which becomes the link's; on failure it
 * stays the caller's. */
LETHE_MUST_CHECK lethe_result link_accept(const struct link_options *options, int fd,
                                          struct link **out, struct lethe_error *err);
/* Dials "host:port". The server's certificate must be for the SPIFFE id `expected` (in place of a
 * host's name). Nothing blocks, but for looking up a name that is no address. LETHE_INVALID: the
 * address or the id is none; LETHE_UNAVAILABLE: no such name. All else is told by `ended`. */
LETHE_MUST_CHECK lethe_result link_dial(const struct link_options *options, const char *address,
                                        const char *expected, struct link **out,
                                        struct lethe_error *err);
/* LETHE_INVALID: it is not HOST:PORT. */
LETHE_MUST_CHECK lethe_result link_check_address(const char *address, struct lethe_error *err);
/* At once, but that it tries to send what waits: `ended` follows from the loop. Said twice, the
 * first reason holds. */
void link_end(struct link *link, lethe_result code, const char *why);
/* Without `ended`, and not within its other calls; what waits is released. NULL is fine. */
void link_free(struct link *link);
DEFINE_CLEANUP(link_free, struct link *);

/* ---- who is there ---------------------------------------------------------------------------- */

/* HELLO, for who dialled, as options.self; the reply comes to `frame`. Its request is number 1. */
LETHE_MUST_CHECK lethe_result link_hello(struct link *link, struct lethe_error *err);
/* For who was dialled, in `frame`, which returns its result: reads the HELLO, believes one of the
 * `roles` (WIRE_BY_...), says link_is(), and replies with the boot id (NULL: zeros). */
LETHE_MUST_CHECK lethe_result link_welcome(struct link *link, const struct link_frame *hello,
                                           unsigned roles, const uint8_t *boot_id,
                                           struct lethe_error *err);
/* A server learnt what the peer is. */
void link_is(struct link *link, enum wire_role peer);
enum wire_role link_role(const struct link *link);          /* the peer's; WIRE_UNKNOWN */
const struct spiffe_id *link_peer(const struct link *link); /* from `opened` on */

/* ---- sending --------------------------------------------------------------------------------- */

/* The next request's number. */
uint64_t link_next_request(struct link *link);

/* Sends a frame: its head (sizes are filled in), its index (copied; NULL: empty), and the pieces of
 * its data (NULL: none), which stay in place until released(context) is called: from the loop, when
 * the frame was handed over to TLS, or the link ended or is freed. All frames that are queued
 * within one turn of the loop go out together. On failure nothing was taken, and `released` is not
 * called. LETHE_NO_MEMORY, and LETHE_LIMIT: too much waits already; both end the link. Of a link
 * that ended the reason. A frame that breaks the protocol's rules is a broken precondition. */
struct link_data {
    const struct iovec *pieces;
    size_t count;
    void (*released)(void *context); /* may be NULL; not within link_send() */
    void *context;
};
LETHE_MUST_CHECK lethe_result link_send(struct link *link, const struct wire_head *head,
                                        const struct buffer *index, const struct link_data *data,
                                        struct lethe_error *err);
/* A reply with code 0, of the request's channel, without data. */
LETHE_MUST_CHECK lethe_result link_reply(struct link *link, const struct wire_head *request,
                                         uint64_t value, const struct buffer *index,
                                         struct lethe_error *err);
/* A refusal: the error's code, which is not LETHE_OK, and its text as index. */
LETHE_MUST_CHECK lethe_result link_refuse(struct link *link, const struct wire_head *request,
                                          const struct lethe_error *why, struct lethe_error *err);

/* Stops and goes on taking frames in (back pressure). A paused link looks now and then whether the
 * peer has gone, and ends then, without what came before. */
void link_pause(struct link *link, bool paused);

struct link_counters {
    uint64_t frames_in, frames_out, bytes_in, bytes_out; /* of frames, without TLS */
    size_t queued_bytes;
};
void link_counters(const struct link *link, struct link_counters *out);

#endif
