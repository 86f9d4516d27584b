/* tests/residency/expert_check.h -- a model of experts, and a cache of them on a host worker. */
#ifndef TESTS_RESIDENCY_EXPERT_CHECK_H
#define TESTS_RESIDENCY_EXPERT_CHECK_H

#include "../model/model_fixture.h"

#include "model/handle.h"

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

/* Far enough apart that no two experts have a word in common. Volatile, or the compiler itself
 * keeps words among its constants, where a search finds them. */
static volatile uint64_t pattern_step = 1 << 20;

static uint64_t pattern_of(size_t index)
{
    return (index + 1) * pattern_step;
}

static void make_model(struct setup *s)
{
    struct fixture *f = s->files;
    const char *directory = AT(f, "experts");
    assert_int_equal(mkdir(directory, 0700), 0);
    for (size_t i = 0; i < EXPERTS; i++) {
        char name[32];
        snprintf(name, sizeof name, "experts/%02zu", i);
        put_pattern(AT(f, name), size_of(i), pattern_of(i));
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
__attribute__((unused)) static void open_cache(struct setup *s, uint64_t room, uint64_t seed)
{
    const struct lethe_expert_cache_options options = {
        .name = "experts", .budget_bytes = room * EXPERT_BYTES, .seed = seed};
    assert_ok(lethe_expert_cache_free(s->cache, &s->err), &s->err);
    assert_ok(lethe_expert_cache_create(s->worker, &s->handle, &options, &s->cache, &s->err),
              &s->err);
}

__attribute__((unused)) static struct lethe_shard *must_acquire(struct setup *s, size_t index)
{
    struct lethe_shard *shard;
    assert_ok(lethe_expert_acquire(s->cache, index, &shard, &s->err), &s->err);
    assert_non_null(shard);
    return shard;
}

__attribute__((unused)) static void touch(struct setup *s, size_t index)
{
    (void)must_acquire(s, index);
    lethe_expert_release(s->cache, index);
}

__attribute__((unused)) static struct lethe_expert_cache_counters counters(struct setup *s)
{
    struct lethe_expert_cache_counters now;
    lethe_expert_cache_counters(s->cache, &now);
    return now;
}

/* Pinning works for what is resident, and changes no score. */
__attribute__((unused)) static bool is_resident(struct setup *s, size_t index)
{
    if (lethe_expert_pin(s->cache, index, NULL) != LETHE_OK)
        return false;
    assert_ok(lethe_expert_unpin(s->cache, index, &s->err), &s->err);
    return true;
}

#define expert_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
