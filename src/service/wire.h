/* service/wire.h -- what door and keeper say to each other, and operators on the admin socket.
 *
 * Frames over a stream socket of this machine, little-endian: le32 size of what follows, u8 kind,
 * u8 flags, le16 code, le64 connection, le64 number, then the kind's parts, each le32-prefixed. A
 * side that reads something else closes: the other end is not what it should be. Frames are read
 * and written many at a time, from and into guarded memory, and wiped once they are handled.
 * Thread rule: one thread at a time. */
#ifndef SERVICE_WIRE_H
#define SERVICE_WIRE_H

#include "mem/guarded.h"

#define WIRE_HEADER_BYTES 24u
#define WIRE_FRAME_MAX ((size_t)34 << 20) /* a body, and what stands beside it */
#define WIRE_PARTS_MAX 8u

/* X(name, parts) -- door to keeper: D, keeper to door: K, supervisor: S.
 *   CONNECTION D  source, certificate chain (tls_peer_chain): before the first request of one
 *   REQUEST    D  code: a bit of enum call_method (service/call.h; GET for HEAD, POST for PUT, and
 *                 GET for "?list=true", which the keeper sees for itself); token, path (decoded,
 *                 "/v1/..." or "/metrics"), query (as sent, without '?'), body; flags below
 *   CLOSED     D  the connection is gone
 *   HELLO      D  certificate request (PKCS#10) of the door's own TLS key; empty when it has files
 *   COUNTS     D  text in Prometheus' format: the door's own part of /metrics
 *   ANSWER     K  code: status; flags below; content type, body
 *   PIECE      K  more of a streamed answer;  FINISH  its end
 *   CLOSE      K  end this connection now (revoked)
 *   PENALISE   K  source: it failed to prove itself
 *   SETTINGS   K  the door's certificate chain (PEM), roots of clients (PEM), CRLs (PEM): at HELLO
 *                 and whenever they change
 *   READY      K  sealed or not (code 1, 0): sent on start and on change */
#define WIRE_KINDS(X)                                                                              \
    X(CONNECTION, 2)                                                                               \
    X(REQUEST, 4)                                                                                  \
    X(CLOSED, 0)                                                                                   \
    X(HELLO, 1)                                                                                    \
    X(COUNTS, 1)                                                                                   \
    X(ANSWER, 2)                                                                                   \
    X(PIECE, 1)                                                                                    \
    X(FINISH, 0)                                                                                   \
    X(CLOSE, 0)                                                                                    \
    X(PENALISE, 1)                                                                                 \
    X(SETTINGS, 3)                                                                                 \
    X(READY, 0)
enum wire_kind {
#define WIRE_KIND_ENUM(name, parts) WIRE_##name,
    WIRE_KINDS(WIRE_KIND_ENUM)
#undef WIRE_KIND_ENUM
        WIRE_KIND_COUNT
};
enum wire_request_flags {
    WIRE_HAS_TOKEN = 1u << 0, /* an empty one is one, too */
    WIRE_WRAP_TTL = 1u << 1,  /* X-Vault-Wrap-TTL was there */
    WIRE_NAMESPACE = 1u << 2, /* X-Vault-Namespace was there, and not empty */
};
enum wire_answer_flags {
    WIRE_STREAM = 1u << 0, /* PIECEs follow */
    WIRE_END_CONNECTION = 1u << 1,
};

struct wire_part {
    const uint8_t *at;
    size_t size_bytes;
};
struct wire_frame { /* borrows of the buffer that it was read from, or of the writer */
    enum wire_kind kind;
    uint8_t flags;
    uint16_t code;
    uint64_t connection;
    uint64_t number;
    struct wire_part parts[WIRE_PARTS_MAX];
};

void wire_append(struct guarded *out, const struct wire_frame *frame);
/* The next whole frame of the bytes and how long it is. LETHE_NOT_FOUND: not all of it is there
 * yet; LETHE_MALFORMED: it is none. */
LETHE_MUST_CHECK lethe_result wire_parse(const uint8_t *bytes, size_t size_bytes,
                                         struct wire_frame *out, size_t *frame_bytes);

/* One end: buffers both ways over a non-blocking socket. */
struct wire {
    int fd;
    struct guarded in;
    size_t in_done; /* parsed bytes at the front of `in`, wiped by the next wire_fill() */
    struct guarded out;
    size_t out_done;
};
void wire_init(struct wire *wire, int fd); /* the descriptor becomes the wire's */
void wire_clear(struct wire *wire);        /* closes and wipes */
/* Reads what is there. LETHE_UNAVAILABLE: the other end is gone. */
LETHE_MUST_CHECK lethe_result wire_fill(struct wire *wire, struct lethe_error *err);
/* The next frame of what was read; results as wire_parse(). Valid until wire_fill(). */
LETHE_MUST_CHECK lethe_result wire_next(struct wire *wire, struct wire_frame *out);
void wire_put(struct wire *wire, const struct wire_frame *frame);
/* Writes what it can; *left: something is left. */
LETHE_MUST_CHECK lethe_result wire_flush(struct wire *wire, bool *left, struct lethe_error *err);

#endif
