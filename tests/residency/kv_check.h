/* tests/residency/kv_check.h -- a cache on a host worker, and rows of which every byte is known
 * from where it belongs, so that nobody needs to keep a copy. */
#ifndef TESTS_RESIDENCY_KV_CHECK_H
#define TESTS_RESIDENCY_KV_CHECK_H

#include <stdlib.h>

#include <lethe/kv.h>

#include "residency_check.h"

#define LAYERS 3u
#define ROW_BYTES 64u
#define BLOCK_TOKENS 4u
#define BLOCK_BYTES ((uint64_t)LAYERS * 2 * BLOCK_TOKENS * ROW_BYTES) /* 1536 */

struct kv_site {
    struct site *site;
    struct lethe_kv_cache *cache;
    struct lethe_spill_memory *memory; /* when it spills there */
    struct lethe_spill spill;
    struct lethe_error err;
};

static struct lethe_kv_options cache_options(uint64_t blocks)
{
    return (struct lethe_kv_options){.name = "kv",
                                     .layers = LAYERS,
                                     .row_bytes = ROW_BYTES,
                                     .block_tokens = BLOCK_TOKENS,
                                     .budget_bytes = blocks * BLOCK_BYTES};
}

__attribute__((unused)) static void must_cache_with(struct kv_site *kv, uint64_t blocks,
                                                    const struct lethe_spill *spill)
{
    struct lethe_kv_options options = cache_options(blocks);
    options.spill = spill;
    assert_ok(lethe_kv_cache_create(kv->site->worker, &options, &kv->cache, &kv->err), &kv->err);
}

/* Without a store; and with one in memory. */
__attribute__((unused)) static void must_cache(struct kv_site *kv, uint64_t blocks)
{
    must_cache_with(kv, blocks, NULL);
}

__attribute__((unused)) static void must_spilling_cache(struct kv_site *kv, uint64_t blocks)
{
    assert_ok(lethe_spill_memory_create(0, &kv->memory, &kv->err), &kv->err);
    kv->spill = lethe_spill_memory_table(kv->memory);
    must_cache_with(kv, blocks, &kv->spill);
}

__attribute__((unused)) static int kv_setup(void **state)
{
    struct kv_site *kv = calloc(1, sizeof *kv);
    assert_non_null(kv);
    void *site;
    if (site_setup(&site) != 0)
        return -1;
    kv->site = site;
    *state = kv;
    return 0;
}

__attribute__((unused)) static int kv_teardown(void **state)
{
    struct kv_site *kv = *state;
    void *site = kv->site;
    lethe_result result = lethe_kv_cache_free(kv->cache, &kv->err);
    lethe_spill_memory_free(kv->memory);
    free(kv);
    return site_teardown(&site) != 0 || result != LETHE_OK ? -1 : 0;
}

#define kv_test(test) cmocka_unit_test_setup_teardown(test, kv_setup, kv_teardown)

static struct lethe_kv *must_open_with(struct kv_site *kv,
                                       const struct lethe_kv_session_options *options,
                                       uint64_t now_ms)
{
    struct lethe_kv *session = NULL;
    assert_ok(lethe_kv_open(kv->cache, options, now_ms, &session, &kv->err), &kv->err);
    return session;
}

__attribute__((unused)) static struct lethe_kv *must_open_kv(struct kv_site *kv, const char *tenant,
                                                             const char *name)
{
    return must_open_with(kv, &(struct lethe_kv_session_options){.tenant = tenant, .session = name},
                          0);
}

