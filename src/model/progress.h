/* model/progress.h -- counts bytes from many threads, and tells whoever wants to know now and then.
 */
#ifndef MODEL_PROGRESS_H
#define MODEL_PROGRESS_H

#include <pthread.h>

#include "model/model.h"

struct progress {
    struct model_progress to; /* report is NULL when nobody wants to know */
    pthread_mutex_t lock;
    uint64_t total_bytes;
    uint64_t done_bytes;
    uint64_t reported_bytes;
};

/* `to` may be NULL. */
void progress_init(struct progress *progress, const struct model_progress *to,
                   uint64_t total_bytes);
void progress_clear(struct progress *progress);
/* Any thread. */
void progress_add(struct progress *progress, uint64_t bytes);

#endif
