/* ALLOCATE: providers are chosen, asked one by one until each copy has one, and then all copies
 * become durable together. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/control_core.h"
#include "pool/token.h"

struct allocation;
struct copy {
    struct allocation *allocation;
    struct pool_lease *lease; /* not durable yet; NULL: none */
    uint64_t need_bytes;
};
struct allocation {
    struct control *control;
    struct control_peer *peer; /* held */
    struct wire_head request;
    struct wire_allocate wanted;
    struct lease_id group;
    uint64_t tried[REGISTRY_PROVIDERS_MAX / 64]; /* bits: providers that have a copy, or refused */
    struct copy copies[WIRE_COPIES_MAX];
    size_t pending; /* grants that were not answered */
    lethe_result result;
    struct lethe_error why; /* of the first that failed, or was refused last */
};

static bool was_tried(const struct allocation *allocation, size_t provider)
{
    return (allocation->tried[provider / 64] >> provider % 64 & 1) != 0;
}

static void note_tried(struct allocation *allocation, size_t provider)
{
    allocation->tried[provider / 64] |= (uint64_t)1 << provider % 64;
}

/* ---- may it? --------------------------------------------------------------------------------- */

static lethe_result check_limits(const struct control_peer *peer,
                                 const struct wire_allocate *wanted, struct lethe_error *err)
{
    uint64_t all;
    const struct control *control = peer->control;
    const struct pool_consumer *consumer = registry_find_consumer(control->registry, peer->id.text);
    uint64_t leases = consumer == NULL ? 0 : consumer->leases;
    if (wanted->ttl_ms > control->limits.ttl_max_ms)
        return error_set(err, LETHE_LIMIT, "leases are for %llu s at most",
                         (unsigned long long)control->limits.ttl_max_ms / 1000);
    if (leases + wanted->copies > control->limits.leases_per_consumer)
        return error_set(err, LETHE_LIMIT, "%s has %llu leases, and %llu are all that it may",
                         peer->id.text, (unsigned long long)leases,
                         (unsigned long long)control->limits.leases_per_consumer);
    if (__builtin_mul_overflow(wanted->bytes, (uint64_t)wanted->copies, &all))
        return error_set(err, LETHE_INVALID, "too many bytes");
    return registry_check_quota(control->registry, peer->id.tenant, all,
                                control->limits.tenant_bytes, err);
}

/* ---- how it ends ----------------------------------------------------------------------------- */

static void allocation_free(struct allocation *allocation)
{
    peer_let_go(allocation->peer);
    free(allocation);
}

/* What was granted is stopped; what was not is forgotten. */
static void undo(struct allocation *allocation)
{
    struct control *control = allocation->control;
    for (size_t i = 0; i < allocation->wanted.copies; i++) {
        struct pool_lease *lease = MOVE(allocation->copies[i].lease);
        if (lease == NULL)
            continue;
        provider_stop_lease(control, lease->provider, &lease->id, LEASE_CAUSE_RELEASED);
        lease_remove(control, lease);
    }
}

static void fail(struct allocation *allocation)
{
    undo(allocation);
    allocation->control->counters.refused++;
    peer_refuse(allocation->peer, &allocation->request, &allocation->why);
    allocation_free(allocation);
}

static void fill_terms(struct control *control, const struct pool_lease *lease,
                       struct lease_terms *out)
{
    *out = (struct lease_terms){.lease = lease->id,
                                .generation = lease->generation,
                                .bytes = lease->bytes,
                                .block_bytes = lease->block_bytes,
                                .ttl_ms = lease->ttl_ms,
                                .life_ms = control->limits.life_ms,
                                .issued_ms = control_wall_ms(control)};
    memcpy(out->boot_id, lease->boot_id, sizeof out->boot_id);
    strcpy(out->consumer, lease->consumer->id);
    strcpy(out->tenant, lease->consumer->tenant->name);
    strcpy(out->provider, lease->provider->row.id);
}

lethe_result lease_sign(struct control *control, const struct pool_lease *lease, struct buffer *out,
                        struct lethe_error *err)
{
    struct lease_terms terms;
    fill_terms(control, lease, &terms);
    TRY(control_random(control, terms.nonce, sizeof terms.nonce, err));
    TRY(token_sign(&terms, keeper_log_signer(control->options.keeper), out, err));
    control->counters.tokens++;
    return buffer_result(out, err);
}

static lethe_result fill_placed(struct control *control, const struct pool_lease *lease,
                                struct wire_placed *out, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer token = {0};
    TRY(lease_sign(control, lease, &token, err));
    REQUIRE(token.size_bytes <= sizeof out->token);
    out->lease = lease->id;
    strcpy(out->provider, lease->provider->row.id);
    strcpy(out->address, lease->provider->row.address);
    memcpy(out->token, token.bytes, token.size_bytes);
    out->token_bytes = token.size_bytes;
    return LETHE_OK;
}

