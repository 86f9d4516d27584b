/* The expert cache: a budget that holds, an order of eviction that can be foretold, and nothing
 * left of what went. */
#include "expert_check.h"

#include "crypto/memory_search.h"
#include "residency/expert_score.h"

/* ---- order ----------------------------------------------------------------------------------- */

/* The definition, once more and in another way: scores as fractions of long doubles, exact for such
 * small numbers. */
struct foretold {
    uint64_t accesses[EXPERTS];
    uint64_t last[EXPERTS];
    bool resident[EXPERTS];
    uint64_t now;
    uint64_t evictions;
};

static long double score(const struct foretold *f, size_t index)
{
    return (long double)f->accesses[index] / (1.0L + (long double)(f->now - f->last[index]));
}

static void foretell(struct foretold *f, size_t index, size_t room)
{
    size_t held = 0;
    f->now++;
    f->accesses[index]++;
    f->last[index] = f->now;
    for (size_t i = 0; i < EXPERTS; i++)
        held += f->resident[i];
    if (!f->resident[index] && held == room) {
        size_t worst = EXPERTS;
        for (size_t i = 0; i < EXPERTS; i++)
            if (f->resident[i] &&
                (worst == EXPERTS || score(f, i) < score(f, worst) ||
                 (score(f, i) == score(f, worst) && expert_tie(SEED, i) < expert_tie(SEED, worst))))
                worst = i;
        f->resident[worst] = false;
        f->evictions++;
    }
    f->resident[index] = true;
}

static void evictions_are_as_foretold(void **state)
{
    struct setup *s = *state;
    struct foretold f = {0};
    open_cache(s, 4, SEED);
    uint64_t draw = 5;
    for (unsigned step = 0; step < 400; step++) {
        draw = draw * UINT64_C(6364136223846793005) + 1442695040888963407u;
        size_t index = (size_t)(draw >> 33) % (EXPERTS - 1);
        index = index < 6 ? index / 2 : index; /* some are asked for more often */
        touch(s, index);
        foretell(&f, index, 4);
        for (size_t i = 0; i < EXPERTS; i++)
            if (is_resident(s, i) != f.resident[i])
                fail_msg("step %u: expert %zu is%s resident", step, i, f.resident[i] ? " not" : "");
    }
    assert_int_equal(counters(s).evictions, f.evictions);
    assert_true(f.evictions > 50);
}

/* The seed decides among equals, and only there. */
static void ties_are_broken_by_the_seed(void **state)
{
    struct setup *s = *state;
    struct expert_use a = {.accesses = 2, .last_access = 7, .index = 0};
    struct expert_use b = {.accesses = 2, .last_access = 7, .index = 1};
    unsigned a_first = 0;
    for (uint64_t seed = 0; seed < 64; seed++) {
        a.tie = expert_tie(seed, 0);
        b.tie = expert_tie(seed, 1);
        a_first += expert_goes_before(&a, &b, 9);
        assert_true(expert_goes_before(&a, &b, 9) != expert_goes_before(&b, &a, 9));
    }
    assert_in_range(a_first, 16, 48);
    a.accesses = 3;
    assert_true(expert_goes_before(&b, &a, 9));
    a = (struct expert_use){.accesses = UINT64_MAX, .last_access = 0, .index = 0};
    b = (struct expert_use){.accesses = UINT64_MAX, .last_access = 1, .index = 1};
    assert_true(expert_goes_before(&a, &b, UINT64_MAX - 1)); /* nothing wraps */
    (void)s;
}

static void prefetching_takes_no_room_of_a_better_one(void **state)
{
    struct setup *s = *state;
    bool resident;
    open_cache(s, 2, SEED);
    touch(s, 0);
    assert_ok(lethe_expert_prefetch(s->cache, 1, &resident, &s->err), &s->err);
    assert_true(resident && is_resident(s, 1));
    assert_ok(lethe_expert_prefetch(s->cache, 2, &resident, &s->err), &s->err);
    assert_false(resident); /* 0 was accessed, and 1 is worth as little as 2 */
    assert_true(is_resident(s, 0) && is_resident(s, 1));
    touch(s, 2);
    touch(s, 2);
    assert_true(is_resident(s, 0) && is_resident(s, 2));
    touch(s, 3); /* evicts 0 */
    assert_ok(lethe_expert_prefetch(s->cache, 3, &resident, &s->err), &s->err);
    assert_true(resident);
    assert_int_equal(counters(s).prefetches, 1);
    assert_int_equal(counters(s).accesses, 4);
    assert_ok(lethe_expert_prefetch(s->cache, EXPERTS - 1, &resident, &s->err), &s->err);
    assert_false(resident); /* larger than the whole budget: an answer, and no failure */
}

/* RP-001: a byte less than two of them is room for one. */
static void the_budget_holds_to_the_byte(void **state)
{
    struct setup *s = *state;
    const struct lethe_expert_cache_options options = {
        .name = "experts", .budget_bytes = 2 * EXPERT_BYTES - 1, .seed = SEED};
    assert_ok(lethe_expert_cache_create(s->worker, &s->handle, &options, &s->cache, &s->err),
              &s->err);
    touch(s, 0);
    touch(s, 1);
    assert_int_equal(counters(s).resident, 1);
    assert_int_equal(counters(s).evictions, 1);
}

/* ---- residue --------------------------------------------------------------------------------- */

/* A piece of the expert. */
static struct needle needle_in(size_t index)
{
    uint64_t words[4];
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        words[i] = (pattern_of(index) + 8192 + i * 8) * 0x9e3779b97f4a7c15;
        words[i] ^= words[i] >> 29;
    }
    struct needle needle = needle_of(words, sizeof words);
    lethe_wipe(words, sizeof words);
    return needle;
}

static size_t count_of(size_t index)
{
    const struct needle needle = needle_in(index);
    return count_in_own_memory(&needle);
}

/* Z-3: what was evicted is nowhere. */
static void an_evicted_expert_leaves_nothing(void **state)
{
    struct setup *s = *state;
    if (HAS_SANITIZER) {
        print_message("skipped: a sanitizer keeps what was freed\n");
        skip();
    }
    open_cache(s, 1, SEED);
    touch(s, 0);
    assert_int_equal(count_of(0), 1);
    touch(s, 1);
    assert_int_equal(count_of(0), 0);
    assert_int_equal(count_of(1), 1);
    assert_ok(lethe_expert_cache_free(s->cache, &s->err), &s->err);
    s->cache = NULL;
    assert_int_equal(count_of(1), 0);
}

int main(void)
{
    if (crypto_start(NULL) != LETHE_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        expert_test(evictions_are_as_foretold),
        expert_test(ties_are_broken_by_the_seed),
        expert_test(prefetching_takes_no_room_of_a_better_one),
        expert_test(the_budget_holds_to_the_byte),
        expert_test(an_evicted_expert_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
