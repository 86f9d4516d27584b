/* What goes while somebody waits for it: pages and tokens that are given up while another thread's
 * fetch of them goes on, and sessions that are ended by several at once. */
#include "kv_check.h"

#include <sched.h>

#include "base/thread.h"
#include "residency/kv_core.h"

/* ---- a store that answers when it is told to ------------------------------------------------- */

struct gated {
    struct lethe_spill under;
    atomic_bool is_closed;
    atomic_bool is_failing; /* every get */
    atomic_uint gets;       /* that have begun */
};

static lethe_result gated_put(void *context, const struct lethe_spill_id *id, const void *bytes,
                              size_t size_bytes, struct lethe_error *err)
{
    struct gated *gated = context;
    return gated->under.put(gated->under.context, id, bytes, size_bytes, err);
}

static lethe_result gated_get(void *context, const struct lethe_spill_id *id, void *out,
                              size_t size_bytes, struct lethe_error *err)
{
    struct gated *gated = context;
    atomic_fetch_add(&gated->gets, 1);
    while (atomic_load(&gated->is_closed))
        sched_yield();
    if (atomic_load(&gated->is_failing))
        return error_set(err, LETHE_IO, "the store does not answer");
    return gated->under.get(gated->under.context, id, out, size_bytes, err);
}

static void gated_drop(void *context, const struct lethe_spill_id *id)
{
    struct gated *gated = context;
    gated->under.drop(gated->under.context, id);
}

static void must_gated_cache(struct kv_site *kv, uint64_t blocks, struct gated *gated)
{
    const struct lethe_spill table = {gated_put, gated_get, gated_drop, gated};
    assert_ok(lethe_spill_memory_create(0, &kv->memory, &kv->err), &kv->err);
    *gated = (struct gated){.under = lethe_spill_memory_table(kv->memory)};
    must_cache_with(kv, blocks, &table);
}

/* The store is gone with the test. */
static void must_free_cache(struct kv_site *kv)
{
    assert_ok(lethe_kv_cache_free(kv->cache, &kv->err), &kv->err);
    kv->cache = NULL;
}

/* ---- given up while somebody waits for it ---------------------------------------------------- */

struct reader {
    pthread_t thread;
    struct lethe_kv *session;
    bool is_view;
    lethe_result result;
    bool is_right; /* what was read, if anything */
};

#define TOKENS 8u /* two pages */

static bool view_is_right(struct lethe_kv_view *view)
{
    uint64_t end = 0;
    for (size_t i = 0; i < view->count; i++)
        end += view->spans[i].tokens;
    bool is_right = view_is(view, 1, 0, 0, end);
    lethe_kv_read_end(view);
    return is_right;
}

static void *read_all(void *context)
{
    struct reader *reader = context;
    struct lethe_kv_view view;
    if (reader->is_view)
        reader->result = lethe_kv_read_begin(reader->session, 0, &view, NULL);
    else
        reader->result = gather_is(reader->session, 1, 0, 0, TOKENS, &reader->is_right, NULL);
    if (reader->is_view && reader->result == LETHE_OK)
        reader->is_right = view_is_right(&view);
    return NULL;
}

static uint32_t reads_of(struct lethe_kv *session)
{
    pthread_mutex_lock(&session->cache->lock);
    uint32_t reads = session->reads;
    pthread_mutex_unlock(&session->cache->lock);
    return reads;
}

static void start_reader(struct kv_site *kv, struct reader *reader, struct lethe_kv *session,
                         bool is_view)
{
    uint32_t before = reads_of(session);
    *reader = (struct reader){.session = session, .is_view = is_view, .is_right = true};
    assert_ok(thread_start(&reader->thread, read_all, reader, &kv->err), &kv->err);
    while (reads_of(session) == before) /* after that it has the lock until it waits */
        sched_yield();
}

struct cutter {
    struct lethe_kv *session;
    uint64_t tokens;
    atomic_uint tries;
    lethe_result result;
};

/* As soon as nobody fetches or reads. */
static void *cut(void *context)
{
    struct cutter *cutter = context;
    do
        cutter->result = lethe_kv_truncate(cutter->session, cutter->tokens, NULL);
    while (atomic_fetch_add(&cutter->tries, 1) < 1000000 && cutter->result == LETHE_BUSY);
    return NULL;
}