static lethe_result answer(struct allocation *allocation, struct lethe_error *err)
{
    struct control *control = allocation->control;
    struct wire_allocated *allocated = &control->allocated;
    CLEANUP(buffer_clear) struct buffer index = {0};
    allocated->count = allocation->wanted.copies;
    for (size_t i = 0; i < allocated->count; i++)
        TRY(fill_placed(control, allocation->copies[i].lease, &allocated->copies[i], err));
    wire_allocated_write(allocated, &index);
    TRY(buffer_result(&index, err));
    const struct peer_reply reply = {.request = &allocation->request, .index = &index};
    peer_answer(allocation->peer, &reply);
    return LETHE_OK;
}

/* A provider may have ended it meanwhile, as it does with those of who was revoked. */
static void note_durable(struct control *control, struct pool_lease *lease)
{
    lease->durable = true;
    control->counters.leases_granted++;
    if (lease_is_final(lease->state))
        lease_end(control, lease, lease->state, lease->cause);
}

static void is_durable(struct control *control, struct control_job *job, lethe_result result,
                       const struct lethe_error *why)
{
    struct allocation *allocation = job->subject;
    if (result != LETHE_OK)
        allocation->why = *why; /* the job's */
    job_free(job);
    if (result != LETHE_OK) {
        fail(allocation);
        return;
    }
    lethe_result answered = answer(allocation, &allocation->why);
    if (answered != LETHE_OK)
        peer_refuse(allocation->peer, &allocation->request, &allocation->why);
    for (size_t i = 0; i < allocation->wanted.copies; i++)
        note_durable(control, allocation->copies[i].lease);
    control->counters.allocations++;
    allocation_free(allocation);
}

static lethe_result queue(struct allocation *allocation, struct lethe_error *err)
{
    struct control_job *job;
    TRY(job_create(NULL, NULL, allocation->wanted.copies, &job, err));
    strcpy(job->tenant, allocation->peer->id.tenant);
    for (size_t i = 0; i < allocation->wanted.copies; i++)
        change_grant(allocation->copies[i].lease, &job->changes[i]);
    job->subject = allocation;
    job->done = is_durable;
    job_queue(allocation->control, job);
    return LETHE_OK;
}

/* All that was asked is answered. Who is cut off meanwhile gets nothing. */
static void settle(struct allocation *allocation)
{
    if (allocation->pending > 0)
        return;
    if (allocation->result == LETHE_OK && allocation->peer->link == NULL)
        allocation->result =
            error_set(&allocation->why, LETHE_UNAVAILABLE, "the connection has ended");
    if (allocation->result == LETHE_OK)
        allocation->result = queue(allocation, &allocation->why);
    if (allocation->result != LETHE_OK)
        fail(allocation);
}

/* ---- asking providers ------------------------------------------------------------------------ */

static lethe_result make_lease(struct copy *copy, struct pool_provider *provider,
                               struct lethe_error *err)
{
    const struct allocation *allocation = copy->allocation;
    struct control *control = allocation->control;
    struct lease_row row = {.group = allocation->group,
                            .generation = provider->generation + 1,
                            .bytes = allocation->wanted.bytes,
                            .block_bytes = allocation->wanted.block_bytes,
                            .ttl_ms = allocation->wanted.ttl_ms,
                            .granted_ms = control_wall_ms(control),
                            .state = LEASE_GRANTED};
    TRY(control_random(control, row.lease.bytes, sizeof row.lease.bytes, err));
    memcpy(row.boot_id, provider->row.boot_id, sizeof row.boot_id);
    strcpy(row.consumer, allocation->peer->id.text);
    strcpy(row.tenant, allocation->peer->id.tenant);
    strcpy(row.provider, provider->row.id);
    return registry_add_lease(control->registry, &row, &copy->lease, err);
}

static ask_answered was_answered;

static lethe_result grant(struct copy *copy, struct lethe_error *err)
{
    struct lease_terms terms;
    struct allocation *allocation = copy->allocation;
    struct pool_provider *provider = copy->lease->provider;
    CLEANUP(buffer_clear) struct buffer index = {0};
    fill_terms(allocation->control, copy->lease, &terms);
    lease_terms_write(&terms, &index);
    const struct ask_question question = {
        .type = WIRE_GRANT, .index = &index, .answered = was_answered, .context = copy};
    TRY(provider_ask(allocation->control, provider, &question, err));
    allocation->pending++;
    provider->asked_bytes += copy->need_bytes;
    return LETHE_OK;
}

