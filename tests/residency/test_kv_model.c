/* Random calls at a cache and at a plain model of it, which must agree after every one of them. */
#include "kv_check.h"

#define SESSIONS 4u
#define TOKENS_MAX 90u

/* What a session should hold: of each layer [first, end), and the seed of the row at each token, as
 * truncated tokens are written anew. */
struct model {
    struct lethe_kv *session; /* NULL: not open */
    uint64_t window;
    uint64_t ends[LAYERS];
    uint64_t first;
    uint64_t pages_end; /* tokens for which there are blocks */
    uint64_t seeds[LAYERS][TOKENS_MAX];
};

struct play {
    struct kv_site *kv;
    bool has_store;
    uint64_t random;
    uint64_t seeds;
    struct model models[SESSIONS];
    unsigned refused;
};

static uint64_t draw(struct play *play, uint64_t below)
{
    play->random = play->random * 6364136223846793005u + 1442695040888963407u;
    return (play->random >> 33) % below;
}

static uint64_t least_end(const struct model *model)
{
    uint64_t least = model->ends[0];
    for (uint32_t i = 1; i < LAYERS; i++)
        least = MIN(least, model->ends[i]);
    return least;
}

/* ---- the model's side ------------------------------------------------------------------------ */

/* Before a new block: what is outside of the window goes. */
static void model_window(struct model *model)
{
    uint64_t least = least_end(model);
    if (model->window != 0)
        while (model->first < model->pages_end && model->first + BLOCK_TOKENS <= least &&
               least - model->first - BLOCK_TOKENS >= model->window)
            model->first += BLOCK_TOKENS;
}

static void model_append(struct model *model, uint32_t layer, uint64_t count, uint64_t seed)
{
    for (uint64_t i = 0; i < count; i++)
        model->seeds[layer][model->ends[layer]++] = seed;
    while (model->pages_end < model->ends[layer])
        model->pages_end += BLOCK_TOKENS;
}

/* ---- both ------------------------------------------------------------------------------------ */

static void check_layer(struct play *play, struct model *model, uint32_t layer)
{
    uint8_t keys[TOKENS_MAX * ROW_BYTES], values[TOKENS_MAX * ROW_BYTES];
    uint64_t first = MIN(model->first, model->ends[layer]), count = model->ends[layer] - first;
    assert_range(model->session, layer, first, model->ends[layer]);
    assert_ok(lethe_kv_gather(model->session, layer, first, count, keys, values, &play->kv->err),
              &play->kv->err);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t seed = model->seeds[layer][first + i];
        assert_true(is_row(keys + i * ROW_BYTES, seed, layer, 0, first + i));
        assert_true(is_row(values + i * ROW_BYTES, seed, layer, 1, first + i));
    }
}

static void do_append(struct play *play, struct model *model)
{
    uint32_t layer = (uint32_t)draw(play, LAYERS);
    uint64_t count = 1 + draw(play, draw(play, 4) == 0 ? 11 : 3), end = model->ends[layer];
    if (end + count > TOKENS_MAX)
        return;
    /* A window is moved before it is known whether there is room. */
    if (end + count > model->pages_end)
        model_window(model);
    uint64_t seed = ++play->seeds;
    lethe_result result = append_layer(model->session, seed, layer, end, count, &play->kv->err);
    if (result == LETHE_OK) {
        model_append(model, layer, count, seed);
        return;
    }
    assert_int_equal(result, LETHE_NO_MEMORY);
    assert_false(play->has_store);
    play->refused++;
}

static void do_truncate(struct play *play, struct model *model)
{
    uint64_t tokens = draw(play, model->pages_end + 2);
    if (draw(play, 4) == 0)
        tokens = 0;
    lethe_result result = lethe_kv_truncate(model->session, tokens, &play->kv->err);
    if (tokens != 0 && tokens < model->first) {
        assert_int_equal(result, LETHE_NOT_FOUND);
        return;
    }
    assert_ok(result, &play->kv->err);
    for (uint32_t i = 0; i < LAYERS; i++)
        model->ends[i] = MIN(model->ends[i], tokens);
    uint64_t pages = (tokens + BLOCK_TOKENS - 1) / BLOCK_TOKENS * BLOCK_TOKENS;
    model->pages_end = MIN(model->pages_end, MAX(pages, model->first));
    if (tokens == 0)
        model->first = model->pages_end = 0;
}

static void do_reset(struct play *play, struct model *model)
{
    assert_ok(lethe_kv_reset(model->session, &play->kv->err), &play->kv->err);
    model->first = model->pages_end = 0;
    memset(model->ends, 0, sizeof model->ends);
}

static void do_end(struct play *play, struct model *model)
{
    if (draw(play, 2) == 0)
        lethe_kv_cancel(model->session);
    must_end(play->kv, model->session);
    *model = (struct model){0};
}

static void do_open(struct play *play, struct model *model)
{
    char tenant[8];
    snprintf(tenant, sizeof tenant, "t%u", (unsigned)(model - play->models));
    model->window = draw(play, 2) == 0 ? 0 : 1 + draw(play, 30);
    struct lethe_kv_session_options options = {
        .tenant = tenant, .session = "same", .window_tokens = model->window};
    if (play->has_store && draw(play, 2) == 0)
        options.budget_bytes = (4 + draw(play, 2)) * BLOCK_BYTES;
    model->session = must_open_with(play->kv, &options, 0);
}

static void do_something(struct play *play)
{
    struct model *model = &play->models[draw(play, SESSIONS)];
    uint64_t what = draw(play, 100);
    if (model->session == NULL)
        do_open(play, model);
    else if (what < 85)
        do_append(play, model);
    else if (what < 94)
        do_truncate(play, model);
    else if (what < 97)
        do_reset(play, model);
    else
        do_end(play, model);
}

static void check_blocks(struct play *play)
{
    uint64_t blocks = 0;
    for (unsigned i = 0; i < SESSIONS; i++)
        blocks += (play->models[i].pages_end - play->models[i].first) / BLOCK_TOKENS;
    struct lethe_kv_counters counters = counters_of(play->kv);
    assert_int_equal(counters.used_blocks + counters.spilled_blocks, blocks);
}

static void play_all(struct kv_site *kv, bool has_store, uint64_t seed, unsigned steps)
{
    struct play *play = calloc(1, sizeof *play);
    assert_non_null(play);
    play->kv = kv;
    play->has_store = has_store;
    play->random = seed;
    for (unsigned i = 0; i < steps; i++) {
        do_something(play);
        struct model *model = &play->models[draw(play, SESSIONS)];
        if (model->session != NULL)
            check_layer(play, model, (uint32_t)draw(play, LAYERS));
        check_blocks(play);
        if (i % 256 == 0)
            assert_ok(audit_sync(kv->site->log, &kv->err), &kv->err);
    }
    for (unsigned i = 0; i < SESSIONS; i++)
        if (play->models[i].session != NULL)
            do_end(play, &play->models[i]);
    assert_int_equal(counters_of(kv).used_blocks, 0);
    assert_true(has_store ? counters_of(kv).fetches > 100 : play->refused > 5);
    free(play);
}

static void random_calls_without_a_store(void **state)
{
    struct kv_site *kv = *state;
    must_cache(kv, 24);
    play_all(kv, false, 20261126, 6000);
}

static void random_calls_with_a_store(void **state)
{
    struct kv_site *kv = *state;
    must_spilling_cache(kv, 6);
    play_all(kv, true, 20261127, 6000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kv_test(random_calls_without_a_store),
        kv_test(random_calls_with_a_store),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
