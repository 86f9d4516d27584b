/* audit/recorder.h -- the log as it is handed to those who only record: what a public
 * `struct lethe_log` is inside.
 *
 * All parts are borrowed; the home fills them in, and they live as long as it does. Thread rule:
 * reading it, and recording through it (audit/log.h), from any thread. */
#ifndef AUDIT_RECORDER_H
#define AUDIT_RECORDER_H

#include "audit/log.h"

struct lethe_log {
    struct audit_log *log;
    const char *actor;                 /* "uid:1000", or a SPIFFE id */
    const struct audit_signer *signer; /* signs with the node's log key; may be NULL */
    const char *node;
};

#endif
