/* service/door.h -- the door: TLS and HTTP outside, frames to the keeper inside. */
#ifndef SERVICE_DOOR_H
#define SERVICE_DOOR_H

#include "service/serve.h"

/* The door process, until its control end closes or it has drained. Its sockets to the keeper come
 * over the control end (SCM_RIGHTS). Confines itself first: afterwards it can open no file (but for
 * its certificate's) and make no socket. */
LETHE_MUST_CHECK lethe_result door_run(const struct serve_options *options,
                                       const struct serve_ends *ends, struct lethe_error *err);

#endif
