/* The expert cache: a budget that holds, an order of eviction that can be foretold, and nothing
 * left of what went. */
#include "../model/model_fixture.h"

#include <pthread.h>

#include "model/handle.h"
#include "residency/expert_score.h"

#include <lethe/residency.h>

#define EXPERTS 12u
#define EXPERT_BYTES ((size_t)96 << 10)
#define SEED UINT64_C(77)

struct setup {
    struct fixture *files;
    struct lethe_model handle;
    struct lethe_worker *worker;
    struct lethe_expert_cache *cache;
    struct lethe_error err;
};

/* Experts of one size, but for the last, which has three times as much. */
static size_t size_of(size_t index)
{
    return index + 1 < EXPERTS ? EXPERT_BYTES : 3 * EXPERT_BYTES;
}

static void make_model(struct setup *s)
{
    struct fixture *f = s->files;
    const char *directory = AT(f, "experts");
    assert_int_equal(mkdir(directory, 0700), 0);
    for (size_t i = 0; i < EXPERTS; i++) {
        char name[32];
        snprintf(name, sizeof name, "experts/%02zu", i);
        put_pattern(AT(f, name), size_of(i), 1000 * (i + 1));
    }
    (void)must_encrypt(f, directory, AT(f, "experts.lethe"));
    s->handle = (struct lethe_model){.model = must_open(f, AT(f, "experts.lethe")),
                                     .keys = &f->keys->source};
    assert_int_equal(model_manifest(s->handle.model)->count, EXPERTS);
}

static int setup(void **state)
{
    struct setup *s = calloc(1, sizeof *s);
    assert_non_null(s);
    assert_int_equal(fixture_setup((void **)&s->files), 0);
    make_model(s);
    const struct lethe_worker_options options = {
        .name = "w", .policy = LETHE_HOST_ALLOWED, .threads = 1};
    assert_ok(lethe_worker_create(&options, &s->worker, &s->err), &s->err);
    assert_ok(lethe_worker_ready(s->worker, &s->err), &s->err);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct setup *s = *state;
    assert_ok(lethe_expert_cache_free(s->cache, &s->err), &s->err);
    assert_ok(lethe_worker_free(s->worker, &s->err), &s->err);
    model_close(s->handle.model);
    int result = fixture_teardown((void **)&s->files);
    free(s);
    return result;
}

/* Room for so many experts of the usual size. */
static void open_cache(struct setup *s, uint64_t room, uint64_t seed)
{
    const struct lethe_expert_cache_options options = {
        .name = "experts", .budget_bytes = room * EXPERT_BYTES, .seed = seed};
    assert_ok(lethe_expert_cache_free(s->cache, &s->err), &s->err);
    assert_ok(lethe_expert_cache_create(s->worker, &s->handle, &options, &s->cache, &s->err),
              &s->err);
}

static struct lethe_shard *must_acquire(struct setup *s, size_t index)
{
    struct lethe_shard *shard;
    assert_ok(lethe_expert_acquire(s->cache, index, &shard, &s->err), &s->err);
    assert_non_null(shard);
    return shard;
}

static void touch(struct setup *s, size_t index)
{
    (void)must_acquire(s, index);
    lethe_expert_release(s->cache, index);
}

static struct lethe_expert_cache_counters counters(struct setup *s)
{
    struct lethe_expert_cache_counters now;
    lethe_expert_cache_counters(s->cache, &now);
    return now;
}

/* Pinning works for what is resident, and changes no score. */
static bool is_resident(struct setup *s, size_t index)
{
    if (lethe_expert_pin(s->cache, index, NULL) != LETHE_OK)
        return false;
    assert_ok(lethe_expert_unpin(s->cache, index, &s->err), &s->err);
    return true;
}

/* ---- holding --------------------------------------------------------------------------------- */

static void an_expert_is_what_was_encrypted(void **state)
{
    struct setup *s = *state;
    open_cache(s, 4, SEED);
    struct lethe_shard *shard = must_acquire(s, 3);
    struct lethe_execution *execution;
    assert_ok(lethe_execution_begin(s->worker, &shard, 1, LETHE_VERIFY_FULL, &execution, &s->err),
              &s->err);
    uint8_t *expected = pattern(EXPERT_BYTES, 4000);
    assert_memory_equal(lethe_execution_address(execution, shard), expected, EXPERT_BYTES);
    free(expected);
    lethe_execution_end(execution);
    lethe_expert_release(s->cache, 3);
}

