/* engine/channel.h -- the messages between supervisor and guardian, over a SOCK_SEQPACKET pair.
 *
 * Both ends are the same program and the same fork, so a message is a struct; the sizes are still
 * checked. One side's end is the other's news: a read of nothing means that the other process is
 * gone, or will say no more. */
#ifndef ENGINE_CHANNEL_H
#define ENGINE_CHANNEL_H

#include "base/base.h"
#include "engine/engine.h"
#include "engine/mapping.h"
#include "engine/swap.h"

enum message_kind {
    /* supervisor to guardian, in this order; it says no more: kill, wipe, tell */
    MESSAGE_SEAL,   /* everything is loaded: fork the engine, which waits */
    MESSAGE_GO,     /* its start is on record: let it run */
    MESSAGE_SIGNAL, /* pass `number` on to the engine */
    MESSAGE_DROP,   /* the engine is ready: what it has copied may go */
    /* guardian to supervisor, in this order */
    MESSAGE_READY,   /* storage is there: `handover`, `safety`, `bytes`, `path`, and scratch's
                      * descriptor */
    MESSAGE_FILE,    /* the descriptor of one file */
    MESSAGE_WAITING, /* the engine's process `number` waits */
    MESSAGE_RUNNING, /* it has become the engine, or failed to with errno `number` */
    MESSAGE_DROPPED, /* `wipe` of model `number`, all of which is gone in a moment; or ... */
    MESSAGE_KEPT,    /* ... nothing is dropped, because of `error` */
    MESSAGE_FAILED,  /* in the place of any before: `error` says why; goes on as at an exit */
    MESSAGE_WIPED,   /* `wipe` of model `number`, or (number of models) of scratch */
    MESSAGE_EXITED,  /* `number` is the exit code; `wipe.verified` when all is wiped and nobody who
                      * could have a copy lives; the end */
};

struct message {
    enum message_kind kind;
    int64_t number;
    uint64_t bytes;
    struct wipe wipe;
    bool signalled;
    enum handover handover;
    enum swap_safety safety;
    char path[256];                  /* the directory that the engine sees */
    char group[SWAP_GROUP_PATH_MAX]; /* the control group that was made; "": none */
    struct lethe_error error;
};

/* Sends one message, with a descriptor unless fd is negative. LETHE_LOST when the other side is
 * gone. */
LETHE_MUST_CHECK lethe_result channel_send(int channel, const struct message *message, int fd,
                                           struct lethe_error *err);
/* Waits for one. *fd is the descriptor that came with it, the caller's, or -1; fd may be NULL when
 * none is expected. What the other side said before it ended comes first, then LETHE_LOST. */
LETHE_MUST_CHECK lethe_result channel_receive(int channel, struct message *out, int *fd,
                                              struct lethe_error *err);
/* As channel_receive, but only `kind` will do; MESSAGE_FAILED gives the failure that it carries. */
LETHE_MUST_CHECK lethe_result channel_expect(int channel, enum message_kind kind,
                                             struct message *out, int *fd, struct lethe_error *err);

#endif
