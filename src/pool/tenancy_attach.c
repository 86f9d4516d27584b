/* What consumers do with their leases. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/tenancy_core.h"

/* ---- who may attach what --------------------------------------------------------------------- */

static lethe_result check_token(struct tenancy *tenancy, const struct tenancy_who *who,
                                const void *token, size_t token_bytes, struct lease_terms *terms,
                                struct lethe_error *err)
{
    pthread_mutex_lock(&tenancy->lock);
    bool has_key = tenancy->has_key;
    struct audit_key key = tenancy->key;
    pthread_mutex_unlock(&tenancy->lock);
    if (!has_key)
        return error_set(err, LETHE_UNAVAILABLE, "the provider has no control plane yet");
    TRY(token_open(token, token_bytes, &key, terms, err));
    if (strcmp(terms->consumer, who->consumer) != 0)
        return error_set(err, LETHE_DENIED, "the token is somebody else's");
    if (strcmp(terms->provider, tenancy->provider) != 0)
        return error_set(err, LETHE_DENIED, "the token is for another provider");
    /* An honest consumer that comes back shows this: it is told what has happened, and no record
     * accuses it. */
    if (memcmp(terms->boot_id, tenancy->options.boot_id, BOOT_ID_BYTES) != 0)
        return error_set(err, LETHE_LOST, "the provider has restarted: its leases are gone");
    return LETHE_OK;
}

static lethe_result prove_token(struct tenancy *tenancy, const struct tenancy_who *who,
                                const void *token, size_t token_bytes, struct lease_terms *terms,
                                struct lethe_error *err)
{
    struct lethe_error why = {0};
    lethe_result result = check_token(tenancy, who, token, token_bytes, terms, &why);
    if (result == LETHE_DENIED)
        tenancy_record_refused(tenancy, who->consumer, why.text);
    if (result != LETHE_OK && err != NULL)
        *err = why;
    return result;
}

static bool fits(const struct tenant_lease *lease, const struct lease_terms *terms)
{
    return lease->generation == terms->generation &&
           lease->extents.block_bytes == terms->block_bytes &&
           lease->extents.blocks == terms->bytes / terms->block_bytes &&
           strcmp(lease->tenant->name, terms->consumer) == 0;
}

static lethe_result find(struct tenancy *tenancy, const struct lease_terms *terms, uint64_t now_ms,
                         struct tenant_lease **out, struct lethe_error *err)
{
    const struct tenant *tenant = tenant_find(tenancy, terms->consumer);
    struct tenant_lease *lease = tenancy_find(tenancy, &terms->lease);
    if (tenant != NULL && tenant->is_banned)
        return error_set(err, LETHE_REVOKED, "%s is revoked", terms->consumer);
    if (lease != NULL && lease->state < LEASE_WIPING && lease->due_ms <= now_ms)
        tenancy_end(tenancy, lease, LEASE_CAUSE_EXPIRED, now_ms);
    if (lease == NULL || lease->state >= LEASE_WIPING || !fits(lease, terms))
        return error_set(err, LETHE_NOT_FOUND, "there is no such lease");
    *out = lease;
    return LETHE_OK;
}

/* ---- attach ---------------------------------------------------------------------------------- */

static struct attachment *good_one(const struct tenant_lease *lease)
{
    struct attachment *first = LIST_FIRST(&lease->attachments);
    return first != NULL && !first->is_over ? first : NULL;
}

static bool is_being_written(const struct tenant_lease *lease)
{
    const struct attachment *attachment;
    LIST_FOREACH(attachment, &lease->attachments, link)
    if (attachment->writes)
        return true;
    return false;
}

static void step(struct tenancy *tenancy, struct tenant_lease *lease, enum lease_event event)
{
    enum lease_state state = lease->state;
    bool follows = lease_step(&state, event) == LETHE_OK;
    REQUIRE(follows);
    lease->state = (uint8_t)state;
    tenancy_mark_changed(tenancy, lease);
}

/* A token is good for life_ms after it was made. That moment is told by the provider's clock from
 * what has passed between grant and token by the control plane's, so that a token which was kept
 * does not live longer for it. */
