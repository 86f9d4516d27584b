/* JOIN; providers come and go. */
#include <string.h>

#include "base/error.h"
#include "pool/control_core.h"

/* ---- telling a provider ---------------------------------------------------------------------- */

static void was_told(struct control *control, void *context, lethe_result result, uint64_t value,
                     const struct lethe_error *why)
{
    waiter_step(context, result, why);
}

/* A provider that is not here is told when it joins. */
static lethe_result tell(struct control *control, struct pool_provider *provider,
                         const struct ask_question *question, struct lethe_error *err)
{
    struct control_waiter *waiter = question->context;
    if (!provider_is_here(provider))
        return LETHE_OK;
    TRY(provider_ask(control, provider, question, err));
    if (waiter != NULL)
        waiter->outstanding++;
    return LETHE_OK;
}

lethe_result provider_maintain(struct control *control, struct pool_provider *provider,
                               struct control_waiter *waiter, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    wire_byte_write(provider->row.wish != PROVIDER_OPEN, &index);
    const struct ask_question question = {.type = WIRE_MAINTAIN,
                                          .index = &index,
                                          .answered = waiter == NULL ? NULL : was_told,
                                          .context = waiter};
    return tell(control, provider, &question, err);
}

lethe_result provider_ban(struct control *control, struct pool_provider *provider, const char *id,
                          bool on, struct control_waiter *waiter, struct lethe_error *err)
{
    struct wire_order order = {.on = on};
    CLEANUP(buffer_clear) struct buffer index = {0};
    REQUIRE(strlen(id) < sizeof order.name);
    strcpy(order.name, id);
    wire_order_write(WIRE_BAN, &order, &index);
    const struct ask_question question = {.type = WIRE_BAN,
                                          .index = &index,
                                          .answered = waiter == NULL ? NULL : was_told,
                                          .context = waiter};
    return tell(control, provider, &question, err);
}

/* ---- joining --------------------------------------------------------------------------------- */

/* Two processes that prove one identity: the one that is there has the leases. After a restart the
 * old connection may still look alive for a while: the new one comes again. */
static lethe_result check_other(const struct pool_provider *provider, const struct wire_join *join,
                                struct lethe_error *err)
{
    const struct control_peer *other = provider->link;
    if (other == NULL || other->link == NULL)
        return LETHE_OK;
    if (memcmp(provider->row.boot_id, join->boot_id, BOOT_ID_BYTES) == 0)
        return LETHE_OK;
    error_set(err, LETHE_EXISTS, "another process has joined as %s", provider->row.id);
    error_hint(err, "each provider needs an identity of its own; after a restart, wait until the "
                    "old connection has timed out");
    return LETHE_EXISTS;
}

/* What it was asked by the old connection is not answered any more. */
static void cut_off(struct control_peer *other)
{
    struct lethe_error why = {0};
    error_set(&why, LETHE_CANCELLED, "the provider has joined by another connection");
    if (other->link != NULL)
        link_end(other->link, why.code, why.text);
    other->provider = NULL;
    peer_forget_asks(other, &why);
}

static void take_over(struct control_peer *peer, struct pool_provider *provider)
{
    struct control_peer *other = provider->link;
    provider->listed = false; /* nothing is placed here meanwhile */
    if (other != NULL)
        cut_off(other);
    provider->link = peer;
    provider->state = PROVIDER_JOINED;
    provider->free_bytes = 0;
    provider->heard_ms = loop_now_ms(peer->control->loop);
    peer->provider = provider;
    for (struct pool_lease *lease = provider->first; lease != NULL; lease = lease->next)
        lease->seen = false;
}

/* What it had under another boot id went with that process (P-7). */
static void lose_older(struct control *control, struct pool_provider *provider)
{
    struct pool_lease *next;
    for (struct pool_lease *lease = provider->first; lease != NULL; lease = next) {
        next = lease->next;
        if (!lease->durable ||
            memcmp(lease->boot_id, provider->row.boot_id, sizeof lease->boot_id) == 0)
            continue;
        if (lease->state == LEASE_LOST)
            lease_forget(control, lease);
        else
            lease_lose(control, lease, false);
    }
}

static lethe_result put_joined(struct control *control, struct buffer *out, struct lethe_error *err)
{
    struct wire_joined joined = {.report_ms = (uint32_t)control->limits.report_ms};
    CLEANUP(buffer_clear) struct buffer key = {0};
    audit_key_text(&keeper_log_signer(control->options.keeper)->key, &key);
    TRY(buffer_result(&key, err));
    if (key.size_bytes >= sizeof joined.token_key)
        return error_set(err, LETHE_INVALID, "the log's key has too long a name for providers");
    memcpy(joined.token_key, key.bytes, key.size_bytes);
    wire_joined_write(&joined, out);
    return buffer_result(out, err);
}

static void has_joined(struct control *control, struct control_job *job, lethe_result result,
                       const struct lethe_error *why)
{
    struct pool_provider *provider = job->subject;
    const struct peer_reply reply = {.request = &job->request, .index = &job->index};
    provider->stale = result != LETHE_OK;
    if (result == LETHE_OK)
        peer_answer(job->peer, &reply);
    else if (job->peer->link != NULL)
        link_end(job->peer->link, LETHE_UNAVAILABLE, "joining could not be made durable");
    job_free(job);
}

