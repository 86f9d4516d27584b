/* service/serve_log.h -- what a service says to whoever runs it: stderr, journald, systemd.
 *
 * Lines hold no secret and no content. Behind JOURNAL_STREAM each begins with journald's priority.
 */
#ifndef SERVICE_SERVE_LOG_H
#define SERVICE_SERVE_LOG_H

#include "base/base.h"

enum serve_priority { SERVE_ERROR = 3, SERVE_WARNING = 4, SERVE_NOTICE = 5, SERVE_INFO = 6 };
/* Once in each process: who speaks ("keeper"), a constant. */
void serve_log_name(const char *name);
void serve_log(enum serve_priority priority, const char *format, ...) PRINTF_LIKE(2, 3);

/* sd_notify(3): "READY=1". Nothing without NOTIFY_SOCKET; what cannot be sent is logged. */
void serve_notify(const char *state);

#endif
