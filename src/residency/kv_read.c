/* Readers: blocks that are read stay where they are, while others append. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "residency/kv_core.h"

/* What a view holds. */
struct held {
    uint64_t first_page;
    uint64_t count; /* pages that are held by now */
    struct lethe_kv_span spans[];
};

static lethe_result check_layer(const struct lethe_kv *session, uint32_t layer,
                                struct lethe_error *err)
{
    if (layer < session->cache->shape.layers)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "layer %" PRIu32 ": this cache has %" PRIu32 ", from 0",
                     layer, session->cache->shape.layers);
}

/* Under the lock: what is there. */
static void range(const struct lethe_kv *session, uint32_t layer, uint64_t *first, uint64_t *end)
{
    *end = atomic_load_explicit(&session->ends[layer], memory_order_acquire);
    *first = MIN(session->first_page * session->cache->shape.block_tokens, *end);
}

lethe_result lethe_kv_range(struct lethe_kv *session, uint32_t layer, uint64_t *first,
                            uint64_t *end)
{
    *first = *end = 0;
    TRY(check_layer(session, layer, NULL));
    pthread_mutex_lock(&session->cache->lock);
    range(session, layer, first, end);
    pthread_mutex_unlock(&session->cache->lock);
    return kv_has_ended(session) ? LETHE_CANCELLED : LETHE_OK;
}

/* ---- hold and let go: under the lock --------------------------------------------------------- */

static lethe_result begin_read(struct lethe_kv *session, struct lethe_error *err)
{
    if (kv_has_ended(session))
        return kv_cancelled(session, err);
    session->reads++;
    return LETHE_OK;
}

/* Whoever was the last to read a session that has ended wipes what he read. */
static void end_read(struct lethe_kv *session)
{
    session->refs++;
    session->reads--;
    kv_unref(session);
}

/* One call, and what it began with. */
struct reading {
    uint64_t stamp;
    uint64_t cuts;
};

static struct reading reading_of(struct lethe_kv *session)
{
    return (struct reading){
        .stamp = atomic_fetch_add_explicit(&session->cache->calls, 1, memory_order_relaxed) + 1,
        .cuts = session->cuts};
}

/* The page is in a block and stays there, or was peeked at, where `peek` is not NULL. The lock may
 * be released meanwhile; LETHE_NOT_FOUND when the window has moved since, or tokens were taken back
 * and perhaps written anew. */
static lethe_result hold(struct lethe_kv *session, uint64_t page, const struct reading *reading,
                         struct kv_peek *peek, struct lethe_error *err)
{
    const struct kv_claim claim = {.session = session, .peek = peek};
    TRY(kv_ensure(&claim, page, err));
    if (session->cuts != reading->cuts)
        return error_set(err, LETHE_NOT_FOUND, "session %s was truncated meanwhile", session->name);
    if (peek != NULL && peek->is_done)
        return LETHE_OK;
    struct kv_block *block = &session->cache->arena.blocks[kv_block_of(kv_page(session, page))];
    block->readers++;
    atomic_store_explicit(&block->stamp, reading->stamp, memory_order_relaxed);
    return LETHE_OK;
}

static void let_go(struct lethe_kv *session, uint64_t page)
{
    struct kv_block *block = &session->cache->arena.blocks[kv_block_of(kv_page(session, page))];
    REQUIRE(block->session == session && block->readers > 0);
    block->readers--;
}

/* ---- view ------------------------------------------------------------------------------------ */

static struct lethe_kv_span span_of(const struct lethe_kv *session, uint32_t layer, uint64_t first,
                                    uint64_t end)
{
    const struct lethe_kv_cache *cache = session->cache;
    uint64_t page = first / cache->shape.block_tokens;
    const uint8_t *block =
        cache->arena.address + kv_block_offset(cache, kv_block_of(kv_page(session, page)));
    return (struct lethe_kv_span){
        .first = first,
        .tokens = MIN((page + 1) * cache->shape.block_tokens, end) - first,
        .keys = block + kv_row(&cache->shape, layer, KV_KEYS, first),
        .values = block + kv_row(&cache->shape, layer, KV_VALUES, first),
    };
}

