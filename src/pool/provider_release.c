/* RELEASE: answered when all of the lease is wiped, which may be after its connection has ended. */
#include <stdlib.h>

#include "base/error.h"
#include "pool/provider_core.h"

/* On the consumer's loop, if there still is one. */
static void released(void *context)
{
    struct release *release = context;
    struct lethe_error why, ignored;
    LIST_REMOVE(release, entry);
    if (release->consumer != NULL && release->result == LETHE_OK) {
        (void)!link_reply(release->consumer->link, &release->request, 0, NULL, &ignored);
    } else if (release->consumer != NULL) {
        error_set(&why, release->result, "its memory could not be shown to be zero");
        (void)!link_refuse(release->consumer->link, &release->request, &why, &ignored);
    }
    free(release);
}

/* On the wiping thread. */
static void is_wiped(void *context, lethe_result result)
{
    struct release *release = context;
    release->result = result;
    loop_post(release->worker->loop, &release->task);
}

static lethe_result release_channel(struct consumer *consumer, const struct wire_head *request,
                                    struct lethe_error *why)
{
    struct provider *provider = consumer->worker->provider;
    struct channel *channel = channel_find(consumer, request->channel, why);
    if (channel == NULL)
        return why->code;
    CLEANUP(memory_free) struct release *release = calloc(1, sizeof *release);
    if (release == NULL)
        return error_set(why, LETHE_NO_MEMORY, "no memory for a release");
    *release = (struct release){.consumer = consumer,
                                .worker = consumer->worker,
                                .request = *request,
                                .task = {.work = released, .context = release}};
    TRY(tenancy_release(provider->tenancy, channel->attachment, provider_now_ms(provider), is_wiped,
                        release, why));
    LIST_INSERT_HEAD(&consumer->releases, release, entry);
    (void)MOVE(release);
    channel_is_over(channel, LEASE_CAUSE_RELEASED);
    return LETHE_OK;
}

lethe_result consumer_releases(struct consumer *consumer, const struct link_frame *frame,
                               struct lethe_error *err)
{
    struct lethe_error why = {0};
    lethe_result result = release_channel(consumer, &frame->head, &why);
    return result == LETHE_OK ? LETHE_OK : link_refuse(consumer->link, &frame->head, &why, err);
}

void releases_orphan(struct consumer *consumer)
{
    struct release *release;
    while ((release = LIST_FIRST(&consumer->releases)) != NULL) {
        LIST_REMOVE(release, entry);
        release->consumer = NULL;
        LIST_INSERT_HEAD(&consumer->worker->orphans, release, entry);
    }
}

void releases_clear(struct worker *worker)
{
    struct release *release;
    while ((release = LIST_FIRST(&worker->orphans)) != NULL) {
        LIST_REMOVE(release, entry);
        free(release);
    }
}
