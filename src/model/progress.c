#include "model/progress.h"

#define STEP_BYTES ((uint64_t)8 << 20) /* a few milliseconds of work */

void progress_init(struct progress *progress, const struct model_progress *to, uint64_t total_bytes)
{
    *progress = (struct progress){.total_bytes = total_bytes};
    if (to != NULL)
        progress->to = *to;
    pthread_mutex_init(&progress->lock, NULL);
}

void progress_clear(struct progress *progress)
{
    pthread_mutex_destroy(&progress->lock);
}

void progress_add(struct progress *progress, uint64_t bytes)
{
    if (progress->to.report == NULL)
        return;
    pthread_mutex_lock(&progress->lock);
    progress->done_bytes += bytes;
    if (progress->done_bytes - progress->reported_bytes >= STEP_BYTES ||
        progress->done_bytes == progress->total_bytes) {
        progress->reported_bytes = progress->done_bytes;
        progress->to.report(progress->to.context, progress->done_bytes, progress->total_bytes);
    }
    pthread_mutex_unlock(&progress->lock);
}
