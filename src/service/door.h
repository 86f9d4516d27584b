/* service/door.h -- the door: TLS and HTTP outside, frames to the keeper inside. */
#ifndef SERVICE_DOOR_H
#define SERVICE_DOOR_H

#include "service/serve.h"

/* The door process, until its control descriptor closes. `control` brings, as descriptors
 * (SCM_RIGHTS), the socket to a new keeper. Confines itself first: afterwards it can open no file
 * (but for its certificate's) and make no socket. */
LETHE_MUST_CHECK lethe_result door_run(const struct serve_options *options, const int *listeners,
                                       size_t listener_count, int control, struct lethe_error *err);

#endif