__attribute__((unused)) static void must_end(struct kv_site *kv, struct lethe_kv *session)
{
    assert_ok(lethe_kv_end(session, LETHE_SESSION_ENDED, &kv->err), &kv->err);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* The word at `at` of the row: never zero, and no two are alike. */
static uint64_t row_word(uint64_t seed, uint32_t layer, unsigned part, uint64_t token, uint64_t at)
{
    uint64_t mixed = (((seed * 64 + layer) * 2 + part) << 32) + token * 64 + at + 1;
    mixed *= 0x9e3779b97f4a7c15;
    mixed ^= mixed >> 31;
    mixed *= 0xbf58476d1ce4e5b9;
    return mixed | 1;
}

static void fill_row(uint8_t *row, uint64_t seed, uint32_t layer, unsigned part, uint64_t token)
{
    for (uint64_t i = 0; i < ROW_BYTES / 8; i++) {
        uint64_t word = row_word(seed, layer, part, token, i);
        memcpy(row + i * 8, &word, 8);
    }
}

static bool is_row(const uint8_t *row, uint64_t seed, uint32_t layer, unsigned part, uint64_t token)
{
    for (uint64_t i = 0; i < ROW_BYTES / 8; i++) {
        uint64_t word;
        memcpy(&word, row + i * 8, 8);
        if (word != row_word(seed, layer, part, token, i))
            return false;
    }
    return true;
}

static bool are_rows(const uint8_t *rows, uint64_t count, uint64_t seed, uint32_t layer,
                     unsigned part, uint64_t first)
{
    for (uint64_t i = 0; i < count; i++)
        if (!is_row(rows + i * ROW_BYTES, seed, layer, part, first + i))
            return false;
    return true;
}

#define ROWS_MAX 64u

/* Tokens [first, first + count) of one layer; leaves no copy behind. */
static lethe_result append_layer(struct lethe_kv *session, uint64_t seed, uint32_t layer,
                                 uint64_t first, uint64_t count, struct lethe_error *err)
{
    uint8_t keys[ROWS_MAX * ROW_BYTES], values[ROWS_MAX * ROW_BYTES];
    assert_true(count <= ROWS_MAX);
    for (uint64_t i = 0; i < count; i++) {
        fill_row(keys + i * ROW_BYTES, seed, layer, 0, first + i);
        fill_row(values + i * ROW_BYTES, seed, layer, 1, first + i);
    }
    lethe_result result = lethe_kv_append(session, layer, keys, values, count, err);
    lethe_wipe(keys, sizeof keys);
    lethe_wipe(values, sizeof values);
    return result;
}

/* Of all layers, one token after the other. */
static lethe_result append_tokens(struct lethe_kv *session, uint64_t seed, uint64_t first,
                                  uint64_t count, struct lethe_error *err)
{
    for (uint64_t token = first; token < first + count; token++)
        for (uint32_t layer = 0; layer < LAYERS; layer++)
            TRY(append_layer(session, seed, layer, token, 1, err));
    return LETHE_OK;
}

__attribute__((unused)) static void must_append(struct kv_site *kv, struct lethe_kv *session,
                                                uint64_t seed, uint64_t first, uint64_t count)
{
    assert_ok(append_tokens(session, seed, first, count, &kv->err), &kv->err);
}

/* All layers have exactly [first, end), by range, by view and by gather. */
__attribute__((unused)) static void assert_range(struct lethe_kv *session, uint32_t layer,
                                                 uint64_t first, uint64_t end)
{
    uint64_t has_first, has_end;
    assert_result(LETHE_OK, lethe_kv_range(session, layer, &has_first, &has_end));
    assert_int_equal(has_first, first);
    assert_int_equal(has_end, end);
}

static bool view_is(const struct lethe_kv_view *view, uint64_t seed, uint32_t layer, uint64_t first,
                    uint64_t end)
{
    uint64_t at = first;
    for (size_t i = 0; i < view->count; i++) {
        const struct lethe_kv_span *span = &view->spans[i];
        if (span->first != at || span->tokens == 0 ||
            !are_rows(span->keys, span->tokens, seed, layer, 0, at) ||
            !are_rows(span->values, span->tokens, seed, layer, 1, at))
            return false;
        at += span->tokens;
    }
    return at == end;
}

__attribute__((unused)) static void assert_view(struct kv_site *kv, struct lethe_kv *session,
                                                uint64_t seed, uint64_t first, uint64_t end)
{
    for (uint32_t layer = 0; layer < LAYERS; layer++) {
        struct lethe_kv_view view;
        assert_range(session, layer, first, end);
        assert_ok(lethe_kv_read_begin(session, layer, &view, &kv->err), &kv->err);
        assert_true(view_is(&view, seed, layer, first, end));
        lethe_kv_read_end(&view);
    }
}

static lethe_result gather_is(struct lethe_kv *session, uint64_t seed, uint32_t layer,
                              uint64_t first, uint64_t count, bool *same, struct lethe_error *err)
{
    uint8_t keys[ROWS_MAX * ROW_BYTES], values[ROWS_MAX * ROW_BYTES];
    assert_true(count <= ROWS_MAX);
    lethe_result result = lethe_kv_gather(session, layer, first, count, keys, values, err);
    *same = result == LETHE_OK && are_rows(keys, count, seed, layer, 0, first) &&
            are_rows(values, count, seed, layer, 1, first);
    lethe_wipe(keys, sizeof keys);
    lethe_wipe(values, sizeof values);
    return result;
}

__attribute__((unused)) static void assert_gather(struct kv_site *kv, struct lethe_kv *session,
                                                  uint64_t seed, uint64_t first, uint64_t count)
{
    for (uint32_t layer = 0; layer < LAYERS; layer++) {
        bool same;
        assert_ok(gather_is(session, seed, layer, first, count, &same, &kv->err), &kv->err);
        assert_true(same);
    }
}

__attribute__((unused)) static struct lethe_kv_counters counters_of(struct kv_site *kv)
{
    struct lethe_kv_counters counters;
    lethe_kv_cache_counters(kv->cache, &counters);
    return counters;
}

#endif
