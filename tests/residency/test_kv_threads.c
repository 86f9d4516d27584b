/* Many threads at one cache: nobody reads what was not written, and no session sees another's rows,
 * while blocks come and go and sessions end under those who use them. */
#include "kv_check.h"

#include "base/thread.h"

#define TOKENS 400u

struct shared {
    struct kv_site *kv;
    struct lethe_kv *sessions[3];
    atomic_uint appending; /* threads that still do */
    atomic_bool wrong;
    atomic_bool cancelled;
    atomic_uint reads; /* that found something */
};

/* In a thread, so no assert of cmocka. */
static void check(struct shared *shared, bool condition)
{
    if (!condition)
        atomic_store(&shared->wrong, true);
}

static bool is_fair(lethe_result result)
{
    return result == LETHE_OK || result == LETHE_CANCELLED || result == LETHE_NO_MEMORY ||
           result == LETHE_NOT_FOUND;
}

static void append_all(struct shared *shared, unsigned number)
{
    struct lethe_kv *session = shared->sessions[number];
    for (uint64_t token = 0; token < TOKENS; token++)
        for (uint32_t layer = 0; layer < LAYERS;) {
            lethe_result result = append_layer(session, number + 1, layer, token, 1, NULL);
            check(shared, is_fair(result) && result != LETHE_NOT_FOUND);
            if (result == LETHE_CANCELLED)
                return;
            layer += result == LETHE_OK; /* no room just now: again */
        }
}

static void gather_some(struct shared *shared, unsigned number, unsigned turn)
{
    struct lethe_kv *session = shared->sessions[number];
    uint32_t layer = turn % LAYERS;
    uint64_t first, end;
    bool same;
    if (lethe_kv_range(session, layer, &first, &end) != LETHE_OK || end == first)
        return;
    uint64_t at = first + turn * 7 % (end - first), count = MIN(end - at, 9);
    lethe_result result = gather_is(session, number + 1, layer, at, count, &same, NULL);
    check(shared, is_fair(result) && (result != LETHE_OK || same));
    atomic_fetch_add(&shared->reads, result == LETHE_OK);
}

static void view_all(struct shared *shared, unsigned number, unsigned turn)
{
    struct lethe_kv_view view;
    uint32_t layer = turn % LAYERS;
    lethe_result result = lethe_kv_read_begin(shared->sessions[number], layer, &view, NULL);
    check(shared, is_fair(result));
    if (result != LETHE_OK)
        return;
    uint64_t first = view.count > 0 ? view.spans[0].first : 0;
    uint64_t end =
        view.count > 0 ? view.spans[view.count - 1].first + view.spans[view.count - 1].tokens : 0;
    check(shared, view_is(&view, number + 1, layer, first, end));
    atomic_fetch_add(&shared->reads, view.count > 0);
    lethe_kv_read_end(&view);
}

/* Workers 0 to 2 append, each to its session; 3 and 4 read; 5 cancels one when it is half done. */
static lethe_result work(void *context, unsigned worker, struct lethe_error *err)
{
    struct shared *shared = context;
    if (worker < 3) {
        append_all(shared, worker);
        atomic_fetch_sub(&shared->appending, 1);
        return LETHE_OK;
    }
    unsigned more = 100; /* turns when all is written, so that there is something to read */
    for (unsigned turn = 0; more > 0; turn++) {
        more -= atomic_load(&shared->appending) == 0;
        uint64_t first, end;
        if (worker == 3)
            gather_some(shared, turn % 3, turn);
        else if (worker == 4)
            view_all(shared, turn % 3, turn);
        else if (!atomic_load(&shared->cancelled) &&
                 lethe_kv_range(shared->sessions[1], 0, &first, &end) == LETHE_OK &&
                 end > TOKENS / 2) {
            lethe_kv_cancel(shared->sessions[1]);
            atomic_store(&shared->cancelled, true);
        } else {
            (void)lethe_kv_expire(shared->kv->cache, turn);
        }
    }
    return LETHE_OK;
}

static void run(struct kv_site *kv, uint64_t window_tokens)
{
    struct shared *shared = calloc(1, sizeof *shared);
    assert_non_null(shared);
    shared->kv = kv;
    atomic_init(&shared->appending, 3);
    for (unsigned i = 0; i < 3; i++) {
        char tenant[8];
        snprintf(tenant, sizeof tenant, "t%u", i);
        shared->sessions[i] =
            must_open_with(kv,
                           &(struct lethe_kv_session_options){
                               .tenant = tenant, .session = "same", .window_tokens = window_tokens},
                           0);
    }
    assert_ok(threads_run(6, work, shared, &kv->err), &kv->err);
    assert_false(atomic_load(&shared->wrong));
    assert_true(atomic_load(&shared->reads) > 0);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t first, end;
        lethe_result result = lethe_kv_range(shared->sessions[i], 2, &first, &end);
        if (i != 1)
            assert_int_equal(result, LETHE_OK);
        if (result == LETHE_OK)
            assert_int_equal(end, TOKENS);
        for (uint64_t at = first; result == LETHE_OK && at < end; at += ROWS_MAX)
            assert_gather(kv, shared->sessions[i], i + 1, at, MIN(end - at, ROWS_MAX));
        must_end(kv, shared->sessions[i]);
    }
    struct lethe_kv_counters counters = counters_of(kv);
    assert_int_equal(counters.used_blocks, 0);
    assert_int_equal(counters.spilled_blocks, 0);
    assert_int_equal(counters.sessions, 0);
    assert_recorded(3, kv->site, "session_ended", "\"verified\":true");
    free(shared);
}

