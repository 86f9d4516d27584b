/* KV caches without a store: what is appended is read again, whose it is, how much fits, and what
 * the errors say. */
#include "kv_check.h"

/* ---- append and read ------------------------------------------------------------------------- */

static void what_is_appended_is_read_in_order(void **state)
{
    struct kv_site *kv = *state;
    must_cache(kv, 8);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    assert_view(kv, session, 1, 0, 0);
    for (uint64_t tokens = 0; tokens < 11; tokens++) {
        must_append(kv, session, 1, tokens, 1);
        assert_view(kv, session, 1, 0, tokens + 1);
        assert_gather(kv, session, 1, 0, tokens + 1);
        assert_gather(kv, session, 1, tokens, 1);
    }
    struct lethe_kv_counters counters = counters_of(kv);
    assert_int_equal(counters.used_blocks, 3);
    assert_int_equal(counters.appended_tokens, 11);
    assert_int_equal(counters.evicted_blocks, 0);
    must_end(kv, session);
    assert_int_equal(counters_of(kv).used_blocks, 0);
}

static void many_tokens_at_once_and_layers_apart(void **state)
{
    struct kv_site *kv = *state;
    must_cache(kv, 8);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    for (uint32_t layer = 0; layer < LAYERS; layer++) {
        assert_ok(append_layer(session, 2, layer, 0, 3, &kv->err), &kv->err);
        assert_ok(append_layer(session, 2, layer, 3, 19, &kv->err), &kv->err);
        assert_ok(append_layer(session, 2, layer, 22, 0, &kv->err), &kv->err);
        assert_range(session, layer, 0, 22);
        if (layer + 1 < LAYERS)
            assert_range(session, layer + 1, 0, 0);
    }
    assert_view(kv, session, 2, 0, 22);
    must_append(kv, session, 2, 22, 2);
    assert_view(kv, session, 2, 0, 24);
    must_end(kv, session);
}

static void keys_or_values_alone_can_be_gathered(void **state)
{
    struct kv_site *kv = *state;
    uint8_t rows[6 * ROW_BYTES];
    must_cache(kv, 8);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    must_append(kv, session, 3, 0, 9);
    assert_ok(lethe_kv_gather(session, 1, 2, 6, rows, NULL, &kv->err), &kv->err);
    assert_true(are_rows(rows, 6, 3, 1, 0, 2));
    assert_ok(lethe_kv_gather(session, 1, 2, 6, NULL, rows, &kv->err), &kv->err);
    assert_true(are_rows(rows, 6, 3, 1, 1, 2));
    assert_ok(lethe_kv_gather(session, 1, 9, 0, rows, rows, &kv->err), &kv->err);
    assert_result(LETHE_NOT_FOUND, lethe_kv_gather(session, 1, 4, 6, rows, NULL, &kv->err));
    assert_non_null(strstr(kv->err.text, "tokens 4 to 10 are wanted, 0 to 9 are there"));
    assert_result(LETHE_NOT_FOUND,
                  lethe_kv_gather(session, 1, 2, UINT64_MAX, rows, NULL, &kv->err));
    assert_result(LETHE_INVALID, lethe_kv_gather(session, LAYERS, 0, 1, rows, NULL, &kv->err));
    must_end(kv, session);
}

/* Rows that are long enough go past the caches: as many bytes, at the same places. */
static void long_rows_and_rows_of_any_size_arrive_whole(void **state)
{
    struct kv_site *kv = *state;
    static const uint32_t sizes[] = {1, 63, 1000, 1023, 1024, 1025, 1088, 4096};
    static uint8_t rows[3 * 4096 + 1], keys[3 * 4096], values[3 * 4096];
    for (size_t i = 0; i < sizeof rows; i++)
        rows[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct lethe_kv_options options = cache_options(1);
        options.row_bytes = sizes[i];
        options.budget_bytes = (uint64_t)LAYERS * 2 * BLOCK_TOKENS * sizes[i];
        assert_ok(lethe_kv_cache_create(kv->site->worker, &options, &kv->cache, &kv->err),
                  &kv->err);
        struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
        for (unsigned token = 0; token < 3; token++)
            assert_ok(lethe_kv_append(session, 1, rows + token * sizes[i],
                                      rows + token * sizes[i] + 1, 1, &kv->err),
                      &kv->err);
        assert_ok(lethe_kv_gather(session, 1, 0, 3, keys, values, &kv->err), &kv->err);
        assert_memory_equal(keys, rows, 3 * sizes[i]);
        assert_memory_equal(values, rows + 1, 3 * sizes[i]);
        must_end(kv, session);
        assert_ok(lethe_kv_cache_free(kv->cache, &kv->err), &kv->err);
        kv->cache = NULL;
    }
}