static bool is_fair(lethe_result result, bool is_failing)
{
    return result == LETHE_OK || result == LETHE_NO_MEMORY || (is_failing && result == LETHE_IO);
}

/* Both pages of a session are in the store. One reader fetches the first, two more wait for it, and
 * somebody truncates as soon as he may. Whoever is the first to go on then, nobody finds what is
 * not there any more, nor reads rows that were wiped. */
static void cut_while_it_is_fetched(struct kv_site *kv, struct gated *gated, uint64_t tokens,
                                    bool is_failing)
{
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1"),
                    *other = must_open_kv(kv, "acme", "s2");
    must_append(kv, session, 1, 0, TOKENS);
    must_append(kv, other, 2, 0, 4 * BLOCK_TOKENS);
    assert_int_equal(counters_of(kv).spilled_blocks, 2);
    atomic_store(&gated->is_closed, true);
    atomic_store(&gated->is_failing, is_failing);
    unsigned gets = atomic_load(&gated->gets);

    struct reader readers[3];
    for (unsigned i = 0; i < 3; i++)
        start_reader(kv, &readers[i], session, i == 2);
    while (atomic_load(&gated->gets) == gets)
        sched_yield();
    struct cutter cutter = {.session = session, .tokens = tokens};
    pthread_t thread;
    assert_ok(thread_start(&thread, cut, &cutter, &kv->err), &kv->err);
    while (atomic_load(&cutter.tries) == 0)
        sched_yield();
    atomic_store(&gated->is_closed, false);

    pthread_join(thread, NULL);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(readers[i].thread, NULL);
    for (unsigned i = 0; i < 3; i++) {
        lethe_result result = readers[i].result;
        assert_true(result == LETHE_NOT_FOUND || is_fair(result, is_failing));
        assert_true(result != LETHE_OK || readers[i].is_right);
    }
    assert_true(cutter.result == LETHE_BUSY || is_fair(cutter.result, is_failing));
    must_end(kv, session);
    must_end(kv, other);
}

/* Z-4 */
static void pages_go_while_somebody_waits_for_them(void **state)
{
    struct kv_site *kv = *state;
    struct gated gated;
    must_gated_cache(kv, 4, &gated);
    for (unsigned i = 0; i < 60; i++)
        cut_while_it_is_fetched(kv, &gated, 0, i % 2 == 0);
    must_free_cache(kv);
}

/* Z-4 */
static void tokens_go_while_somebody_waits_for_them(void **state)
{
    struct kv_site *kv = *state;
    struct gated gated;
    must_gated_cache(kv, 4, &gated);
    for (unsigned i = 0; i < 60; i++)
        cut_while_it_is_fetched(kv, &gated, BLOCK_TOKENS + 1 + i % 3, false);
    must_free_cache(kv);
}

/* ---- ended by several at once ---------------------------------------------------------------- */

struct ending {
    struct lethe_kv_view view;
    atomic_uint ready;
};

static void meet(struct ending *ending)
{
    atomic_fetch_add(&ending->ready, 1);
    while (atomic_load(&ending->ready) < 2)
        ;
}

static void *end_reading(void *context)
{
    struct ending *ending = context;
    meet(ending);
    lethe_kv_read_end(&ending->view);
    return NULL;
}

/* Z-4: one wipes what was read, another one the rest, and one of them finds that it is all. */
static void one_of_several_records_the_end(void **state)
{
    struct kv_site *kv = *state;
    must_cache(kv, 2);
    for (unsigned i = 0; i < 1000; i++) {
        struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
        struct ending ending = {.ready = 0};
        pthread_t thread;
        assert_ok(append_layer(session, 1, 0, 0, BLOCK_TOKENS, &kv->err), &kv->err);
        assert_ok(append_layer(session, 1, 1, 0, 2 * BLOCK_TOKENS, &kv->err), &kv->err);
        assert_ok(lethe_kv_read_begin(session, 0, &ending.view, &kv->err), &kv->err);
        assert_ok(thread_start(&thread, end_reading, &ending, &kv->err), &kv->err);
        meet(&ending);
        lethe_kv_cancel(session);
        pthread_join(thread, NULL);
        assert_true(session->is_recorded);
        assert_int_equal(counters_of(kv).used_blocks, 0);
        must_end(kv, session);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kv_test(pages_go_while_somebody_waits_for_them),
        kv_test(tokens_go_while_somebody_waits_for_them),
        kv_test(one_of_several_records_the_end),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