/* Z-4 */
static void readers_and_writers_without_a_store(void **state)
{
    struct kv_site *kv = *state;
    must_cache(kv, 3 * TOKENS / BLOCK_TOKENS + 3);
    run(kv, 0);
}

static void readers_and_writers_with_windows(void **state)
{
    struct kv_site *kv = *state;
    must_cache(kv, 160);
    run(kv, 20);
}

/* Z-3, Z-4 */
static void readers_and_writers_with_few_blocks_and_a_store(void **state)
{
    struct kv_site *kv = *state;
    must_spilling_cache(kv, 7);
    run(kv, 0);
    assert_true(counters_of(kv).spills > 100);
}

/* ---- cancelled while they write -------------------------------------------------------------- */

struct race {
    struct lethe_kv *session;
    atomic_bool go;
    atomic_uint appended;
};

static void *append_until_cancelled(void *context)
{
    struct race *race = context;
    uint64_t token = 0;
    while (append_layer(race->session, 9, 0, token, 1, NULL) == LETHE_OK) {
        token = (token + 1) % 12;
        if (token == 0 && lethe_kv_truncate(race->session, 0, NULL) != LETHE_OK)
            break;
        if (atomic_load(&race->appended) > 100)
            sched_yield();
        atomic_fetch_add(&race->appended, 1);
    }
    return NULL;
}

/* Z-4: whenever it comes, all is wiped once both are done. */
static void a_cancel_comes_at_any_time(void **state)
{
    struct kv_site *kv = *state;
    must_spilling_cache(kv, 2);
    for (unsigned i = 0; i < 200; i++) {
        struct race race = {.session = must_open_kv(kv, "acme", "s1")};
        pthread_t thread;
        assert_ok(thread_start(&thread, append_until_cancelled, &race, &kv->err), &kv->err);
        while (atomic_load(&race.appended) < i % 40)
            ;
        lethe_kv_cancel(race.session);
        pthread_join(thread, NULL);
        struct lethe_kv_counters counters = counters_of(kv);
        assert_int_equal(counters.used_blocks + counters.spilled_blocks, 0);
        must_end(kv, race.session);
    }
}

/* ---- a store that does not answer ------------------------------------------------------------ */

/* Stops in put until it is told to go on. */
struct slow {
    struct lethe_spill under;
    atomic_bool is_slow;
    atomic_bool is_slow_to_give; /* stops in get */
    atomic_bool is_in;
};

static lethe_result slow_put(void *context, const struct lethe_spill_id *id, const void *bytes,
                             size_t size_bytes, struct lethe_error *err)
{
    struct slow *slow = context;
    atomic_store(&slow->is_in, true);
    while (atomic_load(&slow->is_slow))
        sched_yield();
    return slow->under.put(slow->under.context, id, bytes, size_bytes, err);
}

static lethe_result slow_get(void *context, const struct lethe_spill_id *id, void *out,
                             size_t size_bytes, struct lethe_error *err)
{
    struct slow *slow = context;
    atomic_store(&slow->is_in, true);
    while (atomic_load(&slow->is_slow_to_give))
        sched_yield();
    return slow->under.get(slow->under.context, id, out, size_bytes, err);
}

static void slow_drop(void *context, const struct lethe_spill_id *id)
{
    struct slow *slow = context;
    slow->under.drop(slow->under.context, id);
}

static void *append_one_more(void *context)
{
    struct race *race = context;
    if (append_tokens(race->session, 3, 0, 1, NULL) == LETHE_OK)
        atomic_store(&race->appended, 1);
    return NULL;
}

/* Z-4: a session whose block is with the store is cancelled, wiped, and read elsewhere meanwhile;
 * one that is used meanwhile keeps its block. */
