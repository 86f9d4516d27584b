#include "engine/drop.h"

#include "base/error.h"
#include "base/file.h"
#include "engine/channel.h"
#include "engine/holders.h"
#include "engine/notify.h"

lethe_result drop_begin(const struct storage *storage, pid_t supervisor, struct drop *out,
                        struct lethe_error *err)
{
    *out = DROP_NONE;
    out->supervisor = supervisor;
    if (!storage->options->drop_after_ready)
        return LETHE_OK;
    return notify_open(storage->directory, &out->notify, err);
}

int drop_timeout_ms(const struct drop *drop)
{
    return drop->ready && drop->notify >= 0 ? DROP_INTERVAL_MS : -1;
}

static void stop(struct drop *drop)
{
    fd_close(drop->notify);
    drop->notify = -1;
}

/* Nobody has them, and nobody can come to have them. */
static lethe_result take_away(const struct drop *drop, struct storage *storage,
                              struct lethe_error *err)
{
    TRY(holders_check(storage, drop->supervisor, err));
    TRY(storage->rung->cover(storage, err));
    lethe_result result = holders_check(storage, drop->supervisor, err);
    if (result != LETHE_OK)
        storage->rung->uncover(storage);
    return result;
}

/* The supervisor is told before the pages are gone: it could not read them any more. */
static void forget(struct drop *drop, struct storage *storage, int channel)
{
    const struct engine_options *options = storage->options;
    for (size_t i = 0; i < options->model_count; i++) {
        struct message message = {.kind = MESSAGE_DROPPED, .number = (int64_t)i, .wipe = WIPE_NONE};
        storage_wipe_model(storage, &options->models[i], &message.wipe);
        drop->unwiped = drop->unwiped || !message.wipe.verified;
        (void)!channel_send(channel, &message, -1, NULL);
    }
    storage_release(storage);
}

void drop_step(struct drop *drop, struct storage *storage, int channel)
{
    if (drop->notify < 0)
        return;
    drop->ready = notify_take(drop->notify) || drop->ready;
    if (!drop->ready)
        return;
    if (take_away(drop, storage, &drop->why_kept) == LETHE_OK) {
        forget(drop, storage, channel);
        stop(drop);
    } else if (++drop->tries == DROP_TRIES) {
        drop_end(drop, channel);
    }
}

void drop_end(struct drop *drop, int channel)
{
    const struct message kept = {.kind = MESSAGE_KEPT, .error = drop->why_kept};
    if (drop->notify >= 0 && drop->ready)
        (void)!channel_send(channel, &kept, -1, NULL);
    stop(drop);
}
