/* The copies of a lease: attached, renewed, detached, stale, lost. */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "pool/client_calls.h"

#define LIFE_AGAIN_MS 1000u  /* tokens are not asked for more often, but of short leases */
#define EXPIRY_GRACE_MS 500u /* what the way of an answer may have taken */

/* ---- blocks that missed a write -------------------------------------------------------------- */

bool client_is_stale(const struct client_copy *copy, uint64_t block)
{
    return copy->stale != NULL && (copy->stale[block / 64] >> block % 64 & 1) != 0;
}

void client_stale_set(struct client_copy *copy, uint64_t block, bool is_stale)
{
    if (copy->stale == NULL || copy->state == COPY_LOST || client_is_stale(copy, block) == is_stale)
        return;
    copy->stale[block / 64] ^= (uint64_t)1 << block % 64;
    if (is_stale)
        atomic_fetch_add(&copy->stale_blocks, 1);
    else
        atomic_fetch_sub(&copy->stale_blocks, 1);
}

/* ---- lost ------------------------------------------------------------------------------------ */

bool client_all_lost(const struct lethe_pool_lease *lease, struct lethe_error *why)
{
    for (unsigned i = 0; i < lease->copy_count; i++)
        if (lease->copies[i].state != COPY_LOST)
            return false;
    const struct lethe_error *first = &lease->copies[0].why;
    lethe_result code = first->code == LETHE_REVOKED ? LETHE_REVOKED : LETHE_LOST;
    error_set(why, code, "%s", first->text);
    return true;
}

static void show_state(struct client_copy *copy)
{
    atomic_store(&copy->is_connected, copy->state == COPY_ATTACHED);
    atomic_store(&copy->is_lost, copy->state == COPY_LOST);
}

void client_copy_lose(struct client_copy *copy, const struct lethe_error *why)
{
    if (copy->state == COPY_LOST)
        return;
    char id[LEASE_ID_HEX_SIZE];
    lease_id_hex(&copy->id, id);
    copy->state = COPY_LOST;
    copy->channel = 0;
    error_set(&copy->why, why->code, "lease %s at %.200s: %.200s", id, copy->remote->provider,
              why->text);
    atomic_store(&copy->stale_blocks, 0);
    atomic_store(&copy->left_ms, 0);
    show_state(copy);
    client_lease_open_check(copy->lease);
    client_advance_soon(copy->lease);
}

void client_copy_detached(struct client_copy *copy)
{
    if (copy->state == COPY_LOST)
        return;
    copy->state = COPY_DETACHED;
    copy->channel = 0;
    copy->renew_at_ms = 0;
    show_state(copy);
}

/* ---- attached -------------------------------------------------------------------------------- */

void client_copy_attach(struct client_copy *copy)
{
    if (copy->state == COPY_LOST || copy->state == COPY_ATTACHING || !copy->remote->is_open ||
        copy->lease->is_closing)
        return;
    CLEANUP(buffer_clear) struct buffer token = {0};
    bool is_fresh = copy->fresh_bytes > 0;
    buffer_append(&token, is_fresh ? copy->fresh : copy->token,
                  is_fresh ? copy->fresh_bytes : copy->token_bytes);
    struct lethe_error why = {0};
    if (buffer_result(&token, &why) != LETHE_OK)
        return;                                                  /* the next tick tries again */
    copy->remote->dead_channels += copy->state == COPY_ATTACHED; /* until it is told to be over */
    client_copy_detached(copy);
    copy->state = COPY_ATTACHING;
    const struct client_request request = {.type = WIRE_ATTACH, .copy = copy};
    if (!client_send(copy->remote, &request, &token))
        copy->state = COPY_DETACHED;
}

static void note_left(struct client_copy *copy, uint64_t left_ms)
{
    uint64_t now_ms = client_now_ms(copy->lease->worker);
    left_ms = MIN(left_ms, POOL_TTL_MAX_MS);
    copy->expires_ms = now_ms + left_ms;
    copy->renew_at_ms = now_ms + MIN(left_ms, copy->lease->ttl_ms) / 3;
    atomic_store(&copy->left_ms, left_ms);
}

/* Never without a pause, whatever a token says of itself, and soon enough for a short lease. */
static uint64_t token_pause_ms(const struct client_copy *copy, uint64_t wanted_ms)
{
    return MAX(wanted_ms, MIN(copy->lease->ttl_ms / 3, LIFE_AGAIN_MS));
}

static lethe_result read_attached(const struct client_copy *copy, const struct link_frame *frame,
                                  struct lethe_error *err)
{
    struct wire_attached attached;
    TRY(wire_attached_read(frame->index, &attached, err));
    if (attached.blocks != copy->lease->blocks || attached.block_bytes != copy->lease->block_bytes)
        return error_set(err, LETHE_MALFORMED, "the provider's lease has another size");
    const struct client_copy *other;
    LIST_FOREACH(other, &copy->remote->copies, next)
    if (frame->head.channel == 0 || (other != copy && other->channel == frame->head.channel))
        return error_set(err, LETHE_MALFORMED, "the provider's channel is another lease's");
    return LETHE_OK;
}

