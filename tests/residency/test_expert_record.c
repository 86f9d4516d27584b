/* The expert cache: every eviction is on record, and whether it left zeros. */
#include "residency_check.h"

#include "../model/test_keys.h"
#include "device/ops.h"
#include "mem/host.h"
#include "model/handle.h"
#include "model/model.h"

#define EXPERTS 3u
#define EXPERT_BYTES 20000u
#define ROUNDED_BYTES 20480u /* to pages */

/* A model of experts "0" to "2", and room for two of them. */
struct experts {
    struct site *site;
    struct test_keys *keys;
    struct lethe_model handle;
    struct lethe_expert_cache *cache;
};

static void make_model(struct experts *e, struct lethe_error *err)
{
    CLEANUP(memory_free) char *directory = temp_dir();
    CLEANUP(memory_free) char *encrypted = temp_path("m.lethe");
    const char *const sources[] = {directory};
    const struct encrypt_options options = {.sources = sources,
                                            .source_count = 1,
                                            .output = encrypted,
                                            .tenant = "acme",
                                            .clock = &clock_system,
                                            .random = &random_system};
    struct encrypt_summary summary;
    for (unsigned i = 0; i < EXPERTS; i++) {
        const char name[] = {(char)('0' + i), '\0'};
        uint8_t *bytes = weights_of(EXPERT_BYTES, i);
        put_file(path_in(directory, name), bytes, EXPERT_BYTES);
        free(bytes);
    }
    e->keys = test_keys_create(1);
    assert_ok(model_encrypt(&options, &e->keys->source, &summary, err), err);
    e->handle.keys = &e->keys->source;
    assert_ok(model_open(encrypted, &e->handle.model, err), err);
    assert_ok(model_check_signature(e->handle.model, sign_pair_public(e->keys->pair), err), err);
}

static int setup(void **state)
{
    static struct experts experts;
    void *site;
    if (site_setup(&site) != 0)
        return -1;
    experts = (struct experts){.site = site};
    struct lethe_error *err = &experts.site->err;
    const struct lethe_expert_cache_options options = {
        .name = "experts", .budget_bytes = 2 * EXPERT_BYTES, .seed = 1};
    make_model(&experts, err);
    assert_ok(lethe_expert_cache_create(experts.site->worker, &experts.handle, &options,
                                        &experts.cache, err),
              err);
    *state = &experts;
    return 0;
}

static int teardown(void **state)
{
    struct experts *e = *state;
    void *site = e->site;
    assert_ok(lethe_expert_cache_free(e->cache, &e->site->err), &e->site->err);
    model_close(e->handle.model);
    test_keys_free(e->keys);
    return site_teardown(&site);
}

static void touch(struct experts *e, size_t index)
{
    struct lethe_shard *shard;
    assert_ok(lethe_expert_acquire(e->cache, index, &shard, &e->site->err), &e->site->err);
    lethe_expert_release(e->cache, index);
}

#define assert_evicted(count, e, ...)                                                              \
    assert_recorded(count, (e)->site, "\"event\":\"cache_evicted\"", "\"tenant\":\"acme\"",        \
                    "\"cache\":\"experts\"", "\"bytes\":20000", __VA_ARGS__)

/* Z-3, Z-9 */
static void every_eviction_is_on_record(void **state)
{
    struct experts *e = *state;
    touch(e, 0);
    touch(e, 1);
    touch(e, 1);
    assert_evicted(0, e, "\"cause\"");
    touch(e, 2);
    assert_evicted(1, e, "\"entry\":\"0000\"", "\"cause\":\"budget\"", "\"verified\":true");
    assert_ok(lethe_expert_cache_free(MOVE(e->cache), &e->site->err), &e->site->err);
    assert_evicted(1, e, "\"entry\":\"0001\"", "\"cause\":\"closed\"", "\"verified\":true");
    assert_evicted(1, e, "\"entry\":\"0002\"", "\"cause\":\"closed\"", "\"verified\":true");
    assert_evicted(3, e, "\"cause\"");
}

/* Only what is as large as an expert; secrets are wiped as ever, or the process would end. */
static void wipe_no_experts(void *pages, size_t size_bytes)
{
    if (size_bytes != ROUNDED_BYTES)
        memset(pages, 0, size_bytes);
}

/* Z-3: whoever wanted its room hears of it, and the record does not claim what is not so. */
static void what_could_not_be_wiped_is_on_record(void **state)
{
    struct experts *e = *state;
    struct lethe_shard *shard;
    const struct host real = host;
    struct lethe_expert_cache_counters counters;
    touch(e, 0);
    touch(e, 1);
    touch(e, 1);
    host.wipe = wipe_no_experts;
    lethe_result result = lethe_expert_acquire(e->cache, 2, &shard, &e->site->err);
    host = real;
    assert_result(LETHE_UNWIPED, result);
    assert_null(shard);
    assert_evicted(1, e, "\"entry\":\"0000\"", "\"cause\":\"budget\"", "\"verified\":false");
    assert_evicted(1, e, "\"cause\"");
    lethe_expert_cache_counters(e->cache, &counters);
    assert_int_equal(counters.evictions, 1);
    assert_int_equal(counters.resident, 1);
    assert_int_equal(used_bytes(e->site), 2 * EXPERT_BYTES); /* nobody else gets it */
    touch(e, 2);

    host.wipe = wipe_no_experts;
    result = lethe_expert_cache_free(MOVE(e->cache), &e->site->err);
    host = real;
    assert_result(LETHE_UNWIPED, result);
    assert_evicted(2, e, "\"cause\":\"closed\"", "\"verified\":false");
    atomic_store(&e->site->worker->devices[0]->used_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_eviction_is_on_record, setup, teardown),
        cmocka_unit_test_setup_teardown(what_could_not_be_wiped_is_on_record, setup, teardown),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
