/* A session: who may write, how it begins, what ends it. */
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/validate.h"
#include "residency/kv_core.h"
#include "residency/worker_core.h"

/* ---- who is in ------------------------------------------------------------------------------- */

lethe_result kv_cancelled(const struct lethe_kv *session, struct lethe_error *err)
{
    return error_set(err, LETHE_CANCELLED, "session %s of %s has ended: %s", session->name,
                     session->tenant, lethe_session_end_name(session->cause));
}

static bool pass(struct lethe_kv *session, enum kv_gate how)
{
    unsigned open = 0;
    return atomic_compare_exchange_strong(&session->gate, &open, how);
}

lethe_result kv_enter(struct lethe_kv *session, struct lethe_error *err)
{
    if (pass(session, KV_APPENDING))
        return LETHE_OK;
    pthread_mutex_lock(&session->cache->lock); /* whoever has taken it has the lock, too */
    bool is_in = pass(session, KV_APPENDING);
    unsigned gate = atomic_load(&session->gate);
    pthread_mutex_unlock(&session->cache->lock);
    if (is_in)
        return LETHE_OK;
    REQUIRE((gate & KV_ENDED) != 0); /* one thread at a time */
    return kv_cancelled(session, err);
}

bool kv_leave(struct lethe_kv *session)
{
    if ((atomic_fetch_sub(&session->gate, KV_APPENDING) & KV_ENDED) == 0)
        return true;
    kv_settle(session);
    return false;
}

bool kv_take(struct lethe_kv *session, bool inside)
{
    return inside || pass(session, KV_TAKEN);
}

void kv_give(struct lethe_kv *session, bool inside)
{
    if (!inside)
        atomic_fetch_sub(&session->gate, KV_TAKEN);
}

/* ---- names ----------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    const struct lethe_kv *one = a, *other = b;
    int order = strcmp(one->tenant, other->tenant);
    return order != 0 ? order : strcmp(one->name, other->name);
}

/* Under the lock. */
static lethe_result take_name(struct lethe_kv *session, struct lethe_error *err)
{
    struct lethe_kv_cache *cache = session->cache;
    struct lethe_kv *const *found = tsearch(session, &cache->names, compare_names);
    if (found == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a session's name");
    if (*found != session)
        return error_set(err, LETHE_EXISTS, "%s has a session %s in cache %s already",
                         session->tenant, session->name, cache->name);
    session->sequence = ++cache->sequence;
    TAILQ_INSERT_TAIL(&cache->sessions, session, link);
    cache->counters.sessions++;
    return LETHE_OK;
}

/* ---- open ------------------------------------------------------------------------------------ */

static lethe_result check_options(const struct lethe_kv_cache *cache,
                                  const struct lethe_kv_session_options *options,
                                  struct lethe_error *err)
{
    TRY(validate_identifier("tenant", options->tenant, 63, err));
    TRY(validate_identifier("session", options->session, 63, err));
    if (options->budget_bytes == 0 || options->budget_bytes >= cache->shape.block_bytes)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID,
                     "budget_bytes: one block is %" PRIu64 " bytes, and the budget %" PRIu64,
                     cache->shape.block_bytes, options->budget_bytes);
}

static uint32_t budget_blocks(const struct lethe_kv_cache *cache, uint64_t budget_bytes)
{
    uint64_t blocks = budget_bytes / cache->shape.block_bytes;
    return budget_bytes == 0 || blocks >= KV_NONE ? KV_NONE : (uint32_t)blocks;
}

static void discard(struct lethe_kv *session)
{
    if (session == NULL)
        return;
    pthread_mutex_destroy(&session->own_lock);
    block_key_free(session->key);
    free(session->pages);
    free(session->ends);
    free(session);
}
DEFINE_CLEANUP(discard, struct lethe_kv *);

