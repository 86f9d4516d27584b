/* Leases from their first attachment to their end. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "mem/process.h"
#include "pool/client_calls.h"

lethe_result client_usable(const struct lethe_pool *pool, struct lethe_error *err)
{
    if (pool->epoch == process_epoch())
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "a forked child cannot use its parent's pool");
}

/* ---- made ------------------------------------------------------------------------------------ */

static lethe_result make_key(struct lethe_pool_lease *lease, const struct client_lease_shape *shape,
                             struct lethe_error *err)
{
    uint8_t space[BLOCK_SPACE_BYTES];
    memcpy(space, shape->space, sizeof space);
    TRY(lethe_secret_create(AEAD_KEY_BYTES, &lease->secret, err));
    uint8_t *key = lethe_secret_bytes(lease->secret);
    if (shape->key != NULL)
        memcpy(key, lethe_secret_bytes_const(shape->key), AEAD_KEY_BYTES);
    else if (random_fill(&random_system, key, AEAD_KEY_BYTES) != LETHE_OK ||
             random_fill(&random_system, space, sizeof space) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system gives no randomness");
    TRY(block_key_restore(CLIENT_LABEL, lease->secret, space, &lease->key, err));
    TRY(versions_create(lease->blocks, lease->block_bytes, &lease->versions, err));
    if (shape->versions != NULL)
        versions_restore(lease->versions, shape->versions);
    return LETHE_OK;
}

/* How long RENEW alone goes on, as its token says. */
static lethe_result read_terms(struct lethe_pool_lease *lease, const struct wire_placed *placed,
                               struct lethe_error *err)
{
    struct lease_terms terms;
    TRY(token_peek(placed->token, placed->token_bytes, &terms, err));
    if (memcmp(&terms.lease, &placed->lease, sizeof terms.lease) != 0 ||
        terms.bytes != lease->bytes || terms.block_bytes != lease->block_bytes ||
        strcmp(terms.provider, placed->provider) != 0)
        return error_set(err, LETHE_MALFORMED, "the control plane gave a token for another lease");
    lease->ttl_ms = terms.ttl_ms;
    lease->life_ms = terms.life_ms;
    return LETHE_OK;
}

/* Two copies on one provider would be lost together. */
static lethe_result check_apart(const struct lethe_pool_lease *lease,
                                const struct wire_placed *placed, struct lethe_error *err)
{
    for (unsigned i = 0; i < lease->copy_count; i++)
        if (strcmp(lease->copies[i].provider, placed->provider) == 0)
            return error_set(err, LETHE_MALFORMED, "the control plane put two copies on %s",
                             placed->provider);
    return LETHE_OK;
}

static lethe_result make_copy(struct lethe_pool_lease *lease, const struct wire_placed *placed,
                              struct lethe_error *err)
{
    struct client_copy *copy = &lease->copies[lease->copy_count];
    TRY(read_terms(lease, placed, err));
    TRY(check_apart(lease, placed, err));
    copy->lease = lease;
    copy->index = lease->copy_count++;
    copy->id = placed->lease;
    memcpy(copy->provider, placed->provider, sizeof copy->provider);
    memcpy(copy->token, placed->token, placed->token_bytes);
    copy->token_bytes = placed->token_bytes;
    return LETHE_OK;
}

/* Only who has several copies can have a stale one. */
static lethe_result make_stale(struct lethe_pool_lease *lease, struct lethe_error *err)
{
    for (unsigned i = 0; lease->copy_count > 1 && i < lease->copy_count; i++) {
        lease->copies[i].stale = calloc((size_t)(lease->blocks + 63) / 64, sizeof(uint64_t));
        if (lease->copies[i].stale == NULL)
            return error_set(err, LETHE_NO_MEMORY, "no memory for a lease");
    }
    return LETHE_OK;
}

static void advance(void *lease)
{
    client_advance(lease);
}

static void choose_worker(struct lethe_pool *pool, struct lethe_pool_lease *lease)
{
    lease->pool = pool;
    lease->connection = atomic_fetch_add(&pool->turn, 1) % pool->connections;
    lease->worker = pool->workers[lease->connection % pool->threads];
    lease->advance = (struct loop_task){.work = advance, .context = lease};
    STAILQ_INIT(&lease->ops);
    STAILQ_INIT(&lease->reads);
    STAILQ_INIT(&lease->writes);
}

void client_lease_free(struct lethe_pool_lease *lease)
{
    if (lease == NULL)
        return;
    block_key_free(lease->key);
    versions_free(lease->versions);
    lethe_secret_free(lease->secret);
    for (unsigned i = 0; i < lease->copy_count; i++)
        free(lease->copies[i].stale);
    free(lease);
}
DEFINE_CLEANUP(client_lease_free, struct lethe_pool_lease *);

static lethe_result make(struct lethe_pool *pool, const struct client_lease_shape *shape,
                         const struct wire_allocated *placed, struct lethe_pool_lease **out,
                         struct lethe_error *err)
{
    CLEANUP(client_lease_free) struct lethe_pool_lease *lease = calloc(1, sizeof *lease);
    if (lease == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a lease");
    choose_worker(pool, lease);
    lease->bytes = shape->bytes;
    lease->block_bytes = shape->block_bytes;
    lease->blocks = shape->bytes / shape->block_bytes;
    lease->renews = shape->renews;
    lease->is_read_only = shape->is_read_only;
    for (size_t i = 0; i < placed->count; i++)
        TRY(make_copy(lease, &placed->copies[i], err));
    TRY(make_stale(lease, err));
    TRY(make_key(lease, shape, err));
    *out = MOVE(lease);
    return LETHE_OK;
}

/* ---- opened ---------------------------------------------------------------------------------- */

struct opening {
    struct client_call call;
    struct client_remote *remotes[WIRE_COPIES_MAX];
};

static void open_on_worker(void *context)
{
    struct opening *opening = context;
    struct lethe_pool_lease *lease = opening->call.lease;
    LIST_INSERT_HEAD(&lease->worker->leases, lease, next);
    lease->opening = &opening->call;
    opening->call.began_ms = client_now_ms(lease->worker);
    for (unsigned i = 0; i < lease->copy_count; i++)
        client_remote_join(&lease->copies[i], opening->remotes[i]);
}

static void opened(struct lethe_pool_lease *lease, const struct lethe_error *why)
{
    struct client_call *call = lease->opening;
    lease->opening = NULL;
    if (why != NULL)
        client_call_fail(call, why);
    client_call_answered(call);
}

/* Who writes needs every copy; who only reads begins with the first. */
void client_lease_open_check(struct lethe_pool_lease *lease)
{
    unsigned attached = 0, lost = 0;
    const struct client_copy *lost_copy = NULL;
    for (unsigned i = 0; i < lease->copy_count; i++) {
        attached += lease->copies[i].state == COPY_ATTACHED;
        if (lease->copies[i].state == COPY_LOST) {
            lost_copy = &lease->copies[i];
            lost++;
        }
    }
    unsigned needed = lease->is_read_only ? 1 : lease->copy_count;
    if (lease->opening == NULL)
        return;
    if (attached >= needed)
        opened(lease, NULL);
    else if (lost > lease->copy_count - needed)
        opened(lease, &lost_copy->why);
}

static void check_opening(struct lethe_pool_lease *lease)
{
    if (lease->opening == NULL ||
        client_now_ms(lease->worker) <= lease->opening->began_ms + lease->pool->timeout_ms)
        return;
    struct lethe_error why = {0};
    for (unsigned i = 0; i < lease->copy_count; i++) {
        const struct client_remote *remote = lease->copies[i].remote;
        if (lease->copies[i].state != COPY_ATTACHED)
            error_set(&why, LETHE_UNAVAILABLE, "%s at %s is not reached: %.200s", remote->provider,
                      remote->address, remote->why.text);
    }
    opened(lease, &why);
}

static lethe_result make_remotes(const struct lethe_pool_lease *lease,
                                 const struct wire_allocated *placed, struct opening *opening,
                                 struct lethe_error *err)
{
    for (size_t i = 0; i < placed->count; i++)
        TRY(client_remote_create(lease->worker, &placed->copies[i], lease->connection,
                                 &opening->remotes[i], err));
    return LETHE_OK;
}

lethe_result client_lease_open(struct lethe_pool *pool, const struct client_lease_shape *shape,
                               const struct wire_allocated *placed, struct lethe_pool_lease **out,
                               struct lethe_error *err)
{
    *out = NULL;
    struct lethe_pool_lease *lease = NULL;
    struct opening opening = {.call = {.left = 1}};
    lethe_result result = make(pool, shape, placed, &lease, err);
    if (result == LETHE_OK)
        result = make_remotes(lease, placed, &opening, err);
    if (result != LETHE_OK) {
        if (!shape->is_read_only)
            client_drop(pool, placed);
        for (size_t i = 0; i < placed->count; i++)
            client_remote_free(opening.remotes[i]);
        client_lease_free(lease);
        return result;
    }
    pthread_mutex_lock(&pool->lock);
    LIST_INSERT_HEAD(&pool->leases, lease, in_pool);
    pthread_mutex_unlock(&pool->lock);
    client_call_run(&opening.call, lease, open_on_worker);
    lease->was_opened = opening.call.error.code == LETHE_OK;
    *out = lease->was_opened ? lease : NULL;
    if (lease->was_opened)
        return LETHE_OK;
    (void)!client_lease_end(lease, !shape->is_read_only, NULL);
    if (err != NULL)
        *err = opening.call.error;
    return opening.call.error.code;
}

/* ---- ended ----------------------------------------------------------------------------------- */

static void release_copy(struct client_copy *copy, struct client_call *call)
{
    const struct client_request request = {.type = WIRE_RELEASE, .copy = copy, .call = call};
    if (copy->state == COPY_LOST && copy->lease->was_opened) {
        client_call_answered(call); /* it is over there, too, or its provider is gone */
        return;
    }
    if (copy->state != COPY_ATTACHED || !client_send(copy->remote, &request, NULL))
        client_job_start(copy, WIRE_DROP, call);
}

/* Nothing is under way any more: keys go first, then the rest. */
static void end_now(struct lethe_pool_lease *lease)
{
    struct client_call *call = lease->ending;
    lease->is_ended = true;
    block_key_free(MOVE(lease->key));
    versions_free(MOVE(lease->versions));
    lethe_secret_free(MOVE(lease->secret));
    call->left = 1 + (lease->releases ? lease->copy_count : 0);
    for (unsigned i = 0; lease->releases && i < lease->copy_count; i++)
        release_copy(&lease->copies[i], call);
    client_call_answered(call);
}

static void end_where_idle(struct lethe_pool_lease *lease)
{
    if (lease->ending != NULL && !lease->is_ended && lease->in_flight == 0) {
        client_parts_cancel(lease); /* what came back unanswered */
        end_now(lease);
    }
}

static void end_on_worker(void *context)
{
    struct client_call *call = context;
    struct lethe_pool_lease *lease = call->lease;
    lease->is_closing = true;
    lease->ending = call;
    client_parts_cancel(lease);
    end_where_idle(lease);
}

void client_lease_moved(struct lethe_pool_lease *lease)
{
    if (lease->is_closing)
        end_where_idle(lease);
    else
        client_advance_soon(lease);
}

void client_lease_forget(struct lethe_pool_lease *lease)
{
    loop_unpost(lease->worker->loop, &lease->advance);
    for (unsigned i = 0; i < lease->copy_count; i++) {
        if (lease->copies[i].job != NULL)
            lease->copies[i].job->copy = NULL;
        client_remote_leave(&lease->copies[i]);
    }
    LIST_REMOVE(lease, next);
}

lethe_result client_lease_end(struct lethe_pool_lease *lease, bool releases,
                              struct lethe_error *err)
{
    struct client_call call = {.left = 1};
    struct lethe_pool *pool = lease->pool;
    lease->releases = releases;
    client_call_run(&call, lease, end_on_worker);
    pthread_mutex_lock(&pool->lock);
    LIST_REMOVE(lease, in_pool);
    pthread_mutex_unlock(&pool->lock);
    client_lease_free(lease);
    if (call.error.code != LETHE_OK && err != NULL)
        *err = call.error;
    return call.error.code;
}

/* ---- the clock ------------------------------------------------------------------------------- */

void client_lease_tick(struct lethe_pool_lease *lease)
{
    check_opening(lease);
    for (unsigned i = 0; i < lease->copy_count; i++)
        client_copy_tick(&lease->copies[i]);
    if (lease->is_closing)
        return;
    client_parts_expire(lease);
    client_repair(lease);
    client_advance(lease);
}
