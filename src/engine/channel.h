/* engine/channel.h -- the messages between supervisor and guardian, over a SOCK_SEQPACKET pair.
 *
 * Both ends are the same program and the same fork, so a message is a struct; the sizes are still
 * checked. One side's end is the other's news: a read of nothing means that the other process is
 * gone. */
#ifndef ENGINE_CHANNEL_H
#define ENGINE_CHANNEL_H

#include "base/base.h"
#include "engine/engine.h"

enum message_kind {
    /* supervisor to guardian, in this order */
    MESSAGE_SEAL,   /* everything is loaded: fork the engine, which waits */
    MESSAGE_GO,     /* its start is on record: let it run */
    MESSAGE_SIGNAL, /* pass `number` on to the engine */
    /* guardian to supervisor */
    MESSAGE_READY, /* storage is there: `handover`, `safety`, `path`; then the files' descriptors */
    MESSAGE_FILE,  /* one descriptor */
    MESSAGE_WAITING, /* the engine's process `number` waits */
    MESSAGE_RUNNING, /* it has become the engine */
    MESSAGE_EXITED,  /* `number` is its exit code; `bytes`, `duration_ns`, `wiped` of the wipe */
    MESSAGE_FAILED,  /* `error` says why; everything is wiped */
};

struct message {
    enum message_kind kind;
    int64_t number;
    uint64_t bytes;
    uint64_t duration_ns;
    bool wiped;
    bool signalled;
    enum handover handover;
    enum swap_safety safety;
    char path[256]; /* the directory that the engine sees */
    struct lethe_error error;
};

/* Sends one message, with a descriptor unless fd is negative. LETHE_LOST when the other side is
 * gone. */
LETHE_MUST_CHECK lethe_result channel_send(int channel, const struct message *message, int fd,
                                           struct lethe_error *err);
/* Waits for one. *fd is the descriptor that came with it, the caller's, or -1; fd may be NULL when
 * none is expected. LETHE_LOST when the other side is gone. */
LETHE_MUST_CHECK lethe_result channel_receive(int channel, struct message *out, int *fd,
                                              struct lethe_error *err);
/* As channel_receive, but only `kind` will do; MESSAGE_FAILED gives the failure that it carries. */
LETHE_MUST_CHECK lethe_result channel_expect(int channel, enum message_kind kind,
                                             struct message *out, int *fd, struct lethe_error *err);

#endif
