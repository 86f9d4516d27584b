/* What is left of a session that has ended is wiped, once, by whoever is the last to use it. */
#include "residency/kv_core.h"
#include "residency/worker_core.h"

#include "mem/session.h"

/* Under the lock, and nobody is in. */
static void detach_unread(struct lethe_kv *session, struct kv_chain *chain)
{
    const struct kv_block *blocks = session->cache->arena.blocks;
    for (uint64_t i = session->first_page; i < kv_pages_end(session); i++) {
        uint32_t block = kv_block_of(kv_page(session, i));
        if (block != KV_NONE && blocks[block].readers == 0)
            kv_detach(session, i, chain);
    }
}

static bool next_stored(struct lethe_kv *session, uint64_t *page)
{
    bool found = false;
    pthread_mutex_lock(&session->cache->lock);
    for (; !found && *page < kv_pages_end(session); ++*page) {
        struct kv_page *at = kv_page(session, *page);
        found = at->is_stored && !at->is_busy;
        if (!found)
            continue;
        at->is_stored = false;
        session->cache->counters.spilled_blocks--;
    }
    pthread_mutex_unlock(&session->cache->lock);
    return found;
}

static void drop_stored(struct lethe_kv *session)
{
    uint64_t page = session->first_page;
    while (next_stored(session, &page))
        kv_store_drop(session, page - 1);
}

/* The first one counts; for_good may be called for a session that was wiped where it was. */
static void wipe_own(struct lethe_kv *session, bool for_good)
{
    struct lethe_session_report report = {.verified = true};
    pthread_mutex_lock(&session->own_lock);
    if (session->own != NULL && for_good)
        session_retire(MOVE(session->own), &report);
    else if (session->own != NULL && !session->own_is_over)
        session_wipe(session->own, &report);
    if (!session->own_is_over)
        session->own_wiped = report;
    if (!report.verified)
        session->own_wiped.verified = false;
    session->own_is_over = true;
    pthread_mutex_unlock(&session->own_lock);
}

static struct lethe_session_report own_report(struct lethe_kv *session)
{
    pthread_mutex_lock(&session->own_lock);
    struct lethe_session_report report = session->own_wiped;
    pthread_mutex_unlock(&session->own_lock);
    return report;
}

static void record(struct lethe_kv *session, const struct kv_wiped *wiped)
{
    const struct lethe_session_report own = own_report(session);
    const struct audit_event event = audit_session_ended(
        session->cache->name, lethe_session_end_name(session->cause), own.regions + wiped->blocks,
        own.secrets, own.size_bytes + wiped->bytes, own.verified && !wiped->failed);
    kv_record_wipe(session, wiped);
    worker_emit(session->cache->worker, session->tenant, session->name, &event);
}

/* Under the lock: true for the one who finds that nothing is left, with all that was wiped. Of
 * several at once that is the last, so all others must have left settling by then. */
static bool is_over(struct lethe_kv *session, struct kv_wiped *wiped)
{
    session->wiped.blocks += wiped->blocks;
    session->wiped.bytes += wiped->bytes;
    session->wiped.duration_ns += wiped->duration_ns;
    *wiped = session->wiped;
    if (session->is_recorded || session->resident > 0 || session->moving > 0 ||
        session->settling > 1)
        return false;
    session->is_recorded = true;
    return true;
}

/* Under the lock. */
static void end_settling(struct lethe_kv *session)
{
    session->settling--;
    pthread_cond_broadcast(&session->cache->changed);
}

/* Without the lock. What is left to do once all is wiped, by the one who found it. */
static void finish(struct lethe_kv *session, struct block_key *key, const struct kv_wiped *wiped)
{
    block_key_free(key);
    record(session, wiped);
    pthread_mutex_lock(&session->cache->lock);
    end_settling(session);
    pthread_mutex_unlock(&session->cache->lock);
}

static void settle(struct lethe_kv *session, bool for_good)
{
    struct lethe_kv_cache *cache = session->cache;
    struct kv_chain chain = KV_CHAIN_NONE;
    struct block_key *key = NULL;
    pthread_mutex_lock(&cache->lock);
    if ((atomic_load(&session->gate) & KV_APPENDING) != 0) {
        pthread_mutex_unlock(&cache->lock); /* who is in will do it, leaving */
        return;
    }
    session->settling++;
    detach_unread(session, &chain);
    pthread_mutex_unlock(&cache->lock);

    struct kv_wiped wiped = kv_wipe(session, &chain);
    drop_stored(session);
    wipe_own(session, for_good);

    pthread_mutex_lock(&cache->lock);
    bool over = is_over(session, &wiped);
    if (over)
        key = MOVE(session->key);
    else
        end_settling(session);
    pthread_mutex_unlock(&cache->lock);
    if (over)
        finish(session, key, &wiped);
}

void kv_settle(struct lethe_kv *session)
{
    settle(session, false);
}

void kv_settle_for_good(struct lethe_kv *session)
{
    settle(session, true);
}