static void what_is_there_is_not_loaded_again(void **state)
{
    struct setup *s = *state;
    open_cache(s, 4, SEED);
    touch(s, 0);
    touch(s, 0);
    touch(s, 1);
    struct lethe_expert_cache_counters now = counters(s);
    assert_int_equal(now.accesses, 3);
    assert_int_equal(now.hits, 1);
    assert_int_equal(now.misses, 2);
    assert_int_equal(now.resident, 2);
    assert_int_equal(now.resident_bytes, 2 * EXPERT_BYTES);
    assert_int_equal(s->files->keys->unwrapped, 2);
}

/* RP-001, RP-004, W-2 */
static void what_is_held_is_not_evicted(void **state)
{
    struct setup *s = *state;
    struct lethe_shard *shard;
    struct lethe_error err = {0};
    open_cache(s, 2, SEED);
    (void)must_acquire(s, 0);
    (void)must_acquire(s, 1);
    lethe_result result = lethe_expert_acquire(s->cache, 2, &shard, &err);
    assert_result(LETHE_NO_MEMORY, result);
    assert_true(lethe_result_is_retriable(result));
    assert_null(shard);
    assert_non_null(strstr(err.text, "98304 bytes are needed, 0 of 196608 are available"));
    assert_true(is_resident(s, 0) && is_resident(s, 1));
    lethe_expert_release(s->cache, 0);
    touch(s, 2);
    assert_false(is_resident(s, 0));
    lethe_expert_release(s->cache, 1);
}

/* Nobody goes for one who then has no room all the same. */
static void nobody_is_evicted_in_vain(void **state)
{
    struct setup *s = *state;
    struct lethe_shard *shard;
    open_cache(s, 4, SEED);
    touch(s, 0);
    (void)must_acquire(s, 1);
    (void)must_acquire(s, 2);
    assert_result(LETHE_NO_MEMORY, lethe_expert_acquire(s->cache, EXPERTS - 1, &shard, NULL));
    assert_true(is_resident(s, 0));
    assert_int_equal(counters(s).evictions, 0);
    lethe_expert_release(s->cache, 1);
    lethe_expert_release(s->cache, 2);
}

static void a_pin_keeps_an_expert_and_nests(void **state)
{
    struct setup *s = *state;
    open_cache(s, 2, SEED);
    touch(s, 0);
    assert_ok(lethe_expert_pin(s->cache, 0, &s->err), &s->err);
    assert_ok(lethe_expert_pin(s->cache, 0, &s->err), &s->err);
    for (size_t i = 1; i < 6; i++) {
        touch(s, i);
        touch(s, i); /* by score, expert 0 would go */
    }
    assert_ok(lethe_expert_unpin(s->cache, 0, &s->err), &s->err);
    touch(s, 6);
    assert_true(is_resident(s, 0));
    assert_ok(lethe_expert_unpin(s->cache, 0, &s->err), &s->err);
    touch(s, 5);
    touch(s, 7);
    assert_false(is_resident(s, 0));
    assert_result(LETHE_NOT_FOUND, lethe_expert_unpin(s->cache, 0, NULL));
    assert_result(LETHE_NOT_FOUND, lethe_expert_pin(s->cache, 0, NULL));
}

/* Its user tries to evict what the cache holds. */
static void a_borrowed_expert_cannot_be_evicted_behind_the_cache(void **state)
{
    struct setup *s = *state;
    open_cache(s, 2, SEED);
    struct lethe_shard *shard = must_acquire(s, 0);
    assert_result(LETHE_BUSY, lethe_shard_evict(shard, NULL));
    assert_result(LETHE_BUSY, lethe_expert_cache_free(s->cache, NULL));
    lethe_expert_release(s->cache, 0);
    assert_true(is_resident(s, 0));
}

/* An execution keeps an expert when the cache's user has released it already. Who would need its
 * room comes later, and nothing is lost or counted twice. */