/* A view stays as it was while more is appended. */
static void a_view_does_not_grow(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_kv_view view;
    must_cache(kv, 8);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    must_append(kv, session, 4, 0, 6);
    assert_ok(lethe_kv_read_begin(session, 2, &view, &kv->err), &kv->err);
    must_append(kv, session, 4, 6, 7);
    assert_true(view_is(&view, 4, 2, 0, 6));
    assert_int_equal(view.count, 2);
    lethe_kv_read_end(&view);
    lethe_kv_read_end(&view); /* of an empty one: nothing */
    assert_null(view.spans);
    must_end(kv, session);
}

/* ---- whose ----------------------------------------------------------------------------------- */

/* Z-4 */
static void one_name_in_two_tenants_is_two_sessions(void **state)
{
    struct kv_site *kv = *state;
    must_cache(kv, 8);
    struct lethe_kv *session, *one = must_open_kv(kv, "acme", "chat"),
                              *other = must_open_kv(kv, "bolt", "chat");
    assert_result(LETHE_EXISTS, lethe_kv_open(kv->cache,
                                              &(struct lethe_kv_session_options){.tenant = "acme",
                                                                                 .session = "chat"},
                                              0, &session, &kv->err));
    assert_null(session);
    for (uint64_t token = 0; token < 9; token++) {
        must_append(kv, one, 5, token, 1);
        must_append(kv, other, 6, token, 1);
    }
    assert_view(kv, one, 5, 0, 9);
    assert_view(kv, other, 6, 0, 9);
    must_end(kv, one);
    assert_view(kv, other, 6, 0, 9);
    one = must_open_kv(kv, "acme", "chat"); /* the name is free again */
    assert_range(one, 0, 0, 0);
    must_end(kv, one);
    must_end(kv, other);
}

/* ---- how much -------------------------------------------------------------------------------- */

/* RP-001, RP-004, W-2 */
static void a_full_cache_takes_nothing_from_others(void **state)
{
    struct kv_site *kv = *state;
    must_cache(kv, 3);
    struct lethe_kv *one = must_open_kv(kv, "acme", "s1"), *other = must_open_kv(kv, "acme", "s2");
    must_append(kv, one, 7, 0, 8);
    must_append(kv, other, 8, 0, 4);
    assert_result(LETHE_NO_MEMORY, append_tokens(other, 8, 4, 1, &kv->err));
    assert_string_equal(kv->err.text, "cache kv: 1536 bytes are needed, 0 of the cache's 4608 are "
                                      "available");
    assert_non_null(strstr(kv->err.hint, "spill store"));
    assert_true(lethe_result_is_retriable(LETHE_NO_MEMORY));
    assert_view(kv, one, 7, 0, 8);
    assert_view(kv, other, 8, 0, 4);
    must_end(kv, one);
    must_append(kv, other, 8, 4, 8);
    assert_view(kv, other, 8, 0, 12);
    must_end(kv, other);
}

/* When the third block cannot be had, the first two are not kept either. */
static void an_append_that_does_not_fit_changes_nothing(void **state)
{
    struct kv_site *kv = *state;
    must_cache(kv, 4);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    must_append(kv, session, 9, 0, 6);
    for (uint32_t layer = 0; layer < LAYERS; layer++)
        assert_result(LETHE_NO_MEMORY, append_layer(session, 9, layer, 6, 12, &kv->err));
    assert_int_equal(counters_of(kv).used_blocks, 2);
    assert_view(kv, session, 9, 0, 6);
    must_append(kv, session, 9, 6, 10);
    assert_view(kv, session, 9, 0, 16);
    must_end(kv, session);
}

/* RP-004 */
static void a_budget_of_its_own_without_a_store_is_a_limit(void **state)
{
    struct kv_site *kv = *state;
    must_cache(kv, 8);
    struct lethe_kv *session =
        must_open_with(kv,
                       &(struct lethe_kv_session_options){
                           .tenant = "acme", .session = "s1", .budget_bytes = 2 * BLOCK_BYTES + 5},
                       0);
    must_append(kv, session, 10, 0, 8);
    assert_result(LETHE_NO_MEMORY, append_tokens(session, 10, 8, 1, &kv->err));
    assert_non_null(strstr(kv->err.text, "0 of the session's 3072 are available"));
    must_end(kv, session);
}

