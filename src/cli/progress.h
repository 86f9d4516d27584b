/* cli/progress.h -- a progress bar on stderr, when that is a terminal. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "model/model.h"

struct progress {
    struct model_progress table; /* hand out &progress.table */
    const char *what;
    uint64_t started_ns;
    uint64_t drawn_ns;
    bool shown;
};
/* Bytes, rate and time left, drawn ten times a second at most. */
void progress_begin(struct progress *progress, const char *what);
void progress_end(struct progress *progress); /* clears the line */

#endif
