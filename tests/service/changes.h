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
};
extern const struct change changes[];
extern const size_t change_count;

/* Makes the home, and in it what the calls change. */
void changes_make_home(struct home *home);
/* What another process made of it; the token is the root's. */
struct check *changes_open(struct home *home);
void changes_send(struct check *check, const struct change *change);
/* Sends, and gives the status. */
unsigned changes_call(struct check *check, const struct change *change);
/* All rows but the log's: paths without their random parts, and versions. Order does not matter. */
uint64_t changes_shape(struct check *check);

#endif