static void nobody_waits_for_a_slow_store(void **state)
{
    struct kv_site *kv = *state;
    assert_ok(lethe_spill_memory_create(0, &kv->memory, &kv->err), &kv->err);
    struct slow slow = {.under = lethe_spill_memory_table(kv->memory)};
    const struct lethe_spill table = {slow_put, slow_get, slow_drop, &slow};
    must_cache_with(kv, 3, &table);
    for (unsigned i = 0; i < 2; i++) {
        struct lethe_kv *one = must_open_kv(kv, "acme", "s1"),
                        *two = must_open_kv(kv, "acme", "s2");
        struct race race = {.session = must_open_kv(kv, "acme", "s3")};
        pthread_t thread;
        must_append(kv, one, 1, 0, 3);
        must_append(kv, two, 2, 0, 8);
        atomic_store(&slow.is_slow, true);
        atomic_store(&slow.is_in, false);
        assert_ok(thread_start(&thread, append_one_more, &race, &kv->err), &kv->err);
        while (!atomic_load(&slow.is_in)) /* the block of `one` is with the store */
            sched_yield();
        assert_view(kv, two, 2, 0, 8);
        if (i == 0) {
            lethe_kv_cancel(one);
            assert_int_equal(counters_of(kv).used_blocks, 2);
        } else {
            must_append(kv, one, 1, 3, 1); /* so `two` has to go instead */
        }
        atomic_store(&slow.is_slow, false);
        pthread_join(thread, NULL);
        assert_int_equal(atomic_load(&race.appended), 1);
        if (i != 0)
            assert_gather(kv, one, 1, 0, 4);
        assert_gather(kv, two, 2, 0, 8);
        assert_gather(kv, race.session, 3, 0, 1);
        must_end(kv, one);
        must_end(kv, two);
        must_end(kv, race.session);
        assert_int_equal(counters_of(kv).used_blocks, 0);
        assert_int_equal(counters_of(kv).spilled_blocks, 0);
    }
    assert_ok(lethe_kv_cache_free(kv->cache, &kv->err), &kv->err);
    kv->cache = NULL;
}

/* Gets the old rows, or the new ones, and no mixture; or is told that they are not there. */
static void *gather_the_first(void *context)
{
    struct race *race = context;
    uint8_t keys[4 * ROW_BYTES];
    lethe_result result = lethe_kv_gather(race->session, 0, 0, 4, keys, NULL, NULL);
    bool is_right = result == LETHE_OK
                        ? are_rows(keys, 4, 5, 0, 0, 0) || are_rows(keys, 4, 6, 0, 0, 0)
                        : result == LETHE_NOT_FOUND || result == LETHE_NO_MEMORY;
    atomic_fetch_add(&race->appended, is_right);
    return NULL;
}

/* Two wait for one block; when it comes it may be outside of the window already, or taken back and
 * written anew. */
static void what_was_waited_for_may_be_gone(void **state)
{
    struct kv_site *kv = *state;
    assert_ok(lethe_spill_memory_create(0, &kv->memory, &kv->err), &kv->err);
    struct slow slow = {.under = lethe_spill_memory_table(kv->memory)};
    const struct lethe_spill table = {slow_put, slow_get, slow_drop, &slow};
    must_cache_with(kv, 3, &table);
    for (unsigned i = 0; i < 60; i++) {
        struct race race = {.session = must_open_with(
                                kv,
                                &(struct lethe_kv_session_options){.tenant = "acme",
                                                                   .session = "s1",
                                                                   .budget_bytes = 2 * BLOCK_BYTES,
                                                                   .window_tokens = 8},
                                0)};
        pthread_t threads[2];
        must_append(kv, race.session, 5, 0, 12);
        atomic_store(&slow.is_in, false);
        atomic_store(&slow.is_slow_to_give, true);
        for (unsigned j = 0; j < 2; j++)
            assert_ok(thread_start(&threads[j], gather_the_first, &race, &kv->err), &kv->err);
        while (!atomic_load(&slow.is_in))
            sched_yield();
        atomic_store(&slow.is_slow_to_give, false);
        lethe_result result = LETHE_OK;
        if (i % 2 == 0)
            result = append_tokens(race.session, 5, 12, 12, &kv->err);
        else if ((result = lethe_kv_truncate(race.session, 0, &kv->err)) == LETHE_OK)
            result = append_tokens(race.session, 6, 0, 12, &kv->err);
        for (unsigned j = 0; j < 2; j++)
            pthread_join(threads[j], NULL);
        if (result != LETHE_OK && result != LETHE_BUSY && result != LETHE_NO_MEMORY)
            fail_msg("%s: %s", lethe_result_name(result), kv->err.text);
        assert_int_equal(atomic_load(&race.appended), 2);
        must_end(kv, race.session);
    }
    assert_ok(lethe_kv_cache_free(kv->cache, &kv->err), &kv->err);
    kv->cache = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kv_test(readers_and_writers_without_a_store),
        kv_test(readers_and_writers_with_windows),
        kv_test(readers_and_writers_with_few_blocks_and_a_store),
        kv_test(a_cancel_comes_at_any_time),
        kv_test(nobody_waits_for_a_slow_store),
        kv_test(what_was_waited_for_may_be_gone),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
