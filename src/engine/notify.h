/* engine/notify.h -- how the guardian hears that the engine is ready: sd_notify(3). */
#ifndef ENGINE_NOTIFY_H
#define ENGINE_NOTIFY_H

#include "base/base.h"

#define NOTIFY_NAME "notify" /* the socket, in the engine's private directory */

/* A datagram socket at DIRECTORY/notify. */
LETHE_MUST_CHECK lethe_result notify_open(const char *directory, int *out, struct lethe_error *err);
/* For the engine's environment, between fork and exec. */
LETHE_MUST_CHECK lethe_result notify_pass_on(const char *directory, struct lethe_error *err);
/* Reads all that has come; true when a line of it is READY=1. */
bool notify_take(int socket);
/* True when a line of the message is READY=1. */
bool notify_says_ready(const char *bytes, size_t size_bytes);

#endif