static void live_by(struct tenant_lease *lease, const struct lease_terms *terms, uint64_t now_ms)
{
    uint64_t made_ms = now_ms, until_ms;
    if (terms->issued_ms >= lease->issued_ms)
        made_ms = MIN(now_ms, lease->granted_ms + (terms->issued_ms - lease->issued_ms));
    if (__builtin_add_overflow(made_ms, terms->life_ms, &until_ms))
        until_ms = UINT64_MAX;
    lease->renew_to_ms = MAX(lease->renew_to_ms, until_ms);
}

static void attach(struct tenancy *tenancy, struct tenant_lease *lease,
                   struct attachment *attachment, const struct lease_terms *terms, uint64_t now_ms,
                   struct tenancy_attached *out)
{
    out->attachment = attachment;
    out->told = (struct wire_attached){.blocks = lease->extents.blocks,
                                       .block_bytes = lease->extents.block_bytes,
                                       .was = lease->state};
    out->left_ms = lease->due_ms - now_ms;
    if (good_one(lease) != NULL)
        attachment_over(tenancy, good_one(lease), LEASE_CAUSE_NONE);
    attachment->lease = lease;
    LIST_INSERT_HEAD(&lease->attachments, attachment, link);
    step(tenancy, lease, LEASE_ATTACH);
    live_by(lease, terms, now_ms);
}

/* Whoever still writes is told that it is over: once it has let go, another may have the lease. */
static lethe_result refuse_for_now(struct tenancy *tenancy, struct tenant_lease *lease,
                                   struct lethe_error *err)
{
    if (good_one(lease) != NULL) {
        attachment_over(tenancy, good_one(lease), LEASE_CAUSE_NONE);
        step(tenancy, lease, LEASE_DETACH);
    }
    return error_set(err, LETHE_BUSY, "another connection is still writing: again in a moment");
}

static lethe_result attach_locked(struct tenancy *tenancy, struct attachment *attachment,
                                  const struct lease_terms *terms, uint64_t now_ms,
                                  struct tenancy_attached *out, struct lethe_error *err)
{
    struct tenant_lease *lease;
    TRY(find(tenancy, terms, now_ms, &lease, err));
    if (is_being_written(lease))
        return refuse_for_now(tenancy, lease, err);
    attach(tenancy, lease, attachment, terms, now_ms, out);
    return LETHE_OK;
}