lethe_result lethe_kv_open(struct lethe_kv_cache *cache,
                           const struct lethe_kv_session_options *options, uint64_t now_ms,
                           struct lethe_kv **out, struct lethe_error *err)
{
    *out = NULL;
    TRY(check_options(cache, options, err));
    TRY(worker_check(cache->worker, err));
    CLEANUP(discard) struct lethe_kv *session = calloc(1, sizeof *session);
    if (session == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a session");
    pthread_mutex_init(&session->own_lock, NULL);
    session->cache = cache;
    snprintf(session->tenant, sizeof session->tenant, "%s", options->tenant);
    snprintf(session->name, sizeof session->name, "%s", options->session);
    session->heartbeat_timeout_ms = options->heartbeat_timeout_ms;
    atomic_init(&session->last_heartbeat_ms, now_ms);
    session->window_tokens = options->window_tokens;
    session->budget_blocks = budget_blocks(cache, options->budget_bytes);
    session->ends = calloc(cache->shape.layers, sizeof *session->ends);
    if (session->ends == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a session");

    pthread_mutex_lock(&cache->lock);
    lethe_result result = take_name(session, err);
    pthread_mutex_unlock(&cache->lock);
    TRY(result);
    const struct audit_event event = audit_session_started(cache->name);
    worker_emit(cache->worker, session->tenant, session->name, &event);
    *out = MOVE(session);
    return LETHE_OK;
}

lethe_result lethe_kv_heartbeat(struct lethe_kv *session, uint64_t now_ms)
{
    uint64_t last_ms = atomic_load(&session->last_heartbeat_ms);
    while (last_ms < now_ms &&
           !atomic_compare_exchange_weak(&session->last_heartbeat_ms, &last_ms, now_ms))
        ;
    return kv_has_ended(session) ? LETHE_CANCELLED : LETHE_OK;
}

/* ---- end ------------------------------------------------------------------------------------- */

bool kv_begin_end(struct lethe_kv *session, enum lethe_session_end cause)
{
    struct lethe_kv_cache *cache = session->cache;
    if (kv_has_ended(session))
        return false;
    session->cause = cause;
    (void)tdelete(session, &cache->names, compare_names);
    cache->counters.sessions--;
    atomic_fetch_or(&session->gate, KV_ENDED);
    return true;
}

void kv_unref(struct lethe_kv *session)
{
    struct lethe_kv_cache *cache = session->cache;
    if (kv_has_ended(session)) {
        pthread_mutex_unlock(&cache->lock);
        kv_settle(session);
        pthread_mutex_lock(&cache->lock);
    }
    session->refs--;
    pthread_cond_broadcast(&cache->changed);
}

void lethe_kv_cancel(struct lethe_kv *session)
{
    struct lethe_kv_cache *cache = session->cache;
    pthread_mutex_lock(&cache->lock);
    session->refs++;
    (void)kv_begin_end(session, LETHE_SESSION_CANCELLED);
    kv_unref(session);
    pthread_mutex_unlock(&cache->lock);
}

static bool is_overdue(const struct lethe_kv *session, uint64_t now_ms)
{
    uint64_t last_ms = atomic_load(&session->last_heartbeat_ms);
    return session->heartbeat_timeout_ms != 0 && now_ms > last_ms &&
           now_ms - last_ms > session->heartbeat_timeout_ms && !kv_has_ended(session);
}

size_t lethe_kv_expire(struct lethe_kv_cache *cache, uint64_t now_ms)
{
    struct lethe_kv *overdue = NULL, **last = &overdue, *session;
    size_t count = 0;
    pthread_mutex_lock(&cache->lock);
    TAILQ_FOREACH(session, &cache->sessions, link)
    {
        if (!is_overdue(session, now_ms))
            continue;
        session->refs++;
        (void)kv_begin_end(session, LETHE_SESSION_TIMED_OUT);
        *last = session;
        last = &session->next_overdue;
        *last = NULL;
        count++;
    }
    for (struct lethe_kv *next; overdue != NULL; overdue = next) {
        next = overdue->next_overdue; /* its owner may free it once the ref is gone */
        kv_unref(overdue);
    }
    pthread_mutex_unlock(&cache->lock);
    return count;
}

/* Under the lock. */
static void wait_alone(struct lethe_kv *session)
{
    while (session->refs > 0 || session->settling > 0)
        pthread_cond_wait(&session->cache->changed, &session->cache->lock);
}

lethe_result kv_free(struct lethe_kv *session, enum lethe_session_end cause,
                     struct lethe_error *err)
{
    struct lethe_kv_cache *cache = session->cache;
    pthread_mutex_lock(&cache->lock);
    REQUIRE(session->reads == 0 && (atomic_load(&session->gate) & KV_APPENDING) == 0);
    (void)kv_begin_end(session, cause);
    wait_alone(session);
    pthread_mutex_unlock(&cache->lock);
    kv_settle_for_good(session);
    pthread_mutex_lock(&cache->lock);
    wait_alone(session);
    TAILQ_REMOVE(&cache->sessions, session, link);
    pthread_mutex_unlock(&cache->lock);

    lethe_result result = LETHE_OK;
    if (session->wiped.failed || !session->own_wiped.verified)
        result = error_set(err, LETHE_UNWIPED,
                           "session %s of %s: memory was wiped but is not zero, and is kept from "
                           "everyone",
                           session->name, session->tenant);
    discard(session);
    return result;
}

lethe_result lethe_kv_end(struct lethe_kv *session, enum lethe_session_end cause,
                          struct lethe_error *err)
{
    return session != NULL ? kv_free(session, cause, err) : LETHE_OK;
}
