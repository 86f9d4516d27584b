/* pool/link.h -- one connection that speaks frames, over mutual TLS 1.3 on a loop.
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
     * stay until `frame` or `ended`. Not called while there are frames to be sent that name memory
     * (so that a reply is never changed by the request behind it). Anything but LETHE_OK: the data
     * are read and thrown away, and `frame` gets the frame all the same, with *refused as the
     * result. */
    lethe_result (*place)(void *context, struct link *link, const struct link_frame *frame,
                          struct iovec *pieces, size_t *count, struct lethe_error *err);
    /* The frame is there. `refused` is what `place` gave. Anything but LETHE_OK ends the link (what
     * is merely refused is answered). */
    lethe_result (*frame)(void *context, struct link *link, const struct link_frame *frame,
                          lethe_result refused, struct lethe_error *err);
    /* The last call, once, from the loop and never from within another call of the link. Pieces of
     * frames that were not sent are released. The owner frees the link here or later. */
    void (*ended)(void *context, struct link *link, const struct lethe_error *why);
    void *context;
};
#define LINK_PIECES_MAX 256u

struct link_options {
    struct loop *loop;
    struct tls_context *tls;
    enum wire_role self;
    enum wire_role peer;    /* a server whose peer says by HELLO what it is: 0, and link_is() */
    uint64_t idle_ms;       /* without a byte from the peer the link ends; 0: never */
    uint64_t handshake_ms;  /* 0: 10 s */
    size_t queue_bytes_max; /* that may wait to be sent; over it the link ends. 0: 64 MiB */
    struct link_events events;
};
/* Over a socket that accept() gave, which becomes the link's. */
LETHE_MUST_CHECK lethe_result link_accept(const struct link_options *options, int fd,
                                          struct link **out, struct lethe_error *err);
/* Dials "host:port". The server's certificate must be for the SPIFFE id `expected` (in place of a
 * host's name). Nothing blocks, but for looking up a name that is no address. */
LETHE_MUST_CHECK lethe_result link_dial(const struct link_options *options, const char *address,
                                        const char *expected, struct link **out,
                                        struct lethe_error *err);
/* At once: `ended` follows from the loop. Said twice, the first reason holds. */
void link_end(struct link *link, lethe_result code, const char *why);
void link_free(struct link *link); /* without `ended`; not within its calls; NULL is fine */
DEFINE_CLEANUP(link_free, struct link *);

/* A server learnt what the peer is. */
void link_is(struct link *link, enum wire_role peer);
const struct spiffe_id *link_peer(const struct link *link); /* after `opened` */

/* The next request's number. */
uint64_t link_next_request(struct link *link);

/* Sends a frame: its head (sizes are filled in), its index (copied), and the pieces of its data,
 * which stay in place until released(piece_context) is called, or the link is freed. All frames
 * that are queued within one turn of the loop go out together. LETHE_NO_MEMORY, and LETHE_LIMIT:
 * too much waits already; both end the link. */
struct link_data {
    const struct iovec *pieces;
    size_t count;
    void (*released)(void *context); /* may be NULL */
    void *context;
};
LETHE_MUST_CHECK lethe_result link_send(struct link *link, const struct wire_head *head,
                                        const struct buffer *index, const struct link_data *data,
                                        struct lethe_error *err);
/* A reply to a frame: code and, unless it is LETHE_OK, the error's text as index. */
LETHE_MUST_CHECK lethe_result link_refuse(struct link *link, const struct wire_head *request,
                                          const struct lethe_error *why, struct lethe_error *err);

/* Stops and goes on taking frames in (back pressure). */
void link_pause(struct link *link, bool paused);

struct link_counters {
    uint64_t frames_in, frames_out, bytes_in, bytes_out;
    size_t queued_bytes;
};
void link_counters(const struct link *link, struct link_counters *out);

#endif
