/* service/control.h -- what the supervisor and its two children say to each other.
 *
 * Messages of one letter over a SOCK_SEQPACKET pair, with a descriptor where the letter says so.
 * The end of it is the last message: a child whose supervisor is gone, or that is to end, reads no
 * more. */
#ifndef SERVICE_CONTROL_H
#define SERVICE_CONTROL_H

#include "base/base.h"

enum control_letter {
    /* to either child, with a descriptor: a stream socket to the other one, which is new */
    CONTROL_PEER = 'P',
    /* to the door */
    CONTROL_RELOAD = 'H', /* read the files of the certificate again */
    CONTROL_DRAIN = 'D',  /* no new connections; end when the open requests are answered */
    /* from the door: it listens, and the keeper is ready or sealed */
    CONTROL_READY = 'R',
    CONTROL_SEALED = 'S',
    CONTROL_LOST = 'L', /* the socket to a keeper that had been ready is closed: another, please */
};

/* A pair of ends: both close on exec, both non-blocking. */
LETHE_MUST_CHECK lethe_result control_pair(int ends[2], struct lethe_error *err);
/* With a descriptor unless `fd` is negative; it stays the caller's. LETHE_UNAVAILABLE: the other
 * side is gone, or does not read. */
LETHE_MUST_CHECK lethe_result control_send(int control, enum control_letter letter, int fd,
                                           struct lethe_error *err);
/* The next message. *fd is the descriptor that came with it, the caller's, or -1: none came, or
 * more than one, which are closed. LETHE_NOT_FOUND: none is there; LETHE_UNAVAILABLE: the other
 * side is gone; LETHE_MALFORMED: no message of ours. */
LETHE_MUST_CHECK lethe_result control_receive(int control, enum control_letter *letter, int *fd,
                                              struct lethe_error *err);

#endif
