/* pool/link_core.h -- what the files of pool/link.h share. */
#ifndef POOL_LINK_CORE_H
#define POOL_LINK_CORE_H

#include "pool/link_intake.h"
#include "pool/link_outbox.h"

enum link_stage {
    LINK_DIALLING,
    LINK_HANDSHAKE,
    LINK_OPEN,
    LINK_ENDING, /* `ended` will be called */
    LINK_OVER,   /* it was */
};
struct link {
    struct link_options options;
    enum link_stage stage;
    bool is_running;  /* within link_run(), whose calls may lead here again */
    bool is_readable; /* TLS may have something, or the socket */
    bool is_paused;
    bool is_blocked;     /* TLS takes nothing more before the socket does */
    bool has_last_words; /* the owner ended it: what waits is sent if it can be */
    bool is_cut;         /* nothing can be written any more; the peer's last words are read */
    int fd;              /* until there is a TLS connection, which owns it */
    struct tls_connection *tls;
    struct addrinfo *addresses, *address; /* while it dials: all, and the one to be tried next */
    char *expected;                       /* the peer's id; NULL: any */
    struct spiffe_id peer;
    struct loop_watch *watch;
    struct loop_timer *timer; /* handshake, then idle */
    struct loop_task turn;    /* runs it once more, at the end of the loop's turn */
    struct loop_task last;    /* calls `ended` */
    uint64_t heard_ms;
    struct link_intake in;
    struct link_outbox out;
    struct lethe_error why;
    struct link_counters counters;
};

/* Ends it because a call failed; the first reason holds. */
void link_fail(struct link *link, lethe_result result, const struct lethe_error *err);
/* Does what can be done now, and watches for what cannot. */
void link_run(struct link *link);
void link_watch(struct link *link, unsigned events);
void link_begin_idle(struct link *link); /* open and known who is there, paused, or no more */
LETHE_MUST_CHECK lethe_result link_watch_socket(struct link *link, int fd, unsigned events,
                                                struct lethe_error *err);

/* link_dial.c: tries addresses until one connects. */
LETHE_MUST_CHECK lethe_result link_look_up(const char *address, struct addrinfo **out,
                                           struct lethe_error *err);
void link_step_dial(struct link *link);
void link_forget_addresses(struct link *link);

/* link_io.c: TLS, in both directions. */
void link_step_handshake(struct link *link);
void link_step_open(struct link *link);
void link_flush(struct link *link);

#endif
