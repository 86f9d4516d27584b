/* The ways to a lease's end: over, given back, wiped, forgotten. */
#include <stdlib.h>

#include "base/error.h"
#include "pool/tenancy_core.h"

static void step(struct tenant_lease *lease, enum lease_event event)
{
    enum lease_state state = lease->state;
    bool follows = lease_step(&state, event) == LETHE_OK;
    REQUIRE(follows);
    lease->state = (uint8_t)state;
}

void attachment_over(struct tenancy *tenancy, struct attachment *attachment, enum lease_cause cause)
{
    if (attachment->is_over)
        return;
    attachment->is_over = true;
    attachment->is_taken = cause == LEASE_CAUSE_NONE;
    if (tenancy->options.over != NULL)
        tenancy->options.over(tenancy->options.context, attachment->owner, attachment->channel,
                              cause);
}

void tenancy_end(struct tenancy *tenancy, struct tenant_lease *lease, enum lease_cause cause,
                 uint64_t now_ms)
{
    struct attachment *attachment;
    enum lease_state state = lease->state;
    if (lease_step(&state, LEASE_END) != LETHE_OK)
        return;
    lease->state = (uint8_t)state;
    lease->cause = (uint8_t)cause;
    LIST_FOREACH(attachment, &lease->attachments, link)
    attachment_over(tenancy, attachment, cause);
    due_set(tenancy, lease, now_ms + TENANCY_GRACE_MS);
    tenancy_mark_changed(tenancy, lease);
    tenancy_give_back(tenancy, lease);
}

void tenancy_give_back(struct tenancy *tenancy, struct tenant_lease *lease)
{
    if (lease->state != LEASE_WIPING || lease->holds > 0 || lease->is_given_back)
        return;
    due_clear(tenancy, lease);
    lease->is_given_back = true;
    pool_arena_give_back(tenancy->arena, &lease->extents, lease);
}

void tenancy_wiped(void *context, void *cookie, bool verified)
{
    struct tenancy *tenancy = context;
    struct tenant_lease *lease = cookie;
    pthread_mutex_lock(&tenancy->lock);
    tenancy_done *done = lease->done;
    void *done_context = lease->done_context;
    step(lease, verified ? LEASE_WIPED : LEASE_NOT_WIPED);
    tenancy_mark_changed(tenancy, lease);
    tenancy_record_end(tenancy, lease);
    pthread_mutex_unlock(&tenancy->lock);
    if (done != NULL)
        done(done_context, verified ? LETHE_OK : LETHE_UNWIPED);
    tenancy_tell_changed(tenancy);
}

void tenancy_forget_if_done(struct tenancy *tenancy, struct tenant_lease *lease)
{
    if (!lease_is_final(lease->state) || lease->is_changed || lease->is_recording ||
        !LIST_EMPTY(&lease->attachments))
        return;
    tenancy_remove(tenancy, lease);
    free(lease);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* Within the grace nobody was told twice. */
static void cut_off(struct tenancy *tenancy, struct tenant_lease *lease, uint64_t now_ms)
{
    struct attachment *attachment;
    LIST_FOREACH(attachment, &lease->attachments, link)
    if (attachment->holds > 0 && tenancy->options.cut != NULL)
        tenancy->options.cut(tenancy->options.context, attachment->owner);
    due_set(tenancy, lease, now_ms + TENANCY_GRACE_MS);
}

#define EXPIRE_AT_ONCE 64u /* within one hold of the lock */

static bool expire_some(struct tenancy *tenancy, uint64_t now_ms, uint64_t *next_ms)
{
    size_t ended = 0;
    pthread_mutex_lock(&tenancy->lock);
    for (; ended < EXPIRE_AT_ONCE && tenancy->heap_count > 0; ended++) {
        struct tenant_lease *first = tenancy->heap[0];
        if (first->due_ms > now_ms)
            break;
        if (first->state == LEASE_WIPING)
            cut_off(tenancy, first, now_ms);
        else
            tenancy_end(tenancy, first, LEASE_CAUSE_EXPIRED, now_ms);
    }
    *next_ms = tenancy->heap_count > 0 ? tenancy->heap[0]->due_ms : UINT64_MAX;
    pthread_mutex_unlock(&tenancy->lock);
    if (ended > 0)
        tenancy_tell_changed(tenancy);
    return ended == EXPIRE_AT_ONCE;
}

uint64_t tenancy_expire(struct tenancy *tenancy, uint64_t now_ms)
{
    uint64_t next_ms;
    while (expire_some(tenancy, now_ms, &next_ms))
        ;
    return next_ms;
}