static struct held *make_held(const struct lethe_kv *session, uint64_t first, uint64_t end)
{
    uint64_t block_tokens = session->cache->shape.block_tokens;
    uint64_t pages = end > first ? (end - 1) / block_tokens - first / block_tokens + 1 : 0;
    struct held *held = calloc(1, sizeof *held + (size_t)pages * sizeof held->spans[0]);
    if (held != NULL)
        held->first_page = first / block_tokens;
    return held;
}

/* To a view a store that is full is want of memory: it does not fit all at once. */
static lethe_result hold_in_view(struct lethe_kv *session, uint64_t page,
                                 const struct reading *reading, struct lethe_error *err)
{
    lethe_result result = hold(session, page, reading, NULL, err);
    if (result != LETHE_NO_SPACE)
        return result;
    if (err != NULL)
        err->code = LETHE_NO_MEMORY;
    return LETHE_NO_MEMORY;
}

/* Under the lock. */
static lethe_result hold_all(struct lethe_kv *session, struct lethe_kv_view *view, uint32_t layer,
                             struct lethe_error *err)
{
    const struct reading reading = reading_of(session);
    uint64_t first, end;
    range(session, layer, &first, &end);
    struct held *held = make_held(session, first, end);
    if (held == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a view");
    view->inside = held;
    view->spans = held->spans;
    for (uint64_t at = first; at < end; held->count++) {
        TRY(hold_in_view(session, held->first_page + held->count, &reading, err));
        held->spans[held->count] = span_of(session, layer, at, end);
        at += held->spans[held->count].tokens;
    }
    view->count = (size_t)held->count;
    return LETHE_OK;
}

/* Under the lock. */
static void let_all_go(struct lethe_kv *session, struct held *held)
{
    for (uint64_t i = 0; held != NULL && i < held->count; i++)
        let_go(session, held->first_page + i);
    free(held);
}

lethe_result lethe_kv_read_begin(struct lethe_kv *session, uint32_t layer,
                                 struct lethe_kv_view *out, struct lethe_error *err)
{
    struct lethe_kv_cache *cache = session->cache;
    *out = (struct lethe_kv_view){.session = session};
    TRY(check_layer(session, layer, err));
    pthread_mutex_lock(&cache->lock);
    lethe_result result = begin_read(session, err);
    if (result == LETHE_OK) {
        result = hold_all(session, out, layer, err);
        if (result != LETHE_OK) {
            let_all_go(session, out->inside);
            end_read(session);
        }
    }
    pthread_mutex_unlock(&cache->lock);
    if (result != LETHE_OK)
        *out = (struct lethe_kv_view){0};
    return result;
}

void lethe_kv_read_end(struct lethe_kv_view *view)
{
    if (view->inside == NULL)
        return;
    struct lethe_kv *session = view->session;
    struct lethe_kv_cache *cache = session->cache;
    pthread_mutex_lock(&cache->lock);
    let_all_go(session, view->inside);
    end_read(session);
    pthread_mutex_unlock(&cache->lock);
    *view = (struct lethe_kv_view){0};
}

/* ---- gather ---------------------------------------------------------------------------------- */

struct wanted {
    uint32_t layer;
    uint64_t first;
    uint64_t end;
    uint8_t *keys; /* or NULL */
    uint8_t *values;
};

static lethe_result copy_part(const struct lethe_kv_cache *cache, uint64_t offset, uint8_t *out,
                              uint64_t size_bytes, struct lethe_error *err)
{
    if (out == NULL)
        return LETHE_OK;
    if (!cache->arena.is_host)
        return device_read(cache->arena.memory, offset, out, size_bytes, err);
    memcpy(out, cache->arena.address + offset, (size_t)size_bytes);
    return LETHE_OK;
}

/* Rows [at, end) of one page, whose block is held. */
static lethe_result copy_rows(const struct lethe_kv_cache *cache, uint32_t block,
                              const struct wanted *wanted, uint64_t at, uint64_t end,
                              struct lethe_error *err)
{
    const struct kv_shape *shape = &cache->shape;
    uint64_t begin = kv_block_offset(cache, block), size_bytes = (end - at) * shape->row_bytes;
    uint64_t done = (at - wanted->first) * shape->row_bytes;
    TRY(copy_part(cache, begin + kv_row(shape, wanted->layer, KV_KEYS, at),
                  wanted->keys != NULL ? wanted->keys + done : NULL, size_bytes, err));
    return copy_part(cache, begin + kv_row(shape, wanted->layer, KV_VALUES, at),
                     wanted->values != NULL ? wanted->values + done : NULL, size_bytes, err);
}

/* Rows [at, end) of a page that is plain on the host. */
struct glance {
    const struct kv_shape *shape;
    const struct wanted *wanted;
    uint64_t at;
    uint64_t end;
};

static void glance_rows(void *context, const uint8_t *plain)
{
    const struct glance *glance = context;
    const struct kv_shape *shape = glance->shape;
    const struct wanted *wanted = glance->wanted;
    size_t size_bytes = (size_t)((glance->end - glance->at) * shape->row_bytes);
    uint64_t done = (glance->at - wanted->first) * shape->row_bytes;
    if (wanted->keys != NULL)
        memcpy(wanted->keys + done, plain + kv_row(shape, wanted->layer, KV_KEYS, glance->at),
               size_bytes);
    if (wanted->values != NULL)
        memcpy(wanted->values + done, plain + kv_row(shape, wanted->layer, KV_VALUES, glance->at),
               size_bytes);
}

/* Under the lock, which is released for the copy. */
static lethe_result gather_page(struct lethe_kv *session, const struct wanted *wanted, uint64_t at,
                                uint64_t end, const struct reading *reading,
                                struct lethe_error *err)
{
    struct lethe_kv_cache *cache = session->cache;
    uint64_t page = at / cache->shape.block_tokens;
    struct glance glance = {.shape = &cache->shape, .wanted = wanted, .at = at, .end = end};
    struct kv_peek peek = {.look = glance_rows, .context = &glance};
    TRY(hold(session, page, reading, &peek, err));
    if (peek.is_done)
        return LETHE_OK;
    uint32_t block = kv_block_of(kv_page(session, page));
    pthread_mutex_unlock(&cache->lock);
    lethe_result result = copy_rows(cache, block, wanted, at, end, err);
    pthread_mutex_lock(&cache->lock);
    let_go(session, page);
    return result;
}

static lethe_result gather_pages(struct lethe_kv *session, const struct wanted *wanted,
                                 struct lethe_error *err)
{
    uint64_t block_tokens = session->cache->shape.block_tokens, first, end;
    const struct reading reading = reading_of(session);
    range(session, wanted->layer, &first, &end);
    if (wanted->first < first || wanted->end > end)
        return error_set(err, LETHE_NOT_FOUND,
                         "session %s: tokens %" PRIu64 " to %" PRIu64 " are wanted, %" PRIu64
                         " to %" PRIu64 " are there",
                         session->name, wanted->first, wanted->end, first, end);
    for (uint64_t at = wanted->first, next; at < wanted->end; at = next) {
        next = MIN((at / block_tokens + 1) * block_tokens, wanted->end);
        TRY(gather_page(session, wanted, at, next, &reading, err));
    }
    return LETHE_OK;
}

lethe_result lethe_kv_gather(struct lethe_kv *session, uint32_t layer, uint64_t first,
                             uint64_t tokens, void *keys, void *values, struct lethe_error *err)
{
    struct lethe_kv_cache *cache = session->cache;
    struct wanted wanted = {.layer = layer, .first = first, .keys = keys, .values = values};
    TRY(check_layer(session, layer, err));
    if (__builtin_add_overflow(first, tokens, &wanted.end))
        return error_set(err, LETHE_NOT_FOUND, "session %s: no such tokens", session->name);
    pthread_mutex_lock(&cache->lock);
    lethe_result result = begin_read(session, err);
    if (result == LETHE_OK) {
        result = gather_pages(session, &wanted, err);
        end_read(session);
    }
    pthread_mutex_unlock(&cache->lock);
    return result;
}