static bool is_as_before(const struct pool_provider *provider, const struct wire_join *join)
{
    const struct provider_row *row = &provider->row;
    return !provider->stale && !row->lost && row->capacity_bytes == join->capacity_bytes &&
           strcmp(row->address, join->address) == 0 &&
           memcmp(row->boot_id, join->boot_id, sizeof row->boot_id) == 0;
}

static void note_restart(struct control *control, struct pool_provider *provider,
                         const struct wire_join *join)
{
    bool is_new = provider->row.address[0] == '\0';
    if (is_new || provider->row.lost ||
        memcmp(provider->row.boot_id, join->boot_id, sizeof join->boot_id) == 0)
        return;
    provider_record_lost(control, provider, "it was restarted");
}

static void fill_row(struct control *control, struct pool_provider *provider,
                     const struct wire_join *join)
{
    struct provider_row *row = &provider->row;
    memcpy(row->boot_id, join->boot_id, sizeof row->boot_id);
    strcpy(row->address, join->address);
    row->capacity_bytes = join->capacity_bytes;
    row->joined_ms = control_wall_ms(control);
    row->lost = false;
}

static lethe_result accept_join(struct control_peer *peer, const struct link_frame *frame,
                                const struct wire_join *join, struct pool_provider *provider,
                                struct lethe_error *err)
{
    struct control *control = peer->control;
    bool is_known = is_as_before(provider, join);
    CLEANUP(job_free) struct control_job *job = NULL;
    TRY(job_create(peer, &frame->head, is_known ? 0 : 1, &job, err));
    TRY(put_joined(control, &job->index, err));
    take_over(peer, provider);
    note_restart(control, provider, join);
    if (!is_known) {
        fill_row(control, provider, join);
        change_join(&provider->row, &job->changes[0]);
        provider->stale = true;
    }
    lose_older(control, provider);
    job->subject = provider;
    job->done = has_joined;
    job_queue(control, MOVE(job));
    return LETHE_OK;
}

lethe_result control_join(struct control_peer *peer, const struct link_frame *frame,
                          struct lethe_error *err)
{
    struct wire_join join;
    struct control *control = peer->control;
    TRY(wire_join_read(frame->index, &join, err));
    if (peer->provider != NULL)
        return error_set(err, LETHE_MALFORMED, "a second JOIN on one connection");
    TRY(policy_allows_join(control, peer->id.text, join.capacity_bytes, err));
    struct pool_provider *provider = registry_find_provider(control->registry, peer->id.text);
    if (provider != NULL)
        TRY(check_other(provider, &join, err));
    TRY(registry_add_provider(control->registry, peer->id.text, &provider, err));
    return accept_join(peer, frame, &join, provider, err);
}

/* ---- going ----------------------------------------------------------------------------------- */

/* Who waits for the end of something on it is told that this cannot be known now. */
static void tell_waiting(struct pool_provider *provider)
{
    struct lethe_error why = {0};
    error_set(&why, LETHE_UNAVAILABLE, "provider %s is out of reach: it is told when it is back",
              provider->row.id);
    struct pool_lease *next;
    for (struct pool_lease *lease = provider->first; lease != NULL; lease = next) {
        next = lease->next;
        lease_tell_waiting(lease, LETHE_UNAVAILABLE, &why);
    }
}

void provider_gone(struct control *control, struct control_peer *peer)
{
    struct pool_provider *provider = MOVE(peer->provider);
    if (provider == NULL || provider->link != peer)
        return;
    provider->link = NULL;
    provider->listed = false;
    provider->heard_ms = loop_now_ms(control->loop);
    if (provider->state == PROVIDER_JOINED)
        provider->state = PROVIDER_UNREACHABLE;
    tell_waiting(provider);
}

static void is_recorded(struct control *control, struct control_job *job, lethe_result result,
                        const struct lethe_error *why)
{
    job_free(job);
}

void provider_record_lost(struct control *control, struct pool_provider *provider,
                          const char *cause)
{
    struct control_job *job;
    if (job_create(NULL, NULL, 1, &job, NULL) != LETHE_OK)
        return;
    change_provider_lost(&provider->row, provider->leases, cause, &job->changes[0]);
    job->done = is_recorded;
    job_queue(control, job);
}

static void is_given_up(struct control *control, struct control_job *job, lethe_result result,
                        const struct lethe_error *why)
{
    struct pool_provider *provider = job->subject;
    job_free(job);
    if (result != LETHE_OK && !provider_is_here(provider))
        provider->row.lost = false; /* the sweep tries again */
}

void provider_lose(struct control *control, struct pool_provider *provider, const char *cause)
{
    struct control_job *job;
    if (job_create(NULL, NULL, 1, &job, NULL) != LETHE_OK)
        return; /* the sweep tries again */
    provider->row.lost = true;
    provider->state = PROVIDER_LOST;
    change_provider_lost(&provider->row, provider->leases, cause, &job->changes[0]);
    job->subject = provider;
    job->done = is_given_up;
    job_queue(control, job);
    struct pool_lease *next;
    for (struct pool_lease *lease = provider->first; lease != NULL; lease = next) {
        next = lease->next;
        if (lease->durable && lease->state != LEASE_LOST)
            lease_lose(control, lease, true);
    }
}
