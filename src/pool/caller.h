/* pool/caller.h -- one question at a time to a control plane, for commands and for consumers.
 *
 * It blocks: dials, proves itself, asks, waits for the answer, at most so long. A connection is
 * kept from question to question; when one that was kept turns out to be broken, another is made
 * and the question put again, once: so a question may be heard twice. Thread rule: one thread at a
 * time. */
#ifndef POOL_CALLER_H
#define POOL_CALLER_H

#include "net/tls.h"
#include "pool/wire.h"

struct caller_options {
    const char *address;     /* "host:port"; copied */
    const char *control_id;  /* SPIFFE id that it must prove; copied */
    struct tls_context *tls; /* made for bulk; a share is taken */
    enum wire_role role;     /* WIRE_CONSUMER or WIRE_OPERATOR */
    uint64_t timeout_ms;     /* of one question; 0: 30 s */
};
struct caller;
/* Nothing is dialled yet. LETHE_INVALID. */
LETHE_MUST_CHECK lethe_result caller_open(const struct caller_options *options, struct caller **out,
                                          struct lethe_error *err);
void caller_close(struct caller *caller); /* NULL is fine */
DEFINE_CLEANUP(caller_close, struct caller *);

/* The reply's index and data are the caller's until the next question. LETHE_UNAVAILABLE: not
 * reached, or no answer in time; LETHE_DENIED: one of the two does not believe the other;
 * LETHE_MALFORMED: it does not speak the protocol; or what the control plane answered, with its
 * text. `index` may be NULL. */
struct caller_reply {
    struct wire_head head;
    struct cursor index;
    struct cursor data;
};
LETHE_MUST_CHECK lethe_result caller_ask(struct caller *caller, enum wire_type type,
                                         const struct buffer *index, struct caller_reply *out,
                                         struct lethe_error *err);

/* DROP, which is answered when the lease is wiped: waits for as long as the control plane shows
 * that it is there, an hour at most. */
LETHE_MUST_CHECK lethe_result caller_drop(struct caller *caller, const struct lease_id *lease,
                                          struct lethe_error *err);

#endif
