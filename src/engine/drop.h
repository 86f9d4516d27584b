/* engine/drop.h -- the guardian's part in forgetting weights that a ready engine has copied.
 *
 * When the engine says that it is ready (sd_notify, or the supervisor has asked an address of its),
 * and no process has the files open or mapped any more, their names are covered, they are wiped,
 * read back and cut to nothing, so that their memory is free. Whoever comes later finds no file,
 * never zeros. While somebody has them they are kept, which is on record after a while. */
#ifndef ENGINE_DROP_H
#define ENGINE_DROP_H

#include "engine/storage.h"

#define DROP_INTERVAL_MS 500
#define DROP_TRIES 20

struct drop {
    int notify;       /* the socket; -1: nothing is to be dropped, or that is over */
    pid_t supervisor; /* maps the files, too, until it is told */
    bool ready;
    unsigned tries;
    struct lethe_error why_kept; /* of the last try */
    bool unwiped;                /* something that was dropped did not read back as zero */
};
#define DROP_NONE                                                                                  \
    (struct drop)                                                                                  \
    {                                                                                              \
        .notify = -1                                                                               \
    }

LETHE_MUST_CHECK lethe_result drop_begin(const struct storage *storage, pid_t supervisor,
                                         struct drop *out, struct lethe_error *err);
/* How long to wait for news: -1 for ever. */
int drop_timeout_ms(const struct drop *drop);
/* When there are news, or the time is over. Tells the supervisor. */
void drop_step(struct drop *drop, struct storage *storage, int channel);
/* The engine has ended: what it was ready for and has not come is told. */
void drop_end(struct drop *drop, int channel);

#endif