static lethe_result may_place(struct allocation *allocation, const struct pool_provider *provider,
                              struct lethe_error *err)
{
    struct control *control = allocation->control;
    const struct control_peer *peer = allocation->peer;
    const struct pool_consumer *consumer = registry_find_consumer(control->registry, peer->id.text);
    const struct policy_lease question = {.provider = provider->row.id,
                                          .lent_bytes = provider->lent_bytes,
                                          .consumer = peer->id.text,
                                          .tenant = peer->id.tenant,
                                          .held_bytes = consumer == NULL ? 0 : consumer->held_bytes,
                                          .bytes = allocation->wanted.bytes};
    return policy_allows_lease(control, &question, err);
}

static size_t best_left(struct allocation *allocation, uint64_t need_bytes)
{
    struct control *control = allocation->control;
    size_t count = registry_provider_count(control->registry);
    registry_candidates(control->registry, control->candidates);
    for (size_t i = 0; i < count; i++)
        control->candidates[i].usable &= !was_tried(allocation, i);
    return placement_best(control->candidates, count, need_bytes);
}

static lethe_result try_provider(struct copy *copy, size_t index, struct lethe_error *err)
{
    struct control *control = copy->allocation->control;
    struct pool_provider *provider = registry_provider(control->registry, index);
    note_tried(copy->allocation, index);
    TRY(may_place(copy->allocation, provider, err));
    TRY(make_lease(copy, provider, err));
    lethe_result result = grant(copy, err);
    if (result != LETHE_OK)
        lease_remove(control, MOVE(copy->lease));
    return result;
}

/* The next provider for this copy: one that may and can be asked. */
static lethe_result place(struct copy *copy)
{
    struct allocation *allocation = copy->allocation;
    for (size_t best; (best = best_left(allocation, copy->need_bytes)) != PLACEMENT_NONE;) {
        if (try_provider(copy, best, &allocation->why) == LETHE_OK)
            return LETHE_OK;
    }
    if (allocation->why.code != LETHE_OK) /* why the last of them did not get it */
        return allocation->why.code;
    if (allocation->wanted.copies > 1)
        return error_set(&allocation->why, LETHE_NO_SPACE,
                         "%u copies, and fewer providers that have room for %llu bytes",
                         allocation->wanted.copies, (unsigned long long)allocation->wanted.bytes);
    return error_set(&allocation->why, LETHE_NO_SPACE, "no provider has room for %llu bytes",
                     (unsigned long long)allocation->wanted.bytes);
}

static void was_answered(struct control *control, void *context, lethe_result result,
                         uint64_t value, const struct lethe_error *why)
{
    struct copy *copy = context;
    struct allocation *allocation = copy->allocation;
    struct pool_provider *provider = copy->lease->provider;
    allocation->pending--;
    provider->asked_bytes -= copy->need_bytes;
    if (result == LETHE_OK) {
        provider->free_bytes = value;
    } else {
        allocation->why = *why;
        lease_remove(control, MOVE(copy->lease));
        if (allocation->result == LETHE_OK)
            allocation->result = place(copy);
    }
    settle(allocation);
}

/* ---- the request ----------------------------------------------------------------------------- */

static lethe_result begin(struct control_peer *peer, const struct wire_head *request,
                          const struct wire_allocate *wanted, struct allocation **out,
                          struct lethe_error *err)
{
    struct lease_id group;
    TRY(control_random(peer->control, group.bytes, sizeof group.bytes, err));
    struct allocation *allocation = calloc(1, sizeof *allocation);
    if (allocation == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a request");
    peer_hold(peer);
    *allocation = (struct allocation){.control = peer->control,
                                      .peer = peer,
                                      .request = *request,
                                      .wanted = *wanted,
                                      .group = group};
    uint64_t need = placement_need(wanted->bytes, wanted->block_bytes);
    for (size_t i = 0; i < wanted->copies; i++)
        allocation->copies[i] = (struct copy){.allocation = allocation, .need_bytes = need};
    *out = allocation;
    return LETHE_OK;
}

lethe_result control_allocate(struct control_peer *peer, const struct link_frame *frame,
                              struct lethe_error *err)
{
    struct wire_allocate wanted;
    struct allocation *allocation;
    TRY(wire_allocate_read(frame->index, &wanted, err));
    TRY(check_limits(peer, &wanted, err));
    TRY(begin(peer, &frame->head, &wanted, &allocation, err));
    for (size_t i = 0; i < wanted.copies && allocation->result == LETHE_OK; i++)
        allocation->result = place(&allocation->copies[i]);
    settle(allocation);
    return LETHE_OK;
}