static void an_expert_in_an_execution_stays(void **state)
{
    struct setup *s = *state;
    open_cache(s, 1, SEED);
    struct lethe_shard *shard = must_acquire(s, 0), *other;
    struct lethe_execution *execution;
    assert_ok(
        lethe_execution_begin(s->worker, &shard, 1, LETHE_VERIFY_DEFAULT, &execution, &s->err),
        &s->err);
    lethe_expert_release(s->cache, 0);
    assert_result(LETHE_BUSY, lethe_expert_acquire(s->cache, 1, &other, &s->err));
    assert_null(other);
    assert_result(LETHE_BUSY, lethe_expert_cache_free(s->cache, &s->err));
    assert_int_equal(counters(s).resident, 1);
    assert_int_equal(counters(s).evictions, 0);
    assert_ok(lethe_execution_verify(execution, &s->err), &s->err);
    lethe_execution_end(execution);
    touch(s, 1);
    assert_false(is_resident(s, 0));
    touch(s, 0);
}

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

/* ---- refusals -------------------------------------------------------------------------------- */

/* RP-003, RP-004 */
static void what_cannot_be_is_refused(void **state)
{
    struct setup *s = *state;
    struct lethe_shard *shard;
    struct lethe_expert_cache *cache;
    open_cache(s, 2, SEED);
    assert_result(LETHE_LIMIT, lethe_expert_acquire(s->cache, EXPERTS - 1, &shard, NULL));
    assert_result(LETHE_INVALID, lethe_expert_acquire(s->cache, EXPERTS, &shard, NULL));
    assert_result(LETHE_INVALID, lethe_expert_pin(s->cache, EXPERTS, NULL));
    assert_result(LETHE_INVALID, lethe_expert_unpin(s->cache, EXPERTS, NULL));
    assert_result(LETHE_INVALID, lethe_expert_prefetch(s->cache, SIZE_MAX, NULL, NULL));
    const struct lethe_expert_cache_options bad[] = {
        {.name = NULL, .budget_bytes = 1},
        {.name = "", .budget_bytes = 1},
        {.name = "a/b", .budget_bytes = 1},
        {.name = "c", .budget_bytes = 0},
        {.name = "c", .budget_bytes = 1, .device = 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_result(LETHE_INVALID,
                      lethe_expert_cache_create(s->worker, &s->handle, &bad[i], &cache, NULL));
        assert_null(cache);
    }
    const struct lethe_expert_cache_options good = {.name = "c", .budget_bytes = 1};
    assert_result(LETHE_INVALID, lethe_expert_cache_create(s->worker, NULL, &good, &cache, NULL));
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

/* W-1 */
static void a_stopped_worker_gets_no_expert_cache(void **state)
{
    struct setup *s = *state;
    const struct lethe_expert_cache_options options = {.name = "c", .budget_bytes = 1};
    lethe_worker_stop(s->worker);
    assert_result(LETHE_DENIED,
                  lethe_expert_cache_create(s->worker, &s->handle, &options, &s->cache, &s->err));
    assert_null(s->cache);
}

/* A changed expert is refused at loading, and nothing of it stays. */
static void a_changed_expert_is_refused(void **state)
{
    struct setup *s = *state;
    struct lethe_shard *shard;
    open_cache(s, 4, SEED);
    char name[64];
    snprintf(name, sizeof name, "experts.lethe/%s",
             model_manifest(s->handle.model)->shards[2].file);
    int fd = open(AT(s->files, name), O_RDWR | O_CLOEXEC);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, 5000), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, 5000), 1);
    close(fd);
    assert_result(LETHE_INTEGRITY, lethe_expert_acquire(s->cache, 2, &shard, NULL));
    assert_false(is_resident(s, 2));
    assert_int_equal(counters(s).resident_bytes, 0);
    touch(s, 3); /* the worker was not deceived, and goes on */
}

/* ---- residue --------------------------------------------------------------------------------- */

/* How often the first 32 bytes of a page of the pattern are in this process's memory. The pattern
 * is made byte by byte, so that it is nowhere as a whole. */
