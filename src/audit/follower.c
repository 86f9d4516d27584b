#include "audit/follower.h"

#include "audit/reader.h"
#include "audit/start.h"
#include "base/error.h"

lethe_result follower_next(struct follower *follower, audit_record_visit *visit, void *context,
                           struct lethe_error *err)
{
    struct reader_report report;
    const struct replay_options options = {.directory = follower->directory,
                                           .key = &follower->key,
                                           .visit = visit,
                                           .context = context};
    return reader_run(&follower->replay, &options, &report, err);
}

lethe_result follower_begin(struct follower *follower, uint64_t records, struct lethe_error *err)
{
    CLEANUP(files_view_clear) struct files_view view = {0};
    CLEANUP(files_unlock) int lock = -1; /* nobody trims meanwhile */
    TRY(files_lock_shared(follower->directory, &lock, err));
    TRY(files_look(follower->directory, &view, err));
    return start_near(follower->directory, &view, &follower->key, records, &follower->replay, err);
}
