/* kms/home_lock.h -- one process at a time changes a home. */
#ifndef KMS_HOME_LOCK_H
#define KMS_HOME_LOCK_H

#include "base/base.h"

#define HOME_LOCK_TIMEOUT_MS 10000u

/* flock on the file `path`, made with mode 0600 when it is not there. LETHE_BUSY when another
 * process holds it for `patience_ms` more. The kernel gives it back when the process ends. *fd is
 * for home_unlock, whatever the result. */
LETHE_MUST_CHECK lethe_result home_lock(const char *path, unsigned patience_ms, int *fd,
                                        struct lethe_error *err);
void home_unlock(int fd); /* -1 is fine */
DEFINE_CLEANUP(home_unlock, int);

#endif