static size_t count_in_own_memory(size_t index)
{
    size_t found = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    assert_non_null(maps);
    uint8_t *page = malloc(4096);
    char line[512];
    while (fgets(line, sizeof line, maps) != NULL) {
        uintptr_t begin, end;
        char access[5];
        if (sscanf(line, "%lx-%lx %4s", &begin, &end, access) != 3 || access[0] != 'r')
            continue;
        for (; begin < end; begin += 4096) {
            if (pread(memory, page, 4096, (off_t)begin) != 4096)
                continue;
            bool same = true;
            for (size_t i = 0; same && i < 32; i += 8) {
                uint64_t mixed = (1000 * (index + 1) + 8192 + i) * 0x9e3779b97f4a7c15;
                mixed ^= mixed >> 29;
                uint64_t word;
                memcpy(&word, page + i, 8);
                same = word == mixed;
            }
            found += same;
        }
    }
    free(page);
    close(memory);
    fclose(maps);
    return found;
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
    assert_int_equal(count_in_own_memory(0), 1);
    touch(s, 1);
    assert_int_equal(count_in_own_memory(0), 0);
    assert_int_equal(count_in_own_memory(1), 1);
    assert_ok(lethe_expert_cache_free(s->cache, &s->err), &s->err);
    s->cache = NULL;
    assert_int_equal(count_in_own_memory(1), 0);
}

/* ---- threads --------------------------------------------------------------------------------- */

/* What others do meanwhile. */
static void prefetch_or_pin(struct setup *s, size_t index, unsigned step)
{
    if (step % 3 == 0)
        REQUIRE(lethe_expert_prefetch(s->cache, index, NULL, NULL) == LETHE_OK);
    else if (step % 3 == 1 && lethe_expert_pin(s->cache, index, NULL) == LETHE_OK)
        REQUIRE(lethe_expert_unpin(s->cache, index, NULL) == LETHE_OK);
}

static void *use_experts(void *context)
{
    struct setup *s = context;
    uint64_t draw = (uintptr_t)pthread_self();
    for (unsigned step = 0; step < 60; step++) {
        draw = draw * UINT64_C(6364136223846793005) + 1442695040888963407u;
        size_t index = (size_t)(draw >> 33) % (EXPERTS - 1);
        struct lethe_shard *shard;
        struct lethe_execution *execution;
        prefetch_or_pin(s, index, step);
        lethe_result result = lethe_expert_acquire(s->cache, index, &shard, NULL);
        if (result == LETHE_NO_MEMORY)
            continue;
        REQUIRE(result == LETHE_OK);
        REQUIRE(lethe_execution_begin(s->worker, &shard, 1, LETHE_VERIFY_FAST, &execution, NULL) ==
                LETHE_OK);
        uint64_t first, expected = 1000 * (index + 1) * 0x9e3779b97f4a7c15;
        memcpy(&first, lethe_execution_address(execution, shard), sizeof first);
        expected ^= expected >> 29;
        REQUIRE(first == expected);
        lethe_execution_end(execution);
        lethe_expert_release(s->cache, index);
    }
    return NULL;
}

static void threads_share_a_cache(void **state)
{
    struct setup *s = *state;
    pthread_t threads[4];
    open_cache(s, 5, SEED);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_experts, s), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    struct lethe_expert_cache_counters now = counters(s);
    assert_int_equal(now.accesses, 4 * 60);
    assert_int_equal(now.hits + now.misses, now.accesses);
    assert_true(now.resident_bytes <= 5 * EXPERT_BYTES);
}

int main(void)
{
    if (crypto_start(NULL) != LETHE_OK)
        return 1;
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(an_expert_is_what_was_encrypted),
        CASE(what_is_there_is_not_loaded_again),
        CASE(what_is_held_is_not_evicted),
        CASE(nobody_is_evicted_in_vain),
        CASE(a_pin_keeps_an_expert_and_nests),
        CASE(a_borrowed_expert_cannot_be_evicted_behind_the_cache),
        CASE(evictions_are_as_foretold),
        CASE(ties_are_broken_by_the_seed),
        CASE(prefetching_takes_no_room_of_a_better_one),
        CASE(what_cannot_be_is_refused),
        CASE(the_budget_holds_to_the_byte),
        CASE(a_stopped_worker_gets_no_expert_cache),
        CASE(an_expert_in_an_execution_stays),
        CASE(a_changed_expert_is_refused),
        CASE(an_evicted_expert_leaves_nothing),
        CASE(threads_share_a_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
