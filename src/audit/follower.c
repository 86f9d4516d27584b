#include "audit/follower.h"

#include "base/error.h"

static lethe_result look(int directory, struct files_view *view, struct lethe_error *err)
{
    CLEANUP(files_unlock) int lock = -1;
    TRY(files_lock_shared(directory, &lock, err));
    return files_look(directory, view, err);
}

lethe_result follower_next(struct follower *follower, audit_record_visit *visit, void *context,
                           struct lethe_error *err)
{
    CLEANUP(files_view_clear) struct files_view view = {0};
    struct replay replay = follower->replay;
    struct replay_tail tail;
    TRY(look(follower->directory, &view, err));
    const struct replay_options options = {.directory = follower->directory,
                                           .view = &view,
                                           .key = &follower->key,
                                           .visit = visit,
                                           .context = context};
    TRY(replay_run(&replay, &options, &tail, err));
    follower->replay = replay;
    return LETHE_OK;
}
