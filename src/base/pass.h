/* base/pass.h -- one message over a local socket that keeps messages apart (SOCK_SEQPACKET, see
 * unix(7)), with a descriptor beside it.
 *
 * As sendmsg(2) and recvmsg(2): they give the bytes that went, or -1 with errno; what interrupts
 * is tried again, and `flags` are theirs (MSG_DONTWAIT). No signal for a peer that is gone. Any
 * thread. */
#ifndef BASE_PASS_H
#define BASE_PASS_H

#include <sys/types.h>

#include "base/base.h"

/* `fd` stays the caller's; negative: none goes along. */
ssize_t pass_send(int socket, const void *message, size_t size_bytes, int fd, int flags);
/* *fd is the caller's to close, whatever the message is; -1: none came. Of a message with more
 * than one, none arrives. A message that is longer than its room is cut short: whoever must tell
 * gives one byte more. */
ssize_t pass_receive(int socket, void *message, size_t capacity, int *fd, int flags);

#endif
