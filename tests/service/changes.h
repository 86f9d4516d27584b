/* tests/service/changes.h -- every call that changes something, on a home where each can.
 *
 * Texts that differ from home to home stand as $NAME in paths and bodies, and lie in a file beside
 * the home, so that another process finds them. */
#ifndef TESTS_SERVICE_CHANGES_H
#define TESTS_SERVICE_CHANGES_H

#include "service_check.h"

struct change {
    const char *method, *path, *body;
    const char *event;    /* whose record goes with it */
    bool as_operator;     /* on the admin socket */
    bool in_steps;        /* several transactions: what is between them may be left */
    unsigned again;       /* status when it has happened before; 0: as the first time */
    const char *by_token; /* "$NAME", NULL: root's */
    bool by_chain;        /* of the connection: the identity's certificate, and no token */
    const char *about;    /* a text in that record; NULL: any */
    const char *method_before, *path_before; /* a call of root's that makes this one possible */
    unsigned records;                        /* of that event; 0: one */
};
/* Behind change_count of them one more: the first call of all, in a home where there was none. */
extern const struct change changes[];
extern const size_t change_count;

/* Makes the home, and in it what the calls change. */
void changes_make_home(struct home *home);
/* One without anything, for the first call. */
void changes_make_new_home(struct home *home);
/* What another process made of it; the token is the root's. */
struct check *changes_open(struct home *home);
/* And the call before this one, if it has one, is made. */
struct check *changes_open_for(struct home *home, const struct change *change);
void changes_send(struct check *check, const struct change *change);
/* Sends, and gives the status. */
unsigned changes_call(struct check *check, const struct change *change);
/* All rows but the log's: paths without their random parts, and versions. Order does not matter. 0:
 * it is sealed. */
uint64_t changes_shape(struct check *check);

#endif