static void a_window_moves_in_whole_blocks(void **state)
{
    struct kv_site *kv = *state;
    must_cache(kv, 4);
    struct lethe_kv *session = must_open_with(
        kv,
        &(struct lethe_kv_session_options){.tenant = "acme", .session = "s1", .window_tokens = 6},
        0);
    for (uint64_t token = 0; token < 100; token++) {
        must_append(kv, session, 11, token, 1);
        uint64_t first, end, expected = token >= 12 ? (token / 4 * 4 - 6) / 4 * 4 : 0;
        assert_result(LETHE_OK, lethe_kv_range(session, 0, &first, &end));
        assert_int_equal(first, expected);
        assert_view(kv, session, 11, first, token + 1);
    }
    assert_int_equal(counters_of(kv).evicted_blocks, 22);
    assert_true(counters_of(kv).used_blocks <= 4);
    assert_recorded(22, kv->site, "cache_evicted", "\"cause\":\"window\"", "\"verified\":true");
    assert_recorded(1, kv->site, "cache_evicted", "\"entry\":\"21\"", "\"tenant\":\"acme\"");
    must_end(kv, session);
}

/* What is read stays, also when it falls out of the window. */
static void a_window_waits_for_readers(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_kv_view view;
    must_cache(kv, 8);
    struct lethe_kv *session = must_open_with(
        kv,
        &(struct lethe_kv_session_options){.tenant = "acme", .session = "s1", .window_tokens = 4},
        0);
    must_append(kv, session, 12, 0, 8);
    assert_ok(lethe_kv_read_begin(session, 0, &view, &kv->err), &kv->err);
    must_append(kv, session, 12, 8, 12);
    assert_range(session, 0, 0, 20);
    assert_true(view_is(&view, 12, 0, 0, 8));
    lethe_kv_read_end(&view);
    must_append(kv, session, 12, 20, 1);
    assert_range(session, 0, 16, 21);
    must_end(kv, session);
}

/* ---- what is not accepted -------------------------------------------------------------------- */