lethe_result tenancy_attach(struct tenancy *tenancy, const struct tenancy_who *who,
                            const void *token, size_t token_bytes, uint64_t now_ms,
                            struct tenancy_attached *out, struct lethe_error *err)
{
    struct lease_terms terms;
    struct lease_record record;
    TRY(prove_token(tenancy, who, token, token_bytes, &terms, err));
    CLEANUP(memory_free) struct attachment *attachment = calloc(1, sizeof *attachment);
    if (attachment == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a channel");
    attachment->owner = who->owner;
    attachment->channel = who->channel;
    pthread_mutex_lock(&tenancy->lock);
    lethe_result result = attach_locked(tenancy, attachment, &terms, now_ms, out, err);
    if (result == LETHE_OK)
        lease_record_fill(attachment->lease, &record);
    pthread_mutex_unlock(&tenancy->lock);
    tenancy_tell_changed(tenancy);
    if (result != LETHE_OK)
        return result;
    tenancy_record(tenancy, out->told.was == LEASE_GRANTED ? RECORD_ATTACHED : RECORD_RESUMED,
                   &record);
    (void)MOVE(attachment);
    return LETHE_OK;
}

void tenancy_detach(struct tenancy *tenancy, struct attachment *attachment)
{
    struct tenant_lease *lease = attachment->lease;
    struct lease_record record;
    REQUIRE(attachment->holds == 0);
    pthread_mutex_lock(&tenancy->lock);
    bool freezes = !attachment->is_over;
    LIST_REMOVE(attachment, link);
    if (freezes) {
        step(tenancy, lease, LEASE_DETACH);
        lease_record_fill(lease, &record);
    }
    tenancy_forget_if_done(tenancy, lease);
    pthread_mutex_unlock(&tenancy->lock);
    free(attachment);
    if (freezes) {
        tenancy_record(tenancy, RECORD_FROZEN, &record);
        tenancy_tell_changed(tenancy);
    }
}

/* ---- what is attached ------------------------------------------------------------------------ */

static lethe_result check_good(const struct attachment *attachment, struct lethe_error *err)
{
    enum lease_cause cause = attachment->lease->cause;
    if (!attachment->is_over)
        return LETHE_OK;
    if (attachment->is_taken)
        return error_set(err, LETHE_CONFLICT, "another connection has taken the lease over");
    return error_set(err, lease_cause_result(cause), "the lease is over: %s",
                     lease_cause_word(cause));
}

static lethe_result renew(struct tenancy *tenancy, struct attachment *attachment, uint64_t now_ms,
                          uint64_t *left_ms, struct lethe_error *err)
{
    struct tenant_lease *lease = attachment->lease;
    if (!attachment->is_over && lease->due_ms <= now_ms)
        tenancy_end(tenancy, lease, LEASE_CAUSE_EXPIRED, now_ms);
    TRY(check_good(attachment, err));
    uint64_t to_ms = MIN(now_ms + lease->ttl_ms, lease->renew_to_ms);
    step(tenancy, lease, LEASE_RENEW);
    if (to_ms > lease->due_ms)
        due_set(tenancy, lease, to_ms);
    *left_ms = lease->due_ms - now_ms;
    return LETHE_OK;
}

lethe_result tenancy_renew(struct tenancy *tenancy, struct attachment *attachment, uint64_t now_ms,
                           uint64_t *left_ms, struct lethe_error *err)
{
    pthread_mutex_lock(&tenancy->lock);
    lethe_result result = renew(tenancy, attachment, now_ms, left_ms, err);
    pthread_mutex_unlock(&tenancy->lock);
    return result; /* what was renewed is told with the next report */
}

lethe_result tenancy_release(struct tenancy *tenancy, struct attachment *attachment,
                             uint64_t now_ms, tenancy_done *done, void *context,
                             struct lethe_error *err)
{
    struct tenant_lease *lease = attachment->lease;
    pthread_mutex_lock(&tenancy->lock);
    lethe_result result = check_good(attachment, err);
    if (result == LETHE_OK) {
        attachment->is_over = true; /* it need not be told */
        lease->done = done;
        lease->done_context = context;
        tenancy_end(tenancy, lease, LEASE_CAUSE_RELEASED, now_ms);
    }
    pthread_mutex_unlock(&tenancy->lock);
    if (result == LETHE_OK)
        tenancy_tell_changed(tenancy);
    return result;
}

/* ---- data ------------------------------------------------------------------------------------ */

lethe_result tenancy_hold(struct tenancy *tenancy, struct attachment *attachment, bool writes,
                          struct lethe_error *err)
{
    pthread_mutex_lock(&tenancy->lock);
    lethe_result result = check_good(attachment, err);
    if (result == LETHE_OK) {
        REQUIRE(!writes || !attachment->writes);
        attachment->writes |= writes;
        attachment->holds++;
        attachment->lease->holds++;
    }
    pthread_mutex_unlock(&tenancy->lock);
    return result;
}

void tenancy_let_go(struct tenancy *tenancy, struct attachment *attachment, bool wrote)
{
    pthread_mutex_lock(&tenancy->lock);
    REQUIRE(attachment->holds > 0 && (!wrote || attachment->writes));
    attachment->holds--;
    attachment->lease->holds--;
    if (wrote)
        attachment->writes = false;
    tenancy_give_back(tenancy, attachment->lease);
    pthread_mutex_unlock(&tenancy->lock);
}

lethe_result tenancy_block(struct tenancy *tenancy, const struct attachment *attachment,
                           uint64_t block, uint8_t **data, uint8_t **tag, struct lethe_error *err)
{
    const struct arena_extents *extents = &attachment->lease->extents;
    if (block >= extents->blocks)
        return error_set(err, LETHE_INVALID, "the lease has no such block");
    *data = pool_arena_block(tenancy->arena, extents, block);
    *tag = pool_arena_tag(tenancy->arena, extents, block);
    return LETHE_OK;
}

uint32_t attachment_block_bytes(const struct attachment *attachment)
{
    return attachment->lease->extents.block_bytes;
}
