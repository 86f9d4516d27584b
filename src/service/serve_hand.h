/* service/serve_hand.h -- what the supervisor hands to a child across exec: descriptors at fixed
 * places, and in one of them, a file in memory, the options.
 *
 * Both ends are the same program, so that numbers go as they lie in memory. Nothing of it is
 * secret. Clock, random source, descriptors and callbacks stay behind. */
#ifndef SERVICE_SERVE_HAND_H
#define SERVICE_SERVE_HAND_H

#include <sys/types.h>

#include "service/serve_configuration.h"

/* Where a child finds them; behind these its admin socket, or its listeners. */
enum { SERVE_FD_CONTROL = 3, SERVE_FD_OPTIONS, SERVE_FD_FIRST };

#define SERVE_HANDED_LISTS 3
#define SERVE_HANDED_LIST_MAX (CONF_LIST_MAX + 3) /* with the NULL at its end */
struct serve_handed {
    pid_t supervisor;
    struct serve_options options;
    struct serve_ends ends;
    /* What those borrow from. */
    int listeners[SERVE_LISTEN_MAX];
    const char *addresses[SERVE_LISTEN_MAX + 1];
    const char *lists[SERVE_HANDED_LISTS][SERVE_HANDED_LIST_MAX];
};

/* In the child, before exec: puts everything there, and closes whatever else is open from 3 on. */
LETHE_MUST_CHECK lethe_result serve_hand_over(const struct serve_options *options,
                                              const struct serve_ends *ends, pid_t supervisor,
                                              struct lethe_error *err);
/* Behind it. What is read stays in memory for good. LETHE_INVALID: nobody has handed anything. */
LETHE_MUST_CHECK lethe_result serve_hand_take(struct serve_handed *out, struct lethe_error *err);

#endif