/* IV-003, RP-004 */
static void options_that_are_not_acceptable_are_named(void **state)
{
    struct kv_site *kv = *state;
    const struct {
        struct lethe_kv_options options;
        const char *says;
    } rows[] = {
        {{.name = "", .layers = 1, .row_bytes = 1, .budget_bytes = 100}, "name"},
        {{.name = "a b", .layers = 1, .row_bytes = 1, .budget_bytes = 100}, "name"},
        {{.name = "kv", .row_bytes = 1, .budget_bytes = 100}, "layers: 0 is not 1 to 4096"},
        {{.name = "kv", .layers = 4097, .row_bytes = 1, .budget_bytes = 100}, "layers"},
        {{.name = "kv", .layers = 1, .budget_bytes = 100}, "row_bytes"},
        {{.name = "kv", .layers = 1, .row_bytes = (1u << 20) + 1, .budget_bytes = 100},
         "row_bytes"},
        {{.name = "kv", .layers = 1, .row_bytes = 1, .block_tokens = 4097, .budget_bytes = 100},
         "block_tokens"},
        {{.name = "kv", .layers = 1, .row_bytes = 1, .budget_bytes = 31},
         "budget_bytes: one block is 32 bytes, and the budget 31"},
        {{.name = "kv", .layers = 1, .row_bytes = 1, .budget_bytes = UINT64_MAX}, "budget_bytes"},
        {{.name = "kv", .layers = 1, .row_bytes = 1, .budget_bytes = 32, .device = 1}, ""},
        {{.name = "kv",
          .layers = 4096,
          .row_bytes = 1u << 20,
          .block_tokens = 4096,
          .budget_bytes = UINT64_MAX,
          .spill = &kv->spill},
         "too large to be spilled"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lethe_kv_cache *cache = (struct lethe_kv_cache *)kv;
        assert_result(LETHE_INVALID,
                      lethe_kv_cache_create(kv->site->worker, &rows[i].options, &cache, &kv->err));
        assert_null(cache);
        if (strstr(kv->err.text, rows[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", kv->err.text, rows[i].says);
    }
    assert_int_equal(lethe_kv_spill_bytes(&rows[2].options), 0);
    struct lethe_kv_options good = cache_options(1);
    assert_int_equal(lethe_kv_spill_bytes(&good), BLOCK_BYTES + 16);
}

/* RP-001, RP-004 */
static void more_than_the_device_has_is_refused(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_kv_options options = cache_options(1);
    options.budget_bytes = (uint64_t)1 << 43;
    options.row_bytes = 1u << 20;
    assert_result(LETHE_NO_MEMORY,
                  lethe_kv_cache_create(kv->site->worker, &options, &kv->cache, &kv->err));
    assert_non_null(strstr(kv->err.text, "are needed"));
    assert_non_null(strstr(kv->err.text, "are available"));
    assert_null(kv->cache);
}

/* W-1 */
static void a_stopped_worker_has_no_new_caches_and_sessions(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_kv_options options = cache_options(1);
    struct lethe_kv_cache *other;
    struct lethe_kv *session;
    must_cache(kv, 1);
    struct lethe_kv *old = must_open_kv(kv, "acme", "s1");
    lethe_worker_stop(kv->site->worker);
    assert_result(LETHE_DENIED,
                  lethe_kv_cache_create(kv->site->worker, &options, &other, &kv->err));
    assert_null(other);
    assert_result(LETHE_DENIED, lethe_kv_open(kv->cache,
                                              &(struct lethe_kv_session_options){.tenant = "acme",
                                                                                 .session = "s2"},
                                              0, &session, &kv->err));
    assert_null(session);
    must_end(kv, old);
}

static void session_options_that_are_not_acceptable_are_named(void **state)
{
    struct kv_site *kv = *state;
    char long_name[65];
    memset(long_name, 'x', 64);
    long_name[64] = '\0';
    const struct {
        struct lethe_kv_session_options options;
        const char *says;
    } rows[] = {
        {{.tenant = "", .session = "s"}, "tenant"},
        {{.tenant = "t", .session = ""}, "session"},
        {{.tenant = "t/u", .session = "s"}, "tenant"},
        {{.tenant = "t", .session = "s\n"}, "session"},
        {{.tenant = long_name, .session = "s"}, "tenant"},
        {{.tenant = "t", .session = long_name}, "session"},
        {{.tenant = "t", .session = "s", .budget_bytes = BLOCK_BYTES - 1}, "budget_bytes"},
    };
    must_cache(kv, 1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lethe_kv *session = (struct lethe_kv *)kv;
        assert_result(LETHE_INVALID,
                      lethe_kv_open(kv->cache, &rows[i].options, 0, &session, &kv->err));
        assert_null(session);
        assert_non_null(strstr(kv->err.text, rows[i].says));
    }
    struct lethe_kv *session = must_open_kv(kv, "t", long_name + 1);
    uint8_t row[ROW_BYTES] = {0}, *seed;
    void *buffer;
    assert_result(LETHE_INVALID, lethe_kv_append(session, LAYERS, row, row, 1, &kv->err));
    assert_non_null(strstr(kv->err.text, "layer 3: this cache has 3"));
    assert_result(LETHE_LIMIT, lethe_kv_append(session, 0, row, row, UINT64_MAX, &kv->err));
    assert_result(LETHE_INVALID,
                  lethe_kv_seed(session, LETHE_SECRET_MAX_BYTES + 1, &seed, &kv->err));
    assert_result(LETHE_INVALID, lethe_kv_buffer(session, 0, &buffer, &kv->err));
    must_end(kv, session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kv_test(what_is_appended_is_read_in_order),
        kv_test(many_tokens_at_once_and_layers_apart),
        kv_test(keys_or_values_alone_can_be_gathered),
        kv_test(long_rows_and_rows_of_any_size_arrive_whole),
        kv_test(a_view_does_not_grow),
        kv_test(one_name_in_two_tenants_is_two_sessions),
        kv_test(a_full_cache_takes_nothing_from_others),
        kv_test(an_append_that_does_not_fit_changes_nothing),
        kv_test(a_budget_of_its_own_without_a_store_is_a_limit),
        kv_test(a_window_moves_in_whole_blocks),
        kv_test(a_window_waits_for_readers),
        kv_test(options_that_are_not_acceptable_are_named),
        kv_test(more_than_the_device_has_is_refused),
        kv_test(a_stopped_worker_has_no_new_caches_and_sessions),
        kv_test(session_options_that_are_not_acceptable_are_named),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