/* The provider has taken it. */
static void keep_fresh(struct client_copy *copy)
{
    if (copy->fresh_bytes == 0)
        return;
    memcpy(copy->token, copy->fresh, copy->fresh_bytes);
    copy->token_bytes = copy->fresh_bytes;
    copy->fresh_bytes = 0;
}

void client_copy_attached(struct client_copy *copy, const struct link_frame *frame)
{
    struct lethe_error why = {0};
    if (copy->state != COPY_ATTACHING)
        return;
    if (read_attached(copy, frame, &why) != LETHE_OK) {
        client_copy_lose(copy, &why);
        return;
    }
    copy->channel = frame->head.channel;
    copy->state = COPY_ATTACHED;
    keep_fresh(copy);
    note_left(copy, frame->head.value);
    if (copy->refresh_at_ms == 0)
        copy->refresh_at_ms =
            client_now_ms(copy->lease->worker) + token_pause_ms(copy, copy->lease->life_ms / 2);
    show_state(copy);
    client_lease_open_check(copy->lease);
    client_advance_soon(copy->lease);
}

/* What a provider says when it cannot now, and may later. */
static bool may_pass(lethe_result code)
{
    return code == LETHE_UNAVAILABLE || code == LETHE_BUSY || code == LETHE_NO_MEMORY;
}

static void ask_again_later(struct client_copy *copy)
{
    copy->refresh_at_ms =
        client_now_ms(copy->lease->worker) + token_pause_ms(copy, copy->lease->life_ms / 16);
}

void client_copy_refused(struct client_copy *copy, const struct lethe_error *why)
{
    if (copy->state != COPY_ATTACHING)
        return;
    if (may_pass(why->code)) {
        client_copy_detached(copy);
    } else if (copy->fresh_bytes > 0) { /* the control plane's fault: the last one was good */
        copy->fresh_bytes = 0;
        ask_again_later(copy);
        client_copy_detached(copy);
        client_copy_attach(copy);
    } else {
        client_copy_lose(copy, why);
    }
}

/* ---- time ------------------------------------------------------------------------------------ */

void client_copy_renew(struct client_copy *copy, struct client_call *call)
{
    const struct client_request request = {.type = WIRE_RENEW, .copy = copy, .call = call};
    if (copy->state == COPY_ATTACHED && client_send(copy->remote, &request, NULL)) {
        copy->renew_at_ms = UINT64_MAX;
        return;
    }
    if (call == NULL)
        return;
    struct lethe_error why = copy->why;
    if (copy->state != COPY_LOST)
        error_set(&why, LETHE_UNAVAILABLE, "%s is not reached", copy->remote->provider);
    client_call_fail(call, &why);
    client_call_answered(call);
}

void client_copy_renewed(struct client_copy *copy, uint64_t left_ms)
{
    if (copy->state == COPY_ATTACHED)
        note_left(copy, left_ms);
}

static void check_expiry(struct client_copy *copy, uint64_t now_ms)
{
    if (copy->expires_ms == 0 || now_ms < copy->expires_ms + EXPIRY_GRACE_MS)
        return;
    struct lethe_error why = {0};
    error_set(&why, LETHE_LOST, "it ran out while its provider was not reached");
    client_copy_lose(copy, &why);
}

/* A token that was asked for is here, or could not be had. */
static void take_token(struct client_copy *copy, struct client_job *job)
{
    copy->job = NULL;
    if (job->error.code != LETHE_OK) {
        ask_again_later(copy);
        return;
    }
    memcpy(copy->fresh, job->token, job->token_bytes);
    copy->fresh_bytes = job->token_bytes;
    copy->refresh_at_ms = 0; /* counts from when it is shown */
    client_copy_attach(copy);
}

void client_copy_token(struct client_copy *copy, struct client_job *job)
{
    if (copy->state != COPY_LOST)
        take_token(copy, job);
    else
        copy->job = NULL;
}

void client_copy_tick(struct client_copy *copy)
{
    struct lethe_pool_lease *lease = copy->lease;
    uint64_t now_ms = client_now_ms(lease->worker);
    if (copy->state == COPY_DETACHED)
        check_expiry(copy, now_ms);
    if (copy->state == COPY_DETACHED)
        client_copy_attach(copy);
    if (copy->state != COPY_ATTACHED || !lease->renews || lease->is_closing)
        return;
    if (now_ms >= copy->renew_at_ms)
        client_copy_renew(copy, NULL);
    if (copy->refresh_at_ms != 0 && now_ms >= copy->refresh_at_ms && copy->job == NULL)
        client_job_start(copy, WIRE_TOKEN, NULL);
}
